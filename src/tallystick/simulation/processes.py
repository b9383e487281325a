"""Processes inside one loop: an API and workers that can be killed as `kill -9` kills.

Everything that runs for a process knows so by a context variable. A killed one loses its connections in the instant in
which it is killed, before any of its code runs again: whatever its tasks do while they are cancelled reaches nobody.
"""

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any, Literal, TypeAlias
from weakref import WeakSet

import uvicorn

from tallystick.app import create_app
from tallystick.app.parts import Parts
from tallystick.app.worker import Worker
from tallystick.core.clock import Clock
from tallystick.platform.settings import Settings

__all__ = [
    "Api",
    "Killed",
    "Kind",
    "Process",
    "Server",
    "WorkerProcess",
    "current_process",
    "listener",
    "started",
    "tracking_tasks",
]

Kind: TypeAlias = Literal["api", "worker"]
_REAP_S = 10.0

_process: ContextVar["Process | None"] = ContextVar("process", default=None)


class Killed(asyncio.CancelledError):
    """What the code meets that reached the point at which its process was killed."""


def current_process() -> "Process | None":
    """The process for which this code runs; None outside of any."""
    return _process.get()


@contextmanager
def tracking_tasks() -> Iterator[None]:
    """Let each task know its process, for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    def make(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=loop, **options)
        context = options.get("context")
        owner = _process.get() if context is None else context.get(_process)
        if owner is not None:
            owner.tasks.add(task)
        return task

    loop.set_task_factory(make)  # type: ignore[arg-type]  # the stubs know only tasks of the loop's own making
    try:
        yield
    finally:
        loop.set_task_factory(before)


class Server(uvicorn.Server):
    """A server inside somebody else's loop: signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def drop(self) -> None:
        """Listen no more, and cut every connection."""
        for server in getattr(self, "servers", ()):
            server.close()
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()


class Process:
    """One process of the application."""

    kind: Kind

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.alive = False
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._main: asyncio.Task[None] | None = None

    def parts(self) -> Parts | None:
        """Its services, once it has begun."""
        raise NotImplementedError

    async def start(self) -> None:
        """Begin; it serves or works when this returns."""
        self.alive = True
        context = copy_context()
        context.run(_process.set, self)
        self._main = asyncio.get_running_loop().create_task(self._run(), context=context)

    async def _run(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """End it here and now. What it had under way is gone; what it had sent is sent."""
        if not self.alive:
            return
        self.alive = False
        parts = self.parts()
        if parts is not None:
            parts.database.terminate()
        self._drop()
        for task in list(self.tasks):
            # The main one only waits for the others, and ends with them; it would cancel them a second time, in the
            # middle of closing what is theirs.
            if task is not self._main:
                task.cancel()

    def _drop(self) -> None:
        """Cut what is connected to it."""

    async def reap(self) -> None:
        """After it was killed or has ended: wait until nothing of it runs any more."""
        here = asyncio.current_task()
        tasks = [task for task in self.tasks if task is not here and not task.done()]
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=_REAP_S)
            for task in left:
                task.cancel()
        parts = self.parts()
        if parts is not None:
            with suppress(Exception):
                await parts.stripe.close()
        if self._main is not None and self._main.done() and not self._main.cancelled():
            self._main.exception()

    def failure(self) -> BaseException | None:
        """What a process died of by itself."""
        if self.alive and self._main is not None and self._main.done() and not self._main.cancelled():
            return self._main.exception() or RuntimeError("it ended by itself")
        return None


class Api(Process):
    """The API behind a port of its own, which stays its own while it is dead."""

    kind = "api"

    def __init__(self, settings: Settings, clock: Clock, port: int) -> None:
        super().__init__(settings, clock)
        self._port = port
        self._app = create_app(settings, clock, logs=False)
        self._server: Server | None = None

    def parts(self) -> Parts | None:
        return self._app.parts

    async def start(self) -> None:
        config = uvicorn.Config(
            self._serve, interface="asgi3", log_level="critical", access_log=False, lifespan="on",
            timeout_keep_alive=75, ws="none",
        )  # fmt: skip
        self._server = Server(config)
        await super().start()
        assert self._main is not None
        await started(self._server, self._main)

    async def _run(self) -> None:
        assert self._server is not None
        try:
            await self._server.serve(sockets=[listener(self._port)])
        except SystemExit as error:
            raise RuntimeError("the API did not start") from error

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        # The loop calls protocols in contexts of its own.
        _process.set(self)
        task = asyncio.current_task()
        if task is not None:
            self.tasks.add(task)
        if self.alive:
            await self._app(scope, receive, send)
        else:
            # It came in while the others were cut; without an answer the server would make up a 500.
            self._drop()

    def _drop(self) -> None:
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True
            self._server.drop()

    async def stop(self) -> None:
        """End it as it is ended by a signal."""
        if self._server is not None and self.alive:
            self._server.should_exit = True
            if self._main is not None:
                await asyncio.wait([self._main], timeout=_REAP_S)
        self.alive = False
        await self.reap()


class WorkerProcess(Process):
    """A worker."""

    kind = "worker"

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._worker = Worker(settings, clock)
        self._stop = asyncio.Event()

    def parts(self) -> Parts | None:
        return self._worker.parts

    async def _run(self) -> None:
        await self._worker.run(self._stop)

    async def stop(self) -> None:
        """End it as it is ended by a signal."""
        self._stop.set()
        if self._main is not None:
            await asyncio.wait([self._main], timeout=_REAP_S)
        self.alive = False
        await self.reap()


async def started(server: Server, serving: "asyncio.Task[None]") -> None:
    """Wait until a server serves. Raises RuntimeError where it never will."""
    for _ in range(10_000):
        if server.started:
            return
        if serving.done():
            break
        await asyncio.sleep(0.002)
    raise RuntimeError("the server did not start")


def listener(port: int = 0) -> socket.socket:
    """A socket on this machine's loopback that shares its port with those who reserve it."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made
