"""The cluster of the embedded server: PostgreSQL's own programs, run on it as the right user."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from tallystick.platform.postgres_binaries import Account, Binaries

__all__ = ["DATABASE", "ROLE", "Cluster", "EmbeddedPostgresError", "port_of"]

DATABASE = "tallystick"
ROLE = "tallystick"


class EmbeddedPostgresError(Exception):
    """The server cannot be set up, started or stopped; the message says why and what to do."""


class _RunAs(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]
    pass_fds: tuple[int, ...]


class Cluster:
    """The programs of PostgreSQL, run on the cluster in `root` as `account`."""

    def __init__(self, root: Path, root_fd: int, account: Account, binaries: Binaries) -> None:
        self._root = root
        self._binaries = binaries
        self._base = str(root)
        self._run_as = _RunAs()
        if account.other:
            os.chown(root, account.uid, account.gid)
            self._run_as = _RunAs(user=account.uid, group=account.gid, extra_groups=[])
        if account.other and not account.reaches(root):
            # The folder lies below one that the unprivileged user may not enter (/root, or a home of mode 700).
            # Opening that up is not ours to do. Linux lets a process reach a folder that it was handed open,
            # whatever lies above it; the server, too, then works relative to it.
            if not sys.platform.startswith("linux"):
                raise EmbeddedPostgresError(
                    f"PostgreSQL does not run as root, and the user {account.name!r} cannot reach {root}. "
                    "Choose a data folder that it can reach, or do not run as root."
                )
            self._base = f"/proc/self/fd/{root_fd}"
            self._run_as["pass_fds"] = (root_fd,)

    def create(self, *, durable: bool) -> None:
        """Make the cluster under another name and rename it when it is whole: a crash leaves none by halves."""
        password = self._root / "password"
        _write(password, secrets.token_urlsafe(24))
        self._give(password)
        fresh = self._root / "data.tmp"
        shutil.rmtree(fresh, ignore_errors=True)
        builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self._run(
            "initdb", "-D", f"{self._base}/data.tmp", "-U", ROLE, "--auth=scram-sha-256",
            f"--pwfile={self._base}/password", "--encoding=UTF8", "--locale=C",
            *(builtin if self._binaries.major >= 17 else ()), "--no-sync", "--no-instructions",
        )  # fmt: skip
        with (fresh / "postgresql.conf").open("a") as config:
            config.write("\ninclude = 'tallystick.conf'\n")
        # Without a server: four times as fast as over a connection.
        single = ("postgres", "--single", "-F", "-D", f"{self._base}/data.tmp", "postgres")
        self._configure(fresh, _free_port(), durable=durable)
        self._run(*single, stdin=f"CREATE DATABASE {DATABASE}\n")
        if durable:
            self._run("initdb", "--sync-only", "-D", f"{self._base}/data.tmp")
        shutil.rmtree(self._root / "data", ignore_errors=True)
        fresh.rename(self._root / "data")

    def start(self, *, durable: bool) -> str | None:
        """Start the server and wait until it takes connections; what it said if it did not."""
        data = self._root / "data"
        port = port_of(data)
        self._configure(data, port if _is_free(port) else _free_port(), durable=durable)
        (self._root / "log").touch(mode=0o600)
        self._give(self._root / "log")
        before = (self._root / "log").stat().st_size
        # pg_ctl gives the server a session of its own, so that Ctrl-C does not take the database away from
        # under those who still have work to finish.
        done = self._call(
            "pg_ctl", "start", "-D", f"{self._base}/data", "-l", f"{self._base}/log", "-w", "-t", "120", "-s"
        )
        if done.returncode == 0:
            return None
        with (self._root / "log").open(errors="replace") as log:
            log.seek(before)
            return (log.read() + _said(self._root)).strip() or f"pg_ctl ended with {done.returncode}"

    def _configure(self, data: Path, port: int, *, durable: bool) -> None:
        safe = "on" if durable else "off"
        _write(
            data / "tallystick.conf",
            "# Written by tallystick at every start.\n"
            f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n"
            f"max_connections = 200\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
            f"fsync = {safe}\nsynchronous_commit = {safe}\nfull_page_writes = {safe}\n"
            "logging_collector = off\nlog_checkpoints = off\njit = off\n",
        )
        self._give(data / "tallystick.conf")

    def _give(self, path: Path) -> None:
        if "user" in self._run_as:
            os.chown(path, self._run_as["user"], self._run_as["group"])

    def _run(self, *command: str, stdin: str = "") -> None:
        done = self._call(*command, stdin=stdin)
        if done.returncode:
            raise EmbeddedPostgresError(
                f"{command[0]} failed in {self._root} ({self._binaries.folder}):\n{_said(self._root)}"
            )

    def _call(self, *command: str, stdin: str = "") -> "subprocess.CompletedProcess[bytes]":
        # A file for the output, never a pipe: the server inherits it, and the reader would wait for its end.
        with (self._root / "said").open("wb") as said:
            try:
                return subprocess.run(  # noqa: S603
                    [str(self._binaries.folder / command[0]), *command[1:]],
                    input=stdin.encode(), stdout=said, stderr=said, cwd="/", env=_environment(),
                    check=False, **self._run_as,
                )  # fmt: skip
            except OSError as error:
                raise EmbeddedPostgresError(f"{command[0]} cannot be run as another user: {error.strerror}") from error


def port_of(data: Path) -> int:
    """The port that the cluster in `data` is configured for. Raises FileNotFoundError."""
    for line in (data / "tallystick.conf").read_text().splitlines():
        if line.startswith("port = "):
            return int(line.removeprefix("port = "))
    raise EmbeddedPostgresError(f"{data / 'tallystick.conf'} names no port")


def _said(root: Path) -> str:
    return "\n".join((root / "said").read_text(errors="replace").splitlines()[-12:])


def _environment() -> Mapping[str, str]:
    # The user's PGDATA, PGPORT and the like speak of another server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
