"""`RateLimiter`: how often a caller may ask, right across processes, and without a query for each request.

A process lets through what it knows there is room for, and tells the database afterwards, many callers in one
statement; the answer is how much all processes have let through. See `rate_bucket.py` for why that is right. While
the database is away each process limits by what it knows itself.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

import structlog

from tallystick.core.errors import DomainError
from tallystick.platform.database import Database, is_weather
from tallystick.platform.rate_bucket import Bucket, RatePolicy, Verdict
from tallystick.platform.telemetry import note_refused

__all__ = ["RateLimited", "RateLimiter"]

log = structlog.get_logger()

_CALLERS_MOST = 20_000
_ROWS_MOST = 2_000
_ASK_TIMEOUT_S = 0.5
_TELL_TIMEOUT_S = 5.0
_AWAY_S = 1.0
_SWEEP_S = 60.0

# What all have used: a bucket is empty again at `empty_at`, by the database's clock. Requests count from the first of
# them (`since`), so that none counts for time in which it had long leaked out. Were that clock set back, a bucket could
# stay full for hours; so it is never fuller than `most_s`. Rows are locked in the order of their keys.
_TELL = """
    INSERT INTO rate_buckets AS b (key, since, empty_at, most_s)
    SELECT key, at - age * interval '1 second', at + (cost - age) * interval '1 second', most
    FROM unnest($1::bytea[], $2::float8[], $3::float8[], $4::float8[]) AS told (key, age, cost, most),
        (SELECT clock_timestamp() AS at) AS clock
    ORDER BY key
    ON CONFLICT (key) DO UPDATE SET since = excluded.since, most_s = excluded.most_s,
        empty_at = (excluded.empty_at - excluded.since) + least(
            greatest(b.empty_at, excluded.since), clock_timestamp() + excluded.most_s * interval '1 second')
    RETURNING key, extract(epoch FROM b.empty_at - clock_timestamp())::float8 AS busy_s
"""
_SWEEP = """
    DELETE FROM rate_buckets WHERE key IN (
        SELECT key FROM rate_buckets WHERE empty_at < clock_timestamp() LIMIT 10000 FOR UPDATE SKIP LOCKED
    )
