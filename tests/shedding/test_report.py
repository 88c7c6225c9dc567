"""After the event: ordered against achieved, everybody counted once, what it did to fairness."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from lxml import etree

from accounts.actor import Actor
from accounts.models import User
from outages.load_shedding.charts import Scale, charts_of, course
from outages.load_shedding.models import Measure, SheddingEvent, SheddingPlan
from outages.load_shedding.report import course_of, report_of
from outages.load_shedding.services import changes
from outages.load_shedding.services.reactions import reaction_record
from outages.load_shedding.services.slots import slot_off, slot_on, slot_skip, slot_stuck
from tests.factories.grid import SmallCity
from tests.planned.clock import time_passes
from tests.planned.pages import client_of, text_of
from tests.shedding.happening import HOUR, MINUTE, announced, fresh, minute, plan_ready, slot_of
from tests.shedding.world import everything_shed


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    """A: 3 customers, 1 MW; B: 2 customers, 2 MW; C: the hospital, 4 MW."""
    return plan_ready(city, asha, otto)


@pytest.fixture
def event(made: SheddingPlan, asha: Actor, otto: Actor) -> SheddingEvent:
    """A, B and C were to be off for two hours, an hour and a half ago; 3 MW were ordered."""
    event = announced(asha, otto, made, blocks=["A", "B", "C"], starts_at=minute() + MINUTE)
    time_passes(90 * MINUTE)
    return fresh(event)


@pytest.fixture
def begins(event: SheddingEvent) -> datetime:
    return slot_of(event, "A").starts_at


@pytest.fixture
def ended(event: SheddingEvent, begins: datetime, asha: Actor) -> SheddingEvent:
    """A: 0.8 MW measured, on again after an hour; B skipped; C stuck."""
    slot_off(actor=asha, slot_id=slot_of(event, "A").pk, at=begins, mw=0.8, is_measured=True)
    slot_on(actor=asha, slot_id=slot_of(event, "A").pk, at=begins + HOUR)
    slot_skip(actor=asha, slot_id=slot_of(event, "B").pk, reason="switch jammed")
    slot_off(actor=asha, slot_id=slot_of(event, "C").pk, at=begins)
    slot_stuck(actor=asha, slot_id=slot_of(event, "C").pk, reason="breaker")
    changes.event_end(actor=asha, event_id=event.pk)
    return fresh(event)


@pytest.fixture
def desk(asha_user: User) -> Client:
    return client_of(asha_user)


def url(event: SheddingEvent, rest: str = "") -> str:
    return f"/shedding/events/{event.reference}/report{rest}"


def test_the_figures_of_what_was_ordered_and_achieved(ended: SheddingEvent, begins: datetime) -> None:
    report = report_of(ended, at=begins + 3 * HOUR)

    (one,) = report.rounds
    assert (one.ordered_mw, one.planned_mw, one.measured_mw, one.estimated_mw) == (3.0, 7.0, 0.8, 4.0)
    assert (one.achieved_mw, one.missing_mw, one.blocks) == (4.8, 0.0, ("A", "B", "C"))
    lines = {line.slot.block.code: line for line in report.lines}
    assert (lines["A"].hours, lines["A"].mwh) == (1.0, 0.8)
    assert (lines["B"].was_off, lines["B"].hours) == (False, 0.0)
    assert [line.slot.block.code for line in report.skipped] == ["B"]
    assert [line.slot.block.code for line in report.stuck] == ["C"]


def test_turns_that_begin_apart_meet_the_order_together(made: SheddingPlan, asha: Actor, otto: Actor) -> None:
    """A and B from the beginning; C takes over from B after an hour and runs to the end."""
    event = announced(asha, otto, made, blocks=["A", "B"], mw=3.0, starts_at=minute() + MINUTE)
    time_passes(2 * MINUTE)
    for code in "AB":
        slot_off(actor=asha, slot_id=slot_of(event, code).pk)
    time_passes(58 * MINUTE)
    changes.event_replace(actor=asha, slot_id=slot_of(event, "B").pk, block="C", reason="B feeds a works")
    slot_off(actor=asha, slot_id=slot_of(event, "C").pk)
    time_passes(MINUTE)
    slot_on(actor=asha, slot_id=slot_of(event, "B").pk)
    event = fresh(event)

    before = report_of(event, at=timezone.now() - 30 * MINUTE).rounds[1]
    assert (before.blocks, before.achieved_mw) == (("A", "B", "C"), 0.0)
    assert (before.has_begun, before.missing_mw) == (False, 0.0)  # nothing is missing of what is ahead
    first, second = report_of(event, at=timezone.now() + 5 * MINUTE).rounds

    assert (first.begins, first.until, second.until) == (event.starts_at, second.begins, event.ends_at)
    assert (first.blocks, first.ordered_mw, first.achieved_mw) == (("A", "B"), 3.0, 3.0)
    assert (second.blocks, second.ordered_mw, second.achieved_mw) == (("A", "B", "C"), 3.0, 5.0)


def test_a_stuck_turn_ends_where_its_fault_begins(ended: SheddingEvent, begins: datetime) -> None:
    slot = slot_of(ended, "C")
    assert slot.fault is not None
    assert slot.fault.started_at is not None
    hours = (slot.fault.started_at - begins) / HOUR

    report = report_of(ended, at=begins + 5 * HOUR)

    line = next(line for line in report.lines if line.slot.block.code == "C")
    assert line.hours == pytest.approx(hours)
    assert report.mwh == pytest.approx(0.8 + 4.0 * hours)
    assert report.measured_mwh == pytest.approx(0.8)


def test_customers_are_counted_once_and_their_hours_added_up(ended: SheddingEvent, begins: datetime) -> None:
    report = report_of(ended, at=begins + 5 * HOUR)

    hospital = next(line for line in report.lines if line.slot.block.code == "C").hours
    assert report.customers == 4
    assert report.customer_hours == pytest.approx(3 * 1.0 + hospital)


def test_measures_relieve_before_anybody_is_switched_off(ended: SheddingEvent) -> None:
    Measure.objects.create(event=ended, kind="shift", asked_mw=1, relief_mw=0.5, by_name="Asha")

    report = report_of(ended)

    assert (report.relieved_mw, report.rounds[0].ordered_mw) == (0.5, 2.5)


def test_fairness_before_and_after(ended: SheddingEvent, begins: datetime) -> None:
    report = report_of(ended, at=begins + 5 * HOUR)

    hours = {one.block: (one.before, round(one.after, 2)) for one in report.hours}
    assert hours["A"] == (0.0, 1.0)
    assert hours["B"] == (0.0, 0.0)
    assert (report.before.gini, report.before.spread) == (0.0, 0.0)
    assert report.after.spread == pytest.approx(max(one.after for one in report.hours))


def test_what_came_back_is_counted_by_block(ended: SheddingEvent, begins: datetime, city: SmallCity) -> None:
    assert ended.ended_at is not None
    for n, kind in enumerate(["call", "call", "complaint"]):
        reaction_record(service_point=city.service_points["SP0001"], kind=kind, source=f"{n}", at=ended.ended_at)

    report = report_of(ended)

    assert report.reactions == {"call": 2, "complaint": 1}
    assert {line.slot.block.code: dict(line.reactions) for line in report.lines if line.reactions} == {
        "A": {"call": 2, "complaint": 1}
    }


def test_the_course_goes_from_switching_to_switching(ended: SheddingEvent, begins: datetime) -> None:
    slots = list(ended.slots.select_related("block", "fault"))
    assert ended.ended_at is not None

    moments = course_of(ended, slots, at=begins + 5 * HOUR)

    assert [(one.at, one.ordered_mw, one.achieved_mw) for one in moments[:3]] == [
        (begins, 3.0, 4.8),
        (begins + HOUR, 3.0, 4.0),
        (ended.ended_at, 0.0, 4.0),
    ]
    drawn = course(moments, at=begins + 5 * HOUR)
    assert drawn is not None
    assert drawn.achieved.startswith("0.0,")


def test_a_scale_marks_full_hours_and_never_too_many() -> None:
    begins = datetime.fromisoformat("2026-12-01T17:30:00+08:00")

    assert [words for _x, words in Scale(begins, begins + 3 * HOUR).ticks()] == ["18:00", "19:00", "20:00"]
    assert len(Scale(begins, begins + timedelta(days=3)).ticks()) <= 9


# --- its pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_report_is_a_page_with_charts_that_carry_no_script(
    ended: SheddingEvent, desk: Client, language: str
) -> None:
    desk.cookies["django_language"] = language

    page = desk.get(url(ended, "/"))

    assert page.status_code == 200
    assert "switch jammed" in text_of(page)
    for name in charts_of(page.context["report"]):
        svg = desk.get(url(ended, f"/{name}.svg"))
        assert (svg.status_code, svg["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
        assert etree.fromstring(svg.content).findall(".//{*}script") == []
    assert desk.get(url(ended, "/nothing.svg")).status_code == 404


def test_every_turn_is_a_line_of_the_export(ended: SheddingEvent, desk: Client) -> None:
    rows = list(csv.reader(io.StringIO(text_of(desk.get(url(ended, ".csv"))).removeprefix("\ufeff"))))

    assert [row[0] for row in rows[1:]] == ["A", "B", "C"]
    assert rows[1][6:11] == ["1.0", "1.0", "0.8", "yes", "0.8"]


def test_what_was_finally_measured_is_reconciled(ended: SheddingEvent, desk: Client) -> None:
    slot = slot_of(ended, "C")
    typed: dict[str, Any] = {"version": ended.version, "note": "checked with SCADA", f"mw_{slot.pk}": "3.5"}

    answer = desk.post(f"/shedding/events/{ended.reference}/reconcile/", typed)

    assert answer.status_code == 302
    slot = slot_of(ended, "C")
    assert (fresh(ended).state, slot.mw_off, slot.is_measured) == ("reconciled", 3.5, True)
    assert "reconcile-title" not in text_of(desk.get(url(ended, "/")))


def test_an_event_that_runs_is_not_reconciled(event: SheddingEvent, desk: Client) -> None:
    before = everything_shed()

    answer = desk.post(f"/shedding/events/{event.reference}/reconcile/", {"version": event.version})

    assert answer.status_code == 409
    assert everything_shed() == before


def test_statements_do_not_grow_with_turns(ended: SheddingEvent, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(12):
        report_of(ended)


def test_a_change_of_the_order_holds_from_its_moment_on(event: SheddingEvent, begins: datetime, asha: Actor) -> None:
    changes.event_change(actor=asha, event_id=event.pk, target_mw=2.0, reason="gap closes")
    event = fresh(event)

    moments = course_of(event, list(event.slots.select_related("block", "fault")), at=begins + 100 * MINUTE)

    assert [one.ordered_mw for one in moments if one.at <= begins] == [3.0]
    assert {one.ordered_mw for one in moments if begins + 95 * MINUTE < one.at < begins + 2 * HOUR} == {2.0}
