"""Coupons, codes and discounts end the same whatever the order of their events, however often each comes."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest_asyncio
from msgspec import Struct

from system import MakeDatabase
from tallystick.core.clock import SystemClock
from tallystick.core.ids import new_id
from tallystick.discounts.handlers import HANDLERS
from tallystick.discounts.service_record import DiscountRecorder
from tallystick.platform.database import Database
from tallystick.webhooks.models import StoredEvent

T = 1_790_000_000


def coupon(name: str = "Spring", redeemed: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": "SPRING", "object": "coupon", "created": T, "metadata": {}, "name": name, "amount_off": None,
        "currency": None, "percent_off": 12.5, "duration": "repeating", "duration_in_months": 3,
        "max_redemptions": 2, "times_redeemed": redeemed, "redeem_by": None, "valid": redeemed < 2, **more,
    }  # fmt: skip


def code(redeemed: int = 0, *, active: bool = True) -> dict[str, Any]:
    return {
        "id": "promo_1", "object": "promotion_code", "code": "SPRING25", "coupon": coupon(), "active": active,
        "created": T, "metadata": {}, "customer": None, "expires_at": None, "max_redemptions": 2,
        "times_redeemed": redeemed,
    }  # fmt: skip


def discount(end: int | None) -> dict[str, Any]:
    return {
        "id": "di_1", "object": "discount", "source": {"type": "coupon", "coupon": "SPRING"},
        "promotion_code": "promo_1", "customer": "cus_1", "subscription": "sub_1", "start": T + 2, "end": end,
    }  # fmt: skip


LIFE = [
    ("coupon.created", T, coupon(), None),
    ("promotion_code.created", T, code(), None),
    ("coupon.updated", T + 2, coupon(redeemed=1), {"times_redeemed": 0}),
    ("coupon.updated", T + 2, coupon(redeemed=2), {"times_redeemed": 1, "valid": True}),
    ("promotion_code.updated", T + 2, code(1), {"times_redeemed": 0}),
    ("promotion_code.updated", T + 2, code(2, active=False), {"times_redeemed": 1, "active": True}),
    ("customer.discount.created", T + 2, discount(None), None),
    ("customer.discount.updated", T + 3, discount(T + 900), {"end": None}),
    ("coupon.updated", T + 4, coupon("Late spring", 2), {"name": "Spring"}),
    ("customer.discount.deleted", T + 5, discount(T + 900), None),
    ("coupon.deleted", T + 5, coupon("Late spring", 2), None),
]


class Told(Struct, frozen=True):
    """An event and the facts it is translated to."""

    type: str
    facts: Any


def told() -> list[Told]:
    events = []
    for number, (kind, at, obj, previous) in enumerate(LIFE):
        stored = StoredEvent(
            id=new_id(), stripe_event_id=f"evt_{number}", type=kind, created=datetime.fromtimestamp(at, UTC),
            api_version=None, object_key=obj["id"], object=obj, previous=previous, request_idempotency_key=None,
            source="webhook", retry_count=0,
        )  # fmt: skip
        events.append(Told(kind, HANDLERS[kind](stored)))
    return events


async def mirror(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """The three tables, without what is ours."""
    found = {}
    async with database.connection() as connection:
        for table in ("coupons", "promotion_codes", "discounts"):
            rows = await connection.fetch(f"SELECT * FROM {table}")
            kept = [{k: v for k, v in row.items() if k not in ("id", "revision", "updated_at")} for row in rows]
            found[table] = [tuple(sorted(row.items(), key=lambda item: item[0])) for row in kept]
    return found


async def apply(database: Database, events: list[Told]) -> dict[str, list[tuple[Any, ...]]]:
    recorder = DiscountRecorder(SystemClock())
    async with database.transaction() as tx:
        for table in ("coupons", "promotion_codes", "discounts"):
            await tx.execute(f"DELETE FROM {table}")
    for event in events:
        async with database.transaction() as tx:
            await recorder.record(tx, event.facts)
    return await mirror(database)


@pytest_asyncio.fixture(scope="module")
async def database(make_database: MakeDatabase) -> AsyncIterator[Database]:
    database = Database(await make_database(), schema="public", size=6, name="test")
    await database.open()
    yield database
    await database.close()


async def test_in_order(database: Database) -> None:
    rows = await apply(database, told())
    shown = dict(rows["coupons"][0])
    assert (shown["name"], shown["percent_off"], shown["times_redeemed"]) == ("Late spring", "12.5", 2)
    assert (shown["valid"], shown["deleted"]) == (False, True)
    shown = dict(rows["promotion_codes"][0])
    assert (shown["active"], shown["times_redeemed"], shown["stripe_coupon_id"]) == (False, 2, "SPRING")
    shown = dict(rows["discounts"][0])
    assert (shown["deleted"], shown["stripe_subscription_id"]) == (True, "sub_1")


async def test_in_any_order_and_twice(database: Database) -> None:
    events = told()
    wanted = await apply(database, events)
    seed = random.randrange(2**32)
    for turn in range(40):
        shuffled = random.Random(seed + turn).sample(events * 2, 2 * len(events))
        assert await apply(database, shuffled) == wanted, (seed + turn, [event.type for event in shuffled])


async def test_every_neighbour_of_one_object_swapped(database: Database) -> None:
    for kind in ("coupon", "promotion_code", "customer.discount"):
        events = [event for event in told() if event.type.startswith(kind)]
        wanted = await apply(database, events)
        for first, second in pairwise(range(len(events))):
            swapped = [*events[:first], events[second], events[first], *events[second + 1 :]]
            assert await apply(database, swapped) == wanted, (kind, first)
