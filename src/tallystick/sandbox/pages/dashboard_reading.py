"""What the dashboard shows, read by indexes only: no page becomes slow because the store is full."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from tallystick.sandbox.catalog import INDEXED, fresh
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.lists import page
from tallystick.sandbox.shapes import Json, canonical, clone, decode
from tallystick.sandbox.versions import render

__all__ = ["MOST", "DashboardReader"]

MOST = 1000
"""So far is counted what is only a hint."""
_CHOICES = 60
_UNDELIVERED = """
    SELECT d.id, d.event, d.endpoint, d.due_at, d.state, d.tries, o.body
    FROM deliveries d JOIN objects o ON o.seq = d.event_seq
    WHERE d.state <> 'delivered' AND d.state = ? AND (d.event_seq, d.id) < (?, ?)
    ORDER BY d.event_seq DESC, d.id DESC LIMIT ?
"""
# From one value straight to the next: the index holds one row for each object.
_VALUES = """
    WITH RECURSIVE found(value) AS (
        SELECT min(value) FROM refs WHERE object = ?1 AND field = ?2
        UNION ALL
        SELECT (SELECT min(value) FROM refs WHERE object = ?1 AND field = ?2 AND value > found.value)
        FROM found WHERE found.value IS NOT NULL)
    SELECT value FROM found WHERE value IS NOT NULL LIMIT ?3
"""


class DashboardReader:
    """Reads the store of one sandbox."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counted: Counter[str] = Counter()
        self._counted_of, self._counted_to = "", 0

    def counts(self) -> dict[str, int]:
        """How many objects there are, by kind. Only those are counted that came since the last time."""
        account = self._engine.ids.account_id
        if account != self._counted_of:
            self._counted_of, self._counted_to, self._counted = account, 0, Counter()
        run = self._engine.store.execute
        # The first time all rows of an index, then the few new rows of the table.
        how = "NOT INDEXED" if self._counted_to else ""
        sql = f"SELECT object, count(*), max(seq) FROM objects {how} WHERE seq > ? GROUP BY object"
        for kind, count, newest in run(sql, self._counted_to).fetchall():
            self._counted[kind] += count
            self._counted_to = max(self._counted_to, newest)
        deleted = Counter(dict(run("SELECT object, count(*) FROM objects WHERE deleted GROUP BY object").fetchall()))
        return dict(self._counted - deleted)

    def listed(self, kind: str, params: Json, filters: Mapping[str, str | None]) -> tuple[list[Json], bool]:
        """A page of a kind, newest first, and whether there are more in the direction that was asked for.

        `params` are `limit` and a cursor, `filters` indexed fields. Raises ApiError for a cursor that is none.
        """
        with self._engine.unit() as ctx:
            found = page(ctx, kind, "", params, filters)
            return [clone(value) for value in found["data"]], found["has_more"]

    def object(self, object_id: str) -> Json | None:
        """One object as the API shows it now at the account's version; a deleted one as it last was, where known."""
        with self._engine.unit() as ctx:
            value = ctx.store.last_form(object_id)
            if value is None:
                return None
            deleted = (ctx.store.get(object_id) or {}).get("deleted", False)
            shown = clone(fresh(ctx, value))
            if value["object"] != "event":
                shown = canonical(render(shown, self._engine.settings.api_version, ctx.store.last_form))
            return {**shown, "deleted": True} if deleted else shown

    def known(self, ids: Collection[str]) -> set[str]:
        """Those of the ids that are in the store."""
        if not ids:
            return set()
        marks = ", ".join("?" * len(ids))
        rows = self._engine.store.execute(f"SELECT id FROM objects WHERE id IN ({marks})", *ids).fetchall()
        return {row[0] for row in rows}

    def starting_with(self, text: str, limit: int) -> list[tuple[str, str]]:
        """Id and kind of objects whose ids start so."""
        rows = self._engine.store.execute(
            "SELECT id, object FROM objects WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", text, f"{text}\x7f", limit
        )
        return rows.fetchall()

    def values(self, kind: str, field: str) -> list[str]:
        """The values that an indexed field has, a handful of them."""
        return [row[0] for row in self._engine.store.execute(_VALUES, kind, field, _CHOICES)]

    def referring(self, value: Json) -> list[tuple[str, str, int]]:
        """Kind, field and number (at most `MOST`) of the objects that name this one in an indexed field."""
        name, found = value["object"].rpartition(".")[2], []
        for kind, fields in INDEXED.items():
            for field in fields:
                if field.rpartition(".")[2] not in (name, "source"):
                    continue
                row = self._engine.store.execute(
                    "SELECT count(*) FROM (SELECT 1 FROM refs WHERE object = ? AND field = ? AND value = ? LIMIT ?)",
                    kind, field, value["id"], MOST,
                ).fetchone()  # fmt: skip
                if row[0]:
                    found.append((kind, field, int(row[0])))
        return found

    def delivery_states(self, event_ids: Collection[str]) -> dict[str, dict[str, int]]:
        """How many deliveries of these events are in which state."""
        if not event_ids:
            return {}
        marks = ", ".join("?" * len(event_ids))
        states: dict[str, dict[str, int]] = defaultdict(dict)
        rows = self._engine.store.execute(
            f"SELECT event, state, count(*) FROM deliveries WHERE event IN ({marks}) GROUP BY event, state", *event_ids
        ).fetchall()
        for event, state, count in rows:
            states[event][state] = count
        return states

    def undelivered(self, state: str, *, before: int | None, limit: int) -> tuple[list[Json], bool]:
        """Deliveries in a state other than `delivered`, those of the newest events first, and whether there are more.

        `before` is the id of a delivery.
        """
        run = self._engine.store.execute
        start = run("SELECT event_seq, id FROM deliveries WHERE id = ?", before).fetchone() or (1 << 62, 1 << 62)
        rows = run(_UNDELIVERED, state, *start, limit + 1).fetchall()
        names = ("id", "event", "endpoint", "due_at", "state")
        found = [
            {**dict(zip(names, row[:5], strict=True)), "tries": decode(row[5]), "type": decode(row[6])["type"]}
            for row in rows
        ]
        return found[:limit], len(found) > limit

    def undelivered_counts(self) -> dict[str, int]:
        """How many deliveries did not succeed (yet), by their state."""
        sql = "SELECT state, count(*) FROM deliveries WHERE state <> 'delivered' GROUP BY state"
        return dict(self._engine.store.execute(sql).fetchall())

    def next_moments(self, limit: int) -> list[dict[str, Any]]:
        """The next due moments of the sandbox itself: when, what, of which object."""
        rows = self._engine.store.execute("SELECT due_at, kind, ref FROM jobs ORDER BY due_at, id LIMIT ?", limit)
        return [dict(zip(("due_at", "kind", "ref"), row, strict=True)) for row in rows]
