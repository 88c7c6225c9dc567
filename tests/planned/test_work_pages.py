"""The pages of a work, over HTTP: entered once, nothing typed lost, checked while typed, decided by somebody else."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from accounts.pages import moment
from outages.models import Outage
from outages.planned import services, tasks
from outages.planned.models import CheckAnswer, PlannedWork, PlanPeriod, PlanStep, RiskSheet, WorkSketch, WorkWindow
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of
from tests.planned.world import (
    CONSIDERED,
    ahead,
    answered,
    draft,
    everything_planned,
    plan_of,
    published_alone,
    window,
    work_in,
)

NEW = "/planned/works/new/"
PANEL_QUERIES = 21
PAGE_QUERIES = 23
PUBLISHED_QUERIES = 17
LATE: dict[str, Any] = {"work_class": "temporary", "temporary_reason": "缺陷"}


@pytest.fixture
def browser(pia_user: User) -> Client:
    """Pia's."""
    return client_of(pia_user)


@pytest.fixture
def lead(lena_user: User) -> Client:
    """Lena's."""
    return client_of(lena_user)


@pytest.fixture
def approver(otto_user: User) -> Client:
    """Otto's."""
    return client_of(otto_user)


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    return plan_of(city, pia)


def minute(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


def typed_for(city: SmallCity, *elements: str, days: float = 20, **more: Any) -> dict[str, Any]:
    """A complete form of temporary work outside a plan."""
    starts, ends = window(days)
    return {
        "token": "abc", "element": city.ids(*elements), "starts": minute(starts), "ends": minute(ends),
        "title": "更换绝缘子", "work_type": "replacement", "crews": "2", "notice_plan": ["reminder_late"],
        "reason_zh": "线路检修", "reason_en": "line maintenance", **LATE, **CONSIDERED, **more,
    }  # fmt: skip


# --- entering -----------------------------------------------------------------------------------------


def test_a_work_is_entered_and_a_double_click_enters_one(browser: Client, city: SmallCity) -> None:
    typed = typed_for(city, "L11", "T12", live_line_reason="带电作业条件不足", contact_name="王工")
    first = browser.post(NEW, typed)
    second = browser.post(NEW, typed)

    work = PlannedWork.objects.get()
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"] == f"/planned/works/{work.reference}/"
    assert (work.branch, work.period, work.state, work.work_class) == (city.east, None, "draft", "temporary")
    assert set(work.elements.values_list("code", flat=True)) == {"L11", "T12"}
    assert list(work.windows.values_list("starts_at", "ends_at")) == [window(20)]
    assert (work.crews, work.customers, work.live_line_reason) == (2, 3, "带电作业条件不足")
    assert work.notice_plan == ["announced", "reminder_late"]  # the announcement is the law's
    assert PlanStep.objects.filter(verb="create").count() == 1


def test_public_words_nobody_changed_follow_the_type_of_work(browser: Client, city: SmallCity) -> None:
    browser.post(NEW, typed_for(city, "L11"))
    browser.post(NEW, typed_for(city, "T12", token="def", reason_zh="配合市政道路施工", reason_en="road works"))

    assert list(PlannedWork.objects.order_by("pk").values_list("reason_zh", "reason_en")) == [
        ("更换设备", "a replacement of equipment"),
        ("配合市政道路施工", "road works"),
    ]


def test_a_work_is_entered_into_a_plan(browser: Client, city: SmallCity, plan: PlanPeriod) -> None:
    page = text_of(browser.get(NEW, {"plan": f"{plan.pk}", "element": "L11", "start": "2030-01-07"}))
    assert f'<option value="{plan.pk}" selected>' in page
    assert f'name="element" value="{city.id("L11")}"' in page
    assert 'value="2030-01-07T08:00"' in page
    assert 'value="planned" selected' in page

    typed = typed_for(city, "L11", plan=plan.pk, work_class="planned", temporary_reason="")
    assert browser.post(NEW, typed).status_code == 302

    assert PlannedWork.objects.get().period == plan


def test_several_windows_and_elements_work_without_scripts(browser: Client, city: SmallCity) -> None:
    first, second = window(20), window(22)
    typed = typed_for(city, "L11", starts=[minute(first[0]), minute(second[0])], ends=[minute(second[1])] * 2)
    added = text_of(browser.post(NEW, {**typed, "add_window": "1"}))
    removed = text_of(browser.post(NEW, {**typed, "remove_window": "1"}))
    found = text_of(browser.post(NEW, {**typed, "q": "t1", "find": "1"}))
    chosen = text_of(browser.post(NEW, {**typed, "q": "t1", "add_element": str(city.id("T12"))}))
    gone = text_of(browser.post(NEW, {**typed, "remove_element": str(city.id("L11"))}))

    assert [page.count('name="starts"') for page in (added, removed, found)] == [3, 1, 2]
    assert f'name="add_element" value="{city.id("T12")}"' in found
    assert chosen.count('name="element" value=') == 2
    assert gone.count('name="element" value=') == 0
    for page in (added, removed, found, chosen, gone):
        assert 'value="更换绝缘子"' in page  # nothing typed is lost
        assert "Please correct this" not in page  # and nothing is judged yet
    assert not PlannedWork.objects.exists()


def test_a_window_is_repeated_daily_at_the_same_hours(browser: Client, city: SmallCity) -> None:
    page = text_of(browser.post(NEW, {**typed_for(city, "L11"), "repeat_days": "3", "repeat": "1"}))

    assert page.count('name="starts"') == 3
    for days in (20, 21, 22):
        assert f'value="{minute(ahead(days))}"' in page


@pytest.mark.parametrize("days", ["", "1", "32", "x", "٣"])
def test_a_repetition_that_makes_no_sense_says_so(browser: Client, city: SmallCity, days: str) -> None:
    page = text_of(browser.post(NEW, {**typed_for(city, "L11"), "repeat_days": days, "repeat": "1"}))

    assert "Say on how many days, from 2 to 31." in page
    assert page.count('name="starts"') == 1


def test_enter_in_the_search_box_finds_and_elsewhere_saves(browser: Client, city: SmallCity) -> None:
    found = browser.post(NEW, {**typed_for(city, "L11"), "q": "t12", "enter": "1"})
    assert (found.status_code, PlannedWork.objects.count()) == (200, 0)

    assert browser.post(NEW, {**typed_for(city, "L11"), "q": "", "enter": "1"}).status_code == 302


# --- what is wrong ------------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"title": ""}, "Works: This field is required."),
    ({"element": []}, "Choose what is switched off."),
    ({"starts": "", "ends": ""}, "Window 1, Off from: This field is required."),
    ({"starts": "2030-01-07T17:00", "ends": "2030-01-07T08:00"}, "The end must be later than the start."),
    ({"starts": "2030-01-07", "ends": "soon"}, "Window 1, Back by: Enter a valid date/time."),
    ({"starts": "2099-01-07T08:00", "ends": "2099-01-07T17:00"}, "The date is not plausible."),
    ({"work_class": "planned"}, "Planned work belongs to a plan"),
    ({"temporary_reason": ""}, "Say why it cannot wait."),
    ({"crews": "0"}, "Crews: "),
    ({"work_type": "magic"}, "Type of work: "),
    ({"transfer_tie": "1"}, "Over the tie: "),
    ({"plan": "999999"}, "Plan: "),
]


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_nothing_typed_is_lost_on_a_mistake(
    browser: Client, city: SmallCity, change: dict[str, Any], words: str
) -> None:
    before = everything_planned()
    typed = {**typed_for(city, "L11", scope="东风路", note="called twice"), **change}

    response = browser.post(NEW, typed)

    page = text_of(response)
    assert response.status_code == 422
    assert words in page
    assert 'value="东风路"' in page
    assert "called twice" in page
    assert 'name="token" value="abc"' in page
    assert everything_planned() == before


