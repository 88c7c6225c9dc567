"""A published window from off to closed: early, late, in parts, moved, cancelled; and the questions in between."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.actor import Actor
from outages import board
from outages.extent import BadTime
from outages.kinds import BoardFacts
from outages.lifecycle import IllegalTransition
from outages.models import Interruption, Outage, OutageStatus
from outages.planned import services
from outages.planned.models import PlannedWork, WindowClaim, WorkWindow
from outages.services import outage_notified
from standards.errors import Conflict, DomainError, Forbidden
from tests.factories.grid import SmallCity
from tests.planned.world import ahead, everything_planned, published_alone, window

CLOCK = Actor.system("clock")


@pytest.fixture
def published(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> WorkWindow:
    """Line L11 is announced for a day in three weeks: Chen, Wang and life support will be off."""
    return published_alone(city, pia, lena, otto, "L11")


def fresh(window: WorkWindow) -> WorkWindow:
    return WorkWindow.objects.select_related("outage", "work").get(pk=window.pk)


def outage_of(window: WorkWindow) -> Outage:
    outage = fresh(window).outage
    assert outage is not None
    return outage


def begin(
    published: WorkWindow, actor: Actor, *, minutes_ago: int = 60, left: timedelta = timedelta(hours=3)
) -> Outage:
    """The window's time has come: it is brought to now, and the switch was opened."""
    now = timezone.now()
    start = now - timedelta(minutes=minutes_ago)
    Outage.objects.filter(work_window=published).update(planned_start=start, planned_end=now + left)
    WorkWindow.objects.filter(pk=published.pk).update(
        starts_at=start, ends_at=now + left, announced_start=start, announced_end=now + left
    )
    return services.window_start(window_id=published.pk, actor=actor, started_at=start)


# --- as announced ---------------------------------------------------------------------------------------


def test_planned_and_actual_times_both_stay(published: WorkWindow, pia: Actor) -> None:
    outage = begin(published, pia)
    services.window_restore(window_id=published.pk, actor=pia, restored_at=timezone.now())
    closed = services.window_close(window_id=published.pk, actor=pia, remedy="绝缘子已更换")

    window = fresh(published)
    assert (window.state, window.work.state, closed.status) == ("closed", "closed", "closed")
    assert (closed.planned_start, closed.planned_end) == (outage.planned_start, outage.planned_end)
    assert closed.started_at is not None
    assert closed.restored_at is not None
    assert (closed.cause_class, closed.cause_text) == ("planned", "绝缘子已更换")
    row = Interruption.objects.filter(outage=outage)[0]
    assert (row.actual.lower, row.actual.upper) == (closed.started_at, closed.restored_at)
    assert row.planned is not None


def test_the_planner_of_the_branch_runs_the_work_and_strangers_do_not(
    published: WorkWindow, pia: Actor, asha: Actor, mei: Actor, lena: Actor, dora: Actor
) -> None:
    before = everything_planned()
    for stranger in (mei, lena, dora):
        with pytest.raises(Forbidden):
            begin_refused(published, stranger)
    assert everything_planned() == before

    assert begin(published, asha).status == OutageStatus.ACTIVE


def begin_refused(published: WorkWindow, actor: Actor) -> None:
    services.window_start(window_id=published.pk, actor=actor, started_at=timezone.now())


def test_parts_come_back_before_the_rest(city: SmallCity, published: WorkWindow, pia: Actor) -> None:
    outage = begin(published, pia)
    services.window_restore_part(
        window_id=published.pk, actor=pia, at=timezone.now() - timedelta(minutes=10), element_ids=city.ids("T11")
    )

    outage.refresh_from_db()
    assert (outage.status, outage.customers_out) == ("partially_restored", 1)
    assert (fresh(published).state, fresh(published).work.state) == ("partially_restored", "partially_restored")

    services.window_restore_part(window_id=published.pk, actor=pia, at=timezone.now(), element_ids=city.ids("T12"))
    assert (fresh(published).state, outage_of(published).status) == ("restored", "restored")


def test_nothing_is_back_before_it_went_off(published: WorkWindow, pia: Actor) -> None:
    outage = begin(published, pia, minutes_ago=10)
    before = everything_planned()

    with pytest.raises(BadTime):
        services.window_restore(window_id=published.pk, actor=pia, restored_at=timezone.now() - timedelta(hours=1))

    outage.refresh_from_db()
    assert outage.status == "active"
    assert everything_planned() == before


