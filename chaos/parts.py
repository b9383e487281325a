"""The processes that are hit: each is started again when it ends, as a supervisor of production would."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from chaos.proxy import Address
from chaos.wall_clock import WallClock
from tallystick.cli.process import Process
from tallystick.platform.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError

__all__ = ["Part", "Postgres"]

_AGAIN_S = (0.2, 3.0)
_STEADY_S = 5.0


@dataclass
class Part:
    """A process of ours, and how to know that it does its work."""

    name: str
    process: Process
    environment: Callable[[], Mapping[str, str]]
    is_up: Callable[[], Awaitable[bool]]
    clock: WallClock | None = None
    started_at: float = 0.0
    """Of this program's own time."""
    _keeping: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        await self._spawn()
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def stop(self) -> None:
        """End it for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        pid = self.process.pid
        for number in (signal.SIGCONT, signal.SIGTERM):
            self.process.send(number)
        if pid is None:
            return
        try:
            await asyncio.wait_for(self.process.wait(), 15)
        except TimeoutError:
            self.process.send(signal.SIGKILL)
            await self.process.wait()
        WallClock.clean_up(pid)

    def kill(self) -> None:
        self.process.send(signal.SIGKILL)

    def freeze(self) -> None:
        self.process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send(signal.SIGCONT)

    async def _keep(self) -> None:
        delay, since = _AGAIN_S[0], time.monotonic()
        while True:
            pid = self.process.pid
            await self.process.wait()
            if pid is not None:
                WallClock.clean_up(pid)
            if time.monotonic() - since > _STEADY_S:
                delay = _AGAIN_S[0]
            await asyncio.sleep(delay)
            delay, since = min(delay * 2, _AGAIN_S[1]), time.monotonic()
            await self._spawn()

    async def _spawn(self) -> None:
        self.started_at = time.monotonic()
        await self.process.spawn()
        await self.process.order(self.environment())


class Postgres:
    """The embedded server, watched as `tallystick dev` watches it."""

    def __init__(self, folder: Path) -> None:
        self.server = EmbeddedPostgres(folder)
        self.problems: list[str] = []
        self._keeping: asyncio.Task[None] | None = None
        self._ensuring: asyncio.Future[str] | None = None

    async def start(self) -> None:
        await self._ensure()
        self._keeping = asyncio.create_task(self._keep(), name="keep postgres")

    async def stop(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._ensuring is not None:
            await asyncio.gather(self._ensuring, return_exceptions=True)
        self.thaw()
        await asyncio.to_thread(self.server.stop)

    @property
    def url(self) -> str:
        return self.server.url()

    def url_by(self, port: int) -> str:
        """Its address with another port: that of a line which leads to it."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()

    def address(self) -> Address:
        return "127.0.0.1", urlsplit(self.url).port or 5432

    async def is_up(self) -> bool:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection = await asyncpg.connect(self.url, timeout=2, ssl=False)
            await connection.close(timeout=1)
            return True
        return False

    async def want_log(self) -> None:
        """Have it begin the next file of its write-ahead log, which it would some time later."""
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection = await asyncpg.connect(self.url, timeout=2, ssl=False, command_timeout=2)
            try:
                await connection.execute("SELECT pg_switch_wal()")
            finally:
                connection.terminate()

    def said(self, text: str) -> int:
        """How often its log says this."""
        return sum(log.read_text(errors="replace").count(text) for log in self.server.root.glob("log*"))

    def kill(self) -> None:
        """The server with all its processes at once."""
        self._send(signal.SIGKILL, self._pids())

    def kill_backend(self, rng: random.Random) -> None:
        """One of its processes; the server then ends all others and recovers."""
        pids = self._pids()[1:]
        if pids:
            self._send(signal.SIGKILL, [rng.choice(pids)])

    def freeze(self) -> None:
        self._send(signal.SIGSTOP, self._pids())

    def thaw(self) -> None:
        self._send(signal.SIGCONT, self._pids())

    def _send(self, number: signal.Signals, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pids(self) -> list[int]:
        """The server and its children."""
        root = self.server.pid()
        if root is None or not self.server.alive():
            return []
        children: list[int] = []
        with contextlib.suppress(OSError, ValueError):
            children = [int(pid) for pid in Path(f"/proc/{root}/task/{root}/children").read_text().split()]
        return [root, *children]

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            if not self.server.alive():
                try:
                    await self._ensure()
                except EmbeddedPostgresError as error:
                    self.problems.append(str(error))
                    await asyncio.sleep(1)

    async def _ensure(self) -> None:
        self._ensuring = asyncio.ensure_future(asyncio.to_thread(self.server.ensure))
        # Shielded: a thread cannot be cancelled, and stopping has to wait for it.
        await asyncio.shield(self._ensuring)
