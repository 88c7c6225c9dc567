"""What an order asks: the slots, each block's load in them, what is off anyway, and what stands when it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.actor import Actor
from outages.load_shedding import proposals
from outages.load_shedding.models import KeptOut, SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.question import Overlap, Question, mw_in, periods_of, question_of, question_of_event
from outages.load_shedding.rotation import Span
from outages.services import counts_refresh
from tests.factories.grid import SmallCity
from tests.shedding.past import announced, happened
from tests.shedding.world import block, plan

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=SHANGHAI)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MW = {"A": 1.0, "B": 2.0, "C": 3.0}


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan(city, asha, otto, mw=MW, stages=[(1, "blue", 1.0)], margin_minutes=0)


def asked(made: SheddingPlan, *, mw: float = 2.0, hours: float = 2, **facts: Any) -> Question:
    return question_of(plan=made, target_mw=mw, begins=NOON, until=NOON + hours * HOUR, at=NOON, **facts)


def event_of(made: SheddingPlan, *, mw: float = 3.0, hours: float = 4) -> SheddingEvent:
    return SheddingEvent.objects.create(
        reference="Y-1", branch=made.branch, plan=made, state="confirmed", colour="blue", target_mw=mw,
        starts_at=NOON, ends_at=NOON + hours * HOUR, author_name="Asha",
    )  # fmt: skip


def turn(event: SheddingEvent, code: str, begins: float, until: float, state: str = "planned", **facts: Any) -> Slot:
    """A turn of the event, in hours from noon."""
    return Slot.objects.create(
        event=event, block=block(event.plan, code), starts_at=NOON + begins * HOUR, ends_at=NOON + until * HOUR,
        state=state, mw_planned=MW[code], **facts,
    )  # fmt: skip


# --- slots ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "margin", "expected"),
    [
        (180, 0, [(0, 120), (120, 180)]),
        (180, 15, [(0, 120), (105, 180)]),  # the next are off before the last are switched on
        (90, 15, [(0, 90)]),
        (130, 0, [(0, 65), (65, 130)]),  # nobody is switched off for ten minutes
        (130, 20, [(0, 75), (55, 130)]),
    ],
)
def test_slots_cover_the_order(minutes: int, margin: int, expected: list[tuple[int, int]]) -> None:
    made = SheddingPlan(slot_minutes=120, margin_minutes=margin)

    periods = periods_of(made, begins=NOON, until=NOON + minutes * MINUTE)

    found = [((p.begins - NOON) // MINUTE, (p.until - NOON) // MINUTE) for p in periods]
    assert found == expected


def test_what_is_over_is_not_asked_again() -> None:
    made = SheddingPlan(slot_minutes=120, margin_minutes=0)

    periods = periods_of(made, begins=NOON, until=NOON + 5 * HOUR, at=NOON + 2.5 * HOUR)

    assert [(p.begins, p.until) for p in periods] == [
        (NOON + 2.5 * HOUR, NOON + 4 * HOUR),
        (NOON + 4 * HOUR, NOON + 5 * HOUR),
    ]


def test_a_load_is_that_of_its_hours(made: SheddingPlan) -> None:
    one = block(made, "A")
    one.mw_by_hour = [float(hour) for hour in range(24)]

    assert mw_in(one, (NOON + HOUR / 2, NOON + 2 * HOUR), SHANGHAI) == pytest.approx((12 / 2 + 13) / 1.5)
    night = NOON.replace(hour=23, minute=30)
    assert mw_in(one, (night, night + HOUR), SHANGHAI) == 11.5


# --- blocks -----------------------------------------------------------------------------------------------


def test_blocks_come_with_their_load_past_and_limits(city: SmallCity, made: SheddingPlan) -> None:
    happened(city, "load_shedding", "T21", since=NOON - timedelta(days=3), hours=2)
    happened(city, "fault", "T22", since=NOON - timedelta(days=3), hours=2)

    question = asked(made, mw=2.5)

    assert [(one.code, one.kw, one.customers, one.ledger_minutes) for one in question.candidates] == [
        ("A", (1000,), 3, 0),
        ("B", (2000,), 2, 120),
        ("C", (3000,), 1, 60),
    ]
    assert question.limits == proposals.Limits(2500, 240, 480, 240, SHANGHAI)
    assert question.explain == {}


def test_whoever_is_never_shed_is_named_with_the_reason(city: SmallCity, made: SheddingPlan) -> None:
    KeptOut.objects.create(element=city.elements["T22"], why="ufls")
    made.blocks.filter(code="A").update(is_protected=True, protected_reason="地铁")

    question = asked(made)

    assert [one.code for one in question.candidates] == ["B"]
    assert question.explain["A"] == "地铁"
    assert str(question.explain["C"]).startswith("T22: ")


def test_turns_of_other_events_limit_who_is_next(made: SheddingPlan) -> None:
    other = SheddingEvent.objects.create(
        reference="Y-0", branch=made.branch, plan=made, state="ended", colour="blue", author_name="Asha"
    )
    turn(other, "B", -3, -1, "on", off_at=NOON - 3 * HOUR, on_at=NOON - HOUR)
    turn(other, "C", -3, -1, "skipped", skip_reason="开关拒动")

    question = asked(made, mw=1.5)

    off = {one.code: one.off for one in question.candidates}
    assert off == {"A": (), "B": (((NOON - 3 * HOUR).astimezone(UTC), (NOON - HOUR).astimezone(UTC)),), "C": ()}
    assert proposals.propose("A", question.candidates, question.periods, question.limits).turns == {"C": (0,)}


# --- what is off anyway -----------------------------------------------------------------------------------


def test_what_is_off_anyway_is_no_relief_and_is_named(city: SmallCity, made: SheddingPlan) -> None:
    running = happened(city, "fault", "T22", since=NOON - HOUR, hours=None)
    ahead = announced(city, "planned", "T21", begins=NOON + HOUR, until=NOON + 5 * HOUR)

    question = asked(made, hours=2)

    assert question.overlaps == {
        "A": (Overlap(),),
        "B": (Overlap(0.5, 2, (ahead.reference,)),),
        "C": (Overlap(1.0, 1, (running.reference,)),),
    }
    assert {one.code: one.kw for one in question.candidates} == {"A": (1000,), "B": (1000,)}
    assert set(question.explain) == {"C"}


def test_an_end_that_is_known_is_believed_and_two_outages_of_one_place_count_once(
    city: SmallCity, made: SheddingPlan
) -> None:
    first = happened(city, "fault", "T21", since=NOON - HOUR, hours=None)
    first.etr = NOON + HOUR
    first.save(update_fields=["etr"])
    second = announced(city, "planned", "T21", begins=NOON, until=NOON + HOUR)

    assert asked(made).overlaps["B"] == (Overlap(0.5, 2, tuple(sorted((first.reference, second.reference)))),)


def test_a_single_customer_off_counts_by_its_own_power(city: SmallCity, made: SheddingPlan) -> None:
    outage = happened(city, "fault", since=NOON - HOUR, hours=None, points=("SP0004",))
    outage.interruptions.update(load_kw=6.0)  # of the 14 kW of its transformer
    counts_refresh(outage)
    happened(city, "non_payment", since=NOON - HOUR, hours=None, points=("SP0005",))

    (overlap,) = asked(made).overlaps["B"]

    assert overlap.share == pytest.approx(6 / 14)
    assert (overlap.customers, overlap.outages) == (1, (outage.reference,))


# --- a running event --------------------------------------------------------------------------------------


def test_more_is_added_to_what_stands(made: SheddingPlan) -> None:
    event = event_of(made, mw=3.0, hours=2)
    turn(event, "C", 0, 2, "off", off_at=NOON)

    question = question_of_event(event, target_mw=3.9, at=NOON)

    choice = proposals.propose("B", question.candidates, question.periods, question.limits)
    assert choice.turns == {"B": (0,), "C": (0,)}
    assert question.spans_of(choice) == [
        Span("B", NOON.astimezone(UTC), (NOON + 2 * HOUR).astimezone(UTC)),
        Span("C", NOON.astimezone(UTC), (NOON + 2 * HOUR).astimezone(UTC)),
    ]


def test_where_less_is_ordered_only_what_stands_is_left(made: SheddingPlan) -> None:
    event = event_of(made, mw=5.0, hours=2)
    turn(event, "B", 0, 2)
    turn(event, "C", 0, 2)

    question = question_of_event(event, target_mw=1.0, at=NOON)

    choice = proposals.propose("A", question.candidates, question.periods, question.limits)
    assert choice.turns == {"B": (0,)}  # A would fit better and was told nothing


def test_a_skipped_block_is_not_asked_again_for_that_slot(made: SheddingPlan) -> None:
    event = event_of(made, mw=3.0, hours=2)
    turn(event, "C", 0, 2, "skipped", skip_reason="医院手术")

    question = question_of_event(event, at=NOON)

    assert {one.code: one.barred for one in question.candidates} == {
        "A": frozenset(), "B": frozenset(), "C": frozenset({0}),
    }  # fmt: skip


def test_what_earlier_measures_relieved_is_not_shed(made: SheddingPlan) -> None:
    event = event_of(made, mw=3.0)
    event.measures.create(kind="shift", asked_mw=2.0, relief_mw=1.2, by_name="Asha")
    event.measures.create(kind="avoid", asked_mw=2.0, by_name="Asha")

    assert question_of_event(event, at=NOON).limits.target_kw == 1800


def test_its_own_outages_are_not_what_is_off_anyway(city: SmallCity, made: SheddingPlan) -> None:
    event = event_of(made, hours=2)
    outage = happened(city, "load_shedding", "T22", since=NOON - HOUR, hours=None)
    turn(event, "C", -1, 2, "off", off_at=NOON - HOUR, outage=outage)

    question = question_of_event(event, at=NOON)

    assert question.overlaps["C"] == (Overlap(),)
    assert question.candidates[2].fixed == {0}
    assert question.candidates[2].off == (((NOON - HOUR).astimezone(UTC), NOON.astimezone(UTC)),)


def test_the_statements_do_not_grow(city: SmallCity, made: SheddingPlan, django_assert_num_queries: Any) -> None:
    event = event_of(made)
    turn(event, "C", 0, 2)
    with django_assert_num_queries(8):
        question_of_event(event, at=NOON)
    for code, hours in (("A", 0), ("B", 2), ("C", 2)):
        turn(event, code, hours, hours + 1, "planned" if code != "C" else "dropped")
    with django_assert_num_queries(8):
        question_of_event(event, at=NOON)


def test_figures_compare_the_proposals(made: SheddingPlan) -> None:
    question = asked(made, mw=4.0)
    choice = proposals.propose("B", question.candidates, question.periods, question.limits)

    assert choice.turns == {"B": (0,), "C": (0,)}
    figures = question.figures_of(choice)
    assert (figures["blocks"], figures["customers"], figures["customer_hours"]) == (2, 3, 6)
    assert (figures["mw"], figures["shortfall_mw"], figures["worst_hours"]) == ([5.0], [0.0], 2.0)
    assert (figures["spread"], figures["gini"]) == ([0.0, 2.0], [0.0, 0.333])
