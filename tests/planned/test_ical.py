"""The calendar feed: what a calendar program reads, how it learns of moves, and when its key ends."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from icalendar import Calendar, Event

from accounts.actor import Actor
from accounts.models import RoleGrant, User
from outages.planned import services
from outages.planned.models import WorkWindow
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.world import ahead, published_alone, window, work_in

FEED = "/planned/calendar.ics"


@pytest.fixture
def published(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> WorkWindow:
    """A window of the east in three weeks that everybody may read."""
    return published_alone(
        city, pia, lena, otto, "L11", scope="科学园", reason_zh="线路检修", reason_en="line maintenance",
        windows=[window(20, 8, 9)],
    )  # fmt: skip


@pytest.fixture
def browser(pia_user: User) -> Client:
    client = Client()
    client.force_login(pia_user)
    return client


def events(response: Any) -> list[Event]:
    assert response.status_code == 200
    return [event for event in Calendar.from_ical(response.content).walk("VEVENT") if isinstance(event, Event)]


def uids(response: Any) -> list[str]:
    return sorted(str(event["UID"]) for event in events(response))


def subscription(browser: Client, **filters: str) -> str:
    """The address that the page shows to be given to a calendar program."""
    page = browser.get("/planned/", filters).content.decode()
    shown = page.split('id="subscribe-url">')[1].split("<")[0]
    return shown.removeprefix("http://testserver")


# --- what is in it ------------------------------------------------------------------------------------


def test_a_published_window_is_one_event(browser: Client, published: WorkWindow) -> None:
    response = browser.get(FEED)
    (event,) = events(response)
    outage = published.outage
    assert outage is not None

    assert response["Content-Type"] == "text/calendar; charset=utf-8"
    assert (event.start, event.end) == (published.starts_at, published.ends_at)
    assert event["DTSTART"].params["TZID"] == "Asia/Shanghai"
    assert str(event["UID"]).startswith(f"{outage.reference}-")
    assert (event["SEQUENCE"], str(event["STATUS"])) == (0, "CONFIRMED")
    assert event.categories == ["temporary work"]
    assert str(event["SUMMARY"]) == "科学园 · line maintenance"
    assert str(event["URL"]) == f"http://testserver/outages/{outage.reference}/"
    assert "3 customers" in str(event["DESCRIPTION"])


def test_the_zone_is_defined_where_it_is_named(browser: Client, published: WorkWindow) -> None:
    calendar = Calendar.from_ical(browser.get(FEED).content)

    assert [str(zone["TZID"]) for zone in calendar.walk("VTIMEZONE")] == ["Asia/Shanghai"]


def test_another_branchs_clock_is_its_own(browser: Client, city: SmallCity, published: WorkWindow) -> None:
    city.east.time_zone = "America/New_York"
    city.east.save(update_fields=["time_zone"])

    (event,) = events(browser.get(FEED))

    assert event["DTSTART"].params["TZID"] == "America/New_York"
    assert event.start == published.starts_at


def test_nothing_personal_and_nothing_undecided_goes_out(
    browser: Client, city: SmallCity, pia: Actor, published: WorkWindow
) -> None:
    draft = work_in(city, pia, "T12", title="还没有人知道", windows=[window(21)])

    raw = browser.get(FEED).content.decode()

    for secret in (draft.reference, draft.title, published.work.contact_name, published.work.contact_phone, "陈静"):
        assert secret
        assert secret not in raw


def test_the_words_are_in_the_readers_language(browser: Client, published: WorkWindow) -> None:
    browser.cookies["django_language"] = "zh-hans"

    (event,) = events(browser.get(FEED))

    assert str(event["SUMMARY"]) == "科学园 · 线路检修"


def test_long_over_is_left_out(browser: Client, published: WorkWindow) -> None:
    WorkWindow.objects.filter(pk=published.pk).update(starts_at=ahead(-70, 8), ends_at=ahead(-70, 9))

    assert events(browser.get(FEED)) == []


# --- moves and cancellations --------------------------------------------------------------------------


def test_a_move_keeps_the_uid_and_raises_the_sequence(browser: Client, published: WorkWindow, pia: Actor) -> None:
    (before,) = events(browser.get(FEED))
    services.window_move(
        window_id=published.pk, actor=pia, planned_start=ahead(25, 9), planned_end=ahead(25, 12), reason="雨天",
        tell=True,
    )  # fmt: skip

    (after,) = events(browser.get(FEED))

    assert after["UID"] == before["UID"]
    assert (before["SEQUENCE"], after["SEQUENCE"]) == (0, 1)
    assert (after.start, after.end) == (ahead(25, 9), ahead(25, 12))
    assert after.stamp >= before.stamp


def test_what_was_cancelled_stays_as_cancelled(browser: Client, published: WorkWindow, pia: Actor) -> None:
    (before,) = events(browser.get(FEED))
    services.window_cancel(window_id=published.pk, actor=pia, reason="雨天", tell=True)

    (after,) = events(browser.get(FEED))

    assert after["UID"] == before["UID"]
    assert (str(after["STATUS"]), after["SEQUENCE"]) == ("CANCELLED", 1)


# --- narrowed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 1), ({"branch": "0101"}, 1), ({"branch": "010"}, 1), ({"branch": "0102"}, 0), ({"branch": "?"}, 0),
        ({"feeder": "F1"}, 1), ({"feeder": "F2"}, 0), ({"area": "科学"}, 1), ({"area": "火车站"}, 0),
        ({"branch": "0101", "feeder": "F2"}, 0), ({"state": "draft"}, 1),
    ],
)  # fmt: skip
def test_by_branch_feeder_or_area(browser: Client, published: WorkWindow, asked: dict[str, str], count: int) -> None:
    assert len(events(browser.get(FEED, asked))) == count


def test_the_filter_bar_narrows_the_feed_to_an_area(browser: Client, published: WorkWindow) -> None:
    page = browser.get("/planned/", {"area": "火车站"})

    assert re.search(r'<input id="f-area"[^>]* name="area"[^>]* value="火车站"', page.content.decode())
    assert uids(Client().get(subscription(browser, area="火车站"))) == []
    assert uids(Client().get(subscription(browser, area="科学"))) == uids(browser.get(FEED))


# --- the key of a calendar program --------------------------------------------------------------------


def test_a_program_reads_without_a_login_what_its_owner_may(
    browser: Client, city: SmallCity, published: WorkWindow
) -> None:
    west = accounts.user_with("planner", city.west, username="wes")
    elsewhere = Client()
    elsewhere.force_login(west)

    assert uids(Client().get(subscription(browser))) == uids(browser.get(FEED))
    assert uids(Client().get(subscription(elsewhere))) == []


def test_the_key_carries_the_filter_and_nothing_beside_it_counts(browser: Client, published: WorkWindow) -> None:
    narrow = subscription(browser, feeder="F2")

    assert uids(Client().get(narrow)) == []
    assert uids(Client().get(f"{narrow}&feeder=F1")) == []


def test_without_a_key_one_signs_in(published: WorkWindow) -> None:
    answer = Client().get(FEED, {"feeder": "F1"})

    assert answer.status_code == 302
    assert urlsplit(answer["Location"]).path == "/accounts/login/"
    assert parse_qs(urlsplit(answer["Location"]).query)["next"] == [f"{FEED}?feeder=F1"]


@pytest.mark.parametrize(
    "key", ["x", "a:b:c", signing.dumps({"user": 1}, salt="another use")], ids=["short", "shaped", "another use"]
)
def test_a_key_that_we_did_not_sign_opens_nothing(published: WorkWindow, key: str) -> None:
    assert Client().get(FEED, {"key": key}).status_code == 403


def test_a_bent_key_opens_nothing_even_for_who_is_signed_in(browser: Client, published: WorkWindow) -> None:
    bent = subscription(browser)[:-1]

    assert browser.get(bent).status_code == 403


def ends_with_the_account(user: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


def ends_with_the_role(user: User) -> None:
    RoleGrant.objects.filter(user=user).delete()


def ends_with_all_sessions(user: User) -> None:
    user.session_epoch += 1
    user.save(update_fields=["session_epoch"])


@pytest.mark.parametrize("end", [ends_with_the_account, ends_with_the_role, ends_with_all_sessions])
def test_the_key_ends(browser: Client, pia_user: User, published: WorkWindow, end: Any) -> None:
    url = subscription(browser)
    assert len(events(Client().get(url))) == 1

    end(pia_user)

    assert Client().get(url).status_code == 403


def test_the_key_of_somebody_who_is_gone_opens_nothing(browser: Client, city: SmallCity, published: WorkWindow) -> None:
    gone = accounts.user_with("agent", city.east, username="gone")
    client = Client()
    client.force_login(gone)
    url = subscription(client)
    User.objects.filter(pk=gone.pk).delete()

    assert Client().get(url).status_code == 403


# --- statements ---------------------------------------------------------------------------------------


def test_statements_do_not_grow_with_windows(
    browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            events(browser.get(FEED))
        return len(queries)

    def window_at(hour: int) -> tuple[datetime, datetime]:
        return ahead(20, hour), ahead(20, hour) + timedelta(hours=1)

    published_alone(city, pia, lena, otto, "T11", windows=[window_at(8)])
    few = statements()
    published_alone(city, pia, lena, otto, "T12", windows=[window_at(hour) for hour in range(9, 15)])

    assert (few, statements()) == (7, 7)
