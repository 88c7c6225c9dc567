"""Signing in: by name and password, with a second factor, never by force, never in the wrong language."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.actor import Actor
from accounts.models import AccessEvent, User
from tests.factories.accounts import PASSWORD, asha, dora, mei

LOGIN = "/accounts/login/"


def sign_in(client: Client, username: str = "mei", password: str = PASSWORD, **extra: str) -> int:
    return int(client.post(LOGIN, {"login": username, "password": password}, **extra).status_code)  # type: ignore[arg-type]


def is_in(client: Client) -> bool:
    return client.get("/accounts/profile/").status_code == 200


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


def verbs() -> list[str]:
    return list(AccessEvent.objects.order_by("id").values_list("verb", flat=True))


@pytest.fixture(autouse=True)
def _mei(db: None) -> None:
    mei()


def test_pages_ask_for_a_login_and_come_back(client: Client) -> None:
    answer = client.get("/accounts/profile/")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/login/?next=/accounts/profile/"
    assert sign_in(client) == 302
    assert is_in(client)
    assert verbs() == ["login"]
    client.post("/accounts/logout/")
    assert not is_in(client)
    assert verbs() == ["login", "logout"]


def test_a_wrong_password_and_an_unknown_name_look_the_same(client: Client) -> None:
    wrong = client.post(LOGIN, {"login": "mei", "password": "x"}).content.decode()
    unknown = client.post(LOGIN, {"login": "nob", "password": "x"}).content.decode()
    assert "not correct" in wrong
    assert wrong.replace("mei", "nob").split("<form")[1:][0][-50:] == unknown.split("<form")[1:][0][-50:]
    assert verbs() == ["login_failed", "login_failed"]


def test_nobody_signs_up(client: Client) -> None:
    answer = client.post("/accounts/signup/", {"username": "eve", "password1": PASSWORD, "password2": PASSWORD})
    assert "made by administrators" in answer.content.decode()
    assert not User.objects.filter(username="eve").exists()


def test_passwords_are_reset_by_the_administrator_only(client: Client) -> None:
    assert "Your administrator gives you a new one." in client.get("/accounts/password/reset/").content.decode()
    assert client.post("/accounts/password/reset/", {"email": "mei@example.com"}).status_code == 405


def test_five_wrong_passwords_lock_the_name_from_that_address_for_a_quarter_of_an_hour(client: Client) -> None:
    assert [sign_in(client, password="wrong") for _ in range(5)] == [200, 200, 200, 200, 429]

    locked = client.post(LOGIN, {"login": "mei", "password": PASSWORD})

    assert locked.status_code == 429
    assert "15 min" in locked.content.decode()
    assert not is_in(client)
    assert verbs().count("locked_out") >= 1
    # another person there, and the same person elsewhere, are not locked
    dora()
    assert sign_in(Client(), "dora") == 302
    assert sign_in(Client(), REMOTE_ADDR="10.9.9.9") == 302
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert sign_in(client) == 302


def test_attempts_while_locked_do_not_prolong_the_lock(client: Client) -> None:
    start = timezone.now()
    with time_machine.travel(start) as clock:
        for _ in range(5):
            sign_in(client, password="wrong")
        clock.shift(timedelta(minutes=10))
        assert sign_in(client, password="wrong") == 429
        clock.shift(timedelta(minutes=6))
        assert sign_in(client) == 302


def test_a_disabled_user_cannot_sign_in_and_is_thrown_out(client: Client, admin_actor: Actor) -> None:
    sign_in(client)
    services.user_set_active(actor=admin_actor, user=User.objects.get(username="mei"), is_active=False)
    assert not is_in(client)
    sign_in(client)
    assert not is_in(client)


def test_a_new_password_ends_the_other_sessions(client: Client, admin_actor: Actor) -> None:
    sign_in(client)
    password = services.user_reset_password(actor=admin_actor, user=User.objects.get(username="mei"))
    assert not is_in(client)
    assert sign_in(client) == 200
    assert sign_in(client, password=password) == 302


def test_the_login_page_offers_both_languages_and_remembers(client: Client) -> None:
    assert 'value="zh-hans"' in client.get(LOGIN).content.decode()
    client.post("/i18n/setlang/", {"language": "zh-hans", "next": LOGIN})
    assert '<html lang="zh-hans"' in client.get(LOGIN).content.decode()


def test_a_persons_language_holds_from_the_login_on(client: Client) -> None:
    User.objects.filter(username="mei").update(language="zh-hans")
    sign_in(client)
    assert '<html lang="zh-hans"' in client.get("/accounts/profile/").content.decode()


# --- second factor ----------------------------------------------------------------------------------


def with_second_factor(username: str = "mei") -> str:
    user, secret = User.objects.get(username=username), generate_totp_secret()
    TOTP.activate(user, secret)
    RecoveryCodes.activate(user)
    return str(secret)


def test_with_a_second_factor_the_password_is_not_enough(client: Client) -> None:
    secret = with_second_factor()
    answer = client.post(LOGIN, {"login": "mei", "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert not is_in(client)
    assert client.get("/accounts/2fa/authenticate/").status_code == 200
    assert "Incorrect code" in client.post("/accounts/2fa/authenticate/", {"code": "000000"}).content.decode()
    assert not is_in(client)

    assert client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)}).status_code == 302

    assert is_in(client)
    assert verbs() == ["login"]


def test_a_code_works_once(client: Client) -> None:
    code = code_of(with_second_factor())
    for attempt in (client, Client()):
        sign_in(attempt)
        attempt.post("/accounts/2fa/authenticate/", {"code": code})
    assert is_in(client)
    assert not is_in(attempt)


def test_a_recovery_code_works_once(client: Client) -> None:
    with_second_factor()
    code = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    for attempt in (client, Client()):
        sign_in(attempt)
        attempt.post("/accounts/2fa/authenticate/", {"code": code})
    assert is_in(client)
    assert not is_in(attempt)


def test_guessing_codes_is_stopped(client: Client) -> None:
    secret = with_second_factor()
    sign_in(client)
    for _ in range(11):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert not is_in(client)


def test_setting_up_a_second_factor(client: Client) -> None:
    sign_in(client)
    assert client.get("/accounts/2fa/totp/activate/")["Location"].startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.get("/accounts/2fa/totp/activate/")
    assert page.status_code == 200
    secret = page.context["form"].secret
    assert "data:image/svg+xml" in page.content.decode()

    assert client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)}).status_code == 302

    assert client.get("/accounts/2fa/").status_code == 200
    assert client.get("/accounts/2fa/recovery-codes/").status_code == 200
    assert client.get("/accounts/2fa/recovery-codes/generate/").status_code == 200
    assert client.get("/accounts/2fa/totp/deactivate/").status_code == 200
    assert Authenticator.objects.filter(user__username="mei", type="totp").exists()


def test_roles_that_need_a_second_factor_set_it_up_first(client: Client, settings: Any) -> None:
    settings.MFA_REQUIRED_ROLES = ["dispatcher"]
    asha()
    sign_in(client, "asha")
    answer = client.get("/accounts/profile/")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/2fa/totp/activate/"
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.get("/accounts/2fa/totp/activate/")
    assert page.status_code == 200
    client.post("/accounts/2fa/totp/activate/", {"code": code_of(page.context["form"].secret)})
    assert is_in(client)
    other = Client()
    sign_in(other)
    assert is_in(other)


def test_djangos_admin_signs_in_through_the_same_page(client: Client) -> None:
    answer = client.get("/admin/login/?next=/admin/")
    assert answer.status_code == 302
    assert answer["Location"].startswith(LOGIN)


@pytest.mark.parametrize(
    "place", ["password/change/", "logout/", "inactive/", "reauthenticate/", "profile/", "2fa/", "rules/"]
)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_page_of_the_account_opens(client: Client, place: str, language: str) -> None:
    sign_in(client)
    client.cookies["django_language"] = language
    answer = client.get(f"/accounts/{place}")
    assert answer.status_code == 200
    assert answer.content.decode().count("<h1") == 1
