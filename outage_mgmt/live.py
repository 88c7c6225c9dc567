"""``/live/``: one open stream per browser, carrying topics and versions, never content.

The contract with whoever announces: JSON ``{"t": topic, "v": version}`` on the Redis channel ``live``, and
``outages.events.live_since(version)`` for whoever missed something. Topics are ``outage:<id>`` (version: the
outage's own event sequence) and ``board`` (version: the number of the newest event, which is also the stream's
``id``, so a browser that reconnects says by ``Last-Event-ID`` where it was).

A process subscribes once and hands every message to all its streams. While Redis is away it asks the database
every two seconds instead: the streams stay open and the pages merely hear a little later. A reader that is too
slow is let go; its browser comes back and catches up. Streams end after a quarter of an hour, so a login that
was withdrawn does not listen on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any

import redis.asyncio
import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import Error, close_old_connections
from django.db.models import Max
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from outages import events
from outages.models import OutageEvent

log = structlog.get_logger(__name__)

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

PING_S = 15.0
LIFE_S = 15 * 60.0
REDIS_RETRY_S = 2.0
QUEUE_SIZE = 256
CATCH_UP_PAGES = 10
RETRY_MS = 3000


class Stream:
    """What waits to be written to one browser."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_SIZE)
        self.lost = False

    def put(self, chunk: bytes | None) -> None:
        try:
            self.waiting.put_nowait(chunk)
        except asyncio.QueueFull:
            self.lost = True

    async def take(self) -> bytes | None:
        """Everything that waits, or a ping when nothing came for a while, or ``None``: it is over."""
        try:
            chunks = [await asyncio.wait_for(self.waiting.get(), PING_S)]
        except TimeoutError:
            return b": ping\n\n"
        while not self.waiting.empty():
            chunks.append(self.waiting.get_nowait())
        return None if self.lost or None in chunks else b"".join(chunk for chunk in chunks if chunk)


class Hub:
    """All streams of this process and the one subscription that feeds them."""

    def __init__(self) -> None:
        self.streams: set[Stream] = set()
        self.version = 0
        self.delayed = False
        self.closing = False
        self._feeder: asyncio.Task[None] | None = None
        self._fed = asyncio.Event()

    async def join(self) -> Stream:
        """A new stream, registered before anything is read, so that nothing falls in between."""
        if self._feeder is None:
            self._feeder = asyncio.create_task(self._feed())
        await self._fed.wait()
        stream = Stream()
        self.streams.add(stream)
        return stream

    def leave(self, stream: Stream) -> None:
        self.streams.discard(stream)

    def close(self) -> None:
        """End every stream now; browsers come back to whoever serves next."""
        self.closing = True
        if self._feeder is not None:
            self._feeder.cancel()
        for stream in self.streams:
            stream.lost = True
            with contextlib.suppress(asyncio.QueueFull):
                stream.waiting.put_nowait(None)

    def broadcast(self, chunk: bytes) -> None:
        for stream in self.streams:
            stream.put(chunk)

    async def _feed(self) -> None:
        while True:
            try:
                await self._listen()
            except (redis.asyncio.RedisError, OSError) as gone:
                if not self.delayed:
                    log.warning("live_updates_delayed", reason=str(gone))
                    self.delayed = True
                    self.broadcast(state_chunk(delayed=True))
                await self._ask_database()
                self._fed.set()
                await asyncio.sleep(REDIS_RETRY_S)

    async def _listen(self) -> None:
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=1, health_check_interval=10, retry=Retry(NoBackoff(), 0)
        )
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(events.LIVE_CHANNEL)
                await self._ask_database()  # subscribed first, so whatever happens from here on is heard
                if self.delayed:
                    self.delayed = False
                    self.broadcast(state_chunk(delayed=False))
                self._fed.set()
                while True:
                    message = await channel.get_message(timeout=PING_S)
                    if message is not None:
                        self._pass_on(message["data"])
        finally:
            await client.aclose()

    def _pass_on(self, data: bytes) -> None:
        try:
            topic = json.loads(data)
            if topic["t"] == "board":
                self.version = max(self.version, int(topic["v"]))
            chunk = live_chunk([topic])
        except (ValueError, TypeError, KeyError):
            log.warning("live_message_not_understood")
            return
        self.broadcast(chunk)

    async def _ask_database(self) -> None:
        """Tell the streams what they may have missed; at the first time there is nobody to tell."""
        try:
            if not self.version:
                self.version = await _in_thread(newest_version)
            version, topics = await _in_thread(topics_since, self.version)
        except Error:
            return  # the next turn, or the next message, will do
        if topics:
            self.version = version
            self.broadcast(live_chunk(topics))


def newest_version() -> int:
    """The number of the newest event, which is the board's version."""
    return OutageEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0


