"""All processes together keep a limit, by telling a table what they let through; without it each keeps its own."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from system import MakeDatabase
from tallystick.platform import rate_limit
from tallystick.platform.database import Database
from tallystick.platform.rate_bucket import RatePolicy
from tallystick.platform.rate_limit import RateLimited, RateLimiter


@pytest_asyncio.fixture(scope="module")
async def database(make_database: MakeDatabase) -> AsyncIterator[Database]:
    opened = await Database.connect(await make_database(), size=8)
    yield opened
    await opened.close()


async def passes(limiter: RateLimiter, policy: RatePolicy, who: str) -> bool:
    try:
        await limiter.take(policy, who)
    except RateLimited:
        return False
    return True


async def rows(database: Database) -> int:
    async with database.connection() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM rate_buckets")
        return count


async def told(limiter: RateLimiter) -> None:
    """Wait until it has told all that it let through."""
    async with asyncio.timeout(20):
        while limiter._dirty or limiter._teller:
            limiter._urgent.set()
            await asyncio.sleep(0.01)


# An hour long, so that nothing leaks out while a slow machine runs the test.
@pytest.mark.parametrize("policy", [RatePolicy("few", 7, 3600), RatePolicy("many", 400, 3600)], ids=["few", "many"])
async def test_processes_share_one_limit_however_many_ask_at_once(
    database: Database, policy: RatePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "_ASK_TIMEOUT_S", 60.0)
    monkeypatch.setattr(rate_limit, "_TELL_TIMEOUT_S", 60.0)
    limiters = [RateLimiter(database) for _ in range(3)]
    slack = len(limiters) * policy.batch + policy.quota // 50

    async def ask(number: int) -> bool:
        return await passes(limiters[number % 3], policy, "ann")

    passed = sum(await asyncio.gather(*(ask(number) for number in range(3 * policy.quota))))
    assert policy.quota <= passed <= policy.quota + slack
    assert await passes(limiters[0], policy, "bob"), "somebody else's bucket is another one"
    for limiter in limiters:
        await limiter.close()


async def test_what_one_process_let_through_is_not_let_through_by_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "_ASK_TIMEOUT_S", 60.0)
    policy = RatePolicy("writes", 100, 3600)
    first, second = RateLimiter(database), RateLimiter(database)
    assert all([await passes(first, policy, "cleo") for _ in range(100)])
    assert not await passes(first, policy, "cleo")
    await told(first)
    passed = 0
    while await passes(second, policy, "cleo"):
        passed += 1
    assert passed <= policy.batch, "it asks before it lets more than a batch through"
    for limiter in (first, second):
        await limiter.close()


async def test_a_request_costs_no_statement(database: Database) -> None:
    policy, limiter = RatePolicy("reads", 100_000, 60), RateLimiter(database)
    statements = 0
    tell = limiter._tell_some

    async def counted() -> bool:
        nonlocal statements
        statements += 1
        return await tell()

    limiter._tell_some = counted  # type: ignore[method-assign]
    for number in range(10_000):
        await limiter.take(policy, f"user-{number % 100}")
    await told(limiter)
    assert statements < 100
    await limiter.close()


async def test_a_clock_that_was_moved_locks_nobody_out(database: Database) -> None:
    policy, limiter = RatePolicy("moved", 5, 1), RateLimiter(database)
    assert await passes(limiter, policy, "dora")
    await told(limiter)
    async with database.connection() as connection:
        # As if the database's clock had been set back by a day since.
        await connection.execute("UPDATE rate_buckets SET empty_at = clock_timestamp() + interval '1 day'")
    fresh = RateLimiter(database)
    while await passes(fresh, policy, "dora"):
        await told(fresh)
    async with asyncio.timeout(30):
        while not await passes(fresh, policy, "dora"):
            await asyncio.sleep(0.1)
    for each in (limiter, fresh):
        await each.close()


async def test_what_has_leaked_out_is_swept_and_callers_kept_are_bounded(database: Database) -> None:
    policy, now = RatePolicy("short", 1000, 1), 0.0
    limiter = RateLimiter(database, callers=50, monotonic=lambda: now)
    for number in range(500):
        await limiter.take(policy, f"2001:db8::{number:x}")
    assert len(limiter._known[policy]) <= 50
    assert len(limiter._dirty) <= 50
    await told(limiter)
    async with asyncio.timeout(20):
        while await rows(database):
            now += 61
            await limiter.take(policy, "again")
            await told(limiter)
            async with database.connection() as connection:
                await connection.execute("UPDATE rate_buckets SET empty_at = empty_at - interval '1 day'")
    await limiter.close()


async def test_without_the_database_each_process_keeps_the_limit_itself() -> None:
    nobody = await Database.connect("postgresql://nobody@127.0.0.1:9/none")
    policy, limiter = RatePolicy("alone", 20, 3600), RateLimiter(nobody)
    passed = sum(await asyncio.gather(*(passes(limiter, policy, "eve") for _ in range(60))))
    assert passed == 20
    await limiter.close()
    await nobody.close()


async def test_who_is_over_the_limit_is_known_without_counting(database: Database) -> None:
    policy, limiter = RatePolicy("checked", 2, 3600), RateLimiter(database)
    limiter.check(policy, "finn")
    for _ in range(2):
        limiter.check(policy, "finn")
        await limiter.take(policy, "finn")
    with pytest.raises(RateLimited) as refused:
        limiter.check(policy, "finn")
    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (429, "RATE_LIMITED", 1800)
    await limiter.close()
