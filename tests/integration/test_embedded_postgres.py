"""The embedded PostgreSQL against real processes: started, killed, raced for, and run as somebody else."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tallystick.platform.embedded_postgres import (
    DATABASE,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    PostgresNotFound,
)

pytestmark = pytest.mark.timeout(90)

# Ensure, say the address, and stay until killed or told to leave.
USER = """
import sys
from pathlib import Path
from tallystick.platform.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
print(server.ensure(), flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    with stopped_at_the_end(EmbeddedPostgres(tmp_path / "pg", durable=False)) as made:
        yield made


@contextmanager
def stopped_at_the_end(server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    try:
        yield server
    finally:
        server.stop()


async def ask(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def start_user(root: Path, **options: Any) -> "subprocess.Popen[str]":
    command = [options.pop("python", sys.executable), "-c", USER, str(root)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def said_address(user: "subprocess.Popen[str]") -> str:
    assert user.stdout is not None
    line = user.stdout.readline().strip()
    if not line.startswith("postgresql://"):
        pytest.fail(user.communicate()[1])
    return line


def leave(user: "subprocess.Popen[str]") -> None:
    user.communicate(timeout=30)
    assert user.returncode == 0


def soon(holds: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


async def test_a_cold_start_gives_a_database_of_our_own(server: EmbeddedPostgres) -> None:
    url = server.ensure()
    assert url.endswith(f"/{DATABASE}")
    assert server.running()
    assert await ask(url, "SELECT current_database()") == DATABASE
    assert await ask(url, "SELECT current_setting('max_connections')") == "200"
    assert await ask(url, "SELECT current_setting('server_encoding')") == "UTF8"
    assert int(await ask(url, "SELECT current_setting('server_version_num')")) >= 150000
    assert (server.root / "data").stat().st_mode & 0o777 == 0o700
    assert (server.root / "password").stat().st_mode & 0o777 == 0o600
    assert server.ensure() == url


async def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    scheme, _, rest = server.ensure().partition("//")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"{scheme}//tallystick:wrong@{rest.partition('@')[2]}")


async def test_a_warm_start_finds_the_data_and_the_port(server: EmbeddedPostgres) -> None:
    url = server.ensure()
    await ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert server.stop()
    assert not server.running()
    assert server.ensure() == url
    assert await ask(url, "SELECT answer FROM kept") == 42


async def test_a_durable_server_survives_the_kill_of_its_postmaster(tmp_path: Path) -> None:
    with stopped_at_the_end(EmbeddedPostgres(tmp_path / "pg")) as server:
        url = server.ensure()
        assert await ask(url, "SELECT current_setting('fsync')") == "on"
        await ask(url, "CREATE TABLE kept (answer int)")
        for number in range(3):
            await ask(url, f"INSERT INTO kept VALUES ({number})")
            killed = server.pid()
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            # At once: the dead process may still be a zombie, and its backends still be there.
            assert server.ensure() == url
            assert server.pid() != killed
        assert await ask(url, "SELECT count(*) FROM kept") == 3


def test_a_dead_server_does_not_count_as_running(server: EmbeddedPostgres) -> None:
    server.ensure()
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert soon(lambda: not server.alive(), 2)
    assert not server.running()


async def test_five_processes_racing_get_one_server(tmp_path: Path) -> None:
    users = [start_user(tmp_path / "pg") for _ in range(5)]
    addresses = {said_address(user) for user in users}
    assert len(addresses) == 1
    url = addresses.pop()
    # The last one to leave stops it, even where another one never got to leave.
    users[0].kill()
    users[0].communicate()
    for user in users[1:4]:
        leave(user)
        assert await ask(url, "SELECT 1") == 1
    leave(users[4])
    assert not EmbeddedPostgres(tmp_path / "pg").alive()


def test_a_killed_user_leaves_no_server_behind(tmp_path: Path) -> None:
    user = start_user(tmp_path / "pg")
    said_address(user)
    server = EmbeddedPostgres(tmp_path / "pg")
    assert server.running()
    user.kill()
    user.communicate()
    assert soon(lambda: not server.alive())


async def test_a_taken_port_is_left_to_its_owner(server: EmbeddedPostgres) -> None:
    before = server.ensure()
    await ask(before, "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind(("127.0.0.1", int(before.rpartition(":")[2].partition("/")[0])))
        owner.listen()
        after = server.ensure()
        assert after != before
        assert await ask(after, "SELECT answer FROM kept") == 42


async def test_what_an_interrupted_creation_left_is_replaced(server: EmbeddedPostgres) -> None:
    half = server.root / "data.tmp"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert await ask(server.ensure(), "SELECT 1") == 1
    assert not half.exists()


async def test_a_number_that_now_belongs_to_another_process_is_no_server(server: EmbeddedPostgres) -> None:
    url = server.ensure()
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    pid_file = server.root / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert not server.alive()
    assert server.ensure() == url
    assert await ask(url, "SELECT 1") == 1


def test_no_programs_is_a_clear_error(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_PG_BIN", "/nowhere")
    with pytest.raises(PostgresNotFound, match=r"/nowhere: cannot be run[^$]*DATABASE_URL"):
        server.ensure()


def test_data_of_another_version_is_a_clear_error(server: EmbeddedPostgres) -> None:
    (server.root / "data").mkdir(parents=True)
    (server.root / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresNotFound, match="but the data was made by 9"):
        server.ensure()


def test_a_server_that_cannot_start_says_why(server: EmbeddedPostgres) -> None:
    server.ensure()
    server.stop()
    with (server.root / "data" / "postgresql.conf").open("a") as config:
        config.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        server.ensure()


def test_stopping_what_never_ran_is_fine(tmp_path: Path) -> None:
    assert EmbeddedPostgres(tmp_path / "nothing").stop()
    assert not (tmp_path / "nothing").exists()


def python_for_anybody() -> str | None:
    """An interpreter that an unprivileged user can run, with our packages."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    for candidate in (sys.executable, "/usr/bin/python3"):
        try:
            found = subprocess.run(
                [candidate, "-c", "import asyncpg, tallystick.platform.embedded_postgres"],
                user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, check=False,
                env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip
        except OSError:
            continue
        if found.returncode == 0:
            return candidate
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_an_ordinary_user_runs_it_as_themselves() -> None:
    python = python_for_anybody()
    if python is None:
        pytest.skip("no interpreter here that another user can run")
    root = Path("/tmp") / f"tallystick-test-{os.getpid()}"  # noqa: S108 (others must be able to reach it)
    root.mkdir()
    try:
        os.chown(root, 65534, 65534)
        path = os.pathsep.join(entry for entry in sys.path if entry)
        user = start_user(
            root / "pg", python=python, user=65534, group=65534, extra_groups=[], cwd="/",
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        url = said_address(user)
        assert await ask(url, "SELECT 1") == 1
        assert (root / "pg" / "data").stat().st_uid == 65534
        leave(user)
    finally:
        shutil.rmtree(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
async def test_root_runs_it_unprivileged_and_opens_no_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with stopped_at_the_end(EmbeddedPostgres(closed / "pg", durable=False)) as server:
        assert await ask(server.ensure(), "SELECT 1") == 1
        assert (closed / "pg" / "data").stat().st_uid != 0
        assert closed.stat().st_mode & 0o777 == 0o700
        assert closed.stat().st_uid == 0
