"""The same 500 webhooks in order, and doubled, delayed, shuffled with three workers: the same rows and mails."""

import asyncio
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from simulation.mirror import Rows, assert_same, mails, mirror_rows, stripe_rows
from simulation.report import LONG, tell
from simulation.traffic import Traffic
from simulation.world import another_application, copy_database, stop_deliveries
from system import WEBHOOK_SECRET, MakeDatabase, System, running_system
from tallystick.sandbox.versions import NEWEST, OLDEST
from tallystick.stripe_gateway.signatures import sign

Event = dict[str, Any]

EVENTS = 500
SPREAD_S = 2.0
"""Over how long disordered deliveries are spread."""
LATE_SHARE = 0.15
"""The share of events that come only when everything else has settled."""
ORPHANS = 8
"""Of how many intents nothing is told until then, while their charges and refunds are."""


@dataclass(repr=False)
class Recorded:
    """What happened once, and what an application that was told in order made of it."""

    version: str
    origin: System
    events: list[Event]
    stripe: dict[str, Rows]
    users_only: str
    answers_only: str
    in_order: "Outcome"


@dataclass(repr=False)
class Outcome:
    """What an application knows in the end."""

    mirror: dict[str, Rows]
    owners: dict[str, str | None]
    users: set[tuple[str, str | None]]
    mails: dict[str, tuple[str, str]]
    fetches: int


EVERY_WAY = [(1, "users"), (None, "answers"), (None, "users")]


@pytest_asyncio.fixture(scope="module", params=[OLDEST, NEWEST] if LONG else [NEWEST])
async def recorded(request: pytest.FixtureRequest, make_database: MakeDatabase) -> AsyncIterator[Recorded]:
    """About 500 events that nobody was told of, in the account's version."""
    version, seed = str(request.param), 20231016
    first = await make_database()
    async with running_system(first, workers=0, api_version=version) as origin:
        await stop_deliveries(origin)
        events = await Traffic(origin, random.Random(seed)).until(EVENTS)
        users_only = await make_database()
        await _copy_users(first, users_only)
        answers_only = await copy_database(first)
        async with another_application(origin, await copy_database(users_only), workers=1) as told_in_order:
            for event in events:
                assert await deliver(told_in_order, event) == 200
            await told_in_order.quiet(60)
            in_order = await outcome(told_in_order)
        stripe = await stripe_rows(origin.stripe, origin.settings.installation_id)
        tell(f"disorder {version}: {len(events)} events, in order: {_rate(in_order.fetches, len(events))}")
        yield Recorded(version, origin, events, stripe, users_only, answers_only, in_order)


async def test_in_order_the_mirror_is_stripe(recorded: Recorded) -> None:
    assert len(recorded.events) >= EVENTS
    assert {event["type"] for event in recorded.events} >= {
        "payment_intent.payment_failed", "payment_intent.requires_action", "payment_intent.canceled",
        "payment_intent.amount_capturable_updated", "charge.captured", "charge.refunded", "refund.failed",
        "charge.dispute.created", "charge.dispute.closed",
    }  # fmt: skip
    assert_same(recorded.in_order.mirror, recorded.stripe)
    templates = {template for template, _ in recorded.in_order.mails.values()}
    assert templates >= {"payment_confirmation", "payment_failed", "refund", "refund_failed"}


@pytest.mark.parametrize(
    ("seed", "known"), [(1, "users"), (2, "answers"), (None, "users")] if LONG else [(None, "answers")]
)
async def test_disorder_ends_the_same(recorded: Recorded, seed: int | None, known: str) -> None:
    """`known`: an application that knows its users only, and one that made the payments and saw only the answers."""
    chosen = secrets.randbelow(2**32) if seed is None else seed
    tell(f"disorder {recorded.version}, {known} known: seed {chosen}")
    start = recorded.users_only if known == "users" else recorded.answers_only
    async with another_application(recorded.origin, await copy_database(start), workers=3) as system:
        began = time.monotonic()
        posts = await deliver_in_disorder(system, recorded.events, random.Random(chosen))
        took = time.monotonic() - began
        found = await outcome(system)
    tell(f"  {posts} deliveries in {took:.1f} s, {_rate(found.fetches, len(recorded.events))}")
    assert_same(found.mirror, recorded.in_order.mirror)
    assert_same(found.mirror, recorded.stripe)
    assert found.owners == recorded.in_order.owners
    assert found.users == recorded.in_order.users
    assert found.mails == recorded.in_order.mails


async def test_a_child_whose_parent_never_comes(recorded: Recorded) -> None:
    """Its event is given up after ten minutes and staff are told; what it would have told is fetched, parent first."""
    kinds = {"refund.created": "refunds", "charge.dispute.created": "disputes", "charge.succeeded": "charges"}
    children: dict[str, Event] = {}
    for kind in kinds:
        # Of three payments: what is fetched for one is no parent of another.
        others = {child["data"]["object"]["payment_intent"] for child in children.values()}
        children[kind] = next(
            event
            for event in recorded.events
            if event["type"] == kind and event["data"]["object"]["payment_intent"] not in others
        )
    start = await copy_database(recorded.users_only)
    async with another_application(recorded.origin, start, workers=0, WEBHOOK_MAX_RETRIES="0") as system:
        for event in children.values():
            assert await deliver(system, event) == 200
        system.start_worker()
        async with asyncio.timeout(30):
            while await system.value("SELECT count(*) FROM webhook_parked_objects") < len(children):
                await asyncio.sleep(0.05)
        await system.fetch("UPDATE webhook_parked_objects SET since = since - interval '11 minutes'")
        await system.quiet(60)
        await system.quiet(60)
        states = {
            row["state"] for row in await system.fetch("SELECT state FROM webhook_events WHERE source = 'webhook'")
        }
        assert states == {"dead"}
        found = await mirror_rows(system.database_url)
        for event, table in zip(children.values(), kinds.values(), strict=True):
            thing = event["data"]["object"]
            assert found[table][thing["id"]] == recorded.stripe[table][thing["id"]]
            intent = thing["payment_intent"]
            assert found["payments"][intent]["stripe_status"] == recorded.stripe["payments"][intent]["stripe_status"]
            assert f"alert.dead_letter:{event['id']}" in await mails(system)


