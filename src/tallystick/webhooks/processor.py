"""The worker's side of the inbox: takes due events lane by lane and applies each exactly once.

A batch is one transaction: the locks of its lanes, the effects of up to 64 events, and their marks. A crash at any
moment leaves all of it or none, and the lanes are free as soon as the connection is gone. What waits in several lanes
shares a batch as long as it fits into one: a batch of one event costs nearly as much as one of twenty. No savepoints:
they cost as much as the work itself. Only when a batch fails is it done again one by one under savepoints, to find who
is to blame.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.platform.database import Database, Transaction, is_weather
from tallystick.platform.settings import Settings
from tallystick.platform.telemetry import note_applied, note_delay
from tallystick.platform.work import pause
from tallystick.webhooks.failures import Rules, Verdict, describe, judge
from tallystick.webhooks.models import ClaimedEvent, Parked
from tallystick.webhooks.registry import Record, Registry
from tallystick.webhooks.repository import BATCH, CHANNEL, WebhookEventRepository
from tallystick.webhooks.service import queue_alert, queue_fetch
from tallystick.webhooks.service_traces import EventTraces, Origins

__all__ = ["BeforeMark", "EventProcessor", "bundles"]

log = structlog.get_logger()

# Lanes are left after so many full batches, so that a flood in one does not keep the others waiting.
_BATCHES_IN_A_ROW = 4
# So long what is at work keeps what is new waiting; then it is for the others.
_LOOK_S = 0.01
_POLL_LEAST_S = 0.05
# What is new is told by a notification; this is for what was put off, and for notifications that got lost.
_POLL_MOST_S = 2.0
_LANE_BUSY_S = 0.02
_TROUBLE_S = 0.5
_SHUTDOWN_S = 10.0


def _note(error: Exception, **where: Any) -> None:
    if is_weather(error):
        log.warning("inbox.weather", error=type(error).__name__, **where)
    else:
        log.error("inbox.failed", exc_info=error, **where)


def _leave(busy: dict[asyncio.Task[None], Sequence[int]], wake: asyncio.Event, task: asyncio.Task[None]) -> None:
    del busy[task]
    wake.set()


def bundles(due: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Lanes with the number of their due events, in bundles that fit into one batch each; the order stays."""
    found: list[list[int]] = []
    size = 0
    for lane, events in due:
        if not found or size + events > BATCH:
            found.append([])
            size = 0
        found[-1].append(lane)
        size += events
    return found


@dataclass(frozen=True, slots=True)
class BeforeMark:
    """How events are applied that were created before the installation's mark: inside `silent`, so that nobody is told.

    `mark` reads it in the transaction of a batch; None is no mark.
    """

    mark: Callable[[Transaction], Awaitable[datetime | None]]
    silent: Callable[[], AbstractContextManager[None]]


class _NoLongerPending(Exception):
    """Somebody else settled an event meanwhile; what was done for it must be undone."""


