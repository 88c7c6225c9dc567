"""What is published: stages and their table, events in its place, unknown after the last, and the alarm before that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding import schedule
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot, StageWindow
from outages.load_shedding.schedule import PublishedSpan
from outages.load_shedding.services import drafts, plans
from outages.load_shedding.services import schedule as services
from outages.load_shedding.tasks import schedules_watch
from standards.errors import DomainError, Forbidden, UnknownCode
from tests.factories.grid import SmallCity
from tests.shedding.world import block, draft, every_day, everything_shed, plan

HOUR = timedelta(hours=1)
TURNS = [
    *every_day("A", "08:00", "10:00"),
    *every_day("A", "10:00", "11:00"),
    *every_day("B", "22:00", "01:00"),
    *every_day("A", "08:00", "09:00", stage=2),
]


def at(hour: float, days: int = 1) -> datetime:
    """An hour of tomorrow (or a later day), on the branch's clock."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=days) + hour * HOUR


@pytest.fixture
def tabled(city: SmallCity, asha: Actor) -> SheddingPlan:
    return plan(city, asha, turns=TURNS)


def publish(actor: Actor, of: SheddingPlan, begins: datetime, until: datetime, **facts: Any) -> StageWindow:
    facts = {"stage": 1, "certainty": "forecast", **facts}
    return services.stage_publish(actor=actor, plan_id=of.pk, begins=begins, until=until, **facts)


def told(of: SheddingPlan, begins: datetime, until: datetime, **facts: Any) -> list[tuple[Any, ...]]:
    """The published turns as (block, first hour, last hour, certainty), counted from tomorrow's midnight."""
    return [
        (span.block, (span.begins - at(0)) / HOUR, (span.until - at(0)) / HOUR, span.certainty.value)
        for span in schedule.published(of, begins, until, **facts)
    ]


def windows(of: SheddingPlan) -> list[tuple[float, float, int, str]]:
    return [
        ((one.begins - at(0)) / HOUR, (one.until - at(0)) / HOUR, one.stage, one.certainty)
        for one in StageWindow.objects.filter(plan=of).order_by("begins")
    ]


def refused(error: type[DomainError], call: Any, *given: Any, **facts: Any) -> None:
    before = everything_shed()
    with pytest.raises(error):
        call(*given, **facts)
    assert everything_shed() == before


# --- stages and their table -------------------------------------------------------------------------------


def test_a_published_stage_gives_its_turns_and_those_that_touch_are_one(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(0), at(24))
    assert told(tabled, at(0), at(24)) == [("A", 8, 11, "forecast"), ("B", 0, 1, "forecast"), ("B", 22, 24, "forecast")]


def test_whole_turns_are_told_whatever_span_is_asked_for(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(0), at(48), certainty="confirmed")
    assert told(tabled, at(9), at(9.5)) == [("A", 8, 11, "confirmed")]
    assert told(tabled, at(24), at(24.5)) == [("B", 22, 25, "confirmed")]
    assert told(tabled, at(0), at(24), blocks=["A"]) == [("A", 8, 11, "confirmed")]


def test_a_change_of_stage_leaves_no_fragment_that_is_too_short(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(0), at(8.2))
    publish(asha, tabled, at(8.2), at(24), stage=2, certainty="confirmed")
    assert told(tabled, at(6), at(24)) == [("A", 8.2, 9, "confirmed")]


def test_only_possible_stays_only_possible(city: SmallCity, asha: Actor) -> None:
    made = plan(city, asha, turns=every_day("A", "08:00", "10:00", is_possible=True))
    publish(asha, made, at(0), at(24), certainty="confirmed")
    assert [span.is_possible for span in schedule.published(made, at(0), at(24))] == [True]


def test_stage_0_is_known_and_nothing_published_is_unknown(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(6), at(12), stage=0)

    assert told(tabled, at(0), at(24)) == []
    assert [(one.begins, one.until, one.stage) for one in schedule.known(tabled, at(0), at(24))] == [(at(6), at(12), 0)]
    assert schedule.unknown(tabled, at(0), at(24)) == [(at(0), at(6)), (at(12), at(24))]


