"""Real parts for the mail tests: an outbox in PostgreSQL, a mail server that can be told what to answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any
from uuid import uuid4

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tallystick.core.clock import Clock
from tallystick.notifications.models import MailRequest
from tallystick.notifications.samples import SAMPLES
from tallystick.notifications.service import MailTransport, NotificationService
from tallystick.platform.database import Database, Record
from tallystick.platform.mail import SmtpTransport
from tallystick.platform.settings import Settings, load_settings

START = datetime(2026, 3, 4, 14, 5, tzinfo=UTC)


class MovableClock:
    """Business time stands still until moved; wall time runs, and can be moved ahead as well."""

    def __init__(self) -> None:
        self.business = START
        self.ahead = timedelta()

    def now(self) -> datetime:
        return self.business

    def wall(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()


class _Server(Controller):
    """A controller that ends its open sessions, as a server that goes away does."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sessions: list[Any] = []

    def factory(self) -> Any:
        session = SMTP(self.handler, **self.SMTP_kwargs)
        self._sessions.append(session)
        return session

    def hang_up(self) -> None:
        async def end() -> None:
            for session in self._sessions:
                if session.transport is not None:
                    session.transport.abort()
            await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)


@dataclass
class Mailbox:
    """A mail server: `answers` are given to the next messages instead of taking them, by phase of the dialogue."""

    port: int
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    at_rcpt: list[str] = field(default_factory=list)
    at_mail: list[str] = field(default_factory=list)
    at_data: list[str] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)
    connections: int = 0
    delay_s: float = 0
    _controller: "_Server | None" = None

    def open(self, **options: Any) -> None:
        self._controller = _Server(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()

    def close(self) -> None:
        if self._controller is not None:
            self._controller.hang_up()
            self._controller.stop()
            self._controller = None

    async def handle_EHLO(
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_MAIL(self, _server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.at_mail:
            return self.at_mail.pop(0)
        self.secure.append(session.ssl is not None)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        if self.at_rcpt:
            return self.at_rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.delay_s)
        if self.at_data:
            return self.at_data.pop(0)
        message = BytesParser(policy=default).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.recipients += envelope.rcpt_tos
        self.messages.append(message)
        return "250 OK"


@dataclass
class World:
    """One test's installation: as many services as it likes, on one outbox."""

    url: str
    clock: MovableClock
    mailbox: Mailbox
    database: Database
    stack: AsyncExitStack

    def settings(self, **environment: str) -> Settings:
        return load_settings(
            {
                "DATABASE_URL": self.url,
                "STRIPE_SECRET_KEY": "sk_test_123",
                "STRIPE_WEBHOOK_SECRET": "whsec_123",
                "JWT_SECRET": "x" * 32,
                "ENVIRONMENT": "test",
                "MAIL_FROM": "Example Shop <pay@shop.example>",
                "ADMIN_EMAIL": "admin@shop.example",
                **environment,
            }
        )

    def transport(self) -> SmtpTransport:
        return SmtpTransport(f"smtp://127.0.0.1:{self.mailbox.port}")

    def service(
        self,
        *,
        transport: MailTransport | None = None,
        database: Database | None = None,
        clock: Clock | None = None,
        **environment: str,
    ) -> NotificationService:
        return NotificationService(
            database or self.database,
            clock or self.clock,
            self.settings(**environment),
            transport or self.transport(),
        )

    async def connect(self) -> Database:
        database = await Database.connect(self.url, size=8)
        self.stack.push_async_callback(database.close)
        return database

    async def queue(self, service: NotificationService, *requests: MailRequest) -> None:
        async with self.database.transaction() as tx:
            await service.queue_mails(tx, requests)

    def start(self, service: NotificationService) -> "Running":
        """Run the service until the test ends, or `Running.stop` is called."""
        stop = asyncio.Event()
        running = Running(asyncio.create_task(service.run(stop)), stop)
        self.stack.push_async_callback(running.stop)
        return running

    async def rows(self) -> list[Record]:
        async with self.database.connection() as connection:
            return list(await connection.fetch("SELECT * FROM mails ORDER BY business_key"))

    async def row(self) -> Record:
        rows = await self.rows()
        assert len(rows) == 1
        return rows[0]

    async def work(self) -> list[Record]:
        async with self.database.connection() as connection:
            return list(await connection.fetch("SELECT * FROM work ORDER BY business_key"))

    async def until(self, what: Callable[[], Awaitable[bool]], within_s: float = 30) -> None:
        async with asyncio.timeout(within_s):
            while not await what():
                await asyncio.sleep(0.02)

    async def until_state(self, state: str, count: int = 1) -> None:
        async def reached() -> bool:
            return [row["state"] for row in await self.rows()].count(state) == count

        await self.until(reached)


@dataclass
class Running:
    task: "asyncio.Task[None]"
    stop_event: asyncio.Event

    async def stop(self) -> None:
        self.stop_event.set()
        async with asyncio.timeout(5):
            await asyncio.gather(self.task, return_exceptions=True)


def new_mail(key: str | None = None, template: str = "payment_confirmation", **changes: Any) -> MailRequest:
    """A mail to a customer; `context` entries of the sample can be replaced by `context={…}`."""
    return MailRequest(
        business_key=key or f"{template}:{uuid4()}",
        template=template,
        recipient=changes.get("recipient", "customer@example.com"),
        locale=changes.get("locale"),
        context={**SAMPLES[template], **changes.get("context", {})},
        user_id=None,
        due_at=changes.get("due_at", START),
    )
