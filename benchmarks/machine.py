"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
from django.db import connection


def describe() -> dict[str, Any]:
    with connection.cursor() as db:
        db.execute("SHOW server_version")
        version = db.fetchone()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    models = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "memory_gib": round(memory),
        "postgresql": version,
        "python": platform.python_version(),
        "django": django.get_version(),
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


class Watch:
    seconds = 0.0


@contextmanager
def timed() -> Iterator[Watch]:
    watch, begin = Watch(), time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - begin


def median_of(times: int, act: Callable[[], float]) -> float:
    """The middle one of several runs: single runs on a shared machine jump."""
    return statistics.median(act() for _ in range(times))