# --- publishing -----------------------------------------------------------------------------------------


def test_what_is_published_replaces_what_was_published_for_that_time(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(0), at(24))
    publish(asha, tabled, at(6), at(12), stage=2, certainty="confirmed")
    assert windows(tabled) == [(0, 6, 1, "forecast"), (6, 12, 2, "confirmed"), (12, 24, 1, "forecast")]


def test_a_forecast_does_not_replace_what_is_confirmed_until_it_is_withdrawn(
    asha: Actor, otto: Actor, tabled: SheddingPlan
) -> None:
    publish(otto, tabled, at(0), at(24), certainty="confirmed")
    refused(services.ConfirmedAlready, publish, asha, tabled, at(6), at(12))

    assert services.stage_withdraw(actor=asha, plan_id=tabled.pk, begins=at(6), until=at(12)) == 1
    publish(asha, tabled, at(6), at(12), stage=2)

    assert windows(tabled) == [(0, 6, 1, "confirmed"), (6, 12, 2, "forecast"), (12, 24, 1, "confirmed")]


def test_the_past_is_not_rewritten(asha: Actor, tabled: SheddingPlan) -> None:
    made = publish(asha, tabled, timezone.now() - 3 * HOUR, at(24))
    assert timedelta() <= timezone.now() - made.begins < timedelta(minutes=2)


@pytest.mark.parametrize(
    ("error", "hours", "facts"),
    [
        (services.BadSpan, (12, 12), {}),
        (services.BadSpan, (-60, -48), {}),
        (services.BadSpan, (0, 63 * 24), {}),
        (UnknownCode, (0, 24), {"stage": 7}),
    ],
)
def test_what_cannot_be_published(
    asha: Actor, tabled: SheddingPlan, error: type[DomainError], hours: tuple[int, int], facts: dict[str, int]
) -> None:
    refused(error, publish, asha, tabled, at(hours[0]), at(hours[1]), **facts)


def test_who_may_not_publish_and_what_is_not_approved(city: SmallCity, asha: Actor, mei: Actor) -> None:
    refused(Forbidden, publish, mei, plan(city, asha), at(0), at(24))
    refused(services.NotApproved, publish, asha, draft(city, asha), at(0), at(24))


# --- two versions -----------------------------------------------------------------------------------------


def test_from_its_day_the_next_version_holds_with_what_is_published(
    asha: Actor, otto: Actor, tabled: SheddingPlan
) -> None:
    publish(asha, tabled, at(0), at(72))
    copy = plans.plan_copy(actor=asha, plan_id=tabled.pk, effective_from=at(0, 2).date())
    drafts.turns_set(actor=asha, plan_id=copy.pk, rows=every_day("C", "08:00", "10:00"))

    plans.plan_approve(actor=otto, plan_id=copy.pk, is_accepted=True)

    assert windows(tabled) == [(0, 24, 1, "forecast")]
    assert windows(copy) == [(24, 72, 1, "forecast")]
    expected = [("A", 8, 11, "forecast"), ("C", 32, 34, "forecast"), ("C", 56, 58, "forecast")]
    for asked in (tabled, copy):
        assert [one for one in told(asked, at(0), at(72)) if one[0] != "B"] == expected
        assert schedule.unknown(asked, at(0), at(72)) == []

    refused(services.AnotherVersion, publish, asha, tabled, at(0), at(48))
    refused(services.AnotherVersion, publish, asha, copy, at(0), at(48))


# --- events in its place ----------------------------------------------------------------------------------


def event(of: SheddingPlan, begins: datetime, until: datetime, *slots: tuple[str, float, float], **facts: Any) -> None:
    made = SheddingEvent.objects.create(
        reference=f"S-{SheddingEvent.objects.count()}", plan=of, colour="red", stage=2, starts_at=begins,
        ends_at=until, author_name="Asha", **{"branch": of.branch, "state": "confirmed", **facts},
    )  # fmt: skip
    for code, first, last in slots:
        Slot.objects.create(event=made, block=block(of, code), starts_at=at(first), ends_at=at(last), mw_planned=1)


