"""A real PostgreSQL for the inbox's tests: one server a run, one schema a module, clean tables for each test."""

import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from inbox_kit import FakeClock, Inbox

from tallystick.platform.database import Database
from tallystick.platform.embedded_postgres import EmbeddedPostgres
from tallystick.platform.migrate import migrate


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="tallystick-inbox-") as folder:
        server = EmbeddedPostgres(Path(folder) / "pg", durable=False)
        yield server.ensure()
        server.stop()


@pytest_asyncio.fixture(scope="module")
async def schema(postgres_url: str) -> str:
    name = f"inbox_{uuid.uuid4().hex[:12]}"
    await migrate(postgres_url, name)
    return name


@pytest_asyncio.fixture(scope="module")
async def database(postgres_url: str, schema: str) -> AsyncIterator[Database]:
    opened = await Database.connect(postgres_url, schema=schema, size=12)
    async with opened.connection() as connection:
        await connection.execute(
            "CREATE TABLE applied (seq bigserial PRIMARY KEY, object_id text NOT NULL, event_id text NOT NULL)"
        )
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def inbox(database: Database, postgres_url: str) -> AsyncIterator[Inbox]:
    async with database.connection() as connection:
        await connection.execute("TRUNCATE webhook_events, webhook_parked_objects, work, applied")
    made = Inbox(database, FakeClock(), postgres_url)
    yield made
    await made.committer.stop()
