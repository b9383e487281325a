"""A PostgreSQL server of our own in a folder: for `tallystick dev`, tests and trying out, never for production.

`EmbeddedPostgres(folder).ensure()` creates the cluster where there is none, starts the server where none
answers, and returns its address. It survives `kill -9` of the server, of its users and of whoever started it.

In the folder: `data` (the cluster), `log`, `password`, `.lock` (held while starting or stopping), `.users`
(every user holds a shared lock; the kernel drops it when the user dies, so the count needs no repair).
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tallystick.platform.postgres_binaries import Account, PostgresNotFound, find_binaries
from tallystick.platform.postgres_cluster import DATABASE, ROLE, Cluster, EmbeddedPostgresError, port_of

__all__ = ["DATABASE", "EmbeddedPostgres", "EmbeddedPostgresError", "PostgresNotFound"]

_LOCK_TIMEOUT_S = 90.0
# A server that was killed leaves backends behind which hold its shared memory until they notice.
_RESTART_TIMEOUT_S = 15.0
# Recovery of a large write-ahead log; the server says so meanwhile, so it is waited for.
_RECOVERY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30
_LOG_MAX_BYTES = 5_000_000
_PASSING = ("pre-existing shared memory block", "already in use", "already exists", "is being used by")


class EmbeddedPostgres:
    """The server in the folder `root`.

    `durable=False` gives up crash safety of the machine (not of processes) for speed: for tests only.
    Several objects, in one process or many, may use one folder: the last one to leave stops the server. All
    methods block (a cold start takes about a second) and are safe to call again after any failure.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root.absolute()
        self._durable = durable
        self._data = self.root / "data"
        self._users: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    # What users call

    def ensure(self) -> str:
        """Make the server run, count this object among its users, and return `url()`.

        Raises:
            PostgresNotFound: there are no PostgreSQL binaries on this machine.
            EmbeddedPostgresError: anything else that keeps the server from running.
        """
        self._make_root()
        with self._locked():
            self._join()
            if not self.running():
                with self._cluster() as cluster:
                    if not (self._data / "PG_VERSION").exists():
                        cluster.create(durable=self._durable)
                    self._start(cluster)
        self._watch_over()
        return self.url()

    def stop(self) -> bool:
        """Leave, and stop the server if nobody else uses it; whether it stands still afterwards.

        Raises EmbeddedPostgresError if it does not stop.
        """
        if not self.root.exists():
            return True
        with self._locked():
            self._leave()
            stopped = self._stop_if_unused()
        self._dismiss_guard()
        return stopped

    def running(self) -> bool:
        """Whether the server answers a query on a new connection (a pid alone proves nothing)."""
        return self.alive() and self._answers()

    def alive(self) -> bool:
        """Whether the server's process lives: cheap, for watching; says nothing about answering."""
        pid = self.pid()
        return pid is not None and _lives(pid, self._data)

    def pid(self) -> int | None:
        """The server's process id by its own file, or None; the process may be gone all the same."""
        lines = self._pid_file()
        return int(lines[0]) if lines else None

    def url(self, database: str = DATABASE) -> str:
        """`postgresql://…` of a database, as psql and asyncpg take it.

        Raises EmbeddedPostgresError when the server was never started.
        """
        try:
            password = (self.root / "password").read_text()
            port = port_of(self._data)
        except FileNotFoundError:
            raise EmbeddedPostgresError(f"There is no PostgreSQL in {self.root} yet") from None
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{database}"

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of the server's log, for an error message."""
        with contextlib.suppress(OSError):
            return "\n".join((self.root / "log").read_text(errors="replace").splitlines()[-lines:])
        return ""

    # Locks

    def _make_root(self) -> None:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(self._open(".lock"))
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"{self.root} cannot be used: it belongs to another user. Choose another data folder, "
                "or run as the user who made this one."
            ) from error
        except OSError as error:
            raise EmbeddedPostgresError(f"{self.root} cannot be used: {error.strerror}") from error

    def _open(self, name: str) -> int:
        return os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._open(".lock")
        try:
            deadline = time.monotonic() + _LOCK_TIMEOUT_S
            while not _flock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(f"Another process has been starting {self.root} for too long")
                time.sleep(0.02)
            yield
        finally:
            os.close(lock)

    def _join(self) -> None:
        if self._users is None:
            self._users = self._open(".users")
            fcntl.flock(self._users, fcntl.LOCK_SH)

    def _leave(self) -> None:
        if self._users is not None:
            os.close(self._users)
            self._users = None

    # Starting and stopping; the lock is held

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[Cluster]:
        account = Account.choose(self.root, self._data)
        version = self._data / "PG_VERSION"
        try:
            major = int(version.read_text()) if version.exists() else None
            binaries = find_binaries(account, major)
        except OSError as error:
            raise EmbeddedPostgresError(f"{self._data} cannot be read: {error.strerror}") from error
        root = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield Cluster(self.root, root, account, binaries)
        finally:
            os.close(root)

    def _start(self, cluster: Cluster) -> None:
        deadline = time.monotonic() + _RESTART_TIMEOUT_S
        _rotate(self.root / "log")
        while True:
            if self.alive():
                self._await_recovery()
                return
            # Its process is gone, or the number now belongs to another one: PostgreSQL would refuse to start.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            problem = cluster.start(durable=self._durable)
            if problem is None and self._answers():
                return
            if problem is not None and (time.monotonic() > deadline or not any(p in problem for p in _PASSING)):
                raise EmbeddedPostgresError(f"PostgreSQL does not start:\n{problem}")
            time.sleep(0.1)

    def _await_recovery(self) -> None:
        deadline = time.monotonic() + _RECOVERY_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline or not self.alive():
                raise EmbeddedPostgresError(f"PostgreSQL does not answer:\n{self.log_tail()}")
            time.sleep(0.05)

    def _stop_if_unused(self) -> bool:
        users = self._open(".users")
        try:
            if not _flock(users, fcntl.LOCK_EX):
                return not self.alive()
            pid = self.pid()
            if pid is None or not self.alive():
                return True
            # SIGINT is PostgreSQL's fast shutdown: connections are closed, nothing is lost.
            for sent, patience in ((signal.SIGINT, _STOP_TIMEOUT_S), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sent)
                deadline = time.monotonic() + patience
                while time.monotonic() < deadline:
                    if not _lives(pid, self._data):
                        return True
                    time.sleep(0.01)
            raise EmbeddedPostgresError(f"PostgreSQL (process {pid}) does not stop:\n{self.log_tail()}")
        finally:
            os.close(users)

    # The guard: a process that outlives us by a moment, and stops a server that nobody uses any more

    def _watch_over(self) -> None:
        if self._guard is None or self._guard.poll() is not None:
            self._dismiss_guard()
            self._guard = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", __spec__.name, str(self.root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                # Ctrl-C goes to the whole group of the terminal; the guard has to see its end.
                start_new_session=True,
            )

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.communicate()
            self._guard = None

    # What the server says of itself

    def _pid_file(self) -> list[str]:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []
        return lines if lines and lines[0].isdecimal() else []

    def _answers(self) -> bool:
        try:
            url = self.url()
        except EmbeddedPostgresError:
            return False
        # In a thread of its own: the caller may have an event loop that runs already.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_answers, url).result()


