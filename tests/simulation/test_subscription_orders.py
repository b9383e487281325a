"""Real events of one subscription, with the answers and fetches between them, in any order: always the same outcome."""

import random
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from simulation.mirror import assert_same
from simulation.mirror_billing import ends_of_history, subscription_of, subscription_rows
from simulation.report import LONG, tell
from simulation.subscription_life import USER, Answered, Life, live
from system import MakeDatabase, settings_for
from tallystick.app import Parts, build_parts
from tallystick.core.clock import SystemClock, from_unix
from tallystick.core.ids import new_id
from tallystick.platform.database import Transaction
from tallystick.sandbox.versions import NEWEST, OLDEST
from tallystick.stripe_gateway import translate_billing
from tallystick.stripe_gateway.ordering import Source
from tallystick.subscriptions.history import tracked
from tallystick.subscriptions.models import SubscriptionFacts
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.webhooks.models import StoredEvent

Json = dict[str, Any]
Thing = Json | Answered | str
FETCH = "fetch"
SEEDS = [1, None]
ORDERS = 200 if LONG else 5
"""How many orders are tried from each seed; None is another seed in each run."""


@dataclass
class World:
    """A life, and a database on which it is told again and again."""

    life: Life
    parts: Parts
    database_url: str
    expected: Json | None = None

    async def begin(self) -> None:
        """Nothing but the user, the customer, and the requests that we made."""
        async with self.parts.database.connection() as connection:
            await connection.execute(
                "DELETE FROM subscription_history; DELETE FROM access_grants; DELETE FROM subscriptions; "
                "DELETE FROM mails; DELETE FROM outbound_facts; DELETE FROM attempts; DELETE FROM work; "
                "DELETE FROM users"
            )
            user = await connection.fetchval(
                "INSERT INTO users (id, external_id, email, created_at, updated_at) "
                "VALUES ($1, $2, 'ann@example.com', now(), now()) RETURNING id",
                new_id(),
                USER,
            )
            await connection.executemany(
                "INSERT INTO attempts (id, kind, user_id, stripe_idempotency_key, request, state, sent_at, looks, "
                "lease_until, created_at, updated_at) VALUES ($1, 'subscription.change', $2, $3, $4, 'succeeded', "
                "now(), 0, now(), now(), now())",
                [
                    (new_id(), user, answer.key, {"actor": f"user:{USER}", "reason": "wanted"})
                    for answer in self.life.answers
                ],
            )

    async def tell(self, things: Sequence[Thing]) -> None:
        """Record some of what there is in one transaction."""
        async with self.parts.database.transaction() as tx:
            for thing in things:
                await self._tell(tx, thing)

    async def _tell(self, tx: Transaction, thing: Thing) -> None:
        handler = self.parts.registry.find("customer.subscription.updated")
        assert handler is not None
        if isinstance(thing, Answered):
            source = Source("answer", from_unix(thing.at), base_revision=-1, request_key=thing.key)
            await handler.record(tx, [SubscriptionFacts(translate_billing.subscription(thing.value), source)])
        elif thing == FETCH:
            await self.fetch(tx)
        else:
            assert isinstance(thing, dict)
            await handler.record(tx, handler.translate(stored(thing)))

    async def fetch(self, tx: Transaction) -> None:
        """What a fetch records that is made now: the last state there was."""
        handler = self.parts.registry.find("customer.subscription.updated")
        assert handler is not None
        last = self.life.last
        revision = await tx.fetchval("SELECT revision FROM subscriptions WHERE stripe_subscription_id = $1", last["id"])
        source = Source("fetch", from_unix(self.life.ended_at), base_revision=revision)
        await handler.record(tx, [SubscriptionFacts(translate_billing.subscription(last), source)])

    async def hear(self, answer: Answered) -> None:
        """Record an answer since whose request nothing has moved the row."""
        handler = self.parts.registry.find("customer.subscription.updated")
        assert handler is not None
        async with self.parts.database.transaction() as tx:
            revision = await tx.fetchval("SELECT revision FROM subscriptions")
            source = Source("answer", from_unix(answer.at), base_revision=revision, request_key=answer.key)
            await handler.record(tx, [SubscriptionFacts(translate_billing.subscription(answer.value), source)])

    async def unsure(self) -> bool:
        async with self.parts.database.connection() as connection:
            return bool(await connection.fetchval("SELECT unsure FROM subscriptions"))

    async def lost(self) -> Json:
        """What the subscription shows for certain and its history does not lead to."""
        if await self.unsure():
            return {}
        ends, shown = await self.ends_of_history(), await self.shown()
        return {name: value for name, value in shown.items() if value not in ends[name]}

    async def outcome(self) -> Json:
        """All that must not depend on any order; what is in doubt is fetched, as a worker does."""
        async with self.parts.database.transaction() as tx:
            if await tx.fetchval("SELECT unsure FROM subscriptions"):
                await self.fetch(tx)
        async with self.parts.database.connection() as connection:
            history = await connection.fetch("SELECT * FROM subscription_history")
            mails = await connection.fetch("SELECT business_key FROM mails")
            facts = await connection.fetch("SELECT business_key FROM outbound_facts WHERE type LIKE 'subscription.%'")
            activated_at = await connection.fetchval("SELECT activated_at FROM subscriptions")
        assert not [row for row in history if row["provisional"]]
        stripe = {self.life.last["id"]: subscription_of(self.life.last)}
        assert_same(await subscription_rows(self.database_url), {"subscriptions": stripe})
        names = ("action", "old_values", "new_values", "performed_at", "actor", "cause", "reason", "stripe_event_id")
        rows = [{name: row[name] for name in (*names, "request_key", "business_key")} for row in history]
        return {
            "history": sorted(rows, key=lambda row: str(row["business_key"])),
            "mails": sorted(row[0] for row in mails),
            "facts": sorted(row[0] for row in facts),
            "activated_at": activated_at,
        }

    async def shown(self) -> Json:
        """What history remembers of the subscription as it is now."""
        async with self.parts.database.connection() as connection:
            row = await SubscriptionRepository().find(connection, str(self.life.last["id"]))
        assert row is not None
        return tracked(row)

    async def ends_of_history(self) -> dict[str, list[Any]]:
        """Where the history leads to: of each field the values it may end with, by the seconds of its rows."""
        async with self.parts.database.connection() as connection:
            records = await connection.fetch(
                "SELECT performed_at, old_values, new_values FROM subscription_history ORDER BY performed_at"
            )
        return ends_of_history(records)


