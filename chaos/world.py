"""Everything that runs: PostgreSQL, APIs, workers, the sandbox, the mailbox, a receiver of webhooks, and the lines."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from chaos.disk import Disk
from chaos.parts import Part, Postgres
from chaos.proxy import Address, Line, Targets
from chaos.receiver import Receiver
from chaos.wall_clock import WallClock
from system import JWT_SECRET, Answer, System, free_port, settings_for, token_for
from tallystick.cli.plan import HOST, Plan, make_plan, retries_of
from tallystick.cli.process import Process

__all__ = ["LINES", "Sizes", "Target", "World"]

LINES = (
    "client-api", "api-stripe", "worker-stripe", "stripe-api", "api-postgres", "worker-postgres", "worker-smtp",
    "worker-endpoint",
)  # fmt: skip
"""The lines by what they join. Each process has lines of its own, but for the last hop of webhooks in and out."""
_INSTALLATION = "chaos"
_READY_S = 120.0
_ANSWER_S = 12.0
_REPLACES = ("DATABASE_", "STRIPE_", "SMTP_", "JWT_", "MAIL_", "PUBLIC_URL", "TALLYSTICK_", "INSTALLATION_ID")


@dataclass(frozen=True)
class Sizes:
    """How much of everything there is."""

    apis: int = 2
    workers: int = 2
    clients: int = 12


class Target(System):
    """The system as its clients see it: each request goes to one of the APIs, over its line."""

    doors: Sequence[Line]
    clients: aiohttp.ClientSession
    _turn = 0

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
        self._turn += 1
        url = f"http://{HOST}:{self.doors[self._turn % len(self.doors)].port}{path}"
        token = token or token_for(user, email=f"{user}@example.com", roles=roles)
        sent = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {}), **(headers or {})}
        async with self.clients.request(method, url, json=json, data=data, headers=sent) as response:
            body = await response.json(content_type=None)
            return Answer(response.status, body, response.headers)


class World:
    """Starts it all in `folder`, and stops it. `library` is libfaketime's; `disk` is where PostgreSQL lives."""

    def __init__(self, folder: Path, sizes: Sizes, *, library: Path | None, disk: Disk | None) -> None:
        self.folder = folder
        self.sizes = sizes
        self.disk = disk
        self.postgres = Postgres(folder / "pg")
        self.receiver = Receiver()
        self.lines: dict[str, Line] = {}
        self._library = library
        self._plan = self._make_plan()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self.api_ports = [free_port() for _ in range(sizes.apis)]
        self.apis = [self._api(number) for number in range(sizes.apis)]
        self.workers = [self._worker(number) for number in range(sizes.workers)]
        self.sandbox = self._sandbox()
        self.mailbox = self._mailbox()

    # What there is

    @property
    def parts(self) -> dict[str, Part]:
        """All processes of ours by name."""
        return {part.name: part for part in (*self.apis, *self.workers, self.sandbox, self.mailbox)}

    @property
    def sandbox_url(self) -> str:
        return f"http://{HOST}:{self._plan.sandbox_port}"

    @property
    def mailbox_url(self) -> str:
        return f"http://{HOST}:{self._plan.mailbox_port}"

    def lines_of(self, name: str) -> list[Line]:
        """One line by its name, or all of a kind (`api-stripe`)."""
        if name in self.lines:
            return [self.lines[name]]
        first, _, last = name.partition("-")
        found = [
            line
            for known, line in self.lines.items()
            if (part := known.partition("-"))[0].rstrip("0123456789") == first and part[2].rstrip("0123456789") == last
        ]
        assert found, name
        return found

    def environment(self, name: str | None = None) -> dict[str, str]:
        """The settings of a process, over its lines; without a name, of a command past all of them."""
        own = {**self._plan.environment, "PUBLIC_URL": self._door}
        if name is None:
            return {**own, "DATABASE_URL": self.postgres.url, "STRIPE_API_BASE": self.sandbox_url}
        own["DATABASE_URL"] = self.postgres.url_by(self.lines[f"{name}-postgres"].port)
        own["STRIPE_API_BASE"] = f"http://{HOST}:{self.lines[f'{name}-stripe'].port}"
        if f"{name}-smtp" in self.lines:
            own["SMTP_URL"] = f"smtp://{HOST}:{self.lines[f'{name}-smtp'].port}?starttls=never"
        return own

    @property
    def _door(self) -> str:
        """Where Stripe finds us."""
        return f"http://{HOST}:{self.lines['stripe-api'].port}"

    # Starting and stopping

    async def start(self) -> None:
        if self.disk is not None:
            self.disk.mount()
        await self.postgres.start()
        await self._open_lines()
        await self.receiver.start()
        migrate = Process("migrate", self._log("migrate"))
        await migrate.spawn()
        await migrate.order(self.environment())
        if await migrate.wait():
            raise RuntimeError(f"the database could not be migrated:\n{migrate.log_tail()}")
        for part in (self.sandbox, self.mailbox):
            await part.start()
            await self._until_up(part)
        await self._register()
        for part in (*self.apis, *self.workers):
            await part.start()
        for part in self.apis:
            await self._until_up(part)

    async def stop(self) -> None:
        for part in self.parts.values():
            part.thaw()
        await asyncio.gather(*(part.stop() for part in (*self.apis, *self.workers)))
        await asyncio.gather(self.sandbox.stop(), self.mailbox.stop())
        for line in self.lines.values():
            await line.stop()
        await self.receiver.stop()
        await self._http.close()
        if self.disk is not None:
            self.disk.free()
        try:
            await self.postgres.stop()
        finally:
            if self.disk is not None:
                self.disk.unmount()

    async def until_all_up(self) -> None:
        for part in self.parts.values():
            await self._until_up(part)
        ends = time.monotonic() + _READY_S
        while not await self.postgres.is_up():
            if time.monotonic() > ends:
                raise TimeoutError(f"PostgreSQL does not come back: {self.postgres.problems[-1:]}")
            await asyncio.sleep(0.1)

    async def target(self) -> Target:
        """For clients; `close_target` ends it."""
        url = self.postgres.url
        settings = settings_for(
            url, sandbox_url=self.sandbox_url, api_url=f"http://{HOST}:{self.api_ports[0]}", smtp_port=1,
            INSTALLATION_ID=_INSTALLATION, CLOCK_FILE=str(self.folder / "clock"),
        )  # fmt: skip
        pool = await asyncpg.create_pool(url, min_size=0, max_size=4, command_timeout=60)
        target = Target(settings, f"http://{HOST}:{self.api_ports[0]}", self.sandbox_url, url, self._http, pool, [])
        target.doors = [self.lines[f"client-{part.name}"] for part in self.apis]
        target.clients = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S))
        return target

    async def close_target(self, target: Target) -> None:
        await target.clients.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(target.pool.close(), 5)

    async def _open_lines(self) -> None:
        def postgres() -> Sequence[Address]:
            return [self.postgres.address()]

        sandbox, smtp = partial(_at, self._plan.sandbox_port or 0), partial(_at, self._plan.smtp_port or 0)
        leads: dict[str, Targets] = {
            "stripe-api": partial(_at, *self.api_ports),
            "worker-endpoint": lambda: _at(self.receiver.port),
        }
        for part, port in zip(self.apis, self.api_ports, strict=True):
            leads[f"client-{part.name}"] = partial(_at, port)
        for part in (*self.apis, *self.workers):
            leads |= {f"{part.name}-stripe": sandbox, f"{part.name}-postgres": postgres}
        leads |= {f"{part.name}-smtp": smtp for part in self.workers}
        for name, targets in leads.items():
            self.lines[name] = Line(name, targets)
            await self.lines[name].start()

    async def _register(self) -> None:
        """Tell the sandbox where our webhooks go; its store keeps that through kills."""
        endpoint = {
            "url": f"{self._door}/api/webhooks/stripe",
            "secret": self._plan.environment["STRIPE_WEBHOOK_SECRET"],
            "description": "chaos",
        }
        await self._tell("PUT", "webhook_endpoints", endpoint)
        await self._tell("PUT", "application", {"url": self._door})
        await self._tell("POST", "settings", retries_of(self._plan.environment))

    async def _tell(self, method: str, path: str, body: Any) -> None:
        async with self._http.request(method, f"{self.sandbox_url}/_sandbox/{path}", json=body) as response:
            if response.status >= 300:
                raise RuntimeError(f"the sandbox did not take our {path}: {await response.text()}")

    async def _until_up(self, part: Part) -> None:
        ends = time.monotonic() + _READY_S
        while not await part.is_up():
            if time.monotonic() > ends:
                raise TimeoutError(f"{part.name} does not come up:\n{part.process.log_tail()}")
            await asyncio.sleep(0.1)

    # The parts

    def _make_plan(self) -> Plan:
        for name in [name for name in os.environ if name.startswith(_REPLACES)]:
            del os.environ[name]
        (self.folder / "logs").mkdir(exist_ok=True)
        # Several may run at once, and each would take the mailbox's usual port.
        (self.folder / "ports.json").write_text(json.dumps({"mailbox": free_port(), "smtp": free_port()}))
        settings = {
            "JWT_SECRET": JWT_SECRET,
            "INSTALLATION_ID": _INSTALLATION,
            "LOG_LEVEL": "warning",
            # A short time-out of Stripe makes short leases: what a killed API left behind is taken up soon.
            "STRIPE_TIMEOUT_S": "2",
            "STRIPE_BACKGROUND_RATE": "100",
            "EVENT_CATCH_UP_S": "10",
            # Nothing that is missing is to be made good before it is looked for.
            "RECONCILE_EVERY_S": "0",
            "RECONCILE_FULL_HOUR": "-1",
            # It would tell staff, rightly, how often everything went away.
            "ALERTS_BUILT_IN": "false",
        }
        return make_plan(self.folder, settings, port=0, sandbox_port=0)

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _clocked(self, name: str) -> tuple[WallClock | None, Mapping[str, str]]:
        if self._library is None:
            return None, {}
        clock = WallClock(self._library, self.folder / f"wall.{name}")
        return clock, clock.environment()

    def _api(self, number: int) -> Part:
        name, port = f"api{number + 1}", self.api_ports[number]
        clock, early = self._clocked(name)
        process = Process("api", self._log(name), {"host": HOST, "port": port}, early)
        return Part(name, process, lambda: self.environment(name), lambda: self._answers(port, "/readyz"), clock)

    def _worker(self, number: int) -> Part:
        name = f"worker{number + 1}"
        clock, early = self._clocked(name)
        process = Process("worker", self._log(name), early=early)
        return Part(name, process, lambda: self.environment(name), lambda: self._has_connections(name), clock)

    def _sandbox(self) -> Part:
        port = self._plan.sandbox_port
        store = {"host": HOST, "port": port, "data": str(self.folder / "sandbox.db")}
        process = Process("sandbox", self._log("sandbox"), store)
        up = "/_sandbox/health"
        return Part("sandbox", process, lambda: dict(self._plan.environment), lambda: self._answers(port or 0, up))

    def _mailbox(self) -> Part:
        port = self._plan.mailbox_port
        ports = {"http_port": port, "smtp_port": self._plan.smtp_port, "folder": str(self.folder / "mail")}
        process = Process("mailbox", self._log("mailbox"), ports)
        return Part("mailbox", process, dict, lambda: self._answers(port or 0, "/healthz"))

    async def _answers(self, port: int, path: str) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._http.get(f"http://{HOST}:{port}{path}", timeout=aiohttp.ClientTimeout(total=3)) as answer:
                return answer.status == 200
        return False

    async def _has_connections(self, name: str) -> bool:
        """Whether a worker listens at the database: it does from its start on."""
        line, pid = self.lines[f"{name}-postgres"], self.parts[name].process.pid
        return pid is not None and line.open_ways > 0


def _at(*ports: int) -> Sequence[Address]:
    return [(HOST, port) for port in ports]
