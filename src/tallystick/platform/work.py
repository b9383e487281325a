"""Due work: rows written in the transaction of their cause, done later by any worker on any machine.

A queue is a table with the columns `id, kind or template, state, due_at, not_before, leased_until, attempts,
last_error, finished_at`. `due_at` is business time (it can be moved), `not_before` and `leased_until` are wall
time. A worker takes rows under a lease, works with no transaction open, and reports; when it dies, the lease
runs out and another takes them. A row may therefore be worked on twice: the work itself must bear that.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.platform.database import WEATHER, Database, Record, Transaction, is_weather
from tallystick.platform.telemetry import note_work
from tallystick.platform.tracing import here, span

__all__ = [
    "MAIL_CHANNEL",
    "WORK_CHANNEL",
    "Handler",
    "Queue",
    "Retry",
    "WorkItem",
    "WorkRunner",
    "backoff",
    "enqueue",
    "pause",
    "run_queue",
    "wake_all",
]

log = structlog.get_logger()

WORK_CHANNEL = "tallystick_work"
MAIL_CHANNEL = "tallystick_mail"

_LEASE = timedelta(seconds=60)
_RELEASE_S = 3.0
_POLL_S = 2.0
_TRIES_MAX = 20


class Retry(Exception):
    """This item could not be done now. `counted` tells whether it was its own fault and uses up an attempt."""

    def __init__(self, reason: str, *, after: timedelta | None = None, counted: bool = True) -> None:
        super().__init__(reason)
        self.after = after
        self.counted = counted


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One row of the table `work`: `payload` is what its kind needs, `attempts` how often it failed so far."""

    id: UUID
    kind: str
    business_key: str
    payload: Mapping[str, Any]
    attempts: int

    @property
    def last_try(self) -> bool:
        """Whether the item is given up if it fails by its own fault this time, too."""
        return self.attempts + 1 >= _TRIES_MAX


Handler: TypeAlias = Callable[[WorkItem], Awaitable[datetime | None]]
"""Does an item; what it returns is when (in business time) the same item is to be done again, None for never."""


def backoff(attempts: int, base: timedelta, most: timedelta = timedelta(hours=1)) -> timedelta:
    """The delay after the `attempts`-th failure (1 is the first): doubling, with up to a quarter of jitter."""
    plain: timedelta = min(base * 2 ** min(attempts - 1, 30), most)
    return plain * (1 + random.random() / 4)


async def enqueue(
    tx: Transaction,
    kind: str,
    business_key: str,
    payload: Mapping[str, Any],
    *,
    due_at: datetime,
) -> None:
    """Queue one piece of work. While one with this key is queued, another is not added (but is due as early).

    If somebody is at work on that one, he may have looked too early: his lease is taken away, so that it is done again.
    """
    await tx.execute(
        f"""
        WITH queued AS (
            INSERT INTO work (id, kind, business_key, payload, due_at, trace) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (business_key) WHERE state = 'queued' DO UPDATE
            SET due_at = least(work.due_at, excluded.due_at), leased_until = NULL
            RETURNING 1
        )
        SELECT pg_notify('{WORK_CHANNEL}', '') FROM queued
        """,
        new_id(),
        kind,
        business_key,
        dict(payload),
        due_at,
        here(),
    )


class Queue:
    """Taking, finishing and putting back rows of one queue table (`work`, `mails`)."""

    def __init__(self, database: Database, clock: Clock, table: str) -> None:
        self._database = database
        self._clock = clock
        self._table = table

    async def take(self, limit: int) -> Sequence[Record]:
        """Up to `limit` due rows, whole, leased to the caller for a minute; oldest due first."""
        wall = self._clock.wall()
        async with self._database.connection() as connection:
            return await connection.fetch(
                f"""
                UPDATE {self._table} SET leased_until = $3
                WHERE id IN (
                    SELECT id FROM {self._table}
                    WHERE state = 'queued' AND due_at <= $1 AND not_before <= $2
                      AND (leased_until IS NULL OR leased_until < $2)
                    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
                )
                RETURNING *
                """,
                self._clock.now(),
                wall,
                wall + _LEASE,
                limit,
            )

    async def finish(self, item_id: UUID, lease: datetime, state: str = "done") -> None:
        """Mark a row as over, unless the lease under which it was taken is not the caller's any more."""
        async with self._database.connection() as connection:
            await connection.execute(
                f"""
                UPDATE {self._table} SET state = $3, leased_until = NULL, finished_at = $4
                WHERE id = $1 AND leased_until = $2
                """,
                item_id,
                lease,
                state,
                self._clock.now(),
            )

    async def put_off(self, item_id: UUID, lease: datetime, due_at: datetime) -> None:
        """Release a row that is done for now and due again later, unless somebody has asked for it meanwhile."""
        async with self._database.connection() as connection:
            await connection.execute(
                f"""
                UPDATE {self._table} SET due_at = $3, leased_until = NULL, attempts = 0, last_error = NULL
                WHERE id = $1 AND leased_until = $2
                """,
                item_id,
                lease,
                due_at,
            )

    async def release(self, item_id: UUID, lease: datetime) -> None:
        """Let somebody else take a row at once that was taken under this lease, and is not done."""
        async with self._database.connection() as connection:
            await connection.execute(
                f"UPDATE {self._table} SET leased_until = NULL WHERE id = $1 AND leased_until = $2", item_id, lease
            )

    async def put_back(self, item_id: UUID, error: str, delay: timedelta, *, counted: bool) -> None:
        """Release a row to be taken again after `delay` of wall time."""
        async with self._database.connection() as connection:
            await connection.execute(
                f"""
                UPDATE {self._table}
                SET leased_until = NULL, not_before = $2, last_error = $3, attempts = attempts + $4 WHERE id = $1
                """,
                item_id,
                self._clock.wall() + delay,
                error[:500],
                int(counted),
            )


