"""The pages of the plans, over HTTP: how far each is, what it asks, and its steps, each by the right person."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from outages.models import Outage
from outages.planned import dossier, revisions, services
from outages.planned.agenda import entries_of
from outages.planned.models import CheckAnswer, PlannedWork, PlanPeriod
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned import subjects
from tests.planned.pages import client_of, text_of
from tests.planned.world import ahead, answered_all, draft, everything_planned, plan_of, window, work_in

PLANS = "/planned/plans/"


@pytest.fixture
def planner(pia_user: User) -> Client:
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


def url(period: PlanPeriod, step: str = "") -> str:
    return f"{PLANS}{period.pk}/" + (f"steps/{step}/" if step else "")


def fresh(period: PlanPeriod) -> PlanPeriod:
    return PlanPeriod.objects.select_related("branch").get(pk=period.pk)


def seen(period: PlanPeriod, **typed: Any) -> dict[str, Any]:
    """What the step's form holds of what was on screen, with what is typed."""
    return {"version": fresh(period).version, "seen": dossier.newest_step(period), **typed}


def answer_all(period: PlanPeriod, actor: Actor) -> None:
    answered_all(period.works.select_related("branch").exclude(state="cancelled").order_by("pk"), actor)


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    """The east's month plan with two works; nothing is answered yet."""
    period = plan_of(city, pia, 20)
    work_in(city, pia, "T11", period=period, scope="科学园", key="A-1", windows=[window(20, 8, 4)])
    work_in(city, pia, "T12", period=period, windows=[window(20, 15, 3)])
    return period


@pytest.fixture
def submitted(plan: PlanPeriod, pia: Actor) -> PlanPeriod:
    answer_all(plan, pia)
    return services.period_submit(actor=pia, period_id=plan.pk)


@pytest.fixture
def endorsed(submitted: PlanPeriod, lena: Actor) -> PlanPeriod:
    answer_all(submitted, lena)
    return services.period_endorse(actor=lena, period_id=submitted.pk)


@pytest.fixture
def approved(endorsed: PlanPeriod, otto: Actor) -> PlanPeriod:
    answer_all(endorsed, otto)
    return services.period_approve(actor=otto, period_id=endorsed.pk)


def doors(page: str) -> list[str]:
    """The steps for which the page has a way in."""
    return sorted(set(re.findall(r'href="/planned/plans/\d+/steps/([a-z]+)/"', page)))


# --- the list -----------------------------------------------------------------------------------------


def test_the_list_says_how_far_each_plan_is(planner: Client, plan: PlanPeriod) -> None:
    page = text_of(planner.get(PLANS))

    row = page.split(f'href="{url(plan)}"')[1].split("</tr>")[0]
    assert plan.title in row
    assert ">open<" in row
    cells = re.findall(r'<td class="number">([^<]*)</td>', row)
    assert cells == ["–", "2", "3"]


def test_a_deadline_is_counted_down_and_lateness_stays(planner: Client, plan: PlanPeriod, pia: Actor) -> None:
    def row_with(deadline: timedelta) -> str:
        PlanPeriod.objects.filter(pk=plan.pk).update(deadline=timezone.now() + deadline)
        return text_of(planner.get(PLANS)).split(f'href="{url(plan)}"')[1].split("</tr>")[0]

    assert "due in 3 d" in row_with(timedelta(days=3, hours=1))
    assert "1 d 0 h overdue" in row_with(-timedelta(days=1, minutes=1))
    answer_all(plan, pia)
    services.period_submit(actor=pia, period_id=plan.pk)
    assert "late by 1 d 0 h" in row_with(-timedelta(days=1, minutes=1))
    assert "in time" in row_with(timedelta(hours=1))


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("", True), ("branch=0101", True), ("branch=010", True), ("branch=0102", False), ("branch=%00", False),
        ("kind=month", True), ("kind=week", False), ("kind=year", True), ("state=open", True),
        ("state=published", False),
    ],
)  # fmt: skip
def test_the_list_is_narrowed_by_its_address(planner: Client, plan: PlanPeriod, query: str, is_there: bool) -> None:
    answer = planner.get(f"{PLANS}?{query}")

    if query == "branch=%00":
        assert answer.status_code == 400
    else:
        assert (f'href="{url(plan)}"' in text_of(answer)) is is_there