def test_an_extension_keeps_what_was_announced(published: WorkWindow, pia: Actor) -> None:
    outage = begin(published, pia)
    later = timezone.now() + timedelta(hours=5)

    services.window_extend(window_id=published.pk, actor=pia, planned_end=later, reason="发现新缺陷")

    window = fresh(published)
    assert (window.ends_at, window.announced_end, window.extensions) == (later, outage.planned_end, 1)
    assert outage_of(published).planned_end == later
    with pytest.raises(BadTime):
        services.window_extend(window_id=published.pk, actor=pia, planned_end=later - timedelta(hours=1), reason="x")


def test_closing_says_what_was_done(published: WorkWindow, pia: Actor) -> None:
    begin(published, pia)
    services.window_restore(window_id=published.pk, actor=pia, restored_at=timezone.now())

    with pytest.raises(DomainError):
        services.window_close(window_id=published.pk, actor=pia, remedy="  ")

    assert fresh(published).state == "restored"


def test_a_draft_cannot_be_switched_off(city: SmallCity, published: WorkWindow, pia: Actor) -> None:
    services.window_cancel(window_id=published.pk, actor=pia, reason="雨天", tell=True)

    with pytest.raises(IllegalTransition):
        services.window_start(window_id=published.pk, actor=pia, started_at=timezone.now())


def test_two_tabs_start_it_once(published: WorkWindow, pia: Actor) -> None:
    version = outage_of(published).version
    services.window_start(window_id=published.pk, actor=pia, started_at=timezone.now(), expected_version=version)

    with pytest.raises(Conflict):
        services.window_start(window_id=published.pk, actor=pia, started_at=timezone.now(), expected_version=version)

    assert outage_of(published).events.filter(verb="start").count() == 1


# --- several windows ------------------------------------------------------------------------------------


def test_a_generator_car_is_two_windows_and_two_outages(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> None:
    windows = [window(20, 6, 2), window(20, 13, 2)]
    first = published_alone(city, pia, lena, otto, "T11", windows=windows, work_type="test")

    outages = list(Outage.objects.order_by("planned_start"))
    assert [(o.planned_start, o.planned_end) for o in outages] == windows
    begin(first, pia, minutes_ago=30)
    assert fresh(first).work.state == "in_progress"
    services.window_restore(window_id=first.pk, actor=pia, restored_at=timezone.now())
    assert fresh(first).work.state == "published"
    assert Outage.objects.get(pk=outages[1].pk).status == "scheduled"


# --- moved, cancelled -----------------------------------------------------------------------------------


def test_a_move_is_told_and_starts_the_notice_clock_again(published: WorkWindow, pia: Actor) -> None:
    outage = outage_of(published)
    outage_notified(outage_id=outage.pk, actor=Actor.system("notifications"))
    assert (fresh(published).state, fresh(published).work.state) == ("notified", "notified")
    told = fresh(published).notified_at
    assert told is not None
    start, end = window(25)

    with pytest.raises(services.TellThem):
        services.window_move(
            window_id=published.pk, actor=pia, planned_start=start, planned_end=end, reason="雨天", tell=False
        )
    services.window_move(
        window_id=published.pk, actor=pia, planned_start=start, planned_end=end, reason="雨天", tell=True
    )

    moved = fresh(published)
    assert (moved.state, moved.moves, moved.notified_at) == ("published", 1, None)
    assert (moved.starts_at, moved.ends_at) == (start, end)
    assert moved.announced_start == published.announced_start
    assert (outage_of(published).planned_start, outage_of(published).status) == (start, "scheduled")
    claim = WindowClaim.objects.get(window=moved)
    assert (claim.during.lower, claim.during.upper) == (start, end)


def test_a_move_onto_somebody_elses_window_is_refused_by_name(
    city: SmallCity, published: WorkWindow, pia: Actor, lena: Actor, otto: Actor
) -> None:
    other = published_alone(city, pia, lena, otto, "L11", windows=[window(25)])
    before = everything_planned()

    with pytest.raises(services.Overlap) as refused:
        services.window_move(
            window_id=published.pk, actor=pia, planned_start=other.starts_at + timedelta(hours=1),
            planned_end=other.ends_at + timedelta(hours=1), reason="雨天", tell=True,
        )  # fmt: skip

    assert other.work.reference in str(refused.value)
    assert everything_planned() == before
    assert outage_of(published).version == published.outage.version  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("start", "end"), [(ahead(-2), ahead(-1)), (ahead(21, 12), ahead(21, 8)), (ahead(21), ahead(21))]
)
def test_a_move_into_the_past_or_backward_is_refused(
    published: WorkWindow, pia: Actor, start: datetime, end: datetime
) -> None:
    before = everything_planned()

    with pytest.raises(DomainError):
        services.window_move(
            window_id=published.pk, actor=pia, planned_start=start, planned_end=end, reason="x", tell=True
        )

    assert everything_planned() == before


