"""Over many events the fair proposal spreads the hours evenly."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from accounts.actor import Actor
from outages.load_shedding import ledger
from outages.load_shedding.proposals import Candidate, Limits, propose
from outages.load_shedding.question import question_of
from outages.models import Interruption, Outage
from tests.factories.grid import SmallCity
from tests.shedding.checker import agrees, periods_from
from tests.shedding.past import happened
from tests.shedding.world import plan

SHANGHAI = ZoneInfo("Asia/Shanghai")
EVENING = datetime(2026, 7, 1, 17, 30, tzinfo=SHANGHAI)
SLOT = 120


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("blocks", [7, 12, 20])
def test_twenty_events_leave_equal_blocks_no_more_than_a_slot_apart(blocks: int, count: int) -> None:
    draw = Random(blocks)
    off = Counter({f"B{n:02d}": 0 for n in range(blocks)})
    for day in range(20):
        candidates = [Candidate(code, (1_000,) * count, 100, 1, off[code]) for code in off]
        periods = periods_from(EVENING + timedelta(days=day), count, minutes=SLOT)
        limits = Limits(1_000 * draw.randint(1, blocks // 2), 240, 480, 240, SHANGHAI)

        choice = propose("A", candidates, periods, limits, seconds=30)

        agrees(choice, candidates, periods, limits)
        assert choice.is_optimal
        off.update({code: SLOT * len(turns) for code, turns in choice.turns.items()})
        assert ledger.spread(off.values()) <= SLOT


def test_unlike_blocks_stay_together_over_a_year_of_events() -> None:
    draw = Random(11)
    kw = {f"B{n:02d}": draw.randint(400, 2_500) for n in range(25)}
    off = Counter(dict.fromkeys(kw, 0))
    for day in range(150):
        candidates = [
            Candidate(code, (load,), 100, 1, off[code], barred=frozenset({0} if draw.random() < 0.1 else ()))
            for code, load in kw.items()
        ]
        limits = Limits(draw.randint(2_000, 12_000), 240, 480, 240, SHANGHAI)
        choice = propose("A", candidates, periods_from(EVENING + timedelta(days=day), 1, minutes=SLOT), limits)
        off.update({code: SLOT * len(turns) for code, turns in choice.turns.items()})

    assert ledger.spread(off.values()) <= 4 * SLOT  # of some 50 turns that each block had
    assert ledger.gini(list(off.values())) < 0.03


def test_hours_off_for_a_fault_and_hours_shed_lead_to_the_next_turn(city: SmallCity, asha: Actor, otto: Actor) -> None:
    """The same through the record: three equal blocks, one of which had a long fault."""
    made = plan(city, asha, otto, mw={"A": 1.0, "B": 1.0, "C": 1.0}, stages=[(1, "blue", 1.0)])
    happened(city, "fault", "T21", since=EVENING - timedelta(days=2), hours=8)  # counts half
    order = []
    for day in range(7):
        begins = EVENING + timedelta(days=day)
        question = question_of(plan=made, target_mw=1.0, begins=begins, until=begins + timedelta(hours=2), at=begins)
        (code,) = propose("A", question.candidates, question.periods, question.limits).turns
        places = [place.element.code for place in made.blocks.get(code=code).places.select_related("element")]
        happened(city, "load_shedding", *places, since=begins, hours=2)
        order.append(code)

    # four hours of B count as two turns: A and C have two each before it is B's
    assert order == ["A", "C", "A", "C", "A", "B", "C"]
    assert Outage.objects.filter(kind="load_shedding").count() == 7
    assert Interruption.objects.filter(outage__kind="fault").count() == 1
