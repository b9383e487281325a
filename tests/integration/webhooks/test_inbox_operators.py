"""What operators and other areas do with stored events."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from integration.webhooks.inbox_kit import START, Inbox, apply_facts, body_of, make_event, make_settings, to_facts
from tallystick.platform.database import Transaction
from tallystick.webhooks.errors import EventNotFound, EventStateConflict, NotAnEvent

FAILS = "payment_intent.payment_failed"


async def with_dead_letter(inbox: Inbox) -> tuple[str, dict[str, bool]]:
    inbox.settings = make_settings(WEBHOOK_MAX_RETRIES="1")
    broken = {"is": True}

    async def record(tx: Transaction, facts: Sequence[Any]) -> None:
        if broken["is"]:
            raise RuntimeError("no")
        await apply_facts(tx, facts)

    inbox.registry.register(FAILS, to_facts, record)
    event = make_event(FAILS, "pi_1")
    await inbox.deliver(event)
    await inbox.processor().drain()
    inbox.clock.advance(seconds=2)
    await inbox.processor().drain()
    row = await inbox.event(event["id"])
    assert (row["state"], row["retry_count"]) == ("dead", 1)
    return event["id"], broken


async def test_a_dead_letter_is_replayed_with_all_its_tries(inbox: Inbox) -> None:
    event_id, broken = await with_dead_letter(inbox)
    broken["is"] = False
    shown = await inbox.replayer.replay(event_id)
    assert (shown.summary.state, shown.summary.retry_count, shown.summary.error_message) == ("pending", 0, None)
    await inbox.processor().drain()
    assert await inbox.applied() == [event_id]
    assert (await inbox.service.get(event_id)).summary.state == "processed"


async def test_a_processed_event_is_replayed_on_request(inbox: Inbox) -> None:
    async def once(tx: Transaction, facts: Sequence[Any]) -> None:
        for fact in facts:
            if not await tx.fetchval("SELECT 1 FROM applied WHERE event_id = $1", fact["event"]):
                await apply_facts(tx, [fact])

    inbox.registry.register(FAILS, to_facts, once)
    event = make_event(FAILS)
    await inbox.deliver(event)
    await inbox.processor().drain()
    await inbox.replayer.replay((await inbox.event(event["id"]))["id"])
    assert await inbox.processor().drain() == 1
    assert await inbox.applied() == [event["id"]]


async def test_a_waiting_event_is_tried_at_once_when_replayed(inbox: Inbox) -> None:
    inbox.registry.register(FAILS, lambda event: [event.object["x"]], apply_facts)
    event = make_event(FAILS)
    await inbox.deliver(event)
    processor = inbox.processor()
    await processor.drain()
    assert await processor.drain() == 0
    await inbox.replayer.replay(event["id"])
    assert await processor.drain() == 1


async def test_discarding_lets_the_object_go_on_with_a_fetch(inbox: Inbox) -> None:
    async def fetch(object_id: str) -> None:
        raise AssertionError

    inbox.registry.register_fetch("pi_", fetch)
    inbox.registry.register(FAILS, lambda event: [event.object["x"]], apply_facts)
    bad, behind = make_event(FAILS, "pi_1"), make_event(object_id="pi_1")
    await inbox.deliver(bad, behind)
    await inbox.processor().drain()
    assert await inbox.applied() == []
    shown = await inbox.service.discard(bad["id"], "a test of sk_test_abc123")
    assert shown.summary.state == "discarded"
    assert shown.summary.error_message == "discarded: a test of [removed] (was: KeyError: 'x')"
    await inbox.processor().drain()
    assert await inbox.applied() == [behind["id"]]
    assert await inbox.parked() == []
    assert [item["business_key"] for item in await inbox.work()] == ["stripe.fetch:pi_1"]
    inbox.clock.advance(days=1)
    assert await inbox.processor().drain() == 0


async def test_only_what_is_open_can_be_discarded(inbox: Inbox) -> None:
    event = make_event()
    await inbox.deliver(event)
    await inbox.processor().drain()
    with pytest.raises(EventStateConflict):
        await inbox.service.discard(event["id"], "why")
    assert (await inbox.event(event["id"]))["state"] == "processed"


async def test_an_unreadable_event_can_be_seen_and_discarded_but_not_replayed(inbox: Inbox) -> None:
    body = body_of(make_event(event_id="evt_raw", note="X")).replace(b'"X"', rb'"\u0000"')
    assert (await inbox.post(body)).status == 200
    shown = await inbox.service.get("evt_raw")
    assert (shown.summary.state, shown.payload, shown.raw) == ("parked", None, body)
    with pytest.raises(EventStateConflict):
        await inbox.replayer.replay("evt_raw")
    assert (await inbox.service.discard("evt_raw", "junk")).summary.state == "discarded"


async def test_an_unknown_event_is_not_found(inbox: Inbox) -> None:
    for event_id in ("evt_nowhere", "01890000-0000-7000-8000-000000000000"):
        for call in (inbox.service.get(event_id), inbox.replayer.replay(event_id), inbox.service.discard(event_id, "")):
            with pytest.raises(EventNotFound):
                await call


async def test_lists_are_newest_first_and_filtered_and_paged(inbox: Inbox) -> None:
    events = [make_event(("payment_intent.succeeded", "payment_intent.created")[number % 2]) for number in range(7)]
    for event in events:
        await inbox.deliver(event)
        # Ids sort by the millisecond in which they were made.
        await asyncio.sleep(0.002)
    ids = [event["id"] for event in reversed(events)]
    seen: list[str] = []
    page = await inbox.service.list(limit=3)
    while True:
        seen += [event.stripe_event_id for event in page.data]
        if not page.has_more:
            break
        page = await inbox.service.list(limit=3, starting_after=seen[-1])
    assert seen == ids
    created = await inbox.service.list(event_type="payment_intent.created")
    assert [event.stripe_event_id for event in created.data] == ids[1::2]
    await inbox.processor().drain()
    assert (await inbox.service.list(state="pending")).data == []
    assert len((await inbox.service.list(state="unhandled", event_type="payment_intent.created")).data) == 3


async def test_events_are_found_by_the_request_that_caused_them(inbox: Inbox) -> None:
    mine = [make_event(request_key="attempt-1", created=2000 - number) for number in range(2)]
    await inbox.deliver(*mine, make_event(request_key="attempt-2"), make_event())
    found = await inbox.service.find_by_request_key("attempt-1")
    assert [event.stripe_event_id for event in found] == [mine[1]["id"], mine[0]["id"]]
    assert found[0].object == mine[1]["data"]["object"]
    assert await inbox.service.find_by_request_key("attempt-3") == []


async def test_what_a_fetch_applied_is_a_processed_row_of_its_own(inbox: Inbox) -> None:
    obj = {"id": "pi_1", "object": "payment_intent", "client_secret": "pi_1_secret_x", "amount": 5}
    async with inbox.database.transaction() as tx:
        event_id = await inbox.service.record_applied(
            tx, event_type="payment_intent.fetched", object_id="pi_1", object_key="pi_1", obj=obj, at=START
        )
    assert event_id.startswith("fetch_")
    row = await inbox.event(event_id)
    assert (row["state"], row["processed"], row["source"]) == ("processed", True, "fetch")
    assert row["event_created_at"] == START
    assert row["payload"]["data"]["object"] == {**obj, "client_secret": None}
    assert await inbox.processor().drain() == 0


async def test_the_backlog_counts_what_is_not_over(inbox: Inbox) -> None:
    assert await inbox.service.backlog() == {}
    await with_dead_letter(inbox)
    await inbox.deliver(make_event(), make_event())
    assert Counter(await inbox.service.backlog()) == {"dead": 1, "pending": 2}


async def test_ingesting_what_is_no_event_stores_nothing(inbox: Inbox) -> None:
    with pytest.raises(NotAnEvent):
        async with inbox.database.transaction() as tx:
            await inbox.service.ingest(tx, [make_event(), {"object": "charge", "id": "ch_1"}], "poll")
    assert await inbox.events() == []
