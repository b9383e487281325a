"""A TCP proxy between two parts, which lets the way between them go wrong."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

__all__ = ["Address", "Line", "Targets", "Trouble"]

Address: TypeAlias = tuple[str, int]
Targets: TypeAlias = Callable[[], Sequence[Address]]
"""Where a line may lead at this moment."""

_CHUNK = 65_536
_TRICKLE_BYTES = 64
_TRICKLE_PAUSE_S = 0.05
_LINGER_S = 5.0
_GHOST_S = 90.0
"""So long the far end of a connection that was swallowed hears nothing, then it is gone."""


class Trouble(StrEnum):
    """What is wrong with a line."""

    CUT = "cut"
    """Whatever is open breaks, and so does whatever is opened."""
    ANSWERS_LOST = "answers lost"
    """Requests arrive; where an answer begins, the connection breaks."""
    DELAY = "delay"
    TRICKLE = "trickle"
    BLACK_HOLE = "black hole"
    """Nothing arrives and nobody is told. Connections of that time stay dead after it, as behind a firewall that forgot
    them; the far end keeps its half, with all the locks it holds, for 90 s."""


@dataclass(eq=False)
class _Way:
    """One connection through the proxy."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    swallowed: bool = False


@dataclass
class Line:
    """Listens on a port of its own and leads to wherever `targets` says at the moment of connecting."""

    name: str
    targets: Targets
    port: int = 0
    host: str = "127.0.0.1"
    trouble: Trouble | None = None
    amount: float = 0.0
    """Seconds of a delay."""
    carried: int = 0
    _turn: int = 0
    _ways: set[_Way] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._break_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def disturb(self, trouble: Trouble, amount: float = 0.0) -> None:
        """Let it go wrong from now on."""
        self.trouble, self.amount = trouble, amount
        if trouble is Trouble.CUT:
            self._break_all()
        if trouble is Trouble.BLACK_HOLE:
            for way in self._ways:
                way.swallowed = True

    def mend(self) -> None:
        self.trouble = None

    @property
    def open_ways(self) -> int:
        """How many connections there are that anything gets through."""
        return sum(1 for way in self._ways if not way.swallowed)

    def _break_all(self) -> None:
        for way in list(self._ways):
            for end in (way.near, way.far):
                _reset(end)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.trouble is Trouble.CUT:
            _reset(writer)
            return
        opened = await self._connect()
        if opened is None:
            _reset(writer)
            return
        far_reader, far_writer = opened
        way = _Way(writer, far_writer, swallowed=self.trouble is Trouble.BLACK_HOLE)
        self._ways.add(way)
        self.carried += 1
        requests = asyncio.ensure_future(self._pump(way, reader, far_writer, answers=False))
        answers = asyncio.ensure_future(self._pump(way, far_reader, writer, answers=True))
        try:
            orderly = await _both(requests, answers)
        finally:
            self._ways.discard(way)
            for task in (requests, answers):
                task.cancel()
            await asyncio.gather(requests, answers, return_exceptions=True)
        for end in (writer, far_writer):
            if orderly:
                end.close()
            else:
                _reset(end)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """To the next of the targets in turn that takes the connection."""
        targets = self.targets()
        self._turn += 1
        for place in range(len(targets)):
            host, port = targets[(self._turn + place) % len(targets)]
            with contextlib.suppress(OSError, TimeoutError):
                return await asyncio.wait_for(asyncio.open_connection(host, port), 5)
        return None

    async def _pump(
        self, way: _Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            if way.swallowed:
                continue
            if self.trouble is Trouble.ANSWERS_LOST and answers:
                raise ConnectionResetError
            await self._send(way, writer, data)
        if way.swallowed:
            await asyncio.sleep(_GHOST_S)
            raise ConnectionResetError
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()

    async def _send(self, way: _Way, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.trouble is Trouble.DELAY:
            await asyncio.sleep(self.amount)
        view = memoryview(data)
        while self.trouble is Trouble.TRICKLE and len(view) > _TRICKLE_BYTES:
            writer.write(bytes(view[:_TRICKLE_BYTES]))
            view = view[_TRICKLE_BYTES:]
            await asyncio.sleep(_TRICKLE_PAUSE_S)
        if not way.swallowed:
            writer.write(bytes(view))
            await writer.drain()


async def _both(requests: "asyncio.Future[None]", answers: "asyncio.Future[None]") -> bool:
    """Wait for the end of both ways; whether it was an orderly one."""
    first, _ = await asyncio.wait({requests, answers}, return_when=asyncio.FIRST_COMPLETED)
    broken = any(task.exception() for task in first)
    if not broken:
        # A server that has hung up has no more to say; a client may only have finished asking.
        await asyncio.wait({requests, answers}, timeout=_LINGER_S if answers in first else None)
        broken = any(not task.done() or task.exception() for task in (requests, answers))
    return not broken


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset, where that can be had: the other end learns of it at once, and of no orderly end."""
    with contextlib.suppress(OSError, ValueError):
        found = writer.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
