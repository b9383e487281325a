"""The world of one story: the sandbox, an API, workers, a mail server, a receiver of webhooks, all in this loop."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
import asyncpg
import jwt
import msgspec

from tallystick.core.points import Point
from tallystick.platform.settings import Settings
from tallystick.platform.work import wake_all
from tallystick.sandbox.api import Call
from tallystick.sandbox.app import Sandbox
from tallystick.sandbox.engine import Engine
from tallystick.simulation.book import Book, Order
from tallystick.simulation.clock import Timeline
from tallystick.simulation.faults import AtPoint
from tallystick.simulation.mails import MailServer
from tallystick.simulation.processes import Api, Kind, Process, WorkerProcess
from tallystick.simulation.receiver import Receiver
from tallystick.simulation.story import Setting
from tallystick.simulation.tending import tend_endpoint

__all__ = ["INSTALLATION", "JWT_SECRET", "WEBHOOK_SECRET", "Answer", "World", "port_of"]

Json = dict[str, Any]
JWT_SECRET = secrets.token_hex(32)
WEBHOOK_SECRET = f"whsec_{secrets.token_hex(16)}"
_TRIES = 3
INSTALLATION = "simulation"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the API."""

    status: int
    body: Any


@dataclass
class World:
    """Everything there is, and the ways to act on it."""

    setting: Setting
    timeline: Timeline
    sandbox: Sandbox
    settings: Settings
    pool: "asyncpg.Pool[Any]"
    http: aiohttp.ClientSession
    mail_server: MailServer
    receiver: Receiver
    api: Api
    workers: list[WorkerProcess]
    book: Book = field(default_factory=Book)
    at_points: list[AtPoint] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    replayed: set[str] = field(default_factory=set)
    """The ids of webhooks that had been given up, and that the operator had delivered again."""
    in_hand: int = 0
    """How many open attempts are being settled."""
    accidents: list[str] = field(default_factory=list)
    """What went wrong that never may, noticed on the way."""

    @property
    def engine(self) -> Engine:
        return self.sandbox.engine

    # Processes

    def processes(self, kind: Kind | None = None) -> list[Process]:
        """Those of a kind, or all."""
        everybody: list[Process] = [self.api, *self.workers]
        return [one for one in everybody if kind in (None, one.kind)]

    async def revive(self) -> int:
        """Start anew what is dead; how many processes were."""
        dead = 0
        for process in self.processes():
            if failure := process.failure():
                self.accidents.append(f"the {process.kind} ended by itself: {failure!r}")
                process.alive = False
        if not self.api.alive:
            dead += 1
            await self.api.reap()
            self.api = Api(self.settings, self.timeline.clock, port_of(self.settings))
            await self.api.start()
        for place, worker in enumerate(self.workers):
            if not worker.alive:
                dead += 1
                await worker.reap()
                self.workers[place] = WorkerProcess(self.settings, self.timeline.clock)
                await self.workers[place].start()
        return dead

    async def reached(self, point: Point) -> None:
        """Some process has come to a point."""
        for plan in list(self.at_points):
            await plan.reached(point)

    async def drop_connections(self, share: float) -> int:
        """Have PostgreSQL cut this share of the application's connections; how many."""
        cut: int = await self.pool.fetchval(
            """
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'tallystick %' AND random() < $1
            """,
            share,
        )
        return cut

    # Requests

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str,
        key: str | None = None,
        roles: Sequence[str] = (),
    ) -> Answer:
        """One request as `user`. Raises aiohttp.ClientError, OSError, TimeoutError where there is no answer."""
        headers = {"Authorization": f"Bearer {_token(user, roles)}", **({"Idempotency-Key": key} if key else {})}
        url = f"{self.settings.public_url}{path}"
        async with self.http.request(method, url, json=body, headers=headers) as response:
            content = await response.read()
        try:
            found = msgspec.json.decode(content) if content else None
        except msgspec.DecodeError:
            found = None
            self.accidents.append(f"{method} {path} was answered with {response.status} and no JSON: {content[:200]!r}")
        if response.status == 500:
            self.accidents.append(f"{method} {path} was answered with 500: {found}")
        return Answer(response.status, found)

    async def send(self, order: Order) -> bool:
        """Send an order until its user knows what became of it, at most a few times; whether he does."""
        for number in range(_TRIES):
            if number:
                await asyncio.sleep(0.01)
            order.tries += 1
            try:
                answer = await self.call(order.method, order.path, order.body, user=order.user, key=order.key)
            except (aiohttp.ClientError, OSError, TimeoutError):
                self.book.count("no answer")
                continue
            self.book.count(str(answer.status))
            if order.take(answer.status, answer.body):
                return True
        return False

    async def stripe(self, path: str, form: Mapping[str, Any] | None = None, method: str | None = None) -> Json:
        """One request to Stripe as its dashboard makes it (POST with a form, else GET), past all faults."""
        method = method or ("GET" if form is None else "POST")
        path, _, query = path.partition("?")
        call = Call(
            method=method,
            path=path,
            query=query.encode(),
            headers={b"authorization": b"Bearer sk_test_simulation"},
            body=urlencode(form or {}).encode(),
            base_url=self.settings.stripe_api_base,
            request_id=self.engine.ids.short("req_"),
        )
        found: Json = msgspec.json.decode(self.sandbox.api.handle(call).body)
        return found

    async def must(self, path: str, form: Mapping[str, Any]) -> Json:
        """The same, which must not be refused."""
        found = await self.stripe(path, form)
        if "error" in found:
            raise RuntimeError(f"{path}: {found['error']}")
        return found

    # Quiet

    async def settle(self, patience_s: float = 40.0) -> bool:
        """Wait until nothing is under way or due; time leaps to where those wait who wait for a moment. False where
        it does not come to rest; `unrest` tells why."""
        ends, calm, known, since = time.monotonic() + patience_s, 0, "", time.monotonic()
        while calm < 2:
            if time.monotonic() > ends:
                return False
            await self.revive()
            self.sandbox.deliverer.pump()
            found = await self._waiting()
            if not found.what and not self.sandbox.deliverer.busy():
                calm = 0 if self._go_to_what_is_near() else calm + 1
                await asyncio.sleep(0)
                continue
            calm = 0
            if (shown := f"{found.what} {self.engine.commits}") != known:
                known, since = shown, time.monotonic()
            if found.next_at and (not found.ready or time.monotonic() - since > _STUCK_S):
                self.leap(found.next_at + timedelta(milliseconds=2))
                since = time.monotonic()
            await asyncio.sleep(_LOOK_S)
        return True

    async def caught_up(self, patience_s: float = 30.0) -> bool:
        """Wait until the list of events was read to its end, now that time has leapt; False where it never is."""
        ends, since = time.monotonic() + patience_s, self.timeline.now()
        while time.monotonic() < ends:
            await self.revive()
            if await self.pool.fetchval(_CAUGHT_UP, since):
                return True
            # Whoever reads may be pausing after an error, or wait for the lease of one who was killed.
            self.leap(self.timeline.now() + timedelta(seconds=5))
            await asyncio.sleep(0.05)
        return False

    def _go_to_what_is_near(self) -> bool:
        """Go to a due moment of Stripe that belongs to what is going on (a settled refund, a dispute), or has come by
        itself just now; False where there is none."""
        at = self.engine.next_job_at()
        if at is None or at - self.engine.clock.exact() >= _NEAR_S:
            return False
        self.leap(datetime.fromtimestamp(at, UTC))
        return True

    async def unrest(self) -> str:
        """What is under way or due, by name."""
        return ", ".join((await self._waiting()).what)

    async def _waiting(self) -> "_Waiting":
        now = self.timeline.now()
        row = await self.pool.fetchrow(_WAITING, now)
        assert row is not None
        return _Waiting(row["what"] or [], row["next_at"], row["ready"])

    def leap(self, to: datetime) -> bool:
        """Go on to this moment, and tell everybody; False where it is past."""
        leapt = self.timeline.leap(to)
        if leapt:
            self.sandbox.deliverer.wake()
            wake_all()
        return leapt

    async def pass_time(self, span: timedelta, *, punctual: bool) -> int:
        """Let time pass, from one due moment of Stripe to the next; how many there were.

        `punctual`: at each of them, and at each of the application's own, all that follows is waited for. Otherwise
        only Stripe is on time, and the application does what it can.
        """
        target, moments = self.timeline.now() + span, 0
        while True:
            await self._hands_free()
            await tend_endpoint(self)
            moment = await self.next_moment(own=punctual)
            if moment is None or moment > target:
                break
            self.leap(moment)
            moments += 1
            await self._deliver()
            if punctual:
                await self.settle()
        self.leap(target)
        await self._deliver()
        return moments

    async def _hands_free(self) -> None:
        """Wait until no attempt is being sent again: a request is not on the line for a day."""
        for _ in range(_HANDS_LOOKS):
            if not self.in_hand:
                return
            await asyncio.sleep(_LOOK_S)

    async def settling_attempts(self, settle: Callable[..., Awaitable[None]], *values: Any) -> None:
        """What stands in the place of the code that settles an open attempt: it, and the note that it is at work."""
        self.in_hand += 1
        try:
            await settle(*values)
        finally:
            self.in_hand -= 1

    async def _deliver(self) -> None:
        ends = time.monotonic() + 5
        self.sandbox.deliverer.pump()
        while self.sandbox.deliverer.busy() and time.monotonic() < ends:
            await asyncio.sleep(0.002)
            self.sandbox.deliverer.pump()

    async def next_moment(self, *, own: bool) -> datetime | None:
        """When something falls due next at Stripe, or, `own`, in the application; None where nothing ever does."""
        unix = [at for at in (self.engine.next_job_at(), self.sandbox.deliverer.next_due()) if at is not None]
        moments = [datetime.fromtimestamp(at, UTC) for at in unix]
        if own:
            found = await self.pool.fetchval(_OWN_MOMENT, self.timeline.now())
            moments += [found] if found else []
        return min(moments, default=None)


