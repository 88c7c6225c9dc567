"""The agent's card: nothing of a debt before the caller is checked, everything that helps afterwards, nothing later."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import AccessEvent, User
from billing_cutoffs.models import (
    AccountHold,
    BillingAccount,
    CutComplaint,
    CutoffOrder,
    HoldKind,
    Payment,
    PaymentStatus,
)
from call_center import services
from call_center.models import Call, IdentityCheck
from outages.faults.models import TroubleReport
from outages.faults.services import fault_log
from standards.errors import DomainError, Forbidden, NotFound
from tests.billing import world
from tests.factories import accounts
from tests.factories.grid import SmallCity

BOTH = ["holder", "address"]
DEBT_WORDS = ("欠费", "320", "overdue", "unpaid", "disconnected", "Window of the cut", "non-payment")


@pytest.fixture
def mei_user(city: SmallCity) -> User:
    return accounts.mei(city.bureau)


@pytest.fixture
def mei(mei_user: User) -> Actor:
    return accounts.actor_of(mei_user)


@pytest.fixture
def desk(client: Client, mei_user: User) -> Client:
    client.force_login(mei_user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def account(city: SmallCity) -> BillingAccount:
    return world.debtor(city)


@pytest.fixture
def cut(account: BillingAccount, city: SmallCity, ben: Actor) -> CutoffOrder:
    """Chen's flat was cut off eight minutes ago."""
    return world.order(account, world.batch(city.east, ben), state="disconnected")


@pytest.fixture
def call(mei: Actor, city: SmallCity) -> Call:
    return services.call_start(actor=mei, service_point_id=city.service_points["SP0001"].pk)


def page(desk: Client, call: Call, name: str = "call") -> str:
    response = desk.get(reverse(f"call_center:{name}", args=[call.key]))
    assert response.status_code == 200
    return str(response.content.decode())


def says_nothing(text: str, order: CutoffOrder) -> bool:
    assert order.outage is not None
    found = [word for word in (*DEBT_WORDS, order.reference, order.outage.reference) if word in text]
    assert found == []
    return True


def checked(mei: Actor, call: Call, items: list[str] = BOTH) -> IdentityCheck:
    return services.identity_confirm(actor=mei, key=call.key, items=items)


# --- before ---------------------------------------------------------------------------------------------------------


def test_before_the_check_nothing_is_said_not_even_that_there_is_a_debt(
    desk: Client, call: Call, cut: CutoffOrder
) -> None:
    text = page(desk, call)

    assert says_nothing(text, cut)
    assert "An agent needs to check the supply at your premises with you." in text
    assert "verify identity first" in text


def test_the_same_form_stands_there_for_everybody(desk: Client, call: Call) -> None:
    text = page(desk, call)

    assert "verify identity first" in text
    assert "The caller has confirmed" in text


def test_a_cut_that_is_coming_is_not_hinted_at(
    desk: Client, call: Call, account: BillingAccount, city: SmallCity, ben: Actor
) -> None:
    order = world.order(
        account, world.batch(city.east, ben, opens=timezone.now() + timedelta(hours=5)), state="noticed"
    )

    text = page(desk, call)

    assert says_nothing(text, order)
    assert "We know of no outage at your premises." in text


# --- the check ------------------------------------------------------------------------------------------------------


def test_two_items_are_kept_with_who_and_when_and_stand_in_the_access_log(
    desk: Client, call: Call, mei_user: User, cut: CutoffOrder
) -> None:
    response = desk.post(reverse("call_center:identity", args=[call.key]), {"items": BOTH})

    assert response.status_code == 302
    check = IdentityCheck.objects.get()
    assert (check.call, check.service_point, check.items) == (call, call.service_point, BOTH)
    assert (check.by, check.withdrawn_at) == (mei_user, None)
    event = AccessEvent.objects.get(object_type="arrears")
    assert (event.verb, event.outcome, event.object_ref) == ("reveal", "done", "SP0001")
    assert event.detail == {"items": BOTH}


@pytest.mark.parametrize("items", [[], ["holder"], ["holder", "holder"], ["holder", "shoe size"]])
def test_too_little_is_refused_and_nothing_is_said(
    desk: Client, call: Call, cut: CutoffOrder, items: list[str]
) -> None:
    response = desk.post(reverse("call_center:identity", args=[call.key]), {"items": items})

    assert response.status_code == 422
    assert says_nothing(response.content.decode(), cut)
    assert not IdentityCheck.objects.exists()


