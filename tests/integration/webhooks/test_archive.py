"""Payloads of events that are over move to the archive: once, whatever is killed, and found there by whoever asks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from integration.webhooks.inbox_kit import Inbox, body_of, make_event, make_settings, to_facts
from tallystick.platform.database import WEATHER, Database, Transaction
from tallystick.webhooks.errors import EventStateConflict
from tallystick.webhooks.models import Archived, EventFilter
from tallystick.webhooks.repository_archive import ArchiveRepository
from tallystick.webhooks.service_archive import PayloadArchiver

FAILS = "payment_intent.payment_failed"


@pytest_asyncio.fixture
async def archive(inbox: Inbox) -> AsyncIterator[Inbox]:
    """An inbox whose clock is the machine's until it is moved, as ids are made by that one."""
    inbox.clock.at = datetime.now(UTC)
    yield inbox
    for month in await inbox.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'webhook_payloads'::regclass"
    ):
        await inbox.execute(f"DROP TABLE {month['name']}")
    await inbox.execute("UPDATE webhook_archive SET passed = '00000000-0000-0000-0000-000000000000'")


def archiver(inbox: Inbox, repository: ArchiveRepository | None = None, **settings: str) -> PayloadArchiver:
    return PayloadArchiver(inbox.database, inbox.clock, make_settings(**settings), repository)


async def applied_events(inbox: Inbox, count: int, **fields: Any) -> list[dict[str, Any]]:
    events = [make_event(**fields) for _ in range(count)]
    await asyncio.gather(*(inbox.post(body_of(event)) for event in events))
    await inbox.processor().drain()
    return events


async def places(inbox: Inbox) -> dict[str, int]:
    """How many payloads are where; `both` and `none` of the events that had one must be none."""
    [row] = await inbox.fetch(
        """
        SELECT count(*) FILTER (WHERE e.payload IS NOT NULL AND p.payload IS NULL) AS inbox,
            count(*) FILTER (WHERE e.payload IS NULL AND p.payload IS NOT NULL) AS archive,
            count(*) FILTER (WHERE (e.payload IS NULL) = (p.payload IS NULL)) AS amiss
        FROM webhook_events e LEFT JOIN webhook_payloads p ON p.event_id = e.id
        """
    )
    return row


async def test_old_payloads_move_and_everybody_still_finds_them(archive: Inbox) -> None:
    inbox = archive
    inbox.settings = make_settings(WEBHOOK_MAX_RETRIES="0")

    async def refuse(tx: Transaction, facts: Sequence[Any]) -> None:
        raise RuntimeError("no")

    inbox.registry.register(FAILS, to_facts, refuse)
    events = await applied_events(inbox, 450, request_key="attempt-1")
    [dead] = await applied_events(inbox, 1, event_type=FAILS)
    assert await archiver(inbox).sweep() == 0
    inbox.clock.advance(days=29)
    [fresh] = await applied_events(inbox, 1)
    await inbox.execute(
        "UPDATE webhook_events SET updated_at = $2 WHERE stripe_event_id = $1", events[0]["id"], inbox.clock.at
    )
    inbox.clock.advance(days=2)
    assert await archiver(inbox).sweep() == 449
    assert await places(inbox) == {"inbox": 3, "archive": 449, "amiss": 0}
    kept = [row["stripe_event_id"] for row in await inbox.events() if row["payload"] is not None]
    # One that was looked at lately, one that is not over, and one that is young.
    assert set(kept) == {events[0]["id"], dead["id"], fresh["id"]}

    shown = await inbox.service.get(events[7]["id"])
    assert shown.payload == events[7]
    assert shown.archived_at is not None
    assert not shown.gone
    found = await inbox.service.find_by_request_key("attempt-1")
    assert {event.stripe_event_id: event.object for event in found} == {
        event["id"]: event["data"]["object"] for event in events
    }
    # Its id is known for ever: sent again by Stripe, it is no news.
    before = await inbox.applied()
    await inbox.deliver(events[7])
    assert await inbox.processor().drain() == 0
    assert await inbox.applied() == before

    # What had to stay is not forgotten, though the walk has passed it.
    await inbox.service.discard(dead["id"], "test")
    inbox.clock.advance(days=31)
    assert await archiver(inbox).sweep() == 3
    assert await places(inbox) == {"inbox": 0, "archive": 452, "amiss": 0}


async def test_an_archived_event_is_replayed_and_archived_again(archive: Inbox) -> None:
    [event] = await applied_events(archive, 1)
    archive.clock.advance(days=31)
    assert await archiver(archive).sweep() == 1
    await archive.replayer.replay(event["id"])
    assert await places(archive) == {"inbox": 1, "archive": 0, "amiss": 0}
    assert await archive.processor().drain() == 1
    assert await archive.applied() == [event["id"]] * 2
    assert await archiver(archive).sweep() == 0
    archive.clock.advance(days=31)
    assert await archiver(archive).sweep() == 1
    assert await archive.replayer.replay_all(EventFilter(type=event["type"])) == 1
    assert await archive.processor().drain() == 1