def topics_since(version: int) -> tuple[int, list[dict[str, Any]]]:
    """What changed behind ``version``; who was away for very long is only told that the board changed."""
    newest: dict[str, int] = {}
    for _page in range(CATCH_UP_PAGES):
        version, topics = events.live_since(version)
        if not topics:
            break
        newest.update({topic["t"]: topic["v"] for topic in topics})
    else:
        version = max(version, newest_version())
        newest["board"] = version
    return version, [{"t": topic, "v": number} for topic, number in newest.items()]


def live_chunk(topics: Iterable[dict[str, Any]]) -> bytes:
    """The topics as server-sent events; a board's version is the place to come back to."""
    return "".join(
        (f"id: {int(topic['v'])}\n" if topic["t"] == "board" else "")
        + f"event: live\ndata: {json.dumps({'t': topic['t'], 'v': topic['v']}, separators=(',', ':'))}\n\n"
        for topic in topics
    ).encode()


def state_chunk(*, delayed: bool) -> bytes:
    return f"event: state\ndata: {json.dumps({'delayed': delayed})}\n\n".encode()


# --- the stream itself ------------------------------------------------------------------------------


async def serve(scope: Message, receive: Receive, send: Send, hub: Hub) -> None:
    """Answer one request to ``/live/``."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if scope["method"] != "GET":
        return await _refuse(send, 405)
    if not await _in_thread(_may_listen, headers.get(b"cookie", "")):
        return await _refuse(send, 401)
    if hub.closing:
        return await _refuse(send, 503)
    stream = await hub.join()
    gone = asyncio.create_task(_until_disconnect(receive, stream))
    try:
        await send({"type": "http.response.start", "status": 200, "headers": SSE_HEADERS})
        await send(_body(await _greeting(headers.get(b"last-event-id", ""), hub)))
        end = asyncio.get_running_loop().time() + LIFE_S * random.uniform(0.8, 1.2)  # noqa: S311  # spreads returns
        while not gone.done() and asyncio.get_running_loop().time() < end:
            chunk = await stream.take()
            if chunk is None:
                break
            await send(_body(chunk))
        with contextlib.suppress(OSError):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()
        hub.leave(stream)


SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
    (b"x-content-type-options", b"nosniff"),
]


async def _greeting(last_event_id: str, hub: Hub) -> bytes:
    """How long to wait before coming back, whether updates are delayed, and what was missed."""
    chunk = f"retry: {RETRY_MS}\n".encode() + state_chunk(delayed=hub.delayed)
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19:
        with contextlib.suppress(Error):
            _version, topics = await _in_thread(topics_since, int(last_event_id))
            return chunk + live_chunk(topics)
    return chunk + f"id: {hub.version}\nevent: hello\ndata: {json.dumps({'v': hub.version})}\n\n".encode()


async def _until_disconnect(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.put(None)  # whoever waits for news need not wait for the next ping


async def _refuse(send: Send, status: int) -> None:
    headers = [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _body(chunk: bytes) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": True}


def _may_listen(cookie_header: str) -> bool:
    """Whether the session cookie belongs to somebody who is logged in and still allowed to be."""
    request = HttpRequest()
    try:
        morsel = SimpleCookie(cookie_header).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return False
    if morsel is None:
        return False
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(morsel.value)
    return bool(get_user(request).is_authenticated)


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await sync_to_async(_with_fresh_connections, thread_sensitive=False)(function, *arguments)


def _with_fresh_connections(function: Callable[..., Any], *arguments: Any) -> Any:
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()


def close_on_signals(hub: Hub) -> None:
    """Let the server's stop signals end the streams first: it waits for open answers before it leaves."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        servers_own = signal.getsignal(signum)

        def handle(number: int, frame: Any, servers_own: Any = servers_own) -> None:
            loop.call_soon_threadsafe(hub.close)
            if callable(servers_own):
                servers_own(number, frame)

        signal.signal(signum, handle)


# --- without a stream -----------------------------------------------------------------------------------


def no_stream(request: HttpRequest) -> HttpResponse:
    """``/live/`` where the site runs without ``asgi.py``: 204 tells a browser to stop asking, and it polls."""
    return HttpResponse(status=204)


def since(request: HttpRequest) -> HttpResponse:
    """``/live/since/?v=``: the same news for a browser that cannot hold a stream open; 204 when there is none."""
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    asked = request.GET.get("v", "")
    if not asked:
        return JsonResponse({"v": newest_version(), "topics": []}, headers={"Cache-Control": "no-store"})
    if not (asked.isascii() and asked.isdigit()) or len(asked) > 18:
        return HttpResponse(status=400)
    version, topics = topics_since(int(asked))
    if not topics:
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    return JsonResponse({"v": version, "topics": topics}, headers={"Cache-Control": "no-store"})
