"""Planning by REST: plans, works one by one and many at once, the course of published windows, and every refusal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from accounts.policies import SCOPES
from outages.models import Interruption, OutageEvent
from outages.planned import services
from outages.planned.models import PlannedWork, PlanPeriod, WorkClass, WorkWindow
from outages.planned.policies import CAPABILITIES, may
from tests.api.clients import Machine, machine, refused
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.planned.clock import time_passes
from tests.planned.world import ahead, answered_all, everything_planned, plan_of, published_alone, window, work_in

LATE: dict[str, Any] = {"work_class": "temporary", "temporary_reason": "设备缺陷需尽快处理"}
CONSIDERED = {"live_line": "not_possible", "transfer": "not_possible"}


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def planning(city: SmallCity) -> Machine:
    """The work-order system of the east branch."""
    return machine("plan:submit", branch=city.east)


@pytest.fixture
def control(city: SmallCity) -> Machine:
    """The dispatch system of the bureau."""
    return machine("outage:write", branch=city.bureau)


@pytest.fixture
def pia(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.user_with("planner", city.east, username="pia"))


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    return plan_of(city, pia)


@pytest.fixture
def published(city: SmallCity, pia: Actor) -> str:
    """The reference of line L11's announced outage: Chen, Wang and life support will be off."""
    lena = accounts.actor_of(accounts.user_with("branch_lead", city.east, username="lena"))
    otto = accounts.actor_of(accounts.user_with("approver", city.bureau, username="otto"))
    found = published_alone(city, pia, lena, otto, "L11")
    assert found.outage is not None
    return found.outage.reference


@pytest.fixture
def running(published: str, control: Machine) -> str:
    """It went off an hour ago, an hour before its announced end."""
    ends_at = WorkWindow.objects.get(outage__reference=published).ends_at
    time_passes(ends_at - timedelta(hours=1) - timezone.now())
    hour_ago = timezone.now() - timedelta(hours=1)
    assert control(f"planned-windows/{published}/start/", {"started_at": hour_ago.isoformat()}).status_code == 200
    return published


