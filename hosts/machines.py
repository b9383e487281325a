"""What runs on which host: PostgreSQL, the offline Stripe, two APIs, two workers; and outside what they talk to."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
from chaos.proxy import Address, Line
from chaos.receiver import Receiver
from chaos.world import Target
from prometheus_client.parser import text_string_to_metric_families

from hosts.network import OUTSIDE, Network
from system import JWT_SECRET, WEBHOOK_SECRET, free_port, settings_for
from tallystick.cli.process import Process
from tallystick.platform.embedded_postgres import EmbeddedPostgres
from tallystick.platform.postgres_binaries import Account, find_binaries

__all__ = ["APIS", "HOSTS", "WORKERS", "Machines"]

APIS, WORKERS = ("api1", "api2"), ("worker1", "worker2")
HOSTS = ("db", "stripe", *APIS, *WORKERS)
_READY_S = 120.0
_ANSWER_S = 12.0
_PORTS = {"db": 5432, "stripe": 12111, "api1": 8000, "api2": 8000, "worker1": 9464, "worker2": 9464}
_REPLACES = ("DATABASE_", "STRIPE_", "SMTP_", "JWT_", "MAIL_", "PUBLIC_URL", "TALLYSTICK_", "INSTALLATION_ID")


class Machines:
    """All of it, in `folder`. Business time is not moved: hosts share no file."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder = folder
        self.network = network
        self.receiver = Receiver()
        self._smtp_port, self._mailbox_port = free_port(), free_port()
        self._mailbox = Process("mailbox", folder / "mailbox.log", self._mailbox_arguments())
        outside = network.address(OUTSIDE)
        self._balancer = Line("stripe-api", lambda: [self._at(api) for api in APIS], host=outside)
        self._smtp = Line("worker-smtp", lambda: [("127.0.0.1", self._smtp_port)], host=outside)
        self._hooks = Line("worker-endpoint", lambda: [("127.0.0.1", self.receiver.port)], host=outside)
        self.doors = {api: Line(f"client-{api}", partial(self._only, api)) for api in APIS}
        self._database_url = ""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))

    def _only(self, host: str) -> Sequence[Address]:
        return [self._at(host)]

    def _at(self, host: str) -> Address:
        return self.network.address(host), _PORTS[host]

    def _mailbox_arguments(self) -> Mapping[str, object]:
        return {"http_port": self._mailbox_port, "smtp_port": self._smtp_port, "folder": str(self.folder / "mail")}

    @property
    def mailbox_url(self) -> str:
        return f"http://127.0.0.1:{self._mailbox_port}"

    @property
    def hooks_url(self) -> str:
        return f"http://{self.network.address(OUTSIDE)}:{self._hooks.port}/hook"

    def _url(self, host: str) -> str:
        address, port = self._at(host)
        return f"http://{address}:{port}"

    # Starting and stopping

    async def start(self) -> None:
        for name in [name for name in os.environ if name.startswith(_REPLACES)]:
            del os.environ[name]
        await asyncio.to_thread(self._make_cluster)
        await self._start_postgres()
        await self.receiver.start()
        for line in (self._balancer, self._smtp, self._hooks, *self.doors.values()):
            await line.start()
        await self._mailbox.spawn()
        await self._mailbox.order({})
        await self._run_sandbox()
        await self._migrate()
        for api in APIS:
            address, port = self._at(api)
            await self._ours(api, "serve", f"--host={address}", f"--port={port}")
        await self.start_workers()
        for api in APIS:
            await self._until_answers(f"{self._url(api)}/readyz")
        for worker in WORKERS:
            await self._until_answers(f"{self._url(worker)}/metrics")

    async def start_workers(self) -> None:
        for worker in WORKERS:
            address, port = self._at(worker)
            await self._ours(worker, "worker", METRICS_PORT=str(port), METRICS_HOST=address)

    async def stop(self) -> None:
        await self.network.close()
        if self._mailbox.pid is not None:
            self._mailbox.send(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._mailbox.wait(), 10)
        for line in (self._balancer, self._smtp, self._hooks, *self.doors.values()):
            await line.stop()
        await self.receiver.stop()
        await self._http.close()

    async def target(self) -> Target:
        """For customers, who take the two doors in turn."""
        settings = settings_for(
            self._database_url, sandbox_url=self._url("stripe"), api_url=self._url("api1"), smtp_port=1,
            INSTALLATION_ID="hosts",
        )  # fmt: skip
        pool = await asyncpg.create_pool(self._database_url, min_size=0, max_size=4, command_timeout=60)
        found = Target(settings, self._url("api1"), self._url("stripe"), self._database_url, self._http, pool, [])
        found.doors = list(self.doors.values())
        found.clients = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S))
        return found

    async def counted(self, host: str) -> Mapping[str, float]:
        """What a host says it did: of `/metrics`, each family's sum."""
        async with self._http.get(f"{self._url(host)}/metrics") as answer:
            text = await answer.text()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.labels.get("outcome") in (None, "accepted", "processed", "sent", "delivered", "done"):
                    found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found

    def environment(self) -> dict[str, str]:
        """The settings of every process of ours."""
        return {
            "ENVIRONMENT": "test",
            "DATABASE_URL": self._database_url,
            "STRIPE_SECRET_KEY": "sk_test_system",
            "STRIPE_PUBLISHABLE_KEY": "pk_test_system",
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": self._url("stripe"),
            "PUBLIC_URL": f"http://{self.network.address(OUTSIDE)}:{self._balancer.port}",
            "JWT_SECRET": JWT_SECRET,
            "SMTP_URL": f"smtp://{self.network.address(OUTSIDE)}:{self._smtp.port}?starttls=never",
            "MAIL_FROM": "Acme <billing@acme.test>",
            "INSTALLATION_ID": "hosts",
            "LOG_LEVEL": "warning",
            # A short time-out of Stripe makes short leases: what a host that is cut off left behind is taken up soon.
            "STRIPE_TIMEOUT_S": "2",
            "STRIPE_BACKGROUND_RATE": "100",
            "RECONCILE_EVERY_S": "0",
            "RECONCILE_FULL_HOUR": "-1",
            "EVENT_CATCH_UP_S": "10",
            "ALERTS_BUILT_IN": "false",
        }

    # The hosts

    async def _ours(self, host: str, *words: str, **more: str) -> None:
        command = [sys.executable, "-m", "tallystick.cli.main", *words]
        await self.network.start(host, command, self.environment() | more, self.folder / f"{host}.log")

    def _make_cluster(self) -> None:
        server = EmbeddedPostgres(self.folder / "pg")
        url = server.ensure()
        server.stop()
        data = self.folder / "pg" / "data"
        host, port = self._at("db")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")
        settings = data / "postgresql.auto.conf"
        with settings.open("a") as file:
            file.write(f"listen_addresses = '{host}'\nport = {port}\n")
        self._database_url = re.sub(r"@[^/]+/", f"@{host}:{port}/", url)

    async def _start_postgres(self) -> None:
        data = self.folder / "pg" / "data"
        account = Account.choose(data.parent, data)
        command = [str(find_binaries(account).folder / "postgres"), "-D", str(data)]
        if account.other:
            command = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", *command]
        await self.network.start("db", command, {}, self.folder / "db.log")
        ends = time.monotonic() + _READY_S
        while True:
            try:
                await (await asyncpg.connect(self._database_url, timeout=5)).close()
                return
            except (OSError, asyncpg.PostgresError, TimeoutError):
                if time.monotonic() > ends:
                    raise RuntimeError((self.folder / "db.log").read_text()[-2000:]) from None
                await asyncio.sleep(0.1)

    async def _run_sandbox(self) -> None:
        address, port = self._at("stripe")
        store = f"--data={self.folder / 'sandbox.db'}"
        await self._ours("stripe", "sandbox", f"--host={address}", f"--port={port}", store, "--open-control")
        await self._until_answers(f"{self._url('stripe')}/_sandbox/health")
        endpoint = {
            "url": f"http://{self.network.address(OUTSIDE)}:{self._balancer.port}/api/webhooks/stripe",
            "secret": WEBHOOK_SECRET,
            "description": "hosts",
        }
        url = f"{self._url('stripe')}/_sandbox/webhook_endpoints"
        async with self._http.put(url, json=endpoint) as answer:
            answer.raise_for_status()

    async def _migrate(self) -> None:
        await self._ours("api1", "migrate")
        ends = time.monotonic() + _READY_S
        connection = await asyncpg.connect(self._database_url)
        try:
            while await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
                if time.monotonic() > ends:
                    raise RuntimeError((self.folder / "api1.log").read_text()[-2000:])
                await asyncio.sleep(0.1)
        finally:
            await connection.close()

    async def _until_answers(self, url: str) -> None:
        ends = time.monotonic() + _READY_S
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with self._http.get(url, timeout=aiohttp.ClientTimeout(total=3)) as answer:
                    if answer.status == 200:
                        return
            if time.monotonic() > ends:
                raise RuntimeError(f"{url} does not answer; see the logs in {self.folder}")
            await asyncio.sleep(0.1)
