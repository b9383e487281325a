"""The whole of Tallystick in the test's own loop: a real PostgreSQL, the real sandbox and the API over real sockets,
the worker, and a mail catcher. Only the process boundaries are missing.
"""

import asyncio
import contextlib
import os
import socket
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import jwt
import pytest
import uvicorn
from aiosmtpd.controller import Controller
from multidict import CIMultiDictProxy

from tallystick.app import create_app, create_worker
from tallystick.core.clock import Clock, clock_of
from tallystick.platform.http_protocol import BoundedHttp
from tallystick.platform.settings import Settings, load_settings
from tallystick.sandbox.server import make_server
from tallystick.sandbox.settings import SandboxConfig
from tallystick.sandbox.versions import NEWEST, OLDEST

__all__ = [
    "LONG",
    "Answer",
    "Mail",
    "MakeDatabase",
    "System",
    "free_port",
    "running_system",
    "settings_for",
    "token_for",
]

RECORDS: Path | None = None
"""Where sandboxes write down what they answered; the run's conftest sets it."""

LONG = os.environ.get("TALLYSTICK_LONG", "") not in ("", "0")
"""`make test-all` does more of everything than `make test`."""

VERSIONS = [(OLDEST, OLDEST), (NEWEST, NEWEST), (OLDEST, NEWEST), (NEWEST, OLDEST)]


def _versions(pairs: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "system", pairs, indirect=True, scope="module", ids=lambda pair: f"api-{pair[0][:4]}-webhooks-{pair[1][:4]}"
    )


EVERY_VERSION = _versions(VERSIONS if LONG else VERSIONS[2:])
"""Mark a module: its tests run at the oldest and the newest API version, each with webhooks of the other one.

A long run adds those where both are of one version.
"""

A_VERSION = _versions(VERSIONS if LONG else VERSIONS[3:])
"""The same for modules that need no second version but in a long run: the newest, with webhooks of the oldest."""

MakeDatabase = Callable[[], Awaitable[str]]
"""Makes an empty, migrated database and tells its address."""

