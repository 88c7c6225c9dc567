"""The route walker (reliability 6.2): every address of the site, by everybody, about an outage of another branch.

A new route needs a line in ``ROUTES``: who may read it and who may write it. ``public`` needs nobody, ``login``
anybody who is logged in, and anything else is a capability of ``accounts.policies``. What a person may not do
is answered with 403, 404 or 405, or by leading them elsewhere with a message; never with the thing itself, and
no row of any table of ours is added or lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.policies import CAPABILITIES, ROLE_CAPABILITIES
from outages.models import Outage
from outages.services import outage_open
from tests.architecture.sources import APPS
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city

pytestmark = pytest.mark.django_db

FAULT = "api/v1/faults/{reference}/"

ROUTES: dict[str, str | tuple[str, str]] = {
    # of this program
    "healthz": "public",
    "readyz": "public",
    "metrics": "public",  # to this machine or the token only: tests/outage_mgmt/test_health.py
    "live/": "public",  # without the stream there is nothing to see; the stream: tests/outage_mgmt/test_live.py
    "live/since/": "login",
    "i18n/setlang/": "public",
    # the interface
    "api/v1/schema/": "public",
    "api/v1/docs/": "public",
    "api/v1/events/": "event.read",
    "api/v1/supply-status/": "supply.read",
    "api/v1/outages/": "outage.read",
    "api/v1/outages/{reference}/": "outage.read",
    "api/v1/outages/{reference}/events/": "outage.read",
    "api/v1/faults/": ("outage.read", "outage.write"),
    FAULT: "outage.read",
    **dict.fromkeys(
        [
            f"{FAULT}{verb}/"
            for verb in (
                "assign",
                "close",
                "confirm",
                "crew-state",
                "dismiss",
                "merge",
                "restore",
                "restore-part",
                "set-etr",
            )
        ],
        "outage.write",
    ),
    "api/v1/trouble-reports/": "report.create",
    "api/v1/trouble-reports/batch/": "report.create",
    "api/v1/receipts/{account}/": "public",  # signed by the gateway: tests/notifications
    # accounts
    "accounts/profile/": "login",
    "accounts/users/": "users.read",
    "accounts/users/new/": "users.manage",
    "accounts/clients/new/": "users.manage",
    "accounts/users/{pk}/": ("users.read", "users.manage"),
    "accounts/users/{pk}/active/": "users.manage",
    "accounts/users/{pk}/password/": "users.manage",
    "accounts/users/{pk}/roles/": "users.manage",
    "accounts/roles/{pk}/end/": "users.manage",
    "accounts/users/{pk}/tokens/": "users.manage",
    "accounts/tokens/{pk}/revoke/": "users.manage",
    "accounts/access-log/": "audit.read",
    "accounts/rules/": "login",
    "accounts/password/reset/": "public",
    "accounts/email/": "public",
    # the network
    "grid/imports/": "grid.import",
    "grid/imports/{pk}/": "grid.import",
    "grid/imports/{pk}/confirm/": "grid.import",
    "grid/imports/{pk}/discard/": "grid.import",
    "grid/imports/templates/{table}.csv": "grid.import",
    # the control room
    "": "login",
    "board/": "outage.read",
    "board/outages.csv": "outage.read",
    "board/map.geojson": "outage.read",
    "board/network.geojson": "grid.read",
    "outages/{reference}/": "outage.read",
    "outages/{reference}/notes/": "outage.note",
    "faults/": "outage.read",
    "faults/new/": ("report.create", "outage.write"),
    "faults/new/place/": "report.create",
    "faults/{reference}/reports/": ("outage.read", "outage.write"),
    "faults/{reference}/crews/{assignment_id}/": "outage.write",
    "faults/{reference}/{name}/": "outage.write",
    "notifications/outages/{reference}/": "delivery.read",
    # the console
    "console/": "customer.read_masked",
    "console/search/": "customer.read_masked",
    "console/pop/": "call.log",
    "console/call/start/": "call.log",
    "console/call/{key}/": "call.log",
    "console/call/{key}/card/": "call.log",
    "console/call/{key}/premises/": "call.log",
    "console/call/{key}/draft/": "call.log",
    "console/call/{key}/log/": "call.log",
    "console/calls/": "call.log",
    "console/callbacks/": "call.log",
    "console/callbacks/{callback_id}/": "call.log",
    "console/pins/": "call.log",
}
# Django's admin and allauth walk their own ways and test them; ours in front of them stand above
NOT_OURS = re.compile(r"^(django\.contrib|django\.views|allauth)\b")
REFUSED = {302, 401, 403, 404, 405, 422}  # 422: the form again, with the refusal in words
ARGUMENTS = {
    "account": "gateway", "assignment_id": 1, "callback_id": 1, "key": UUID(int=1), "name": "restore", "pk": 1,
    "table": "branches",
}  # fmt: skip


def routes() -> Iterator[str]:
    """Every address of ours, with its arguments in braces, whichever way its pattern is written."""

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
        for pattern in patterns:
            here = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, here)
            elif not NOT_OURS.match(pattern.callback.__module__) or here == "i18n/setlang/":
                yield re.sub(r"\(\?P<(\w+)>[^/]*\)|<(?:\w+:)?(\w+)>", r"{\1\2}", here).replace("^", "").replace("$", "")

    return walk(get_resolver().url_patterns, "")


def needed(route: str, method: str) -> str:
    entry = ROUTES[route]
    return entry if isinstance(entry, str) else entry[method == "post"]


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def eastern(city: SmallCity) -> Outage:
    """Feeder 1 of the eastern branch is off."""
    dispatcher = accounts.actor_of(accounts.asha(city.bureau))
    return outage_open(
        kind="fault", action="start", actor=dispatcher, element_ids=city.ids("F1"),
        started_at=timezone.now() - timedelta(hours=1),
    )  # fmt: skip


def answers(client: Client, outage: Outage, wanted: list[tuple[str, str]]) -> dict[str, int]:
    """The status of each (method, route), for what is not a refusal."""
    found = {}
    for method, route in wanted:
        address = "/" + route.format(**ARGUMENTS, reference=outage.reference)
        answer = client.post(address, {"text": "a note"}) if method == "post" else client.get(address)
        if answer.status_code not in REFUSED:
            found[f"{method.upper()} {route}"] = answer.status_code
    return found


def rows() -> dict[str, int]:
    """How many rows every table of ours holds; the log of accesses grows by refusals, as it should."""
    models = [m for m in apps.get_models() if m.__module__.split(".")[0] in APPS and m.__name__ != "AccessEvent"]
    return {model._meta.label: model._default_manager.count() for model in models}


def test_every_route_has_its_line() -> None:
    assert set(routes()) - ROUTES.keys() == set()
    assert ROUTES.keys() - set(routes()) == set()


def test_every_line_names_something_that_exists() -> None:
    named = {name for entry in ROUTES.values() for name in ([entry] if isinstance(entry, str) else entry)}

    assert named - CAPABILITIES == {"public", "login"}


def test_a_stranger_finds_only_what_is_public(eastern: Outage) -> None:
    wanted = [(m, r) for r in ROUTES for m in ("get", "post") if needed(r, m) != "public"]

    assert answers(Client(), eastern, wanted) == {}


@pytest.mark.parametrize("role", [None, *ROLE_CAPABILITIES])
def test_a_role_finds_nothing_that_it_may_not(role: str | None, eastern: Outage, city: SmallCity) -> None:
    user = accounts.user_with(role, city.bureau if role else None)
    client = Client()
    client.force_login(user)
    held = ROLE_CAPABILITIES[role] if role else frozenset()
    wanted = [
        (method, route)
        for route in ROUTES
        for method in ("get", "post")
        if needed(route, method) not in {"public", "login", *held}
    ]
    before = rows()

    assert answers(client, eastern, wanted) == {}
    assert rows() == before


@pytest.mark.parametrize("role", ["dispatcher", "planner", "approver", "billing_clerk"])
def test_an_outage_of_another_branch_is_not_there(role: str, eastern: Outage, city: SmallCity) -> None:
    client = Client()
    client.force_login(accounts.user_with(role, city.west))
    wanted = [(method, route) for route in ROUTES if "{reference}" in route for method in ("get", "post")]
    before = rows()

    assert answers(client, eastern, wanted) == {}
    assert rows() == before
