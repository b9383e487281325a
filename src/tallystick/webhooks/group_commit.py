"""Natural group commit: events that arrive while one flush runs share the next one's statement and its commit.

There is no timer: an event that comes alone is flushed at once. One flush is in flight per process; measured, more
of them only make the slow requests slower. A commit costs a disk sync whatever is in it, so this is what lets the
inbox take several times as many events as it could commit one by one.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import asyncpg
import structlog

from tallystick.core.clock import Clock
from tallystick.core.points import reach
from tallystick.platform.database import Connection, Database, is_weather
from tallystick.webhooks.errors import InboxUnavailable
from tallystick.webhooks.models import Envelope
from tallystick.webhooks.repository import WebhookEventRepository
from tallystick.webhooks.service import REFUSED, store_one

__all__ = ["GroupCommitter"]

log = structlog.get_logger()

_BATCH = 64
_QUEUE_LIMIT = 1024
# Stripe gives up on an answer after some ten seconds, and comes again: later than that nobody listens any more.
_FLUSH_TIMEOUT_S = 8.0
# Giving a connection back costs a round trip, so it is kept while traffic flows.
_LINGER_S = 1.0
_RETRY_AFTER_S = 5

_Waiting: TypeAlias = tuple[Envelope, "asyncio.Future[None]"]


class GroupCommitter:
    """Stores events of one process. `submit` may be called by any number of tasks at once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        repository: WebhookEventRepository | None = None,
        *,
        queue_limit: int = _QUEUE_LIMIT,
    ) -> None:
        self._database = database
        self._clock = clock
        self._repository = repository or WebhookEventRepository()
        self._queue_limit = queue_limit
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._stopped = False

    async def submit(self, envelope: Envelope) -> None:
        """Return once the event is committed, by this call or by an earlier delivery.

        Raises:
            InboxUnavailable: it is not known to be; whoever sent it has to send it again.
        """
        if self._stopped or len(self._waiting) >= self._queue_limit:
            raise InboxUnavailable(retry_after_s=_RETRY_AFTER_S)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((envelope, done))
        self._arrived.set()
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._run(), name="webhooks.group_commit")
        await done

    async def stop(self) -> None:
        """Take no more, and return when all that was taken is settled."""
        self._stopped = True
        self._arrived.set()
        if self._flusher is not None:
            await self._flusher

    async def _run(self) -> None:
        batch: Sequence[_Waiting] = ()
        try:
            while self._waiting:
                try:
                    async with self._database.connection() as connection:
                        while not connection.is_closed() and await self._more():
                            batch = self._next()
                            await self._flush(connection, batch)
                except Exception as error:
                    _note(error)
                    # Without this a database that is away would keep them waiting for as long as it is.
                    _refuse(self._next())
        finally:
            self._flusher = None
            # Only a cancellation or a bug leaves anybody behind; they must not wait for ever.
            _refuse(batch)
            _refuse(self._waiting)
            self._waiting.clear()

    async def _more(self) -> bool:
        """Whether something waits now, or comes before the connection has been idle for too long."""
        if not self._waiting and not self._stopped:
            self._arrived.clear()
            try:
                async with asyncio.timeout(_LINGER_S):
                    await self._arrived.wait()
            except TimeoutError:
                return False
        return bool(self._waiting)

    def _next(self) -> Sequence[_Waiting]:
        return [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]

    async def _flush(self, connection: Connection, batch: Sequence[_Waiting]) -> None:
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await reach("commit.before")
                await self._repository.insert(connection, [envelope for envelope, _ in batch], self._clock.wall())
                await reach("commit.after")
        except (*REFUSED, asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            for one in sorted(batch, key=lambda waiting: waiting[0].stripe_event_id):
                await self._flush_one(connection, one)
        except Exception as error:
            # Whatever it was, the answer is the same: not stored, send it again. A lost connection may have
            # committed all the same; then the next delivery finds it stored.
            _note(error)
            _refuse(batch)
        else:
            _accept(batch)

    async def _flush_one(self, connection: Connection, one: _Waiting) -> None:
        try:
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await store_one(self._repository, connection, one[0], self._clock)
        except Exception as error:
            _note(error)
            _refuse([one])
        else:
            _accept([one])


def _note(error: Exception) -> None:
    if is_weather(error):
        log.warning("inbox.unavailable", error=type(error).__name__)
    else:
        log.error("inbox.failed", exc_info=error)


def _accept(batch: Sequence[_Waiting]) -> None:
    for _, done in batch:
        if not done.done():
            done.set_result(None)


def _refuse(batch: Sequence[_Waiting] | deque[_Waiting]) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(InboxUnavailable(retry_after_s=_RETRY_AFTER_S))
