"""What bars the cut of an account: who may set it, how long it stands, who may end it, and what follows at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from billing_cutoffs.models import AccountHold, BillingAccount, CutoffOrder, CutoffStep, MeterCommand
from billing_cutoffs.services.guards import NoReason, OwnHold, orders_guard
from billing_cutoffs.services.holds import (
    BadUntil,
    DateMissing,
    HoldOver,
    NoAgreement,
    TooLong,
    UntilMissing,
    hold_release,
    hold_set,
    holds_receive,
)
from standards.errors import Forbidden, NotFound
from tests.billing.world import CLOCK, batch, crowd_of_debtors, debtor, order
from tests.factories import accounts
from tests.factories.grid import SmallCity

BILLING = Actor.system("billing")
DAY = timedelta(days=1)
CHEN = "1000000001"


@pytest.fixture
def mei(city: SmallCity) -> Actor:
    """The agent at the telephone."""
    return accounts.actor_of(accounts.mei(city.east))


@pytest.fixture
def account(open_city: SmallCity, any_day: Callable[[], None]) -> BillingAccount:
    made = debtor(open_city)
    any_day()
    return made


@pytest.fixture
def warned(open_city: SmallCity, ben: Actor, account: BillingAccount) -> CutoffOrder:
    running = batch(open_city.east, ben, state="running", approved_at=timezone.now())
    return order(account, running, state="warned")


def ahead(**by: float) -> Any:
    return timezone.now() + timedelta(**by)


def state_of(order: CutoffOrder) -> tuple[str, list[str]]:
    order.refresh_from_db()
    return order.state, [said["code"] for said in order.holds]


def everything() -> dict[str, list[dict[str, Any]]]:
    models: tuple[type[Model], ...] = (AccountHold, CutoffOrder, CutoffStep, MeterCommand)
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


# --- set by a person ----------------------------------------------------------------------------------


def test_an_agent_bars_a_cut_from_a_call_and_what_has_not_left_is_held(warned: CutoffOrder, mei: Actor) -> None:
    command = MeterCommand.objects.create(
        order=warned, purpose="disconnect", meter_number="M0001", expires_at=ahead(hours=3)
    )

    hold = hold_set(actor=mei, account_id=warned.case.account_id, kind="dispute", reason=" twice ", until=ahead(days=3))

    assert (hold.reason, hold.set_by_id, hold.set_by_name) == ("twice", mei.user_id, mei.name)
    assert state_of(warned) == ("held", ["dispute"])
    command.refresh_from_db()
    assert command.state == "withdrawn"


def test_once_it_is_over_by_itself_the_guards_see_it_no_more(warned: CutoffOrder, mei: Actor) -> None:
    hold = hold_set(actor=mei, account_id=warned.case.account_id, kind="promise", until=ahead(minutes=1))
    AccountHold.objects.filter(pk=hold.pk).update(since=ahead(days=-2), until=ahead(days=-1))
    with transaction.atomic():
        orders_guard(order_ids=[warned.pk], stage="propose", actor=CLOCK)

    assert state_of(warned) == ("warned", [])


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ({"kind": "dispute", "reason": "x", "until": -1}, BadUntil),
        ({"kind": "dispute", "reason": "x"}, UntilMissing),
        ({"kind": "keep_power", "reason": "x"}, UntilMissing),
        ({"kind": "other", "is_open_ended": True}, NoReason),
        ({"kind": "keep_power", "is_open_ended": True, "reason": " "}, NoReason),
        ({"kind": "promise"}, DateMissing),
        ({"kind": "promise", "is_open_ended": True}, DateMissing),
        ({"kind": "medical", "until": 91}, TooLong),
        ({"kind": "dispute", "reason": "x", "until": 1, "orders_reconnection": True}, NoAgreement),
    ],
)
def test_what_makes_no_sense_is_refused(
    warned: CutoffOrder, ben: Actor, facts: dict[str, Any], refusal: type[Exception]
) -> None:
    before = everything()
    if "until" in facts:
        facts = {**facts, "until": ahead(days=facts["until"])}

    with pytest.raises(refusal):
        hold_set(actor=ben, account_id=warned.case.account_id, **facts)

    assert everything() == before


def test_a_medical_need_stands_as_long_as_the_rules_allow(account: BillingAccount, mei: Actor) -> None:
    hold = hold_set(actor=mei, account_id=account.pk, kind="medical")

    assert hold.until == hold.since + 90 * DAY
    assert hold.reason == ""


def test_supply_is_kept_until_somebody_ends_it_if_that_is_said(account: BillingAccount, ben: Actor) -> None:
    hold = hold_set(actor=ben, account_id=account.pk, kind="keep_power", reason="examination", is_open_ended=True)

    assert hold.until is None


def test_foreigners_and_readers_set_nothing(account: BillingAccount, dora: Actor, otto: Actor, city: SmallCity) -> None:
    auditor = accounts.actor_of(accounts.user_with("auditor", city.east))

    for actor in (dora, otto, auditor):
        with pytest.raises(Forbidden):
            hold_set(actor=actor, account_id=account.pk, kind="medical")
    with pytest.raises(NotFound):
        hold_set(actor=otto, account_id=account.pk + 999, kind="medical")

    assert not AccountHold.objects.exists()


# --- an agreement instead of the payment --------------------------------------------------------------


def test_an_agreement_brings_back_what_is_off(open_city: SmallCity, account: BillingAccount, ben: Actor) -> None:
    off = order(account, batch(open_city.east, ben, state="running", approved_at=timezone.now()), state="disconnected")

    hold_set(
        actor=ben, account_id=account.pk, kind="promise", until=ahead(days=60), amount=Decimal("50.00"),
        orders_reconnection=True,
    )  # fmt: skip

    off.refresh_from_db()
    assert off.state == "reconnect_commanded"


def test_an_agent_makes_no_agreement(account: BillingAccount, mei: Actor) -> None:
    with pytest.raises(Forbidden):
        hold_set(actor=mei, account_id=account.pk, kind="promise", until=ahead(days=60), orders_reconnection=True)

    assert not AccountHold.objects.exists()


# --- ended early --------------------------------------------------------------------------------------


def test_another_person_ends_it_and_the_order_comes_back(warned: CutoffOrder, mei: Actor, otto: Actor) -> None:
    hold = hold_set(actor=mei, account_id=warned.case.account_id, kind="promise", until=ahead(days=9))

    hold_release(actor=otto, hold_id=hold.pk, reason="it was not paid")

    hold.refresh_from_db()
    assert (hold.released_by_id, hold.released_by_name, hold.release_reason) == (
        otto.user_id, otto.name, "it was not paid",
    )  # fmt: skip
    assert state_of(warned) == ("warned", [])


def test_nobody_ends_their_own_hold_not_even_past_the_services(
    city: SmallCity, account: BillingAccount, otto: Actor
) -> None:
    both = accounts.actor_of(accounts.user_with("billing_clerk", city.east, username="otto"))
    hold = hold_set(actor=both, account_id=account.pk, kind="promise", until=ahead(days=9))
    before = everything()

    with pytest.raises(OwnHold):
        hold_release(actor=both, hold_id=hold.pk, reason="changed my mind")
    with pytest.raises(IntegrityError), transaction.atomic():
        AccountHold.objects.update(released_by=both.user_id, released_at=timezone.now())

    assert everything() == before


def test_ending_takes_the_right_a_reason_and_a_standing_hold(
    account: BillingAccount, mei: Actor, ben: Actor, dora: Actor, otto: Actor
) -> None:
    hold = hold_set(actor=mei, account_id=account.pk, kind="promise", until=ahead(days=9))
    before = everything()

    for actor in (ben, dora, mei):
        with pytest.raises(Forbidden):
            hold_release(actor=actor, hold_id=hold.pk, reason="x")
    with pytest.raises(NoReason):
        hold_release(actor=otto, hold_id=hold.pk, reason=" ")
    assert everything() == before

    AccountHold.objects.update(since=ahead(days=-2), until=ahead(days=-1))
    with pytest.raises(HoldOver):
        hold_release(actor=otto, hold_id=hold.pk, reason="x")


# --- told by another system ---------------------------------------------------------------------------


def told(ref: str = "H1", **more: Any) -> dict[str, Any]:
    return {"ref": ref, "account_number": CHEN, "kind": "dispute", "since": "2026-01-05T08:00:00+08:00", **more}


def receive(*items: Any, actor: Actor = BILLING) -> list[str]:
    return [one.outcome for one in holds_receive(actor=actor, source_system="billing", items=items)]


def test_a_source_sets_moves_and_ends_its_hold(warned: CutoffOrder) -> None:
    assert receive(told(reason="bill of May")) == ["applied"]
    assert state_of(warned) == ("held", ["dispute"])
    assert receive(told(reason="bill of May")) == ["unchanged"]

    end = ahead(days=5)
    assert receive(told(reason="bill of May", until=end)) == ["applied"]
    hold = AccountHold.objects.get()
    assert (hold.until, hold.reason, hold.source_ref, hold.set_by_name) == (end, "bill of May", "H1", "billing")

    assert receive(told(reason="bill of May", until=end, ended_at=ahead(minutes=-1))) == ["applied"]
    assert state_of(warned) == ("warned", [])
    assert AccountHold.objects.get().released_by_name == "billing"


def test_what_a_person_has_ended_here_stays_ended(account: BillingAccount, otto: Actor) -> None:
    receive(told())
    hold_release(actor=otto, hold_id=AccountHold.objects.get().pk, reason="settled in person")
    before = everything()

    assert receive(told(until=ahead(days=9))) == ["unchanged"]

    assert everything() == before


def test_an_agreement_told_by_billing_brings_back_what_is_off(
    open_city: SmallCity, account: BillingAccount, ben: Actor
) -> None:
    off = order(account, batch(open_city.east, ben, state="running", approved_at=timezone.now()), state="disconnected")

    receive(told(kind="promise", amount="50.00", orders_reconnection=True))

    off.refresh_from_db()
    assert off.state == "reconnect_commanded"


def test_what_is_wrong_with_an_item_stops_no_other(account: BillingAccount, city: SmallCity) -> None:
    debtor(city, "SP0005")
    west = accounts.actor_of(accounts.user_with("billing_clerk", city.west))
    receive(told("known"))

    assert receive(
        told("good"),
        told("good", kind="other"),
        told("known", kind="medical"),
        told("nobody", account_number="99"),
        told(""),
        told("H2", kind="mood"),
        told("H3", until="2026-01-04T08:00:00+08:00"),
        told("H4", amount=50.0),
        told("H5", ended_at=ahead(days=1)),
        "H6",
    ) == [
        "applied", "duplicate_item", "hold_differs", "unknown_account", "missing", "bad_choice", "bad_time",
        "bad_amount", "bad_time", "bad_item",
    ]  # fmt: skip
    assert receive(told("west"), actor=west) == ["unknown_account"]
    assert set(AccountHold.objects.values_list("source_ref", "kind")) == {("known", "dispute"), ("good", "dispute")}


def test_many_are_taken_in_as_many_statements_as_one(open_city: SmallCity, any_day: Callable[[], None]) -> None:
    numbers = [account.customer.account_number for account in crowd_of_debtors(open_city, 30)]
    counted = []
    for some in (numbers[:1], numbers[1:]):
        with CaptureQueriesContext(connection) as asked:
            receive(*(told(f"R{number}", account_number=number) for number in some))
        counted.append(len(asked))

    assert counted[0] == counted[1]
    assert AccountHold.objects.count() == 30


def test_a_person_ends_no_hold_by_a_list_that_they_may_not_end_on_its_page(
    city: SmallCity, account: BillingAccount, ben: Actor, otto: Actor
) -> None:
    receive(told("H1"))  # of the source itself
    receive(told("H2", kind="other", reason="by Ben's list"), actor=ben)
    before = everything()

    for actor in (ben, accounts.actor_of(accounts.user_with("agent", city.bureau))):
        for end in ({"ended_at": ahead(minutes=-1)}, {"until": ahead(days=1)}):
            assert receive(told("H1", **end), actor=actor) == ["forbidden"]
    accounts.user_with("approver", city.east, username="ben")
    both = accounts.actor_of(User.objects.get(username="ben"))
    assert receive(told("H2", kind="other", reason="by Ben's list", ended_at=ahead(minutes=-1)), actor=both) == [
        "own_hold"
    ]
    assert everything() == before

    assert receive(told("H1", ended_at=ahead(minutes=-1)), actor=both) == ["applied"]
    ended = AccountHold.objects.get(source_ref="H1")
    assert (ended.released_by_id, ended.set_by_id) == (both.user_id, None)
    assert AccountHold.objects.get(source_ref="H2").set_by_id == both.user_id


def test_whoever_handed_in_the_list_is_not_the_second_person(
    account: BillingAccount, ben: Actor, city: SmallCity
) -> None:
    receive(told("H2", kind="dispute"), actor=ben)
    accounts.user_with("approver", city.east, username="ben")

    with pytest.raises(OwnHold):
        hold_release(
            actor=accounts.actor_of(User.objects.get(username="ben")), hold_id=AccountHold.objects.get().pk, reason="x"
        )


def test_an_agent_makes_no_agreement_by_a_list_either(
    open_city: SmallCity, account: BillingAccount, mei: Actor, ben: Actor
) -> None:
    off = order(account, batch(open_city.east, ben, state="running", approved_at=timezone.now()), state="disconnected")
    agreed = told(kind="promise", amount="50.00", orders_reconnection=True)
    before = everything()

    assert receive(agreed, actor=mei) == ["forbidden"]
    assert everything() == before

    assert receive(agreed, actor=ben) == ["applied"]
    off.refresh_from_db()
    assert off.state == "reconnect_commanded"
