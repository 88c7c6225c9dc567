"""One entry for everything: ``/live/`` is a native async stream, the rest is Django in a thread pool.

Django runs as WSGI because psycopg2 connections belong to threads: a pool of a few threads keeps a few
connections open (``CONN_MAX_AGE``), where Django's own ASGI handler would open one per request.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "outage_mgmt.settings")

from a2wsgi import WSGIMiddleware
from django.conf import settings

from outage_mgmt.wsgi import application as django_application

_django = WSGIMiddleware(django_application, workers=settings.WEB_THREADS)  # type: ignore[arg-type]

from outage_mgmt import live  # noqa: E402  # the line above sets the apps up

_hub = live.Hub()


async def application(scope: dict[str, Any], receive: live.Receive, send: live.Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http" and scope["path"] == "/live/":
        await live.serve(scope, receive, send, _hub)
    elif scope["type"] == "http" and scope["path"] == "/healthz":
        # answered here, so that it tells of this process even when every thread is busy
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"ok\n"})
    elif scope["type"] == "http":
        await _django(scope, receive, send)  # type: ignore[arg-type]


async def _lifespan(receive: live.Receive, send: live.Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            live.close_on_signals(_hub)
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            _hub.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