def _rotate(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_MAX_BYTES:
            log.rename(log.with_name("log.1"))


def _flock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: int, data: Path) -> bool:
    """Whether this process is the server of `data`: neither dead, nor a zombie, nor somebody else by now."""
    # In a container without an init process a killed server stays a zombie of ours until somebody asks.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    if not sys.platform.startswith("linux"):
        ps = ["/bin/ps", "-o", "stat=,command=", "-p", str(pid)]
        shown = subprocess.run(ps, capture_output=True, check=False).stdout  # noqa: S603
        return b"postgres" in shown and not shown.startswith(b"Z")
    process = Path(f"/proc/{pid}")
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X"):
            return False
        # Numbers are used again, above all in containers; the server's working directory is its data.
        return (process / "cwd").samefile(data)
    except PermissionError:
        # Root of a container may not look there (CAP_SYS_PTRACE); the command line is for everybody.
        return b"postgres" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def _answers(url: str) -> bool:
    # Imported here: it costs 50 ms, and the guard never asks.
    import asyncio

    import asyncpg

    async def ask() -> bool:
        connection = await asyncpg.connect(url, timeout=5, ssl=False)
        try:
            return bool(await connection.fetchval("SELECT 1") == 1)
        finally:
            await connection.close(timeout=2)

    try:
        return asyncio.run(ask())
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def _guard(root: Path) -> None:
    """Wait for the end of the process that started us, then stop the server unless somebody else uses it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.read(0, 1)
    EmbeddedPostgres(root).stop()


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
