"""Proposals are the best there is by their measure, keep every limit, and say what they cannot meet."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outages.load_shedding.proposals import LETTERS, Candidate, Limits, Period, propose
from tests.shedding.checker import agrees, best_of_all, broken_by, measured, minutes_in, periods_from

SHANGHAI, KYIV = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Kyiv")
EVENING = datetime(2026, 12, 1, 17, 30, tzinfo=SHANGHAI)
ENOUGH = 30.0  # seconds: small cases are always decided


def block(code: str, kw: int, periods: int = 1, **facts: object) -> Candidate:
    facts = {"customers": 100, "switchings": 1, "ledger_minutes": 0, **facts}
    return Candidate(code, (kw,) * periods, **facts)  # type: ignore[arg-type]


def limits(target_kw: int, *, run: int = 240, day: int = 480, rest: int = 240, zone: ZoneInfo = SHANGHAI) -> Limits:
    return Limits(target_kw, run, day, rest, zone)


def chance(seed: int, blocks: int, count: int) -> tuple[list[Candidate], list[Period], Limits]:
    """Some blocks with some past, in periods that may run over midnight or the night when the clocks change."""
    draw = Random(seed)
    begins = draw.choice(
        [
            EVENING,
            EVENING.replace(hour=21),
            datetime(2026, 10, 25, 1, tzinfo=KYIV),
            datetime(2026, 3, 29, 1, tzinfo=KYIV),
        ]
    )
    periods = periods_from(begins, count, minutes=draw.choice([60, 120]), margin=draw.choice([0, 15]))

    def past() -> tuple[tuple[datetime, datetime], ...]:
        if draw.random() < 0.5:
            return ()
        ends = periods[0].window[0] - timedelta(minutes=draw.choice([0, 0, 60, 240]))
        later = periods[-1].window[1] + timedelta(minutes=draw.choice([0, 30, 240]))
        return ((ends - timedelta(hours=2), ends), (later, later + timedelta(hours=2)))[: draw.choice([1, 2])]

    def some(share: float) -> frozenset[int]:
        return frozenset(p for p in range(count) if draw.random() < share)

    candidates = [
        Candidate(
            f"B{n:02d}",
            tuple(draw.choice([0, 500, 1_000, 1_300, 2_100]) for _p in range(count)),
            customers=draw.choice([0, 40, 100, 400]),
            switchings=draw.choice([1, 1, 2, 5]),
            ledger_minutes=draw.choice([0, 0, 100, 240, 1_000]),
            off=past(),
            turns=draw.choice([0, 0, 0, 1]),
            barred=some(0.1),
            fixed=some(0.1),
        )
        for n in range(blocks)
    ]
    target = draw.choice([600, 1_500, 500 * blocks, 10_000 * blocks])
    return (
        candidates,
        periods,
        limits(
            target,
            run=draw.choice([120, 240]),
            rest=draw.choice([60, 240]),
            day=draw.choice([240, 480]),
            zone=ZoneInfo(str(begins.tzinfo)),
        ),
    )


# --- against every choice there is --------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(7, 1), (4, 2), (3, 3)]), st.sampled_from(LETTERS))
def test_no_choice_at_all_is_better(seed: int, size: tuple[int, int], letter: str) -> None:
    candidates, periods, kept = chance(seed, *size)

    choice = propose(letter, candidates, periods, kept, seconds=ENOUGH)

    agrees(choice, candidates, periods, kept)
    assert (choice.is_optimal, choice.is_tightest) == (True, True)
    best = best_of_all(letter, candidates, periods, kept)
    assert measured(letter, choice.turns, candidates, periods, kept) == best


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_no_limit_is_ever_broken_even_when_the_time_is_over(seconds: float) -> None:
    for seed in range(150):
        candidates, periods, kept = chance(seed, 12, 1 + seed % 6)
        for letter in LETTERS:
            agrees(propose(letter, candidates, periods, kept, seconds=seconds), candidates, periods, kept)


def test_what_is_found_in_time_is_never_worse_than_deciding_one_period_after_the_other() -> None:
    for seed in range(40):
        candidates, periods, kept = chance(seed, 10, 3)
        for letter in LETTERS:
            at_once = propose(letter, candidates, periods, kept, seconds=0.0)
            searched = propose(letter, candidates, periods, kept, seconds=ENOUGH)

            assert measured(letter, searched.turns, candidates, periods, kept) <= measured(
                letter, at_once.turns, candidates, periods, kept
            )


# --- what is said -------------------------------------------------------------------------------------


def test_each_proposal_takes_the_best_by_its_own_measure() -> None:
    blocks = [
        block("few", 1_000, customers=10, switchings=4, ledger_minutes=600),
        block("rested", 1_000, customers=900, switchings=3, ledger_minutes=0),
        block("quick", 1_000, customers=500, switchings=1, ledger_minutes=300),
    ]
    periods = periods_from(EVENING, 1)

    chosen = {letter: propose(letter, blocks, periods, limits(1_000)).turns for letter in LETTERS}

    assert chosen == {"A": {"rested": (0,)}, "B": {"few": (0,)}, "C": {"quick": (0,)}}


def test_among_equals_the_one_that_sheds_least_beyond_the_order() -> None:
    blocks = [block("large", 1_900), block("fits", 1_001), block("small", 999)]

    for letter in LETTERS:
        assert propose(letter, blocks, periods_from(EVENING, 1), limits(1_000)).turns == {"fits": (0,)}


def test_a_target_above_what_can_be_shed_is_missed_by_so_much_and_no_more() -> None:
    blocks = [block("A", 1_000, 2), block("B", 500, 2, barred=frozenset({1})), block("C", 0, 2)]

    for letter in LETTERS:
        choice = propose(letter, blocks, periods_from(EVENING, 2), limits(1_800))

        assert choice.shed_kw == (1_500, 1_000)
        assert choice.shortfall_kw == (300, 800)
        assert not choice.meets_target
        assert choice.is_optimal


def test_nothing_can_be_shed_where_there_is_nothing() -> None:
    choice = propose("A", [], periods_from(EVENING, 2), limits(700))

    assert (choice.turns, choice.shed_kw, choice.shortfall_kw) == ({}, (0, 0), (700, 700))


def test_what_is_off_already_stays_off_and_counts() -> None:
    blocks = [block("off", 600, customers=5_000, fixed=frozenset({0})), block("other", 500, customers=1)]

    choice = propose("B", blocks, periods_from(EVENING, 1), limits(600))

    assert choice.turns == {"off": (0,)}


def test_who_was_off_before_the_order_rests_first() -> None:
    came_back = EVENING - timedelta(minutes=60)
    blocks = [
        block("tired", 1_000, off=((came_back - timedelta(hours=2), came_back),)),
        block("rested", 1_000, customers=900),
    ]

    choice = propose("B", blocks, periods_from(EVENING, 1), limits(1_000))

    assert choice.turns == {"rested": (0,)}


def test_a_day_ends_at_local_midnight() -> None:
    begins = EVENING.replace(hour=22, minute=0)
    blocks = [block("A", 1_000, 2, off=((begins - timedelta(hours=12), begins - timedelta(hours=6)),))]

    choice = propose("B", blocks, periods_from(begins, 2), limits(1_000, run=240, day=480))

    assert choice.turns == {"A": (0, 1)}  # 8 hours on the first day, 2 on the second
    assert broken_by(choice.turns, blocks, periods_from(begins, 2), limits(1_000, day=479)) == [
        "A is off for 480 minutes on 2026-12-01"
    ]


def test_an_hour_that_comes_twice_is_two_hours_off() -> None:
    begins = datetime(2026, 10, 25, 2, 0, tzinfo=KYIV)
    night = [Period(begins, begins.replace(hour=5))]  # by the clock three hours, and four that pass

    assert len(minutes_in([night[0].window])) == night[0].minutes == 240
    assert propose("A", [block("A", 900)], night, limits(900, run=239, zone=KYIV)).turns == {}
    assert propose("A", [block("A", 900)], night, limits(900, run=240, zone=KYIV)).turns == {"A": (0,)}


def test_the_same_question_has_the_same_answer() -> None:
    candidates, periods, kept = chance(4, 30, 2)

    for letter in LETTERS:
        answers = [propose(letter, candidates, periods, kept, seconds=ENOUGH) for _n in range(2)]
        assert answers[0] == answers[1]


# --- turns in one event -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 3, 4, 6, 9])
def test_nobody_has_a_second_turn_before_everybody_had_one(count: int) -> None:
    blocks = [block(f"B{n:02d}", 1_000, count, ledger_minutes=60 * (n % 3)) for n in range(10)]

    choice = propose("A", blocks, periods_from(EVENING, count), limits(3_000), seconds=ENOUGH)

    for p in range(count):
        had = [sum(q <= p for q in choice.turns.get(one.code, ())) for one in blocks]
        assert max(had) - min(had) <= 1
    assert choice.shortfall_kw == (0,) * count


def test_a_second_turn_is_given_where_the_order_cannot_be_met_otherwise() -> None:
    blocks = [block("big", 3_000, 2), block("small", 500, 2)]

    choice = propose("A", blocks, periods_from(EVENING, 2), limits(3_000))

    assert choice.turns == {"big": (0, 1)}


def test_many_blocks_of_a_great_city_are_decided_by_coarser_steps_and_searched_for() -> None:
    draw = Random(1)
    blocks = [block(f"B{n:03d}", draw.randint(300_000, 900_000), customers=draw.randint(1, 9)) for n in range(40)]

    choice = propose("B", blocks, periods_from(EVENING, 1), limits(8_000_000), seconds=ENOUGH)

    agrees(choice, blocks, periods_from(EVENING, 1), limits(8_000_000))
    assert choice.meets_target
    assert choice.is_optimal