def test_how_much_must_be_confirmed_is_the_sites_own_choice(mei: Actor, call: Call, settings: Any) -> None:
    settings.IDENTITY_ITEMS = 3

    with pytest.raises(DomainError) as refusal:
        checked(mei, call)

    assert refusal.value.code == "too_few_items"
    assert checked(mei, call, [*BOTH, "number"]).items == [*BOTH, "number"]


def test_the_amount_last_paid_is_named_by_the_caller_and_compared(
    desk: Client, mei: Actor, call: Call, account: BillingAccount
) -> None:
    Payment.objects.create(
        source_system="bank", payment_id="P1", account_number="1", account=account, amount=Decimal("88.50"),
        status=PaymentStatus.SETTLED, paid_at=timezone.now() - timedelta(days=70),
    )  # fmt: skip
    address = reverse("call_center:identity", args=[call.key])

    wrong = desk.post(address, {"items": ["holder", "payment"], "paid": "80"})

    assert (wrong.status_code, "88.5" in wrong.content.decode()) == (422, False)
    assert AccessEvent.objects.get(object_type="arrears").outcome == "refused"
    assert not IdentityCheck.objects.exists()
    assert desk.post(address, {"items": ["holder", "payment"], "paid": "88.5"}).status_code == 302
    assert IdentityCheck.objects.get().items == ["holder", "payment"]


def test_clicked_twice_it_is_one_check(mei: Actor, call: Call) -> None:
    assert checked(mei, call) == checked(mei, call)

    assert (IdentityCheck.objects.count(), AccessEvent.objects.filter(object_type="arrears").count()) == (1, 1)


# --- after ----------------------------------------------------------------------------------------------------------


def test_after_the_check_amount_cause_and_way_back_are_said_in_both_languages(
    desk: Client, mei: Actor, call: Call, cut: CutoffOrder
) -> None:
    checked(mei, call)

    text = page(desk, call)

    assert "您的账户目前欠费320.00元" in text
    assert "Your account is overdue by CNY 320.00" in text
    assert "因欠费停电。缴清欠费后我们会尽快安排复电。" in text
    assert "现在缴清，最迟" in text
    assert "Paid now, the power is back by" in text
    assert "A payment switches it on again; nobody needs to call." in text
    assert 'value="billing" selected' in text
    assert cut.outage is not None
    assert f'href="/outages/{cut.outage.reference}/"' not in text  # an agent may not open it


def test_the_refreshed_card_knows_of_the_check_as_well(desk: Client, mei: Actor, call: Call, cut: CutoffOrder) -> None:
    assert says_nothing(page(desk, call, "card"), cut)

    checked(mei, call)

    assert "因欠费停电" in page(desk, call, "card")


def test_with_the_feeder_out_as_well_both_are_said(
    desk: Client, mei: Actor, call: Call, cut: CutoffOrder, city: SmallCity
) -> None:
    asha = accounts.actor_of(accounts.asha(city.bureau))
    now = timezone.now()
    fault_log(
        actor=asha, element_ids=city.ids("F1"), started_at=now - timedelta(hours=1), etr=now + timedelta(hours=2),
        etr_source="operator",
    )  # fmt: skip
    checked(mei, call)

    text = page(desk, call)

    assert "只缴费不会马上来电" in text
    assert "Paying alone does not bring it back" in text


def test_a_coming_cut_is_told_with_its_window_and_its_proofs(
    desk: Client, mei: Actor, call: Call, account: BillingAccount, city: SmallCity, ben: Actor
) -> None:
    world.order(account, world.batch(city.east, ben, opens=timezone.now() + timedelta(hours=5)), state="noticed")
    checked(mei, call)

    text = page(desk, call)

    assert "unless the account is paid, your supply may be cut off between" in text
    assert "the power will be off" not in text
    assert "cut-off letter" in text
    assert "handed over" in text


def test_holds_are_shown_and_a_medical_need_is_not_named(
    desk: Client, mei: Actor, call: Call, account: BillingAccount, cut: CutoffOrder
) -> None:
    AccountHold.objects.create(account=account, kind=HoldKind.MEDICAL, reason="dialysis at home", set_by_name="x")
    AccountHold.objects.create(account=account, kind=HoldKind.DISPUTE, set_by_name="x")
    checked(mei, call)

    text = page(desk, call)

    assert "protected from a cut" in text
    assert "disputed bill" in text
    assert "medical" not in text
    assert "dialysis" not in text