def test_overlapping_windows_are_refused_above_the_windows(browser: Client, city: SmallCity) -> None:
    starts, ends = window(20)
    typed = typed_for(city, "L11", starts=[minute(starts)] * 2, ends=[minute(ends)] * 2)

    response = browser.post(NEW, typed)

    assert response.status_code == 422
    assert '<a href="#windows">Two windows of the same work overlap.</a>' in text_of(response)
    assert not PlannedWork.objects.exists()


def test_what_begins_outside_the_plan_is_refused(browser: Client, city: SmallCity, plan: PlanPeriod) -> None:
    typed = typed_for(city, "L11", days=80, plan=plan.pk, work_class="planned")

    response = browser.post(NEW, typed)

    assert response.status_code == 422
    assert "outside this plan" in text_of(response)
    assert not PlannedWork.objects.exists()


def test_a_foreign_element_is_as_missing_as_none(browser: Client, city: SmallCity) -> None:
    assert "L21" not in text_of(browser.get("/planned/works/place/", {"q": "l2"}))

    response = browser.post(NEW, typed_for(city, "L21"))

    assert response.status_code == 422
    assert "L21号设备" not in text_of(response)
    assert not PlannedWork.objects.exists()


def test_a_foreign_plan_is_as_missing_as_none(browser: Client, city: SmallCity) -> None:
    west = accounts.actor_of(accounts.user_with("planner", city.west, username="west"))
    foreign = services.period_open(actor=west, branch=city.west, kind="month", day=ahead(20).date())

    response = browser.post(NEW, typed_for(city, "L11", plan=foreign.pk))

    assert response.status_code == 422
    assert foreign.branch.name not in text_of(response)
    assert not PlannedWork.objects.exists()


