"""A batch is put together: who is in it, who is not and why, the window, the rates, the history."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from billing_cutoffs.models import BillingAccount, CutoffBatch, CutoffOrder, CutoffStep, Grade
from billing_cutoffs.services import batches
from billing_cutoffs.services.batches import (
    NotEditable,
    NothingToApprove,
    NothingToPropose,
    RateTooHigh,
    batch_change,
    batch_preview,
    batch_propose,
    batch_submit,
    batch_withdraw,
    order_exclude,
    orders_add,
)
from billing_cutoffs.services.decisions import batch_undo
from billing_cutoffs.services.windows import WindowTooSoon
from grid.models import Customer, ServicePoint
from outages.lifecycle import IllegalTransition
from standards.errors import Conflict, DomainError, Forbidden, NotFound
from tests.billing.proposing import everything, proposed, states, steps, submitted, window
from tests.billing.world import crowd_of_debtors, debtor, debtor_at
from tests.factories.grid import SmallCity


def refusals(refused: Any) -> list[tuple[str, str]]:
    return [(one.account_number, one.code) for one in refused]


# --- who is in it -------------------------------------------------------------------------------------


def test_everybody_in_arrears_for_long_enough_is_proposed(city: SmallCity, ben: Actor) -> None:
    wang = debtor(city, "SP0002", days=31, amount="812.30")
    debtor(city, "SP0001", days=30)
    debtor(city, "SP0005", days=90)  # of the west

    made = batch_propose(actor=ben, branch_id=city.east.pk, note=" first of the month ", **window(city.east))

    order = CutoffOrder.objects.get()
    assert (made.batch.state, made.batch.author_id, made.batch.note) == ("draft", ben.user_id, "first of the month")
    assert (made.batch.rate_per_hour, made.batch.rate_per_feeder_hour) == (600, 60)
    assert made.batch.rule_pack == "cn-sgcc@2026.1"
    assert (order.batch_id, order.state, order.amount, order.method) == (
        made.batch.pk, "eligible", Decimal("812.30"), "remote",
    )  # fmt: skip
    assert (order.service_point_id, order.branch_id) == (wang.service_point_id, city.east.pk)
    assert order.feeder_id == city.id("F1")
    assert order.case_id == wang.cases.get().pk
    assert (order.reference[:2], made.batch.reference[:2]) == ("N-", "B-")
    assert list(order.steps.values_list("verb", "after", "actor_name")) == [("propose", "eligible", "Ben")]
    step = CutoffStep.objects.get(batch=made.batch, order=None)
    assert (step.verb, step.facts["orders"], step.facts["amount"]) == ("propose", 1, "812.30")
    assert step.facts["left_out"] == {"too_early": 1}


def test_a_batch_of_the_company_reaches_into_its_branches(city: SmallCity, ben: Actor, vera: Actor) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0005")
    boss = Actor(kind="user", name="Company", user_id=ben.user_id, grants=vera.grants + ben.grants)

    with pytest.raises(Forbidden):
        batch_propose(actor=boss, branch_id=city.bureau.pk, **window(city.bureau))
    made = batch_propose(actor=Actor.system("company"), branch_id=city.bureau.pk, **window(city.bureau))

    assert states(made.batch) == {"1000000001": "eligible", "1000000004": "eligible"}
    assert set(made.batch.orders.values_list("branch", flat=True)) == {city.east.pk, city.west.pk}


def test_a_grade_may_ask_for_more_days_and_chooses_whose_accounts(city: SmallCity, ben: Actor) -> None:
    patient = Grade.objects.create(code="patient", name_zh="缓", name_en="patient", rank=900, cut_after_days=60)
    usual = Grade.objects.create(code="usual", name_zh="常", name_en="usual", rank=901)
    debtor(city, "SP0001", days=60, grade=patient)
    debtor(city, "SP0002", days=60, grade=usual)
    debtor(city, "SP0003", days=61, grade=patient)

    found = batch_preview(actor=ben, branch_id=city.east.pk, grade_codes=["patient"])

    assert (found.orders, found.left_out) == (1, {"too_early": 1})
    assert batch_preview(actor=ben, branch_id=city.east.pk).orders == 2
    assert CutoffBatch.objects.count() == 0


def test_accounts_named_one_by_one_are_refused_with_the_reason(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001", days=45)
    debtor(city, "SP0002", days=10)
    debtor(city, "SP0003", days=45)  # life support
    debtor(city, "SP0005", days=45)  # of the west

    made = batch_propose(
        actor=ben, branch_id=city.east.pk, **window(city.east),
        account_numbers=["1000000003", "1000000001", "1000000002", "1000000004", "nobody", "1000000001"],
    )  # fmt: skip

    assert states(made.batch) == {"1000000001": "eligible"}
    assert refusals(made.refused) == [
        ("1000000003", "protected"),
        ("1000000002", "too_early"),
        ("1000000004", "unknown_account"),
        ("nobody", "unknown_account"),
    ]
    assert all(one.words for one in made.refused)


def test_important_customers_are_the_companys_decision(city: SmallCity) -> None:
    debtor(city, "SP0006", amount="9000.00")
    west, numbers = city.west, ["1000000005"]

    with pytest.raises(NothingToPropose):
        batch_propose(actor=Actor.system("x"), branch_id=west.pk, account_numbers=numbers, **window(west))
    made = batch_propose(
        actor=Actor.system("x"), branch_id=west.pk, account_numbers=numbers, level="company", **window(west)
    )

    assert states(made.batch) == {"1000000005": "eligible"}


def test_who_is_protected_is_in_the_batch_and_held_with_the_reason(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0003")

    batch = proposed(city.east, ben)

    assert states(batch) == {"1000000001": "eligible", "1000000003": "held"}
    held = CutoffOrder.objects.get(state="held")
    assert [hold["code"] for hold in held.holds] == ["life_support"]
    assert CutoffStep.objects.get(batch=batch, order=None).facts["held"] == 1


@pytest.mark.parametrize(("amount", "code"), [("19.99", "small_debt"), ("20.00", None)])
def test_nobody_is_cut_for_small_debts(city: SmallCity, ben: Actor, amount: str, code: str | None) -> None:
    debtor(city, "SP0001", amount=amount)

    found = batch_preview(actor=ben, branch_id=city.east.pk, account_numbers=["1000000001"])

    assert refusals(found.refused) == ([("1000000001", code)] if code else [])
    assert found.orders == (0 if code else 1)


def test_a_place_is_in_one_open_order_at_most(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    first = proposed(city.east, ben)

    with pytest.raises(NothingToPropose):
        proposed(city.east, ben)
    found = batch_preview(actor=ben, branch_id=city.east.pk, account_numbers=["1000000001"])

    assert refusals(found.refused) == [("1000000001", "in_another_order")]
    assert list(CutoffBatch.objects.all()) == [first]


def test_a_debt_without_a_grading_waits_and_one_without_a_place_is_held(city: SmallCity, ben: Actor) -> None:
    placeless = debtor(city, "SP0001")  # of the customer's two places, nobody says which
    BillingAccount.objects.filter(pk=placeless.pk).update(service_point=None)
    ungraded = debtor(city, "SP0002")
    ungraded.cases.update(closed_at=timezone.now())

    found = batch_preview(actor=ben, branch_id=city.east.pk)

    assert found.left_out == {"not_graded": 1}
    order = proposed(city.east, ben).orders.get()
    assert order.service_point == city.service_points["SP0001"]
    assert [hold["code"] for hold in order.holds] == ["place_unknown"]


def test_a_meter_without_a_switch_is_cut_by_a_person(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001", has_remote_switch=False)

    assert proposed(city.east, ben).orders.get().method == "field"


def test_who_may_not_propose_proposes_nothing(city: SmallCity, dora: Actor, otto: Actor) -> None:
    debtor(city, "SP0001")
    for actor in (dora, otto):
        with pytest.raises(Forbidden):
            proposed(city.east, actor)
    with pytest.raises(NotFound):
        batch_propose(actor=otto, branch_id=0, **window(city.east))

    assert (CutoffBatch.objects.count(), CutoffOrder.objects.count()) == (0, 0)


def test_the_statements_do_not_grow_with_the_orders(city: SmallCity, ben: Actor) -> None:
    counts: list[int] = []
    for number in (2, 60):
        made = crowd_of_debtors(city, number, transformer="T11") if not counts else _crowd_behind(city, number)
        with CaptureQueriesContext(connection) as seen:
            batch = proposed(city.east, ben)
        assert batch.orders.count() == len(made)
        counts.append(len(seen))

    assert counts[1] <= counts[0]


def _crowd_behind(city: SmallCity, number: int) -> list[BillingAccount]:
    """Debtors beside those who are in an open order already."""
    element = city.elements["T12"]
    points = [
        ServicePoint(
            code=f"E{i:05d}", meter_number=f"ME{i:05d}", element=element, branch=element.branch,
            customer=Customer.objects.create(account_number=f"4{i:09d}", name=f"户{i}", branch=element.branch),
        )
        for i in range(number)
    ]  # fmt: skip
    return [debtor_at(point) for point in ServicePoint.objects.bulk_create(points)]


# --- the window and the rates ---------------------------------------------------------------------------


def test_an_impossible_window_proposes_nothing(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")

    with pytest.raises(WindowTooSoon):
        proposed(city.east, ben, **_tomorrow(city))

    assert (CutoffBatch.objects.count(), CutoffOrder.objects.count()) == (0, 0)


def _tomorrow(city: SmallCity) -> dict[str, Any]:
    day = timezone.now().astimezone(ZoneInfo(city.east.time_zone)) + timedelta(days=1)
    opens = day.replace(hour=9, minute=0, second=0, microsecond=0)
    return {"window_from": opens, "window_until": opens + timedelta(hours=6)}


@pytest.mark.parametrize("name", ["rate_per_hour", "rate_per_feeder_hour"])
@pytest.mark.parametrize("rate", [0, 100_000])
def test_rates_may_only_be_lowered(city: SmallCity, ben: Actor, name: str, rate: int) -> None:
    debtor(city, "SP0001")

    with pytest.raises(RateTooHigh) as refused:
        proposed(city.east, ben, **{name: rate})

    assert refused.value.field == name
    assert CutoffBatch.objects.count() == 0
    assert getattr(proposed(city.east, ben, **{name: 10}), name) == 10


# --- changed while it is with its author --------------------------------------------------------------


def test_accounts_are_excluded_with_a_reason_and_taken_in_again(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0002")
    batch = proposed(city.east, ben)
    chen = batch.orders.get(service_point__code="SP0001")

    excluded = order_exclude(actor=ben, order_id=chen.pk, reason="He pays tomorrow, in cash")
    assert (excluded.state, excluded.state_reason) == ("cancelled", "excluded")
    assert excluded.steps.last().note == "He pays tomorrow, in cash"  # type: ignore[union-attr]

    refused = orders_add(actor=ben, reference=batch.reference, account_numbers=["1000000001", "1000000002"])
    assert refusals(refused) == [("1000000002", "in_another_order")]
    assert batch.orders.filter(state="eligible").count() == 2
    assert steps(batch) == ["propose", "add"]


def test_an_exclusion_says_why(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    batch = proposed(city.east, ben)
    before = everything(batch)

    with pytest.raises(DomainError) as refused:
        order_exclude(actor=ben, order_id=batch.orders.get().pk, reason="  ")

    assert refused.value.field == "reason"
    assert everything(batch) == before


def test_what_was_handed_in_cannot_be_changed_until_it_is_taken_back(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    batch = submitted(city.east, ben)
    before = everything(batch)

    for change in (
        lambda: order_exclude(actor=ben, order_id=batch.orders.get().pk, reason="x"),
        lambda: orders_add(actor=ben, reference=batch.reference, account_numbers=["1000000002"]),
        lambda: batch_change(actor=ben, reference=batch.reference, **window(city.east)),
    ):
        with pytest.raises(NotEditable):
            change()
    assert everything(batch) == before

    batch_withdraw(actor=ben, reference=batch.reference)
    later = window(city.east, days=12)
    batch_change(actor=ben, reference=batch.reference, note="later", rate_per_hour=20, **later)

    batch.refresh_from_db()
    assert (batch.state, batch.window_from, batch.rate_per_hour, batch.note) == (
        "draft", later["window_from"], 20, "later",
    )  # fmt: skip
    assert steps(batch) == ["propose", "submit", "withdraw", "change"]


def test_a_batch_is_handed_in_by_its_branch_and_only_once(
    city: SmallCity, ben: Actor, otto: Actor, dora: Actor
) -> None:
    debtor(city, "SP0001")
    batch = proposed(city.east, ben)
    for actor in (otto, dora):
        with pytest.raises(Forbidden):
            batch_submit(actor=actor, reference=batch.reference)
    with pytest.raises(Conflict):
        batch_submit(actor=ben, reference=batch.reference, expected_version=99)

    after = batch_submit(actor=ben, reference=batch.reference, expected_version=1)

    assert (after.state, after.submitted_by_id, after.version) == ("submitted", ben.user_id, 2)
    assert after.data_age["statements"] is not None
    with pytest.raises(IllegalTransition):
        batch_submit(actor=ben, reference=batch.reference)


def test_a_batch_without_anything_to_carry_out_is_not_handed_in(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0003")
    batch = proposed(city.east, ben)
    before = everything(batch)

    with pytest.raises(NothingToApprove):
        batch_submit(actor=ben, reference=batch.reference)

    assert everything(batch) == before


def test_a_batch_that_waited_too_long_needs_another_window(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    batch = proposed(city.east, ben)
    CutoffBatch.objects.filter(pk=batch.pk).update(**_tomorrow(city))

    with pytest.raises(WindowTooSoon):
        batch_submit(actor=ben, reference=batch.reference)
    assert CutoffBatch.objects.get(pk=batch.pk).state == "draft"


def test_a_batch_has_an_end(city: SmallCity, ben: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0002")
    monkeypatch.setattr(batches, "MOST_ORDERS", 1)

    with pytest.raises(batches.TooMany):
        proposed(city.east, ben)

    assert CutoffBatch.objects.count() == 0


def test_a_grade_that_the_company_decides_is_not_cut_by_a_station(city: SmallCity, ben: Actor) -> None:
    grade = Grade.objects.create(code="schools", name_zh="学校", name_en="Schools", rank=1, level="company")
    debtor(city, "SP0001", grade=grade)
    debtor(city, "SP0002")

    station = proposed(city.east, ben)

    held = station.orders.get(state="held")
    assert held.service_point.code == "SP0001"
    assert [(said["code"], said["needs"], said["detail"]) for said in held.holds] == [
        ("important", "never", {"why": "grade"})
    ]
    batch_undo(actor=ben, reference=station.reference, reason="once more")
    named = batch_propose(
        actor=ben, branch_id=city.east.pk, account_numbers=["1000000001", "1000000002"], **window(city.east)
    )
    assert [(one.account_number, one.code) for one in named.refused] == [("1000000001", "protected")]
    batch_undo(actor=ben, reference=named.batch.reference, reason="once more")
    assert states(proposed(city.east, ben, level="company")) == {"1000000001": "eligible", "1000000002": "eligible"}
