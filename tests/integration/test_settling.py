"""What business time waits for, and what it does not: one row each, in every state that it may be found in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from system import MakeDatabase, until
from tallystick.core.clock import SystemClock
from tallystick.core.ids import new_id
from tallystick.platform.database import Database
from tallystick.platform.work import MAIL_CHANNEL, WORK_CHANNEL
from tallystick.settling.service import SettlingService

S = timedelta(seconds=1)
CLOCK = SystemClock(timedelta(days=40))
TABLES = ("work", "mails", "outbound_deliveries", "outbound_facts", "webhook_endpoints", "attempts", "webhook_events")


@pytest_asyncio.fixture(scope="module")
async def opened(make_database: MakeDatabase) -> AsyncIterator[Database]:
    database = await Database.connect(await make_database())
    yield database
    await database.close()


@pytest_asyncio.fixture
async def database(opened: Database) -> Database:
    async with opened.connection() as connection:
        await connection.execute(f"TRUNCATE {', '.join(TABLES)} CASCADE")
    return opened


def settling(database: Database, *, mails: bool = True) -> SettlingService:
    return SettlingService(database, CLOCK, mails=mails, hooks=["crm"])


async def insert(database: Database, table: str, **values: Any) -> UUID:
    row = {"id": new_id(), **values}
    names = ", ".join(row)
    marks = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    async with database.connection() as connection:
        await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", *row.values())
    row_id: UUID = row["id"]
    return row_id


async def work(database: Database, *, due: timedelta = -S, **values: Any) -> None:
    key = f"k{new_id()}"
    await insert(database, "work", kind="k", business_key=key, due_at=CLOCK.now() + due, **values)


async def mail(database: Database, *, due: timedelta = -S, **values: Any) -> None:
    row = {"template": "refund", "recipient": "a@b.test", "locale": "en", "context": {}, **values}
    await insert(database, "mails", business_key=f"m{new_id()}", due_at=CLOCK.now() + due, **row)


async def event(database: Database, **values: Any) -> None:
    wall = CLOCK.wall()
    row = {"state": "pending", "not_before": wall - S, "source": "webhook", "lane": 1, "object_key": "pi_1", **values}
    await insert(
        database, "webhook_events", stripe_event_id=f"evt_{new_id()}", event_type="invoice.paid",
        created_at=wall, updated_at=wall, event_created_at=wall, **row,
    )  # fmt: skip


async def attempt(database: Database, state: str, lease: timedelta) -> None:
    wall = CLOCK.wall()
    await insert(
        database, "attempts", kind="payment.create", stripe_idempotency_key=str(new_id()), request={}, state=state,
        sent_at=wall, lease_until=wall + lease, created_at=wall, updated_at=wall,
    )  # fmt: skip


async def delivery(database: Database, receiver: str | None = None, *, tries: int = 0, **endpoint: Any) -> None:
    """To a hook called `receiver`, or else to an endpoint."""
    wall, endpoint_id = CLOCK.wall(), None
    if receiver is None:
        endpoint_id = await insert(
            database, "webhook_endpoints", url="http://x.test/", events=["*"], secret="s", created_at=wall,
            updated_at=wall, **endpoint,
        )  # fmt: skip
        receiver = f"endpoint:{endpoint_id}"
    fact = await insert(
        database, "outbound_facts", business_key=str(new_id()), type="payment.succeeded", object_key="p", data={},
        occurred_at=wall, created_at=wall,
    )  # fmt: skip
    await insert(
        database, "outbound_deliveries", fact_id=fact, receiver=receiver, endpoint_id=endpoint_id, object_key="p",
        due_at=wall, not_before=wall + 60 * S if tries else wall - S, attempts=tries, created_at=wall,
    )  # fmt: skip


async def test_nothing_is_quiet(database: Database) -> None:
    standing = await settling(database).standing()
    assert (standing.quiet, standing.waiting, standing.next_due) == (True, [], None)
    assert abs(standing.now - CLOCK.now().timestamp()) < 5


async def test_what_is_waited_for_has_a_name(database: Database) -> None:
    wall = CLOCK.wall()
    await work(database, last_error="no luck")
    await work(database, leased_until=wall + 60 * S)
    await work(database, not_before=wall + 2 * S)
    await mail(database)
    await mail(database, leased_until=wall + 60 * S)
    await event(database)
    await event(database, not_before=wall + 2 * S, error_message="later")
    await attempt(database, "requested", 60 * S)
    await attempt(database, "unknown", -S)
    await delivery(database)
    await delivery(database, "hook:crm")
    standing = await settling(database).standing()
    assert not standing.quiet
    kinds = sorted(name.split()[0] for name in standing.waiting)
    assert kinds == ["attempt"] * 2 + ["delivery"] * 2 + ["event"] * 2 + ["mail"] * 2 + ["work"] * 3
    assert any(name.endswith("(no luck)") for name in standing.waiting)
    assert "delivery of payment.succeeded to http://x.test/" in standing.waiting


async def test_what_holds_nobody_up(database: Database) -> None:
    wall = CLOCK.wall()
    await work(database, not_before=wall + 60 * S)
    await work(database, state="done")
    await work(database, state="dead")
    await event(database, state="processed")
    await event(database, not_before=datetime.max.replace(tzinfo=UTC))
    await event(database, not_before=wall + 60 * S)
    await attempt(database, "succeeded", -S)
    await attempt(database, "unknown", 60 * S)
    await delivery(database, enabled=False)
    await delivery(database, deleted=True, enabled=False)
    await delivery(database, failing_since=wall)
    await delivery(database, "hook:crm", tries=1)
    await delivery(database, "hook:crm")
    await delivery(database, "hook:uninstalled")
    # The mail server is away: the one that was tried says so, and the others wait for it.
    await mail(database, not_before=wall + 60 * S, last_error="connection refused")
    await mail(database)
    assert (await settling(database).standing()).waiting == []


async def test_mails_of_their_own_fault_do_not_speak_for_the_others(database: Database) -> None:
    await mail(database, not_before=CLOCK.wall() + 60 * S, last_error="greylisted", attempts=1)
    await mail(database)
    assert len((await settling(database).standing()).waiting) == 1
    assert (await settling(database, mails=False).standing()).quiet


@pytest.mark.parametrize("table", ["work", "mails"])
async def test_the_next_moment_is_the_earliest_of_all(database: Database, table: str) -> None:
    near, far = (work, mail) if table == "work" else (mail, work)
    await near(database, due=50 * S)
    await near(database, due=70 * S)
    await far(database, due=60 * S)
    await near(database, due=20 * S, state="done" if table == "work" else "sent")
    standing = await settling(database).standing()
    assert standing.quiet
    assert standing.next_due is not None
    assert abs(standing.next_due - standing.now - 50) < 5


async def test_whoever_sleeps_over_due_work_is_woken(database: Database) -> None:
    woken: list[str] = []
    stop = asyncio.Event()
    ears = [
        asyncio.create_task(database.listen(channel, partial(woken.append, channel), stop))
        for channel in (WORK_CHANNEL, MAIL_CHANNEL)
    ]
    try:
        # Each listener looks once at its start.
        await until(lambda: len(woken) == 2, "both listen")
        woken.clear()
        await work(database, leased_until=CLOCK.wall() + 60 * S)
        await mail(database)
        await settling(database).standing()
        await until(lambda: woken, "somebody is woken")
        assert woken == [MAIL_CHANNEL]
    finally:
        stop.set()
        await asyncio.gather(*ears)