def test_only_planners_enter_works(city: SmallCity, lead: Client, dora: Actor) -> None:
    assert [client.get(NEW).status_code for client in (lead, client_of(accounts.mei(city.bureau)))] == [403, 403]
    assert lead.post(NEW, typed_for(city, "L11")).status_code == 403
    assert not PlannedWork.objects.exists()


# --- while typing -------------------------------------------------------------------------------------


def test_the_panel_says_who_would_be_off_and_what_the_rules_say(browser: Client, city: SmallCity) -> None:
    page = text_of(browser.post("/planned/works/panel/", typed_for(city, "L11", days=3, live_line="", transfer="")))

    assert "<dd>3<small>2 areas</small></dd>" in page
    assert "李*英" in page  # life support, masked
    assert "K号设备" in page  # the tie that could feed a part
    assert "Notice is too short for planned work" in page
    assert "life support has no risk sheet" in page
    assert "were considered, and with what result" in page
    assert "<cite>" in page
    assert not PlannedWork.objects.exists()


def test_the_panel_offers_another_day_and_one_click_takes_it(browser: Client, city: SmallCity, pia: Actor) -> None:
    services.work_submit(actor=pia, work_id=answered(work_in(city, pia, "L11", **LATE), pia).pk)
    typed = typed_for(city, "L11")

    page = text_of(browser.post("/planned/works/panel/", typed))

    assert "Calmer days" in page
    assert page.count('name="take"') == 3
    assert 'name="take" value="1"' in page
    taken = text_of(browser.post(NEW, {**typed, "take": "1"}))
    assert f'value="{minute(ahead(21))}"' in taken
    assert f'value="{minute(ahead(20))}"' not in taken


def test_the_panel_names_works_that_could_be_one_outage(browser: Client, city: SmallCity, pia: Actor) -> None:
    other = work_in(city, pia, "T12", windows=[window(21)], **LATE)

    page = text_of(browser.post("/planned/works/panel/", typed_for(city, "L11")))

    assert page.count(f'<a href="/planned/works/{other.reference}/">{other.reference}</a>') == 1
    assert page.count(other.reference) == 2  # the sentence holds the link


def test_the_panel_of_nothing_asks_for_an_element(browser: Client) -> None:
    assert "as soon as an element is chosen" in text_of(browser.post("/planned/works/panel/", {"title": "x"}))


@pytest.mark.parametrize("works", [1, 12])
def test_the_panel_costs_the_same_whatever_is_planned(browser: Client, city: SmallCity, pia: Actor, works: int) -> None:
    for number in range(works):
        services.work_submit(
            actor=pia, work_id=answered(work_in(city, pia, "T11", windows=[window(20 + number)], **LATE), pia).pk
        )
    browser.post("/planned/works/panel/", typed_for(city, "L11"))

    with CaptureQueriesContext(connection) as captured:
        browser.post("/planned/works/panel/", typed_for(city, "L11"))

    assert len(captured) == PANEL_QUERIES


# --- kept while typed ---------------------------------------------------------------------------------