async def test_a_body_that_jsonb_refused_goes_there_too(archive: Inbox) -> None:
    body = body_of(make_event(event_id="evt_raw")).replace(b'"pi_', b'"pi_\\u0000')
    assert (await archive.post(body)).status == 200
    await archive.service.discard("evt_raw", "test")
    archive.clock.advance(days=31)
    assert await archiver(archive).sweep() == 1
    shown = await archive.service.get("evt_raw")
    assert (shown.payload, shown.raw) == (None, body)
    assert not shown.gone


async def test_months_are_dropped_and_events_say_so(archive: Inbox) -> None:
    events = await applied_events(archive, 3)
    months = ["2025-11-30 23:59:59.5+00", "2025-12-01 00:00:00+00", "2026-01-31 12:00:00+00"]
    for event, at in zip(events, months, strict=True):
        await archive.execute(
            "UPDATE webhook_events SET created_at = $2::text::timestamptz WHERE stripe_event_id = $1", event["id"], at
        )
    archive.clock.at = max(archive.clock.at, datetime(2027, 1, 5, tzinfo=UTC))
    assert await archiver(archive).sweep() == 3
    names = await archive.fetch("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1")
    assert [row["relname"] for row in names] == [f"webhook_payloads_{m}" for m in ("2025_11", "2025_12", "2026_01")]
    there = (archive.clock.at.year - 2025) * 12 + archive.clock.at.month - 12
    await archiver(archive, KEEP_ARCHIVE_MONTHS=str(there)).sweep()
    gone, *left = [await archive.service.get(event["id"]) for event in events]
    assert gone.gone
    assert [each.payload for each in left] == events[1:]
    with pytest.raises(EventStateConflict, match="dropped with its month"):
        await archive.replayer.replay(events[0]["id"])
    assert await archive.replayer.replay_all(EventFilter()) == 2
    assert (await archive.service.get(events[0]["id"])).summary.state == "processed"


class _Killed(ArchiveRepository):
    """Loses its connection after the second batch was moved, before it could commit."""

    def __init__(self, database: Database) -> None:
        self._other = database
        self.moves = 0

    async def move(self, tx: Transaction, events: Sequence[Archived], now: datetime) -> int:
        moved = await super().move(tx, events, now)
        self.moves += 1
        if self.moves == 2:
            pid = await tx.fetchval("SELECT pg_backend_pid()")
            async with self._other.connection() as other:
                await other.execute("SELECT pg_terminate_backend($1)", pid)
        return moved


async def test_a_batch_that_is_killed_moves_nothing_and_the_next_run_all(archive: Inbox) -> None:
    await applied_events(archive, 500)
    archive.clock.advance(days=31)
    with suppress(*WEATHER):
        await archiver(archive, _Killed(archive.database)).sweep()
        pytest.fail("the connection should be gone")
    assert await places(archive) == {"inbox": 300, "archive": 200, "amiss": 0}
    assert await archiver(archive).sweep() == 300
    assert await places(archive) == {"inbox": 0, "archive": 500, "amiss": 0}


async def test_two_at_once_move_each_payload_once(archive: Inbox) -> None:
    await applied_events(archive, 500)
    archive.clock.advance(days=31)
    moved = await asyncio.gather(*(archiver(archive).sweep() for _ in range(3)))
    # Whoever finds another one at it leaves it to that one.
    assert sum(moved) + await archiver(archive).sweep() == 500
    assert await places(archive) == {"inbox": 0, "archive": 500, "amiss": 0}


class _Held(ArchiveRepository):
    """Stands still in its first batch, with a month made and payloads moved."""

    def __init__(self) -> None:
        self.moved, self.go_on = asyncio.Event(), asyncio.Event()

    async def move(self, tx: Transaction, events: Sequence[Archived], now: datetime) -> int:
        moved = await super().move(tx, events, now)
        self.moved.set()
        await self.go_on.wait()
        return moved


async def test_nobody_waits_for_it(archive: Inbox) -> None:
    old = await applied_events(archive, 3)
    archive.clock.advance(days=31)
    held = _Held()
    sweep = asyncio.create_task(archiver(archive, held).sweep())
    await held.moved.wait()
    try:
        async with asyncio.timeout(10):
            await applied_events(archive, 20)
            assert (await archive.service.get(old[0]["id"])).payload == old[0]
        [locks] = await archive.fetch(
            """
            SELECT count(*) AS heavy FROM pg_locks
            WHERE relation IN ('webhook_payloads'::regclass, 'webhook_events'::regclass)
                AND mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock')
            """
        )
        assert locks["heavy"] == 0
    finally:
        held.go_on.set()
    assert await sweep == 3
