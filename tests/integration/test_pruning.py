"""What is forgotten in time, and what never is: nothing that keeps money from moving twice."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from system import System, free_port, unique
from tallystick.app import retentions
from tallystick.core.clock import SystemClock
from tallystick.platform import pruning
from tallystick.platform.database import Database
from tallystick.platform.pruning import Pruner
from tallystick.platform.settings import Settings


class Later(SystemClock):
    """Both clocks so many days ahead."""

    def __init__(self, days: float) -> None:
        super().__init__()
        self._ahead = timedelta(days=days)

    def wall(self) -> datetime:
        return super().wall() + self._ahead


async def sweep(system: System, days: float, *, settings: Settings | None = None, pruners: int = 1) -> dict[str, int]:
    """What workers forget that look so many days from now."""
    database = await Database.connect(system.database_url)
    try:
        many = [Pruner(database, Later(days), retentions(settings or system.settings)) for _ in range(pruners)]
        swept = await asyncio.gather(*(pruner.sweep() for pruner in many))
    finally:
        await database.close()
    return {name: sum(one[name] for one in swept) for name in swept[0]}


async def keys_of(system: System, *keys: str) -> set[str]:
    found = await system.fetch("SELECT key FROM idempotency_keys WHERE key = ANY($1)", keys)
    return {row["key"] for row in found}


async def money(system: System, user: str) -> list[tuple[Any, ...]]:
    """What moved, here and at Stripe."""
    payments = await system.fetch(
        "SELECT p.* FROM payments p JOIN users u ON u.id = p.user_id WHERE u.external_id = $1", user
    )
    customer = payments[0]["stripe_customer_id"]
    intents = (await system.stripe(f"/v1/payment_intents?customer={customer}"))["data"]
    return [(row["id"], row["status"], int(row["amount_refunded"])) for row in payments] + [
        (intent["id"], intent["amount_received"]) for intent in intents
    ]


async def test_a_key_is_forgotten_after_its_time_and_money_still_moves_once(system: System) -> None:
    user, paying, refunding = unique("old"), unique("pay"), unique("refund")
    paid = await system.pay(user=user, key=paying)
    assert paid.status == 201
    refund = f"/api/payments/payment-intent/{paid.body['id']}/refund"
    refunded = await system.call("POST", refund, {"amount": 100}, user=user, key=refunding)
    assert refunded.status == 200
    await system.quiet()
    before = await money(system, user)
    await sweep(system, 29)
    assert await keys_of(system, paying, refunding) == {paying, refunding}
    await sweep(system, 31)
    assert await keys_of(system, paying, refunding) == set()

    again = await system.pay(user=user, key=paying)
    assert (again.status, again.code) == (409, "IDEMPOTENCY_KEY_EXPIRED"), again.body
    assert (again.body["field"], again.body["payment_id"]) == ("Idempotency-Key", paid.body["id"])
    assert "Retry-After" not in again.headers
    again = await system.call("POST", refund, {"amount": 100}, user=user, key=refunding)
    assert (again.status, again.code) == (409, "IDEMPOTENCY_KEY_EXPIRED"), again.body
    assert again.body["refund_id"] == refunded.body["id"]
    # With another body it is no repeat, and Stripe would not take its key either.
    again = await system.pay(user=user, key=paying, amount=2000)
    assert (again.status, again.code) == (409, "IDEMPOTENCY_KEY_EXPIRED"), again.body
    await system.quiet()
    assert await money(system, user) == before


async def test_the_key_of_an_open_attempt_stays(system: System) -> None:
    user, key = unique("open"), unique("key")
    await system.pay(user=user)
    await system.quiet()
    await system.stop_workers()
    await system.fault(target="api", kind="cut", method="POST", path="/v1/payment_intents", when="after", times=9)
    unknown = await system.pay(user=user, key=key)
    assert unknown.status == 202, unknown.body
    await sweep(system, 400)
    assert await keys_of(system, key) == {key}
    # Even if its answer were there already.
    answered = "UPDATE idempotency_keys SET state = $2, status_code = 201, body = '{}' WHERE key = $1"
    await system.pool.execute(answered, key, "done")
    await sweep(system, 400)
    assert await keys_of(system, key) == {key}
    await system.pool.execute("UPDATE idempotency_keys SET state = 'in_progress' WHERE key = $1", key)
    await system.sandbox("DELETE", "/_sandbox/faults")
    system.start_worker()
    await system.quiet()
    settled = await system.pay(user=user, key=key)
    assert (settled.status, settled.body["id"]) == (201, unknown.body["id"])
    assert len([entry for entry in await money(system, user) if entry[1] == 1050]) == 2


async def test_deliveries_go_and_their_facts_stay_told(system: System) -> None:
    admin: dict[str, Any] = {"user": "root", "roles": ("admin",)}
    body = {"url": f"http://127.0.0.1:{free_port()}/", "events": ["*"]}
    endpoint = await system.call("POST", "/api/webhook-endpoints", body, **admin)
    assert endpoint.status == 201, endpoint.body
    told, untold = [(await system.pay(user=unique("fact"))).body["id"] for _ in range(2)]
    deliveries = "SELECT count(*) FROM outbound_deliveries WHERE object_key LIKE '%' || $1"
    facts = "SELECT data <> '{}' AS whole FROM outbound_facts WHERE object_key LIKE '%' || $1"
    await system.quiet()
    events = await system.value("SELECT count(*) FROM webhook_events")
    await system.pool.execute(
        "UPDATE outbound_deliveries SET state = 'delivered', finished_at = $2 WHERE object_key LIKE '%' || $1",
        told,
        system.now(),
    )
    await sweep(system, 29)
    assert await system.value(deliveries, told) > 0
    await sweep(system, 31, pruners=3)
    assert await system.value(deliveries, told) == 0
    assert {row["whole"] for row in await system.fetch(facts, told)} == {False}
    assert await system.value(deliveries, untold) > 0
    assert {row["whole"] for row in await system.fetch(facts, untold)} == {True}
    assert await system.value("SELECT count(*) FROM webhook_events") == events


async def test_a_worker_begins_with_a_look(system: System) -> None:
    await system.stop_workers()
    await system.pool.execute(
        """
        INSERT INTO work (id, kind, business_key, state, due_at, finished_at)
        VALUES (gen_random_uuid(), 'prune.start', 'prune.start', 'done', now(), now() - interval '8 days')
        """
    )
    system.start_worker()
    async with asyncio.timeout(15):
        while await system.value("SELECT count(*) FROM work WHERE kind = 'prune.start'"):
            await asyncio.sleep(0.02)


async def test_done_work_goes_in_batches_and_the_rest_stays(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_BATCH", 2)
    await system.pool.execute(
        """
        INSERT INTO work (id, kind, business_key, state, due_at, finished_at)
        SELECT gen_random_uuid(), 'prune.test', 'prune.test:' || n || state, state, now() + interval '1 year',
               CASE WHEN state <> 'queued' THEN now() - age * interval '1 day' END
        FROM generate_series(1, 5) n, unnest(ARRAY['done', 'dead', 'queued']) state, unnest(ARRAY[0, 30]) age
        WHERE state <> 'queued' OR age = 0
        """
    )
    left = "SELECT state, count(*) FROM work WHERE kind = 'prune.test' GROUP BY 1 ORDER BY 1"
    assert (await sweep(system, 0, pruners=2))["done work"] >= 5
    assert [tuple(row) for row in await system.fetch(left)] == [("dead", 10), ("done", 5), ("queued", 5)]
    longer = system.settings.model_copy(update={"keep_done_work_days": 20})
    await sweep(system, 10, settings=longer)
    assert [tuple(row) for row in await system.fetch(left)] == [("dead", 10), ("done", 5), ("queued", 5)]
    await sweep(system, 10)
    assert [tuple(row) for row in await system.fetch(left)] == [("dead", 10), ("queued", 5)]


async def test_writes_to_webhook_endpoints_are_forgotten_after_a_week(system: System) -> None:
    add = """
        INSERT INTO webhook_endpoint_writes (purpose, stripe_idempotency_key, fingerprint, created_at)
        VALUES ($1, $1, '', now() - $2::interval)
    """
    old, young = unique("old"), unique("young")
    await system.fetch(add, old, timedelta(days=8))
    await system.fetch(add, young, timedelta(days=6))
    assert (await sweep(system, 0))["writes to webhook endpoints"] >= 1
    left = await system.fetch("SELECT purpose FROM webhook_endpoint_writes WHERE purpose = ANY($1)", [old, young])
    assert [row["purpose"] for row in left] == [young]
