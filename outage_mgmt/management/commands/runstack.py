"""Everything on one machine: servers, tables, demo city, then web, worker and beat until Ctrl-C."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Popen, Process

from grid.models import GridElement
from outage_mgmt import demo

READY_TIMEOUT_S = 60
PR_SET_PDEATHSIG = 1


class Command(BaseCommand):
    help = "Start web, worker and beat on this machine (make run); Ctrl-C stops everything that it started."
    requires_system_checks: list[str] = []  # migrate runs them, once the tables are there

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1")
        parser.add_argument("--port", default=os.environ.get("PORT") or "8000")
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty")

    def handle(self, *args: Any, **options: Any) -> None:
        # until honcho takes over: leave through Python's exit, so that the embedded servers are stopped
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, _leave)
        host, port = options["host"], _port(options["port"])
        _refuse_taken_port(host, port)
        self.stdout.write("Preparing the database ...")
        call_command("migrate", verbosity=0, interactive=False)
        if not options["no_demo"]:
            self._load_demo()
        connections.close_all()

        stack = _Stack(host, port)
        threading.Thread(target=self._announce, args=(stack,), daemon=True).start()
        stack.loop()
        self.stdout.write(stack.farewell())
        sys.exit(0 if stack.asked_to_stop() else 1)

    def _load_demo(self) -> None:
        if "load_demo" in get_commands() and not GridElement.objects.exists():
            self.stdout.write("Loading the demo city (only the first time) ...")
            call_command("load_demo")

    def _announce(self, stack: _Stack) -> None:
        """Once the site answers, say where it is and who may log in."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _ready(stack.ready_url):
            if time.monotonic() > deadline:
                self.stderr.write(f"The site does not answer on {stack.ready_url}; its messages are above.")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(0.2)
        lines = [f"Outage coordination runs on {stack.url}", *demo.login_table(), "Ctrl-C stops it; the data stay."]
        self.stdout.write("\n" + "\n".join(lines) + "\n")
        self.stdout.flush()


class _Stack(Manager):  # type: ignore[misc]  # honcho has no types
    """Web, worker and beat; when one dies the others are stopped."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(Printer(sys.stdout))
        self._process_ctor = _Mortal
        self.url = f"http://{'127.0.0.1' if host in {'0.0.0.0', '::'} else host}:{port}/"  # noqa: S104
        self.ready_url = f"{self.url}readyz"
        python = shlex.quote(sys.executable)
        env = {
            **os.environ,
            # the demo is a site like any other: no tracebacks in the browser, templates cached
            "DEBUG": os.environ.get("DEBUG", "false"),
            "SITE_URL": os.environ.get("SITE_URL", self.url.rstrip("/")),
            "PYTHONUNBUFFERED": "1",
        }
        celery = f"exec {python} -W ignore -m celery --quiet -A outage_mgmt"  # it warns of root
        for name, command in {
            "web": f"exec {python} -m uvicorn outage_mgmt.asgi:application --host {shlex.quote(host)} --port {port}"
            " --log-level warning --no-server-header",
            "worker": f"{celery} worker --concurrency 2 --queues {settings.WORKER_QUEUES} --loglevel WARNING"
            " --without-gossip --without-mingle",
            "beat": f"{celery} beat --loglevel WARNING --pidfile=",
        }.items():
            self.add_process(name, command, env=env, cwd=str(settings.BASE_DIR))

    def asked_to_stop(self) -> bool:
        return self.returncode in {130, 143}

    def farewell(self) -> str:
        if self.asked_to_stop():
            return "Stopped. The data stay in " + str(settings.DATA_DIR)
        return "One part of the system stopped by itself, so the others were stopped too; its messages are above."

    def _system_print(self, data: str) -> None:
        """Only the deaths are news."""
        if " stopped (rc=" in data and not self._terminating:
            super()._system_print(data)


class _Mortal(Process):  # type: ignore[misc]
    """A child that ends when this command is killed, instead of keeping the port for ever."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._child_ctor = _child

    def run(self, *args: Any, **kwargs: Any) -> None:
        _die_with_parent(signal.SIGKILL)
        super().run(*args, **kwargs)


def _child(command: str, **options: Any) -> Popen:
    return Popen(command, preexec_fn=lambda: _die_with_parent(signal.SIGTERM), **options)


def _die_with_parent(how: signal.Signals) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(how))


def _leave(signum: int, frame: object) -> None:
    sys.exit(128 + signum)


def _port(value: str) -> int:
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise CommandError(f"PORT={value} is not a port number; use one from 1 to 65535, as in `make run PORT=8001`.")
    return int(value)


def _refuse_taken_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as refused:
            raise CommandError(f"Port {port} needs more rights than you have; try `make run PORT=8001`.") from refused
        except OSError as taken:
            raise CommandError(
                f"Port {port} on {host} cannot be used ({taken.strerror}); try `make run PORT={port + 1}`."
            ) from taken


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
