"""The ledger's hours are those that happened, each counted once and shared among a block's customers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone, translation

from accounts.actor import Actor
from outages.load_shedding import ledger
from outages.load_shedding.ledger import BlockHours
from outages.load_shedding.models import SheddingBlock, SheddingPlan
from tests.factories.grid import SmallCity
from tests.shedding.past import happened
from tests.shedding.world import plan

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan(city, asha, otto)


def hours_of(made: SheddingPlan, at: datetime, days: int = 30) -> dict[str, BlockHours]:
    codes = dict(made.blocks.values_list("pk", "code"))
    return {codes[pk]: one for pk, one in ledger.hours(plan=made, at=at, days=days).items()}


def test_hours_are_those_of_the_average_customer(city: SmallCity, made: SheddingPlan) -> None:
    now = timezone.now()
    happened(city, "load_shedding", "T11", "T12", since=now - 2 * DAY, hours=2)  # all three of A
    happened(city, "fault", "T12", since=now - 3 * DAY, hours=3)  # one of the three

    found = hours_of(made, now)

    assert found["A"] == BlockHours(shedding=2.0, other=1.0, weighted=2.5, turns=1)
    assert found["B"] == found["C"] == BlockHours(0.0, 0.0, 0.0, 0)


def test_an_hour_is_counted_once_and_shedding_comes_first(city: SmallCity, made: SheddingPlan) -> None:
    now = timezone.now()
    happened(city, "load_shedding", "T21", since=now - DAY, hours=2)
    happened(city, "planned", "T21", since=now - DAY - HOUR, hours=2)  # its second hour was shed already
    happened(city, "fault", "T21", since=now - DAY + HOUR, hours=2)  # its first hour too

    assert hours_of(made, now)["B"] == BlockHours(shedding=2.0, other=2.0, weighted=3.0, turns=1)


def test_a_single_customer_counts_beside_the_area_it_belongs_to(city: SmallCity, made: SheddingPlan) -> None:
    now = timezone.now()
    happened(city, "fault", "T21", since=now - DAY, hours=1)
    happened(city, "fault", since=now - DAY, hours=3, points=("SP0004",))  # one of two, an hour of it with its area

    assert hours_of(made, now)["B"].other == 2.0


def test_only_what_lies_in_the_span_counts_and_what_still_runs_counts_so_far(
    city: SmallCity, made: SheddingPlan
) -> None:
    now = timezone.now()
    happened(city, "load_shedding", "T22", since=now - 30 * DAY - HOUR, hours=3)  # two hours of it
    happened(city, "load_shedding", "T22", since=now - 80 * DAY, hours=5)
    happened(city, "load_shedding", "T22", since=now - HOUR, hours=None)

    assert (hours_of(made, now)["C"].shedding, hours_of(made, now)["C"].turns) == (3.0, 2)
    assert (hours_of(made, now, 90)["C"].shedding, hours_of(made, now, 90)["C"].turns) == (9.0, 3)
    assert ledger.hours(plan=made, at=now)[made.blocks.get(code="C").pk].shedding == 9.0


def test_debts_and_records_made_in_error_do_not_count(city: SmallCity, made: SheddingPlan) -> None:
    now = timezone.now()
    happened(city, "non_payment", since=now - DAY, hours=5, points=("SP0004",))
    happened(city, "fault", "T21", since=now - DAY, hours=5, is_void=True)

    assert hours_of(made, now)["B"] == BlockHours(0.0, 0.0, 0.0, 0)


def test_the_weight_is_the_rule_packs(city: SmallCity, made: SheddingPlan) -> None:
    now = timezone.now()
    happened(city, "fault", "T21", since=now - DAY, hours=4)

    assert hours_of(made, now)["B"].weighted == 2.0
    assert hours_of(made, now)["B"].weighted_minutes == 120


def test_gini_and_spread_by_hand() -> None:
    assert ledger.gini([2, 2, 2, 2]) == 0.0
    assert ledger.gini([0, 0, 0, 4]) == 0.75
    assert ledger.gini([1, 3]) == 0.25
    assert ledger.gini([0, 0]) == 0.0
    assert ledger.spread([1.5, 4.0, 2.0]) == 2.5
    assert ledger.spread([]) == 0.0


def test_the_agent_reads_out_why_this_block_again(city: SmallCity, made: SheddingPlan) -> None:
    now = timezone.now()
    for days in (1, 3):
        happened(city, "load_shedding", "T21", since=now - days * DAY, hours=2)
    happened(city, "load_shedding", "T22", since=now - 2 * DAY, hours=2)
    block = SheddingBlock.objects.get(plan=made, code="B")

    facts = ledger.why(block, at=now)

    assert (facts.turns, facts.average_turns, facts.hours, facts.average_hours) == (2, 1.0, 4.0, 2.0)
    assert (facts.rank, facts.blocks) == (1, 3)
    with translation.override("en"):
        assert ledger.why(block, at=now).words == (
            "Block B had 2 turns in the last 30 days, a block on average 1.0."
            " Its hours off come to 4.0, the average to 2.0: no. 1 of 3 blocks, counted from the one off longest."
        )


def test_the_statements_do_not_grow_with_blocks(
    city: SmallCity, made: SheddingPlan, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        ledger.hours(plan=made, days=365)
    block = made.blocks.all()[0]
    with django_assert_num_queries(3):  # type: ignore[operator]
        ledger.why(block)
