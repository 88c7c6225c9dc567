"""The board: what it shows unasked, its figures, its filters in the URL, its export, and who may see it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from grid.models import GridElement
from outages import services
from outages.models import Interruption, Outage
from tests.factories import accounts
from tests.factories.grid import SmallCity

Login = Callable[[User], Client]


@pytest.fixture
def login(client: Client) -> Login:
    def _login(user: User) -> Client:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return _login


@pytest.fixture
def dispatcher(city: SmallCity, login: Login) -> Client:
    return login(accounts.asha(city.bureau))


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


def shown(response: Any) -> list[str]:
    return re.findall(r'data-reference="([^"]+)"', response.content.decode())


def figures(response: Any) -> dict[str, int]:
    """The figures of the strip that are not zero."""
    pairs = re.findall(
        r'totals__label">([^<]+)</span><span class="totals__value">(?:<svg.*?</svg>)?([\d\u202f]+)<',
        response.content.decode(),
    )
    return {label: int(value.replace("\u202f", "")) for label, value in pairs if value != "0"}


def opened(asha: Actor, ids: list[int], **facts: Any) -> Outage:
    facts = {"kind": "load_shedding", "action": "start", "started_at": timezone.now() - timedelta(hours=3), **facts}
    return services.outage_open(actor=asha, element_ids=ids, **facts)


def test_unasked_it_shows_what_is_open_and_what_was_restored_within_two_hours(
    dispatcher: Client, city: SmallCity, asha: Actor, now: datetime
) -> None:
    off, lately, long_ago = (opened(asha, city.ids(name)) for name in ("T11", "T12", "T21"))
    services.outage_restore(outage_id=lately.pk, actor=asha, restored_at=now - timedelta(minutes=119))
    services.outage_restore(outage_id=long_ago.pk, actor=asha, restored_at=now - timedelta(minutes=121))
    due, later = (
        opened(
            asha, city.ids("T22"), kind="planned", action="schedule", started_at=None,
            planned_start=now + timedelta(hours=h), planned_end=now + timedelta(hours=h + 1),
        )
        for h in (23, 25)
    )  # fmt: skip

    assert shown(dispatcher.get("/board/")) == [off.reference, due.reference, lately.reference]
    assert shown(dispatcher.get("/board/?status=scheduled")) == [due.reference, later.reference]
    assert shown(dispatcher.get("/board/?status=restored")) == [long_ago.reference, lately.reference]


def test_customers_of_two_overlapping_outages_count_once(dispatcher: Client, city: SmallCity, asha: Actor) -> None:
    opened(asha, city.ids("F1"))
    opened(asha, city.ids("T12"), kind="planned", planned_start=timezone.now(), planned_end=None)

    assert figures(dispatcher.get("/board/")) == {"Outages": 2, "Customers off": 3, "Critical off": 1}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("critical=true", ["F1"]),
        ("min_customers=2", ["F1", "T21"]),
        ("branch=0102", ["T21"]),
        ("branch=010", ["F1", "T21"]),
        ("branch=nowhere", []),
        ("q=F1号", ["F1"]),
        ("kind=fault", []),
        ("overdue=true", ["T21"]),
        ("min_customers=many", ["F1", "T21"]),
    ],
)
def test_every_filter_is_in_the_url(
    dispatcher: Client, city: SmallCity, asha: Actor, now: datetime, query: str, expected: list[str]
) -> None:
    made = {
        "F1": opened(asha, city.ids("F1")),
        "T21": opened(
            asha, city.ids("T21"), planned_start=now - timedelta(hours=3), planned_end=now - timedelta(hours=1)
        ),
    }

    response = dispatcher.get(f"/board/?{query}")

    assert sorted(shown(response)) == sorted(made[name].reference for name in expected)


def test_an_empty_board_says_when_the_last_one_ended(dispatcher: Client, city: SmallCity, asha: Actor) -> None:
    assert "None has been recorded yet." in dispatcher.get("/board/").content.decode()
    outage = opened(asha, city.ids("T11"), started_at=timezone.now() - timedelta(hours=9))
    restored_at = timezone.now() - timedelta(hours=5)
    services.outage_restore(outage_id=outage.pk, actor=asha, restored_at=restored_at)

    page = dispatcher.get("/board/").content.decode()

    assert "No outage now" in page
    assert f"{timezone.localtime(restored_at):%H:%M}." in page


def test_htmx_gets_the_list_alone_but_a_history_restore_gets_the_page(dispatcher: Client) -> None:
    page = dispatcher.get("/board/")
    fragment = dispatcher.get("/board/", headers={"HX-Request": "true"})
    restored = dispatcher.get("/board/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})

    assert [b"<html" in answer.content for answer in (page, fragment, restored)] == [True, False, True]
    assert all("HX-Request" in answer["Vary"] for answer in (page, fragment, restored))
    assert b'id="board-live"' in fragment.content
    assert b'hx-swap-oob="innerHTML"' in fragment.content
    assert b"hx-swap-oob" not in page.content


def test_another_branch_and_an_outsider_see_nothing(city: SmallCity, asha: Actor, login: Login) -> None:
    mine = opened(asha, city.ids("T11"))
    opened(asha, city.ids("T21"))

    east = login(accounts.user_with("dispatcher", city.east, username="east"))
    assert shown(east.get("/board/")) == [mine.reference]
    assert [f["id"] for f in east.get("/board/map.geojson").json()["features"]] == [mine.reference]
    assert login(accounts.dora()).get("/board/").status_code == 403
    assert Client().get("/board/").status_code == 302


def test_a_debt_is_never_on_the_board(dispatcher: Client, city: SmallCity, asha: Actor) -> None:
    opened(asha, city.ids("T11"))
    Outage.objects.update(kind="non_payment", is_public=False)

    assert shown(dispatcher.get("/board/")) == []
    assert shown(dispatcher.get("/board/?kind=non_payment")) == []
    assert dispatcher.get("/board/map.geojson").json()["features"] == []


def test_the_map_has_a_point_per_outage_and_no_personal_data(dispatcher: Client, city: SmallCity, asha: Actor) -> None:
    outage = opened(asha, city.ids("T12"))

    document = dispatcher.get("/board/map.geojson").json()

    feature = document["features"][0]
    element = city.elements["T12"]
    assert feature["geometry"] == {
        "type": "Point",
        "coordinates": [round(element.lon or 0, 6), round(element.lat or 0, 6)],
    }
    assert feature["properties"]["customers"] == 1
    assert feature["properties"]["url"] == f"/outages/{outage.reference}/"
    assert "李" not in json.dumps(document, ensure_ascii=False)


def test_the_network_is_sent_again_only_when_it_has_changed(dispatcher: Client) -> None:
    first = dispatcher.get("/board/network.geojson")
    again = dispatcher.get("/board/network.geojson", headers={"If-None-Match": first["ETag"]})

    assert len(first.json()["features"][0]["geometry"]["coordinates"]) == 15
    assert (again.status_code, again.content) == (304, b"")


def test_the_export_holds_the_filtered_rows_and_no_formula(dispatcher: Client, city: SmallCity, asha: Actor) -> None:
    opened(asha, city.ids("T11"), place="=HYPERLINK(evil)")
    opened(asha, city.ids("T21"))

    answer = dispatcher.get("/board/outages.csv?branch=0101")

    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    header, *rows = csv.reader(io.StringIO(text))
    assert header[0] == "Reference"
    assert [r[5] for r in rows] == ["'=HYPERLINK(evil)"]


def test_two_thousand_open_outages_cost_as_many_statements_as_two(
    dispatcher: Client, city: SmallCity, now: datetime
) -> None:
    transformers = [
        GridElement(
            code=f"X{n}", kind="transformer", parent=city.elements["L11"], branch=city.east, pos=10_000 + n,
            last=10_000 + n, own_customers=1, customers=1,
        )
        for n in range(2000)
    ]  # fmt: skip
    GridElement.objects.bulk_create(transformers)

    def many(numbers: range) -> None:
        outages = Outage.objects.bulk_create(
            Outage(
                reference=f"S-2026-9{n:05d}", kind="load_shedding", status="active", branch=city.east,
                started_at=now - timedelta(hours=1), customers_out=1, customers_affected=1, rule_pack="cn-sgcc@1",
            )
            for n in numbers
        )  # fmt: skip
        Interruption.objects.bulk_create(
            Interruption(outage=outage, element=transformers[n], customers=1, actual=(now - timedelta(hours=1), None))
            for n, outage in zip(numbers, outages, strict=True)
        )

    many(range(2))
    with CaptureQueriesContext(connection) as few:
        dispatcher.get("/board/")
    many(range(2, 2000))
    cache.clear()
    with CaptureQueriesContext(connection) as full:
        response = dispatcher.get("/board/")

    assert figures(response)["Customers off"] == 2000
    assert len(full) == len(few)
    assert len(full) <= 12


def test_the_same_list_is_made_once_until_something_happens(
    dispatcher: Client, city: SmallCity, asha: Actor, login: Login
) -> None:
    first = opened(asha, city.ids("T11"))
    dispatcher.get("/board/")
    with CaptureQueriesContext(connection) as again:
        assert shown(dispatcher.get("/board/", headers={"HX-Request": "true"})) == [first.reference]
    second = opened(asha, city.ids("T12"))

    assert len(again) == 4  # session, person, roles, version
    assert sorted(shown(dispatcher.get("/board/"))) == [first.reference, second.reference]
    west = login(accounts.user_with("dispatcher", city.west, username="west"))
    assert shown(west.get("/board/")) == []
