"""Planned outages under attack: stale tabs, other branches' works, dead ends, and values that no page sends."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from accounts.models import User
from outages.planned import services
from outages.planned.models import PlannedWork, PlanPeriod, PlanSheet, WindowClaim, WorkSketch
from outages.planned.services import sheets
from standards.errors import Conflict, Forbidden
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.books import HEADINGS, book, good, uploaded
from tests.planned.conftest import lena, lena_user, otto, otto_user, pia, pia_user  # noqa: F401
from tests.planned.world import (
    answered,
    answered_all,
    draft,
    everything_planned,
    plan_of,
    published_alone,
    window,
    work_in,
)

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def plan(city: SmallCity, pia: Actor) -> PlanPeriod:  # noqa: F811
    return plan_of(city, pia)


@pytest.fixture
def browser(pia_user: User) -> Client:  # noqa: F811
    client = Client()
    client.force_login(pia_user, backend=BACKEND)
    return client


# --- dead ends --------------------------------------------------------------------------------------------


def handed_in(plan: PlanPeriod, actor: Actor) -> PlanPeriod:
    answered_all(plan.works.exclude(state="cancelled").order_by("pk"), actor)
    return services.period_submit(actor=actor, period_id=plan.pk)


def test_a_plan_whose_only_work_is_called_off_goes_back_to_the_branch(
    city: SmallCity, plan: PlanPeriod, pia: Actor, lena: Actor  # noqa: F811
) -> None:  # fmt: skip
    ways: list[Callable[[], PlanPeriod]] = [
        lambda: services.period_withdraw(actor=pia, period_id=plan.pk),
        lambda: services.period_return(actor=lena, period_id=plan.pk, reasons={}, note="没有工作了"),
    ]
    for back in ways:
        work = work_in(city, pia, "L11", period=plan)
        handed_in(plan, pia)
        services.work_cancel(actor=pia, work_id=work.pk, reason="雨天")
        with pytest.raises(services.NothingToDecide):
            services.period_endorse(actor=lena, period_id=plan.pk)

        assert back().state in ("open", "returned")


def test_an_approved_plan_whose_works_are_all_called_off_comes_to_its_end(
    city: SmallCity, plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor  # noqa: F811
) -> None:  # fmt: skip
    work = work_in(city, pia, "L11", period=plan)
    handed_in(plan, pia)
    services.period_endorse(actor=lena, period_id=plan.pk)
    answered_all([work], otto)
    services.period_approve(actor=otto, period_id=plan.pk)
    services.work_cancel(actor=pia, work_id=work.pk, reason="雨天")

    services.period_publish(actor=otto, period_id=plan.pk)

    assert services.period_close(actor=pia, period_id=plan.pk).state == "closed"


# --- decided about as it was --------------------------------------------------------------------------------


def test_who_decides_about_a_plan_from_which_a_work_was_called_off_is_told(
    city: SmallCity, plan: PlanPeriod, pia: Actor, lena: Actor  # noqa: F811
) -> None:  # fmt: skip
    first = work_in(city, pia, "L11", period=plan)
    work_in(city, pia, "T11", period=plan, windows=[window(22)])
    seen = handed_in(plan, pia).version
    services.work_cancel(actor=pia, work_id=first.pk, reason="雨天")

    with pytest.raises(Conflict):
        services.period_endorse(actor=lena, period_id=plan.pk, expected_version=seen)


@pytest.mark.parametrize("stale", ["the plan has gone on", "another tab was faster"])
def test_crews_are_not_set_from_an_old_page(
    city: SmallCity, plan: PlanPeriod, pia: Actor, browser: Client, stale: str  # noqa: F811
) -> None:  # fmt: skip
    work_in(city, pia, "L11", period=plan)
    plan.refresh_from_db()
    sent = {"version": plan.version, "crew_capacity": 9}
    if stale == "the plan has gone on":
        sent["version"] = handed_in(plan, pia).version
    else:
        services.period_capacity_set(actor=pia, period_id=plan.pk, crews=5)
    before = everything_planned()

    response = browser.post(f"/planned/plans/{plan.pk}/steps/capacity/", sent)

    assert response.status_code == 409
    assert everything_planned() == before


def test_statements_of_a_return_do_not_grow_with_works(
    city: SmallCity, plan: PlanPeriod, pia: Actor, lena: Actor  # noqa: F811
) -> None:  # fmt: skip
    counts = []
    for more in (3, 6):
        for n in range(more):
            work_in(city, pia, "L11", period=plan, windows=[window(20 + n, more, 1)])
        handed_in(plan, pia)
        with CaptureQueriesContext(connection) as asked:
            services.period_return(actor=lena, period_id=plan.pk, reasons={}, note="缺附件")
        counts.append(len(asked))

    assert counts[0] == counts[1]


# --- joint outages --------------------------------------------------------------------------------------------


def test_another_branchs_work_is_not_called_off_with_a_joint_one(
    city: SmallCity, plan: PlanPeriod, pia: Actor, otto: Actor  # noqa: F811
) -> None:  # fmt: skip
    bea = accounts.actor_of(accounts.user_with("planner", city.bureau, username="bea"))
    own = work_in(city, pia, "L11", period=plan)
    theirs = work_in(city, bea, "BUS1", branch=city.bureau, windows=[window(22)])
    joint = services.joint_create(actor=otto, period_id=plan.pk, work_ids=[own.pk, theirs.pk])
    before = everything_planned()

    with pytest.raises(Forbidden):
        services.work_cancel(actor=pia, work_id=joint.pk, reason="雨天")

    assert everything_planned() == before
    services.work_cancel(actor=bea, work_id=joint.pk, reason="雨天")
    assert set(PlannedWork.objects.values_list("state", flat=True)) == {"cancelled"}


def test_calling_off_the_outage_of_a_joint_work_calls_off_its_works(
    city: SmallCity, plan: PlanPeriod, pia: Actor, lena: Actor, otto: Actor  # noqa: F811
) -> None:  # fmt: skip
    works = [
        work_in(city, pia, name, period=plan, windows=[window(20 + n)], key=name)
        for n, name in enumerate(("L11", "T11"))
    ]
    joint = services.joint_create(actor=pia, period_id=plan.pk, work_ids=[work.pk for work in works])
    answered_all([joint], pia)
    services.period_submit(actor=pia, period_id=plan.pk)
    services.period_endorse(actor=lena, period_id=plan.pk)
    answered_all([joint], otto)
    services.period_approve(actor=otto, period_id=plan.pk)
    services.period_publish(actor=otto, period_id=plan.pk)

    services.window_cancel(window_id=joint.windows.get().pk, actor=pia, reason="雨天", tell=True)

    ended = PlannedWork.objects.exclude(pk=joint.pk).values_list("state", "state_reason")
    assert list(ended) == [("cancelled", "雨天")] * 2
    # their numbers can be planned again
    assert work_in(city, pia, "L11", key="L11", windows=[window(25)]).key == "L11"


# --- what is over ---------------------------------------------------------------------------------------------


def test_what_is_back_early_leaves_the_rest_of_its_time_to_others(
    city: SmallCity, pia: Actor, lena: Actor, otto: Actor  # noqa: F811
) -> None:  # fmt: skip
    published = published_alone(city, pia, lena, otto, "T11", windows=[window(20, 8, 10)])
    services.window_start(window_id=published.pk, actor=pia, started_at=timezone.now())
    services.window_restore(window_id=published.pk, actor=pia, restored_at=timezone.now())
    other = work_in(city, pia, "T11", windows=[window(20, 14, 2)], work_class="temporary", temporary_reason="缺陷")

    submitted = services.work_submit(actor=pia, work_id=answered(other, pia).pk)

    assert submitted.state == "submitted"
    assert WindowClaim.objects.get().window.work_id == other.pk


# --- the spreadsheet --------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_kept_is_no_upload(
    city: SmallCity, plan: PlanPeriod, pia: Actor, settings: Settings, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    (tmp_path / "full").write_bytes(b"")
    settings.MEDIA_ROOT = tmp_path / "full"  # where nothing can be written

    with pytest.raises(NotADirectoryError):
        sheets.sheet_upload(
            actor=pia, branch=city.east, period=plan, chunks=[book(HEADINGS, good("1"))], file_name="a.xlsx", token="t"
        )

    assert not PlanSheet.objects.exists()


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 30, "-1", "٣", "²", "x", "\x00"])
def test_a_row_number_may_be_anything(
    city: SmallCity, plan: PlanPeriod, pia: Actor, browser: Client, number: str  # noqa: F811
) -> None:  # fmt: skip
    sheet = uploaded(pia, book(HEADINGS, good("1", "T1l")), branch=city.east, period=plan)
    kept = list(sheet.rows.values())
    said: dict[str, Any] = {"field": "elements", "old": "T1l", "new": "T11", "number": number}

    response = browser.post(f"/planned/sheets/{sheet.pk}/replace/", said)

    assert response.status_code in (302, 404)
    assert list(sheet.rows.values()) == kept


def test_a_sheet_may_have_any_name(
    city: SmallCity, plan: PlanPeriod, pia: Actor, browser: Client  # noqa: F811
) -> None:  # fmt: skip
    named = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book(HEADINGS, good("1")))) as made, zipfile.ZipFile(named, "w") as written:
        for part in made.namelist():
            written.writestr(part, made.read(part).replace("周计划".encode(), ("周计划" * 200).encode()))

    sheet = uploaded(pia, named.getvalue(), branch=city.east, period=plan)

    assert (sheet.state, sheet.counts["ready"]) == ("checked", 1)
    assert browser.get(f"/planned/sheets/{sheet.pk}/workbook/").status_code == 200


# --- one form, twice ----------------------------------------------------------------------------------------------


def test_a_form_that_was_sent_and_then_changed_is_not_lost_silently(
    city: SmallCity, pia: Actor  # noqa: F811
) -> None:  # fmt: skip
    first = draft(city, "L11", work_class="temporary", temporary_reason="缺陷")
    changed = draft(city, "L11", work_class="temporary", temporary_reason="缺陷", note="改了")
    work = services.work_enter(actor=pia, token="one", branch=city.east, draft=first)
    before = everything_planned()

    with pytest.raises(services.AlreadySent) as refusal:
        services.work_enter(actor=pia, token="one", branch=city.east, draft=changed)

    assert work.reference in str(refusal.value)
    assert services.work_enter(actor=pia, token="one", branch=city.east, draft=first) == work
    assert everything_planned() == before
    assert WorkSketch.objects.count() == 1