class EventProcessor:
    """Applies events by the registry's handlers. Any number of these may run, in any number of processes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        registry: Registry,
        settings: Settings,
        repository: WebhookEventRepository | None = None,
        *,
        concurrency: int = 4,
        before_mark: BeforeMark | None = None,
        origins: Origins | None = None,
    ) -> None:
        """`concurrency` is how many batches are worked on at once; each needs a connection of the pool, and waiting for
        notifications one more. `before_mark`: how old events are applied; `origins`: what traces of them go on from."""
        self._database = database
        self._clock = clock
        self._registry = registry
        self._repository = repository or WebhookEventRepository()
        self._concurrency = concurrency
        self._before_mark = before_mark
        self._traces = EventTraces(origins)
        self._turns: dict[int, int] = {}
        self._rules = Rules(
            max_retries=settings.webhook_max_retries,
            retry_delay=timedelta(milliseconds=settings.webhook_retry_delay),
            can_fetch=registry.can_fetch,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Apply events until `stop`; what is being applied then is finished first."""
        wake = asyncio.Event()
        busy: dict[asyncio.Task[None], Sequence[int]] = {}

        def told() -> None:
            # Whoever is at work looks again when it is through, and finds more for its next batch then.
            if not busy:
                wake.set()

        listener = asyncio.create_task(self._database.listen(CHANNEL, told, stop), name="webhooks.listen")
        idle_s = _POLL_LEAST_S
        try:
            while not stop.is_set():
                started = await self._start_lanes(busy, wake)
                idle_s = _POLL_LEAST_S if started or busy else min(idle_s * 2, _POLL_MOST_S)
                await pause(_LOOK_S if started else idle_s, stop, wake)
        finally:
            stop.set()
            tasks = [*busy, listener]
            await asyncio.wait(tasks, timeout=_SHUTDOWN_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self) -> int:
        """Apply everything that is due now and return how many events were taken; for one-off runs and tests."""
        taken = 0
        while due := await self._due_lanes():
            several = bundles(due)[: self._concurrency]
            results = await asyncio.gather(*(self.work_lanes(lanes) for lanes in several))
            taken += sum(result or 0 for result in results)
            if not any(results):
                await asyncio.sleep(_LANE_BUSY_S)
        return taken

    async def work_lanes(self, lanes: Sequence[int]) -> int | None:
        """One batch of these lanes: how many events were taken (0: nothing is due), or None when others have them all.

        Raises one of `WEATHER` when the database is away.
        """
        try:
            return await self._apply_batch(lanes)
        except Exception as error:
            log.info("inbox.batch_failed", lanes=list(lanes), error=describe(error))
        return await self._apply_one_by_one(lanes)

    # Which lanes next

    async def _start_lanes(self, busy: dict[asyncio.Task[None], Sequence[int]], wake: asyncio.Event) -> int:
        """Start a task for each bundle of due lanes, as far as there is room; returns how many were started."""
        room = self._concurrency - len(busy)
        if room <= 0:
            return 0
        try:
            due = await self._due_lanes()
        except Exception as error:
            # A worker outlives whatever its database does to it; nothing was taken, so nothing is lost.
            _note(error)
            return 0
        taken = {lane for lanes in busy.values() for lane in lanes}
        several = bundles([(lane, events) for lane, events in due if lane not in taken])[:room]
        for lanes in several:
            self._turns.update(dict.fromkeys(lanes, max(self._turns.values(), default=0) + 1))
            task = asyncio.create_task(self._stay_on_lanes(lanes), name=f"webhooks.lanes.{lanes}")
            busy[task] = lanes
            task.add_done_callback(partial(_leave, busy, wake))
        return len(several)

    async def _due_lanes(self) -> Sequence[tuple[int, int]]:
        """The lanes with something to do, and how much up to a batch: first those whose last turn is longest ago."""
        async with self._database.connection() as connection:
            due = list(await self._repository.due_lanes(connection, self._clock.wall()))
        # By chance among equals, so that workers do not all begin at the same lane.
        random.shuffle(due)
        return sorted(due, key=lambda lane: self._turns.get(lane[0], 0))

    async def _stay_on_lanes(self, lanes: Sequence[int]) -> None:
        try:
            for _ in range(_BATCHES_IN_A_ROW):
                taken = await self.work_lanes(lanes)
                if taken is None:
                    await asyncio.sleep(_LANE_BUSY_S)
                if taken != BATCH:
                    return
        except Exception as error:
            _note(error, lanes=list(lanes))
            # The task keeps its lanes meanwhile, so that a database in trouble is not hammered.
            await asyncio.sleep(_TROUBLE_S)

    # One batch

    async def _apply_batch(self, lanes: Sequence[int]) -> int | None:
        async with self._database.transaction() as tx:
            claimed = await self._claim(tx, lanes)
            if claimed is None:
                return None
            ready, now = await self._set_aside(tx, claimed), self._clock.wall()
            if ready:
                async with self._traces.applying(tx, ready):
                    await self._apply(tx, ready, now)
        self._note(ready)
        return len(claimed)

    async def _apply_one_by_one(self, lanes: Sequence[int]) -> int | None:
        async with self._database.transaction() as tx:
            claimed = await self._claim(tx, lanes)
            if claimed is None:
                return None
            now = self._clock.wall()
            held: dict[str, Parked] = {}
            behind: list[UUID] = []
            for event in await self._set_aside(tx, claimed):
                if event.object_key in held and held[event.object_key].holds(event):
                    behind.append(event.id)
                elif parked := await self._try_one(tx, event, now):
                    held[event.object_key] = parked
            if behind:
                await self._repository.wait_behind(tx, behind)
            return len(claimed)

    async def _claim(self, tx: Transaction, lanes: Sequence[int]) -> Sequence[ClaimedEvent] | None:
        free = await self._repository.try_lanes(tx, lanes)
        if not free:
            return None
        claimed = await self._repository.claim(tx, free, self._clock.wall())
        return await self._registry.redactor.events(tx, claimed) if self._registry.redactor else claimed

    async def _set_aside(self, tx: Transaction, claimed: Sequence[ClaimedEvent]) -> Sequence[ClaimedEvent]:
        """The events whose object is free; the others wait until it is."""
        suspects = [event.object_key for event in claimed if event.parked_by not in (None, event.id)]
        if not suspects:
            return claimed
        parked = await self._repository.parked_among(tx, suspects)
        behind = {event.id for event in claimed if event.object_key in parked and parked[event.object_key].holds(event)}
        if behind:
            await self._repository.wait_behind(tx, list(behind))
        return [event for event in claimed if event.id not in behind]

    async def _apply(self, tx: Transaction, events: Sequence[ClaimedEvent], now: datetime) -> None:
        """The effects of `events` and their marks; raises whatever a handler does."""
        mark = await self._before_mark.mark(tx) if self._before_mark else None
        old = [event for event in events if mark is not None and event.created < mark]
        if old and self._before_mark:
            with self._before_mark.silent():
                await self._record(tx, old)
        await self._record(tx, [event for event in events if mark is None or event.created >= mark])
        states = {event.id: "processed" if self._registry.find(event.type) else "unhandled" for event in events}
        if await self._repository.settle(tx, states, now) != len(states):
            raise _NoLongerPending
        if holders := [event.id for event in events if event.parked_by == event.id]:
            await self._repository.release(tx, holders, now)

    async def _record(self, tx: Transaction, events: Sequence[ClaimedEvent]) -> None:
        facts: dict[int, tuple[Record, list[Any]]] = {}
        for event in events:
            handler = self._registry.find(event.type)
            if handler and (found := handler.translate(event.open())):
                facts.setdefault(handler.rank, (handler.record, []))[1].extend(found)
        for rank in sorted(facts):
            record, found = facts[rank]
            await record(tx, found)

    def _note(self, events: Sequence[ClaimedEvent]) -> None:
        """Count what was applied, once it is committed."""
        wall, business = self._clock.wall(), self._clock.now()
        handled = sum(self._registry.find(event.type) is not None for event in events)
        note_applied("processed", handled)
        note_applied("unhandled", len(events) - handled)
        for event in events:
            note_delay((wall - event.received_at).total_seconds(), (business - event.created).total_seconds())

    # When one fails

    async def _try_one(self, tx: Transaction, event: ClaimedEvent, now: datetime) -> Parked | None:
        """Apply one event under a savepoint, or do what its failure asks for; what holds its object up from now on."""
        try:
            async with self._traces.applying(tx, [event]), tx.transaction():
                await self._apply(tx, [event], now)
        except _NoLongerPending:
            return None
        except Exception as error:
            if tx.is_closed():
                raise
            verdict = judge(error, event, self._rules, now)
            counted = "retried" if verdict.retry_count > event.retry_count else "waiting"
            note_applied("dead" if verdict.not_before is None else counted)
            await self._carry_out(tx, event, verdict, now)
            return None if verdict.not_before is None else Parked(event.id, verdict.waits_for)
        return None

    async def _carry_out(self, tx: Transaction, event: ClaimedEvent, verdict: Verdict, now: datetime) -> None:
        log.warning(
            "inbox.event_failed",
            stripe_event_id=event.stripe_event_id,
            type=event.type,
            error=verdict.message,
            dead=verdict.not_before is None,
        )
        if verdict.fetch:
            await queue_fetch(tx, self._registry, [verdict.fetch], self._clock)
        if verdict.not_before is not None:
            await self._repository.postpone(
                tx,
                event,
                retry_count=verdict.retry_count,
                not_before=verdict.not_before,
                message=verdict.message,
                now=now,
                waits_for=verdict.waits_for,
            )
            return
        await self._repository.give_up(tx, event.id, verdict.message, now)
        await self._repository.release(tx, [event.id], now)
        await queue_alert(tx, event, verdict.message, self._clock)
        # What the event would have told is read from Stripe, so that the object's later events find it as it is.
        await queue_fetch(tx, self._registry, (event.object_id, event.object_key), self._clock)
