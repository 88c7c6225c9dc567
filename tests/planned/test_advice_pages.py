"""The page of merge advice: what is proposed and to whom, one outage with one button, and its way back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.actor import Actor
from accounts.models import User
from outages.planned import services
from outages.planned.models import PlannedWork, PlanPeriod
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.world import answered_all, draft, everything_planned, plan_of, window, work_in

BUTTON = "Make it one outage"


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:
    """The east's plan: 3 customers for 6 hours, and two of them for 2 hours two days later."""
    period = plan_of(city, pia)
    work_in(city, pia, "L11", period=period)
    work_in(city, pia, "T11", period=period, windows=[window(22, 9, 2)], title="台区增容", crews=3)
    return period


@pytest.fixture
def works(plan: PlanPeriod) -> list[PlannedWork]:
    return list(plan.works.order_by("pk"))


def browser_of(user: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(user)
    return client


@pytest.fixture
def browser(pia_user: User) -> Client:
    return browser_of(pia_user)


def page(browser: Client, plan: PlanPeriod, **asked: Any) -> str:
    response = browser.get(reverse("planned:advice", args=[plan.pk]), asked)
    assert response.status_code == 200
    return response.content.decode()


def join(browser: Client, plan: PlanPeriod, works: list[PlannedWork], **more: Any) -> Any:
    data = {"works": [work.pk for work in works], **{f"version-{work.pk}": work.version for work in works}, **more}
    return browser.post(reverse("planned:advice-join", args=[plan.pk]), data, follow=True)


def split(browser: Client, joint: PlannedWork, **data: Any) -> Any:
    return browser.post(reverse("planned:joint-split", args=[joint.reference]), data, follow=True)


def joint_of(plan: PlanPeriod) -> PlannedWork:
    return plan.works.filter(children__isnull=False).distinct().get()


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


# --- shown --------------------------------------------------------------------------------------------


def test_a_proposal_shows_what_is_saved_and_who_must_agree(
    browser: Client, plan: PlanPeriod, works: list[PlannedWork]
) -> None:
    shown = page(browser, plan)

    assert all(work.reference in shown for work in works)
    assert "22 → 18" in shown  # 3 customers 6 hours and 2 customers 2 hours, or all of them once
    assert "4 saved" in shown
    assert "2 → 0" in shown
    assert "the branch has 3" in shown  # one crew and three
    assert "王工 13900000001: its time changes" in shown
    assert shown.count("its time is kept") == 1
    assert shown.count(BUTTON) == 1
    assert "No works have been joined." in shown


def test_the_plan_leads_to_its_advice(browser: Client, plan: PlanPeriod) -> None:
    shown = browser.get(reverse("planned:plan", args=[plan.pk])).content.decode()

    assert reverse("planned:advice", args=[plan.pk]) in shown


def test_how_far_apart_is_asked_for(browser: Client, plan: PlanPeriod) -> None:
    assert "The rule pack says 7 days." in page(browser, plan)
    assert BUTTON in page(browser, plan, within="")
    assert BUTTON in page(browser, plan, within="3")
    near = page(browser, plan, within="1")

    assert BUTTON not in near
    assert "Nothing here is worth joining." in near
    assert 'value="1"' in near


@pytest.mark.parametrize("within", ["-1", "32", "x", "1e9"])
def test_what_is_no_number_of_days_is_said(browser: Client, plan: PlanPeriod, within: str) -> None:
    response = browser.get(reverse("planned:advice", args=[plan.pk]), {"within": within})

    assert response.status_code == 422
    assert "errorlist" in response.content.decode()
    assert BUTTON in response.content.decode()


def test_a_decided_plan_has_no_proposals(browser: Client, plan: PlanPeriod) -> None:
    PlanPeriod.objects.filter(pk=plan.pk).update(state="approved")

    shown = page(browser, plan)

    assert "This plan has been decided about." in shown
    assert BUTTON not in shown
    assert "No works have been joined." not in shown


def test_an_empty_plan_says_so(city: SmallCity, browser: Client, pia: Actor) -> None:
    shown = page(browser, plan_of(city, pia, 60))

    assert "Nothing here is worth joining." in shown


def test_in_chinese(pia_user: User, plan: PlanPeriod) -> None:
    client = Client(headers={"accept-language": "zh-hans"})
    client.force_login(pia_user)

    assert "一停多用" in page(client, plan)


def test_statements_do_not_grow(city: SmallCity, browser: Client, plan: PlanPeriod, pia: Actor) -> None:
    join(browser, plan, [work_in(city, pia, "T12", period=plan, windows=[window(20 + n)]) for n in range(2)])
    few = _statements(browser, plan)
    for n in range(4):
        pair = [work_in(city, pia, "T12", period=plan, windows=[window(22 + n, 15 + m, 1)]) for m in range(2)]
        if n < 2:
            join(browser, plan, pair)
    for n in range(4):
        work_in(city, pia, "K", period=plan, windows=[window(22 + n)])

    assert _statements(browser, plan) == few


def _statements(browser: Client, plan: PlanPeriod) -> int:
    page(browser, plan)
    with CaptureQueriesContext(connection) as queries:
        page(browser, plan)
    return len(queries)


# --- joined and split -----------------------------------------------------------------------------------


def test_one_button_makes_one_outage_and_one_undoes_it(
    browser: Client, plan: PlanPeriod, works: list[PlannedWork]
) -> None:
    done = join(browser, plan, works, within="3")

    joint = joint_of(plan)
    assert done.redirect_chain == [(reverse("planned:advice", args=[plan.pk]) + "?within=3", 302)]
    assert said(done) == [f"2 works are one outage now: {joint.reference}."]
    shown = done.content.decode()
    assert BUTTON not in shown
    assert f'aria-label="Undo {joint.reference}"' in shown
    assert f'aria-label="Split again {joint.reference}"' in shown
    assert f'aria-label="Undo {joint.reference}"' not in page(browser, plan)  # only beside the message

    undone = split(browser, joint, version=joint.version)

    assert said(undone) == ["2 works go their own ways again."]
    assert BUTTON in undone.content.decode()
    assert set(plan.works.values_list("state", flat=True)) == {"draft"}


def test_parts_and_joint_work_lead_to_each_other(browser: Client, plan: PlanPeriod, works: list[PlannedWork]) -> None:
    join(browser, plan, works)
    joint = joint_of(plan)

    whole = browser.get(reverse("planned:work", args=[joint.reference])).content.decode()
    part = browser.get(reverse("planned:work", args=[works[0].reference])).content.decode()

    assert all(reverse("planned:work", args=[work.reference]) in whole for work in works)
    assert f'aria-label="Split again {joint.reference}"' in whole
    assert "Delete the draft" not in whole
    assert reverse("planned:work", args=[joint.reference]) in part
    assert "Split again" not in part


def test_a_work_that_was_changed_meanwhile_is_looked_at_again(
    city: SmallCity, browser: Client, plan: PlanPeriod, works: list[PlannedWork], pia: Actor
) -> None:
    services.work_change(actor=pia, work_id=works[1].pk, draft=draft(city, "T11", windows=[window(23, 9, 2)]))
    before = everything_planned()

    refused = join(browser, plan, works)

    assert said(refused) == ["One of these works was changed meanwhile. Nothing was joined: look at it again."]
    assert everything_planned() == before


def test_works_that_another_joined_meanwhile_are_named(
    browser: Client, plan: PlanPeriod, works: list[PlannedWork]
) -> None:
    join(browser, plan, works)
    before = everything_planned()

    refused = browser.post(
        reverse("planned:advice-join", args=[plan.pk]), {"works": [work.pk for work in works]}, follow=True
    )

    assert said(refused) == [f"{works[0].reference} is part of a joint outage."]
    assert everything_planned() == before


def test_a_joint_work_that_was_changed_meanwhile_is_looked_at_again(
    city: SmallCity, browser: Client, plan: PlanPeriod, works: list[PlannedWork], pia: Actor
) -> None:
    join(browser, plan, works)
    joint = joint_of(plan)
    services.work_change(actor=pia, work_id=joint.pk, draft=draft(city, "L11", "T11", windows=[window(23)]))
    before = everything_planned()

    refused = split(browser, joint, version=joint.version)

    assert said(refused) == ["The joint outage was changed meanwhile. Nothing was split: look at it again."]
    assert everything_planned() == before


@pytest.mark.parametrize("chosen", [[], ["x"], ["999999999"], ["\x00"], ["1e3"]])
def test_what_cannot_be_chosen_joins_nothing(browser: Client, plan: PlanPeriod, chosen: list[str]) -> None:
    before = everything_planned()

    response = browser.post(reverse("planned:advice-join", args=[plan.pk]), {"works": chosen}, follow=True)

    assert len(said(response)) == 1
    assert everything_planned() == before


def test_a_version_that_is_no_number_joins_nothing(browser: Client, plan: PlanPeriod, works: list[PlannedWork]) -> None:
    before = everything_planned()

    response = join(browser, plan, works, **{f"version-{works[0].pk}": "²"})

    assert said(response) == ["Enter a whole number."]
    assert everything_planned() == before


# --- who ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["dispatcher", "auditor"])
def test_who_does_not_plan_looks_and_does_not_join(
    city: SmallCity, plan: PlanPeriod, works: list[PlannedWork], pia: Actor, role: str
) -> None:
    reader = browser_of(accounts.user_with(role, city.east))
    shown = page(reader, plan)
    assert BUTTON not in shown
    assert "Your role may look at this, and does not join." in shown
    before = everything_planned()

    assert join(reader, plan, works).status_code == 403
    assert everything_planned() == before

    joint = services.joint_create(actor=pia, period_id=plan.pk, work_ids=[work.pk for work in works])
    assert "Split again" not in page(reader, plan).replace('<span class="visually-hidden">Split again</span>', "")
    before = everything_planned()
    assert split(reader, joint).status_code == 403
    assert everything_planned() == before


def test_a_foreign_plan_is_not_there(city: SmallCity, plan: PlanPeriod, works: list[PlannedWork], pia: Actor) -> None:
    stranger = browser_of(accounts.user_with("planner", city.west))
    joint = services.joint_create(actor=pia, period_id=plan.pk, work_ids=[work.pk for work in works])
    before = everything_planned()

    assert stranger.get(reverse("planned:advice", args=[plan.pk])).status_code == 404
    assert join(stranger, plan, works).status_code == 404
    assert split(stranger, joint).status_code == 404
    assert everything_planned() == before


@pytest.mark.parametrize("role", ["agent", None])
def test_who_has_nothing_to_do_with_plans_sees_none(city: SmallCity, plan: PlanPeriod, role: str | None) -> None:
    other = browser_of(accounts.user_with(role, city.east if role else None))

    assert other.get(reverse("planned:advice", args=[plan.pk])).status_code == 404


def test_what_is_handed_in_is_joined_by_those_who_decide(
    browser: Client, plan: PlanPeriod, pia: Actor, lena_user: User
) -> None:
    answered_all(plan.works.order_by("pk"), pia)
    services.period_submit(actor=pia, period_id=plan.pk)

    mine, theirs = page(browser, plan), page(browser_of(lena_user), plan)

    assert BUTTON not in mine
    assert "What is handed in is joined by those who decide about it." in mine
    assert BUTTON in theirs


def test_the_work_of_another_branch_is_named_but_not_shown(
    city: SmallCity, browser: Client, plan: PlanPeriod, works: list[PlannedWork], otto_user: User
) -> None:
    bea = accounts.actor_of(accounts.user_with("planner", city.bureau, username="bea"))
    works[1].delete()
    theirs = work_in(city, bea, "BUS1", branch=city.bureau, windows=[window(22, 8, 2)], title="母线检修")

    mine, whole = page(browser, plan), page(browser_of(otto_user), plan)

    assert theirs.reference in mine
    assert "母线检修" not in mine
    assert reverse("planned:work", args=[theirs.reference]) not in mine
    assert "Only somebody who also plans for 铜城供电局 can join them." in mine
    assert BUTTON not in mine
    assert reverse("planned:work", args=[theirs.reference]) in whole
    assert "another branch" in whole
    assert BUTTON in whole


def test_a_foreign_work_joins_nothing(city: SmallCity, browser: Client, plan: PlanPeriod) -> None:
    bea = accounts.actor_of(accounts.user_with("planner", city.bureau, username="bea"))
    theirs = work_in(city, bea, "BUS1", branch=city.bureau)
    before = everything_planned()

    foreign = join(browser, plan, [plan.works.all()[0], theirs])
    missing = browser.post(reverse("planned:advice-join", args=[plan.pk]), {"works": [10**9]}, follow=True)

    assert [said(foreign)[0].replace(str(theirs.pk), "n")] == [said(missing)[0].replace(str(10**9), "n")]
    assert everything_planned() == before
