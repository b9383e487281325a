"""The processes of `bench.ingest`: the server under test, the load, and the worker."""

import asyncio
import json
import socket
import statistics
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tallystick.core.clock import SystemClock
from tallystick.core.ids import new_id
from tallystick.platform.database import Database, Transaction
from tallystick.platform.settings import Settings, load_settings
from tallystick.stripe_gateway.signatures import sign
from tallystick.webhooks.controller import WebhookController
from tallystick.webhooks.group_commit import GroupCommitter
from tallystick.webhooks.models import Envelope, StoredEvent
from tallystick.webhooks.processor import EventProcessor
from tallystick.webhooks.registry import Registry
from tallystick.webhooks.repository import WebhookEventRepository
from tallystick.webhooks.service import StripeWebhookService

__all__ = [
    "EVENT_BYTES",
    "SECRET",
    "Client",
    "Load",
    "free_port",
    "load",
    "make_event",
    "run_drain",
    "run_load",
    "run_server",
    "settings_for",
]

SECRET = b"whsec_bench"
EVENT_BYTES = 3400


@dataclass(frozen=True)
class Load:
    """One run: rates in events a second, latencies in milliseconds, `cpu` as a share of one core."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu: float
    refused: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_for(url: str) -> Settings:
    return load_settings(
        {
            "ENVIRONMENT": "test",
            "DATABASE_URL": url,
            "STRIPE_SECRET_KEY": "sk_test_bench",
            "STRIPE_WEBHOOK_SECRET": SECRET.decode(),
            "JWT_SECRET": "0" * 32,
        }
    )


def make_event(number: int) -> dict[str, Any]:
    """A payment intent's event as Stripe sends it, about `EVENT_BYTES` long when printed."""
    intent_id = f"pi_3{number % 500:023d}"
    names = (
        "application application_fee_amount automatic_payment_methods canceled_at cancellation_reason invoice "
        "last_payment_error next_action on_behalf_of payment_method_configuration_details processing receipt_email "
        "review setup_future_usage shipping source statement_descriptor statement_descriptor_suffix transfer_data "
        "transfer_group"
    )
    card = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    intent: dict[str, Any] = {
        "id": intent_id,
        "object": "payment_intent",
        "amount": 1050,
        "amount_details": {"tip": {}},
        "amount_received": 1050,
        "client_secret": f"{intent_id}_secret_{uuid.uuid4().hex}",
        "created": 1_790_000_000,
        "currency": "usd",
        "customer": f"cus_{number % 500:014d}",
        "description": "An order of three things, one of them a gift",
        "latest_charge": f"ch_3{number:023d}",
        "metadata": {f"key_{part}": uuid.uuid4().hex for part in range(28)},
        "payment_method": "pm_1OPougJN5vQBdWEx8s2Dj0YR",
        "payment_method_options": {"card": card, "link": {"persistent_token": None}},
        "payment_method_types": ["card", "link"],
        "status": "succeeded",
        **dict.fromkeys(names.split()),
    }
    return {
        "id": f"evt_{uuid.uuid4().hex[:24]}",
        "object": "event",
        "api_version": "2023-10-16",
        "created": 1_790_000_000,
        "data": {"object": intent},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_bench", "idempotency_key": str(uuid.uuid4())},
        "type": "payment_intent.succeeded",
    }


# The server


_INSERT_ONE = """
    INSERT INTO webhook_events (
        id, stripe_event_id, event_type, payload, created_at, updated_at, state, source, lane, object_key, object_id,
        api_version, event_created_at, request_idempotency_key, not_before)
    VALUES ($1, $2, $3, $4::text::jsonb, $5, $5, 'pending', $6, $7, $8, $9, $10, to_timestamp($11::bigint), $12, $5)
    ON CONFLICT (stripe_event_id) DO NOTHING
"""


class CommitEach(GroupCommitter):
    """What the inbox would be without group commit: each request its own statement and commit.

    Made as fast as it can be: without the notification, of which each commit would have to wait for the others'.
    """

    async def submit(self, envelope: Envelope) -> None:
        async with self._database.connection() as connection:
            await connection.execute(
                _INSERT_ONE,
                new_id(),
                envelope.stripe_event_id,
                envelope.type,
                envelope.payload,
                self._clock.wall(),
                envelope.source,
                envelope.lane,
                envelope.object_key,
                envelope.object_id,
                envelope.api_version,
                envelope.created,
                envelope.request_idempotency_key,
            )