def seeded(seed: int | None) -> Iterator[tuple[str, random.Random]]:
    """Sources of chance, as many as orders are tried, with their names."""
    first = secrets.randbelow(2**32) if seed is None else seed
    tell(f"orders of a subscription's events: {ORDERS} from seed {first}")
    for number in range(first, first + ORDERS):
        yield f"seed {number}", random.Random(number)


def in_parts(rng: random.Random, things: Sequence[Thing]) -> list[Sequence[Thing]]:
    """All of them in any order, in transactions of any size."""
    shuffled = rng.sample(list(things), len(things))
    cuts = sorted(rng.choices(range(len(things) + 1), k=rng.randint(0, len(things))))
    return [shuffled[start:end] for start, end in pairwise([0, *cuts, len(things)]) if start < end]


def stored(event: Json) -> StoredEvent:
    """An event as the inbox hands it to its handler."""
    request = event["request"] or {}
    return StoredEvent(
        id=new_id(),
        stripe_event_id=event["id"],
        type=event["type"],
        created=from_unix(event["created"]),
        api_version=event["api_version"],
        object_key=event["data"]["object"]["id"],
        object=event["data"]["object"],
        previous=event["data"].get("previous_attributes"),
        request_idempotency_key=request.get("idempotency_key"),
        source="webhook",
        retry_count=0,
        requested=request.get("id") is not None,
    )


LIVES = [(OLDEST, True), (NEWEST, True), (NEWEST, False)]


@pytest_asyncio.fixture(scope="module", params=LIVES, ids=lambda life: f"{life[0][:4]}-{'whole' if life[1] else 'cut'}")
async def world(request: pytest.FixtureRequest, make_database: MakeDatabase) -> AsyncIterator[World]:
    url = await make_database()
    config = settings_for(url, sandbox_url="http://127.0.0.1:9", api_url="http://127.0.0.1:9", smtp_port=9)
    parts = build_parts(config, SystemClock(), "test")
    await parts.database.open()
    version, to_the_end = request.param
    yield World(live(version, to_the_end=to_the_end), parts, url)
    await parts.close()


