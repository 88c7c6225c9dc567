"""Tokens of machine clients: hashed, scoped, bound to a branch and to addresses, expiring, revocable."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.urls import path
from django.utils import timezone
from knox.crypto import hash_token
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from accounts import services
from accounts.actor import Actor, Grant
from accounts.api.permissions import needs
from accounts.models import AccessEvent, ServiceToken, User
from accounts.requests import actor_of as request_actor
from accounts.scope import visible_to
from accounts.selectors import token_by_key
from grid.models import GridElement
from standards.errors import DomainError
from tests.factories.accounts import actor_of, ada, client_token, mei
from tests.factories.grid import SmallCity


class Elements(APIView):
    permission_classes = [needs("outage.read")]

    def get(self, request: Request) -> Response:
        actor = request_actor(request)
        found = visible_to(actor, GridElement.objects.order_by("code"))
        return Response({"actor": actor.name, "kind": actor.kind, "codes": [e.code for e in found]})


class Writes(APIView):
    permission_classes = [needs("outage.write")]

    def post(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("elements/", Elements.as_view()), path("writes/", Writes.as_view())]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def api() -> APIClient:
    return APIClient()


def ask(api: APIClient, key: str, where: str = "/elements/", **kw: Any) -> Any:
    return api.get(where, HTTP_AUTHORIZATION=f"Token {key}", **kw)


def test_only_the_digest_is_kept(db: None) -> None:
    token, key = client_token("outage:read")
    assert token.digest == hash_token(key)
    assert len(token.digest) == 128
    assert token.prefix == key[:10]
    assert key not in str(ServiceToken.objects.values().get())
    assert key not in str(list(AccessEvent.objects.values()))


def test_a_token_sees_its_branch_and_no_other(city: SmallCity, api: APIClient) -> None:
    _token, key = client_token("outage:read", branch=city.west)
    answer = ask(api, key)
    assert answer.status_code == 200
    assert answer.json() == {
        "actor": "machine",
        "kind": "service",
        "codes": ["B2", "F2", "L21", "T21", "T22", "U22"],
    }


def test_bearer_is_understood_too(city: SmallCity, api: APIClient) -> None:
    _token, key = client_token("outage:read")
    assert api.get("/elements/", HTTP_AUTHORIZATION=f"Bearer {key}").status_code == 200


def test_a_missing_scope_is_403_and_recorded(city: SmallCity, api: APIClient) -> None:
    _token, key = client_token("outage:read")
    answer = api.post("/writes/", HTTP_AUTHORIZATION=f"Token {key}")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "permission_denied"
    assert AccessEvent.objects.filter(verb="denied", actor_name="machine", object_ref="/writes/").count() == 1


def refused(answer: Any) -> bool:
    body = answer.json()
    return answer.status_code == 401 and body["code"] in ("invalid_token", "not_authenticated")


def test_an_expired_token_is_refused(city: SmallCity, api: APIClient) -> None:
    token, key = client_token("outage:read", expires_at=timezone.now() + timedelta(days=1))
    assert ask(api, key).status_code == 200
    with time_machine.travel(token.expires_at + timedelta(seconds=1), tick=False):
        assert refused(ask(api, key))


def test_a_revoked_token_is_refused_at_once(city: SmallCity, api: APIClient, admin_actor: Actor) -> None:
    token, key = client_token("outage:read")
    assert ask(api, key).status_code == 200
    services.token_revoke(actor=admin_actor, token=token)
    assert refused(ask(api, key))
    services.token_revoke(actor=admin_actor, token=token)
    assert AccessEvent.objects.filter(verb="token_revoked").count() == 1


def test_the_token_of_a_disabled_client_is_refused(city: SmallCity, api: APIClient, admin_actor: Actor) -> None:
    token, key = client_token("outage:read")
    services.user_set_active(actor=admin_actor, user=token.user, is_active=False)
    assert refused(ask(api, key))


@pytest.mark.parametrize("header", ["Token", "Token ", "Token wrong", "Token a b", "Token é", "Basic eDp5", "nonsense"])
def test_a_wrong_header_is_401(city: SmallCity, api: APIClient, header: str) -> None:
    answer = api.get("/elements/", HTTP_AUTHORIZATION=header)
    assert refused(answer)
    assert answer["WWW-Authenticate"] == 'Token realm="api"'


@pytest.mark.parametrize("name", ["token", "key", "access_token", "Authorization"])
def test_a_token_in_the_query_string_is_not_looked_at(city: SmallCity, api: APIClient, name: str) -> None:
    _token, key = client_token("outage:read")
    assert refused(api.get("/elements/", {name: key}))


def test_a_token_bound_to_addresses(city: SmallCity, api: APIClient) -> None:
    _token, key = client_token("outage:read", addresses=["10.1.0.0/16", "2001:db8::/32"])
    assert ask(api, key, REMOTE_ADDR="10.1.2.3").status_code == 200
    assert ask(api, key, REMOTE_ADDR="2001:db8::7").status_code == 200
    assert refused(ask(api, key, REMOTE_ADDR="10.2.0.1"))
    assert refused(ask(api, key, REMOTE_ADDR=""))
    # a client's own word about its address is not believed
    assert refused(ask(api, key, REMOTE_ADDR="10.2.0.1", HTTP_X_FORWARDED_FOR="10.1.2.3"))


def test_use_is_remembered_at_most_once_a_minute(city: SmallCity, api: APIClient) -> None:
    token, key = client_token("outage:read")
    first = timezone.now()
    with time_machine.travel(first, tick=False) as clock:
        ask(api, key)
        clock.shift(30)
        ask(api, key)
        token.refresh_from_db()
        assert token.last_used_at == first
        clock.shift(31)
        ask(api, key)
        token.refresh_from_db()
        assert token.last_used_at == first + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("kw", "code"),
    [
        ({"scopes": ["outage:destroy"]}, "unknown_scope"),
        ({"scopes": []}, "scope_missing"),
        ({"expires_at": timezone.now() + timedelta(days=366)}, "token_life"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "token_life"),
        ({"addresses": ["10.0.0.0/99"]}, "address_unreadable"),
    ],
)
def test_refused_tokens_are_not_made(admin_actor: Actor, kw: dict[str, Any], code: str) -> None:
    machine, _none = services.user_create(actor=admin_actor, username="scada", is_service=True)
    before = AccessEvent.objects.count()
    with pytest.raises(DomainError) as error:
        services.token_create(actor=admin_actor, user=machine, name="x", **{"scopes": ["outage:read"], **kw})
    assert error.value.code == code
    assert not ServiceToken.objects.exists()
    assert AccessEvent.objects.count() == before


def test_people_get_no_tokens_and_only_administrators_make_them(admin_actor: Actor) -> None:
    agent = mei()
    with pytest.raises(DomainError) as error:
        services.token_create(actor=admin_actor, user=agent, name="x", scopes=["outage:read"])
    assert error.value.code == "not_a_machine_client"
    machine, _none = services.user_create(actor=admin_actor, username="scada", is_service=True)
    with pytest.raises(DomainError) as error:
        services.token_create(actor=actor_of(agent), user=machine, name="x", scopes=["outage:read"])
    assert error.value.code == "forbidden"
    assert not ServiceToken.objects.exists()


def test_two_living_tokens_for_a_change_over_and_no_more(admin_actor: Actor) -> None:
    first, _key = client_token("outage:read")
    client_token("outage:read")
    with pytest.raises(DomainError) as error:
        client_token("outage:read")
    assert error.value.code == "too_many_tokens"
    services.token_revoke(actor=admin_actor, token=first)
    client_token("outage:read")
    assert ServiceToken.objects.count() == 3


def test_the_database_refuses_a_token_for_longer_than_a_year(db: None) -> None:
    now = timezone.now()
    user = User.objects.create(username="m", is_service=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        ServiceToken.objects.create(
            user=user, name="x", prefix="x", digest="x", scopes=["a"], expires_at=now + timedelta(days=400)
        )


def test_the_command_prints_the_key_once(city: SmallCity, api: APIClient) -> None:
    ada()
    out = StringIO()
    call_command("create_token", "scada", scope=["outage:read"], branch="0101", owner="ada", days=30, stdout=out)
    key = out.getvalue().strip()
    assert len(ask(api, key).json()["codes"]) == 7
    token = ServiceToken.objects.get()
    assert token.as_actor().grants == (Grant("service", city.east.pos, city.east.last),)
    assert token.owner is not None
    assert token.owner.username == "ada"


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"branch": "nowhere"}, "There is no branch 'nowhere'"),
        ({"owner": "nobody"}, "There is no person 'nobody'"),
        ({"scope": ["outage:destroy"]}, "There is no scope “outage:destroy”"),
        ({"days": 400}, "within 365 days"),
    ],
)
def test_the_command_says_what_is_wrong(db: None, kw: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("create_token", "scada", **{"scope": ["outage:read"], **kw})
    assert not ServiceToken.objects.exists()


def test_a_remembered_token_stops_within_the_promised_time(db: None, settings: Settings) -> None:
    settings.TOKEN_REMEMBERED_S = 10
    token, key = client_token("outage:read")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert token_by_key(key) == token
        ServiceToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
        assert token_by_key(key) == token

        clock.shift(timedelta(seconds=11))
        assert token_by_key(key) is None
