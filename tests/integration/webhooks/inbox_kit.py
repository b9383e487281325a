"""What the inbox's tests share: a clock that stands still, events as Stripe sends them, and recorders that count."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tallystick.platform.database import Database, Transaction
from tallystick.platform.settings import Settings, load_settings
from tallystick.stripe_gateway.signatures import sign
from tallystick.webhooks.controller import WebhookController
from tallystick.webhooks.group_commit import GroupCommitter
from tallystick.webhooks.models import StoredEvent
from tallystick.webhooks.processor import EventProcessor
from tallystick.webhooks.registry import Registry
from tallystick.webhooks.service import StripeWebhookService
from tallystick.webhooks.service_replay import EventReplayer

SECRET = b"whsec_test_inbox"
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class FakeClock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def wall(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


def make_settings(**values: str) -> Settings:
    return load_settings(
        {
            "ENVIRONMENT": "test",
            "DATABASE_URL": "postgresql://nobody@localhost/none",
            "STRIPE_SECRET_KEY": "sk_test_inbox",
            "STRIPE_WEBHOOK_SECRET": SECRET.decode(),
            "JWT_SECRET": "0" * 32,
            **values,
        }
    )


def make_event(
    event_type: str = "payment_intent.succeeded",
    object_id: str | None = None,
    *,
    event_id: str | None = None,
    created: int = 1_790_000_000,
    request_key: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    kind = {"charge": "charge", "refund": "refund"}.get(event_type.split(".")[0], "payment_intent")
    return {
        "id": event_id or f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "api_version": "2023-10-16",
        "created": created,
        "data": {"object": {"id": object_id or f"pi_{uuid.uuid4().hex}", "object": kind, **fields}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": request_key},
        "type": event_type,
    }


def body_of(event: Mapping[str, Any]) -> bytes:
    """As Stripe prints it."""
    return json.dumps(event, indent=2).encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: Mapping[str, Any]


async def call(
    app: Callable[..., Awaitable[None]],
    chunks: Sequence[bytes],
    headers: Mapping[str, str],
    *,
    method: str = "POST",
    hang: bool = False,
    hang_up: bool = False,
) -> Answer | None:
    """One request; `hang` never sends the rest, `hang_up` disconnects instead. None: there was no answer."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": hang or hang_up or number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        if hang:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/api/webhooks/stripe",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    if not sent:
        return None
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], names, json.loads(sent[1]["body"]))


async def apply_facts(tx: Transaction, facts: Sequence[Any]) -> None:
    """A recorder without any memory: what is applied twice shows twice."""
    await tx.executemany(
        "INSERT INTO applied (object_id, event_id) VALUES ($1, $2)", [(fact["object"], fact["event"]) for fact in facts]
    )


def to_facts(event: StoredEvent) -> Sequence[Any]:
    return [{"object": event.object["id"], "event": event.stripe_event_id}]


@dataclass
class Inbox:
    """A wired inbox on a schema of its own."""

    database: Database
    clock: FakeClock
    url: str
    registry: Registry = field(default_factory=Registry)
    settings: Settings = field(default_factory=make_settings)

    def __post_init__(self) -> None:
        self.registry.register("payment_intent.succeeded", to_facts, apply_facts)
        self.registry.register("refund.created", to_facts, apply_facts)
        self.committer = GroupCommitter(self.database, self.clock)
        self.controller = WebhookController(self.settings, self.committer, self.clock)
        self.service = StripeWebhookService(self.database, self.clock, self.registry)
        self.replayer = EventReplayer(self.database, self.clock)

    def processor(self, database: Database | None = None, **options: Any) -> EventProcessor:
        return EventProcessor(database or self.database, self.clock, self.registry, self.settings, **options)

    async def post(self, body: bytes, *, age_s: int = 0, signature: str | None = None) -> Answer:
        at = int(self.clock.at.timestamp()) - age_s
        header = sign(body, SECRET, at) if signature is None else signature
        answer = await call(self.controller, [body], {"Stripe-Signature": header})
        assert answer is not None
        return answer

    async def deliver(self, *events: Mapping[str, Any]) -> None:
        """One after the other, each answered with 200."""
        for event in events:
            assert (await self.post(body_of(event))).status == 200

    async def fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(sql, *args)]

    async def execute(self, sql: str, *args: Any) -> None:
        async with self.database.connection() as connection:
            await connection.execute(sql, *args)

    async def events(self) -> list[dict[str, Any]]:
        return await self.fetch("SELECT * FROM webhook_events ORDER BY seq")

    async def event(self, stripe_event_id: str) -> dict[str, Any]:
        [row] = await self.fetch("SELECT * FROM webhook_events WHERE stripe_event_id = $1", stripe_event_id)
        return row

    async def applied(self) -> list[str]:
        """The events that took effect, in order."""
        return [row["event_id"] for row in await self.fetch("SELECT event_id FROM applied ORDER BY seq")]

    async def work(self) -> list[dict[str, Any]]:
        return await self.fetch("SELECT kind, business_key, payload, due_at FROM work ORDER BY business_key")

    async def parked(self) -> list[str]:
        return [row["object_key"] for row in await self.fetch("SELECT object_key FROM webhook_parked_objects")]


@asynccontextmanager
async def running(*processors: EventProcessor) -> Any:
    """Workers in the background, stopped in the end; what they raise is raised."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(processor.run(stop)) for processor in processors]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 15)


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.01)
