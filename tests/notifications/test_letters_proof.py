"""What became of a letter, and what proves it; a letter taken back is not sent, whoever dies on the way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from grid.models import ContactPoint
from notifications import letters, sending, services
from notifications.letters import LetterProof, LetterState
from notifications.models import Channel, Delivery, DeliveryState, Lane, Letter, Notice
from tests.factories.grid import SmallCity
from tests.notifications.post import draft, issue, proof, receipt, withdraw
from tests.notifications.test_kills import deliver, gate_held, killed, wait_until_states
from tests.notifications.world import leases_end, nothing_broken, states, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


# --- the proof --------------------------------------------------------------------------------------


def test_a_receipt_proves_that_a_letter_arrived_and_acceptance_does_not(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    wang = city.customers["wang"]
    issued = issue(city, draft(city, "wang"))
    assert proof(issued, wang).state == LetterState.WAITING
    turn()
    sent = proof(issued, wang)
    assert (sent.state, sent.delivered_at, sent.delivered_by, sent.failure) == (LetterState.SENT, None, None, "")

    receipt(Delivery.objects.get(channel="sms"), "DELIVRD")
    turn()

    arrived, row = proof(issued, wang), Delivery.objects.get(channel="sms")
    assert (arrived.state, arrived.delivered_at, arrived.delivered_by) == (
        LetterState.DELIVERED, row.done_at, Channel.SMS,
    )  # fmt: skip
    assert {(one.channel, one.state, one.address) for one in arrived.deliveries} == {
        (Channel.SMS, DeliveryState.DELIVERED, "+86138****8002"),
        (Channel.EMAIL, DeliveryState.ACCEPTED, "w***@example.com"),
    }
    withdraw(issued.values())
    assert proof(issued, wang).state == LetterState.DELIVERED


def test_a_dead_number_fails_with_its_reason(city: SmallCity, sms: SmsGateway) -> None:
    chen, wang = city.customers["chen"], city.customers["wang"]
    sms.behave("bad_number", times=1)
    first = issue(city, draft(city, "chen"))
    turn()
    second = issue(city, draft(city, "wang"), origin="test:2", channels=[Channel.SMS])
    turn()
    receipt(Delivery.objects.get(customer_id=wang.pk), "UNDELIV")
    turn()

    assert (proof(first, chen).state, proof(first, chen).failure) == (LetterState.FAILED, "INVALID_NUMBER")
    assert (proof(second, wang).state, proof(second, wang).failure) == (LetterState.FAILED, "UNDELIV")
    nothing_broken()


def test_an_address_that_has_changed_since_is_not_shown_as_the_one_written_to(city: SmallCity, sms: SmsGateway) -> None:
    issued = issue(city, draft(city, "chen"))
    turn()
    ContactPoint.objects.filter(customer=city.customers["chen"]).update(value="+8613911111111")

    [message] = proof(issued, city.customers["chen"]).deliveries
    assert (message.state, message.address) == (DeliveryState.ACCEPTED, "")


def test_whoever_left_no_address_has_a_letter_that_says_so(city: SmallCity, sms: SmsGateway) -> None:
    ContactPoint.objects.filter(customer=city.customers["chen"]).delete()

    issued = issue(city, draft(city, "chen"))
    turn()

    assert proof(issued, city.customers["chen"]) == LetterProof(LetterState.NO_ADDRESS, None, None, "", ())
    assert Notice.objects.get().planned_count == 0
    nothing_broken()


def test_a_letter_is_not_sent_after_its_time(city: SmallCity, sms: SmsGateway) -> None:
    issued = issue(city, draft(city, "chen"))
    Notice.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    turn()

    assert (states(), sms.journal) == ({"EXPIRED": 1}, [])
    assert (proof(issued, city.customers["chen"]).state, proof(issued, city.customers["chen"]).failure) == (
        LetterState.FAILED, "expired",
    )  # fmt: skip


# --- taking it back ---------------------------------------------------------------------------------


def test_a_letter_withdrawn_before_it_leaves_is_not_sent(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    chen, wang = city.customers["chen"], city.customers["wang"]
    issued = issue(city, draft(city, "chen"), draft(city, "wang"))

    assert (withdraw([issued[wang.pk]]), withdraw([issued[wang.pk]])) == (1, 0)
    turn()

    assert told() == {
        ("陈静", "sms", "letter"): "ACCEPTED",
        ("王伟", "sms", "letter"): "SUPERSEDED",
        ("王伟", "email", "letter"): "SUPERSEDED",
    }
    assert (proof(issued, chen).state, proof(issued, wang).state) == (LetterState.SENT, LetterState.WITHDRAWN)
    assert (len(sms.journal), smtp.messages) == (1, [])
    nothing_broken()


def test_a_withdrawal_that_is_rolled_back_takes_nothing_back(city: SmallCity, sms: SmsGateway) -> None:
    issued = issue(city, draft(city, "chen"))
    with transaction.atomic():
        letters.letters_withdraw(letter_ids=issued.values())
        transaction.set_rollback(True)

    turn()

    assert proof(issued, city.customers["chen"]).state == LetterState.SENT


def test_a_letter_withdrawn_between_claim_and_gate_is_not_sent(city: SmallCity, sms: SmsGateway) -> None:
    issued = issue(city, draft(city, "chen"), draft(city, "wang"), channels=[Channel.SMS])
    claim = sending.deliveries_claim(channel="sms", lane=Lane.PLANNED, account="sms")
    assert claim is not None
    assert len(claim.keys) == 2
    withdraw([issued[city.customers["wang"].pk]])

    passed = sending.gate(token=claim.token, keys=claim.keys, account="sms")

    [kept] = Delivery.objects.filter(state=DeliveryState.SENDING)
    assert passed == {(kept.day, kept.id)}
    assert kept.customer_id == city.customers["chen"].pk
    [refused] = Delivery.objects.exclude(state=DeliveryState.SENDING)
    assert (refused.state, refused.error_code) == (DeliveryState.SUPERSEDED, "withdrawn")
    nothing_broken()


def test_a_letter_in_doubt_is_not_sent_again_once_it_is_withdrawn(city: SmallCity, smtp: SmtpServer) -> None:
    issued = issue(city, draft(city, "wang"), channels=[Channel.EMAIL])
    with connection.cursor() as db:  # nobody knows whether it went out
        db.execute("UPDATE notifications_delivery SET state = 7, done_at = now() - interval '1 hour'")
    withdraw(issued.values())

    turn()

    assert (states(), smtp.messages) == ({"UNKNOWN": 1}, [])


def test_the_proof_finds_a_letter_sent_after_its_withdrawal(city: SmallCity, sms: SmsGateway) -> None:
    issue(city, draft(city, "chen"))
    turn()

    Letter.objects.update(withdrawn_at=timezone.now() - timedelta(minutes=1))

    assert list(services.invariants_broken()) == ["a withdrawn letter is not sent afterwards"]


# --- senders that die -------------------------------------------------------------------------------


@pytest.mark.faults
def test_a_sender_killed_with_a_letter_in_hand_does_not_send_it_twice(
    city: SmallCity, smtp: SmtpServer, sms: SmsGateway
) -> None:
    issue(city, draft(city, "chen"))
    services.days_open()
    with gate_held(), deliver(smtp) as process:
        wait_until_states({"LEASED": 1}, process)
        killed(process)
    assert sms.journal == []

    leases_end()
    turn()
    turn()

    assert (states(), len(sms.journal), sms.repeats) == ({"ACCEPTED": 1}, 1, [])
    nothing_broken()
