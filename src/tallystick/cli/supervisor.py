"""Start everything, keep it running, stop it in order."""

import asyncio
import contextlib
import http.client
import json
import signal
import time
from pathlib import Path
from typing import Any

import asyncpg

from tallystick.cli.configured import settings_among
from tallystick.cli.errors import Problem
from tallystick.cli.files import write_json
from tallystick.cli.plan import HOST, Plan, retries_of
from tallystick.cli.process import Process, describe_exit, stop_all
from tallystick.cli.screen import Screen
from tallystick.platform.embedded_postgres import EmbeddedPostgres
from tallystick.platform.migrate import schema_is_current

__all__ = ["Supervisor", "empty_folder"]

_READY_TIMEOUT_S = 60.0
_DRAIN_S = 12.0
_WATCH_S = 0.5
# A process that dies again at once is started again ever more slowly; one that has run this long starts afresh.
_BACKOFF_S = (0.2, 10.0)
_STEADY_S = 5.0


class Supervisor:
    """One `tallystick dev`. `run` returns when everything has stopped."""

    def __init__(self, plan: Plan, screen: Screen) -> None:
        self._plan = plan
        self._screen = screen
        self._postgres = None if plan.database_url else EmbeddedPostgres(plan.folder / "pg")
        self._database_url = plan.database_url or ""
        self._ensuring: asyncio.Future[str] | None = None
        logs = plan.folder / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        counted = plan.environment.get("PROMETHEUS_MULTIPROC_DIR") or str(empty_folder(plan.folder / "counted"))
        early = {"PROMETHEUS_MULTIPROC_DIR": counted}
        self._api = Process("api", logs / "api.log", {"host": HOST, "port": plan.api_port}, early)
        self._worker = Process("worker", logs / "worker.log", early=early)
        self._migrate = Process("migrate", logs / "migrate.log")
        self._sandbox: Process | None = None
        self._mailbox: Process | None = None
        if plan.sandbox_port:
            store = {"host": HOST, "port": plan.sandbox_port, "data": str(plan.folder / "sandbox.db")}
            self._sandbox = Process("sandbox", logs / "sandbox.log", store)
        if plan.mailbox_port:
            ports = {"http_port": plan.mailbox_port, "smtp_port": plan.smtp_port}
            mails = {"folder": str(plan.folder / "mail")}
            self._mailbox = Process("mailbox", logs / "mailbox.log", ports | mails)
        self._stopping = asyncio.Event()
        self._hurrying = False

    async def run(self) -> None:
        """Start, keep running until told to stop, stop. Raises Problem when the start fails."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop)
        work = asyncio.ensure_future(self._work())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            await _cancel(work, stopping)
            await self._stop()

    # Starting

    async def _work(self) -> None:
        began = time.monotonic()
        starting = asyncio.ensure_future(self._start())
        try:
            await self._unless_one_dies(starting)
        except TimeoutError:
            raise Problem(f"Not ready after {_READY_TIMEOUT_S:.0f} s:\n{self._api.log_tail()}") from None
        finally:
            await _cancel(starting)
        self._screen.ready(self._plan, time.monotonic() - began)
        await asyncio.gather(
            *(self._keep(process) for process in self._processes()),
            *([self._keep_postgres()] if self._postgres else []),
        )

    async def _start(self) -> None:
        """Everything up to the first `/readyz` that says yes.

        The processes are started first: most load their libraries while PostgreSQL starts. What the API and
        its callers lean on answers before the API does.
        """
        self._screen.step("Starting")
        database = asyncio.ensure_future(self._start_database())
        try:
            for process in self._processes():
                await process.spawn()
            await asyncio.gather(database, self._start_sandbox(), self._start_mailbox())
        finally:
            await _cancel(database)
        # Before the API answers, so that whoever waits for /readyz finds the file.
        self._write_instance()
        for process in (self._api, self._worker):
            await process.order(self._environment())
        self._screen.step("Waiting for the API")
        await self._until(self._plan.api_port, "/readyz")

    async def _start_database(self) -> None:
        if self._postgres is not None:
            fresh = not (self._plan.folder / "pg" / "data").exists()
            self._screen.step("Creating the database" if fresh else "Starting PostgreSQL")
            if fresh:
                await self._migrate.spawn()
            await self._ensure_postgres()
        try:
            current = await schema_is_current(self._database_url, self._plan.schema)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Problem(f"DATABASE_URL: the database cannot be reached ({error})") from error
        if not current:
            self._screen.step("Migrating the database")
            if self._migrate.pid is None:
                await self._migrate.spawn()
            await self._migrate.order(self._environment())
            if await self._migrate.wait():
                raise Problem(f"The database could not be migrated:\n{self._migrate.log_tail()}")

    async def _ensure_postgres(self) -> None:
        assert self._postgres is not None
        self._ensuring = asyncio.ensure_future(asyncio.to_thread(self._postgres.ensure))
        # Shielded: a thread cannot be cancelled, and stopping has to wait for it.
        self._database_url = await asyncio.shield(self._ensuring)

    async def _start_mailbox(self) -> None:
        if self._mailbox is not None:
            assert self._plan.mailbox_port is not None
            await self._mailbox.order(self._plan.environment)
            await self._until(self._plan.mailbox_port, "/healthz")

    async def _start_sandbox(self) -> None:
        if self._sandbox is None:
            return
        await self._sandbox.order(self._plan.environment)
        assert self._plan.sandbox_port is not None
        await self._until(self._plan.sandbox_port, "/_sandbox/health")
        endpoint = {
            "url": f"{self._plan.api_url}/api/webhooks/stripe",
            "secret": self._plan.environment["STRIPE_WEBHOOK_SECRET"].partition(",")[0],
            "description": "tallystick dev",
        }
        for name, body in (("webhook_endpoints", endpoint), ("application", {"url": self._plan.api_url})):
            status, answer = await asyncio.to_thread(
                _request, self._plan.sandbox_port, "PUT", f"/_sandbox/{name}", body
            )
            if status >= 300:
                raise Problem(f"The sandbox did not take our {name}: {status} {answer}")
        if retries := await asyncio.to_thread(retries_of, self._plan.environment):
            await asyncio.to_thread(_request, self._plan.sandbox_port, "POST", "/_sandbox/settings", retries)

    async def _unless_one_dies(self, starting: "asyncio.Future[None]") -> None:
        """Wait for `starting`; raises Problem when a process ends meanwhile: that is no time for a retry."""
        while True:
            done, _ = await asyncio.wait({starting}, timeout=0.1)
            if done:
                return starting.result()
            for process in self._processes():
                code = process.exit_code
                if code is not None:
                    tail = process.log_tail()
                    raise Problem(f"The {process.role} {describe_exit(code)}:\n{tail}\n\nAll of its log: {process.log}")

    async def _until(self, port: int, path: str) -> None:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            while True:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if (await asyncio.to_thread(_request, port, "GET", path))[0] == 200:
                        return
                await asyncio.sleep(0.03)

    # Keeping it running

    async def _keep(self, process: Process) -> None:
        delay, since = _BACKOFF_S[0], time.monotonic()
        while True:
            code = await process.wait()
            if time.monotonic() - since > _STEADY_S:
                delay = _BACKOFF_S[0]
            self._screen.note(f"The {process.role} {describe_exit(code)}; starting it again", process.log)
            await asyncio.sleep(delay)
            delay, since = min(delay * 2, _BACKOFF_S[1]), time.monotonic()
            await process.spawn()
            if process is self._sandbox:
                with contextlib.suppress(Problem, OSError, TimeoutError):
                    await self._start_sandbox()
            else:
                await process.order(self._environment())
            self._write_instance()

    async def _keep_postgres(self) -> None:
        assert self._postgres is not None
        while True:
            await asyncio.sleep(_WATCH_S)
            if self._postgres.alive():
                continue
            self._screen.note("PostgreSQL has died; starting it again", self._plan.folder / "pg" / "log")
            before = self._database_url
            try:
                await self._ensure_postgres()
            except Exception as error:
                self._screen.note(f"PostgreSQL does not start: {error}", self._plan.folder / "pg" / "log")
                await asyncio.sleep(2)
                continue
            self._write_instance()
            if self._database_url != before:
                # Its port was taken meanwhile; the others only learn of another by starting again.
                for process in (self._api, self._worker):
                    process.send(signal.SIGTERM)

    # Stopping

    def _asked_to_stop(self) -> None:
        if self._stopping.is_set():
            self._hurrying = True
            for process in self._processes():
                process.send(signal.SIGKILL)
        self._stopping.set()

    async def _stop(self) -> None:
        """API and worker first, so that they finish on parts that still run; then the rest; PostgreSQL last."""
        self._screen.step("Stopping (Ctrl-C again: at once)")
        (self._plan.folder / "dev.json").unlink(missing_ok=True)
        await stop_all([self._api, self._worker, self._migrate], 0 if self._hurrying else _DRAIN_S)
        rest = [process for process in (self._sandbox, self._mailbox) if process is not None]
        await stop_all(rest, 0 if self._hurrying else _DRAIN_S)
        if self._postgres is not None:
            if self._ensuring is not None:
                await asyncio.gather(self._ensuring, return_exceptions=True)
            await asyncio.to_thread(self._postgres.stop)
        self._screen.stopped()

    # What others are told

    def _processes(self) -> list[Process]:
        every = (self._api, self._sandbox, self._worker, self._mailbox)
        return [process for process in every if process is not None]

    def _environment(self) -> dict[str, str]:
        return {**self._plan.environment, "DATABASE_URL": self._database_url}

    def _write_instance(self) -> None:
        pids = {process.role: process.pid for process in self._processes()}
        if self._postgres is not None:
            pids["postgres"] = self._postgres.pid()
        plan, environment = self._plan, self._plan.environment
        content: dict[str, Any] = {
            "api_url": plan.api_url,
            "sandbox_url": plan.sandbox_url,
            "mailbox_url": plan.mailbox_url,
            "console_url": f"{plan.api_url}/console",
            "database_url": self._database_url,
            "stripe_secret_key": environment["STRIPE_SECRET_KEY"],
            "stripe_publishable_key": environment["STRIPE_PUBLISHABLE_KEY"],
            "stripe_webhook_secret": environment["STRIPE_WEBHOOK_SECRET"],
            "pids": {role: pid for role, pid in pids.items() if pid is not None},
        }
        write_json(plan.folder / "settings.json", settings_among(self._environment()))
        write_json(plan.folder / "dev.json", content)


def empty_folder(folder: Path) -> Path:
    """Where API and worker count together; what an earlier run has counted is forgotten."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for left in folder.glob("*.db"):
        left.unlink()
    return folder


async def _cancel(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel them and wait until they are gone: what they use is about to be stopped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _request(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """One request to a process of ours: status and answer. Raises OSError or HTTPException."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        content = json.dumps(body) if body is not None else None
        connection.request(method, path, content, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode(errors="replace")
    finally:
        connection.close()
