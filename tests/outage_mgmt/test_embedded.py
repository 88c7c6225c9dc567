"""Servers under a data folder: started by the first, stopped by the last, one sentence for every fault."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings

from outage_mgmt import embedded

USER = """
import sys, time
from pathlib import Path
from outage_mgmt import embedded
try:
    servers = embedded.ensure(Path(sys.argv[1]), postgres=sys.argv[2] == "both", with_redis=True)
except embedded.EmbeddedServerError as broken:
    sys.exit(str(broken))
print(servers.sockets, flush=True)
time.sleep(float(sys.argv[3]))
"""


def use(data_dir: Path, *, which: str = "redis", seconds: float = 0) -> subprocess.Popen[str]:
    """A process that uses the servers of a folder for a while."""
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir), which, str(seconds)],
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complaint(data_dir: Path, which: str = "both") -> str:
    done = use(data_dir, which=which)
    _out, said = done.communicate()
    assert done.returncode == 1
    return said.strip()


def sockets_of(user: subprocess.Popen[str]) -> Path:
    assert user.stdout is not None
    return Path(user.stdout.readline().strip())


def answers(sockets: Path) -> bool:
    return embedded._redis_answers(embedded._redis_client(sockets))


def stopped(sockets: Path) -> bool:
    """Whether the server goes away in a bounded time."""
    for _ in range(100):
        if not answers(sockets):
            return True
        time.sleep(0.1)
    return False


def test_the_last_user_stops_the_servers(tmp_path: Path) -> None:
    first, second = use(tmp_path, seconds=0.2), use(tmp_path, seconds=60)
    sockets = sockets_of(second)
    first.communicate()
    assert answers(sockets)

    second.terminate()
    second.communicate()

    assert stopped(sockets)


def test_servers_of_a_killed_user_stop_too(tmp_path: Path) -> None:
    user = use(tmp_path, seconds=60)
    sockets = sockets_of(user)

    user.kill()
    user.communicate()

    assert stopped(sockets)


def test_data_survive_and_two_folders_do_not_mix(tmp_path: Path) -> None:
    for _start in range(2):
        one, other = use(tmp_path / "one", which="both", seconds=60), use(tmp_path / "other", seconds=60)
        sockets = sockets_of(one)
        connection = psycopg2.connect(host=str(sockets), user="postgres", dbname=embedded.DATABASE)
        with connection, connection.cursor() as db:
            db.execute("CREATE TABLE IF NOT EXISTS visits (at timestamptz DEFAULT now())")
            db.execute("INSERT INTO visits DEFAULT VALUES RETURNING (SELECT count(*) FROM visits)")
            visits = db.fetchone()
        connection.close()
        for user in (one, other):
            user.terminate()
            user.communicate()
        assert stopped(sockets)

    assert visits == (1,)  # counted before the second insert
    assert not (tmp_path / "other" / "postgres").exists()


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 90) / "电力 公司's"
    user = use(folder, seconds=60)
    sockets = sockets_of(user)

    assert answers(sockets)
    assert len(str(sockets)) <= embedded.SOCKET_PATH_LIMIT

    user.terminate()
    user.communicate()
    assert stopped(sockets)
    sockets.rmdir()


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert complaint(tmp_path / "file") == (
        f"The data folder cannot be used: {tmp_path}/file/run: Not a directory; "
        "mend its rights or set DATA_DIR to another one."
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    assert "Permission denied; mend its rights" in complaint(tmp_path / "new")
    tmp_path.chmod(0o700)


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "letters.txt").write_text("mine")

    assert complaint(tmp_path) == (
        f"{tmp_path}/postgres is neither empty nor a PostgreSQL data folder; "
        "move it away or set DATA_DIR to another one."
    )
    assert (tmp_path / "postgres" / "letters.txt").read_text() == "mine"


def test_a_broken_redis_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_text("this is not an append-only file")

    said = complaint(tmp_path, "redis")

    assert said.startswith(f"Redis did not start on {tmp_path}/redis (")
    assert len(said.splitlines()) == 1