def test_an_empty_list_says_what_to_do(planner: Client) -> None:
    assert "No plan has been opened yet." in text_of(planner.get(PLANS))
    assert "No plan matches." in text_of(planner.get(PLANS, {"state": "closed"}))


def test_who_does_not_plan_has_no_plans(city: SmallCity, plan: PlanPeriod, mei: Actor, dora: Actor) -> None:
    for name in ("mei", "dora"):
        client = client_of(User.objects.get(username=name))
        pages = (PLANS, url(plan), url(plan, "submit"))
        assert {client.get(page).status_code for page in pages} == {403}
        assert client.post(url(plan, "submit"), seen(plan)).status_code == 403
        assert client.post(f"{PLANS}open/", {}).status_code == 403
    assert fresh(plan).state == "open"


def test_another_branchs_plan_is_missing(city: SmallCity, plan: PlanPeriod) -> None:
    client = client_of(accounts.user_with("planner", city.west))

    assert {client.get(page).status_code for page in (url(plan), url(plan, "submit"))} == {404}
    assert client.post(url(plan, "submit"), seen(plan)).status_code == 404
    assert f'href="{url(plan)}"' not in text_of(client.get(PLANS))


# --- opening ------------------------------------------------------------------------------------------


def test_a_plan_is_opened_by_a_day_in_it_and_found_the_second_time(planner: Client, city: SmallCity) -> None:
    day = ahead(20).date()
    typed = {"branch": city.east.pk, "kind": "week", "day": f"{day:%Y-%m-%d}"}

    first, second = (planner.post(f"{PLANS}open/", typed) for _ in range(2))

    period = PlanPeriod.objects.get()
    assert (period.kind, period.starts_on) == ("week", day - timedelta(days=day.weekday()))
    assert [answer["Location"] for answer in (first, second)] == [url(period)] * 2


def test_what_cannot_be_opened_is_refused_in_the_form(planner: Client, city: SmallCity) -> None:
    typed = {"branch": city.east.pk, "kind": "month", "day": "2026-12-01"}
    for wrong in ({"branch": city.west.pk}, {"branch": ""}, {"kind": "year"}, {"day": "2026-02-30"}, {"day": ""}):
        answer = planner.post(f"{PLANS}open/", {**typed, **wrong})
        assert answer.status_code == 422
        assert "Please correct this" in text_of(answer)
    assert PlanPeriod.objects.count() == 0


def test_the_lead_reads_the_list_but_opens_nothing(lead: Client, city: SmallCity) -> None:
    assert "Open a plan" not in text_of(lead.get(PLANS))
    typed = {"branch": city.east.pk, "kind": "month", "day": "2026-12-01"}
    assert lead.post(f"{PLANS}open/", typed).status_code == 403
    assert PlanPeriod.objects.count() == 0


# --- one plan -----------------------------------------------------------------------------------------


def test_the_plan_shows_its_works_and_what_was_found(planner: Client, plan: PlanPeriod) -> None:
    page = text_of(planner.get(url(plan)))
    first, second = plan.works.order_by("pk")

    row = page.split(f'id="work-{first.pk}"')[1].split("</tr>")[0]
    assert all(words in row for words in (first.reference, "A-1", "科学园", "08:00–12:00", ">draft<"))
    assert 'id="concern-life_support"' in page
    concern = page.split('id="concern-life_support"')[1].split("</details>")[0]
    assert second.reference in concern
    assert first.reference not in concern
    assert "Rule:" in concern
    assert f'href="/planned/works/{second.reference}/risk-sheets/"' in concern
    assert f'action="/planned/works/{second.reference}/answer/"' in concern
    links = (
        "/planned/works/new/?plan=",
        "/planned/sheets/?plan=",
        "/planned/?month=",
        "/planned/calendar.ics?branch=0101",
    )
    assert all(f'href="{link}' in page for link in links)


def test_an_answer_given_on_the_page_of_the_plan_leads_back_to_it(planner: Client, plan: PlanPeriod) -> None:
    work = plan.works.order_by("-pk")[0]
    asked = {"code": "life_support", "reason": "已备发电车", "step": "plan"}

    answer = planner.post(f"/planned/works/{work.reference}/answer/", asked)

    assert answer["Location"] == f"{url(plan)}#concern-life_support"
    assert CheckAnswer.objects.values_list("work", "code", "reason").get() == (work.pk, "life_support", "已备发电车")
    assert "已备发电车" in text_of(planner.get(url(plan)))


