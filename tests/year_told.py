"""One run of `tallystick demo subscription`: what it showed, the database it left, and when what should have been."""

import calendar
import math
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import asyncpg

from running_dev import RunningDev

__all__ = ["HOUR", "NEAR", "Told", "amounts_of", "assert_timeline", "day", "moments_of", "run_of", "tell_year"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEAR = timedelta(minutes=2)
"""What the wall clock adds while the year passes, and more."""


@dataclass
class Told:
    """A whole run: what it showed, how long it took, and the database it left."""

    text: str
    took_s: float
    sql: "asyncpg.Connection[Any]"
    start: datetime

    @property
    def user(self) -> str:
        return f"demo-{self.run}"

    @property
    def run(self) -> str:
        return run_of(self.text)

    async def rows(self, query: str) -> list[Any]:
        return await self.sql.fetch(query, self.user)


def run_of(text: str) -> str:
    """What is only in the names of this run."""
    found = re.search(r"ann-(\w+)@", text)
    assert found, text
    return found[1]


@asynccontextmanager
async def tell_year(dev: RunningDev) -> AsyncIterator[Told]:
    """A whole run through a pipe."""
    began = time.monotonic()
    done = dev.call("demo", "subscription")
    took_s = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    sql = await asyncpg.connect(dev.json["database_url"])
    try:
        start = await sql.fetchval(
            "SELECT trial_start FROM subscriptions s JOIN users u ON u.id = s.user_id WHERE u.external_id = $1",
            f"demo-{run_of(done.stdout)}",
        )
        yield Told(done.stdout, took_s, sql, start)
    finally:
        await sql.close()


def months_after(start: datetime, count: int) -> datetime:
    """The day of `start` so many months later, or the last of that month."""
    years, month = divmod(start.month - 1 + count, 12)
    last = calendar.monthrange(start.year + years, month + 1)[1]
    return start.replace(year=start.year + years, month=month + 1, day=min(start.day, last))


def moments_of(start: datetime) -> dict[str, datetime]:
    trial = start + 14 * DAY
    months = {f"month {count}": months_after(trial, count) for count in range(1, 12)}
    failure = months["month 4"] + HOUR
    return {
        "start": start,
        "card": start + 3 * DAY,
        "trial's end - 3d": trial - 3 * DAY,
        "trial's end": trial,
        "trial's end + 1h": trial + HOUR,
        **months,
        **{f"{name} + 1h": at + HOUR for name, at in months.items()},
        "upgrade": months["month 1"] + 2 * HOUR + 15 * DAY,
        "seats": months["month 2"] + 2 * HOUR + 10 * DAY,
        "bad card": months["month 3"] + 2 * HOUR + 12 * DAY,
        "failure": failure,
        "grace over": failure + 3 * DAY,
        "recovery": failure + 3 * DAY + HOUR + 2 * DAY,
        "pause": months["month 5"] + 2 * HOUR + 20 * DAY,
        "resume": months["month 6"] + 2 * HOUR + 8 * DAY,
        "farewell": months["month 11"] + 2 * HOUR + 10 * DAY,
        "end": months_after(trial, 12),
    }


def day(at: datetime) -> str:
    return f"{at.day} {at:%b}"


def assert_timeline(told: Told, found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    """Each row (which begins with a time) is one that is expected (by a moment's name), at its time, and none is left.

    What comes at one moment comes in any order.
    """
    moments = moments_of(told.start)
    assert sorted(map(str, (row[1:] for row in found))) == sorted(map(str, (row[1:] for row in expected)))
    left = list(found)
    for name, *what in expected:
        there = [row for row in left if list(row[1:]) == what and abs(row[0] - moments[name]) < NEAR]
        assert there, (name, moments[name], what, left)
        left.remove(there[0])


def part_of(monthly: int, at: datetime, start: datetime, end: datetime) -> int:
    """What the rest of a month costs, or gives back, to the second and to the nearest cent."""
    exact = Fraction(monthly) * Fraction(int((end - at).total_seconds()), int((end - start).total_seconds()))
    return math.ceil(exact - Fraction(1, 2))


async def amounts_of(told: Told) -> dict[str, int]:
    """What hangs on the length of the months, reckoned from the moment that the lines of these invoices tell."""
    moments = moments_of(told.start)
    rows = await told.rows(
        """
        SELECT DISTINCT l.period_start AS at FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
            JOIN users u ON u.id = i.user_id
        WHERE u.external_id = $1 AND l.proration ORDER BY at
        """
    )
    upgrade, seats = (row["at"] for row in rows)
    assert abs(upgrade - moments["upgrade"]) < NEAR
    assert abs(seats - moments["seats"]) < NEAR
    first, second, third = (moments[f"month {count}"] for count in (1, 2, 3))
    return {
        "upgrade": part_of(-1500, upgrade, first, second) + part_of(4500, upgrade, first, second),
        "seats": part_of(-4500, seats, second, third) + part_of(13500, seats, second, third) + 13500,
    }