"""


class RateLimited(DomainError):
    code, status = "RATE_LIMITED", 429
    title = "Too many requests"

    def __init__(self, verdict: Verdict) -> None:
        wait_s = verdict.wait_s
        super().__init__(
            f"There is room for another request in {wait_s} s.",
            action=f"Wait {wait_s} s (Retry-After), then send the same request again, with the same Idempotency-Key.",
            retry_after_s=wait_s,
            limit=verdict.policy.name,
        )
        self.verdict = verdict


@dataclass(slots=True)
class _Caller:
    policy: RatePolicy
    who: str
    bucket: Bucket


class RateLimiter:
    """One process's part of all limits; `close` in the loop that used it. A policy's last `callers` are kept."""

    def __init__(
        self, database: Database, *, callers: int = _CALLERS_MOST, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._callers = callers
        self._monotonic = monotonic
        self._known: dict[RatePolicy, OrderedDict[str, _Caller]] = {}
        self._dirty: dict[tuple[RatePolicy, str], _Caller] = {}
        """Who let something through that the database does not know of."""
        self._due = 0.0
        self._urgent = asyncio.Event()
        self._told: asyncio.Future[bool] | None = None
        self._teller: asyncio.Task[None] | None = None
        self._away_until = 0.0
        self._swept_at = monotonic()

    async def take(self, policy: RatePolicy, who: str) -> Verdict:
        """Count a request of `who`; raises RateLimited."""
        caller, now = self._caller(policy, who), self._monotonic()
        verdict = caller.bucket.take(policy, now)
        while verdict is None:
            asked = now >= self._away_until and await self._ask()
            now = self._monotonic()
            verdict = caller.bucket.take(policy, now, alone=not asked)
        if verdict.wait_s:
            note_refused(policy.name)
            raise RateLimited(verdict)
        self._note(caller, now)
        return verdict

    def check(self, policy: RatePolicy, who: str) -> None:
        """Raise RateLimited where `who` is over the limit, as far as is known here; nothing is counted."""
        known = self._known.get(policy)
        caller = known.get(who) if known else None
        if caller is not None and (verdict := caller.bucket.full(policy, self._monotonic())):
            note_refused(policy.name)
            raise RateLimited(verdict)

    async def close(self) -> None:
        """Stop what runs for it. What was not told stays untold: it is less than a batch."""
        if self._teller is not None:
            self._teller.cancel()
            await asyncio.gather(self._teller, return_exceptions=True)

    def _caller(self, policy: RatePolicy, who: str) -> _Caller:
        known = self._known.setdefault(policy, OrderedDict())
        caller = known.get(who)
        if caller is None:
            caller = known[who] = self._dirty.get((policy, who)) or _Caller(policy, who, Bucket())
            if len(known) > self._callers:
                known.popitem(last=False)
        else:
            known.move_to_end(who)
        return caller

    # Telling the others

    def _note(self, caller: _Caller, now: float) -> None:
        """Have what was let through told soon, or at once where nearly a batch is untold."""
        key = caller.policy, caller.who
        if key not in self._dirty:
            self._due = min(self._due, now + caller.policy.telling_s) if self._dirty else now + caller.policy.telling_s
            if len(self._dirty) >= self._callers:
                # Only while the database is away for long.
                del self._dirty[next(iter(self._dirty))]
            self._dirty[key] = caller
        if 2 * caller.bucket.unsent >= caller.policy.batch and now >= self._away_until:
            self._urgent.set()
        if self._teller is None:
            self._told = asyncio.get_running_loop().create_future()
            # It belongs to no caller: neither to his request nor to his transaction.
            self._teller = asyncio.create_task(self._tell_all(), name="rate_limit.tell", context=Context())

    async def _ask(self) -> bool:
        """Wait until the database has been told; False where it does not answer soon."""
        if self._teller is None or self._told is None:
            return False
        self._urgent.set()
        try:
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                return await asyncio.shield(self._told)
        except TimeoutError:
            return False

    async def _tell_all(self) -> None:
        try:
            while self._dirty:
                self._told = self._told or asyncio.get_running_loop().create_future()
                try:
                    async with asyncio.timeout(max(0.0, self._due - self._monotonic())):
                        await self._urgent.wait()
                except TimeoutError:
                    pass
                self._urgent.clear()
                done = await self._tell_some()
                told, self._told = self._told, None
                told.set_result(done)
        finally:
            if self._told is not None:
                self._told.cancel()
            self._told = self._teller = None

    async def _tell_some(self) -> bool:
        """One statement; whether the database took it."""
        keys = list(self._dirty)[:_ROWS_MOST]
        telling = {_hashed(*key): self._dirty.pop(key) for key in keys}
        now = self._monotonic()
        since = {key: caller.bucket.since for key, caller in telling.items()}
        counts = [caller.bucket.begin_sending() for caller in telling.values()]
        try:
            async with asyncio.timeout(_TELL_TIMEOUT_S):
                busy = await self._tell(list(telling), list(telling.values()), counts, now)
        except Exception as error:
            if is_weather(error):
                log.warning("rate_limit.weather", error=type(error).__name__)
            else:
                log.exception("rate_limit.failed")
            self._away_until = self._due = self._monotonic() + _AWAY_S
            for key, caller in telling.items():
                caller.bucket.not_sent(since[key])
                self._dirty.setdefault((caller.policy, caller.who), caller)
            return False
        for key, caller in telling.items():
            caller.bucket.sent(caller.policy, busy[key] * caller.policy.rate, now)
        return True

    async def _tell(
        self, keys: Sequence[bytes], callers: Sequence[_Caller], counts: Sequence[int], now: float
    ) -> dict[bytes, float]:
        """For how many seconds each bucket is busy."""
        ages = [max(0.0, now - caller.bucket.since) for caller in callers]
        costs = [count / caller.policy.rate for count, caller in zip(counts, callers, strict=True)]
        most = [2.0 * caller.policy.window_s for caller in callers]
        async with self._database.connection() as connection:
            rows = await connection.fetch(_TELL, keys, ages, costs, most)
            if now - self._swept_at > _SWEEP_S:
                self._swept_at = now
                await connection.execute(_SWEEP)
        return {row["key"]: row["busy_s"] for row in rows}


def _hashed(policy: RatePolicy, who: str) -> bytes:
    """Nobody's address or name is stored."""
    return hashlib.blake2b(f"{policy.name}:{who}".encode(), digest_size=16).digest()
