"""The built-in alerts through the database: told once when they fire and once when they are over, whatever happens."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiohttp import web

from system import MakeDatabase, System, free_port, running_system, until
from tallystick.metrics.service_alerts import AlertKeeper, list_alerts
from tallystick.metrics.service_minutes import MinuteKeeper
from tallystick.metrics.service_watch import EndpointWatch
from tallystick.platform.database import WEATHER, Database
from tallystick.platform.telemetry import note_database_error, take_tally

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # of apprise, on import

CHANNELS = [free_port(), free_port()]


class FakeClock:
    """Both clocks, moved by hand; a day behind, so that what is due by it is due."""

    def __init__(self) -> None:
        self.at = datetime.now(UTC) - timedelta(days=1)

    def now(self) -> datetime:
        return self.at

    def wall(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Channel:
    """A receiver of alerts; `fails` is how many it turns away first."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.fails = 0

    async def take(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if self.fails:
            self.fails -= 1
            return web.Response(status=500)
        self.got.append(body)
        return web.Response()

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/hook", self.take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()


class Watched:
    """A running system whose alerts two workers evaluate when told to, by a clock that is moved by hand."""

    def __init__(self, system: System, databases: list[Database], channels: list[Channel]) -> None:
        self.system = system
        self.clock = FakeClock()
        self.databases = databases
        self.channels = channels
        self.keepers = [AlertKeeper(database, self.clock, system.settings) for database in databases]
        self.minutes = MinuteKeeper(databases[0], self.clock)
        self.enabled: bool | None = None
        self.watch = EndpointWatch(databases[0], self.clock, self.probe)

    async def look(self, after: timedelta = timedelta()) -> dict[str, str]:
        """Both look, at once; the states of the alerts then."""
        self.clock.at += after
        await self.watch.look()
        await asyncio.gather(*(keeper.evaluate() for keeper in self.keepers))
        return {alert.name: alert.state for alert in await list_alerts(self.databases[0])}

    async def probe(self) -> bool | None:
        """What Stripe would say of our endpoint."""
        return self.enabled

    async def told(self, name: str) -> list[str]:
        """The subjects of the mails about an alert, when all are sent; several are sent at a time, so sorted."""
        await self.system.quiet()
        return sorted(mail.subject.removeprefix("[Acme] ") for mail in self.system.mails if name in mail.subject)

    def heard(self, channel: int, name: str) -> list[str]:
        """What a channel heard about an alert."""
        return [body["type"] for body in self.channels[channel].got if name in body["title"]]


@pytest_asyncio.fixture(scope="module")
async def watched(make_database: MakeDatabase) -> AsyncIterator[Watched]:
    url = await make_database()
    channels = [Channel(), Channel()]
    urls = ",".join(f"json://127.0.0.1:{port}/hook" for port in CHANNELS)
    async with (
        channels[0].listening(CHANNELS[0]),
        channels[1].listening(CHANNELS[1]),
        running_system(url, ALERT_URLS=urls) as system,
    ):
        databases = [await Database.connect(url, size=2) for _ in range(2)]
        yield Watched(system, databases, channels)
        for database in databases:
            await database.close()


async def test_an_alert_is_told_once_and_its_end_once(watched: Watched) -> None:
    assert await watched.look() == {}
    watched.enabled = False
    assert await watched.look() == {"EndpointDisabledByStripe": "firing"}
    assert await watched.look(timedelta(hours=1)) == {"EndpointDisabledByStripe": "firing"}
    assert await watched.told("EndpointDisabledByStripe") == ["Alert: EndpointDisabledByStripe"]
    assert watched.heard(0, "EndpointDisabledByStripe") == watched.heard(1, "EndpointDisabledByStripe") == ["warning"]
    [body] = [body for body in watched.channels[0].got if "EndpointDisabledByStripe" in body["title"]]
    assert body["title"] == "Page: EndpointDisabledByStripe"
    assert "tallystick webhooks install" in body["message"]

    watched.enabled = True
    for _ in range(2):
        assert await watched.look(timedelta(seconds=30)) == {"EndpointDisabledByStripe": "over"}
    assert await watched.told("EndpointDisabledByStripe") == [
        "Alert: EndpointDisabledByStripe",
        "Over: EndpointDisabledByStripe",
    ]
    assert (
        watched.heard(0, "EndpointDisabledByStripe")
        == watched.heard(1, "EndpointDisabledByStripe")
        == ["warning", "success"]
    )

    # The same trouble again is another incident.
    watched.enabled = False
    assert (await watched.look(timedelta(hours=2)))["EndpointDisabledByStripe"] == "firing"
    watched.enabled = True
    assert (await watched.look())["EndpointDisabledByStripe"] == "over"
    assert len(await watched.told("EndpointDisabledByStripe")) == 4


async def test_what_passes_soon_enough_is_not_told(watched: Watched) -> None:
    async def differ(state: str) -> None:
        await watched.system.pool.execute("UPDATE reconcile_differences SET state = $1", state)

    watched.enabled = True
    await watched.system.pool.execute(
        """
        INSERT INTO reconcile_differences (id, object, stripe_id, field, cause, state, found_at, seen_at)
        VALUES ($1, 'charge', 'ch_1', 'amount', 'ours', 'open', now(), now())
        """,
        uuid4(),
    )
    assert (await watched.look())["Drift"] == "pending"
    assert (await watched.look(timedelta(minutes=29)))["Drift"] == "pending"
    await differ("repaired")
    assert "Drift" not in await watched.look(timedelta(minutes=2))
    await differ("open")
    assert (await watched.look())["Drift"] == "pending"
    assert (await watched.look(timedelta(minutes=30)))["Drift"] == "firing"
    await differ("repaired")
    assert (await watched.look())["Drift"] == "over"
    assert await watched.told("Drift") == ["Alert: Drift", "Over: Drift"]


async def test_what_processes_counted_fires_and_is_forgotten(watched: Watched) -> None:
    take_tally()
    for _ in range(3):
        note_database_error("lost")
        await watched.minutes.store()
        watched.clock.at += timedelta(minutes=1)
    assert "DatabaseErrors" not in await watched.look()
    for _ in range(3):
        note_database_error("lost")
    await watched.minutes.store()
    assert (await watched.look())["DatabaseErrors"] == "firing"
    assert (await watched.look(timedelta(minutes=12)))["DatabaseErrors"] == "over"
    assert await watched.told("DatabaseErrors") == ["Alert: DatabaseErrors", "Over: DatabaseErrors"]


async def test_a_channel_that_fails_is_tried_again_and_the_others_are_not(watched: Watched) -> None:
    watched.channels[0].fails = 1
    before = [len(channel.got) for channel in watched.channels]
    watched.enabled = False
    await watched.look()
    late = "SELECT count(*) FROM work WHERE kind = 'notify.incident' AND state = 'queued' AND not_before > now()"
    ends = asyncio.get_running_loop().time() + 15
    while await watched.system.value(late) != 1:
        assert asyncio.get_running_loop().time() < ends
        await asyncio.sleep(0.05)
    assert [len(channel.got) for channel in watched.channels] == [before[0], before[1] + 1]
    await watched.system.pool.execute("UPDATE work SET not_before = now() WHERE kind = 'notify.incident'")
    await until(lambda: len(watched.channels[0].got) == before[0] + 1, "the channel hears of it")
    watched.enabled = True
    await watched.look()
    await watched.system.quiet()
    assert [len(channel.got) for channel in watched.channels] == [before[0] + 2, before[1] + 2]


async def test_nothing_is_told_twice_when_the_database_goes_away(watched: Watched) -> None:
    before = len(await watched.told("EndpointDisabledByStripe"))
    watched.enabled = False
    await watched.watch.look()
    async with watched.system.pool.acquire() as holding:
        # Both wait for their turn, and lose their connection meanwhile.
        await holding.execute("SELECT pg_advisory_lock(hashtext('alerts'))")
        looks = [asyncio.ensure_future(keeper.evaluate()) for keeper in watched.keepers]
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
        ends = asyncio.get_running_loop().time() + 15
        while len(found := await watched.system.fetch(waiting)) < len(looks):
            assert asyncio.get_running_loop().time() < ends
            await asyncio.sleep(0.02)
        for row in found:
            await holding.execute("SELECT pg_terminate_backend($1)", row["pid"])
        for look in looks:
            with pytest.raises(WEATHER):
                await look
        await holding.execute("SELECT pg_advisory_unlock(hashtext('alerts'))")
    assert len(await watched.told("EndpointDisabledByStripe")) == before
    assert (await watched.look())["EndpointDisabledByStripe"] == "firing"
    assert (await watched.look())["EndpointDisabledByStripe"] == "firing"
    assert len(await watched.told("EndpointDisabledByStripe")) == before + 1


async def test_the_command_lists_what_fires_and_what_is_over(watched: Watched) -> None:
    watched.enabled = False
    await watched.look()
    command = [sys.executable, "-m", "tallystick.cli.main", "alerts", "list"]
    environment = {**os.environ, "DATABASE_URL": watched.system.database_url, "COLUMNS": "200"}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    first, _, rest = done.stdout.partition("\n")
    assert first.startswith("EndpointDisabledByStripe since 2")
    assert "tallystick webhooks install" in rest
    assert re.search("^Drift is over since 2", rest, flags=re.MULTILINE)