def test_of_many_the_unanswered_come_first_and_the_rest_is_counted(
    planner: Client, city: SmallCity, pia: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dossier, "SHOWN_A_CONCERN", 2)
    period = plan_of(city, pia, 20)
    works = [work_in(city, pia, "T12", period=period, windows=[window(20, hour, 1)]) for hour in (8, 10, 12)]
    services.answer_give(actor=pia, work_id=works[0].pk, code="life_support", reason="已备发电车")

    concern = text_of(planner.get(url(period))).split('id="concern-life_support"')[1].split("</details>")[0]

    assert [work.reference in concern for work in works] == [False, True, True]
    assert "and 1 more work<" in concern


def test_a_plan_without_works_says_so(planner: Client, city: SmallCity, pia: Actor) -> None:
    page = text_of(planner.get(url(plan_of(city, pia))))

    assert "No work in this plan yet." in page
    assert 'id="findings"' not in page


def test_everybody_sees_the_doors_that_are_theirs(
    planner: Client, lead: Client, approver: Client, plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor
) -> None:
    def open_now() -> list[list[str]]:
        return [doors(text_of(who.get(url(plan)))) for who in (planner, lead, approver)]

    assert open_now() == [["capacity", "submit"], [], []]
    answer_all(plan, pia)
    services.period_submit(actor=pia, period_id=plan.pk)
    assert open_now() == [["withdraw"], ["endorse", "return"], ["return"]]
    services.period_endorse(actor=lena, period_id=plan.pk)
    assert open_now() == [[], ["return"], ["approve", "return"]]
    services.period_approve(actor=otto, period_id=plan.pk)
    assert open_now() == [[], [], ["publish"]]
    services.period_publish(actor=otto, period_id=plan.pk)
    assert open_now() == [["close"]] * 3


def test_the_way_names_who_took_each_step(planner: Client, endorsed: PlanPeriod, lena_user: User) -> None:
    page = text_of(planner.get(url(endorsed)))

    way = page.split('<ol class="way"')[1].split("</ol>")[0]
    assert re.findall(r"way__step--(\w+)", way) == ["done", "done", "now", "todo", "todo", "todo"]
    assert 'aria-current="step"' in way
    history = page.split('<ol class="plan-history">')[1].split("</ol>")[0]
    assert [word in history for word in ("endorsed it", "handed it in", "(revision 1)", "opened the plan")] == [
        True
    ] * 4


def test_who_had_a_hand_in_it_is_told_that_another_person_decides(city: SmallCity) -> None:
    omni_user = accounts.user_with("planner", city.bureau, username="omni")
    accounts.user_with("branch_lead", city.bureau, username="omni")
    omni, client = accounts.actor_of(omni_user), client_of(omni_user)
    period = plan_of(city, omni)
    work_in(city, omni, "T11", period=period)
    answer_all(period, omni)
    services.period_submit(actor=omni, period_id=period.pk)
    before = everything_planned()

    page = text_of(client.get(url(period)))

    assert "Waiting for another person" in page
    assert "endorse" not in doors(page)
    assert client.get(url(period, "endorse")).status_code == 403
    assert client.post(url(period, "endorse"), seen(period)).status_code == 403
    assert everything_planned() == before


# --- the steps ----------------------------------------------------------------------------------------


def test_all_the_way_by_three_people(
    planner: Client, lead: Client, approver: Client, plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor
) -> None:
    way: tuple[tuple[Client, Actor, str, dict[str, str]], ...] = (
        (planner, pia, "submit", {}),
        (lead, lena, "endorse", {}),
        (approver, otto, "approve", {"has_read": "on", "works": "2"}),
        (approver, otto, "publish", {}),
    )
    states = []
    for who, actor, step, typed in way:
        answer_all(plan, actor)
        assert who.get(url(plan, step)).status_code == 200
        assert who.post(url(plan, step), seen(plan, **typed))["Location"] == url(plan)
        states.append(fresh(plan).state)

    assert states == ["submitted", "endorsed", "approved", "published"]
    assert Outage.objects.count() == 2


def test_before_handing_in_one_sees_what_it_holds_and_what_is_open(planner: Client, plan: PlanPeriod) -> None:
    page = text_of(planner.get(url(plan, "submit")))

    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>(.*?)</dd>", page, re.S))
    assert facts["Works"] == "2"
    assert facts["Customers off"].startswith("3 ")
    assert facts["Important customers"].startswith("1 · 1 on life support")
    assert facts["Revision"] == "the first"
    assert "waits for an answer" in facts["Open findings"]


