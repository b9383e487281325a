"""What an invariant is, and what is found where one does not hold."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from tallystick.platform.database import Connection

__all__ = ["FOUND_MOST", "Invariant", "Scope", "Violation", "by_sql"]

FOUND_MOST = 20
"""More offending rows than these are not told; that there are so many is enough to know."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at: rows that are newer than both, by our ids (which sort by time) and by business time."""

    first_id: UUID
    since: datetime
    allow_multiple_subscriptions: bool = False


Find: TypeAlias = Callable[[Connection, Scope], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that always holds. `number` is its place among the ten of the design.

    `find` returns what offends it, at most `FOUND_MOST` lines of ids and states, without secrets or names. `quiet`: it
    holds only where nothing is under way; while events arrive it may be broken for a moment.
    """

    name: str
    number: int
    sentence: str
    action: str
    find: Find
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold, and what offends it."""

    invariant: Invariant
    found: tuple[str, ...]


def by_sql(sql: str) -> Find:
    """Offending rows by one statement, which is one view of the database.

    It has one column, a text, and may name the scope's `$1` (first id), `$2` (business time), `$3` (whether a user may
    have several subscriptions).
    """
    # All three are named, so that a statement which needs fewer can be given them.
    whole = (
        f"WITH scope AS (SELECT $1::uuid AS first_id, $2::timestamptz AS since, $3::boolean AS several) "
        f"SELECT found FROM ({sql}) AS offending (found), scope LIMIT {FOUND_MOST}"
    )

    async def find(connection: Connection, scope: Scope) -> Sequence[str]:
        rows = await connection.fetch(whole, scope.first_id, scope.since, scope.allow_multiple_subscriptions)
        return [row["found"] for row in rows]

    return find
