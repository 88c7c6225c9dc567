"""What turns would do is told before anybody is switched off, each customer and each kilowatt once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from accounts.actor import Actor
from grid.models import ContactPoint
from outages.load_shedding.models import SheddingPlan
from outages.load_shedding.preview import Preview, preview_of
from outages.load_shedding.rotation import Span
from tests.factories.grid import SmallCity
from tests.shedding.past import announced, happened
from tests.shedding.world import plan

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def made(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    """A and B measured, C estimated at the hospital's 120 kW."""
    return plan(city, asha, otto, mw={"A": 1.0, "B": 2.0}, stages=[(1, "blue", 0.1)])


def turns(*some: tuple[str, float, float]) -> list[Span]:
    """Blocks with their hours from noon."""
    return [Span(code, NOON + begins * HOUR, NOON + until * HOUR) for code, begins, until in some]


def preview(made: SheddingPlan, *some: tuple[str, float, float], **facts: Any) -> Preview:
    return preview_of(plan=made, spans=turns(*some), at=NOON, **facts)


def test_the_load_of_each_stretch_is_labelled_measured_or_estimated(made: SheddingPlan) -> None:
    found = preview(made, ("A", 0, 2), ("C", 1, 3))

    assert [
        (s.begins - NOON, s.until - NOON, s.blocks, s.measured_mw, s.estimated_mw, s.customers) for s in found.stretches
    ] == [
        (0 * HOUR, 1 * HOUR, ("A",), 1.0, 0, 3),
        (1 * HOUR, 2 * HOUR, ("A", "C"), 1.0, 0.12, 4),
        (2 * HOUR, 3 * HOUR, ("C",), 0, 0.12, 1),
    ]
    assert found.stretches[1].mw == pytest.approx(1.12)


def test_customers_are_counted_once_however_often_they_are_off(made: SheddingPlan) -> None:
    found = preview(made, ("A", 0, 1), ("A", 6, 7), ("C", 0, 1))

    assert (found.customers, found.critical, found.life_support) == (4, 2, 1)
    assert [one.account_number for one in found.important] == ["1000000003", "1000000005"]


def test_life_support_is_called_before_its_turn(made: SheddingPlan) -> None:
    (call,) = preview(made, ("A", 2, 4), ("C", 0, 2)).calls

    assert (call.account, call.phone, call.block, call.begins) == ("1000000003", "+8613800138003", "A", NOON + 2 * HOUR)


def test_what_is_off_anyway_is_named_and_not_counted(city: SmallCity, made: SheddingPlan) -> None:
    fault = happened(city, "fault", "T12", since=NOON - HOUR, hours=None)  # 1 of the 4.5 kW of A
    work = announced(city, "planned", "T21", begins=NOON + HOUR, until=NOON + 9 * HOUR)

    found = preview(made, ("A", 0, 2), ("B", 0, 2))

    assert [(one.block, one.overlap.customers, one.overlap.outages) for one in found.already] == [
        ("A", 1, (fault.reference,)),
        ("B", 2, (work.reference,)),
    ]
    assert found.customers == 2
    assert [s.measured_mw for s in found.stretches] == [pytest.approx(3.5 / 4.5 + 2 / 2)]


def test_messages_and_the_minutes_they_take(city: SmallCity, made: SheddingPlan) -> None:
    ContactPoint.objects.filter(value="+8613800138002").update(opted_out=True)

    found = preview(made, ("A", 0, 2), ("B", 0, 2), rates={"sms": 0.05, "email": 1.0})

    # chen, who hangs on both, the life-support household and smith by text; wang and smith by mail
    assert [(one.channel, one.count) for one in found.messages] == [("sms", 3), ("email", 2)]
    assert found.messages[0].minutes == 1.0


def test_the_energy_is_valued_by_class_of_customer(made: SheddingPlan) -> None:
    found = preview(made, ("A", 0, 2), ("B", 0, 2), ("C", 0, 0.5))

    # B: chen's shop belongs to a residential account, 6 of 14 kW; smith is commercial, 8 of 14; C: a hospital
    by_kind = {loss.kind: loss for loss in found.losses}
    assert by_kind["home"].mwh == pytest.approx(2.0 + 4 * 6 / 14)
    assert by_kind["business"].mwh == pytest.approx(4 * 8 / 14 + 0.06)
    assert by_kind["home"].value == Decimal(343_943)
    assert (by_kind["home"].unit, by_kind["home"].is_verified) == ("CNY", False)
    assert found.mwh == pytest.approx(6.06)
    assert found.value == by_kind["home"].value + by_kind["business"].value  # type: ignore[operator]


def test_where_no_value_is_known_none_is_shown(city: SmallCity, made: SheddingPlan) -> None:
    city.bureau.rule_pack = "au"
    city.bureau.save(update_fields=["rule_pack"])
    made.refresh_from_db()

    found = preview(made, ("A", 0, 2))

    assert [(loss.mwh, loss.value) for loss in found.losses] == [(2.0, None)]
    assert found.value is None


def test_blocks_of_the_same_feeder_that_stay_on_are_neighbours(made: SheddingPlan) -> None:
    assert preview(made, ("B", 0, 2)).neighbours == (("B", ("C",)),)
    assert preview(made, ("B", 0, 2), ("C", 0, 2)).neighbours == ()


def test_no_turns_mean_nothing(made: SheddingPlan) -> None:
    found = preview(made)

    assert (found.stretches, found.customers, found.calls, found.messages, found.losses) == ((), 0, (), (), ())


def test_the_statements_do_not_grow_with_turns(made: SheddingPlan, django_assert_num_queries: Any) -> None:
    for some in ([("A", 0, 2)], [("A", 0, 2), ("B", 1, 3), ("C", 2, 4)]):
        with django_assert_num_queries(8):
            preview(made, *some)
