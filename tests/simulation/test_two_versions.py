"""Blue and green: two versions beside each other under traffic, through a migration, and the former one stopped.

Real processes behind a proxy that asks each for its readiness. Nothing may fail, nothing may be lost, no lease is left.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from pydantic import SecretStr

from former import Former, command, former_version, schema_at
from simulation.mirror import assert_same, mirror_rows, stripe_rows
from system import LONG, MakeDatabase, System, free_port, running_system, token_for, until
from tallystick.platform.migrate import head_revision, migrate
from tallystick.platform.settings import Settings

pytestmark = [
    pytest.mark.skipif(not LONG, reason="runs eight processes for a minute; TALLYSTICK_LONG=1 runs it"),
    pytest.mark.timeout(400),
]

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}
_OLD_ROWS = 50_000


def environment_of(settings: Settings) -> dict[str, str]:
    """Settings as the environment variables that give them."""
    given = {}
    for name, about in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value is not None and not about.exclude and value != about.get_default(call_default_factory=True):
            given[name.upper()] = _text(value)
    return given


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(_text(each) for each in value)
    return str(value)


@dataclass
class Program:
    """A process of some version; `port` is that of an API."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int = 0
    ready_path: str = "/readyz"

    async def stop(self) -> int:
        """Tell it to, and wait; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 90)


class Programs:
    """Starts them, and leaves none behind."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._running: list[Program] = []

    def start(self, *arguments: str, port: int = 0, source: Path | None = None) -> Program:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        path = {"PYTHONPATH": str(source)} if source else {}
        log = self._folder / f"{len(self._running)}-{arguments[0]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(*arguments), env={**kept, **self._environment, **path}, stdout=output, stderr=output
            )
        program = Program(process, log, port)
        self._running.append(program)
        return program

    def api(self, source: Path | None = None) -> Program:
        port = free_port()
        return self.start("serve", f"--port={port}", port=port, source=source)

    def kill_all(self) -> None:
        for program in self._running:
            program.process.kill()
            program.process.wait()


@dataclass
class Balancer:
    """Sends each request to one of the APIs that say that they are ready; tries nothing twice."""

    http: aiohttp.ClientSession
    backends: list[Program] = field(default_factory=list)
    served: dict[int, int] = field(default_factory=dict)
    _turn: int = 0
    _under_way: set[object] = field(default_factory=set)

    async def handle(self, request: web.Request) -> web.Response:
        mark = object()
        self._under_way.add(mark)
        try:
            return await self._pass_on(request)
        finally:
            self._under_way.discard(mark)

    async def switch(self, *backends: Program) -> None:
        """Share out among others from now on; returns when what was under way is answered."""
        self.backends = list(backends)
        before = set(self._under_way)
        await until(lambda: not before & self._under_way, "all is answered that was under way", 90)

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        backend = await self._choose()
        if backend is None:
            return web.json_response({"balancer": "no backend is ready"}, status=503)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"http://127.0.0.1:{backend.port}{request.path_qs}"
        try:
            async with self.http.request(request.method, url, data=body, headers=headers) as answer:
                content = await answer.read()
                self.served[backend.port] = self.served.get(backend.port, 0) + 1
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
                return web.Response(status=answer.status, body=content, headers=kept)
        except aiohttp.ClientError as error:
            return web.json_response({"balancer": f"{type(error).__name__}: {error} at {url}"}, status=502)

    async def _choose(self) -> Program | None:
        self._turn += 1
        turn, backends = self._turn, list(self.backends)
        for offset in range(len(backends)):
            backend = backends[(turn + offset) % len(backends)]
            if await self.ready(backend):
                return backend
        return None

    async def ready(self, backend: Program) -> bool:
        try:
            async with self.http.get(f"http://127.0.0.1:{backend.port}{backend.ready_path}") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def until_ready(self, backend: Program) -> None:
        for _ in range(900):
            if await self.ready(backend):
                return
            assert backend.process.poll() is None, backend.log.read_text()
            await asyncio.sleep(0.1)
        raise AssertionError(backend.log.read_text())


class Traffic:
    """Customers who pay all the time; every answer is kept."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http
        self.answers: list[tuple[int, Any]] = []
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, customers: int) -> None:
        self._tasks = [asyncio.create_task(self._pay(number)) for number in range(customers)]

    async def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + count
        await until(lambda: len(self.answers) >= wanted or self._broken(), f"{count} more payments", 120)
        assert not self._broken(), [task.exception() for task in self._tasks if task.done()]

    async def end(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    def _broken(self) -> bool:
        return any(task.done() for task in self._tasks)

    async def _pay(self, number: int) -> None:
        user = f"customer{number}"
        headers = {"Authorization": f"Bearer {token_for(user, email=f'{user}@example.com')}"}
        body = {"amount": 1000 + number, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
        done = 0
        while not self._stop.is_set():
            key = {"Idempotency-Key": f"{user}-{done}"}
            url = f"{self._url}/api/payments/payment-intent"
            async with self._http.post(url, json=body, headers=headers | key) as answer:
                self.answers.append((answer.status, await answer.json(content_type=None)))
            done += 1


@asynccontextmanager
async def balanced(system: System) -> AsyncIterator[Balancer]:
    """The balancer at PUBLIC_URL, where the system's own API was."""
    timeout = aiohttp.ClientTimeout(total=60)
    # Shorter than servers keep a connection that nobody uses (uvicorn by itself: five seconds).
    connector = aiohttp.TCPConnector(keepalive_timeout=2)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        balancer = Balancer(http)
        application = web.Application(client_max_size=2**20)
        application.router.add_route("*", "/{path:.*}", balancer.handle)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(system.api_url.rpartition(":")[2])).start()
        try:
            yield balancer
        finally:
            await runner.cleanup()


