"""`Listener`: one connection that hears the notifications of all channels a process waits for."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

__all__ = ["Listener"]

log = structlog.get_logger()

_TROUBLE_S = 0.5
_LEAVE_S = 2.0


class Listener:
    """Opens its connection when somebody wants to hear, and again when it is lost. For one event loop."""

    def __init__(self, connecting: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        self._connecting = connecting
        self._wakes: dict[str, list[Callable[[], None]]] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def hear(self, channel: str, wake: Callable[[], None], stop: asyncio.Event) -> None:
        """Call `wake` on every NOTIFY of `channel` until `stop`, and whenever one may have been missed."""
        self._wakes.setdefault(channel, []).append(wake)
        self._changed.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="database.listen")
        try:
            await stop.wait()
        finally:
            self._wakes[channel].remove(wake)
            if not any(self._wakes.values()):
                # It ends by itself: canceled, it could be so once more while it takes its leave of the server.
                self._changed.set()
                _, running = await asyncio.wait({self._task}, timeout=_LEAVE_S)
                for task in running:
                    task.cancel()

    async def _run(self) -> None:
        while any(self._wakes.values()):
            try:
                async with self._connecting() as connection:
                    await self._listen(connection)
            except Exception as error:
                # Deaf, a worker would only be slow, and nobody would notice: it goes on trying.
                log.warning("listen.lost", error=type(error).__name__)
                await asyncio.sleep(_TROUBLE_S)

    async def _listen(self, connection: Any) -> None:
        gone, heard = asyncio.Event(), set[str]()

        def lost(_: Any) -> None:
            gone.set()
            self._changed.set()

        connection.add_termination_listener(lost)
        try:
            while any(self._wakes.values()) and not gone.is_set():
                self._changed.clear()
                for channel in set(self._wakes) - heard:
                    await connection.add_listener(channel, self._notified)
                    heard.add(channel)
                    self._wake(channel)
                await self._changed.wait()
        finally:
            connection.remove_termination_listener(lost)
            for channel in heard if not connection.is_closed() else ():
                await connection.remove_listener(channel, self._notified)

    def _notified(self, _: Any, __: int, channel: str, ___: str) -> None:
        self._wake(channel)

    def _wake(self, channel: str) -> None:
        for wake in self._wakes.get(channel, ()):
            wake()
