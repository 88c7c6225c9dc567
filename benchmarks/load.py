"""Requests per second of a server: ``wrk`` where it is installed, otherwise a small client of our own."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from django.conf import settings

CONNECTIONS = 16
SECONDS = 8


@contextmanager
def served(application: str, **environment: str) -> Iterator[str]:
    """The address of a uvicorn that serves ``application`` in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        application,
        "--port",
        str(port),
        "--log-level",
        "error",
        "--no-access-log",
    ]
    server = subprocess.Popen(command, cwd=settings.BASE_DIR, env={**os.environ, **environment})
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(port, server)
        yield url
    finally:
        server.terminate()
        server.wait()


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if server.poll() is not None:
                raise RuntimeError("the server did not start") from None
            time.sleep(0.1)
        else:
            return


def rate(url: str, paths: Sequence[str], headers: dict[str, str]) -> float:
    """Answered requests per second; refuses to count anything but 200."""
    for path in paths[:3]:
        urllib.request.urlopen(urllib.request.Request(url + path, headers=headers)).close()  # noqa: S310
    wrk = shutil.which("wrk")
    return _wrk(wrk, url, paths, headers) if wrk else asyncio.run(_client(url, paths, headers))


def _wrk(wrk: str, url: str, paths: Sequence[str], headers: dict[str, str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "paths.lua"
        listed = ",".join(f'"{path}"' for path in paths)
        named = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
        script.write_text(
            f"{named}local paths = {{{listed}}}\nlocal n = 0\n"
            "request = function() n = n % #paths + 1; return wrk.format('GET', paths[n]) end\n"
        )
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(f"the server refused: {said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found is not None, said
    return float(found.group(1))


async def _client(url: str, paths: Sequence[str], headers: dict[str, str]) -> float:
    done, end = 0, time.perf_counter() + SECONDS

    async def ask(client: httpx.AsyncClient, first: int) -> None:
        nonlocal done
        n = first
        while time.perf_counter() < end:
            (await client.get(paths[n % len(paths)])).raise_for_status()
            n, done = n + CONNECTIONS, done + 1

    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=30) as client:
        await asyncio.gather(*(ask(client, n) for n in range(CONNECTIONS)))
    return done / SECONDS
