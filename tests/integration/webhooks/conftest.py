"""An inbox on a database of its own for each module, with empty tables for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from integration.webhooks.inbox_kit import FakeClock, Inbox
from tallystick.platform.database import Database


@pytest_asyncio.fixture(scope="module")
async def inbox_url(make_database: Callable[[], Awaitable[str]]) -> str:
    return await make_database()


@pytest_asyncio.fixture(scope="module")
async def inbox_database(inbox_url: str) -> AsyncIterator[Database]:
    opened = await Database.connect(inbox_url, size=12)
    async with opened.connection() as connection:
        await connection.execute(
            "CREATE TABLE applied (seq bigserial PRIMARY KEY, object_id text NOT NULL, event_id text NOT NULL)"
        )
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def inbox(inbox_database: Database, inbox_url: str) -> AsyncIterator[Inbox]:
    async with inbox_database.connection() as connection:
        await connection.execute("TRUNCATE webhook_events, webhook_parked_objects, work, applied")
    made = Inbox(inbox_database, FakeClock(), inbox_url)
    yield made
    await made.committer.stop()