JWT_SECRET = "a-secret-for-tests-that-is-long-enough-for-every-algorithm-with-a-shared-key"
WEBHOOK_SECRET = "whsec_tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Server(uvicorn.Server):
    """A server inside somebody else's loop: signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[None]:
    """Serve an ASGI application, as `tallystick serve` does, for as long as the block lasts."""
    server = _Server(
        uvicorn.Config(
            app,
            port=port,
            log_level="error",
            access_log=False,
            lifespan="on",
            http=BoundedHttp,
            timeout_keep_alive=75,
            proxy_headers=False,
            server_header=False,
        )
    )
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or task.done(), "the server starts")
        yield
    finally:
        server.should_exit = True
        await task


async def until(done: Any, what: str, timeout_s: float = 15) -> None:
    """Wait until `done()` is true."""
    ends = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > ends:
            raise AssertionError(f"it never came that {what}")
        await asyncio.sleep(0.01)


def token_for(subject: str, *, email: str | None = None, roles: tuple[str, ...] = (), **claims: Any) -> str:
    """A token as a host application would make it."""
    now = datetime.now(UTC)
    payload = {
        "iss": "tallystick",
        "aud": "tallystick",
        "sub": subject,
        "email": email,
        "roles": list(roles),
        "iat": now,
        "exp": now + timedelta(hours=1),
        **claims,
    }
    return jwt.encode({name: value for name, value in payload.items() if value is not None}, JWT_SECRET)


def settings_for(database_url: str, *, sandbox_url: str, api_url: str, smtp_port: int, **changes: str) -> Settings:
    """Settings of one system; `changes` are environment variables."""
    return load_settings(
        {
            "ENVIRONMENT": "test",
            "DATABASE_URL": database_url,
            "STRIPE_SECRET_KEY": "sk_test_system",
            "STRIPE_PUBLISHABLE_KEY": "pk_test_system",
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": sandbox_url,
            "PUBLIC_URL": api_url,
            "JWT_SECRET": JWT_SECRET,
            "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}?starttls=never",
            "MAIL_FROM": "Acme <billing@acme.test>",
            "ADMIN_EMAIL": "ops@acme.test",
            "LOG_LEVEL": "error",
            "WEBHOOK_RETRY_DELAY": "50",
            "STRIPE_BACKGROUND_RATE": "100",
            "ALERTS_BUILT_IN": "false",
            # The list of events is followed only where a test asks for it.
            "EVENT_CATCH_UP_S": "2" if "STRIPE_EVENT_POLLING" in changes else "0",
            **changes,
        }
    )


@dataclass
class Answer:
    """An answer of the API."""

    status: int
    body: Any
    headers: "CIMultiDictProxy[str]"

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.body["code"])


@dataclass
class Mail:
    """A mail as the SMTP server got it."""

    to: str
    subject: str
    message_id: str


class _Catcher:
    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        from email import message_from_bytes
        from email.policy import default

        message = message_from_bytes(envelope.content, policy=default)
        self.mails.append(Mail(str(message["To"]), str(message["Subject"]), str(message["Message-ID"])))
        return "250 OK"


@dataclass
class System:
    """A running system and the ways to drive it."""

    settings: Settings
    api_url: str
    sandbox_url: str
    database_url: str
    http: aiohttp.ClientSession
    pool: "asyncpg.Pool[Any]"
    mails: list[Mail]
    _stops: list[tuple[asyncio.Event, asyncio.Task[None]]] = field(default_factory=list)
    _api: "contextlib.AbstractAsyncContextManager[None] | None" = None

    # The API

    async def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        user: str = "ann",
        roles: tuple[str, ...] = (),
        key: str | None = None,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
        token: str | None = None,
    ) -> Answer:
        """One request as `user`; the token's e-mail is `<user>@example.com`."""
        token = token or token_for(user, email=f"{user}@example.com", roles=roles)
        sent = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {}), **(headers or {})}
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(method, self.api_url + path, json=json, data=data, headers=sent) as response:
            body = await response.json(content_type=None)
            return Answer(response.status, body, response.headers)

    async def pay(self, card: str = "pm_card_visa", *, user: str = "ann", amount: int = 1050, **fields: Any) -> Answer:
        """Create a payment and charge it at once."""
        key = fields.pop("key", None)
        body = {"amount": amount, "currency": "usd", "payment_method": card, "confirm": True, **fields}
        return await self.call("POST", "/api/payments/payment-intent", body, user=user, key=key)

    async def get(self, payment_id: str, *, user: str = "ann", roles: tuple[str, ...] = ()) -> Any:
        """A payment's body."""
        return (await self.call("GET", f"/api/payments/payment-intent/{payment_id}", user=user, roles=roles)).body

    # The sandbox

    async def sandbox(self, method: str, path: str, json: Any = None) -> Any:
        """One request to the sandbox's control."""
        async with self.http.request(method, self.sandbox_url + path, json=json) as response:
            assert response.status < 300, (path, response.status, await response.text())
            return await response.json(content_type=None)

    async def stripe(self, path: str, data: dict[str, str] | None = None) -> Any:
        """One request to the sandbox's Stripe API: POST with `data`, else GET."""
        auth = {"Authorization": "Bearer sk_test_system"}
        method = "GET" if data is None else "POST"
        async with self.http.request(method, self.sandbox_url + path, data=data, headers=auth) as response:
            return await response.json()

    async def card(self, number: str) -> str:
        """A payment method for a card number, made as Stripe.js makes it: by the publishable key, past our API."""
        data = {"type": "card", "card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2034"}
        data["card[cvc]"] = "1234" if len(number) == 15 else "123"
        auth = {"Authorization": "Bearer pk_test_system"}
        url = f"{self.sandbox_url}/v1/payment_methods"
        async with self.http.post(url, data=data, headers=auth) as response:
            body = await response.json()
            assert response.status == 200, body
            return str(body["id"])

    async def authenticate(self, intent_id: str, how: str = "complete") -> str:
        """Answer an intent's 3D Secure challenge (`complete` or `fail`) as the customer would; its status then."""
        path = f"/_sandbox/authenticate/{intent_id}/{how}"
        headers = {"Accept": "application/json"}
        async with self.http.post(self.sandbox_url + path, headers=headers) as response:
            assert response.status == 200, await response.text()
            return str((await response.json())["status"])

    def mails_to(self, user: str) -> list[Mail]:
        """The mails that reached a user."""
        return [mail for mail in self.mails if mail.to == f"{user}@example.com"]

    async def fault(self, **rule: Any) -> None:
        """Make the sandbox misbehave."""
        await self.sandbox("POST", "/_sandbox/faults", rule)

    # Time

    @property
    def clock(self) -> Clock:
        """The clock of the application's processes."""
        return clock_of(self.settings.clock_file)

    def now(self) -> datetime:
        """Business time, of the sandbox and of the application."""
        return self.clock.now()

    async def advance(
        self, by: str | float | None = None, *, to: datetime | None = None, timeout_s: float = 20
    ) -> dict[str, Any]:
        """Move business time (`"40d"`, or seconds) from due moment to due moment; returns when all has settled.

        `timeout_s` is for each moment. Answers `now`, `steps`, `took_s`, `application`.
        """
        body = {"by": by} if to is None else {"to": to.isoformat()}
        url = f"{self.sandbox_url}/_sandbox/clock/advance"
        none = aiohttp.ClientTimeout(total=None)
        async with self.http.post(url, json={**body, "timeout_s": timeout_s}, timeout=none) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            assert answer["application"] == "settled", answer
            return answer

    # Quiet

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        return await self.pool.fetch(sql, *values)

    async def value(self, sql: str, *values: Any) -> Any:
        return await self.pool.fetchval(sql, *values)

    async def quiet(self, timeout_s: float = 20) -> None:
        """Wait until the sandbox has delivered, all is applied, and no work, mail, delivery or attempt is due."""
        ends = time.monotonic() + timeout_s
        calm = 0
        while calm < 2:
            assert time.monotonic() < ends, await self._unrest()
            await self.sandbox("POST", f"/_sandbox/quiet?timeout_s={timeout_s}")
            calm = 0 if await self._unrest() else calm + 1
            await asyncio.sleep(0.03)

    async def _unrest(self) -> str:
        """What is due by now, by name; what is queued for later is no unrest."""
        rows = await self.pool.fetch(
            """
            SELECT 'event ' || event_type || coalesce(' ' || error_message, '') AS what
                FROM webhook_events WHERE state = 'pending'
            UNION ALL SELECT 'work ' || kind || coalesce(' ' || last_error, '')
                FROM work WHERE state = 'queued' AND due_at <= $1
            UNION ALL SELECT 'mail ' || business_key || coalesce(' ' || last_error, '')
                FROM mails WHERE state = 'queued' AND due_at <= $1
            UNION ALL SELECT 'attempt ' || kind FROM attempts WHERE state IN ('requested', 'unknown')
            UNION ALL SELECT 'delivery to ' || d.receiver || coalesce(' ' || d.last_error, '')
                FROM outbound_deliveries d LEFT JOIN webhook_endpoints e ON e.id = d.endpoint_id
                WHERE d.state = 'queued' AND d.due_at <= $1 AND d.not_before <= now()
                AND (e.id IS NULL OR (e.enabled AND NOT e.deleted))
                AND NOT EXISTS (SELECT FROM outbound_deliveries first WHERE first.state = 'queued' AND first.seq < d.seq
                                AND (first.receiver, first.object_key) = (d.receiver, d.object_key))
            """,
            self.now(),
        )
        return ", ".join(row["what"] for row in rows)

    # The API's server

    async def start_api(self) -> None:
        self._api = serving(create_app(self.settings), int(self.api_url.rpartition(":")[2]))
        await self._api.__aenter__()

    async def stop_api(self) -> None:
        """Nothing listens any more, until it is started again: what is under way is answered first."""
        api, self._api = self._api, None
        if api is not None:
            await api.__aexit__(None, None, None)

    # Workers

    def start_worker(self) -> None:
        stop = asyncio.Event()
        self._stops.append((stop, asyncio.create_task(create_worker(self.settings).run(stop))))

    async def stop_workers(self) -> None:
        for stop, _ in self._stops:
            stop.set()
        for _, task in self._stops:
            await task
        self._stops.clear()