async def in_order(world: World) -> Json:
    await world.begin()
    for event in world.life.events:
        await world.tell([event])
    return await world.outcome()


async def test_in_order_each_change_is_told_once(world: World) -> None:
    found, ours = await in_order(world), str(world.life.our_id)
    over = world.life.last["status"] == "canceled"
    told = [(row["action"], row["cause"]) for row in sorted(found["history"], key=lambda row: row["performed_at"])]
    assert sorted(told) == sorted(
        [
            ("created", "api"), ("trial_ended", "stripe"), ("plan_changed", "api"), ("quantity_changed", "dashboard"),
            ("paused", "api"), ("resumed", "dashboard"), ("renewed", "stripe"), ("past_due", "stripe"),
            ("recovered", "stripe"), ("cancel_scheduled", "api"), ("cancel_undone", "api"),
            ("payment_method_changed", "api"), ("cancel_scheduled", "dashboard"),
            *([("canceled", "stripe")] if over else []),
        ]
    )  # fmt: skip
    assert {(row["actor"], row["reason"]) for row in found["history"] if row["cause"] == "api"} == {
        (f"user:{USER}", "wanted")
    }
    kinds = sorted(key.split(":")[0] for key in found["mails"])
    assert kinds == [
        "subscription_cancel_scheduled", "subscription_cancel_scheduled", *(["subscription_canceled"] if over else []),
        "subscription_paused", "subscription_resumed", "subscription_welcome", "trial_ending",
    ]  # fmt: skip
    for what, is_so in (("created", True), ("activated", True), ("canceled", over)):
        assert (f"subscription.{what}:{ours}" in found["facts"]) == is_so
    assert sum(key.startswith("subscription.updated:") for key in found["facts"]) == 12


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_order_ends_the_same(world: World, seed: int | None) -> None:
    if world.expected is None:
        world.expected = await in_order(world)
    for name, rng in seeded(seed):
        doubled = rng.choices(world.life.events, k=rng.randint(0, 10))
        heard = rng.sample(world.life.answers, rng.randint(0, len(world.life.answers)))
        fetches = [FETCH] * rng.randint(0, 3)
        await world.begin()
        for part in in_parts(rng, [*world.life.events, *doubled, *heard, *fetches]):
            await world.tell(part)
        assert await world.outcome() == world.expected, name


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_no_event_tells_is_in_the_history_all_the_same(world: World, seed: int | None) -> None:
    """Some events are lost: what the rest and a fetch tell leads to what the subscription shows."""
    for of_seed, rng in seeded(seed):
        kept = rng.sample(world.life.events, rng.randint(0, len(world.life.events)))
        heard = rng.sample(world.life.answers, rng.randint(0, len(world.life.answers)))
        await world.begin()
        for part in [*in_parts(rng, [*kept, *heard]), [FETCH]]:
            await world.tell(part)
        assert not await world.unsure()
        assert await world.lost() == {}, of_seed


# Of a change and the one that undoes it in the same second: the answers and the events, as they may come.
COMING = ("A1 A2 E1 E2", "E1 A2 E2", "A2 E1 E2", "A1 E2 A2 E1")


@pytest.mark.parametrize("coming", COMING)
async def test_the_history_leads_to_what_is_shown_before_its_events_have_come(world: World, coming: str) -> None:
    """A cancellation is asked for and undone within one second, and the answers are here first."""
    if world.expected is None:
        world.expected = await in_order(world)
    events, place = world.life.events, [one.value["cancel_at_period_end"] for one in world.life.answers].index(True)
    things: dict[str, Thing] = {}
    late: list[Json] = []
    for number, answer in enumerate(world.life.answers[place : place + 2], 1):
        told = next(one for one in events if (one["request"] or {}).get("idempotency_key") == answer.key)
        things |= {f"A{number}": answer, f"E{number}": told}
        late.append(told)
    first = events.index(late[0])
    await world.begin()
    await world.tell(events[:first])
    for name in coming.split():
        thing = things[name]
        await (world.hear(thing) if isinstance(thing, Answered) else world.tell([thing]))
        assert await world.lost() == {}, name
    await world.tell([one for one in events[first:] if one not in late])
    assert await world.outcome() == world.expected