def test_what_stops_the_plan_is_listed_with_links_and_nothing_changes(planner: Client, plan: PlanPeriod) -> None:
    before = everything_planned()
    work = plan.works.order_by("-pk")[0]

    answer = planner.post(url(plan, "submit"), seen(plan))
    page = text_of(answer)

    assert answer.status_code == 409
    assert "1 work cannot pass yet; nothing has changed" in page
    assert f'href="/planned/works/{work.reference}/#finding-life_support"' in page
    assert f'href="{url(plan)}#findings"' in page
    assert everything_planned() == before


def test_a_plan_without_works_is_not_handed_in(planner: Client, city: SmallCity, pia: Actor) -> None:
    period = plan_of(city, pia)

    answer = planner.post(url(period, "submit"), seen(period))

    assert answer.status_code == 409
    assert "There is no work in this plan to decide about." in text_of(answer)
    assert fresh(period).state == "open"


def test_taken_back_it_can_be_changed(planner: Client, submitted: PlanPeriod) -> None:
    assert "handed in anew" in text_of(planner.get(url(submitted, "withdraw")))

    planner.post(url(submitted, "withdraw"), seen(submitted))

    assert fresh(submitted).state == "open"
    assert "/planned/works/new/?plan=" in text_of(planner.get(url(submitted)))


def test_sent_back_with_a_reason_for_a_work(lead: Client, planner: Client, submitted: PlanPeriod) -> None:
    first, second = submitted.works.order_by("pk")

    answer = lead.post(url(submitted, "return"), seen(submitted, **{f"work_{first.pk}": "请与城西错开"}))

    assert answer["Location"] == url(submitted)
    reasons = dict(PlannedWork.objects.values_list("pk", "state_reason"))
    assert reasons == {first.pk: "请与城西错开", second.pk: "goes back with its plan"}
    page = text_of(planner.get(url(submitted)))
    assert "请与城西错开" in page
    assert "<strong>Sent back:</strong> What must be done stands beside the works." in page
    assert re.findall(r"way__step--(\w+)", page)[0] == "now"
    assert "submit" in doors(page)


def test_what_was_said_of_the_whole_plan_stands_above_it_until_it_is_handed_in_again(
    lead: Client, planner: Client, submitted: PlanPeriod, pia: Actor
) -> None:
    lead.post(url(submitted, "return"), seen(submitted, note="请先与城西局协调"))
    assert "<strong>Sent back:</strong> 请先与城西局协调" in text_of(planner.get(url(submitted)))

    services.period_submit(actor=pia, period_id=submitted.pk)

    assert "<strong>Sent back:</strong>" not in text_of(planner.get(url(submitted)))


def test_sent_back_without_a_word_is_refused_and_what_was_typed_stays(lead: Client, submitted: PlanPeriod) -> None:
    before = everything_planned()

    silent = lead.post(url(submitted, "return"), seen(submitted, note="  "))
    long = lead.post(url(submitted, "return"), seen(submitted, note="字" * 501))

    assert (silent.status_code, long.status_code) == (422, 422)
    assert "Say at least of one work" in text_of(silent)
    assert "字" * 501 in text_of(long)
    assert everything_planned() == before


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"works": "2"}, "This field is required."),
        ({"has_read": "on"}, "This field is required."),
        ({"has_read": "on", "works": "3"}, "count again"),
        ({"has_read": "on", "works": "two"}, "Enter a whole number."),
        ({"has_read": "on", "works": "-2"}, "greater than or equal to 0"),
    ],
)
def test_approving_needs_a_tick_and_the_number_of_works(
    approver: Client, endorsed: PlanPeriod, typed: dict[str, str], says: str
) -> None:
    before = everything_planned()

    answer = approver.post(url(endorsed, "approve"), seen(endorsed, **typed))

    assert answer.status_code == 422
    assert says in text_of(answer)
    assert everything_planned() == before


def test_before_publishing_one_sees_who_will_be_told(approver: Client, approved: PlanPeriod) -> None:
    page = text_of(approver.get(url(approved, "publish")))

    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>(.*?)</dd>", page, re.S))
    assert facts["Will be told"] == "3 customers, each once · 1 important"
    assert "the next reminder on" in facts["First message"]
    assert facts["Short notice"] == "none"