async def run_queue(
    queue: Queue,
    work: Callable[[Record], Awaitable[None]],
    *,
    stop: asyncio.Event,
    wake: asyncio.Event,
    concurrency: int = 8,
) -> None:
    """Work off a queue until `stop`. `work` reports through the queue itself; what it raises is put back."""

    async def one(row: Record) -> None:
        try:
            await work(row)
        except asyncio.CancelledError:
            # Told to end before it was through: the next process need not wait for the lease to run out.
            with contextlib.suppress(*WEATHER):
                async with asyncio.timeout(_RELEASE_S):
                    await queue.release(row["id"], row["leased_until"])
            raise
        except Exception as error:
            if is_weather(error):
                log.warning("work.weather", id=str(row["id"]), error=type(error).__name__)
                # If it has passed, nobody need wait for the lease to run out; if not, it runs out in time.
                with contextlib.suppress(*WEATHER):
                    await queue.put_back(row["id"], type(error).__name__, timedelta(seconds=1), counted=False)
                return
            log.exception("work.failed", id=str(row["id"]))
            await queue.put_back(
                row["id"], "internal error", backoff(row["attempts"] + 1, timedelta(seconds=5)), counted=True
            )

    while not stop.is_set():
        rows: Sequence[Record] = ()
        try:
            rows = await queue.take(concurrency)
            await asyncio.gather(*(one(row) for row in rows))
        except WEATHER as error:
            log.warning("work.weather", error=type(error).__name__)
            await asyncio.sleep(0.5)
        if len(rows) < concurrency:
            await pause(_POLL_S, stop, wake)


_pausing: set[asyncio.Event] = set()


def wake_all() -> None:
    """Wake whoever pauses in this process: time has moved on otherwise than by passing."""
    for wake in _pausing:
        wake.set()


async def pause(seconds: float, stop: asyncio.Event, wake: asyncio.Event) -> None:
    """Sleep until `wake` or `stop` is set, at most `seconds`; clears `wake`."""
    _pausing.add(wake)
    try:
        await _sleep(seconds, stop, wake)
    finally:
        _pausing.discard(wake)
    wake.clear()


async def _sleep(seconds: float, stop: asyncio.Event, wake: asyncio.Event) -> None:
    waits = {asyncio.ensure_future(stop.wait()), asyncio.ensure_future(wake.wait())}
    _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()


class WorkRunner:
    """Works off the table `work`: each item goes to the handler of its kind, or of its kind's first word and `.*`.

    `timers` are kinds of which there is always one item: it is due at each start, and then when its handler says.
    """

    def __init__(
        self, database: Database, clock: Clock, handlers: Mapping[str, Handler], *, timers: Sequence[str] = ()
    ) -> None:
        self._database = database
        self._clock = clock
        self._queue = Queue(database, clock, "work")
        self._handlers = handlers
        self._timers = timers

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        wake = asyncio.Event()
        listener = asyncio.create_task(self._database.listen(WORK_CHANNEL, wake.set, stop))
        try:
            await self._start_timers(stop, wake)
            await run_queue(self._queue, self._do, stop=stop, wake=wake)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _start_timers(self, stop: asyncio.Event, wake: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with self._database.transaction() as tx:
                    for kind in self._timers:
                        await enqueue(tx, kind, kind, {}, due_at=self._clock.now())
                return
            except WEATHER as error:
                log.warning("work.weather", error=type(error).__name__)
                await pause(_POLL_S, stop, wake)

    async def _do(self, row: Record) -> None:
        item = WorkItem(row["id"], row["kind"], row["business_key"], row["payload"], row["attempts"])
        handler = self._handlers.get(item.kind) or self._handlers.get(f"{item.kind.split('.')[0]}.*")
        if handler is None:
            # A newer version of the program may know it; this one leaves it alone.
            raise LookupError(f"no handler for work of kind {item.kind}")
        try:
            # It may be due long after its cause: a trace of its own, which points there.
            with span(f"work {item.kind}", "consumer", links=[row["trace"]], alone=True):
                again = await handler(item)
        except Retry as retry:
            delay = retry.after or backoff(item.attempts + 1, timedelta(seconds=2))
            await self._give_back(item, str(retry), delay, row["leased_until"], counted=retry.counted)
        else:
            if again is None:
                await self._queue.finish(item.id, row["leased_until"])
                note_work(item.kind, "done")
            else:
                await self._queue.put_off(item.id, row["leased_until"], again)
                note_work(item.kind, "later")

    async def _give_back(self, item: WorkItem, error: str, delay: timedelta, lease: datetime, *, counted: bool) -> None:
        if counted and item.last_try:
            log.error("work.dead", kind=item.kind, key=item.business_key, error=error)
            await self._queue.finish(item.id, lease, "dead")
            note_work(item.kind, "dead")
        else:
            await self._queue.put_back(item.id, error, delay, counted=counted)
            note_work(item.kind, "retried")
