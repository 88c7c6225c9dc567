"""Other people decide about a batch: approved, seconded, returned; stopped, resumed, taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import standards
from accounts.actor import Actor
from accounts.models import User
from billing_cutoffs.models import AccountHold, CutoffBatch, CutoffOrder, CutoffStep, DebtNotice
from billing_cutoffs.policies import OwnBatch, WrongLevel
from billing_cutoffs.services.batches import NothingToApprove, batch_change, batch_check, batch_submit, orders_add
from billing_cutoffs.services.decisions import (
    CountDiffers,
    NoSecondNeeded,
    NotConfirmed,
    WindowOver,
    batch_approve,
    batch_resume,
    batch_return,
    batch_second,
    batch_stop,
    batch_undo,
)
from billing_cutoffs.services.guards import orders_guard
from billing_cutoffs.services.windows import WindowTooSoon
from outages.lifecycle import IllegalTransition
from standards.errors import Conflict, DomainError, Forbidden
from tests.billing.proposing import approved, everything, proposed, settled, states, steps, submitted, window
from tests.billing.world import batch as batch_of
from tests.billing.world import crowd_of_debtors, debtor, order
from tests.factories import accounts
from tests.factories.grid import SmallCity

DAY = timedelta(days=1)


def agree(batch: CutoffBatch, actor: Actor, count: int, **facts: Any) -> CutoffBatch:
    return batch_approve(actor=actor, reference=batch.reference, typed_count=count, **{"is_confirmed": True, **facts})


@pytest.fixture
def handed_in(city: SmallCity, ben: Actor) -> CutoffBatch:
    """Two orders that can be carried out, and one on life support that is held."""
    for code in ("SP0001", "SP0002", "SP0003"):
        debtor(city, code)
    return submitted(city.east, ben)


@pytest.fixture
def two_needed(city: SmallCity, ben: Actor, monkeypatch: pytest.MonkeyPatch) -> CutoffBatch:
    """Three orders where the rule pack asks for a further approver above two."""
    pack = standards.pack("cn-sgcc")
    few = pack.arrears.four_eyes_above.model_copy(update={"value": 2})
    strict = pack.model_copy(update={"arrears": pack.arrears.model_copy(update={"four_eyes_above": few})})
    monkeypatch.setattr(standards, "pack", lambda _name: strict)
    crowd_of_debtors(city, 3)
    return submitted(city.east, ben)


@pytest.fixture
def third(city: SmallCity) -> Actor:
    return accounts.actor_of(accounts.user_with("approver", city.east, username="third"))


# --- approving ----------------------------------------------------------------------------------------


def test_an_approved_batch_approves_what_can_be_carried_out_and_leaves_out_what_is_held(
    handed_in: CutoffBatch, otto: Actor
) -> None:
    after = agree(handed_in, otto, 2, expected_version=handed_in.version)

    assert (after.state, after.approved_by_id, after.approved_count) == ("approved", otto.user_id, 2)
    assert states(after) == {"1000000001": "approved", "1000000002": "approved", "1000000003": "held"}
    assert steps(after) == ["propose", "submit", "approve"]
    assert CutoffStep.objects.get(batch=after, order=None, verb="approve").facts == {
        "executable": 2, "needs_second": False,
    }  # fmt: skip


def test_what_is_freed_after_the_approval_is_proposed_and_not_approved(
    city: SmallCity, ben: Actor, otto: Actor
) -> None:
    debtor(city, "SP0001")
    account = debtor(city, "SP0002")
    hold = AccountHold.objects.create(account=account, kind="dispute", set_by_name="x")
    batch = approved(city.east, ben, otto)
    hold.delete()

    with transaction.atomic():
        orders_guard(order_ids=list(batch.orders.values_list("pk", flat=True)), stage="propose", actor=ben)

    assert states(batch) == {"1000000001": "approved", "1000000002": "eligible"}


def test_nobody_approves_their_own_batch(city: SmallCity, handed_in: CutoffBatch) -> None:
    ben_user = User.objects.get(username="ben")
    accounts.user_with("approver", city.east, username="ben")
    both = accounts.actor_of(ben_user)
    before = everything(handed_in)

    with pytest.raises(OwnBatch):
        agree(handed_in, both, 2)
    assert everything(handed_in) == before

    with pytest.raises(IntegrityError), transaction.atomic():
        CutoffBatch.objects.filter(pk=handed_in.pk).update(
            approved_by=ben_user, approved_at=timezone.now(), state="approved"
        )


def test_a_batch_of_the_company_is_approved_over_all_branches(
    city: SmallCity, ben: Actor, otto: Actor, vera: Actor
) -> None:
    debtor(city, "SP0001")
    batch = submitted(city.east, ben, level="company")
    before = everything(batch)

    with pytest.raises(WrongLevel):
        agree(batch, otto, 1)
    assert everything(batch) == before

    assert agree(batch, vera, 1).state == "approved"


def test_who_may_not_approve_approves_nothing(handed_in: CutoffBatch, dora: Actor, city: SmallCity) -> None:
    other = accounts.actor_of(accounts.user_with("approver", city.west, username="other"))
    machine = Actor(kind="service", name="machine", scopes=frozenset({"cutoff:draft", "cutoff:read"}))
    before = everything(handed_in)

    for actor in (dora, other, machine):
        with pytest.raises(Forbidden):
            agree(handed_in, actor, 2)

    assert everything(handed_in) == before


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ({"count": 3}, CountDiffers),
        ({"count": 2, "is_confirmed": False}, NotConfirmed),
        ({"count": 2, "expected_version": 1}, Conflict),
    ],
)
def test_whoever_approves_has_looked(
    handed_in: CutoffBatch, otto: Actor, facts: dict[str, Any], refusal: type[DomainError]
) -> None:
    before = everything(handed_in)

    with pytest.raises(refusal):
        agree(handed_in, otto, **facts)

    assert everything(handed_in) == before


@pytest.mark.debts_by_hand
def test_a_payment_between_reading_and_approving_is_noticed(handed_in: CutoffBatch, otto: Actor) -> None:
    settled("1000000001")
    before = everything(handed_in)

    with pytest.raises(CountDiffers) as refused:
        agree(handed_in, otto, 2)

    assert str(refused.value) == "1 orders can be carried out now, not 2: look at the batch again."
    assert everything(handed_in) == before
    batch_check(actor=otto, reference=handed_in.reference)
    assert states(handed_in) == {"1000000001": "cancelled", "1000000002": "eligible", "1000000003": "held"}
    assert agree(handed_in, otto, 1).approved_count == 1


@pytest.mark.debts_by_hand
def test_a_batch_of_which_nothing_is_left_is_not_approved(handed_in: CutoffBatch, otto: Actor) -> None:
    settled("1000000001", "1000000002", "1000000003")

    with pytest.raises(NothingToApprove):
        agree(handed_in, otto, 0)


def test_too_late_for_the_letters_is_too_late_for_the_approval(handed_in: CutoffBatch, otto: Actor) -> None:
    earlier = DAY * (handed_in.window_from - timezone.now()).days  # the same hours, less than a day from now
    CutoffBatch.objects.filter(pk=handed_in.pk).update(
        window_from=handed_in.window_from - earlier, window_until=handed_in.window_until - earlier
    )

    with pytest.raises(WindowTooSoon):
        agree(handed_in, otto, 2)


# --- a third person -----------------------------------------------------------------------------------


def test_a_large_batch_waits_for_a_third_person(two_needed: CutoffBatch, ben: Actor, otto: Actor, third: Actor) -> None:
    first = agree(two_needed, otto, 3)

    assert first.state == "approved"
    assert set(states(first).values()) == {"eligible"}  # so no letter goes out
    before = everything(first)
    for actor, refusal in ((otto, OwnBatch), (ben, Forbidden)):
        with pytest.raises(refusal):
            batch_second(actor=actor, reference=first.reference, typed_count=3, is_confirmed=True)
    with pytest.raises(CountDiffers):
        batch_second(actor=third, reference=first.reference, typed_count=2, is_confirmed=True)
    assert everything(first) == before

    after = batch_second(actor=third, reference=first.reference, typed_count=3, is_confirmed=True)

    assert (after.seconded_by_id, set(states(after).values())) == (third.user_id, {"approved"})
    assert steps(after) == ["propose", "submit", "approve", "second"]
    with pytest.raises(NoSecondNeeded):
        batch_second(actor=third, reference=first.reference, typed_count=3, is_confirmed=True)


def test_the_database_knows_that_the_third_is_a_third(two_needed: CutoffBatch, otto: Actor) -> None:
    agree(two_needed, otto, 3)

    for name in ("otto", "ben"):
        with pytest.raises(IntegrityError), transaction.atomic():
            CutoffBatch.objects.filter(pk=two_needed.pk).update(seconded_by=User.objects.get(username=name))


def test_a_small_batch_needs_no_third(handed_in: CutoffBatch, otto: Actor, third: Actor) -> None:
    agree(handed_in, otto, 2)

    with pytest.raises(NoSecondNeeded):
        batch_second(actor=third, reference=handed_in.reference, typed_count=2, is_confirmed=True)


# --- returned -----------------------------------------------------------------------------------------


def test_a_returned_batch_is_its_authors_again(handed_in: CutoffBatch, ben: Actor, otto: Actor) -> None:
    with pytest.raises(DomainError):
        batch_return(actor=otto, reference=handed_in.reference, reason=" ")

    after = batch_return(actor=otto, reference=handed_in.reference, reason="Leave out No. 501")

    assert (after.state, after.state_reason, after.submitted_by_id) == ("returned", "Leave out No. 501", None)
    assert batch_submit(actor=ben, reference=after.reference).state == "submitted"
    assert steps(after) == ["propose", "submit", "return", "submit"]


# --- stopped and resumed ------------------------------------------------------------------------------


def test_a_batch_is_stopped_by_whoever_has_to_do_with_it_and_resumed_by_an_approver(
    city: SmallCity, ben: Actor, otto: Actor, dora: Actor
) -> None:
    batch = batch_of(city.east, ben, state="running", approved_at=timezone.now())
    with pytest.raises(Forbidden):
        batch_stop(actor=dora, reference=batch.reference, reason="x")
    with pytest.raises(DomainError):
        batch_stop(actor=ben, reference=batch.reference, reason="")

    stopped = batch_stop(actor=ben, reference=batch.reference, reason="Storm")
    assert (stopped.state, stopped.state_reason) == ("stopped", "Storm")
    with pytest.raises(Forbidden):
        batch_resume(actor=ben, reference=batch.reference, reason="over")

    resumed = batch_resume(actor=otto, reference=batch.reference, reason="The storm is over")
    assert (resumed.state, resumed.state_reason) == ("running", "")
    assert steps(batch) == ["stop", "resume"]


def test_nothing_is_resumed_after_its_window(city: SmallCity, ben: Actor, otto: Actor) -> None:
    over = timezone.now() - DAY
    batch = batch_of(city.east, ben, state="stopped", opens=over, approved_at=over)

    with pytest.raises(WindowOver):
        batch_resume(actor=otto, reference=batch.reference, reason="x")

    assert CutoffBatch.objects.get(pk=batch.pk).state == "stopped"


# --- taken back ---------------------------------------------------------------------------------------


@pytest.fixture
def under_way(city: SmallCity, ben: Actor) -> CutoffBatch:
    """A batch of which every kind of order is there: not switched, on its way, off."""
    batch = batch_of(city.east, ben, state="running", approved_at=timezone.now())
    reached = ("eligible", "approved", "noticed", "warned", "failed", "commanded", "disconnected", "paid")
    for account, state in zip(crowd_of_debtors(city, len(reached)), reached, strict=True):
        order(account, batch, state=state)
    return batch


def test_one_action_takes_back_everything_that_has_not_been_executed(under_way: CutoffBatch, ben: Actor) -> None:
    after = batch_undo(actor=ben, reference=under_way.reference, reason="Wrong month")

    assert (after.state, after.state_reason) == ("undone", "Wrong month")
    assert list(under_way.orders.order_by("pk").values_list("state", flat=True)) == [
        *["cancelled"] * 5, "commanded", "disconnected", "paid",
    ]  # fmt: skip
    assert set(under_way.orders.filter(state="cancelled").values_list("state_reason", flat=True)) == {"undone"}
    assert not DebtNotice.objects.filter(order__state="cancelled", void_at=None).exists()
    step = CutoffStep.objects.get(batch=after, order=None, verb="undo")
    assert (step.note, step.facts) == ("Wrong month", {"ended": 5, "off": 3, "switched_on": 0})
    with pytest.raises(IllegalTransition):
        batch_undo(actor=ben, reference=under_way.reference, reason="again")


def test_what_is_off_is_switched_on_again_if_asked(under_way: CutoffBatch, otto: Actor) -> None:
    batch_undo(actor=otto, reference=under_way.reference, reason="Wrong month", reconnect_all=True)

    off = under_way.orders.order_by("pk").filter(state__in=["commanded", "reconnect_commanded"])
    assert list(off.values_list("state", flat=True)) == ["commanded", "reconnect_commanded", "reconnect_commanded"]
    assert all(one.is_wrongful and one.reconnect_due_at is not None for one in off)
    facts = CutoffStep.objects.get(batch=under_way, order=None, verb="undo").facts
    assert facts == {"ended": 5, "off": 3, "switched_on": 3}


def test_taking_back_needs_a_reason_and_a_right(under_way: CutoffBatch, ben: Actor, dora: Actor) -> None:
    before = everything(under_way)

    with pytest.raises(DomainError):
        batch_undo(actor=ben, reference=under_way.reference, reason="")
    with pytest.raises(Forbidden):
        batch_undo(actor=dora, reference=under_way.reference, reason="x")

    assert everything(under_way) == before


def test_taking_back_many_takes_as_many_statements_as_taking_back_few(city: SmallCity, ben: Actor) -> None:
    people = crowd_of_debtors(city, 90)
    counts: list[int] = []
    for some in (people[:30], people[30:]):
        batch = batch_of(city.east, ben, state="approved", approved_at=timezone.now())
        for account in some:
            order(account, batch, state="approved")
        with CaptureQueriesContext(connection) as seen:
            batch_undo(actor=ben, reference=batch.reference, reason="Wrong month")
        counts.append(len(seen))

    assert counts[1] == counts[0]
    assert CutoffOrder.objects.exclude(state="cancelled").count() == 0


def test_a_draft_is_taken_back_too(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0001")
    batch = proposed(city.east, ben)

    batch_undo(actor=ben, reference=batch.reference, reason="Not this month")

    assert states(batch) == {"1000000001": "cancelled"}
    assert proposed(city.east, ben).orders.count() == 1


def test_a_second_one_is_still_needed_after_a_stop(two_needed: CutoffBatch, otto: Actor, third: Actor) -> None:
    agree(two_needed, otto, 3)
    batch_stop(actor=otto, reference=two_needed.reference, reason="a question first")

    after = batch_resume(actor=otto, reference=two_needed.reference, reason="answered")

    assert (after.state, set(states(after).values())) == ("approved", {"eligible"})
    second = batch_second(actor=third, reference=after.reference, typed_count=3, is_confirmed=True)
    assert set(states(second).values()) == {"approved"}


def test_whoever_added_accounts_or_moved_the_window_does_not_approve(
    city: SmallCity, ben: Actor, otto: Actor, handed_in: CutoffBatch
) -> None:
    both = [accounts.actor_of(accounts.user_with("approver", city.east, username=name)) for name in ("ann", "bob")]
    adds, moves = [
        accounts.actor_of(accounts.user_with("billing_clerk", city.east, username=actor.name.lower())) for actor in both
    ]
    batch_return(actor=otto, reference=handed_in.reference, reason="add the neighbour")
    (neighbour,) = crowd_of_debtors(city, 1)
    number = neighbour.customer.account_number
    assert orders_add(actor=adds, reference=handed_in.reference, account_numbers=[number]) == ()
    batch_change(actor=moves, reference=handed_in.reference, **window(city.east, days=12))
    batch = batch_submit(actor=ben, reference=handed_in.reference)
    count = batch.orders.filter(state="eligible").count()
    before = everything(batch)

    for actor in (adds, moves):
        with pytest.raises(OwnBatch):
            agree(batch, actor, count)
    assert everything(batch) == before

    assert agree(batch, otto, count).state == "approved"
