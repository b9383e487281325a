"""Filling a sandbox with a big account: thousands of objects a second, straight into its store.

What is made is past and does nothing by itself: no events, no due moments, so moving the clock stays quick.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tallystick.sandbox.engine import Engine
from tallystick.sandbox.ids import IdMaker
from tallystick.sandbox.seed_families import EMAIL, Family, make_catalogue, make_families
from tallystick.sandbox.shapes import Json, decode

__all__ = ["seed", "seed_at_once"]

_FAMILIES_A_UNIT = 200
_YEARS_S = 3 * 365 * 86400
_LATELY_S = 27 * 86400
"""What goes on was made in the last weeks: within its first period."""
_LATELY_SHARE = 0.4
_TIME = re.compile(rb":(1\d{9})(?=[,}])")


async def seed(engine: Engine, objects: int) -> Json:
    """Add at least `objects` objects; others are served meanwhile. Answers what was made, and how long it took."""
    began, made = time.monotonic(), {"customers": 0, "objects": 0}
    for customers, count in _units(engine, objects):
        made = {"customers": made["customers"] + customers, "objects": made["objects"] + count}
        await asyncio.sleep(0)
    return {**made, "took_s": round(time.monotonic() - began, 3)}


def seed_at_once(engine: Engine, objects: int) -> Json:
    """The same where nobody is served yet."""
    began, units = time.monotonic(), list(_units(engine, objects))
    made = {"customers": sum(unit[0] for unit in units), "objects": sum(unit[1] for unit in units)}
    return {**made, "took_s": round(time.monotonic() - began, 3)}


def _units(engine: Engine, objects: int) -> Iterator[tuple[int, int]]:
    """Transaction by transaction: how many customers and objects each added."""
    now = engine.clock.unix()
    last = engine.store.execute("SELECT coalesce(max(created), 0) FROM objects").fetchone()[0]
    start = max(last, now - _YEARS_S)
    with engine.unit() as ctx:
        first = ctx.store.execute("SELECT coalesce(max(seq), 0) FROM objects").fetchone()[0]
        price_ids = make_catalogue(replace(ctx, moment=start))
        engine.events.discard()
        ctx.store.execute("DELETE FROM objects WHERE seq > ? AND object = 'event'", first)
        count = ctx.store.execute("SELECT count(*) FROM objects WHERE seq > ?", first).fetchone()[0]
    yield 0, count
    families = make_families(engine, price_ids)
    total = max(1, round((objects - count) / _size(families)))
    known = engine.store.execute("SELECT count(*) FROM objects WHERE object = 'customer'").fetchone()[0]
    copier = _Copier(engine.ids, known)
    number = 0
    while count < objects:
        until = max(number + 1, min(number + _FAMILIES_A_UNIT, total))
        added = 0
        with engine.unit() as ctx:
            for each in range(number, until):
                at = _moment(each / total, start, now)
                family = _of(families, each, lately=at >= now - _LATELY_S)
                bodies, notes = copier.copy(family, each, at)
                for body in bodies:
                    ctx.store.put(decode(body), body)
                for note in notes:
                    ctx.store.set_note(*note)
                added += len(bodies)
        count += added
        yield until - number, added
        number = until


def _size(families: Sequence[Family]) -> float:
    """How many objects a family has, on average over all that will be made."""
    old = [len(family.bodies) for family in families if not family.current]
    lately = [len(family.bodies) for family in families]
    return (1 - _LATELY_SHARE) * sum(old) / len(old) + _LATELY_SHARE * sum(lately) / len(lately)


def _moment(share: float, start: int, now: int) -> int:
    """Times rise with the order of making; the last weeks are the busiest."""
    lately = max(start, now - _LATELY_S)
    if share < 1 - _LATELY_SHARE:
        return start + int((lately - start) * share / (1 - _LATELY_SHARE))
    return min(now, lately + int((now - lately) * (share - 1 + _LATELY_SHARE) / _LATELY_SHARE))


def _of(families: Sequence[Family], number: int, *, lately: bool) -> Family:
    fitting = [family for family in families if lately or not family.current]
    return fitting[number % len(fitting)]


class _Copier:
    """Copies families: other ids, other times, and a customer with an address of its own."""

    def __init__(self, ids: IdMaker, known: int) -> None:
        """`known`: how many customers there are already."""
        self._ids = ids
        self._known = known
        self._patterns: dict[int, re.Pattern[bytes]] = {}

    def copy(self, family: Family, number: int, at: int) -> tuple[list[bytes], list[tuple[str, str, str]]]:
        """The bodies and notes of one copy, made at `at`."""
        renamed = {old.encode(): (old[:-8] + self._ids.characters(8)).encode() for old in family.ids}
        renamed[EMAIL.encode()] = f"customer-{self._known + number:07}@example.com".encode()
        pattern = self._pattern(family, renamed)
        shift = at - family.created

        def rename(found: re.Match[bytes]) -> bytes:
            return renamed[found[0]]

        def move(found: re.Match[bytes]) -> bytes:
            return b":%d" % (int(found[1]) + shift)

        bodies = [_TIME.sub(move, pattern.sub(rename, body)) for body in family.bodies]
        notes = [
            (renamed[owner.encode()].decode(), name, pattern.sub(rename, value.encode()).decode())
            for owner, name, value in family.notes
        ]
        return bodies, notes

    def _pattern(self, family: Family, renamed: dict[bytes, bytes]) -> re.Pattern[bytes]:
        """What finds the ids of a family."""
        known = self._patterns.get(id(family))
        if known is None:
            longest_first = sorted(renamed, key=len, reverse=True)
            known = self._patterns[id(family)] = re.compile(b"|".join(re.escape(old) for old in longest_first))
        return known
