"""Lists: newest first, by cursor, over indexed fields only."""

from collections.abc import Mapping, Sequence
from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, no_such
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["page"]

_OPERATORS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class _Query:
    """A WHERE clause over `objects o` that grows."""

    def __init__(self, kind: str) -> None:
        self.source = "objects o"
        self.clauses = ["o.object = ?"]
        self.values: list[Any] = [kind]
        self._kind = kind

    def where(self, clause: str, *values: Any) -> None:
        self.clauses.append(clause)
        self.values.extend(values)

    def reference(self, field: str, value: str) -> None:
        if self.source == "objects o":
            # The first filter drives the query: its index already has the order of creation.
            self.source = "refs r CROSS JOIN objects o ON o.seq = r.seq"
            self.clauses[:0] = ["r.object = ? AND r.field = ? AND r.value = ?"]
            self.values[:0] = [self._kind, field, value]
        else:
            self.where(
                "EXISTS (SELECT 1 FROM refs x WHERE x.object = ? AND x.field = ? AND x.value = ? "
                "AND x.seq = o.seq)",
                self._kind, field, value,
            )  # fmt: skip

    def created(self, bounds: Mapping[str, int], *, in_order: bool) -> None:
        for operator, moment in bounds.items():
            self.where(f"o.created {_OPERATORS[operator]} ?", moment)
            if not in_order:
                continue
            if operator in ("gt", "gte", "eq"):
                # Creation times rise with `seq`: this stops the scan at the first object in range.
                self.where(
                    "o.seq >= (SELECT seq FROM objects WHERE object = ? AND created >= ? "
                    "ORDER BY created, seq LIMIT 1)",
                    self._kind, moment,
                )  # fmt: skip
            if operator in ("lt", "lte", "eq"):
                self.where(
                    "o.seq <= (SELECT seq FROM objects WHERE object = ? AND created <= ? "
                    "ORDER BY created DESC, seq DESC LIMIT 1)",
                    self._kind, moment,
                )  # fmt: skip

    def text(self) -> str:
        return f"FROM {self.source} WHERE {' AND '.join(self.clauses)} AND NOT o.deleted"


def page(
    ctx: Context,
    kind: str,
    url: str,
    params: Json,
    filters: Mapping[str, str | None] | None = None,
    *,
    count: bool = False,
    extra: Sequence[tuple[str, Sequence[Any]]] = (),
    oldest_first: bool = False,
) -> Json:
    """One page of a list.

    `filters` are indexed fields, None where not asked for; `extra` are further SQL conditions over `o`.
    `limit` is clamped to 1…100 as the real API does. Raises 400 `resource_missing` for an unknown cursor and
    400 for both cursors at once.
    """
    query = _Query(kind)
    for field, value in (filters or {}).items():
        if value is not None:
            query.reference(field, value)
    for clause, values in extra:
        query.where(clause, *values)
    if "created" in params:
        # Objects of a test clock are created at its time, whatever their place.
        query.created(params["created"], in_order=ctx.store.meta("test_clocks") is None)
    counted = _count(ctx, query) if count else None
    limit = min(max(params.get("limit", 10), 1), 100)
    backwards = _cursor(ctx, kind, params, query, oldest_first=oldest_first)
    order = "ASC" if backwards != oldest_first else "DESC"
    # With refs driving, their own column keeps the index order.
    column = "r.seq" if query.source.startswith("refs") else "o.seq"
    rows = ctx.store.select(
        f"SELECT o.seq, o.id, o.body {query.text()} ORDER BY {column} {order} LIMIT ?",
        [*query.values, limit + 1],
    )
    has_more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    return list_object(url, rows, has_more=has_more, count=counted)


def _cursor(ctx: Context, kind: str, params: Json, query: _Query, *, oldest_first: bool) -> bool:
    """Applies the cursor; answers whether the page is read against the list's own order."""
    if "starting_after" in params and "ending_before" in params:
        raise invalid("Received both starting_after and ending_before parameters. Please pass in only one.")
    for name in ("starting_after", "ending_before"):
        if name not in params:
            continue
        seq = ctx.store.seq_of(params[name])
        if seq is None or (ctx.store.get(params[name]) or {}).get("object") != kind:
            raise no_such(kind, params[name], param=name, status=400)
        after = (name == "starting_after") == oldest_first
        query.where(f"o.seq {'>' if after else '<'} ?", seq)
    return "ending_before" in params


def _count(ctx: Context, query: _Query) -> int:
    row = ctx.store.execute(f"SELECT count(*) {query.text()}", *query.values).fetchone()
    number: int = row[0]
    return number