@pytest.mark.parametrize(
    ("state", "due", "sentence"),
    [
        ("reconnect_commanded", timedelta(hours=20), "The account is settled; we reconnect you by"),
        ("reconnect_failed", timedelta(hours=20), "somebody goes there"),
        ("reconnect_commanded", timedelta(hours=-1), "reconnecting you takes longer than we said"),
    ],
)
def test_once_it_is_paid_the_promise_is_said_and_not_repeated_when_it_is_broken(
    desk: Client, mei: Actor, call: Call, account: BillingAccount, city: SmallCity, ben: Actor, state: str,
    due: timedelta, sentence: str,
) -> None:  # fmt: skip
    from billing_cutoffs.services import record

    order = world.order(account, world.batch(city.east, ben), state=state)
    CutoffOrder.objects.filter(pk=order.pk).update(reconnect_due_at=timezone.now() + due)
    record.record_promise(order=order, actor=world.CLOCK, due_at=timezone.now() + due)
    checked(mei, call)

    assert sentence in page(desk, call)


def test_an_account_that_billing_never_mentioned_says_so(desk: Client, mei: Actor, call: Call) -> None:
    checked(mei, call)

    assert "Billing has told us nothing of this account." in page(desk, call)


# --- how long it lasts ----------------------------------------------------------------------------------------------


def test_not_the_customer_after_all_closes_it_again(desk: Client, mei: Actor, call: Call, cut: CutoffOrder) -> None:
    checked(mei, call)

    desk.post(reverse("call_center:identity_withdraw", args=[call.key]))

    assert IdentityCheck.objects.get().withdrawn_at is not None
    assert says_nothing(page(desk, call), cut)


def test_other_premises_need_another_check(
    desk: Client, mei: Actor, call: Call, cut: CutoffOrder, city: SmallCity
) -> None:
    services.call_choose_premises(actor=mei, key=call.key, service_point_id=city.service_points["SP0002"].pk)
    checked(mei, call)
    services.call_choose_premises(actor=mei, key=call.key, service_point_id=city.service_points["SP0001"].pk)

    assert says_nothing(page(desk, call), cut)


def test_the_agent_to_whom_the_call_is_put_through_checks_again(city: SmallCity, cut: CutoffOrder, mei: Actor) -> None:
    lin_user = accounts.user_with("agent", city.bureau, username="lin")
    lin = accounts.actor_of(lin_user)
    call = services.call_pop(actor=mei, call_id="c1")
    services.call_choose_premises(actor=mei, key=call.key, service_point_id=city.service_points["SP0001"].pk)
    checked(mei, call)
    services.call_pop(actor=lin, call_id="c1")
    browser = Client()
    browser.force_login(lin_user, backend="django.contrib.auth.backends.ModelBackend")

    assert says_nothing(page(browser, call), cut)
    assert checked(lin, call).by == lin_user
    assert [check.withdrawn_at is None for check in IdentityCheck.objects.all()] == [False, True]


def test_when_the_call_is_over_nothing_of_it_is_shown_any_more(
    desk: Client, mei: Actor, call: Call, cut: CutoffOrder, city: SmallCity
) -> None:
    checked(mei, call)
    told = desk.get(reverse("call_center:call", args=[call.key])).context["answer"].told
    desk.post(reverse("call_center:log", args=[call.key]), {"reason": "billing", "scope": "unknown", "told": told})

    call.refresh_from_db()
    assert (call.outage, call.said_is_private, "欠费" in call.said_zh) == (cut.outage, True, True)
    assert says_nothing(page(desk, call), cut)
    assert says_nothing(desk.get("/console/calls/").content.decode(), cut)
    assert says_nothing(desk.get("/console/?done").content.decode(), cut)
    again = services.call_start(actor=mei, service_point_id=city.service_points["SP0001"].pk)
    assert says_nothing(page(desk, again), cut)
    assert not TroubleReport.objects.exists()


