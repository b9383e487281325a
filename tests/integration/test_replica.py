"""A replica for lists and figures: read while it is there, however far behind; done without while it is away."""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from system import LONG, MakeDatabase, System, free_port, running_system, token_for
from tallystick.doctor.service_database import DatabaseChecks
from tallystick.platform.database import Database
from tallystick.platform.embedded_postgres import EmbeddedPostgres
from tallystick.platform.migrate import migrate
from tallystick.platform.postgres_binaries import Account, Binaries, find_binaries


class Standby:
    """A hot standby of the server at `url`, which streams from it."""

    def __init__(self, folder: Path, url: str, account: Account, binaries: Binaries) -> None:
        self._folder, self._account, self._binaries = folder, account, binaries
        self._call("pg_basebackup", "-d", url, "-D", str(folder / "data"), "-R", "-X", "stream", "-c", "fast")
        port = free_port()
        with (folder / "data" / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"port = {port}\n")
        self._call("pg_ctl", "start", "-D", str(folder / "data"), "-l", str(folder / "log"), "-w", "-t", "60")
        base, _, path = url.rpartition(":")
        self.url = f"{base}:{port}/{path.partition('/')[2]}"

    def stop(self) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self._call("pg_ctl", "stop", "-D", str(self._folder / "data"), "-m", "immediate", "-w")

    def _call(self, program: str, *arguments: str) -> None:
        other = self._account.other
        with (self._folder / "said").open("ab") as said:
            done = subprocess.run(
                [str(self._binaries.folder / program), *arguments],
                stdout=said,
                stderr=said,
                cwd="/",
                check=False,
                user=self._account.uid if other else None,
                group=self._account.gid if other else None,
                extra_groups=[] if other else None,
            )
        assert done.returncode == 0, (self._folder / "said").read_text()


@contextmanager
def standing_by(url: str) -> Iterator[Standby]:
    with tempfile.TemporaryDirectory(prefix="tallystick-standby-") as name:
        folder = Path(name)
        account = Account.choose(folder, folder / "data")
        binaries = find_binaries(account)
        if not (binaries.folder / "pg_basebackup").exists():
            pytest.skip(f"there is no pg_basebackup in {binaries.folder}")
        if account.other:
            os.chown(folder, account.uid, account.gid)
        standby = Standby(folder, url, account, binaries)
        try:
            yield standby
        finally:
            standby.stop()


@pytest_asyncio.fixture
async def system_and_standby() -> AsyncIterator[tuple[System, Standby]]:
    with tempfile.TemporaryDirectory(prefix="tallystick-tests-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        url = server.ensure()
        try:
            await migrate(url, "public")
            with standing_by(url) as standby:
                async with running_system(url, READ_DATABASE_URL=standby.url) as system:
                    yield system, standby
        finally:
            server.stop()


async def charged(system: System) -> int:
    """What the figures say was charged today."""
    day = system.now().date().isoformat()
    answer = await system.call("GET", f"/api/metrics/money?start={day}&end={day}", user="boss", roles=("admin",))
    assert answer.status == 200, answer.body
    return sum(period["charged"] for period in answer.body["data"])


async def becomes(wanted: int, system: System) -> None:
    ends = time.monotonic() + 60
    while (found := await charged(system)) != wanted:
        assert time.monotonic() < ends, (found, wanted)
        await asyncio.sleep(0.1)


@pytest.mark.skipif(not LONG, reason="a second cluster: TALLYSTICK_LONG=1")
async def test_figures_come_from_a_streaming_replica_and_what_must_be_exact_does_not(
    system_and_standby: tuple[System, Standby],
) -> None:
    system, standby = system_and_standby
    assert await _what_the_doctor_finds(system) == "ok"
    await system.pay(amount=1000)
    await becomes(1000, system)
    replica: Any = await asyncpg.connect(standby.url)
    try:
        await replica.execute("SELECT pg_wal_replay_pause()")
        paid = await system.pay(amount=500)
        await system.quiet()
        assert (await system.get(paid.body["id"]))["status"] == "succeeded"
        count = "SELECT count(*) FROM metrics_stale"
        while await system.value(count):
            await asyncio.sleep(0.05)
        assert await charged(system) == 1000
        await replica.execute("SELECT pg_wal_replay_resume()")
        await becomes(1500, system)
    finally:
        await replica.close()
    standby.stop()
    await system.pay(amount=250)
    await becomes(1750, system)


async def test_lists_and_figures_are_read_elsewhere_and_nothing_else_is(make_database: MakeDatabase) -> None:
    """A database that nothing streams to stands for a replica that is far behind."""
    behind = await make_database()
    async with running_system(await make_database(), READ_DATABASE_URL=behind) as system:
        paid = await system.pay(amount=1000)
        await system.quiet()
        assert (await system.get(paid.body["id"]))["status"] == "succeeded"
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as staff:
            login = {"token": token_for("boss", roles=("admin",))}
            async with staff.post(f"{system.api_url}/console/login", data=login) as answer:
                assert answer.status == 200
            listed = await _page(staff, system, "/console/payments")
            assert paid.body["id"] not in listed
            # One payment is looked up where it is.
            assert paid.body["id"] in await _page(staff, system, f"/console/payments/{paid.body['id']}")
        assert await charged(system) == 0
        # It takes writes: no replica, says the doctor.
        assert await _what_the_doctor_finds(system) == "warn"


async def _what_the_doctor_finds(system: System) -> str:
    database = Database(system.settings.direct_url)
    checks = DatabaseChecks(database, system.clock, system.settings).checks()
    [replica] = [check for check in checks if check.name == "database.replica"]
    return str((await replica.look()).status)


async def _page(staff: aiohttp.ClientSession, system: System, path: str) -> str:
    async with staff.get(system.api_url + path) as answer:
        assert answer.status == 200, path
        return await answer.text()


async def test_while_the_replica_is_away_all_is_read_where_it_is(make_database: MakeDatabase) -> None:
    nowhere = f"postgresql://x@127.0.0.1:{free_port()}/x"
    async with running_system(await make_database(), READ_DATABASE_URL=nowhere) as system:
        await system.pay(amount=1000)
        await becomes(1000, system)