async def deliver(system: System, event: Event) -> int:
    """Post one event as Stripe does; the status of the answer."""
    body = json.dumps(event, indent=2).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": sign(body, WEBHOOK_SECRET.encode(), int(time.time())),
    }
    async with system.http.post(f"{system.api_url}/api/webhooks/stripe", data=body, headers=headers) as response:
        await response.read()
        return response.status


async def deliver_in_disorder(system: System, events: Sequence[Event], rng: random.Random) -> int:
    """Every event twice, at random moments in random order, some only when all the others have settled."""
    late = _choose_late(events, rng)
    posts = await _scatter(system, [event for event in events if event["id"] not in late], rng)
    await _fetch_parents(system)
    await system.quiet(60)
    posts += await _scatter(system, [event for event in events if event["id"] in late], rng)
    # And what was delivered long ago comes once more.
    posts += await _scatter(system, rng.sample(list(events), 50), rng)
    await system.quiet(90)
    return posts


def _choose_late(events: Sequence[Event], rng: random.Random) -> set[str]:
    """The ids of some events, and of all events about a few intents, so that their refunds come to nobody."""
    late = {event["id"] for event in rng.sample(list(events), int(len(events) * LATE_SHARE))}
    of_intents = [event for event in events if event["data"]["object"]["object"] == "payment_intent"]
    orphans = {event["data"]["object"]["id"] for event in rng.sample(of_intents, ORPHANS)}
    late -= {event["id"] for event in of_intents if event["type"] == "payment_intent.created"}
    return late | {event["id"] for event in of_intents if event["data"]["object"]["id"] in orphans}


async def _fetch_parents(system: System) -> None:
    """Make the events that wait for their parent so old that it is fetched, which takes a minute otherwise."""
    for _ in range(20):
        await asyncio.sleep(0.5)
        waiting = await system.value(
            """
            WITH aged AS (
                UPDATE webhook_events SET not_before = now()
                WHERE id IN (
                    SELECT id FROM webhook_events
                    WHERE state = 'pending' AND not_before < 'infinity' AND error_message LIKE 'ParentMissing%'
                        AND error_message NOT LIKE '%being fetched' FOR UPDATE SKIP LOCKED
                ) RETURNING id
            ), since AS (
                UPDATE webhook_parked_objects SET since = now() - interval '70 seconds'
                WHERE event_id IN (
                    SELECT event_id FROM webhook_parked_objects JOIN aged ON aged.id = event_id
                    FOR UPDATE OF webhook_parked_objects SKIP LOCKED
                )
            )
            SELECT (SELECT count(*) FROM aged) + (SELECT count(*) FROM webhook_events WHERE state = 'pending')
            """
        )
        if not waiting:
            return


async def _scatter(system: System, events: Sequence[Event], rng: random.Random) -> int:
    spread_s = SPREAD_S if len(events) > EVENTS / 2 else SPREAD_S / 4
    moments = [(rng.uniform(0, spread_s), event) for event in events for _ in range(2)]

    async def post(delay: float, event: Event) -> None:
        await asyncio.sleep(delay)
        assert await deliver(system, event) == 200

    await asyncio.gather(*(post(delay, event) for delay, event in moments))
    return len(moments)


async def outcome(system: System) -> Outcome:
    """What there is to compare; also checks what must hold in every application that is at rest."""
    for table in ("payments", "charges", "refunds", "disputes"):
        assert await system.value(f"SELECT count(*) FROM {table} WHERE unsure") == 0, table
    assert await system.fetch("SELECT event_type, error_message FROM webhook_events WHERE NOT processed AND "
                              "state NOT IN ('processed', 'unhandled')") == []  # fmt: skip
    left = "SELECT kind, last_error FROM work WHERE state = 'dead' OR state = 'queued' AND due_at < $1"
    assert await system.fetch(left, system.now() + timedelta(hours=1)) == []
    assert await system.fetch("SELECT * FROM webhook_parked_objects") == []
    # Lanes, and the order in which rows are locked, are there to prevent them.
    assert await system.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    owners = await system.fetch(
        "SELECT p.stripe_payment_intent_id AS intent, u.external_id FROM payments p LEFT JOIN users u ON u.id = user_id"
    )
    users = await system.fetch("SELECT external_id, email FROM users")
    return Outcome(
        mirror=await mirror_rows(system.database_url),
        owners={row["intent"]: row["external_id"] for row in owners},
        users={(row["external_id"], row["email"]) for row in users},
        mails=await mails(system),
        fetches=await system.value("SELECT count(*) FROM webhook_events WHERE source = 'fetch'"),
    )


async def _copy_users(source: str, target: str) -> None:
    """The users, as tokens had shown them, and nothing else."""
    one, other = await asyncpg.connect(source), await asyncpg.connect(target)
    try:
        rows = await one.fetch("SELECT * FROM users")
        await other.copy_records_to_table("users", records=[tuple(row) for row in rows], columns=list(rows[0].keys()))
    finally:
        await one.close()
        await other.close()


def _rate(fetches: int, events: int) -> str:
    return f"{fetches} fetches, {1000 * fetches / events:.0f} per 1,000 events"