@asynccontextmanager
async def running_system(
    database_url: str,
    *,
    workers: int = 1,
    api_version: str = OLDEST,
    webhook_version: str | None = None,
    **changes: str,
) -> AsyncIterator[System]:
    """A system on an empty, migrated database; `changes` are settings as environment variables."""
    api_port, sandbox_port, smtp_port = free_port(), free_port(), free_port()
    api_url, sandbox_url = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{sandbox_port}"
    folder = tempfile.TemporaryDirectory(prefix="tallystick-clock-")
    settings = settings_for(
        database_url,
        sandbox_url=sandbox_url,
        api_url=api_url,
        smtp_port=smtp_port,
        **{"STRIPE_API_VERSION": api_version, "CLOCK_FILE": f"{folder.name}/clock", **changes},
    )
    catcher = _Catcher()
    smtp = Controller(catcher, hostname="127.0.0.1", port=smtp_port)
    smtp.start()
    record = RECORDS / f"{uuid.uuid4().hex}.jsonl" if RECORDS else None
    config = SandboxConfig(
        public_url=sandbox_url, record=record, api_version=api_version, clock_file=settings.clock_file
    )
    sandbox = make_server(config, host="127.0.0.1", port=sandbox_port)
    sandbox.__class__ = _Server
    sandbox_task = asyncio.create_task(sandbox.serve())
    await until(lambda: sandbox.started, "the sandbox starts")
    pool = await asyncpg.create_pool(
        settings.direct_url, min_size=0, max_size=4, server_settings={"search_path": settings.database_schema}
    )
    http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
    system = System(settings, api_url, sandbox_url, database_url, http, pool, catcher.mails)
    try:
        await system.sandbox(
            "PUT",
            "/_sandbox/webhook_endpoints",
            {
                "url": f"{api_url}/api/webhooks/stripe",
                "secret": WEBHOOK_SECRET,
                "description": "tests",
                "api_version": webhook_version or api_version,
            },
        )
        if workers:
            # Without anybody who works, the clock would wait for ever.
            await system.sandbox("PUT", "/_sandbox/application", {"url": api_url})
        await system.start_api()
        for _ in range(workers):
            system.start_worker()
        yield system
        await system.stop_workers()
    finally:
        await system.stop_api()
        await http.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(pool.close(), 5)
        sandbox.should_exit = True
        await sandbox_task
        smtp.stop()
        folder.cleanup()


def unique(name: str) -> str:
    """A user or key that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:10]}"
