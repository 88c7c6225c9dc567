"""The edges: the first day, the last minute, midnight and summer time, and how far the weather looks ahead."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import (
    BillingAccount,
    Clearance,
    CutoffOrder,
    Payment,
    TemperatureForecast,
)
from outages.services import outage_open
from tests.billing.calm import AT, CLOSES, OPENS, calm_batch, calm_debtor, calm_order, local, mild
from tests.billing.changes import (
    DAY,
    MINUTE,
    Change,
    batch_is,
    codes,
    customer_is,
    day_is,
    held,
    neighbour_shares_the_meter,
    notice_is,
    of,
    owes_since,
    pays,
    place_is_not_said,
    statement_is_old,
    tenant_has_moved,
    the,
)
from tests.factories.grid import SmallCity

LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def debtor(city: SmallCity) -> BillingAccount:
    return calm_debtor(city)


@pytest.fixture
def order(city: SmallCity, ben: Actor, debtor: BillingAccount) -> CutoffOrder:
    mild(city.bureau)
    return calm_order(debtor, calm_batch(city.east, ben))


# --- boundaries: days, hours, zones -------------------------------------------------------------------


@pytest.mark.debts_by_hand
def test_the_oldest_bill_is_counted_by_the_days_of_the_branch(order: CutoffOrder) -> None:
    owes_since(30)(order)

    finding = the(order, "too_early", stage="propose", at=local(13, 23, 59))
    assert (finding.until, dict(finding.detail)) == (local(14), {"days": 30, "limit": 30})
    assert codes(order, stage="propose", at=local(14)) == []


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (local(13, 8, 59), ["outside_hours"]),
        (local(13, 9), []),
        (local(13, 15, 59), []),
        (local(13, 16), ["outside_hours"]),
    ],
)
def test_the_first_and_the_last_minute_of_the_hours(order: CutoffOrder, at: datetime, expected: list[str]) -> None:
    CutoffOrder.objects.update(scheduled_at=at)

    assert codes(order, stage="propose") == expected


def test_outside_the_hours_it_may_be_cut_when_they_begin_again(order: CutoffOrder) -> None:
    early, late = (the(order, "outside_hours", at=at) for at in (local(13, 7), local(13, 16)))

    assert (early.until, late.until) == (local(13, 9), local(14, 9))
    assert dict(late.detail) == {"begins": "09:00", "ends": "16:00"}


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (OPENS - timedelta(seconds=1), ["outside_window"]),
        (OPENS, []),
        (CLOSES - timedelta(seconds=1), []),
        (CLOSES, ["outside_window"]),
    ],
)
def test_the_window_has_a_first_and_no_last_moment(order: CutoffOrder, at: datetime, expected: list[str]) -> None:
    notice_is("final_warning", served_at=OPENS - timedelta(hours=1))(order)

    found = of(order, at=at)

    assert [finding.code for finding in found if finding.code != "outside_hours"] == expected
    if expected:
        assert found[-1].needs == ("time" if at < OPENS else "never")


WEEK = [
    (14, [], None),  # Thursday
    (15, ["eve", "weekday"], local(18)),  # Friday, and the day before a weekend
    (16, ["weekend"], local(18)),
    (17, ["weekend"], local(18)),
    (18, [], None),
]


@pytest.mark.parametrize(("day", "expected", "until"), WEEK)
def test_a_week_as_the_rules_see_it(order: CutoffOrder, day: int, expected: list[str], until: datetime | None) -> None:
    CutoffOrder.objects.update(scheduled_at=local(day, 10))

    found = of(order, stage="propose")

    assert [finding.code for finding in found] == expected
    assert {finding.until for finding in found} == ({until} if expected else set())


def test_a_worked_sunday_is_a_day_like_others_and_what_lies_before_it_no_eve(order: CutoffOrder) -> None:
    day_is("working", 16)(order)
    day_is("working", 17)(order)

    assert [codes_of_day(order, day) for day in (15, 16, 17, 18)] == [["weekday"], [], [], []]


def codes_of_day(order: CutoffOrder, day: int, hour: int = 10) -> list[str]:
    CutoffOrder.objects.update(scheduled_at=local(day, hour))
    return codes(order, stage="propose")


def test_days_begin_at_midnight_of_the_branch(order: CutoffOrder) -> None:
    CutoffOrder.objects.update(scheduled_at=local(13, 23, 59))
    assert codes(order, stage="propose") == ["outside_hours"]
    day_is("holiday", 14)(order)
    assert codes(order, stage="propose") == ["eve", "outside_hours"]

    CutoffOrder.objects.update(scheduled_at=local(14))
    assert codes(order, stage="propose") == ["holiday", "outside_hours"]


def in_britain(order: CutoffOrder) -> None:
    type(order.branch).objects.update(rule_pack="gb", time_zone="Europe/London")


def test_summer_time_moves_the_hours_with_the_clock_of_the_branch(order: CutoffOrder) -> None:
    in_britain(order)
    BillingAccount.objects.update(overdue=Decimal("320.00"))
    hours = {}
    for day in (2, 4):  # the clock goes forward on the last Sunday of March
        for utc_hour in (8, 9):
            turn = local(day, utc_hour + 8, 30, month=4) - timedelta(days=7 if day == 2 else 0)
            CutoffOrder.objects.update(scheduled_at=turn)
            hours[turn.date().isoformat(), utc_hour] = "outside_hours" in codes(order, stage="propose")

    assert hours == {
        ("2024-03-26", 8): True,
        ("2024-03-26", 9): False,
        ("2024-04-04", 8): False,
        ("2024-04-04", 9): False,
    }


def test_winter_keeps_homes_and_important_users_on(order: CutoffOrder) -> None:
    in_britain(order)
    last_day = datetime(2024, 3, 31, 23, 30, tzinfo=LONDON)
    CutoffOrder.objects.update(scheduled_at=last_day)
    finding = the(order, "winter", stage="propose")
    assert finding.until == last_day + timedelta(minutes=30)

    customer_is(customer_class="commercial")(order)
    assert "winter" not in codes(order, stage="propose")
    customer_is(customer_class="commercial", importance="important_2")(order)
    assert "winter" in codes(order, stage="propose")

    customer_is(customer_class="residential")(order)
    CutoffOrder.objects.update(scheduled_at=last_day + timedelta(minutes=30))
    assert "winter" not in codes(order, stage="propose")


# --- facts that a finding tells -----------------------------------------------------------------------


def test_the_weather_looks_so_far_ahead_and_no_further(order: CutoffOrder) -> None:
    forecasts = TemperatureForecast.objects
    forecasts.filter(day=local(17).date()).update(low=-20)
    assert codes(order) == []

    forecasts.filter(day__in=[local(14).date(), local(16).date()]).update(low=-7)
    finding = the(order, "cold")
    assert (finding.until, dict(finding.detail)) == (local(17), {"day": "2024-03-14", "low": -7.0})


def test_the_nearest_forecast_counts_and_an_old_one_is_none(city: SmallCity, order: CutoffOrder) -> None:
    near = TemperatureForecast.objects.create(
        branch=city.east, day=local(14).date(), low=-9, high=1, issued_at=AT - timedelta(hours=1)
    )
    assert codes(order) == ["cold"]

    near.issued_at = AT - timedelta(hours=25)
    near.save(update_fields=["issued_at"])
    assert codes(order) == []


def test_far_ahead_no_forecast_is_asked_for(order: CutoffOrder) -> None:
    TemperatureForecast.objects.all().delete()

    assert codes(order, stage="propose", at=local(9, 10)) == []
    finding = the(order, "forecast_unknown", stage="propose", at=local(11, 10))
    assert dict(finding.detail) == {"day": "2024-03-13", "hours": 72}


def test_a_medical_need_is_capped_and_the_longest_hold_of_a_kind_is_told(order: CutoffOrder) -> None:
    held("medical", since=AT - 89 * DAY, until=AT + 300 * DAY)(order)
    held("dispute", until=AT + DAY)(order)
    held("dispute", until=AT + 3 * DAY)(order)

    assert [(finding.code, finding.until) for finding in of(order)] == [
        ("medical", AT + DAY), ("dispute", AT + 3 * DAY),
    ]  # fmt: skip


def test_a_payment_that_is_on_its_way_for_too_long_is_a_persons_question(order: CutoffOrder) -> None:
    pays(ago=timedelta(days=5) - MINUTE)(order)
    assert the(order, "payment_in_flight").needs == "time"

    finding = the(order, "payment_in_flight", at=AT + MINUTE)
    assert (finding.needs, finding.detail["amount"]) == ("person", "100.00")
    Clearance.objects.create(order=order, code="payment_in_flight", reason="bounced", by_name="otto", at=AT + MINUTE)
    assert codes(order, at=AT + MINUTE) == []

    Payment.objects.create(
        source_system="bank", payment_id="p2", account_number="1", account=order.case.account, amount=Decimal("5.00"),
        status="in_flight", paid_at=AT,
    )  # fmt: skip
    assert codes(order, at=AT + MINUTE) == ["payment_in_flight"]


def test_somebody_who_asked_billing_answers_for_a_week(order: CutoffOrder) -> None:
    statement_is_old(9 * DAY)(order)
    Clearance.objects.create(order=order, code="statement_stale", reason="asked", by_name="otto", at=AT - 7 * DAY)
    assert codes(order) == []

    Clearance.objects.update(at=AT - 7 * DAY - MINUTE)
    assert codes(order) == ["statement_stale"]


@pytest.mark.parametrize(
    ("trip", "code"), [(neighbour_shares_the_meter, "shared_meter"), (place_is_not_said, "place_unknown")]
)
def test_a_person_may_answer_for_what_the_record_cannot_decide(order: CutoffOrder, trip: Change, code: str) -> None:
    trip(order)
    Clearance.objects.create(order=order, code="medical", reason="looked", by_name="otto", at=AT)
    assert codes(order) == [code]

    Clearance.objects.create(order=order, code=code, reason="looked", by_name="otto", at=AT)
    assert codes(order) == []


def test_nobody_answers_for_a_place_that_is_another_customers_by_now(order: CutoffOrder) -> None:
    tenant_has_moved(order)
    Clearance.objects.create(order=order, code="place_unknown", reason="looked", by_name="otto", at=AT)

    assert the(order, "place_unknown").needs == "never"


def test_a_planned_outage_at_the_time_of_the_cut_stands_against_it(city: SmallCity, order: CutoffOrder) -> None:
    turn = timezone.now() + timedelta(days=2)
    CutoffOrder.objects.update(scheduled_at=turn)
    outage = outage_open(
        kind="planned", action="schedule", actor=Actor.system("tests"), element_ids=city.ids("T11"),
        planned_start=turn - timedelta(hours=1), planned_end=turn + timedelta(hours=1),
    )  # fmt: skip

    finding = the(order, "active_outage", stage="propose")

    assert (finding.until, dict(finding.detail)) == (
        outage.planned_end,
        {"reference": outage.reference, "kind": "planned"},
    )
    CutoffOrder.objects.update(scheduled_at=turn + timedelta(hours=1))
    assert "active_outage" not in codes(order, stage="propose")


def test_letters_wait_by_the_class_of_the_customer(order: CutoffOrder) -> None:
    notice_is("letter", served_at=OPENS - 5 * DAY)(order)
    batch_is(level="company")(order)
    assert codes(order) == []

    customer_is(importance="important_2")(order)
    finding = the(order, "notice_missing")
    assert (finding.needs, finding.detail["why"]) == ("never", "too_late")


def test_working_days_of_a_letter_are_the_branchs_own(order: CutoffOrder) -> None:
    type(order.branch).objects.update(rule_pack="au")
    batch_is(window_from=local(13, 9))(order)
    notice_is("letter", served_at=local(5, 8))(order)  # Tuesday: six working days later is Wednesday the 13th
    assert "notice_missing" not in codes(order)

    day_is("holiday", 8)(order)
    assert "notice_missing" in codes(order)