@asynccontextmanager
async def installation(
    make_database: MakeDatabase, folder: Path, revision: str | None
) -> AsyncIterator[tuple[System, Balancer, Programs]]:
    """A sandbox and a mail server, a database at `revision` (None: the newest), and no process of ours yet."""
    url = await make_database()
    if revision is not None:
        await schema_at(url, revision)
    changes = {
        "ENVIRONMENT": "development",
        "STOP_DELAY_S": "6",
        "STOP_GRACE_S": "30",
        "EVENT_CATCH_UP_S": "0",
        "DATABASE_POOL_SIZE": "8",
        "LOG_LEVEL": "warning",
    }
    async with running_system(url, workers=0, **changes) as system:
        await system.stop_api()
        programs = Programs(environment_of(system.settings), folder)
        try:
            async with balanced(system) as balancer:
                yield system, balancer, programs
        finally:
            programs.kill_all()


async def fill(url: str) -> None:
    """Rows of years, so that a migration that rewrites or scans a table takes its time."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            f"""
            INSERT INTO work (id, kind, business_key, payload, due_at, state, finished_at)
            SELECT gen_random_uuid(), 'old', 'old-' || n, '{{}}', now() - interval '300 days', 'done', now()
            FROM generate_series(1, {_OLD_ROWS}) AS n;
            INSERT INTO mails (id, business_key, template, recipient, context, locale, due_at, state, finished_at)
            SELECT gen_random_uuid(), 'old-' || n, 'refund', 'old@example.com', '{{}}', 'en', now(), 'sent', now()
            FROM generate_series(1, {_OLD_ROWS}) AS n;
            """
        )
    finally:
        await connection.close()


async def assert_nothing_is_lost(system: System, traffic: Traffic) -> None:
    """Every answer was 201, Stripe has one charge for each, the mirror is equal, and nobody holds anything."""
    bad = [answer for answer in traffic.answers if (answer[0], answer[1].get("status")) != (201, "succeeded")]
    assert bad == [], f"{len(bad)} of {len(traffic.answers)}: {bad[:3]}"
    await system.quiet(120)
    intents = {body["stripe_payment_intent_id"] for _, body in traffic.answers}
    assert len(intents) == len(traffic.answers)
    # The sandbox sends again what was not taken: a delivery that failed would show.
    assert (
        await system.value("SELECT count(*) FROM webhook_events WHERE state <> 'processed' AND state <> 'unhandled'")
        == 0
    )
    assert await system.value("SELECT count(*) FROM payments WHERE status = 'succeeded'") == len(intents)
    truth = await stripe_rows(system.stripe, system.settings.installation_id)
    assert_same(await mirror_rows(system.database_url), truth)
    held = "SELECT count(*) FROM {} WHERE leased_until IS NOT NULL AND state = 'queued'"
    assert [await system.value(held.format(table)) for table in ("work", "mails")] == [0, 0]
    assert await system.value("SELECT count(*) FROM attempts WHERE state IN ('requested', 'unknown')") == 0
    mails = await system.fetch("SELECT business_key FROM mails WHERE business_key NOT LIKE 'old-%'")
    assert len({row["business_key"] for row in mails}) == len(mails)


async def test_a_process_that_is_told_to_stop_lets_nobody_notice(make_database: MakeDatabase, tmp_path: Path) -> None:
    async with installation(make_database, tmp_path, None) as (system, balancer, programs):
        balancer.backends = [programs.api(), programs.api()]
        workers = [programs.start("worker"), programs.start("worker")]
        for backend in balancer.backends:
            await balancer.until_ready(backend)
        traffic = Traffic(system.api_url, system.http)
        traffic.begin(6)
        await traffic.more(30)
        for program in (balancer.backends[0], workers[0]):
            assert await program.stop() == 0, program.log.read_text()
            await traffic.more(20)
        await traffic.end()
        await assert_nothing_is_lost(system, traffic)
        assert len(balancer.served) == 2


@pytest.fixture
def former(tmp_path: Path) -> Former:
    folder = tmp_path / "former"
    folder.mkdir()
    return former_version(folder)


async def test_two_versions_through_a_migration(make_database: MakeDatabase, tmp_path: Path, former: Former) -> None:
    async with installation(make_database, tmp_path, former.head) as (system, balancer, programs):
        await fill(system.database_url)
        blue = programs.api(former.source)
        blue.ready_path = former.ready_path
        balancer.backends = [blue]
        old_worker = programs.start("worker", source=former.source)
        await balancer.until_ready(blue)
        traffic = Traffic(system.api_url, system.http)
        traffic.begin(6)
        await traffic.more(40)
        # The new version waits for its schema, the former one goes on while it changes.
        green, new_worker = programs.api(), programs.start("worker")
        await traffic.more(10)
        assert not await balancer.ready(green)
        assert await migrate(system.database_url, "public") != []
        assert await system.value("SELECT version_num FROM alembic_version") == head_revision()
        await traffic.more(40)
        await balancer.until_ready(green)
        await balancer.switch(blue, green)
        await traffic.more(40)
        await balancer.switch(green)
        await blue.stop()
        await old_worker.stop()
        await traffic.more(40)
        assert new_worker.process.poll() is None, new_worker.log.read_text()
        await traffic.end()
        await assert_nothing_is_lost(system, traffic)
        assert balancer.served.keys() == {blue.port, green.port}
