"""Every answer of a provider has one honest class, and only what is provably unsent is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from accounts.actor import Actor
from grid.models import ContactKind, ContactPoint
from notifications import channels, fanout, router, sending
from notifications.models import Attempt, Delivery, DeliveryState, ProviderAccount, RateBucket, Suppression
from standards.http_gateway import filled
from tests.factories.grid import SmallCity
from tests.notifications.world import GATEWAY, nothing_broken, off, states, told, turn, waits_end
from tests.peers.sms_gateway import Mode, SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


def one_sms(city: SmallCity, asha: Actor) -> Delivery:
    """One text message to life support, tried once."""
    off(city, asha, "T12")
    turn()
    return Delivery.objects.get()


@pytest.mark.parametrize(
    ("mode", "state", "code"),
    [
        ("ok", "ACCEPTED", ""),
        ("drop", "UNKNOWN", "RemoteProtocolError"),
        ("garble", "UNKNOWN", "garbled"),
        ("empty", "UNKNOWN", "garbled"),
        ("no_id", "UNKNOWN", "no_id"),
        ("fail", "UNKNOWN", "500"),
        ("hang", "UNKNOWN", "ReadTimeout"),
        ("error_in_200", "PENDING", "BUSINESS_LIMIT"),
        ("throttle", "PENDING", "429"),
        ("denied", "PENDING", "401"),
        ("bad_number", "FAILED", "INVALID_NUMBER"),
    ],
)
def test_an_answer_is_classed_by_the_contract(
    city: SmallCity, asha: Actor, sms: SmsGateway, mode: Mode, state: str, code: str
) -> None:
    sms.behave(mode)

    row = one_sms(city, asha)

    assert (DeliveryState(row.state).name, row.error_code) == (state, code)
    [attempt] = Attempt.objects.all()
    assert attempt.ended_at is not None
    assert attempt.answer == code
    nothing_broken()


def test_nobody_listening_is_provably_unsent_and_tried_again(
    city: SmallCity, asha: Actor, sms: SmsGateway, settings: Settings
) -> None:
    path = Path(settings.SMS_GATEWAY)
    good = path.read_text(encoding="utf-8")
    path.write_text(GATEWAY.format(url="http://127.0.0.1:9"), encoding="utf-8")
    row = one_sms(city, asha)
    assert (row.state, row.error_code, row.attempts) == (DeliveryState.PENDING, "ConnectError", 1)

    path.write_text(good + "\n", encoding="utf-8")
    waits_end()
    turn()

    row = Delivery.objects.get()
    assert (row.state, row.attempts, len(sms.journal)) == (DeliveryState.ACCEPTED, 2, 1)


def test_a_bad_number_is_not_written_to_again(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    sms.behave("bad_number", times=1)
    row = one_sms(city, asha)
    assert Suppression.objects.values_list("channel", "reason").get() == ("sms", "bad_address")

    off(city, asha, "T12", kind="fault")
    turn()

    assert bytes(Suppression.objects.get().address_key) == bytes(row.address_key)
    assert states() == {"FAILED": 1, "SUPPRESSED": 1}
    assert sms.journal == []


def test_slow_down_does_not_use_up_a_try(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    sms.behave("throttle", times=1)
    row = one_sms(city, asha)
    assert row.attempts == 0
    assert RateBucket.objects.get(account="sms").slowed_until is not None

    RateBucket.objects.update(tokens=10)
    waits_end()
    turn()

    assert states() == {"ACCEPTED": 1}


def test_a_refused_account_stops_the_account_and_not_the_messages(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    sms.behave("denied")
    off(city, asha, "F1")
    turn()
    waits_end()
    turn()

    assert told()["王伟", "email", "new"] == "ACCEPTED"
    assert ProviderAccount.objects.get(name="sms").circuit_reason == "401"
    assert Delivery.objects.filter(channel="sms").exclude(state__in=[0, 1]).count() == 0
    sms.behave("ok")
    ProviderAccount.objects.update(circuit_open_until=None)
    waits_end()
    turn()
    assert states() == {"ACCEPTED": 4}


def test_no_more_is_claimed_than_the_rate_allows(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    ProviderAccount.objects.create(name="sms", channel="sms", rate=0.001, burst=2)
    RateBucket.objects.create(account_id="sms", tokens=2)
    off(city, asha, "F1")

    turn()

    assert len(sms.journal) == 2
    assert Delivery.objects.filter(channel="sms", state=0).count() == 1


def test_an_address_with_a_line_break_is_refused(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    ContactPoint.objects.create(
        customer=city.customers["life_support"], kind=ContactKind.EMAIL, value="li@example.com\r\nBcc: all@example.com"
    )

    off(city, asha, "T12")
    turn()

    assert told() == {("李桂英", "sms", "new"): "ACCEPTED", ("李桂英", "email", "new"): "FAILED"}
    assert smtp.messages == []


def test_a_place_with_a_line_break_stays_one_line(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "T11", place="East\r\nBcc: all@example.com\x00\u202e<b>{{ 7|add:7 }}</b>".replace("\x00", ""))

    turn()

    [mail] = smtp.messages
    assert mail["Subject"] == "停电通知：East Bcc: all@example.com <b>{{ 7|add:7 }}</b>"
    assert mail["Bcc"] is None
    assert "\n" not in sms.journal[0]["body"]["text"]


def test_a_mailbox_that_does_not_exist_fails_for_good(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    smtp.refuse_with = "550 no such user"
    off(city, asha, "T11")

    turn()

    row = Delivery.objects.get(channel="email")
    assert (row.state, row.error_code) == (DeliveryState.FAILED, "smtp_550")
    assert Suppression.objects.get().channel == "email"


def test_a_mail_server_that_is_away_is_tried_again(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway, settings: Settings
) -> None:
    here, settings.EMAIL_URL = smtp.url, "smtp://127.0.0.1:9"
    off(city, asha, "T11")
    turn()
    assert told()["王伟", "email", "new"] == "PENDING"

    settings.EMAIL_URL = here
    waits_end()
    turn()

    assert [mail["Message-ID"] for mail in smtp.messages] == [Delivery.objects.get(channel="email").provider_id]


def test_a_long_name_silences_nobody(city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway) -> None:
    off(city, asha, "T12", public_reason_zh="长" * 200, place="远" * 200, kind="fault")
    off(city, asha, "T11")
    ContactPoint.objects.filter(customer=city.customers["chen"]).delete()

    turn()

    assert told("new") == {
        ("李桂英", "sms", "new"): "ACCEPTED",  # long, but eight text messages hold it
        ("王伟", "sms", "new"): "ACCEPTED",
        ("王伟", "email", "new"): "ACCEPTED",
    }


def test_a_contact_that_vanished_after_the_plan_fails_alone(
    city: SmallCity, asha: Actor, smtp: SmtpServer, sms: SmsGateway
) -> None:
    off(city, asha, "F1")
    router.route_events()
    fanout.fan_out()
    ContactPoint.objects.filter(customer=city.customers["chen"]).delete()

    turn()

    assert told()["陈静", "sms", "new"] == "FAILED"
    assert states() == {"FAILED": 1, "ACCEPTED": 3}
    assert Delivery.objects.get(state=DeliveryState.FAILED).error_code == "no_address"


def test_a_broken_template_fails_its_messages_and_the_lane_goes_on(
    city: SmallCity, asha: Actor, sms: SmsGateway, settings: Settings, tmp_path: Path
) -> None:
    broken = tmp_path / "notifications" / "messages"
    broken.mkdir(parents=True)
    (broken / "new.en.txt").write_text("{% if %}", encoding="utf-8")
    engine = {**settings.TEMPLATES[0], "DIRS": [tmp_path, *settings.TEMPLATES[0]["DIRS"]]}
    settings.TEMPLATES = [engine]
    off(city, asha, "T21")  # Chen reads Chinese, Anna Smith English

    turn()

    assert told()["Anna Smith", "sms", "new"] == "FAILED"
    assert told()["陈静", "sms", "new"] == "ACCEPTED"
    assert Delivery.objects.filter(error_code="render_TemplateSyntaxError").exists()


# --- the gateway's file -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("request: {url: 'ftp://x'}", "request.url"),
        ("surprise: 1", "surprise"),
        ("success: {path: code, equals: OK}", "success.id"),
        ("rate: -1.0", "rate"),
        ("account: 'A B'", "account"),
    ],
)
def test_a_wrong_gateway_file_is_refused_with_its_place(tmp_path: Path, change: str, complaint: str) -> None:
    path = tmp_path / "gateway.yaml"
    key = change.partition(":")[0]
    kept = [part for part in ("request: {url: 'http://x/'}", "success: {id: id}") if not part.startswith(f"{key}:")]
    path.write_text("\n".join([*kept, change]), encoding="utf-8")

    with pytest.raises(ImproperlyConfigured, match=complaint):
        channels.gateway_read(path)


def test_a_secret_that_is_not_in_the_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "request: {url: 'http://x/', headers: {Authorization: 'Bearer ${SMS_TOKEN}'}}\nsuccess: {id: id}",
        encoding="utf-8",
    )
    monkeypatch.delenv("SMS_TOKEN", raising=False)
    with pytest.raises(ImproperlyConfigured, match="SMS_TOKEN"):
        channels.gateway_read(path)

    monkeypatch.setenv("SMS_TOKEN", "abc")
    assert channels.gateway_read(path).request.headers == {"Authorization": "Bearer abc"}


def test_what_is_filled_in_is_never_a_template_again() -> None:
    assert filled({"m": ["{text}", 1]}, {"text": "{to}", "to": "+86"}) == {"m": ["{to}", 1]}


def test_a_row_is_never_sent_by_two(city: SmallCity, asha: Actor, sms: SmsGateway) -> None:
    off(city, asha, "F1")
    router.route_events()
    fanout.fan_out()

    first = sending.deliveries_claim(channel="sms", lane=1, account="sms")
    second = sending.deliveries_claim(channel="sms", lane=1, account="sms")

    assert first is not None
    assert (len(first.keys), second) == (2, None)
