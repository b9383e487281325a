"""A payment with a refund, one with a dispute and a subscription, told children first: all is applied once, as if told
in order, by the events alone, long before anybody would fetch a parent.
"""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from invoicing import customer, plan, subscribe
from simulation.mirror import Rows, assert_same, everything, mails, mirror_rows, stripe_rows
from simulation.mirror_billing import invoice_rows, stripe_invoices, stripe_subscriptions, subscription_rows
from simulation.report import LONG, tell
from simulation.test_disorder import deliver
from simulation.world import another_application, stop_deliveries
from system import MakeDatabase, System, running_system, unique
from tallystick.sandbox.versions import NEWEST, OLDEST

Event = dict[str, Any]
RANKS = ("refund", "dispute", "charge", "payment_intent", "invoice_payment", "invoice", "subscription", "customer")
"""Kinds of objects, children before their parents; what has none comes first."""
PARENTS = ("pi_", "in_", "sub_")
"""Of parents that nobody asks Stripe for; a customer is made and changed within one second, and is asked for."""


@dataclass
class Told:
    """What happened, and what an application made of it that was told in order."""

    origin: System
    events: list[Event]
    stripe: dict[str, Rows]
    mails: dict[str, tuple[str, str]]


@pytest_asyncio.fixture(scope="module", params=[OLDEST, NEWEST], ids=lambda version: str(version)[:4])
async def told(request: pytest.FixtureRequest, make_database: MakeDatabase) -> AsyncIterator[Told]:
    async with running_system(await make_database(), workers=0, api_version=request.param) as origin:
        await stop_deliveries(origin)
        user = unique("late")
        buyer = await customer(origin, user)
        paid = await origin.pay(user=user)
        refund = f"/api/payments/payment-intent/{paid.body['id']}/refund"
        assert (await origin.call("POST", refund, {"amount": 100}, user=user)).status == 200
        assert (await origin.pay("pm_card_createDispute", user=user)).status == 201
        await subscribe(origin, buyer, await plan(origin))
        await origin.sandbox("POST", "/_sandbox/clock/advance", {"by": 5})
        events = (await everything(origin.stripe, "events"))[::-1]
        assert {event["data"]["object"]["object"] for event in events} > set(RANKS) - {"invoice_payment"}
        async with another_application(origin, await make_database(), workers=1) as application:
            for event in events:
                assert await deliver(application, event) == 200
            await application.quiet()
            in_order = await mails(application)
        yield Told(origin, events, await stripe_tables(origin), in_order)


async def stripe_tables(origin: System) -> dict[str, Rows]:
    payments = await stripe_rows(origin.stripe, origin.settings.installation_id)
    return {**payments, **await stripe_subscriptions(origin.stripe), **await stripe_invoices(origin.stripe)}


async def mirror_tables(system: System) -> dict[str, Rows]:
    found = await subscription_rows(system.database_url), await invoice_rows(system.database_url)
    return {**await mirror_rows(system.database_url), **found[0], **found[1]}


@pytest.mark.parametrize("workers", [1, 3] if LONG else [3])
async def test_kind_after_kind_children_first(told: Told, workers: int, make_database: MakeDatabase) -> None:
    kinds = [event["data"]["object"]["object"] for event in told.events]
    ranks = [RANKS.index(kind) if kind in RANKS else -1 for kind in kinds]
    waves = [
        [event for event, rank in zip(told.events, ranks, strict=True) if rank == each] for each in sorted(set(ranks))
    ]
    async with another_application(told.origin, await make_database(), workers=workers) as application:
        for wave in waves:
            for event in wave:
                assert await deliver(application, event) == 200
            await tried(application)
        await as_if_told_in_order(told, application)
        asked = await application.fetch("SELECT DISTINCT object_id FROM webhook_events WHERE source = 'fetch'")
        assert [row["object_id"] for row in asked if row["object_id"].startswith(PARENTS)] == []


@pytest.mark.parametrize("workers", [1, 3] if LONG else [3])
async def test_doubled_and_shuffled(told: Told, workers: int, make_database: MakeDatabase) -> None:
    seed = secrets.randbelow(2**32)
    tell(f"parents late: seed {seed}")
    events = random.Random(seed).sample([*told.events, *told.events], 2 * len(told.events))
    async with another_application(told.origin, await make_database(), workers=workers) as application:
        await deliver_all(application, events)
        await as_if_told_in_order(told, application)


async def deliver_all(system: System, events: Sequence[Event]) -> None:
    """Many at a time, as Stripe does."""
    for at in range(0, len(events), 10):
        assert set(await asyncio.gather(*(deliver(system, event) for event in events[at : at + 10]))) == {200}


async def tried(system: System) -> None:
    """Wait until every event has been applied, or found to be too early, or waits behind such a one."""
    untried = "state = 'pending' AND not_before < 'infinity' AND error_message IS NULL"
    async with asyncio.timeout(15):
        while await system.value(f"SELECT count(*) FROM webhook_events WHERE {untried}"):
            await asyncio.sleep(0.02)


async def as_if_told_in_order(told: Told, system: System) -> None:
    # A parent is fetched when it has not come for a minute: here, nothing waits half as long.
    await system.quiet(30)
    states = await system.fetch("SELECT event_type, state, error_message FROM webhook_events")
    assert [row for row in states if row["state"] not in ("processed", "unhandled")] == []
    assert await system.fetch("SELECT * FROM webhook_parked_objects") == []
    assert_same(await mirror_tables(system), told.stripe)
    assert await mails(system) == told.mails
