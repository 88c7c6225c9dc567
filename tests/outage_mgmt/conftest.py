from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from django.db import connections

from outage_mgmt import asgi, live


@dataclass
class Site:
    """The whole site, served by uvicorn in this process on the test database."""

    url: str
    hub: live.Hub


@pytest.fixture
def site(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    hub = live.Hub()
    monkeypatch.setattr(asgi, "_hub", hub)
    server = uvicorn.Server(uvicorn.Config("outage_mgmt.asgi:application", port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(f"http://127.0.0.1:{port}", hub)
    server.should_exit = True
    thread.join()
    with connections["default"].cursor() as db:
        # the server's threads keep their connections, and a database in use cannot be dropped
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
        )