def body(*elements: str, days: float = 20, hour: int = 8, **facts: Any) -> dict[str, Any]:
    """A work outside a plan, unless ``period`` and ``work_class`` say otherwise."""
    starts_at, ends_at = window(days, hour)
    windows = [{"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}]
    return {
        "branch": "0101", "elements": elements or ["T11"], "title": "更换绝缘子", "windows": windows,
        **LATE, **CONSIDERED, **facts,
    }  # fmt: skip


def in_plan(plan: PlanPeriod, *elements: str, **facts: Any) -> dict[str, Any]:
    return body(*elements, period=plan.pk, **{"work_class": "planned", "temporary_reason": "", **facts})


def span(starts_at: datetime, hours: float) -> dict[str, str]:
    return {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(hours=hours)).isoformat()}


def everything() -> dict[str, Any]:
    models = (Interruption, OutageEvent)
    rows = {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}
    return everything_planned() | rows


def made(planning: Machine, *elements: str, **facts: Any) -> dict[str, Any]:
    answer = planning("planned-works/", body(*elements, **facts))
    assert answer.status_code == 201, answer.content.decode()
    work: dict[str, Any] = answer.json()
    return work


# --- plans ------------------------------------------------------------------------------------------


def test_a_plan_is_opened_filled_and_handed_in(planning: Machine, pia: Actor) -> None:
    day = ahead(20).date()
    opened = planning("plan-periods/", {"branch": "0101", "kind": "month", "day": day.isoformat()})
    plan = PlanPeriod.objects.get()
    assert opened.status_code == 201
    assert opened["Location"].endswith(f"/api/v1/plan-periods/{plan.pk}/")
    assert (opened.json()["title"], opened.json()["state"], opened.json()["works"]) == (f"{day:%Y-%m}", "open", 0)

    sent = planning("planned-works/batch/", {"works": [in_plan(plan, "T11", key="A-1")]})
    assert sent.json()["accepted"] == 1
    answered_all(plan.works.all(), pia)
    version = planning.get(f"plan-periods/{plan.pk}/").json()["version"]
    submitted = planning(f"plan-periods/{plan.pk}/submit/", {"version": version}).json()

    assert (submitted["state"], submitted["revision"], submitted["works"], submitted["customers"]) == (
        "submitted", 1, 1, 2,
    )  # fmt: skip
    assert planning.get("planned-works/").json()["results"][0]["state"] == "submitted"
    assert [period["id"] for period in planning.get("plan-periods/?state=submitted").json()["results"]] == [plan.pk]
    assert planning.get("plan-periods/?state=open").json()["results"] == []


def test_the_second_who_opens_a_plan_finds_the_first_ones(planning: Machine, plan: PlanPeriod) -> None:
    asked = {"branch": "0101", "kind": "month", "day": ahead(20).date().isoformat()}

    assert planning("plan-periods/", asked).json()["id"] == plan.pk
    assert PlanPeriod.objects.count() == 1


def test_a_plan_with_an_open_finding_says_what_stops_which_work(planning: Machine, plan: PlanPeriod) -> None:
    reference = planning("planned-works/", in_plan(plan, "T12")).json()["reference"]
    before = everything()

    answer = planning(f"plan-periods/{plan.pk}/submit/")

    assert refused(answer, 409, "checks_open", "works")
    (stopped,) = answer.json()["works"]
    assert stopped["reference"] == reference
    finding = next(found for found in stopped["findings"] if found["code"] == "life_support")
    assert (finding["is_open"], finding["customers"], finding["answer"]) == (True, 1, "")
    assert everything() == before


def test_an_empty_plan_or_one_seen_in_another_version_is_not_handed_in(planning: Machine, plan: PlanPeriod) -> None:
    before = everything()

    assert refused(planning(f"plan-periods/{plan.pk}/submit/"), 409, "no_works")
    assert refused(planning(f"plan-periods/{plan.pk}/submit/", {"version": 9}), 409, "conflict", "version")
    assert everything() == before


@pytest.mark.parametrize(
    ("wrong", "status", "code", "field"),
    [
        ({"kind": "year"}, 400, "invalid", "kind"),
        ({"day": "2026-02-30"}, 400, "invalid", "day"),
        ({"day": "9999-12-31"}, 422, "invalid", "day"),
        ({"branch": "0102"}, 422, "unknown_code", "branch"),
        ({"branch": "nowhere"}, 422, "unknown_code", "branch"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    planning: Machine, wrong: dict[str, str], status: int, code: str, field: str
) -> None:
    asked = {"branch": "0101", "kind": "week", "day": ahead(20).date().isoformat(), **wrong}

    assert refused(planning("plan-periods/", asked), status, code, field)
    assert not PlanPeriod.objects.exists()


# --- one work ---------------------------------------------------------------------------------------


def test_a_work_is_entered_read_handed_in_taken_back_and_called_off(planning: Machine, pia: Actor) -> None:
    answer = planning("planned-works/", body("L11", key="A-1", notice_plan=["restored"], transfer_tie="K"))
    assert answer.status_code == 201
    work = answer.json()
    at = f"planned-works/{work['reference']}/"
    assert answer["Location"].endswith(f"/api/v1/{at}")
    assert (work["state"], work["places"], work["customers"], work["life_support"]) == ("draft", 2, 3, 1)
    assert (work["elements"], work["transfer_tie"]) == (["L11"], "K")
    assert work["notice_plan"] == ["announced", "restored"]  # the law's is always made
    assert (work["reason_zh"] != "", work["branch"]["code"], work["period"]) == (True, "0101", None)
    assert [found["code"] for found in work["findings"] if found["is_open"]] == ["life_support"]
    assert refused(planning(at + "submit/", {"version": work["version"]}), 409, "checks_open")

    answered_all(PlannedWork.objects.all(), pia)
    submitted = planning(at + "submit/", {"version": work["version"]}).json()
    assert submitted["state"] == "submitted"
    assert refused(planning(at + "withdraw/", {"version": work["version"]}), 409, "conflict", "version")
    assert planning(at + "withdraw/", {"version": submitted["version"]}).json()["state"] == "draft"
    cancelled = planning(at + "cancel/", {"reason": "工程推迟"}).json()
    assert (cancelled["state"], cancelled["state_reason"], cancelled["findings"]) == ("cancelled", "工程推迟", [])


def test_the_author_is_the_client(planning: Machine) -> None:
    made(planning)

    work = PlannedWork.objects.get()
    step = work.steps.get()
    assert (work.author_name, step.actor_kind, step.note) == (step.actor_name, "service", "api")


def test_some_facts_change_and_the_others_stay(planning: Machine) -> None:
    work = made(planning, "T11", note="first", crews=2)
    change = {"version": work["version"], "title": "更换开关", "work_type": "replacement"}

    changed = planning.send("PATCH", f"planned-works/{work['reference']}/", change).json()

    assert (changed["title"], changed["work_type"], changed["version"]) == ("更换开关", "replacement", 2)
    kept = ("elements", "windows", "note", "crews", "temporary_reason", "live_line")
    assert {name: changed[name] for name in kept} == {name: work[name] for name in kept}
    assert changed["reason_zh"] != work["reason_zh"]  # the public words follow the type of work


def test_a_work_is_written_anew_and_what_is_left_out_is_empty(planning: Machine) -> None:
    work = made(planning, "T11", note="first", crews=2)
    windows = [span(ahead(21), 3), span(ahead(22), 3)]
    new = {"version": 1, "title": "更换开关", "elements": ["T12"], "windows": windows, **LATE}

    changed = planning.send("PUT", f"planned-works/{work['reference']}/", new).json()

    assert (changed["elements"], changed["note"], changed["crews"], changed["live_line"]) == (["T12"], "", 1, "")
    assert [datetime.fromisoformat(row["starts_at"]) for row in changed["windows"]] == [ahead(21), ahead(22)]
    assert (changed["places"], changed["customers"]) == (1, 1)


def test_a_change_names_the_version_that_it_changes(planning: Machine) -> None:
    at = f"planned-works/{made(planning)['reference']}/"
    before = everything()

    assert refused(planning.send("PATCH", at, {"title": "x"}), 400, "invalid", "version")
    assert refused(planning.send("PUT", at, body()), 400, "invalid", "version")
    assert refused(planning.send("PATCH", at, {"title": "x", "version": 7}), 409, "conflict", "version")
    assert everything() == before


def test_what_was_handed_in_is_not_changed(planning: Machine, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "T11", **LATE)
    services.work_submit(actor=pia, work_id=work.pk)
    before = everything()

    change = {"version": 2, "title": "x"}
    assert refused(planning.send("PATCH", f"planned-works/{work.reference}/", change), 409, "illegal_transition")
    assert everything() == before


def test_a_work_of_a_plan_is_decided_with_it(planning: Machine, plan: PlanPeriod) -> None:
    reference = planning("planned-works/", in_plan(plan)).json()["reference"]
    before = everything()

    assert refused(planning(f"planned-works/{reference}/submit/"), 409, "decided_with_its_plan")
    assert everything() == before


def test_two_plans_for_one_element_at_one_time_meet(planning: Machine, city: SmallCity, pia: Actor) -> None:
    first, second = (made(planning, "T11", hour=hour)["reference"] for hour in (8, 10))
    answered_all(PlannedWork.objects.all(), pia)
    PlannedWork.objects.get(reference=second).answers.filter(code="overlap").delete()
    assert planning(f"planned-works/{first}/submit/").status_code == 200

    assert refused(planning(f"planned-works/{second}/submit/"), 409, "checks_open")
    assert PlannedWork.objects.get(reference=second).state == "draft"


def reversed_window(asked: dict[str, Any]) -> None:
    row = asked["windows"][0]
    row["starts_at"], row["ends_at"] = row["ends_at"], row["starts_at"]


def overlapping(asked: dict[str, Any]) -> None:
    asked["windows"] = [span(ahead(20, 8), 4), span(ahead(20, 11), 2)]


def late_without_a_reason(asked: dict[str, Any]) -> None:
    asked["temporary_reason"] = ""


def planned_outside_a_plan(asked: dict[str, Any]) -> None:
    asked["work_class"] = "planned"


def setting(**facts: Any) -> Callable[[dict[str, Any]], None]:
    def change(asked: dict[str, Any]) -> None:
        asked.update(facts)

    return change


@pytest.mark.parametrize(
    ("spoil", "status", "code", "field"),
    [
        (reversed_window, 400, "invalid", "windows.0.ends_at"),
        (overlapping, 400, "invalid", "windows"),
        (late_without_a_reason, 400, "invalid", "temporary_reason"),
        (planned_outside_a_plan, 400, "invalid", "work_class"),
        (setting(windows=[]), 400, "invalid", "windows"),
        (setting(windows="soon"), 400, "invalid", "windows"),
        (setting(windows=[{"starts_at": "2026-12-01T08:00:00Z"}]), 400, "invalid", "windows.0.ends_at"),
        (setting(windows=[span(ahead(20), 1)] * 32), 400, "invalid", "windows"),
        (setting(windows=[span(ahead(3000), 1)]), 422, "bad_time", "windows"),
        (setting(windows=[span(ahead(20), 800)]), 422, "bad_time", "windows"),
        (setting(title=""), 400, "invalid", "title"),
        (setting(crews=0), 400, "invalid", "crews"),
        (setting(work_type="magic"), 400, "invalid", "work_type"),
        (setting(notice_plan=["never"]), 400, "invalid", "notice_plan.0"),
        (setting(elements="T11"), 400, "invalid", "elements"),
        (setting(elements=["T"] * 1001), 400, "invalid", "elements"),
        (setting(elements=[]), 422, "no_place", "elements"),
        (setting(elements=["T99"]), 422, "unknown_code", "elements"),
        (setting(elements=["T21"]), 422, "unknown_code", "elements"),
        (setting(transfer_tie="T99"), 422, "unknown_code", "transfer_tie"),
        (setting(transfer_tie="T11"), 422, "no_tie", "transfer_tie"),
        (setting(branch="0102"), 422, "unknown_code", "branch"),
        (setting(period=10**12), 404, "not_found", "period"),
        (setting(period="x"), 400, "invalid", "period"),
    ],
)
def test_a_work_that_cannot_be_is_refused(
    planning: Machine, spoil: Callable[[dict[str, Any]], None], status: int, code: str, field: str
) -> None:
    asked = body()
    spoil(asked)

    assert refused(planning("planned-works/", asked), status, code, field)
    assert not PlannedWork.objects.exists()


def test_a_work_lies_in_its_plan_and_its_plan_is_the_branchs(planning: Machine, plan: PlanPeriod) -> None:
    assert refused(planning("planned-works/", in_plan(plan, days=90)), 422, "outside_period", "windows")
    everywhere = machine("plan:submit")
    assert refused(everywhere("planned-works/", in_plan(plan, "T21", branch="0102")), 404, "not_found", "period")
    assert not PlannedWork.objects.exists()


def test_a_plan_that_is_with_somebody_else_takes_no_work(planning: Machine, plan: PlanPeriod, pia: Actor) -> None:
    planning("planned-works/", in_plan(plan))
    answered_all(plan.works.all(), pia)
    planning(f"plan-periods/{plan.pk}/submit/")
    before = everything()

    assert refused(planning("planned-works/", in_plan(plan, "T12")), 409, "not_editable", "period")
    assert everything() == before


# --- many works -------------------------------------------------------------------------------------


def test_a_batch_answers_item_by_item(planning: Machine, plan: PlanPeriod) -> None:
    there = made(planning, "T11", key="K-0")
    spoilt = body(key="K-3")
    reversed_window(spoilt)

    answer = planning(
        "planned-works/batch/",
        {
            "works": [
                body("T11", key="K-1"),
                body("T99", key="K-2"),
                spoilt,
                in_plan(plan, "T12", key="K-4"),
                body("T11", key="K-1"),
                body("T11", key="K-0"),
                body("T21", key="K-5", branch="0102"),
                in_plan(plan, "T12", key="K-6", days=90),
                "nonsense",
            ]
        },
    )

    told = answer.json()
    assert (answer.status_code, told["accepted"], told["refused"]) == (200, 4, 5)
    assert [item["index"] for item in told["items"]] == list(range(9))
    assert [item["status"] for item in told["items"]] == [201, 422, 400, 201, 200, 200, 422, 422, 400]
    assert [(item["error"] or {}).get("field") for item in told["items"]] == [
        None, "elements", "windows.0.ends_at", None, None, None, "branch", "windows", "",
    ]  # fmt: skip
    assert [(item["error"] or {}).get("code") for item in told["items"] if item["error"]] == [
        "unknown_code", "invalid", "unknown_code", "outside_period", "invalid",
    ]  # fmt: skip
    results = [item["result"] for item in told["items"] if item["result"]]
    assert [result["action"] for result in results] == ["created", "created", "repeated", "repeated"]
    assert results[2]["reference"] == results[0]["reference"]
    assert results[3]["reference"] == there["reference"]
    assert PlannedWork.objects.count() == 3
    assert PlannedWork.objects.get(key="K-4").period == plan


def test_a_plan_that_takes_nothing_stops_no_other_place(planning: Machine, plan: PlanPeriod) -> None:
    PlanPeriod.objects.filter(pk=plan.pk).update(state="submitted")

    told = planning("planned-works/batch/", {"works": [in_plan(plan, key="K-1"), body("T12", key="K-2")]}).json()

    assert [item["status"] for item in told["items"]] == [409, 201]
    assert told["items"][0]["error"]["code"] == "not_editable"
    assert [work.key for work in PlannedWork.objects.all()] == ["K-2"]


def test_a_number_is_free_again_once_its_work_is_called_off(planning: Machine) -> None:
    first = made(planning, key="K-1")
    planning(f"planned-works/{first['reference']}/cancel/", {"reason": "x"})

    assert made(planning, key="K-1")["reference"] != first["reference"]


@pytest.mark.parametrize("wrong", [{}, {"works": []}, {"works": "x"}, {"works": [{}] * 1001}, []])
def test_a_batch_of_the_wrong_shape_is_refused(planning: Machine, wrong: Any) -> None:
    assert refused(planning("planned-works/batch/", wrong), 400, "invalid")
    assert not PlannedWork.objects.exists()


def statements(ask: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert ask().status_code == 200
    return len(captured)


def test_a_batch_takes_as_many_statements_for_many_as_for_few(planning: Machine, plan: PlanPeriod) -> None:
    def batch(first: int, count: int) -> dict[str, Any]:
        return {"works": [in_plan(plan, "T11", "T12", key=f"K-{first + n}") for n in range(count)]}

    planning("planned-works/batch/", batch(0, 1))
    few = statements(lambda: planning("planned-works/batch/", batch(1, 2)))
    many = statements(lambda: planning("planned-works/batch/", batch(3, 200)))

    assert many == few
    assert PlannedWork.objects.count() == 203


# --- doing it once ----------------------------------------------------------------------------------


def test_a_replayed_request_happens_once(planning: Machine) -> None:
    batch = {"works": [body("T11"), body("T99")]}
    for path, asked in (("planned-works/", body("T12")), ("planned-works/batch/", batch)):
        first = planning(path, asked, HTTP_IDEMPOTENCY_KEY=path)
        before = everything()
        second = planning(path, asked, HTTP_IDEMPOTENCY_KEY=path)

        assert second.status_code == first.status_code
        assert second.json() == first.json()
        assert second["Idempotency-Replayed"] == "true"
        assert everything() == before


def test_a_key_is_not_used_for_something_else(planning: Machine) -> None:
    planning("planned-works/", body("T11"), HTTP_IDEMPOTENCY_KEY="k1")
    before = everything()

    assert refused(planning("planned-works/", body("T12"), HTTP_IDEMPOTENCY_KEY="k1"), 422, "idempotency_key_reused")
    assert everything() == before


def test_the_same_number_finds_the_first_work_as_it_is(planning: Machine) -> None:
    first = made(planning, "T11", key="K-1")
    before = everything()

    again = planning("planned-works/", body("T12", key="K-1", title="another"))

    assert (again.status_code, again.json()) == (200, first)
    assert everything() == before


# --- reading ----------------------------------------------------------------------------------------


def references(answer: Any) -> list[str]:
    return [work["reference"] for work in answer.json()["results"]]


def test_the_list_is_narrowed_like_the_page(planning: Machine, plan: PlanPeriod) -> None:
    lone = made(planning, "T11", key="K-1")["reference"]
    ours = planning("planned-works/", in_plan(plan, "T12", key="K-2", days=21)).json()["reference"]
    gone = made(planning, "T11", key="K-3")["reference"]
    planning(f"planned-works/{gone}/cancel/", {"reason": "x"})
    day = ahead(21).date()

    assert references(planning.get("planned-works/")) == [ours, lone]
    assert references(planning.get(f"planned-works/?plan={plan.pk}")) == [ours]
    assert references(planning.get("planned-works/?work_class=temporary")) == [lone]
    assert references(planning.get(f"planned-works/?since={day}&until={day}")) == [ours]
    assert references(planning.get("planned-works/?state=cancelled")) == [gone]
    assert references(planning.get("planned-works/?feeder=F1&q=K-1")) == [lone]
    assert references(planning.get("planned-works/?branch=0102")) == []
    assert refused(planning.get("planned-works/?since=soon"), 400, "invalid", "since")


def test_a_part_of_a_joint_outage_is_still_listed(planning: Machine, city: SmallCity, pia: Actor) -> None:
    joint, child = (work_in(city, pia, "T11", **LATE) for _n in range(2))
    PlannedWork.objects.filter(pk=child.pk).update(state="joined", joint=joint)

    assert references(planning.get("planned-works/?state=joined")) == [child.reference]
    assert planning.get(f"planned-works/{child.reference}/").json()["joint"] == joint.reference


def test_the_list_goes_on_behind_a_cursor(planning: Machine) -> None:
    first, second = made(planning)["reference"], made(planning)["reference"]

    page = planning.get("planned-works/?limit=1")

    assert references(page) == [second]
    assert references(planning.get(page.json()["next"].partition("/api/v1/")[2])) == [first]


def test_the_list_takes_five_statements_however_long_it_is(
    planning: Machine, published: str, django_assert_num_queries: Any
) -> None:
    for _n in range(10):
        made(planning, "T11", "T12")

    with django_assert_num_queries(5):  # the token, works, windows, elements, how supply came back
        assert len(references(planning.get("planned-works/"))) == 11


def test_what_has_not_changed_is_not_sent_again(planning: Machine, plan: PlanPeriod) -> None:
    for path in (f"planned-works/{made(planning)['reference']}/", f"plan-periods/{plan.pk}/"):
        etag = planning.get(path)["ETag"]

        assert planning.get(path, HTTP_IF_NONE_MATCH=etag).status_code == 304


# --- published windows ------------------------------------------------------------------------------


def test_a_window_goes_its_whole_way(control: Machine, running: str) -> None:
    at = f"planned-windows/{running}/"
    window = control.get(at).json()
    assert (window["state"], window["outage"]["status"], window["outage"]["customers_out"]) == (
        "in_progress",
        "active",
        3,
    )
    assert (window["announced_start"], window["announced_end"]) == (window["starts_at"], window["ends_at"])
    end = datetime.fromisoformat(window["ends_at"]) + timedelta(hours=1)

    longer = control(at + "extend/", {"planned_end": end.isoformat(), "reason": "缺少备件"}).json()
    assert (datetime.fromisoformat(longer["ends_at"]), longer["extensions"]) == (end, 1)
    assert longer["announced_end"] == window["announced_end"]
    soon, now = (timezone.now() - timedelta(minutes=minutes) for minutes in (10, 0))
    part = control(at + "restore-part/", {"at": soon.isoformat(), "elements": ["T12"]}).json()
    assert (part["state"], part["outage"]["customers_out"]) == ("partially_restored", 2)
    single = control(at + "restore-part/", {"at": soon.isoformat(), "service_points": ["SP0001"]}).json()
    assert single["outage"]["customers_out"] == 1
    back = control(at + "restore/", {"restored_at": now.isoformat(), "version": single["outage"]["version"]}).json()
    assert (back["state"], datetime.fromisoformat(back["restored_at"])) == ("restored", now)
    assert [(datetime.fromisoformat(step["at"]), step["customers"]) for step in back["steps_back"]] == [
        (soon, 2), (now, 1),
    ]  # fmt: skip
    closed = control(at + "close/", {"remedy": "绝缘子已更换"}).json()
    assert (closed["state"], closed["outage"]["status"], closed["outage"]["cause_text"]) == (
        "closed", "closed", "绝缘子已更换",
    )  # fmt: skip

    work = control.get(f"planned-works/{closed['work']}/").json()
    assert (work["state"], work["findings"]) == ("closed", [])
    assert {name: work["windows"][0][name] for name in ("outage", "steps_back", "started_at")} == {
        "outage": running, "steps_back": closed["steps_back"], "started_at": closed["started_at"],
    }  # fmt: skip


def test_a_window_is_moved_and_called_off(control: Machine, published: str) -> None:
    at = f"planned-windows/{published}/"
    start, end = window(30)
    asked = {"planned_start": start.isoformat(), "planned_end": end.isoformat(), "reason": "天气原因", "tell": True}

    moved = control(at + "move/", asked).json()
    assert (datetime.fromisoformat(moved["starts_at"]), moved["moves"], moved["state"]) == (start, 1, "published")
    cancelled = control(at + "cancel/", {"reason": "工程取消", "tell": True}).json()
    assert (cancelled["state"], cancelled["outage"]["status"]) == ("cancelled", "cancelled")
    assert control.get(f"planned-works/{moved['work']}/").json()["state"] == "cancelled"


def test_a_published_work_is_called_off_with_its_windows(planning: Machine, published: str) -> None:
    at = f"planned-works/{PlannedWork.objects.get().reference}/cancel/"
    before = everything()
    assert refused(planning(at, {"reason": "工程取消"}), 422, "tell_them", "tell")
    assert everything() == before

    cancelled = planning(at, {"reason": "工程取消", "tell": True}).json()

    assert (cancelled["state"], cancelled["windows"][0]["state"]) == ("cancelled", "cancelled")


@pytest.mark.parametrize(
    ("step", "asked", "status", "code", "field"),
    [
        ("start", {}, 400, "invalid", "started_at"),
        ("extend", {"planned_end": "2100-01-01T00:00:00Z", "reason": "x"}, 409, "illegal_transition", ""),
        ("restore", {"restored_at": "2026-01-01T00:00:00Z"}, 409, "illegal_transition", ""),
        ("restore-part", {"at": "2026-01-01T00:00:00Z", "elements": ["T99"]}, 422, "unknown_code", "elements"),
        ("close", {"remedy": ""}, 400, "invalid", "remedy"),
        ("close", {"remedy": "x"}, 409, "illegal_transition", ""),
        ("move", {"reason": "x", **dict.fromkeys(("planned_start", "planned_end"), "2100-01-01T00:00:00Z")}, 400,
         "invalid", "planned_end"),
        ("cancel", {"reason": "x"}, 422, "tell_them", "tell"),
        ("cancel", {"reason": "x", "tell": True, "version": 99}, 409, "conflict", "version"),
        ("cancel", {"tell": True}, 400, "invalid", "reason"),
    ],
)  # fmt: skip
def test_a_step_that_cannot_be_taken_is_refused(
    control: Machine, published: str, step: str, asked: dict[str, Any], status: int, code: str, field: str
) -> None:
    before = everything()

    assert refused(control(f"planned-windows/{published}/{step}/", asked), status, code, field)
    assert everything() == before


def test_a_window_is_not_moved_silently_or_into_the_past(control: Machine, published: str) -> None:
    before = everything()
    start, end = window(30)
    ahead_of_us = {"planned_start": start.isoformat(), "planned_end": end.isoformat(), "reason": "x"}
    behind_us = span(ahead(-2), 6)
    past = {"planned_start": behind_us["starts_at"], "planned_end": behind_us["ends_at"], "reason": "x", "tell": True}

    assert refused(control(f"planned-windows/{published}/move/", ahead_of_us), 422, "tell_them", "tell")
    assert refused(control(f"planned-windows/{published}/move/", past), 422, "invalid", "planned_start")
    assert everything() == before


# --- who may ----------------------------------------------------------------------------------------

WORK_STEPS = ("submit", "withdraw", "cancel")
WINDOW_STEPS = ("start", "extend", "restore-part", "restore", "close", "move", "cancel")
GATES = ("endorse", "check", "approve", "publish", "return", "answer")


def test_another_branch_is_as_missing_as_none(city: SmallCity, plan: PlanPeriod, published: str) -> None:
    west = machine("plan:submit", "outage:write", branch=city.west)
    work = PlannedWork.objects.get().reference
    before = everything()

    for reference in (work, "W-2026-999999"):
        assert refused(west.get(f"planned-works/{reference}/"), 404, "not_found")
        assert refused(west.send("PATCH", f"planned-works/{reference}/", {"version": 1}), 404, "not_found")
        for step in WORK_STEPS:
            assert refused(west(f"planned-works/{reference}/{step}/", {"reason": "x"}), 404, "not_found")
    for reference in (published, "P-2026-999999"):
        assert refused(west.get(f"planned-windows/{reference}/"), 404, "not_found")
        for step in WINDOW_STEPS:
            assert refused(west(f"planned-windows/{reference}/{step}/"), 404, "not_found")
    for key in (plan.pk, 999_999):
        assert refused(west.get(f"plan-periods/{key}/"), 404, "not_found")
        assert refused(west(f"plan-periods/{key}/submit/"), 404, "not_found")
    assert west.get("planned-works/").json()["results"] == []
    assert west.get("plan-periods/").json()["results"] == []
    assert everything() == before


def test_a_scope_too_few_is_refused(city: SmallCity, plan: PlanPeriod, published: str) -> None:
    reader, control, planning = (
        machine(scope, branch=city.east) for scope in ("outage:read", "outage:write", "plan:submit")
    )
    work = PlannedWork.objects.get().reference
    before = everything()

    for client in (reader, control):
        assert refused(client("planned-works/", body()), 403, "permission_denied")
        assert refused(client("planned-works/batch/", {"works": [body()]}), 403, "permission_denied")
        assert refused(client.send("PUT", f"planned-works/{work}/", body()), 403, "permission_denied")
        assert refused(client(f"plan-periods/{plan.pk}/submit/"), 403, "permission_denied")
        for step in WORK_STEPS:
            assert refused(client(f"planned-works/{work}/{step}/"), 403, "permission_denied")
    for client in (reader, planning):
        for step in WINDOW_STEPS:
            assert refused(client(f"planned-windows/{published}/{step}/"), 403, "permission_denied")
    assert refused(reader.get("plan-periods/"), 403, "forbidden")
    assert machine("event:read", branch=city.east).get("planned-works/").status_code == 403
    assert Client().get("/api/v1/planned-works/").status_code == 401
    assert everything() == before


def test_who_does_not_plan_reads_what_is_published(city: SmallCity, published: str, pia: Actor) -> None:
    draft = work_in(city, pia, "T11", **LATE)
    reader = machine("outage:read", branch=city.east)

    assert references(reader.get("planned-works/")) == [PlannedWork.objects.exclude(pk=draft.pk).get().reference]
    assert refused(reader.get(f"planned-works/{draft.reference}/"), 404, "not_found")
    assert reader.get(f"planned-windows/{published}/").json()["outage"]["reference"] == published


def test_no_token_decides_about_a_plan(city: SmallCity, plan: PlanPeriod) -> None:
    everything_allowed = machine(*SCOPES, branch=city.bureau)
    work = made(everything_allowed)["reference"]
    before = everything()

    for gate in GATES:
        assert everything_allowed(f"plan-periods/{plan.pk}/{gate}/").status_code == 404
        assert everything_allowed(f"planned-works/{work}/{gate}/").status_code == 404
    client = Actor(
        kind="service", name="m", grants=(accounts.actor_of(accounts.asha()).grants), scopes=frozenset(SCOPES)
    )
    decisions = ("check", "endorse", "return", "approve", "publish", "calendar")
    assert set(decisions) <= set(CAPABILITIES)
    assert not any(may(actor=client, action=action, branch=city.east) for action in decisions)
    assert everything() == before


def test_a_person_with_a_session_plans_too(city: SmallCity) -> None:
    browser = Client()
    browser.force_login(
        accounts.user_with("planner", city.east, username="pia"), backend="django.contrib.auth.backends.ModelBackend"
    )

    answer = browser.post("/api/v1/planned-works/", body(), content_type="application/json")

    assert answer.status_code == 201
    assert PlannedWork.objects.get().work_class == WorkClass.TEMPORARY
