"""Outbound webhooks and hooks: facts queued in the transaction of their cause, delivered later by any worker.

Each receiver (an endpoint, or a hook) has a lane of its own, so that a slow one holds nobody else up. Of one object a
receiver hears in order: a later fact waits for the earlier one. Delivery is at least once, under the same id.
"""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import structlog
from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.points import reach
from tallystick.notifications.alerts import ALERT_PREFIX
from tallystick.notifications.hooks import Fact, HookBroken, Hooks
from tallystick.notifications.outbound_models import Delivery, FactTypes, NewFact, webhook_id
from tallystick.notifications.outbound_repository import OUTBOUND_CHANNEL, EndpointRepository, OutboundRepository
from tallystick.notifications.outbound_sender import Lookup, Outcome, WebhookSender, system_lookup
from tallystick.notifications.silence import ReadMark, is_silent, no_mark
from tallystick.platform.database import WEATHER, Database, Transaction, is_weather
from tallystick.platform.logging import scrub
from tallystick.platform.sealing import KeyMissing, Sealer
from tallystick.platform.settings import Settings
from tallystick.platform.telemetry import note_outbound
from tallystick.platform.tracing import span
from tallystick.platform.work import backoff, enqueue, pause

__all__ = ["OutboundService"]

log = structlog.get_logger()

_LANE = 4
_LEASE = timedelta(seconds=60)
_HOOK_TIMEOUT_S = 30
_POLL_S = 2.0
_MARK_TIMEOUT_S = 10
_FIRST_DELAY = timedelta(seconds=5)
_MOST_DELAY = timedelta(hours=1)
_TRIED_FOR = timedelta(days=1)
_SWITCHED_OFF_AFTER = timedelta(days=3)
_GONE = 410


