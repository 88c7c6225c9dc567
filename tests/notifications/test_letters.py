"""Letters: each customer is told something of their own, and it can be stopped and taken back."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.actor import Actor
from accounts.scope import visible_to
from grid.models import ContactPoint, Customer
from notifications import letters, sending, services
from notifications.letters import LetterDraft, LetterState, LetterUnfit
from notifications.models import Channel, Delivery, DeliveryState, Lane, Letter, Notice, Suppression
from standards.errors import Forbidden
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.notifications.post import draft, issue, proof, withdraw
from tests.notifications.test_gate import night
from tests.notifications.world import crowd, in_hours, nothing_broken, states, told, turn, waits_end
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


# --- saying it --------------------------------------------------------------------------------------


def test_each_customer_is_written_to_in_words_of_their_own(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    chen, smith = (
        draft(city, "chen", "陈静：请缴费12.50元。"),
        draft(city, "smith", "Please pay 7.00.", subject="A bill"),
    )

    issued = issue(city, chen, smith)
    turn()

    assert {call["body"]["to"]: call["body"]["text"] for call in sms.journal} == {
        "+8613800138001": "陈静：请缴费12.50元。",
        "+8613800138004": "Please pay 7.00.",
    }
    [mail] = smtp.messages
    assert (mail["To"], mail["Subject"], mail["Content-Language"]) == ("anna@example.com", "A bill", "en")
    assert mail.get_content().split("\r\n\r\n") == ["Dear customer,", "Please pay 7.00.", "West branch\r\n"]
    assert dict(Letter.objects.values_list("pk", "text")) == {
        issued[chen.customer_id]: "陈静：请缴费12.50元。",
        issued[smith.customer_id]: "Please pay 7.00.",
    }
    assert Notice.objects.get().planned_count == 3
    nothing_broken()


def test_two_customers_at_one_telephone_get_a_letter_each(city: SmallCity, sms: SmsGateway) -> None:
    ContactPoint.objects.filter(kind="phone").update(value="+8613900000000")

    issue(city, draft(city, "chen", "第一封。"), draft(city, "wang", "第二封。"), channels=[Channel.SMS])
    turn()

    assert [call["body"]["to"] for call in sms.journal] == ["+8613900000000"] * 2
    assert sorted(call["body"]["text"] for call in sms.journal) == ["第一封。", "第二封。"]
    assert states() == {"ACCEPTED": 2}
    nothing_broken()


def test_only_the_wanted_channels_are_used(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    issued = issue(city, draft(city, "wang"), draft(city, "chen"), channels=[Channel.EMAIL])
    turn()

    assert told() == {("王伟", "email", "letter"): "ACCEPTED"}
    assert proof(issued, city.customers["chen"]).state == LetterState.NO_ADDRESS


def test_life_support_keeps_its_lane_and_its_night(city: SmallCity, smtp: SmtpServer, sms: SmsGateway) -> None:
    night(city.east)
    issue(city, draft(city, "life_support"), draft(city, "wang"), lane=Lane.BULK)

    turn()

    assert dict(Delivery.objects.values_list("customer_id", "lane")) == {
        city.customers["life_support"].pk: Lane.LIFE_SUPPORT,
        city.customers["wang"].pk: Lane.BULK,
    }
    assert told() == {
        ("李桂英", "sms", "letter"): "PENDING",
        ("王伟", "sms", "letter"): "PENDING",
        ("王伟", "email", "letter"): "ACCEPTED",
    }
    waits_end()  # the gate keeps the night too
    sending.channel_send(channel="sms")
    assert (states(), sms.journal) == ({"PENDING": 2, "ACCEPTED": 1}, [])


def test_what_is_exempt_rings_at_night(city: SmallCity, sms: SmsGateway) -> None:
    night(city.east)
    issue(city, draft(city, "chen"), quiet_exempt=True)

    turn()

    assert (states(), len(sms.journal)) == ({"ACCEPTED": 1}, 1)


def test_the_night_is_that_of_the_premises(city: SmallCity, sms: SmsGateway) -> None:
    night(city.west)
    shop = city.service_points["SP0004"]
    issue(city, draft(city, "chen", service_point_id=shop.pk))

    turn()

    row = Delivery.objects.get()
    assert (row.state, row.branch_id, row.service_point_id) == (DeliveryState.PENDING, city.west.pk, shop.pk)
    assert sms.journal == []


def test_a_letter_waits_for_its_hour(city: SmallCity, sms: SmsGateway) -> None:
    issue(city, draft(city, "chen"), not_before=in_hours(2))
    turn()
    assert (states(), sms.journal) == ({"PENDING": 1}, [])

    waits_end()
    turn()

    assert states() == {"ACCEPTED": 1}


def test_whoever_opted_out_is_not_written_to_unless_the_law_wants_it(city: SmallCity, sms: SmsGateway) -> None:
    chen = city.customers["chen"]
    ContactPoint.objects.filter(customer=chen).update(opted_out=True)

    polite = issue(city, draft(city, "chen", "提醒。"))
    lawful = issue(city, draft(city, "chen", "停电通知。"), origin="test:2", is_mandatory=True)
    turn()

    assert [call["body"]["text"] for call in sms.journal] == ["停电通知。"]
    assert (proof(polite, chen).state, proof(polite, chen).failure) == (LetterState.FAILED, "opted_out")
    assert proof(lawful, chen).state == LetterState.SENT
    nothing_broken()


def test_a_suppressed_address_is_not_written_to(city: SmallCity, sms: SmsGateway) -> None:
    issued = issue(city, draft(city, "chen"), is_mandatory=True)
    Suppression.objects.create(address_key=Delivery.objects.get().address_key, channel="sms", reason="bad_address")

    turn()

    assert (states(), sms.journal) == ({"SUPPRESSED": 1}, [])
    assert proof(issued, city.customers["chen"]).failure == "suppressed"


def test_the_same_issue_twice_is_written_once(city: SmallCity, sms: SmsGateway) -> None:
    first = issue(city, draft(city, "chen"), draft(city, "wang"))

    again = issue(city, draft(city, "chen", "别的话。"), draft(city, "wang"), draft(city, "hospital"))
    turn()

    assert again == first
    assert (Notice.objects.count(), Letter.objects.count()) == (1, 2)
    assert [call["body"]["text"] for call in sms.journal] == ["您有一封信。"] * 2


def test_four_who_issue_the_same_at_once_issue_it_once(city: SmallCity, sms: SmsGateway) -> None:
    barrier, issued = threading.Barrier(4), []

    def one() -> None:
        barrier.wait()
        issued.append(issue(city, draft(city, "chen"), draft(city, "wang"), channels=[Channel.SMS]))
        connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turn()

    assert (len(issued), len({tuple(sorted(letters.items())) for letters in issued})) == (4, 1)
    assert (Letter.objects.count(), states(), len(sms.journal)) == (2, {"ACCEPTED": 2}, 2)
    nothing_broken()


def test_nothing_to_say_writes_nothing(city: SmallCity) -> None:
    assert issue(city) == {}
    assert Notice.objects.count() == 0


@pytest.mark.parametrize("unfit", ["长" * 600, "", " \n"])
def test_what_does_not_fit_a_text_message_is_refused_with_all_others(city: SmallCity, unfit: str) -> None:
    with pytest.raises(LetterUnfit, match="L-wang"):
        issue(city, draft(city, "chen"), draft(city, "wang", unfit))

    assert (Notice.objects.count(), Letter.objects.count(), Delivery.objects.count()) == (0, 0, 0)


def test_a_line_break_does_not_get_into_a_message(city: SmallCity, smtp: SmtpServer) -> None:
    issue(city, draft(city, "wang", "一。\r\nBcc: 二。", subject="信\r\nBcc: x@example.com"), channels=[Channel.EMAIL])

    turn()

    [mail] = smtp.messages
    assert (mail["Subject"], mail["Bcc"]) == ("信 Bcc: x@example.com", None)
    assert (Letter.objects.get().text, smtp.recipients) == ("一。 Bcc: 二。", [["wang@example.com"]])


def test_a_customer_has_one_letter_of_an_issue(city: SmallCity) -> None:
    with pytest.raises(IntegrityError):
        issue(city, draft(city, "chen", "一。"), draft(city, "chen", "二。"))

    assert (Notice.objects.count(), Letter.objects.count(), Delivery.objects.count()) == (0, 0, 0)


def test_letters_are_written_with_what_they_follow_from_or_not_at_all(city: SmallCity) -> None:
    facts: dict[str, Any] = {"author": "ben", "branch_id": city.east.pk, "lane": Lane.BULK, "is_mandatory": True}
    with pytest.raises(ImproperlyConfigured):
        letters.letters_issue(origin="test:1", drafts=[draft(city, "chen")], expires_at=in_hours(1), **facts)

    assert (Notice.objects.count(), Letter.objects.count()) == (0, 0)


def test_five_hundred_letters_cost_as_many_statements_as_five(city: SmallCity) -> None:
    crowd(city, 500)
    customers = list(Customer.objects.filter(account_number__startswith="2").order_by("pk"))

    def statements(number: int) -> tuple[int, int, int]:
        drafts = [LetterDraft(c.pk, None, f"L{c.pk}", "信", f"{c.name}，您好。", "zh-hans") for c in customers[:number]]
        with CaptureQueriesContext(connection) as issuing:
            issued = issue(city, *drafts, origin=f"test:{number}")
        with CaptureQueriesContext(connection) as proving:
            assert len(letters.letters_proof(letter_ids=issued.values())) == number
        with CaptureQueriesContext(connection) as withdrawing:
            assert withdraw(issued.values()) == number
        return len(issuing), len(proving), len(withdrawing)

    assert statements(5) == statements(500)
    assert states() == {"SUPERSEDED": 505}
    nothing_broken()


# --- whose they are ---------------------------------------------------------------------------------


def test_letters_stop_and_go_on_by_whoever_may_stop_their_branch(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    issue(city, draft(city, "chen"))
    notice = Notice.objects.get()
    western = accounts.actor_of(accounts.user_with("dispatcher", city.west, username="wes"))
    with pytest.raises(Forbidden):
        services.notice_pause(notice_id=notice.pk, actor=western)
    services.notice_pause(notice_id=notice.pk, actor=asha)
    turn()
    assert (states(), sms.journal) == ({"PAUSED": 1}, [])

    services.notice_resume(notice_id=notice.pk, actor=asha)
    turn()

    assert (states(), len(sms.journal)) == ({"ACCEPTED": 1}, 1)


def test_a_letter_withdrawn_while_it_is_stopped_does_not_go_on(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    issued = issue(city, draft(city, "chen"))
    notice = Notice.objects.get()
    services.notice_pause(notice_id=notice.pk, actor=asha)
    turn()

    withdraw(issued.values())
    services.notice_resume(notice_id=notice.pk, actor=asha)
    turn()

    assert (states(), sms.journal) == ({"SUPERSEDED": 1}, [])


def test_letters_are_seen_in_their_branch_alone(city: SmallCity, asha: Actor) -> None:
    issue(city, draft(city, "chen"))
    western = accounts.actor_of(accounts.user_with("dispatcher", city.west, username="wes"))

    seen = [visible_to(who, Letter.objects.all()).count() for who in (asha, western)]
    assert (seen, visible_to(western, Notice.objects.all()).count()) == ([1, 0], 0)
