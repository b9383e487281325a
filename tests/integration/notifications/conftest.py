"""An outbox and a mail server for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
import structlog

from integration.notifications.mail_world import Mailbox, MovableClock, World
from system import free_port
from tallystick.platform import work
from tallystick.platform.database import Database


@pytest.fixture(autouse=True)
def plain_logs() -> None:
    """Logs as they are before a process configures them: another test of this run may have."""
    structlog.reset_defaults()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox(free_port())
    box.open()
    yield box
    box.close()


@pytest_asyncio.fixture(scope="session")
async def mail_database(make_database: Callable[[], Awaitable[str]]) -> str:
    return await make_database()


@pytest_asyncio.fixture
async def world(mail_database: str, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(work, "_POLL_S", 0.1)
    async with AsyncExitStack() as stack:
        database = await Database.connect(mail_database, size=8)
        stack.push_async_callback(database.close)
        async with database.connection() as connection:
            await connection.execute("TRUNCATE mails, work")
        yield World(mail_database, MovableClock(), mailbox, database, stack)
