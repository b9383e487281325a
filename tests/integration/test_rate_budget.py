"""All processes together stay within the rate limit, and background calls take what live ones leave."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from system import MakeDatabase
from tallystick.platform.database import Database
from tallystick.platform.rate_budget import NoSlot, RateBudget


@pytest_asyncio.fixture(scope="module")
async def database(make_database: MakeDatabase) -> AsyncIterator[Database]:
    opened = await Database.connect(await make_database(), size=8)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(autouse=True)
async def fresh(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("TRUNCATE stripe_calls, stripe_slowdown")


async def fetch(database: Database, sql: str) -> list[asyncpg.Record]:
    async with database.connection() as connection:
        return list(await connection.fetch(sql))


async def live_calls(database: Database, calls: int) -> None:
    """So many in each of the seconds around now."""
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO stripe_calls (second, live)
            SELECT floor(extract(epoch FROM clock_timestamp()))::bigint + n, $1 FROM generate_series(-5, 20) n
            """,
            calls,
        )


async def slots(budgets: list[RateBudget], count: int) -> None:
    await asyncio.gather(*(budgets[number % len(budgets)].slot(30) for number in range(count)))


async def granted(database: Database) -> list[int]:
    rows = await fetch(database, "SELECT background FROM stripe_calls WHERE background > 0")
    return [row["background"] for row in rows]


@pytest.mark.parametrize(
    ("live", "most"),
    [
        pytest.param(0, 40, id="nobody else calls: the cap of background calls"),
        pytest.param(70, 30, id="live calls are many: what is left of the limit"),
        pytest.param(500, 1, id="live calls take all: one a second, so that nothing stands still"),
    ],
)
async def test_three_processes_share_what_is_left(database: Database, live: int, most: int) -> None:
    budgets = [RateBudget(database, limit=100, background=40) for _ in range(3)]
    await live_calls(database, live)
    await slots(budgets, most + 2)
    seconds = await granted(database)
    assert max(seconds) <= most
    assert sum(seconds) >= most + 2
    assert len(seconds) >= 2


async def test_live_calls_of_one_process_are_seen_by_the_others(database: Database) -> None:
    calling, waiting = (RateBudget(database, limit=20, background=20) for _ in range(2))
    for _ in range(17):
        calling.note_live()
    while not await fetch(database, "SELECT 1 FROM stripe_calls WHERE live = 17"):
        await asyncio.sleep(0.05)
    await waiting.slot(10)
    assert await granted(database) <= [3]
    await calling.close()
    await waiting.close()


async def test_one_caller_after_the_other_costs_few_statements(database: Database) -> None:
    budget = RateBudget(database, limit=1000, background=100)
    asked: list[int] = []
    ask = budget._ask

    async def counted(wanted: int) -> tuple[int, float]:
        asked.append(wanted)
        return await ask(wanted)

    budget._ask = counted  # type: ignore[method-assign]
    for _ in range(60):
        await budget.slot(10)
    assert sum(asked) < 200
    assert len(asked) < 15


async def test_a_429_slows_everybody_down_longer_each_time_and_passes(database: Database) -> None:
    told, other = (RateBudget(database, limit=100, background=100) for _ in range(2))

    async def again(before: str) -> int:
        async with database.connection() as connection:
            await connection.execute(f"UPDATE stripe_slowdown SET slow_until = clock_timestamp() - interval '{before}'")
        await told._slow()
        rows = await fetch(database, "SELECT step_s FROM stripe_slowdown WHERE slow_until > clock_timestamp()")
        return int(rows[0]["step_s"])

    await told._slow()
    with pytest.raises(NoSlot):
        await other.slot(0.2)
    await told._slow()
    [row] = await fetch(database, "SELECT step_s FROM stripe_slowdown")
    assert row["step_s"] == 1, "calls that were on their way tell of the same trouble"
    assert [await again("1 ms") for _ in range(7)] == [2, 4, 8, 16, 32, 60, 60]
    assert await again("10 minutes") == 1
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE stripe_slowdown SET slow_until = clock_timestamp() - interval '1 ms', step_s = 60"
        )
    await slots([told, other], 2)
    assert set(await granted(database)) == {1}, "one by one at first"


async def test_while_the_database_is_away_background_calls_wait(database: Database) -> None:
    nowhere = await Database.connect("postgresql://nobody@127.0.0.1:9/none")
    budget = RateBudget(nowhere, limit=100, background=100)
    budget.note_live()
    with pytest.raises(NoSlot):
        await budget.slot(0.3)
    await budget.close()
    await nowhere.close()
