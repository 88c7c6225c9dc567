"""Each guard has a world that trips it, and the world next to it that does not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

import standards
from accounts.actor import Actor
from accounts.rules import text_of
from billing_cutoffs.models import (
    BillingAccount,
    CutoffOrder,
    Payment,
    TemperatureForecast,
)
from billing_cutoffs.protections import GUARDS, Finding, Stage, data_age, finding_text, findings
from grid.models import Branch, CalendarDay
from tests.billing.calm import AT, OPENS, calm_batch, calm_debtor, calm_down, calm_order, local, mild
from tests.billing.changes import (
    DAY,
    MINUTE,
    STAGES,
    Change,
    batch_is,
    case_is_closed,
    codes,
    customer_is,
    day_is,
    fault,
    fault_is_over,
    held,
    neighbour_shares_the_meter,
    no_meter_anywhere,
    notice_is,
    of,
    only_place_is_not_said,
    owes,
    owes_since,
    own_second_place_shares_the_meter,
    pays,
    place_is_not_said,
    statement_is_old,
    tenant_has_moved,
    weather,
)
from tests.billing.world import crowd_of_debtors
from tests.factories.grid import SmallCity


@pytest.fixture
def debtor(city: SmallCity) -> BillingAccount:
    return calm_debtor(city)


@pytest.fixture
def order(city: SmallCity, ben: Actor, debtor: BillingAccount) -> CutoffOrder:
    mild(city.bureau)
    return calm_order(debtor, calm_batch(city.east, ben))


@pytest.mark.parametrize("stage", STAGES)
def test_on_a_calm_day_nothing_stands_against_a_cut(order: CutoffOrder, stage: Stage) -> None:
    assert findings(order_ids=[order.pk], stage=stage, at=AT) == {}


# --- one guard after another --------------------------------------------------------------------------


TRIPS: list[tuple[str, Change]] = [
    ("paid", owes("0.00")),
    ("paid", case_is_closed),
    ("life_support", customer_is(importance="life_support")),
    ("important", customer_is(importance="important_1")),
    ("important", customer_is(importance="important_2")),
    ("place_unknown", place_is_not_said),
    ("place_unknown", tenant_has_moved),
    ("shared_meter", neighbour_shares_the_meter),
    ("medical", held("medical")),
    ("keep_power", held("keep_power")),
    ("dispute", held("dispute")),
    ("promise", held("promise", until=AT + DAY)),
    ("other", held("other")),
    ("payment_in_flight", pays()),
    ("small_debt", owes("19.99")),
    ("too_early", owes_since(30)),
    ("statement_stale", statement_is_old(timedelta(days=7, seconds=1))),
    ("active_outage", fault),
    ("cold", weather(low=-5.0)),
    ("heat", weather(high=35.0)),
    ("forecast_unknown", lambda order: TemperatureForecast.objects.filter(day=local(16).date()).delete()),
    ("forecast_unknown", weather(issued_at=AT - timedelta(hours=24, seconds=1))),
    ("holiday", day_is("holiday", 13)),
    ("eve", day_is("holiday", 14)),
    ("notice_missing", notice_is("letter", served_at=None, served_how="")),
    ("notice_missing", notice_is("letter", void_at=AT)),
    ("notice_missing", notice_is("letter", served_at=OPENS - 3 * DAY + timedelta(seconds=1))),
    ("notice_missing", notice_is("letter", served_at=AT - 30 * DAY - timedelta(seconds=1))),
    ("notice_missing", notice_is("letter", window_from=OPENS + MINUTE)),
    ("warning_missing", notice_is("final_warning", served_at=None, served_how="")),
    ("warning_missing", notice_is("final_warning", served_at=AT - timedelta(minutes=29, seconds=59))),
    ("batch_not_running", batch_is(state="stopped")),
    ("batch_not_running", batch_is(state="approved")),
]  # fmt: skip


@pytest.mark.debts_by_hand
@pytest.mark.parametrize(("code", "trip"), TRIPS)
def test_a_guard_is_tripped_and_no_other(order: CutoffOrder, code: str, trip: Change) -> None:
    trip(order)

    assert codes(order) == [code]


PASSES: list[tuple[str, Change]] = [
    ("an important user in a batch of the company", lambda order: (customer_is(importance="important_1")(order),
                                                                  batch_is(level="company")(order))),
    ("two own places behind one meter", own_second_place_shares_the_meter),
    ("no meter number is no shared meter", no_meter_anywhere),
    ("the only place of the customer", only_place_is_not_said),
    ("a hold that is over", held("dispute", until=AT)),
    ("a hold that begins later", held("dispute", since=AT + MINUTE)),
    ("a hold that was ended", held("dispute", released_at=AT - MINUTE, released_by_name="otto")),
    ("a medical need for longer than the pack allows", held("medical", since=AT - 90 * DAY)),
    ("a payment that was taken back", pays("returned")),
    ("the floor itself", owes("20.00")),
    ("31 days are more than 30", owes_since(31)),
    ("a statement of a week", statement_is_old(timedelta(days=7))),
    ("an outage that is over", fault_is_over),
    ("not quite cold", weather(low=-4.9)),
    ("not quite hot", weather(high=34.9)),
    ("a forecast of a day", weather(issued_at=AT - timedelta(hours=24))),
    ("a holiday of another branch", lambda order: CalendarDay.objects.create(
        day=AT.date(), kind="holiday", name="日", branch=Branch.objects.get(code="0102"))),
    ("an examination", day_is("exam", 13)),
    ("a letter that arrived just in time", notice_is("letter", served_at=OPENS - 3 * DAY)),
    ("a letter on the last day of its life", notice_is("letter", served_at=AT - 30 * DAY)),
    ("a warning that is just long enough ago", notice_is("final_warning", served_at=AT - timedelta(minutes=30))),
]  # fmt: skip


@pytest.mark.debts_by_hand
@pytest.mark.parametrize("change", [change for _what, change in PASSES], ids=[what for what, _change in PASSES])
def test_the_world_next_to_it_trips_nothing(order: CutoffOrder, change: Change) -> None:
    change(order)

    assert codes(order) == []


def test_every_guard_of_the_table_is_tripped_somewhere_in_this_file() -> None:
    elsewhere = {"winter", "weekend", "weekday", "outside_hours", "outside_window"}

    assert {code for code, _trip in TRIPS} | elsewhere == set(GUARDS)


# --- what only some stages ask ------------------------------------------------------------------------


@pytest.mark.debts_by_hand
@pytest.mark.parametrize(
    ("trip", "stages"),
    [
        (notice_is("letter", void_at=AT), ("warn", "command")),
        (notice_is("final_warning", void_at=AT), ("command",)),
        (batch_is(state="stopped"), ("command",)),
        (fault, ("warn", "command")),
        (held("dispute"), STAGES),
        (owes("1.00"), STAGES),
    ],
)
def test_a_guard_is_asked_where_it_matters(order: CutoffOrder, trip: Change, stages: tuple[Stage, ...]) -> None:
    trip(order)

    assert tuple(stage for stage in STAGES if codes(order, stage=stage)) == stages


def test_until_the_command_the_day_of_the_cut_is_judged_and_not_today(order: CutoffOrder) -> None:
    day_is("holiday", 11)(order)

    assert codes(order, stage="propose", at=local(11, 11)) == []
    assert "holiday" in codes(order, stage="command", at=local(11, 11))


def test_while_no_turn_is_drawn_the_window_itself_lies_inside_the_hours(order: CutoffOrder) -> None:
    CutoffOrder.objects.update(scheduled_at=None)
    assert codes(order, stage="propose") == []

    batch_is(window_until=local(13, 16))(order)
    assert codes(order, stage="propose") == []

    batch_is(window_until=local(13, 16, 1))(order)
    assert codes(order, stage="propose") == ["outside_hours"]


# --- all at once --------------------------------------------------------------------------------------


def test_everything_is_told_the_worst_first(order: CutoffOrder) -> None:
    for trip in (batch_is(state="stopped"), day_is("holiday", 13), pays(), held("other"), held("medical")):
        trip(order)
    customer_is(importance="life_support")(order)

    assert codes(order) == [
        "life_support", "medical", "other", "payment_in_flight", "holiday", "batch_not_running",
    ]  # fmt: skip


def test_many_orders_take_as_many_statements_as_one(city: SmallCity, ben: Actor) -> None:
    mild(city.bureau)
    batch = calm_batch(city.east, ben)
    orders = [calm_order(calm_down(account), batch) for account in crowd_of_debtors(city, 30)]
    held("dispute")(orders[7])
    counted = []
    for some in (orders[:1], orders):
        with CaptureQueriesContext(connection) as asked:
            found = findings(order_ids=[one.pk for one in some], stage="command", at=AT)
        counted.append(len(asked))

    assert list(found) == [orders[7].pk]
    assert counted == [9, 9]


def test_no_orders_are_no_findings(db: None) -> None:
    assert findings(order_ids=[], stage="command", at=AT) == {}
    assert findings(order_ids=[12345], stage="command", at=AT) == {}


# --- words and the table ------------------------------------------------------------------------------


@pytest.mark.debts_by_hand
@pytest.mark.parametrize(("code", "trip"), TRIPS)
def test_every_finding_has_words_in_both_languages_and_survives_being_kept(
    order: CutoffOrder, code: str, trip: Change
) -> None:
    trip(order)
    [finding] = of(order)

    kept = Finding.from_json(finding.as_json())

    assert kept == finding
    for language in ("en", "zh-hans"):
        with translation.override(language):
            text = finding_text(kept)
            assert text
            assert "%(" not in text


def test_a_finding_is_told_by_the_clock_of_the_branch(order: CutoffOrder) -> None:
    held("promise", until=local(15, 17), amount=Decimal("100.00"))(order)
    [finding] = of(order)

    with timezone.override("America/New_York"):
        assert finding_text(finding) == "The customer has promised to pay CNY 100.00, until Fri 15 Mar 2024 17:00"


def test_the_table_of_guards_follows_the_rule_pack() -> None:
    china, britain, australia = (standards.pack(name) for name in ("cn-sgcc", "gb", "au"))

    off = {
        name: {code for code, guard in GUARDS.items() if not guard.is_in_force(pack)}
        for name, pack in (("cn", china), ("gb", britain), ("au", australia))
    }

    assert off == {
        "cn": {"winter"},
        "gb": {"heat", "too_early", "warning_missing"},
        "au": {"cold", "winter", "too_early", "warning_missing"},
    }
    assert {path: text_of(rule) for path, rule in GUARDS["cold"].rules_of(china).items()} == {
        "protections.cold": "-5 °C", "protections.forecast_ahead": "72 hours", "protections.forecast_age": "24 hours",
    }  # fmt: skip


def test_every_rule_of_the_table_is_a_rule_of_a_pack() -> None:
    known = {rule.path for name in ("cn-sgcc", "gb", "au") for rule in standards.pack(name).rules()}

    assert {path for guard in GUARDS.values() for path in (*guard.rules, *guard.limits)} <= known


def test_the_age_of_the_data_is_told_for_the_branch(city: SmallCity, order: CutoffOrder) -> None:
    pays("settled")(order)
    Payment.objects.update(received_at=AT - timedelta(hours=2))

    assert data_age(city.east) == {
        "statements": AT - timedelta(hours=1),
        "payments": AT - timedelta(hours=2),
        "forecast": AT - timedelta(hours=2),
    }
    assert data_age(city.west) == {"statements": None, "payments": None, "forecast": AT - timedelta(hours=2)}
