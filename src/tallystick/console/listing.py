"""Lists of the console: which columns, which filters, in what order; and the SQL of one page of one. Pure.

A list is read by keyset: the page after a row begins at that row's place in an index, however far that is. A filter has
an index of its own, or most rows pass it (`make bench ARGS=console` shows which), and every statement has a time limit.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from tallystick.console.errors import CursorInvalid, FilterInvalid
from tallystick.core.ids import first_id

__all__ = ["Column", "Cursor", "Filter", "Listing", "Order", "Query", "query_of"]

Shown = Literal["text", "money", "time", "status", "mono", "flag", "number"]
Type = Literal["text", "timestamptz", "id_of_time"]

_CURSOR_MOST = 200
_TEXT_MOST = 320


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `sql` gives its value (the name, by default). `money` stands in the row's `currency`; a column with a
    `link` leads to a page, whose address has the row's values in braces. On a phone only those that are `main` show."""

    name: str
    label: str
    shown: Shown = "text"
    sql: str | None = None
    link: str | None = None
    main: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """What narrows a list. `sql` has a `{}` for its value; without `choices` it is typed in, and is always an argument.

    A choice stands in the statement itself, as only so an index of few rows (`WHERE state = 'dead'`) serves; `cases`
    has the condition of a choice that is another one. `id_of_time`: a time, for ids that begin with theirs.
    """

    name: str
    label: str
    sql: str
    type: Type = "text"
    choices: Sequence[str] = ()
    hint: str = ""
    cases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """An order that an index has: by `column` (a time; None: the id alone), then by `id`; or `up`, from its end."""

    name: str
    label: str
    column: str | None
    up: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: what follows FROM, the row's id, columns, filters, orders (the first is the usual one)."""

    name: str
    title: str
    source: str
    id: str
    columns: Sequence[Column]
    filters: Sequence[Filter]
    orders: Sequence[Order]
    empty: str
    hidden: Sequence[Column] = field(default=())
    """Read with the others, and shown nowhere: for links and money."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A row's place in an order, and whether the page before it is wanted rather than the one after it."""

    at: datetime | None
    id: str
    back: bool = False

    def text(self) -> str:
        """As it stands in an address."""
        value = [self.at.isoformat() if self.at else None, self.id, self.back]
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Raises CursorInvalid."""
        if len(text) > _CURSOR_MOST:
            raise CursorInvalid
        try:
            at, id_, back = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            time = datetime.fromisoformat(at) if at else None
            if time is not None and time.tzinfo is None:
                raise CursorInvalid
            return cls(time and time.astimezone(UTC), str(UUID(id_)), bool(back))
        except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error):
            raise CursorInvalid from None


@dataclass(frozen=True, slots=True)
class Query:
    """A statement and its arguments. Its rows have `_id` and `_at` beside the columns; `back`: they come reversed."""

    sql: str
    arguments: Sequence[Any]
    back: bool


def query_of(listing: Listing, wanted: Mapping[str, str], *, order: Order, cursor: Cursor | None, limit: int) -> Query:
    """One page of a list: `wanted` are filters by name; those that are empty do not count.

    Raises FilterInvalid.
    """
    arguments: list[Any] = []
    conditions = [
        _condition(each, value, arguments) for each in listing.filters if (value := wanted.get(each.name, "").strip())
    ]
    back = cursor is not None and cursor.back
    if cursor is not None:
        conditions.append(_beyond(listing, order, cursor, arguments))
    way = "ASC" if back is not order.up else "DESC"
    keys = ", ".join(f"{key} {way}" for key in (order.column, listing.id) if key is not None)
    columns = ", ".join(f"{each.sql or each.name} AS {each.name}" for each in (*listing.columns, *listing.hidden))
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = f"""
        SELECT {columns}, {listing.id} AS _id, {order.column or "NULL::timestamptz"} AS _at
        FROM {listing.source} {where} ORDER BY {keys} LIMIT {limit:d}
    """
    return Query(sql, arguments, back)


def _beyond(listing: Listing, order: Order, cursor: Cursor, arguments: list[Any]) -> str:
    sign = ">" if cursor.back is not order.up else "<"
    if order.column is None:
        arguments.append(UUID(cursor.id))
        return f"{listing.id} {sign} ${len(arguments)}"
    if cursor.at is None:
        raise CursorInvalid
    arguments += [cursor.at, UUID(cursor.id)]
    return f"({order.column}, {listing.id}) {sign} (${len(arguments) - 1}, ${len(arguments)})"


def _condition(each: Filter, text: str, arguments: list[Any]) -> str:
    if each.choices:
        if text not in each.choices:
            raise FilterInvalid(f"{each.label}: one of {', '.join(each.choices)}.", field=each.name)
        return each.cases.get(text) or each.sql.replace("{}", f"'{text}'")
    arguments.append(_value(each, text))
    type_ = "uuid" if each.type == "id_of_time" else each.type
    return each.sql.replace("{}", f"${len(arguments)}::{type_}")


def _value(each: Filter, text: str) -> Any:
    if "\x00" in text or len(text) > _TEXT_MOST:
        raise FilterInvalid(f"{each.label}: at most {_TEXT_MOST} characters.", field=each.name)
    if each.type == "text":
        return text
    try:
        at = datetime.fromisoformat(text)
        # A day or a time without a zone is UTC, as all times of the console are.
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        return at if each.type == "timestamptz" else first_id(at)
    except (ValueError, OverflowError):
        says = f"{each.label}: {text[:60]!r} is no time, as 2026-01-31 or 2026-01-31T14:30 is one."
        raise FilterInvalid(says, field=each.name) from None