def run_server(kind: str, port: int, url: str) -> None:
    """Serve the route until SIGTERM."""
    import uvicorn
    import uvloop

    async def serve() -> None:
        database, clock = await Database.connect(url), SystemClock()
        committer = (GroupCommitter if kind == "group" else CommitEach)(database, clock)
        app = WebhookController(settings_for(url), committer, clock)
        config = uvicorn.Config(
            app, port=port, http="httptools", lifespan="off", access_log=False, log_level="critical", backlog=1024
        )
        await uvicorn.Server(config).serve()
        await committer.stop()
        await database.close()

    uvloop.run(serve())


# The load


class Client(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], latencies: list[float], refused: list[bytes]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._refused = refused
        self._buffer = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def start(self) -> None:
        request = next(self._requests, None)
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or not self.is_whole(head, body):
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        if not head.startswith(b"HTTP/1.1 200"):
            self._refused.append(self._buffer)
        self._buffer = b""
        self.start()

    def is_whole(self, head: bytes, body: bytes) -> bool:
        """Whether an answer is all there: every one of the route ends with the object's brace, and has no other."""
        return body.endswith(b"}")

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the server hung up"))


def run_load(port: int, connections: int, events: int) -> None:
    """Send `events` unique signed events over `connections`, each sending its next when its last is answered."""
    import uvloop

    print(json.dumps(asdict(uvloop.run(load(port, connections, _requests(events))))))


def _requests(events: int) -> Sequence[bytes]:
    at = int(time.time())
    found = []
    for number in range(events):
        body = json.dumps(make_event(number), indent=2).encode()
        head = (
            "POST /api/webhooks/stripe HTTP/1.1\r\nHost: bench\r\nUser-Agent: Stripe/1.0\r\n"
            f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            f"Stripe-Signature: {sign(body, SECRET, at)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


async def load(port: int, connections: int, requests: Sequence[bytes], client: type[Client] = Client) -> Load:
    """Send `requests` over `connections`, each sending its next when its last is answered."""
    latencies: list[float] = []
    refused: list[bytes] = []
    line = iter(requests)
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: client(line, latencies, refused), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    started, cpu = time.perf_counter(), time.process_time()
    for each in clients:
        each.start()
    await asyncio.gather(*(each.done for each in clients))
    took, used = time.perf_counter() - started, time.process_time() - cpu
    parts = statistics.quantiles(latencies, n=100)
    return Load(len(requests) / took, parts[49] * 1000, parts[98] * 1000, used / took, len(refused))


# The worker


async def _record(tx: Transaction, facts: Sequence[Any]) -> None:
    # Rows are locked in the order of their ids, as recorders of the program do.
    await tx.executemany(
        "UPDATE floor_payments SET status = $2, revision = revision + 1 WHERE id = $1",
        sorted((fact[0], fact[1]) for fact in facts),
    )
    await tx.execute(
        "INSERT INTO floor_outbox (business_key) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
        [fact[2] for fact in facts],
    )


def _translate(event: StoredEvent) -> Sequence[Any]:
    return [(int(event.object["id"][4:]) + 1, event.object["status"], event.stripe_event_id)]


def run_drain(url: str, events: int) -> None:
    """Fill the inbox, then apply all of it with one worker, and print how many it did a second."""
    import uvloop

    async def work() -> float:
        database, clock, registry = await Database.connect(url), SystemClock(), Registry()
        registry.register("payment_intent.succeeded", _translate, _record)
        service = StripeWebhookService(database, clock, registry, WebhookEventRepository())
        for at in range(0, events, 500):
            async with database.transaction() as tx:
                await service.ingest(tx, [make_event(number) for number in range(at, min(at + 500, events))], "import")
        processor = EventProcessor(database, clock, registry, settings_for(url))
        started = time.perf_counter()
        applied = await processor.drain()
        took = time.perf_counter() - started
        await database.close()
        if applied != events:
            raise SystemExit(f"{applied} of {events} events were applied")
        return applied / took

    print(uvloop.run(work()))