def test_short_notice_is_named_before_publishing(
    approver: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor
) -> None:
    period = services.period_open(actor=pia, branch=city.east, kind="week", day=ahead(3).date())
    late = work_in(city, pia, "T11", period=period, windows=[window(3)])
    for actor, gate in (
        (pia, services.period_submit),
        (lena, services.period_endorse),
        (otto, services.period_approve),
    ):
        answer_all(period, actor)
        gate(actor=actor, period_id=period.pk)

    page = text_of(approver.get(url(period, "publish")))

    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>(.*?)</dd>", page, re.S))
    assert "1 work" in facts["Short notice"]
    assert late.reference in facts["Short notice"]


def test_a_window_over_a_change_of_the_clock_is_as_long_as_it_lasts(city: SmallCity, otto: Actor) -> None:
    city.west.time_zone, city.west.rule_pack = "Australia/Adelaide", "au"  # needs no notice below 15 minutes
    city.west.save(update_fields=["time_zone", "rule_pack"])
    starts = datetime(2027, 4, 3, 16, 0, tzinfo=UTC)  # 2:30 by the clock that is put back at 3:00
    approved_late = subjects.work(
        city, "T21", branch=city.west, windows=[(starts, starts + timedelta(minutes=70))], state="approved"
    )
    now = starts - timedelta(hours=1)
    line = dossier.Line(approved_late, entries_of(approved_late.windows.all(), actor=otto, now=now))

    assert dossier.announcement_of([line], now=now).late == (line,)


def test_a_plan_is_not_closed_while_its_works_are_open(
    planner: Client, approved: PlanPeriod, otto: Actor, pia: Actor
) -> None:
    answer_all(approved, otto)
    services.period_publish(actor=otto, period_id=approved.pk)
    works = list(approved.works.order_by("pk"))

    page = text_of(planner.get(url(approved, "close")))
    refused = planner.post(url(approved, "close"), seen(approved))

    assert all(work.reference in page for work in works)
    assert refused.status_code == 409
    assert "2 works of this plan have not ended." in text_of(refused)
    assert fresh(approved).state == "published"
    for work in works:
        services.work_cancel(actor=pia, work_id=work.pk, reason="雨天")
    planner.post(url(approved, "close"), seen(approved))
    assert fresh(approved).state == "closed"


def test_the_crews_a_day_are_set(planner: Client, plan: PlanPeriod) -> None:
    assert 'value="3"' in text_of(planner.get(url(plan, "capacity")))

    assert planner.post(url(plan, "capacity"), seen(plan, crew_capacity="7"))["Location"] == url(plan)
    assert planner.post(url(plan, "capacity"), seen(plan, crew_capacity="0")).status_code == 422
    assert planner.post(url(plan, "capacity"), seen(plan, crew_capacity="100")).status_code == 422
    assert fresh(plan).crew_capacity == 7


def test_a_step_that_nobody_knows_is_missing(planner: Client, plan: PlanPeriod) -> None:
    assert {planner.get(url(plan, step)).status_code for step in ("explode", "open")} == {404}


def test_a_step_that_is_somebody_elses_is_refused(planner: Client, lead: Client, submitted: PlanPeriod) -> None:
    before = everything_planned()

    for who, step in (
        (planner, "endorse"),
        (planner, "approve"),
        (lead, "approve"),
        (lead, "publish"),
        (lead, "submit"),
    ):
        assert who.get(url(submitted, step)).status_code == 403
        assert who.post(url(submitted, step), seen(submitted, has_read="on", works="2")).status_code == 403
    assert everything_planned() == before


# --- two people at once -------------------------------------------------------------------------------


def test_a_step_that_has_been_taken_leads_back_to_the_plan(planner: Client, submitted: PlanPeriod) -> None:
    answer = planner.get(url(submitted, "submit"), follow=True)

    assert answer.redirect_chain == [(url(submitted), 302)]
    assert "That is not possible any more: the plan is submitted." in text_of(answer)


def test_who_was_slower_sees_what_the_other_did_and_keeps_the_words(
    planner: Client, lead: Client, submitted: PlanPeriod, pia: Actor, pia_user: User
) -> None:
    typed = seen(submitted, note="两项工作请合并")
    services.period_withdraw(actor=pia, period_id=submitted.pk)
    before = everything_planned()

    answer = lead.post(url(submitted, "return"), typed)
    page = text_of(answer)

    assert answer.status_code == 409
    assert "Somebody else changed this in the meantime." in page
    assert "took it back" in page
    assert "The plan is open now" in page
    assert "两项工作请合并" in page
    assert 'data-key="Ctrl+Enter"' not in page
    assert everything_planned() == before


