"""One user, twenty tabs, two API processes: one customer at Stripe and one live subscription; and after a restore."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import cycle
from typing import Any

import pytest_asyncio

from simulation.world import another_application, copy_database, drop_database
from subscribing import SUBSCRIPTIONS, at_stripe, create, get, plan, subscribed
from system import MakeDatabase, System, running_system, unique


@pytest_asyncio.fixture
async def pair(make_database: MakeDatabase) -> AsyncIterator[tuple[System, System]]:
    database = await make_database()
    async with (
        running_system(database, DATABASE_POOL_SIZE="8") as one,
        another_application(one, database, workers=1, DATABASE_POOL_SIZE="8") as other,
    ):
        yield one, other


async def customers_of(system: System, user: str) -> list[Any]:
    return list((await system.stripe(f"/v1/customers?email={user}@example.com"))["data"])


async def test_twenty_creates_are_one(pair: tuple[System, System]) -> None:
    one, _ = pair
    user, prices, doors = unique("tabs"), [await plan(one), await plan(one, 2000)], cycle(pair)
    await one.fault(target="api", kind="slow", method="POST", delay_s=0.3, times=2, path="/v1/*")
    body = {"trial_period_days": 0, "payment_method": "pm_card_visa"}

    async def subscribe(number: int) -> Any:
        await asyncio.sleep(number % 5 * 0.1)
        wish = {"price": prices[number % 2], **body}
        return await next(doors).call("POST", SUBSCRIPTIONS, wish, user=user, key=unique("key"))

    answers = await asyncio.gather(*(subscribe(number) for number in range(20)))
    statuses = Counter((answer.status, answer.body.get("code")) for answer in answers)
    assert statuses[201, None] == 1, statuses
    assert statuses.keys() <= {(201, None), (409, "SUBSCRIPTION_EXISTS"), (409, "OPERATION_IN_PROGRESS")}, statuses
    assert [there["status"] for there in await at_stripe(one, user)] == ["active"]
    assert len(await customers_of(one, user)) == 1
    await one.quiet()
    assert await one.value("SELECT count(*) FROM subscriptions") == 1


async def test_twenty_creates_that_wait_for_the_browser(pair: tuple[System, System]) -> None:
    """All get the one payment that is to be made, or are told to wait for the one who makes it."""
    one, _ = pair
    user, price, doors = unique("wait"), await plan(one), cycle(pair)
    answers = await asyncio.gather(*(create(next(doors), user, price) for _ in range(20)))
    assert {answer.status for answer in answers} <= {200, 201, 409}
    assert len({answer.body["client_secret"] for answer in answers if answer.status < 300}) == 1
    assert len(await at_stripe(one, user)) == 1


async def test_several_are_allowed_where_they_are(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), ALLOW_MULTIPLE_SUBSCRIPTIONS="true") as system:
        user = unique("several")
        first, second = [await subscribed(system, user, await plan(system)) for _ in range(2)]
        assert first["id"] != second["id"]
        yen = await create(system, user, await plan(system, 1000, "jpy"), payment_method="pm_card_visa")
        assert (yen.status, yen.code) == (422, "PRICE_NOT_USABLE")
        await system.quiet()
        assert {there["status"] for there in await at_stripe(system, user)} == {"active"}
        assert not await system.fetch("SELECT * FROM subscriptions WHERE flagged")


async def test_a_database_of_yesterday(make_database: MakeDatabase) -> None:
    """It has never heard of the request that is repeated, nor of the trial that was had."""
    async with running_system(await make_database()) as system:
        backup = await copy_database(system.database_url)
        user, other, price = unique("lost"), unique("trial"), await plan(system)
        first = await create(system, user, price, payment_method="pm_card_visa", key="first")
        assert first.status == 201, first.body
        had = await subscribed(system, other, price, trial_period_days=5)
        await system.call("DELETE", f"{SUBSCRIPTIONS}/{had['id']}", {"when": "now"}, user=other)
        await system.quiet()
        await system.stop_workers()
        await drop_database(system.database_url)
        await copy_database(backup, to=system.database_url.rpartition("/")[2])
        system.start_worker()
        another = await create(system, user, price, payment_method="pm_card_visa")
        while another.status == 503:
            another = await create(system, user, price, payment_method="pm_card_visa")
        assert (another.status, another.code) == (409, "SUBSCRIPTION_EXISTS"), another.body
        again = await create(system, user, price, payment_method="pm_card_visa", key="first")
        assert (again.status, again.body["id"], again.body["status"]) == (201, first.body["id"], "active"), again.body
        assert (await get(system, user, first.body["id"]))["stripe_subscription_id"] == first.body[
            "stripe_subscription_id"
        ]
        second = await create(system, other, price, trial_period_days=5, payment_method="pm_card_visa")
        assert (second.status, second.body["status"]) == (201, "active"), second.body
        assert len(await at_stripe(system, user)) == 1
        for name in (user, other):
            assert len(await customers_of(system, name)) == 1
