"""``/live/``: what changed reaches every open page, whatever happens to Redis in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from outage_mgmt import live
from outages import events

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cookies() -> dict[str, str]:
    user = get_user_model().objects.create_user(username="asha")
    client = Client()
    client.force_login(user)
    return {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}


@contextmanager
def stream(site: Any, cookies: dict[str, str], **headers: str) -> Iterator[Callable[[str], dict[str, Any]]]:
    """An open stream; the yielded function gives the data of the next event of a kind."""
    with (
        httpx.Client(cookies=cookies, timeout=10) as client,
        client.stream(
            "GET", f"{site.url}/live/", headers={k.replace("_", "-"): v for k, v in headers.items()}
        ) as answer,
    ):
        assert answer.status_code == 200
        lines = answer.iter_lines()

        def following(kind: str) -> dict[str, Any]:
            for line in lines:
                if line == f"event: {kind}":
                    data: dict[str, Any] = json.loads(next(lines).removeprefix("data: "))
                    return data
            raise AssertionError("the stream ended")

        yield following


def publish(topic: str, version: int) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.publish(events.LIVE_CHANNEL, json.dumps({"t": topic, "v": version}))


def test_a_change_reaches_every_open_stream(site: Any, cookies: dict[str, str]) -> None:
    with stream(site, cookies) as one, stream(site, cookies) as other:
        assert (one("hello"), other("hello")) == ({"v": 0}, {"v": 0})

        publish("outage:1043", 88)

        assert one("live") == other("live") == {"t": "outage:1043", "v": 88}


def test_who_is_not_logged_in_gets_no_stream(site: Any) -> None:
    assert httpx.get(f"{site.url}/live/").status_code == 401
    assert httpx.get(f"{site.url}/live/", cookies={settings.SESSION_COOKIE_NAME: "made-up"}).status_code == 401
    assert httpx.get(f"{site.url}/live/since/?v=0").status_code == 401


def test_somebody_who_was_disabled_gets_no_stream(site: Any, cookies: dict[str, str]) -> None:
    get_user_model().objects.update(is_active=False)

    assert httpx.get(f"{site.url}/live/", cookies=cookies).status_code == 401


def test_a_browser_that_comes_back_hears_what_it_missed(
    site: Any, cookies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = [(7, [{"t": "outage:5", "v": 2}, {"t": "board", "v": 7}])]
    monkeypatch.setattr(events, "live_since", lambda version: log[0] if version < 7 else (version, []))

    with stream(site, cookies, Last_Event_ID="3") as following:
        assert [following("live"), following("live")] == [{"t": "outage:5", "v": 2}, {"t": "board", "v": 7}]


def test_a_message_that_nobody_understands_ends_no_stream(site: Any, cookies: dict[str, str]) -> None:
    with stream(site, cookies) as following:
        following("hello")
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.publish(events.LIVE_CHANNEL, "not json")
            client.publish(events.LIVE_CHANNEL, '{"t": "board"}')
        publish("board", 12)

        assert following("live") == {"t": "board", "v": 12}


def test_when_redis_drops_its_clients_the_streams_stay_and_go_on(site: Any, cookies: dict[str, str]) -> None:
    with stream(site, cookies) as following:
        following("hello")
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

        assert following("state") == {"delayed": True}
        assert following("state") == {"delayed": False}
        publish("board", 13)
        assert following("live") == {"t": "board", "v": 13}


def test_a_reader_that_is_too_slow_is_let_go() -> None:
    hub, slow = live.Hub(), live.Stream()
    hub.streams.add(slow)

    for version in range(live.QUEUE_SIZE + 1):
        hub.broadcast(live.live_chunk([{"t": "board", "v": version}]))

    assert slow.lost


def test_closing_ends_every_stream(site: Any, cookies: dict[str, str]) -> None:
    with stream(site, cookies) as following:
        following("hello")
        loop = site.hub._feeder.get_loop()
        threading.Timer(0, loop.call_soon_threadsafe, [site.hub.close]).start()

        with pytest.raises(AssertionError, match="the stream ended"):
            following("live")
    assert httpx.get(f"{site.url}/live/", cookies=cookies).status_code == 503


def test_polling_says_nothing_new_with_204(client: Client) -> None:
    client.force_login(get_user_model().objects.create_user(username="asha"))

    assert client.get("/live/since/").json() == {"v": 0, "topics": []}
    assert client.get("/live/since/?v=0").status_code == 204
    assert client.get("/live/since/?v=-1").status_code == 400
    assert client.get("/live/since/?v=" + "9" * 30).status_code == 400


def test_who_was_away_very_long_hears_of_the_board_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "live_since", lambda version: (version + 1, [{"t": "board", "v": version + 1}]))
    monkeypatch.setattr(live, "newest_version", lambda: 5000)

    assert live.topics_since(1) == (5000, [{"t": "board", "v": 5000}])