def test_a_change_that_leaves_the_step_open_can_be_sent_again(
    lead: Client, submitted: PlanPeriod, pia: Actor, lena: Actor
) -> None:
    typed = seen(submitted)
    services.period_withdraw(actor=pia, period_id=submitted.pk)
    services.period_submit(actor=pia, period_id=submitted.pk)

    refused = lead.post(url(submitted, "endorse"), typed)
    page = text_of(refused)

    assert refused.status_code == 409
    assert "Send it again if it still holds." in page
    assert fresh(submitted).state == "submitted"
    again = {name: re.findall(rf'name="{name}" value="(\d+)"', page)[0] for name in ("version", "seen")}
    assert lead.post(url(submitted, "endorse"), again).status_code == 302
    assert fresh(submitted).state == "endorsed"


@pytest.mark.parametrize("wrong", [{"version": ""}, {"version": "x"}, {"version": "-1"}, {"version": "9" * 30}])
def test_a_form_without_a_version_decides_nothing(planner: Client, plan: PlanPeriod, pia: Actor, wrong: Any) -> None:
    answer_all(plan, pia)

    assert planner.post(url(plan, "submit"), {**seen(plan), **wrong}).status_code in (409, 422)
    assert fresh(plan).state == "open"


# --- what is new --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_approver_sees_what_is_new_since_the_last_revision(
    city: SmallCity, pia: Actor, lena: Actor, lead: Client
) -> None:
    period = plan_of(city, pia, 20)
    kept = work_in(city, pia, "T11", period=period, windows=[window(20, 8, 2)])
    moved = work_in(city, pia, "T11", period=period, title="更换绝缘子", windows=[window(20, 12, 2)])
    dropped = work_in(city, pia, "T11", period=period, title="清障", windows=[window(20, 16, 2)])
    answer_all(period, pia)
    services.period_submit(actor=pia, period_id=period.pk)
    assert "This is the first time" in text_of(lead.get(url(period, "endorse")))
    services.period_return(actor=lena, period_id=period.pk, reasons={moved.pk: "改期"})
    services.work_change(
        actor=pia, work_id=moved.pk, draft=draft(city, "T11", title="更换绝缘子和避雷器", windows=[window(20, 13, 2)])
    )
    services.work_cancel(actor=pia, work_id=dropped.pk, reason="不做了")
    added = work_in(city, pia, "T11", period=period, title="新增消缺", windows=[window(20, 18, 1)])
    answer_all(period, pia)
    services.period_submit(actor=pia, period_id=period.pk)

    changes = {change.reference: change for change in revisions.changes_since_last(fresh(period)) or []}
    page = text_of(lead.get(url(period, "endorse")))

    assert {name: change.kind for name, change in changes.items()} == {
        moved.reference: "changed", dropped.reference: "removed", added.reference: "new"
    }  # fmt: skip
    day = f"{ahead(20):%m-%d}"
    assert {field.label: (field.before, field.after) for field in changes[moved.reference].fields} == {
        "works": ("更换绝缘子", "更换绝缘子和避雷器"),
        "windows": (f"{day} 12:00–14:00", f"{day} 13:00–15:00"),
    }
    diff = page.split('id="changes-title"')[1].split("</section>")[0]
    assert all(name in diff for name in changes)
    assert kept.reference not in diff


# --- statements ---------------------------------------------------------------------------------------


def statements(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_statements_of_the_list_do_not_grow_with_plans(planner: Client, city: SmallCity, pia: Actor) -> None:
    plan_of(city, pia, 20)
    few = statements(planner, PLANS)
    for days in (60, 100, 140):
        work_in(city, pia, "T11", period=plan_of(city, pia, days), windows=[window(days)])

    assert (few, statements(planner, PLANS)) == (8, 8)


@pytest.mark.parametrize(("step", "expected"), [("", 21), ("submit", 21)])
def test_statements_of_a_plan_do_not_grow_with_works(
    planner: Client, city: SmallCity, plan: PlanPeriod, pia: Actor, step: str, expected: int
) -> None:
    few = statements(planner, url(plan, step))
    for hour in range(8, 18):
        work_in(city, pia, "L11" if hour % 2 else "T12", period=plan, windows=[window(20, hour, 1)])

    assert (few, statements(planner, url(plan, step))) == (expected, expected)