def test_an_administrator_reads_what_was_said_of_outages_and_not_of_debts(
    client: Client, mei: Actor, call: Call, cut: CutoffOrder
) -> None:
    checked(mei, call)
    Call.objects.filter(pk=call.pk).update(
        said_is_private=True, said_zh="因欠费停电", outage=cut.outage, reason="billing", ended_at=timezone.now()
    )
    ada = accounts.ada()
    ada.is_staff = ada.is_superuser = True
    ada.save(update_fields=["is_staff", "is_superuser"])
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")

    response = client.get(reverse("admin:call_center_call_change", args=[call.pk]))

    assert response.status_code == 200
    assert says_nothing(response.content.decode(), cut)


@pytest.mark.parametrize("role", ["dispatcher", "planner", "auditor", "billing_clerk"])
def test_only_agents_check_callers(city: SmallCity, call: Call, role: str) -> None:
    other = accounts.actor_of(accounts.user_with(role, city.bureau))

    with pytest.raises((Forbidden, NotFound)):
        checked(other, call)

    assert not IdentityCheck.objects.exists()


# --- what the caller asks for ---------------------------------------------------------------------------------------


def asks(desk: Client, call: Call, what: str, **data: str) -> Any:
    return desk.post(reverse(f"call_center:{what}", args=[call.key]), data)


def test_a_promise_to_pay_bars_the_cut_until_that_day_is_over(
    desk: Client, mei: Actor, call: Call, account: BillingAccount, city: SmallCity
) -> None:
    checked(mei, call)
    day = world.today(city.east).date() + timedelta(days=3)

    response = asks(desk, call, "hold", kind="promise", until=day.isoformat(), reason="wages come on Friday")

    assert response.status_code == 302
    hold = AccountHold.objects.get()
    assert (hold.account, hold.kind, hold.reason) == (account, "promise", "wages come on Friday")
    assert hold.until is not None
    assert hold.until.astimezone(world.today(city.east).tzinfo).date() == day + timedelta(days=1)
    assert hold.set_by_id == mei.user_id


def test_a_medical_hold_is_not_an_agents_word(desk: Client, mei: Actor, call: Call, account: BillingAccount) -> None:
    checked(mei, call)
    day = timezone.localdate() + timedelta(days=3)

    assert asks(desk, call, "hold", kind="medical", until=day.isoformat()).status_code == 422
    assert not AccountHold.objects.exists()


@pytest.mark.parametrize("what", ["hold", "complaint", "safe"])
def test_nothing_is_asked_for_an_unchecked_caller(
    desk: Client, call: Call, cut: CutoffOrder, city: SmallCity, what: str
) -> None:
    day = timezone.localdate() + timedelta(days=3)

    response = asks(desk, call, what, kind="promise", until=day.isoformat(), text="unfair")

    assert response.status_code in (302, 403)
    assert says_nothing(response.content.decode(), cut)
    assert not AccountHold.objects.exists()
    assert not CutComplaint.objects.exists()
    cut.refresh_from_db()
    assert cut.is_safe_at is None


def test_the_customer_says_that_it_is_safe(desk: Client, mei: Actor, call: Call, cut: CutoffOrder) -> None:
    checked(mei, call)

    assert asks(desk, call, "safe").status_code == 302

    cut.refresh_from_db()
    assert cut.is_safe_at is not None
    assert cut.steps.filter(verb="safe", actor_name=mei.name).exists()


def test_a_complaint_counts_once_however_it_is_taken_down(
    desk: Client, mei: Actor, call: Call, cut: CutoffOrder, account: BillingAccount
) -> None:
    checked(mei, call)

    asks(desk, call, "complaint", text="I paid last week")
    services.call_log(actor=mei, key=call.key, reason="complaint", note="I paid last week")

    complaint = CutComplaint.objects.get()
    assert (complaint.account, complaint.text) == (account, "I paid last week")
    assert (complaint.source_system, complaint.source_ref, complaint.by_name) == ("console", str(call.key), mei.name)


def test_a_call_logged_as_a_complaint_about_cut_premises_counts_without_a_check(
    mei: Actor, call: Call, cut: CutoffOrder
) -> None:
    services.call_log(actor=mei, key=call.key, reason="complaint", note="you cut me off!")

    assert CutComplaint.objects.get().text == "you cut me off!"


def test_a_complaint_where_nothing_is_cut_is_no_complaint_about_a_cut(
    mei: Actor, call: Call, account: BillingAccount
) -> None:
    services.call_log(actor=mei, key=call.key, reason="complaint", note="the bill is too high")

    assert not CutComplaint.objects.exists()