def test_a_cancelled_work_frees_its_claims(city: SmallCity, published: WorkWindow, pia: Actor) -> None:
    services.work_cancel(actor=pia, work_id=published.work_id, reason="物资未到")

    work = PlannedWork.objects.get(pk=published.work_id)
    assert (work.state, work.state_reason, fresh(published).state) == ("cancelled", "物资未到", "cancelled")
    assert outage_of(published).status == "cancelled"
    assert not WindowClaim.objects.exists()


def test_a_cancellation_says_why(published: WorkWindow, pia: Actor) -> None:
    before = everything_planned()

    with pytest.raises(DomainError):
        services.work_cancel(actor=pia, work_id=published.work_id, reason=" ")

    assert everything_planned() == before


def test_work_under_way_cannot_be_cancelled(published: WorkWindow, pia: Actor) -> None:
    begin(published, pia)

    with pytest.raises(IllegalTransition):
        services.work_cancel(actor=pia, work_id=published.work_id, reason="x")


# --- will it be late? -----------------------------------------------------------------------------------


def test_the_owner_is_asked_once_for_each_end(published: WorkWindow, pia: Actor) -> None:
    begin(published, pia, left=timedelta(minutes=25))

    assert [services.windows_ask_if_late(actor=CLOCK) for _ in range(2)] == [1, 0]
    assert outage_of(published).events.filter(verb="ask_if_late").count() == 1

    services.window_extend(
        window_id=published.pk, actor=pia, planned_end=timezone.now() + timedelta(minutes=28), reason="收尾"
    )
    assert services.windows_ask_if_late(actor=CLOCK) == 1


def test_nobody_is_asked_early(published: WorkWindow, pia: Actor) -> None:
    begin(published, pia, left=timedelta(minutes=35))

    assert services.windows_ask_if_late(actor=CLOCK) == 0


def facts_on_board(published: WorkWindow) -> BoardFacts:
    outages = Outage.objects.filter(work_window=published)
    return board.facts_of(board.thin(outages))[published.outage_id or 0]


def test_the_board_says_what_is_due_and_what_is_late(published: WorkWindow, pia: Actor) -> None:
    now = timezone.now()
    Outage.objects.filter(work_window=published).update(
        planned_start=now + timedelta(minutes=20, seconds=30), planned_end=now + timedelta(hours=4)
    )
    assert (str(facts_on_board(published).stage), facts_on_board(published).soon) == ("off in 20 min", True)

    Outage.objects.filter(work_window=published).update(planned_start=now - timedelta(minutes=12, seconds=1))
    assert (str(facts_on_board(published).stage), facts_on_board(published).late) == (
        "should have been off for 12 min", True,
    )  # fmt: skip

    begin(published, pia, left=timedelta(minutes=20))
    assert str(facts_on_board(published).stage) == "will it be late?"
    services.window_on_time(window_id=published.pk, actor=pia)
    assert (str(facts_on_board(published).stage), facts_on_board(published).soon) == ("will be on time", False)

    Outage.objects.filter(work_window=published).update(planned_end=now - timedelta(minutes=7, seconds=1))
    assert facts_on_board(published).late


def test_nothing_starts_or_ends_by_itself(published: WorkWindow) -> None:
    past = timezone.now() - timedelta(hours=9)
    Outage.objects.filter(work_window=published).update(planned_start=past, planned_end=past + timedelta(hours=2))

    services.windows_ask_if_late(actor=CLOCK)
    services.periods_close_ended(actor=CLOCK)

    assert (fresh(published).state, outage_of(published).status) == ("published", "scheduled")
