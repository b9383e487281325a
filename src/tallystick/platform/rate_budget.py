"""`RateBudget`: the calls to Stripe that all processes make together, of which live traffic takes what it needs.

Live calls are counted and never held up. Background calls wait for slots, of which a process asks the database for some
at a time: it is granted what the live calls of all processes leave of the limit. Seconds are those of the database's
clock, which all share. When Stripe says 429 nobody is granted anything for a while, twice as long each time.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

import structlog

from tallystick.platform.database import WEATHER, Database, assert_no_transaction, is_weather

__all__ = ["NoSlot", "RateBudget"]

log = structlog.get_logger()

_SECOND = "floor(extract(epoch FROM clock_timestamp()))::bigint"
_FIRST_ASK = 2
_SLOWEST_S = 60

_REPORT = f"""
    WITH old AS (DELETE FROM stripe_calls WHERE second < {_SECOND} - 60)
    INSERT INTO stripe_calls AS c (second, live) VALUES ({_SECOND}, $1)
    ON CONFLICT (second) DO UPDATE SET live = c.live + excluded.live
"""

# Holds the row of this second until the end of the transaction, so that what is read of it stays so.
_HOLD = f"""
    WITH old AS (DELETE FROM stripe_calls WHERE second < {_SECOND} - 60)
    INSERT INTO stripe_calls AS c (second) VALUES ({_SECOND})
    ON CONFLICT (second) DO UPDATE SET background = c.background RETURNING second
"""

# Live calls are reported a second late: the most of the last seconds is what is to be expected of this one. However
# many they are, one call a second is left, without which the mirror would stand still.
_GRANT = """
    UPDATE stripe_calls c SET background = c.background + g.slots
    FROM (
        SELECT greatest(0, least($2, g.most - g.background)) AS slots FROM (
            SELECT (SELECT background FROM stripe_calls WHERE second = $1) AS background, CASE
                WHEN s.slow_until > clock_timestamp() THEN 0
                WHEN s.slow_until + s.step_s * interval '1 second' > clock_timestamp() THEN 1
                ELSE least($3, greatest(1, $4 - (
                    SELECT coalesce(max(live), 0) FROM stripe_calls WHERE second BETWEEN $1 - 2 AND $1)))
                END AS most
            FROM (SELECT 1) one LEFT JOIN stripe_slowdown s ON true
        ) g
    ) g
    WHERE c.second = $1
    RETURNING g.slots, greatest(0, $1 + 1 - extract(epoch FROM clock_timestamp()))::float8 AS ends_in_s
"""

# A 429 while all pause, or of calls that were on their way then, is the same trouble; one soon after is more of it.
_SLOW = """
    INSERT INTO stripe_slowdown AS s (slow_until, step_s) VALUES (clock_timestamp() + interval '1 second', 1)
    ON CONFLICT (one) DO UPDATE SET (slow_until, step_s) = (
        SELECT clock_timestamp() + n.step_s * interval '1 second', n.step_s
        FROM (SELECT CASE WHEN s.slow_until + 2 * s.step_s * interval '1 second' < clock_timestamp() THEN 1
                          ELSE least(2 * s.step_s, $1) END AS step_s) n)
    WHERE s.slow_until <= clock_timestamp()
    RETURNING step_s
"""


class NoSlot(Exception):
    """There was no room for a background call within the time that it would wait."""


class _Second:
    """What was granted of the database's second that ends at `ends_at` of the loop's time."""

    def __init__(self, ends_at: float, asks: int) -> None:
        self.ends_at = ends_at
        self.asks = asks
        self.unused = 0
        self.used = 0
        self.spent = False
        """Whether fewer were granted than asked for: there are no more."""


class RateBudget:
    """One process's share of the account's rate limit.

    `limit` is how many calls a second all processes may make, `background` how many of them in the background.
    """

    def __init__(self, database: Database, *, limit: int, background: int) -> None:
        self._database = database
        self._limit = limit
        self._background = min(background, limit)
        self._live = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._second = _Second(0.0, _FIRST_ASK)

    def note_live(self) -> None:
        """A call is made that somebody waits for."""
        self._live += 1
        self._start("live", self._report)

    async def slot(self, timeout_s: float) -> None:
        """Wait until a call may be made in the background; raises NoSlot. While the database is away none may."""
        assert_no_transaction()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._hand_out()
        self._start("background", self._grant)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except TimeoutError:
            raise NoSlot("no room in the rate budget") from None
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(turn)

    def slow_down(self) -> None:
        """Stripe said 429: the background calls of all processes pause."""
        self._second.unused = 0
        self._start("slow", self._slow)

    async def close(self) -> None:
        """Stop whatever runs for it."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have one task of this name run, which belongs to no caller: neither to his request nor to his silence."""
        if name in self._tasks:
            return
        self._tasks[name] = asyncio.create_task(self._guarded(name, work), name=f"rate.{name}", context=Context())

    async def _guarded(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:
            if is_weather(error):
                log.warning("rate_budget.weather", what=name, error=type(error).__name__)
            else:
                log.exception("rate_budget.failed", what=name)
        finally:
            del self._tasks[name]

    # Live

    async def _report(self) -> None:
        while self._live:
            await asyncio.sleep(1)
            calls, self._live = self._live, 0
            async with self._database.connection() as connection:
                await connection.execute(_REPORT, calls)

    # Background

    def _hand_out(self) -> None:
        """Let as many go on as there are slots left of a second that is not over."""
        second = self._second
        if asyncio.get_running_loop().time() >= second.ends_at:
            second.unused = 0
        while second.unused and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                second.unused -= 1
                second.used += 1

    async def _grant(self) -> None:
        """Ask for slots while anybody waits: for as many as were used before, then for twice as many."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            before, left_s = self._second, self._second.ends_at - loop.time()
            if left_s > 0 and before.spent:
                await asyncio.sleep(left_s)
                continue
            asks = before.asks * 2 if left_s > 0 else max(before.used, _FIRST_ASK)
            wanted = max(asks, len(self._waiting))
            try:
                granted, ends_in_s = await self._ask(wanted)
            except WEATHER as error:
                log.warning("rate_budget.weather", what="grant", error=type(error).__name__)
                await asyncio.sleep(1)
                continue
            if left_s <= 0:
                self._second = _Second(loop.time() + ends_in_s, wanted)
            self._second.asks = wanted
            self._second.unused += granted
            self._second.spent = granted < wanted
            self._hand_out()

    async def _ask(self, wanted: int) -> tuple[int, float]:
        async with self._database.transaction() as tx:
            second = await tx.fetchval(_HOLD)
            row = await tx.fetchrow(_GRANT, second, wanted, self._background, self._limit)
        assert row is not None
        return row["slots"], row["ends_in_s"]

    async def _slow(self) -> None:
        async with self._database.connection() as connection:
            step_s = await connection.fetchval(_SLOW, _SLOWEST_S)
        if step_s is not None:
            log.warning("stripe.slowed_down", pause_s=step_s, hint="Stripe's rate limit; background calls pause")
