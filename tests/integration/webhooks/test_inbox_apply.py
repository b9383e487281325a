"""What goes out: each effect once and in order, whatever fails."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from integration.webhooks.inbox_kit import (
    START,
    Inbox,
    apply_facts,
    body_of,
    make_event,
    make_settings,
    to_facts,
)
from tallystick.platform.database import Transaction
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.models import StoredEvent
from tallystick.webhooks.registry import Registry
from tallystick.webhooks.repository import WebhookEventRepository

FAILS = "payment_intent.payment_failed"


def fail_with(inbox: Inbox, make_error: Callable[[], BaseException | None]) -> list[str]:
    """A handler for `FAILS` that raises what `make_error` makes, if anything; returns the objects it saw."""
    seen: list[str] = []

    async def record(tx: Transaction, facts: Sequence[Any]) -> None:
        for fact in facts:
            seen.append(fact["object"])
            await apply_facts(tx, [fact])
            if error := make_error():
                raise error

    inbox.registry.register(FAILS, to_facts, record)
    return seen


async def test_events_are_applied_and_marked(inbox: Inbox) -> None:
    known, unknown = make_event(object_id="pi_1"), make_event("payment_intent.created", "pi_1")
    await inbox.deliver(known, unknown)
    assert await inbox.processor().drain() == 2
    assert await inbox.applied() == [known["id"]]
    first, second = await inbox.events()
    assert (first["state"], first["processed"], first["processed_at"]) == ("processed", True, inbox.clock.at)
    assert (second["state"], second["processed"], second["processed_at"]) == ("unhandled", False, inbox.clock.at)
    assert await inbox.processor().drain() == 0
    assert await inbox.applied() == [known["id"]]


async def test_a_handler_sees_the_event_as_it_came(inbox: Inbox) -> None:
    seen: list[StoredEvent] = []

    def translate(event: StoredEvent) -> Sequence[Any]:
        seen.append(event)
        return []

    inbox.registry.register("charge.updated", translate, apply_facts)
    event = make_event("charge.updated", "ch_1", payment_intent="pi_9", request_key="k", amount=12345678901234567890)
    event["data"]["previous_attributes"] = {"description": None}
    await inbox.deliver(event)
    await inbox.processor().drain()
    [got] = seen
    assert got.object == event["data"]["object"]
    assert got.previous == {"description": None}
    assert (got.stripe_event_id, got.type, got.object_key) == (event["id"], "charge.updated", "pi_9")
    assert (got.source, got.retry_count, got.request_idempotency_key) == ("webhook", 0, "k")
    assert got.created.timestamp() == event["created"]


async def test_a_batch_is_one_transaction_and_one_call_for_each_recorder(inbox: Inbox) -> None:
    calls: list[tuple[str, list[Any]]] = []

    def recorder(name: str) -> Any:
        async def record(tx: Transaction, facts: Sequence[Any]) -> None:
            calls.append((name, list(facts)))

        return record

    registry = Registry()
    payments, refunds = recorder("payments"), recorder("refunds")
    registry.register("payment_intent.succeeded", lambda event: [event.stripe_event_id, "more"], payments)
    registry.register("payment_intent.created", lambda event: [event.stripe_event_id], payments)
    registry.register("refund.created", lambda event: [event.stripe_event_id], refunds)
    inbox.registry = registry
    await inbox.deliver(
        make_event("refund.created", "re_1", event_id="evt_1", payment_intent="pi_1"),
        make_event("payment_intent.created", "pi_1", event_id="evt_2"),
        make_event("payment_intent.succeeded", "pi_1", event_id="evt_3"),
        make_event("refund.created", "re_2", event_id="evt_4", payment_intent="pi_1"),
    )
    await inbox.processor().drain()
    # The recorder registered first goes first: parents before what hangs on them.
    assert calls == [("payments", ["evt_2", "evt_3", "more"]), ("refunds", ["evt_1", "evt_4"])]


async def test_a_failing_event_holds_up_its_object_and_nothing_else(inbox: Inbox) -> None:
    broken = True
    fail_with(inbox, lambda: RuntimeError("no") if broken else None)
    bad = make_event(FAILS, "pi_bad")
    behind = [make_event(object_id="pi_bad"), make_event("refund.created", "re_1", payment_intent="pi_bad")]
    lane = await lane_mates("pi_bad", 3)
    others = [make_event(object_id=key) for key in lane]
    await inbox.deliver(bad, behind[0], *others, behind[1])
    processor = inbox.processor()
    await processor.drain()
    assert await inbox.applied() == [event["id"] for event in others]
    assert await inbox.parked() == ["pi_bad"]
    row = await inbox.event(bad["id"])
    assert (row["state"], row["retry_count"], row["error_message"]) == ("pending", 1, "RuntimeError: no")

    # What comes later waits as well, until the first one is through.
    late = make_event(object_id="pi_bad")
    await inbox.deliver(late)
    await processor.drain()
    assert len(await inbox.applied()) == len(others)
    broken = False
    inbox.clock.advance(seconds=2)
    await processor.drain()
    assert (await inbox.applied())[len(others) :] == [event["id"] for event in (bad, behind[0], behind[1], late)]
    assert await inbox.parked() == []
    assert (await inbox.event(bad["id"]))["error_message"] is None


async def lane_mates(key: str, count: int) -> list[str]:
    """Other objects in the same lane."""
    from tallystick.core.ids import lane_of

    found = [f"pi_other{number}" for number in range(500) if lane_of(f"pi_other{number}", 16) == lane_of(key, 16)]
    return found[:count]


async def test_retries_grow_apart_and_end_with_the_dead_letters(inbox: Inbox) -> None:
    inbox.settings = make_settings(WEBHOOK_MAX_RETRIES="3", WEBHOOK_RETRY_DELAY="1000")
    error = RuntimeError("card of bob@example.com with sk_test_abc123 " + "and so on " * 60)
    seen = fail_with(inbox, lambda: error)
    fetched: list[str] = []

    async def fetch(object_id: str) -> None:
        fetched.append(object_id)

    inbox.registry.register_fetch("pi_", fetch)
    bad, after = make_event(FAILS, "pi_1"), make_event(object_id="pi_1")
    await inbox.deliver(bad, after)
    processor = inbox.processor()
    for retry, seconds in ((1, 1), (2, 2), (3, 4)):
        await processor.drain()
        row = await inbox.event(bad["id"])
        assert (row["state"], row["retry_count"]) == ("pending", retry)
        delay = row["not_before"] - inbox.clock.at
        assert timedelta(seconds=seconds) <= delay <= timedelta(seconds=seconds * 1.25)
        tries = len(seen)
        inbox.clock.advance(seconds=seconds - 0.001)
        await processor.drain()
        assert len(seen) == tries, "tried before its time"
        inbox.clock.at = row["not_before"]
    assert await inbox.work() == []
    await processor.drain()

    row = await inbox.event(bad["id"])
    assert (row["state"], row["processed"], row["retry_count"]) == ("dead", False, 3)
    assert row["error_message"].startswith("RuntimeError: card of [removed] with [removed] and so on")
    assert len(row["error_message"]) == 500
    # Its object goes on, with fresh state on its way.
    assert await inbox.parked() == []
    assert await inbox.applied() == [after["id"]]
    alert, fetch_work = await inbox.work()
    assert (alert["kind"], alert["business_key"]) == ("alert.dead_letter", f"alert.dead_letter:{bad['id']}")
    assert alert["payload"] == {
        "event_id": bad["id"],
        "event_type": FAILS,
        "object_key": "pi_1",
        "error": row["error_message"],
    }
    assert (fetch_work["kind"], fetch_work["business_key"]) == ("stripe.fetch", "stripe.fetch:pi_1")
    assert fetch_work["payload"] == {"object": "pi_1"}
    inbox.clock.advance(days=1)
    assert await processor.drain() == 0
    assert len(await inbox.work()) == 2


async def test_without_retries_the_first_failure_is_the_last(inbox: Inbox) -> None:
    inbox.settings = make_settings(WEBHOOK_MAX_RETRIES="0")
    fail_with(inbox, lambda: RuntimeError("no"))
    await inbox.deliver(make_event(FAILS))
    await inbox.processor().drain()
    assert [row["state"] for row in await inbox.events()] == ["dead"]


@pytest.mark.parametrize(
    "error",
    [asyncpg.DeadlockDetectedError("deadlock"), asyncpg.LockNotAvailableError("lock"), TimeoutError()],
    ids=lambda error: type(error).__name__,
)
async def test_weather_is_waited_out_and_not_counted(inbox: Inbox, error: BaseException) -> None:
    fail_with(inbox, lambda: error)
    event = make_event(FAILS)
    await inbox.deliver(event, make_event())
    processor = inbox.processor()
    for _ in range(20):
        await processor.drain()
        row = await inbox.event(event["id"])
        assert (row["state"], row["retry_count"]) == ("pending", 0)
        assert timedelta(seconds=0.5) <= row["not_before"] - inbox.clock.at <= timedelta(seconds=5)
        inbox.clock.advance(seconds=5)
    assert await inbox.work() == []
    assert len(await inbox.applied()) == 1


async def test_a_handler_that_talks_nonsense_to_the_database_is_counted(inbox: Inbox) -> None:
    async def record(tx: Transaction, facts: Sequence[Any]) -> None:
        await tx.execute("SELECT $1::integer", "not an integer")

    inbox.registry.register(FAILS, to_facts, record)
    await inbox.deliver(make_event(FAILS))
    await inbox.processor().drain()
    assert [row["retry_count"] for row in await inbox.events()] == [1]


async def test_a_translation_that_raises_is_its_own_events_error(inbox: Inbox) -> None:
    inbox.registry.register(FAILS, lambda event: [event.object["nowhere"]], apply_facts)
    bad, good = make_event(FAILS, "pi_1"), make_event(object_id=(await lane_mates("pi_1", 1))[0])
    await inbox.deliver(bad, good)
    await inbox.processor().drain()
    assert await inbox.applied() == [good["id"]]
    assert (await inbox.event(bad["id"]))["error_message"] == "KeyError: 'nowhere'"


async def test_a_payload_that_cannot_be_read_is_its_own_events_error(inbox: Inbox) -> None:
    lane = await lane_mates("pi_1", 2)
    absurd, archived, good = (make_event(object_id=key) for key in ("pi_1", *lane))
    # jsonb takes such a number, and writes it out in full; the decoder does not.
    assert (await inbox.post(body_of(absurd).replace(b'"pi_1"', b'"pi_1", "n": -1e130000'))).status == 200
    await inbox.deliver(archived, good)
    await inbox.execute("UPDATE webhook_events SET payload = NULL WHERE stripe_event_id = $1", archived["id"])
    await inbox.processor().drain()
    assert await inbox.applied() == [good["id"]]
    failed = await inbox.fetch("SELECT stripe_event_id FROM webhook_events WHERE retry_count = 1")
    assert {row["stripe_event_id"] for row in failed} == {absurd["id"], archived["id"]}
    shown = (await inbox.service.get(absurd["id"])).payload
    assert shown
    assert shown["data"]["object"]["id"] == "pi_1"


async def test_one_poisonous_event_does_not_undo_its_batch(inbox: Inbox) -> None:
    fail_with(inbox, lambda: RuntimeError("no"))
    lane = await lane_mates("pi_1", 20)
    events = [make_event(FAILS if key == lane[10] else "payment_intent.succeeded", key) for key in lane]
    await inbox.deliver(*events)
    await inbox.processor().drain()
    good = [event["id"] for event in events if event["type"] != FAILS]
    assert await inbox.applied() == good
    assert Counter(row["state"] for row in await inbox.events()) == {"processed": 19, "pending": 1}


async def test_a_missing_parent_is_waited_for_then_fetched_then_given_up(inbox: Inbox) -> None:
    inbox.settings = make_settings(WEBHOOK_MAX_RETRIES="1")
    fail_with(inbox, lambda: ParentMissing("ch_parent"))

    async def fetch(object_id: str) -> None:
        raise AssertionError

    inbox.registry.register_fetch("ch_", fetch)
    event, behind = make_event(FAILS, "pi_1"), make_event(object_id="pi_1")
    await inbox.deliver(event, behind)
    processor = inbox.processor()
    tries = 0
    while inbox.clock.at < START + timedelta(minutes=10):
        await processor.drain()
        row = await inbox.event(event["id"])
        assert (row["state"], row["retry_count"]) == ("pending", 0)
        assert timedelta(0) < row["not_before"] - inbox.clock.at <= timedelta(seconds=5)
        if inbox.clock.at < START + timedelta(minutes=1):
            assert await inbox.work() == []
        inbox.clock.at = row["not_before"]
        tries += 1
    assert 100 < tries < 200
    assert [item["payload"] for item in await inbox.work()] == [{"object": "ch_parent"}]
    assert await inbox.applied() == []
    # Queued once: when the fetch is over and the parent still missing, it is not asked for again.
    await inbox.execute("UPDATE work SET state = 'done'")
    for _ in range(2):
        await processor.drain()
        inbox.clock.advance(seconds=60)
    assert (await inbox.event(event["id"]))["state"] == "dead"
    assert [item["business_key"] for item in await inbox.work()] == [
        f"alert.dead_letter:{event['id']}",
        "stripe.fetch:ch_parent",
    ]
    assert await inbox.applied() == [behind["id"]]


@pytest.mark.parametrize("intent", [None, "pi_parent"], ids=["elsewhere", "of the same object key"])
async def test_a_parent_that_comes_lets_its_child_through(inbox: Inbox, intent: str | None) -> None:
    async def needs_parent(tx: Transaction, facts: Sequence[Any]) -> None:
        for fact in facts:
            if not await tx.fetchval("SELECT 1 FROM applied WHERE object_id = 'pi_parent'"):
                raise ParentMissing("pi_parent")
            await apply_facts(tx, [fact])

    inbox.registry.register(FAILS, to_facts, needs_parent)
    child, parent = make_event(FAILS, "ch_child", payment_intent=intent), make_event(object_id="pi_parent")
    await inbox.deliver(child)
    await inbox.processor().drain()
    await inbox.deliver(parent)
    await inbox.processor().drain()
    inbox.clock.advance(seconds=1)
    await inbox.processor().drain()
    assert await inbox.applied() == [parent["id"], child["id"]]


async def test_events_behind_a_parked_object_are_looked_at_once(inbox: Inbox) -> None:
    fail_with(inbox, lambda: RuntimeError("no"))
    await inbox.deliver(make_event(FAILS, "pi_1"), *(make_event(object_id="pi_1") for _ in range(10)))
    processor = inbox.processor()
    assert await processor.drain() == 11
    assert await processor.drain() == 0
    rows = await inbox.fetch("SELECT count(*) AS n FROM webhook_events WHERE not_before = 'infinity'")
    assert rows[0]["n"] == 10


async def two_lanes_of_one_object(inbox: Inbox) -> tuple[dict[str, Any], dict[str, Any]]:
    """A payment method's failing event in one customer's lane, parked, and a good one in another's."""
    inbox.registry.register("payment_method.attached", lambda event: [event.object["nowhere"]], apply_facts)
    inbox.registry.register("payment_method.updated", to_facts, apply_facts)
    bad = make_event("payment_method.attached", "pm_1", object="payment_method", customer="cus_1")
    other = make_event("payment_method.updated", "pm_1", object="payment_method", customer="cus_2")
    await inbox.deliver(bad)
    await inbox.processor().drain()
    await inbox.deliver(other)
    assert len({row["lane"] for row in await inbox.events()}) == 2
    return bad, other


async def test_an_object_is_held_up_in_every_lane_it_is_in(inbox: Inbox) -> None:
    bad, other = await two_lanes_of_one_object(inbox)
    await inbox.processor().drain()
    assert await inbox.applied() == []
    await inbox.service.discard(bad["id"], "a test")
    await inbox.processor().drain()
    assert await inbox.applied() == [other["id"]]


async def test_an_event_is_not_forgotten_when_its_object_is_released_while_it_is_set_aside(inbox: Inbox) -> None:
    bad, other = await two_lanes_of_one_object(inbox)
    found, lane = (await inbox.event(bad["id"]))["id"], (await inbox.event(other["id"]))["lane"]
    async with inbox.database.transaction() as tx:
        await WebhookEventRepository().discard(tx, found, "a test", inbox.clock.at)
        await WebhookEventRepository().release(tx, [found], inbox.clock.at)
        # Sees the object parked; must wait for us to learn that it is not any more.
        worker = asyncio.create_task(inbox.processor().work_lanes([lane]))
        await asyncio.sleep(0.2)
        assert not worker.done()
    await worker
    await inbox.processor().drain()
    assert await inbox.applied() == [other["id"]]