def test_where_an_event_was_decided_its_slots_are_the_truth(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(2), at(24))
    event(tabled, at(9), at(23), ("C", 9, 11), ("A", 12, 14))
    assert told(tabled, at(2), at(24)) == [
        ("A", 8, 9, "forecast"),
        ("A", 12, 14, "confirmed"),
        ("B", 23, 24, "forecast"),
        ("C", 9, 11, "confirmed"),
    ]


def test_an_event_of_one_branch_replaces_only_its_blocks(city: SmallCity, asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(2), at(24))
    event(tabled, at(0), at(24), ("A", 12, 14), branch=city.east)
    assert told(tabled, at(2), at(24)) == [("A", 12, 14, "confirmed"), ("B", 22, 24, "forecast")]


@pytest.mark.parametrize(
    "facts", [{"state": "proposed"}, {"state": "cancelled"}, {"undo_until": timezone.now() + timedelta(days=400)}]
)
def test_what_is_not_decided_or_may_be_undone_is_not_told(
    asha: Actor, tabled: SheddingPlan, facts: dict[str, Any]
) -> None:
    publish(asha, tabled, at(2), at(20))
    event(tabled, at(0), at(24), ("C", 12, 14), **facts)
    assert told(tabled, at(2), at(20)) == [("A", 8, 11, "forecast")]


def test_skipped_slots_are_not_told_and_an_early_end_gives_the_table_back(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(2), at(20))
    event(tabled, at(0), at(24), ("A", 3, 5), ("C", 4, 6), state="ended", ended_at=at(7))
    Slot.objects.filter(block__code="C").update(state="skipped", skip_reason="x")
    assert told(tabled, at(2), at(20)) == [("A", 3, 5, "confirmed"), ("A", 8, 11, "forecast")]


def test_a_span_says_its_stage(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, at(2), at(20))
    assert schedule.published(tabled, at(2), at(20)) == [
        PublishedSpan("A", at(8), at(11), StageWindow.Certainty.FORECAST, 1)
    ]


# --- running out ------------------------------------------------------------------------------------------


def test_until_when_something_is_known_without_a_gap(asha: Actor, tabled: SheddingPlan) -> None:
    now = at(0)
    assert schedule.runs_out_at(tabled, now) is None
    publish(asha, tabled, at(0), at(6))
    publish(asha, tabled, at(6), at(9), stage=0)
    publish(asha, tabled, at(10), at(24))
    assert schedule.runs_out_at(tabled, now) == at(9)
    assert schedule.runs_out_at(tabled, at(9.5)) is None


@pytest.mark.parametrize(
    ("hour", "is_over"), [(6, None), (13, False), (24.5, True), (35, True), (37, None)]
)  # published until 24:00; the warning time is twelve hours
def test_the_alarm_comes_before_it_runs_out_and_stays_for_a_while(
    asha: Actor, tabled: SheddingPlan, hour: float, is_over: bool | None
) -> None:
    publish(asha, tabled, at(0), at(24))
    found = schedule.running_out([tabled], at(hour))
    assert [(one.at, one.is_over) for one in found] == ([] if is_over is None else [(at(24), is_over)])


def test_the_watch_reports_every_schedule_that_runs_out(
    asha: Actor, tabled: SheddingPlan, caplog: pytest.LogCaptureFixture
) -> None:
    assert schedules_watch() == {"running_out": 0}
    publish(asha, tabled, timezone.now(), timezone.now() + HOUR)
    assert schedules_watch() == {"running_out": 1}
    assert "shedding schedule of 010 runs out at" in caplog.text


def test_statements_do_not_grow_with_blocks_and_events(
    asha: Actor, tabled: SheddingPlan, django_assert_num_queries: Any
) -> None:
    publish(asha, tabled, at(0), at(24))
    for n in range(3):
        event(tabled, at(n * 4), at(n * 4 + 4), ("A", n * 4, n * 4 + 1))
    with django_assert_num_queries(5):
        schedule.published(tabled, at(0), at(24))