def test_what_was_typed_is_there_after_the_session_ended(browser: Client, pia_user: User, city: SmallCity) -> None:
    typed = {**typed_for(city, "L11", title="半句话"), "csrfmiddlewaretoken": "secret", "evil": "x"}
    assert browser.post("/planned/works/sketch/", typed).status_code == 204
    browser.logout()
    again = client_of(pia_user)

    assert "What you typed at" in text_of(again.get(NEW))
    page = text_of(again.get(NEW, {"go_on": "abc"}))

    assert 'value="半句话"' in page
    assert f'name="element" value="{city.id("L11")}"' in page
    assert {"csrfmiddlewaretoken", "evil"}.isdisjoint(WorkSketch.objects.get().typed)
    assert again.post(NEW, typed_for(city, "L11")).status_code == 302
    assert "What you typed at" not in text_of(again.get(NEW))


def test_a_sketch_is_its_authors_alone(browser: Client, city: SmallCity) -> None:
    browser.post("/planned/works/sketch/", typed_for(city, "L11", title="半句话"))
    other = client_of(accounts.user_with("planner", city.east, username="paul"))

    assert "半句话" not in text_of(other.get(NEW))
    assert "半句话" not in text_of(other.get(NEW, {"go_on": "abc"}))


def test_a_sketch_is_thrown_away(browser: Client, city: SmallCity) -> None:
    browser.post("/planned/works/sketch/", typed_for(city, "L11"))

    assert browser.post(NEW, {"throw_away": "abc"}).status_code == 302

    assert not WorkSketch.objects.exists()


def test_old_sketches_are_forgotten(browser: Client, city: SmallCity) -> None:
    browser.post("/planned/works/sketch/", typed_for(city, "L11"))
    WorkSketch.objects.update(at=timezone.now() - timedelta(days=31))
    browser.post("/planned/works/sketch/", typed_for(city, "L11", token="def"))

    assert tasks.sketches_forget.run(later="x") == {"deleted": 1}

    assert WorkSketch.objects.get().token == "def"


# --- changing -----------------------------------------------------------------------------------------


def form_of(page: str, city: SmallCity, work: PlannedWork, **more: Any) -> dict[str, Any]:
    newest = work.steps.order_by("-pk").values_list("pk", flat=True).first()
    return {**typed_for(city, "L11"), "version": work.version, "seen": newest, "about": work.reference, **more}


def test_a_draft_is_changed(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)
    url = f"/planned/works/{work.reference}/edit/"
    page = text_of(browser.get(url))
    assert 'value="更换绝缘子"' in page

    typed = form_of(page, city, work, title="更换避雷器", element=city.ids("T12"))
    assert [browser.post(url, typed).status_code for _click in range(2)] == [302, 302]

    work.refresh_from_db()
    assert (work.title, work.customers) == ("更换避雷器", 1)
    assert work.steps.filter(verb="change").count() == 1


def test_the_second_of_two_sees_what_is_saved_and_keeps_what_was_typed(
    browser: Client, city: SmallCity, pia: Actor
) -> None:
    work = work_in(city, pia, "L11", **LATE)
    typed = form_of("", city, work, title="mine", token="mine")
    other = client_of(accounts.user_with("planner", city.east, username="paul"))
    other.post(f"/planned/works/{work.reference}/edit/", form_of("", city, work, title="theirs", token="theirs"))
    before = everything_planned()

    response = browser.post(f"/planned/works/{work.reference}/edit/", typed)

    page = text_of(response)
    work.refresh_from_db()
    assert response.status_code == 409
    assert "Somebody else changed this" in page
    assert "Paul changed the work" in page
    assert "<td>theirs</td><td>mine</td>" in page
    assert "Messages to customers</th>" not in page  # the announcement is nobody's choice, so no difference
    assert 'name="title" value="mine"' in page
    assert f'name="version" value="{work.version}"' in page
    assert everything_planned() == before


