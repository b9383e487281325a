"""Webhook delivery: signed, repeated on the business clock for up to three days, never lost.

What is due is in the database; this holds only the order of the near future. A delivery that succeeded but
was not yet marked when the process died is made again, as Stripe's may be.
"""

import asyncio
import hashlib
import heapq
import hmac
import logging
import math
from collections import defaultdict
from collections.abc import Iterable

import aiohttp
import msgspec

from tallystick.sandbox.engine import Engine
from tallystick.sandbox.events import Delivery, Endpoint
from tallystick.sandbox.shapes import Json, decode, encode

__all__ = ["Deliverer", "retry_delay", "signature_header"]

_log = logging.getLogger(__name__)
_GIVE_UP_S = 3 * 86400
_STEPS = (10.0, 60.0, 600.0, 3600.0, 7200.0, 14400.0, 28800.0, 57600.0)
_FLUSH_S = 0.01
_USER_AGENT = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


def retry_delay(failures: int, first_s: float) -> float:
    """Business seconds until the next try after so many failed ones."""
    if failures <= 1:
        return first_s
    return max(first_s, _STEPS[min(failures - 2, len(_STEPS) - 1)])


def signature_header(body: bytes, secret: str, at: int) -> str:
    """`Stripe-Signature`: HMAC-SHA256 over `t.body` with the whole secret."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Deliverer:
    """Sends what is due, several at a time to each endpoint, and runs the engine's due moments."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._in_flight: dict[str, int] = defaultdict(int)
        self._tasks: set[asyncio.Task[None]] = set()
        self._results: list[tuple[int, str, float, str]] = []
        self._session: aiohttp.ClientSession | None = None
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._flusher: asyncio.TimerHandle | None = None
        self.closed = False

    async def start(self) -> None:
        """Take up what an earlier process left, and run."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60), auto_decompress=False
        )
        self.reload()
        self._runner = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop at once; deliveries under way are left as pending."""
        self.closed = True
        running = [task for task in (self._runner, *self._tasks) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._flusher is not None:
            self._flusher.cancel()
        self._flush()
        if self._session is not None:
            await self._session.close()

    def forget(self) -> None:
        """Break off what is under way: the state it belongs to is gone."""
        for task in self._tasks:
            task.cancel()
        self._results.clear()
        self.reload()

    def reload(self) -> None:
        """Read all pending deliveries from the database."""
        self._waiting.clear()
        rows = self._engine.store.execute(
            "SELECT id, endpoint, due_at FROM deliveries WHERE state = 'pending'"
        ).fetchall()
        self.add(Delivery(*row) for row in rows)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Deliveries that were committed; also the sign that due moments may have changed."""
        for item in deliveries:
            heapq.heappush(self._waiting[item.endpoint], (item.due_at, item.id))
        self._wake.set()

    def wake(self) -> None:
        """Look again at what is due: the clock, the endpoints or the due moments have changed."""
        self._wake.set()

    def next_due(self) -> float | None:
        """When the next delivery to a living endpoint is due, in business time."""
        known = self._engine.events.endpoints()
        moments = [heap[0][0] for endpoint, heap in self._waiting.items() if heap and endpoint in known]
        return min(moments, default=None)

    def unfinished(self, most: int = 20) -> list[str]:
        """What `busy` is about, for people."""
        rows = self._engine.store.execute(
            "SELECT o.body, d.endpoint FROM deliveries d JOIN objects o ON o.seq = d.event_seq "
            "WHERE d.state = 'pending' AND d.due_at <= ? ORDER BY d.due_at LIMIT ?",
            self._engine.clock.exact(),
            most,
        ).fetchall()
        known = self._engine.events.endpoints()
        return [f"webhook {decode(body)['type']} to {known[to].url}" for body, to in rows if to in known]

    def busy(self) -> bool:
        """Whether anything is due or under way."""
        due = self.next_due()
        return bool(self._tasks or self._results) or (due is not None and due <= self._engine.clock.exact())

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                self.pump()
                await self._pause()
            except Exception:
                # Whatever went wrong once must not end all delivery.
                _log.exception("webhook delivery stumbled")
                await asyncio.sleep(1)

    def pump(self) -> None:
        """Let due moments happen and start due deliveries."""
        # A burst of due moments must not keep requests waiting.
        for _ in range(50):
            if not self._engine.run_due_job():
                break
        else:
            self._wake.set()
        for item in self._engine.take_fresh():
            heapq.heappush(self._waiting[item.endpoint], (item.due_at, item.id))
        now = self._engine.clock.exact()
        limit = self._engine.settings.webhook_in_flight
        for endpoint in self._engine.events.endpoints().values():
            heap = self._waiting[endpoint.id]
            while heap and heap[0][0] <= now and self._in_flight[endpoint.id] < limit:
                _, delivery_id = heapq.heappop(heap)
                self._in_flight[endpoint.id] += 1
                task = asyncio.create_task(self._deliver(endpoint, delivery_id))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pause(self) -> None:
        moments = [at for at in (self._engine.next_job_at(), self._next_startable()) if at is not None]
        ahead = min(moments, default=math.inf) - self._engine.clock.exact()
        try:
            await asyncio.wait_for(self._wake.wait(), min(max(ahead, 0.0), 3600.0))
        except TimeoutError:
            return

    def _next_startable(self) -> float | None:
        """As `next_due`, without endpoints that have no place free: a finished delivery wakes us for those."""
        limit = self._engine.settings.webhook_in_flight
        known = self._engine.events.endpoints()
        moments = [
            heap[0][0]
            for endpoint, heap in self._waiting.items()
            if heap and endpoint in known and self._in_flight[endpoint] < limit
        ]
        return min(moments, default=None)

    async def _deliver(self, endpoint: Endpoint, delivery_id: int) -> None:
        try:
            row = self._engine.store.execute(
                "SELECT event, version, first_at, state, tries FROM deliveries WHERE id = ?", delivery_id
            ).fetchone()
            if row is None or row[3] != "pending":
                return
            event_id, version, first_at, _, tries = row
            body = self._engine.events.body(event_id, version)
            status = await self._send(endpoint, body) if body is not None else "gone"
            self._settle(delivery_id, endpoint.id, first_at, decode(tries), status)
        finally:
            self._in_flight[endpoint.id] -= 1
            self._wake.set()

    async def _send(self, endpoint: Endpoint, body: bytes) -> int | str:
        """The status of the answer, or what went wrong."""
        if self._session is None:
            return "not started"
        pretty = msgspec.json.format(body, indent=2)
        if self._engine.recorder is not None:
            self._engine.recorder.add("", body)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "*/*; q=0.5, application/xml",
            "User-Agent": _USER_AGENT,
            "Cache-Control": "no-cache",
            "Stripe-Signature": signature_header(pretty, endpoint.secret, int(self._engine.clock.wall_unix())),
        }
        timeout = aiohttp.ClientTimeout(total=self._engine.settings.webhook_timeout_s)
        try:
            async with self._session.post(
                endpoint.url, data=pretty, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                await response.read()
                return response.status
        except TimeoutError:
            return "timeout"
        except Exception as error:  # whatever it is, the delivery failed and is tried again
            return type(error).__name__

    def _settle(self, delivery_id: int, endpoint: str, first_at: float, tries: list[Json], status: int | str) -> None:
        now = self._engine.clock.exact()
        tries.append({"at": int(now), "status": status})
        if isinstance(status, int) and 200 <= status < 300:
            state, due = "delivered", now
        else:
            due = now + retry_delay(len(tries), self._engine.settings.first_retry_s)
            state = "pending" if due - first_at <= _GIVE_UP_S else "failed"
        if state == "pending":
            heapq.heappush(self._waiting[endpoint], (due, delivery_id))
        self._results.append((delivery_id, state, due, encode(tries).decode()))
        if self._flusher is None and not self.closed:
            self._flusher = asyncio.get_running_loop().call_later(_FLUSH_S, self._flush)

    def _flush(self) -> None:
        """Many results, one transaction: a commit for each would cost more than the delivery."""
        self._flusher = None
        results, self._results = self._results, []
        if not results:
            return
        with self._engine.store.transaction():
            for delivery_id, state, due, tries in results:
                self._engine.store.execute(
                    "UPDATE deliveries SET state = ?, due_at = ?, tries = ? WHERE id = ? AND state = 'pending'",
                    state, due, tries, delivery_id,
                )  # fmt: skip
        self._wake.set()