class OutboundService:
    """The queue of facts and its worker."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, *, lookup: Lookup = system_lookup) -> None:
        self._database = database
        self._clock = clock
        self._allow_private = settings.private_webhooks_allowed
        self._lookup = lookup
        self._sealer = Sealer([key.get_secret_value() for key in settings.sealing_keys])
        self._hooks = Hooks()
        self._deliveries = OutboundRepository()
        self._endpoints = EndpointRepository()
        self.types = FactTypes()
        self._read_mark: ReadMark = no_mark

    def tell_from(self, mark: ReadMark) -> None:
        """Deliver no fact that is from before the mark."""
        self._read_mark = mark

    async def record_facts(self, tx: Transaction, facts: Sequence[NewFact]) -> None:
        """Store facts in the caller's transaction, earliest first; those whose business key is taken are left alone.

        The order of one object's facts is the order of the calls, so the caller has that object locked. What is told in
        silence is stored, and delivered to nobody.
        """
        if facts:
            unknown = {fact.type for fact in facts if fact.type not in self.types}
            if unknown:
                raise ValueError(f"no such types of facts: {', '.join(sorted(unknown))}")
            ordered = sorted(facts, key=lambda fact: fact.occurred_at)
            now, wall = self._clock.now(), self._clock.wall()
            mark = await self._read_mark(tx)
            told = [not is_silent() and (mark is None or fact.occurred_at >= mark) for fact in ordered]
            await self._deliveries.add_facts(tx, ordered, told, self._hooks.names, now, wall)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver what is due until `stop`, then finish what is in hand."""
        wake = asyncio.Event()
        listener = asyncio.create_task(self._database.listen(OUTBOUND_CHANNEL, wake.set, stop))
        sender = WebhookSender(allow_private=self._allow_private, lookup=self._lookup)
        lanes = _Lanes(wake)
        try:
            while not stop.is_set():
                try:
                    for delivery in await self._take(lanes):
                        lanes.start(delivery.receiver, self._deliver(sender, delivery))
                except WEATHER as error:
                    log.warning("outbound.weather", error=type(error).__name__)
                    await asyncio.sleep(0.5)
                await pause(_POLL_S, stop, wake)
            await lanes.settle()
        finally:
            listener.cancel()
            lanes.cancel()
            await asyncio.gather(listener, lanes.settle(), return_exceptions=True)
            await sender.close()

    async def _take(self, lanes: "_Lanes") -> list[Delivery]:
        wall = self._clock.wall()
        async with self._database.connection() as connection:
            return await self._deliveries.take(
                connection,
                hooks=self._hooks.names,
                busy=lanes.busy(),
                lane=_LANE,
                now=self._clock.now(),
                wall=wall,
                lease=wall + _LEASE,
            )

    async def _deliver(self, sender: WebhookSender, delivery: Delivery) -> None:
        name = f"deliver {delivery.type}"
        with span(name, "producer", parent=delivery.trace, alone=True) as traced:
            outcome = await self._try(sender, delivery)
            traced.set("messaging.message.id", webhook_id(delivery.fact_id))
            traced.set("tallystick.receiver", delivery.receiver)
            if outcome.status is not None:
                traced.set("http.response.status_code", outcome.status)
            if outcome.error is not None:
                traced.failed(str(outcome.status or "no answer"))
        try:
            await self._mark(delivery, outcome)
        except Exception as error:
            # The lease runs out, and it is delivered again under the same id.
            if not is_weather(error):
                log.exception("outbound.unmarked", id=str(delivery.id))

    async def _try(self, sender: WebhookSender, delivery: Delivery) -> Outcome:
        try:
            if delivery.endpoint_id is None:
                return await self._call(delivery)
            await reach("send.before")
            secrets = [self._sealer.open(secret, str(delivery.endpoint_id)) for secret in delivery.secrets]
            outcome = await sender.send(replace(delivery, secrets=secrets), self._clock.wall())
            await reach("send.after")
            return outcome
        except KeyMissing as error:
            log.warning("outbound.secret_sealed", endpoint=str(delivery.endpoint_id), reason=str(error))
            return Outcome(f"the endpoint's secret is {error}")
        except Exception as error:
            log.exception("outbound.failed", id=str(delivery.id))
            return Outcome(f"internal error: {type(error).__name__}")

    async def _call(self, delivery: Delivery) -> Outcome:
        fact = Fact(webhook_id(delivery.fact_id), delivery.type, delivery.occurred_at, delivery.data)
        try:
            async with asyncio.timeout(_HOOK_TIMEOUT_S) as limit:
                await self._hooks.call(delivery.receiver.removeprefix("hook:"), fact)
        except HookBroken as error:
            return Outcome(str(error))
        except Exception as error:  # the host's code: anything may come
            if limit.expired():
                return Outcome(f"not done within {_HOOK_TIMEOUT_S} s")
            log.warning("hook.failed", hook=delivery.receiver, error=type(error).__name__)
            return Outcome(scrub(f"{type(error).__name__}: {error}")[:500])
        return Outcome(None)

    async def _mark(self, delivery: Delivery, outcome: Outcome) -> None:
        """Note how it went. A mark that fails would mean a second delivery, so it is tried for a while."""
        until = self._clock.monotonic() + _MARK_TIMEOUT_S
        while True:
            try:
                await self._database.run(lambda tx: self._record(tx, delivery, outcome))
                note_outbound("delivered" if outcome.error is None else "failed")
                return
            except WEATHER:
                if self._clock.monotonic() > until:
                    raise
                await asyncio.sleep(0.2)

    async def _record(self, tx: Transaction, delivery: Delivery, outcome: Outcome) -> None:
        now, wall = self._clock.now(), self._clock.wall()
        status, body = outcome.status, outcome.body
        if outcome.error is None:
            ours = await self._deliveries.finish(tx, delivery, "delivered", now, status=status, body=body)
            if ours and delivery.endpoint_id:
                await self._endpoints.succeeded(tx, delivery)
            return
        error = outcome.error
        log.warning("outbound.not_delivered", id=str(delivery.id), receiver=delivery.receiver, reason=error)
        last_try = delivery.first_tried_at + _TRIED_FOR
        # What was sent to an address that is the endpoint's no more is not its answer: the new one gets the fact.
        moved = delivery.endpoint_id is not None and await self._endpoints.moved(tx, delivery)
        gone = status == _GONE and not moved
        if gone or wall >= last_try:
            ours = await self._deliveries.finish(tx, delivery, "dead", now, error=error, status=status, body=body)
        else:
            # Not all who failed together come back together; the day ends with a last try.
            delay = backoff(delivery.attempts + 1, _FIRST_DELAY, _MOST_DELAY) * (1 - random.random() / 10)
            again = min(wall + delay, last_try)
            ours = await self._deliveries.put_back(tx, delivery, again, error=error, status=status, body=body)
        if ours and delivery.endpoint_id and not moved:
            await self._note_failure(tx, delivery, error, gone=gone)

    async def _note_failure(self, tx: Transaction, delivery: Delivery, error: str, *, gone: bool) -> None:
        assert delivery.endpoint_id is not None
        now, wall = self._clock.now(), self._clock.wall()
        since = await self._endpoints.failed(tx, delivery, wall)
        if since is None or (not gone and wall - since < _SWITCHED_OFF_AFTER):
            return
        if not await self._endpoints.switch_off(tx, delivery, "gone" if gone else "failing", now):
            return
        kind = f"{ALERT_PREFIX}webhook_endpoint_disabled"
        payload = {
            "webhook_endpoint": str(delivery.endpoint_id),
            "failing_since": since.isoformat(),
            "error": error,
        }
        log.error("outbound.endpoint_disabled", endpoint=str(delivery.endpoint_id), reason=error)
        await enqueue(tx, kind, f"{kind}:{delivery.endpoint_id}:{int(wall.timestamp())}", payload, due_at=now)


class _Lanes:
    """What is being delivered, by receiver."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._wake = wake
        self._running: dict[str, set[asyncio.Task[None]]] = {}

    def busy(self) -> dict[str, int]:
        return {receiver: len(tasks) for receiver, tasks in self._running.items()}

    def start(self, receiver: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.setdefault(receiver, set()).add(task)
        task.add_done_callback(lambda done: self._done(receiver, done))

    def _done(self, receiver: str, task: "asyncio.Task[None]") -> None:
        self._running[receiver].discard(task)
        if not self._running[receiver]:
            del self._running[receiver]
        self._wake.set()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [task for tasks in self._running.values() for task in tasks]

    async def settle(self) -> None:
        await asyncio.gather(*self._tasks(), return_exceptions=True)

    def cancel(self) -> None:
        for task in self._tasks():
            task.cancel()