def test_what_was_handed_in_cannot_be_changed(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = answered(work_in(city, pia, "L11", **LATE), pia)
    services.work_submit(actor=pia, work_id=work.pk)
    work.refresh_from_db()
    before = everything_planned()
    url = f"/planned/works/{work.reference}/edit/"

    assert browser.get(url).status_code == 409
    assert browser.post(url, form_of("", city, work)).status_code == 409

    assert everything_planned() == before


# --- the page of a work -------------------------------------------------------------------------------


def test_the_page_shows_everything_about_a_work(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", scope="东风路一带", **LATE)

    page = text_of(browser.get(f"/planned/works/{work.reference}/"))

    for words in (
        "更换绝缘子",
        "东风路一带",
        "L11号设备",
        "李*英",
        "life support has no risk sheet",
        "entered the work",
    ):
        assert words in page


@pytest.mark.parametrize(("role", "status"), [("agent", 404), ("planner", 200), ("branch_lead", 200), ("auditor", 200)])
def test_drafts_are_seen_by_those_who_plan(city: SmallCity, pia: Actor, role: str, status: int) -> None:
    work = work_in(city, pia, "L11", **LATE)

    assert client_of(accounts.user_with(role, city.east)).get(f"/planned/works/{work.reference}/").status_code == status


def test_a_work_of_another_branch_is_as_missing_as_none(city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)
    west = client_of(accounts.user_with("planner", city.west, username="west"))
    before = everything_planned()

    for page in ("", "edit/", "risk-sheets/", "steps/submit/"):
        assert west.get(f"/planned/works/{work.reference}/{page}").status_code == 404
    assert west.post(f"/planned/works/{work.reference}/answer/", {"code": "x", "reason": "x"}).status_code == 404
    assert west.post(f"/planned/works/{work.reference}/steps/delete/", {"version": work.version}).status_code == 404

    assert everything_planned() == before


def test_the_page_shows_how_it_went(browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> None:
    work = gone_through(city, pia, lena, otto)
    begun = timezone.now() - timedelta(hours=2)
    line = WorkWindow.objects.get(work=work)
    Outage.objects.filter(work_window=line).update(planned_start=begun, planned_end=begun + timedelta(hours=1))
    services.window_start(window_id=line.pk, actor=pia, started_at=begun + timedelta(minutes=5))
    services.window_restore_part(
        window_id=line.pk, actor=pia, at=begun + timedelta(minutes=50), element_ids=city.ids("T11")
    )
    services.window_restore(window_id=line.pk, actor=pia, restored_at=begun + timedelta(minutes=75))

    page = text_of(browser.get(f"/planned/works/{work.reference}/"))

    assert "5 min late" in page
    assert "2 customers</div>" in page
    assert "1 customer</div>" in page
    assert "15 min late" in page


def test_what_is_published_is_run_from_its_page_and_names_the_approver(
    browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor, otto_user: User
) -> None:
    once = published_alone(city, pia, lena, otto, "L11", windows=[window(20)])
    twice = published_alone(city, pia, lena, otto, "T12", windows=[window(22), window(23)])
    auditor = client_of(accounts.user_with("auditor", city.bureau, username="aud"))

    def steps(browser: Client, line: WorkWindow) -> list[str]:
        assert line.outage is not None
        page = text_of(browser.get(f"/planned/works/{line.work.reference}/"))
        return re.findall(rf'href="/planned/windows/{line.outage.reference}/([a-z-]+)/"', page)

    # a work with one window is cancelled as a whole, above
    assert steps(browser, once) == ["start", "move"]
    assert steps(browser, twice) == ["start", "move", "cancel"]
    assert steps(client_of(otto_user), once) == ["move", "cancel"]
    assert steps(auditor, once) == []
    assert f"<dt>Approved by</dt><dd>{otto_user}" in text_of(browser.get(f"/planned/works/{once.work.reference}/"))


def test_a_moved_and_extended_window_shows_both_times_first_announced(
    browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor
) -> None:
    work = gone_through(city, pia, lena, otto)
    line = WorkWindow.objects.get(work=work)
    assert line.announced_start is not None
    assert line.announced_end is not None
    later = timedelta(hours=1)
    WorkWindow.objects.filter(pk=line.pk).update(starts_at=line.starts_at + later, ends_at=line.ends_at + 2 * later)

    page = text_of(browser.get(f"/planned/works/{work.reference}/"))

    assert f"first announced for {moment(line.announced_start)}" in page
    assert f"first announced until {moment(line.announced_end)}" in page


@pytest.mark.parametrize("windows", [1, 5])
def test_the_page_of_what_is_published_costs_the_same_however_many_windows(
    browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor, windows: int
) -> None:
    line = published_alone(city, pia, lena, otto, "L11", windows=[window(20 + day) for day in range(windows)])
    url = f"/planned/works/{line.work.reference}/"
    browser.get(url)

    with CaptureQueriesContext(connection) as captured:
        browser.get(url)

    assert len(captured) == PUBLISHED_QUERIES


def test_what_was_decided_shows_the_answers_it_was_decided_with(
    browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor
) -> None:
    work = gone_through(city, pia, lena, otto)

    page = text_of(browser.get(f"/planned/works/{work.reference}/"))

    assert "<strong>Life support without a risk sheet</strong>: 已核实，按要求执行" in page


@pytest.mark.parametrize("windows", [1, 10])
def test_the_page_costs_the_same_however_many_windows(
    browser: Client, city: SmallCity, pia: Actor, windows: int
) -> None:
    work = work_in(city, pia, "L11", windows=[window(20 + day) for day in range(windows)], **LATE)
    url = f"/planned/works/{work.reference}/"
    browser.get(url)

    with CaptureQueriesContext(connection) as captured:
        browser.get(url)

    assert len(captured) == PAGE_QUERIES


# --- answers and risk sheets ----------------------------------------------------------------------------


def test_a_finding_is_answered_on_the_page(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)
    url = f"/planned/works/{work.reference}/answer/"

    done = browser.post(url, {"code": "life_support", "reason": "已备发电机"})

    assert done["Location"] == f"/planned/works/{work.reference}/#finding-life_support"
    assert CheckAnswer.objects.get().reason == "已备发电机"
    assert "Answer: 已备发电机" in text_of(browser.get(f"/planned/works/{work.reference}/"))


def test_an_answer_without_words_is_refused_in_place(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)

    response = browser.post(f"/planned/works/{work.reference}/answer/", {"code": "life_support", "reason": " "})

    assert response.status_code == 422
    assert not CheckAnswer.objects.exists()


def test_a_risk_sheet_settles_the_finding(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)
    url = f"/planned/works/{work.reference}/risk-sheets/"
    customer = city.customers["life_support"]
    assert "李*英" in text_of(browser.get(url))
    typed = {
        "customer": customer.pk, "measures": "发电车保障", "agreed_with": "其女", "agreed_at": minute(timezone.now()),
    }  # fmt: skip

    assert browser.post(url, {**typed, "measures": ""}).status_code == 422
    assert not RiskSheet.objects.exists()
    assert browser.post(url, typed).status_code == 302

    assert RiskSheet.objects.get().measures == "发电车保障"
    assert "has no risk sheet" not in text_of(browser.get(f"/planned/works/{work.reference}/"))
    assert "发电车保障" in text_of(browser.get(url, {"customer": customer.pk}))


def test_somebody_elses_customer_gets_no_sheet(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)
    typed = {
        "customer": city.customers["hospital"].pk, "measures": "x", "agreed_with": "x",
        "agreed_at": minute(timezone.now()),
    }  # fmt: skip

    assert browser.post(f"/planned/works/{work.reference}/risk-sheets/", typed).status_code == 422

    assert not RiskSheet.objects.exists()


# --- steps --------------------------------------------------------------------------------------------


def step(client: Client, work: PlannedWork, name: str, **typed: Any) -> Any:
    work.refresh_from_db()
    return client.post(f"/planned/works/{work.reference}/steps/{name}/", {"version": work.version, **typed})


def gone_through(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> PlannedWork:
    """A published work outside a plan."""
    work = answered(work_in(city, pia, "L11", **LATE), pia)
    services.work_submit(actor=pia, work_id=work.pk)
    services.work_check(actor=lena, work_id=work.pk)
    services.work_approve(actor=otto, work_id=work.pk)
    return services.work_publish(actor=otto, work_id=work.pk)


def test_a_work_outside_a_plan_passes_every_gate_by_pages(
    browser: Client, lead: Client, approver: Client, city: SmallCity, pia: Actor
) -> None:
    work = answered(work_in(city, pia, "L11", **LATE), pia)
    url = f"/planned/works/{work.reference}/"
    walk = [(browser, "submit", "submitted"), (lead, "check", "checked"), (approver, "approve", "approved"),
            (approver, "publish", "published")]  # fmt: skip
    for client, name, state in walk:
        assert f"{url}steps/{name}/" in text_of(client.get(url))
        assert client.get(f"{url}steps/{name}/").status_code == 200
        assert step(client, work, name).status_code == 302
        work.refresh_from_db()
        assert work.state == state

    assert Outage.objects.get().reference in text_of(browser.get(url))


def test_a_gate_names_what_must_be_answered_and_takes_the_answer(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)
    before = everything_planned()

    response = step(browser, work, "submit")

    page = text_of(response)
    assert response.status_code == 409
    assert "life support has no risk sheet" in page
    assert 'name="step" value="submit"' in page
    assert page.count('<details class="disclosure" open>') == 1  # what is open waits for its answer
    assert everything_planned() == before
    typed = {"code": "life_support", "reason": "已备发电机", "step": "submit"}
    answered_there = browser.post(f"/planned/works/{work.reference}/answer/", typed)
    assert answered_there["Location"] == f"/planned/works/{work.reference}/steps/submit/"


def test_nobody_decides_about_their_own_work(city: SmallCity, pia: Actor, pia_user: User) -> None:
    accounts.user_with("branch_lead", city.east, username="pia")
    client = client_of(pia_user)
    work = answered(work_in(city, pia, "L11", **LATE), pia)
    services.work_submit(actor=pia, work_id=work.pk)
    before = everything_planned()

    page = text_of(client.get(f"/planned/works/{work.reference}/"))
    refused = step(client, work, "check")

    assert "somebody else decides about it" in page
    assert "steps/check/" not in page
    assert refused.status_code == 403
    assert everything_planned() == before


def test_a_work_of_a_plan_is_decided_with_it(
    browser: Client, lead: Client, city: SmallCity, pia: Actor, plan: PlanPeriod
) -> None:
    work = answered(work_in(city, pia, "L11", period=plan), pia)
    before = everything_planned()

    page = text_of(browser.get(f"/planned/works/{work.reference}/"))
    refused = step(browser, work, "submit")

    assert f'href="/planned/plans/{plan.pk}/"' in page
    assert "steps/submit/" not in page
    assert refused.status_code == 409
    assert everything_planned() == before


def test_a_work_is_sent_back_with_a_reason(browser: Client, lead: Client, city: SmallCity, pia: Actor) -> None:
    work = answered(work_in(city, pia, "L11", **LATE), pia)
    services.work_submit(actor=pia, work_id=work.pk)
    before = everything_planned()
    assert step(lead, work, "return", reason="").status_code == 422
    assert everything_planned() == before

    assert step(lead, work, "return", reason="请改到夜间").status_code == 302

    page = text_of(browser.get(f"/planned/works/{work.reference}/"))
    assert "请改到夜间" in page
    assert f"/planned/works/{work.reference}/edit/" in page
    assert "请改到夜间" in text_of(browser.get(f"/planned/works/{work.reference}/edit/"))


def test_a_handed_in_work_is_taken_back_and_a_draft_is_deleted(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = answered(work_in(city, pia, "L11", **LATE), pia)
    services.work_submit(actor=pia, work_id=work.pk)
    assert step(browser, work, "delete").status_code == 409

    assert step(browser, work, "withdraw").status_code == 302
    assert step(browser, work, "delete").status_code == 302

    assert not PlannedWork.objects.exists()


def test_a_published_work_is_cancelled_only_if_customers_are_told(
    browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor
) -> None:
    work = gone_through(city, pia, lena, otto)
    before = everything_planned()
    refused = step(browser, work, "cancel", reason="物资未到")
    assert (refused.status_code, everything_planned()) == (422, before)
    assert 'value="物资未到"' in text_of(refused)

    assert step(browser, work, "cancel", reason="物资未到", tell="on").status_code == 302

    work.refresh_from_db()
    assert (work.state, Outage.objects.get().status) == ("cancelled", "cancelled")


def test_a_step_from_an_old_page_changes_nothing(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)
    version = work.version
    services.work_change(actor=pia, work_id=work.pk, draft=draft(city, "L11", windows=[window(22)], **LATE))
    before = everything_planned()

    response = browser.post(f"/planned/works/{work.reference}/steps/delete/", {"version": version})

    assert response.status_code == 409
    assert "Somebody else changed this" in text_of(response)
    assert everything_planned() == before


@pytest.mark.parametrize("name", ["check", "approve", "publish", "return"])
def test_a_planner_decides_nothing(browser: Client, city: SmallCity, pia: Actor, name: str) -> None:
    work = work_in(city, pia, "L11", **LATE)
    before = everything_planned()

    assert browser.get(f"/planned/works/{work.reference}/steps/{name}/").status_code == 403
    assert step(browser, work, name).status_code == 403

    assert everything_planned() == before


def test_an_unknown_step_is_missing(browser: Client, city: SmallCity, pia: Actor) -> None:
    work = work_in(city, pia, "L11", **LATE)

    assert browser.get(f"/planned/works/{work.reference}/steps/explode/").status_code == 404
