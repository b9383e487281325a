"""More than one application before one sandbox, and databases made of others."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from system import System, free_port, serving, settings_for
from tallystick.app import create_app

__all__ = ["all_delivered", "another_application", "copy_database", "drop_database", "stop_deliveries"]


@asynccontextmanager
async def another_application(
    origin: System, database_url: str, *, workers: int, **changes: str
) -> AsyncIterator[System]:
    """An application on a database of its own, before the sandbox and the mail server of `origin`.

    The sandbox does not know its address: its webhooks are whatever the test posts, and none is too old to be told of.
    """
    port = free_port()
    smtp = origin.settings.smtp_url
    assert smtp is not None
    settings = settings_for(
        database_url,
        sandbox_url=origin.sandbox_url,
        api_url=f"http://127.0.0.1:{port}",
        smtp_port=urlsplit(smtp.get_secret_value()).port or 0,
        **{
            "STRIPE_API_VERSION": origin.settings.stripe_api_version,
            "CLOCK_FILE": str(origin.settings.clock_file),
            **changes,
        },
    )
    api_url = f"http://127.0.0.1:{port}"
    pool = await asyncpg.create_pool(database_url, min_size=0, max_size=4)
    system = System(settings, api_url, origin.sandbox_url, database_url, origin.http, pool, origin.mails)
    # It stands for one that was there from the beginning: whatever is posted is told.
    await pool.execute(
        "INSERT INTO installation VALUES (true, $1, NULL, false, '2000-01-01', now()) ON CONFLICT DO NOTHING",
        settings.installation_id,
    )
    try:
        async with serving(create_app(settings), port):
            for _ in range(workers):
                system.start_worker()
            yield system
            await system.stop_workers()
    finally:
        await asyncio.wait_for(pool.close(), 10)


async def stop_deliveries(system: System) -> None:
    """Disable the sandbox's webhook endpoints: what happens from now on is told to nobody."""
    for endpoint in (await system.stripe("/v1/webhook_endpoints"))["data"]:
        await system.stripe(f"/v1/webhook_endpoints/{endpoint['id']}", {"disabled": "true"})


async def all_delivered(system: System, event_ids: Iterable[str], timeout_s: float = 30) -> None:
    """Wait until every delivery of these events has been acknowledged, those that are repeated only later, too."""
    ends = time.monotonic() + timeout_s
    for event_id in event_ids:
        while True:
            deliveries = (await system.sandbox("GET", f"/_sandbox/events/{event_id}/deliveries"))["data"]
            if {delivery["state"] for delivery in deliveries} == {"delivered"}:
                break
            assert time.monotonic() < ends, deliveries
            await asyncio.sleep(0.1)


async def copy_database(url: str, *, to: str | None = None) -> str:
    """The address of a copy of a database as it is now; its open connections are cut."""
    base, _, name = url.rpartition("/")
    copy = to or f"t_{uuid.uuid4().hex[:16]}"
    admin = await asyncpg.connect(f"{base}/postgres")
    try:
        for _ in range(50):
            await _disconnect(admin, name)
            try:
                await admin.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}" STRATEGY file_copy')
            except asyncpg.ObjectInUseError:
                await asyncio.sleep(0.1)
            else:
                return f"{base}/{copy}"
        raise AssertionError(f"{name} is never free to be copied")
    finally:
        await admin.close()


async def drop_database(url: str) -> None:
    """Remove a database, whoever uses it."""
    base, _, name = url.rpartition("/")
    admin = await asyncpg.connect(f"{base}/postgres")
    try:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


async def _disconnect(admin: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
