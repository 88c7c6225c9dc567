"""``manage.py deliver``: routes, fans out and sends without Redis or Celery, for sites that must send regardless."""

from __future__ import annotations

import signal
import threading
import time
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from notifications import services

POLL_S = 1.0
DAY_S = 3600.0


class Command(BaseCommand):
    help = (
        "Tell customers what they must be told: polls every second, needs PostgreSQL only, may run any number of times."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop when nothing is left to do now")

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = threading.Event()

        def leave(_number: int, _frame: FrameType | None) -> None:
            stop.set()  # the batch in hand is finished first

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, leave)
        days_due = 0.0
        while not stop.is_set():
            close_old_connections()
            try:
                if time.monotonic() >= days_due:
                    services.days_open()
                    days_due = time.monotonic() + DAY_S
                turn = services.work_once()
            except (DatabaseError, InterfaceError) as gone:
                self.stderr.write(f"deliver: the database does not answer: {str(gone).partition(chr(10))[0]}")
                connection.close()
                stop.wait(POLL_S)
                continue
            if turn.events or turn.messages or turn.claimed:
                continue
            if options["once"]:
                return
            stop.wait(POLL_S)