_CAUGHT_UP = """
    SELECT read_at >= $1 AND NOT EXISTS (SELECT FROM event_gaps WHERE walked_at IS NULL)
    FROM event_cursors WHERE name = 'events'
"""
_LOOK_S = 0.004
_STUCK_S = 1.0
_HANDS_LOOKS = 2500
_NEAR_S = 30.0
_WAITING = """
    WITH waiting AS (
        SELECT 'event ' || event_type || coalesce(' ' || error_message, '') AS what,
            CASE WHEN not_before < 'infinity' THEN not_before END AS at FROM webhook_events WHERE state = 'pending'
        UNION ALL SELECT 'work ' || business_key || coalesce(' ' || last_error, ''), greatest(not_before, leased_until)
            FROM work WHERE state = 'queued' AND due_at <= $1
        UNION ALL SELECT 'mail ' || business_key || coalesce(' ' || last_error, ''), greatest(not_before, leased_until)
            FROM mails WHERE state = 'queued' AND due_at <= $1
        UNION ALL SELECT 'delivery of ' || d.fact_id || coalesce(' ' || last_error, ''),
            greatest(not_before, leased_until)
            FROM outbound_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id AND e.enabled
            WHERE d.state = 'queued' AND d.due_at <= $1
        UNION ALL SELECT 'attempt ' || kind, lease_until FROM attempts WHERE state IN ('requested', 'unknown')
    )
    SELECT (SELECT array_agg(what ORDER BY what) FROM waiting) AS what,
        (SELECT min(at) FROM waiting WHERE at > $1) AS next_at,
        EXISTS (SELECT FROM waiting WHERE at <= $1) AS ready
"""
_OWN_MOMENT = """
    SELECT least((SELECT min(due_at) FROM work WHERE state = 'queued' AND due_at > $1 AND kind <> 'events.catch_up'),
                 (SELECT min(due_at) FROM mails WHERE state = 'queued' AND due_at > $1),
                 (SELECT min(due_at) FROM outbound_deliveries WHERE state = 'queued' AND due_at > $1))
"""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What is under way or due, the next moment at which some of it may be taken, whether some may be taken now."""

    what: list[str]
    next_at: datetime | None
    ready: bool


def port_of(settings: Settings) -> int:
    assert settings.public_url is not None
    return int(settings.public_url.rpartition(":")[2])


def _token(user: str, roles: Sequence[str]) -> str:
    now = datetime.now(UTC)
    claims = {"iss": "tallystick", "aud": "tallystick", "sub": user, "email": f"{user}@example.com", "iat": now}
    return jwt.encode({**claims, "roles": list(roles), "exp": now + timedelta(hours=1)}, JWT_SECRET)
