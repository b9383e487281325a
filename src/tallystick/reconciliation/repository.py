"""SQL of reconcile runs, of the differences they find, and of what their lists have shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from tallystick.core.ids import new_id
from tallystick.platform.database import Connection, Record, Transaction
from tallystick.reconciliation.models import Difference, DifferenceFilter, Found, Mode, Run, Scope

__all__ = ["DifferenceRepository", "RunRepository"]

_RUN = ", ".join(Run.__struct_fields__)
_DIFFERENCE = ", ".join(Difference.__struct_fields__)
_HISTORY = 20

# One row for each field of each object: a difference that comes again is the same one, with its history.
_NOTE = f"""
    INSERT INTO reconcile_differences AS d (
        id, object, stripe_id, field, ours, stripe, cause, state, found_at, seen_at, closed_at, closed_by, run_id,
        history)
    SELECT new.id, $1, $2, new.field, new.ours::jsonb, new.stripe::jsonb, new.cause, $3, $4, $4,
        CASE WHEN $3 <> 'open' THEN $4::timestamptz END, CASE WHEN $3 <> 'open' THEN $5 END, $6, new.story::jsonb
    -- JSON as text: of a list of lists the driver makes an array of two dimensions.
    FROM unnest($7::uuid[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
        AS new (id, field, ours, stripe, cause, story)
    ON CONFLICT (object, stripe_id, field) DO UPDATE SET
        ours = excluded.ours, stripe = excluded.stripe, cause = excluded.cause, state = excluded.state,
        times_seen = d.times_seen + 1, seen_at = excluded.seen_at, closed_at = excluded.closed_at,
        closed_by = excluded.closed_by, run_id = excluded.run_id,
        history = (SELECT coalesce(jsonb_agg(one ORDER BY n), '[]')
                   FROM jsonb_array_elements(d.history || excluded.history) WITH ORDINALITY AS t (one, n)
                   WHERE n > jsonb_array_length(d.history || excluded.history) - {_HISTORY})
"""


class RunRepository:
    """Reads and writes `reconcile_runs` and `reconcile_seen`."""

    async def insert(
        self, connection: Connection, mode: Mode, scope: Scope, requested_by: str, now: datetime, *, state: str
    ) -> Run:
        """A new run, `queued` or `running`."""
        row = await connection.fetchrow(
            f"""
            INSERT INTO reconcile_runs (id, mode, scope, requested_by, state, created_at, started_at)
            VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $5 = 'running' THEN $6::timestamptz END) RETURNING {_RUN}
            """,
            new_id(),
            mode,
            msgspec.to_builtins(scope),
            requested_by,
            state,
            now,
        )
        assert row is not None
        return _run(row)

    async def begin(self, connection: Connection, run_id: UUID, now: datetime) -> None:
        await connection.execute(
            "UPDATE reconcile_runs SET state = 'running', started_at = coalesce(started_at, $2) WHERE id = $1",
            run_id,
            now,
        )

    async def save(
        self, connection: Connection, run_id: UUID, cursor: Mapping[str, Any], counts: Mapping[str, int]
    ) -> None:
        """How far a run has come, and what it has counted."""
        names = list(counts)
        changes = ", ".join(f"{name} = ${n}" for n, name in enumerate(names, 3))
        await connection.execute(
            f"UPDATE reconcile_runs SET cursor = $2, {changes} WHERE id = $1", run_id, dict(cursor), *counts.values()
        )

    async def reach(self, connection: Connection, run_id: UUID, from_at: datetime | None, until_at: datetime) -> None:
        """Between which moments of business time a run looks."""
        await connection.execute(
            "UPDATE reconcile_runs SET from_at = $2, until_at = $3 WHERE id = $1", run_id, from_at, until_at
        )

    async def finish(self, tx: Transaction, run_id: UUID, now: datetime, error: str | None = None) -> None:
        """End a run, `failed` with an error; what its lists have shown is forgotten unless it may go on."""
        await tx.execute(
            "UPDATE reconcile_runs SET state = $2, finished_at = $3, error = $4 WHERE id = $1",
            run_id,
            "failed" if error else "done",
            now,
            error,
        )
        await tx.execute("DELETE FROM reconcile_seen WHERE run_id = $1", run_id)

    async def find(self, connection: Connection, run_id: UUID) -> Run | None:
        row = await connection.fetchrow(f"SELECT {_RUN} FROM reconcile_runs WHERE id = $1", run_id)
        return _run(row) if row else None

    async def open(self, connection: Connection) -> list[Run]:
        """Walks that are queued, under way, or were left behind in the middle; the oldest first."""
        rows = await connection.fetch(
            f"""
            SELECT {_RUN} FROM reconcile_runs WHERE state IN ('queued', 'running') AND NOT scope ? 'ids'
            ORDER BY created_at, id
            """
        )
        return [_run(row) for row in rows]

    async def last(self, connection: Connection, mode: Mode, *, whole: bool = False) -> Run | None:
        """The newest run of a mode that is done; `whole`: that looked at all there is."""
        row = await connection.fetchrow(
            f"""
            SELECT {_RUN} FROM reconcile_runs
            WHERE mode = $1 AND state = 'done' AND (NOT $2 OR scope = '{{}}') ORDER BY id DESC LIMIT 1
            """,
            mode,
            whole,
        )
        return _run(row) if row else None

    async def last_began(self, connection: Connection, mode: Mode) -> datetime | None:
        found: datetime | None = await connection.fetchval(
            """
            SELECT coalesce(started_at, created_at) FROM reconcile_runs
            WHERE mode = $1 AND scope = '{}' ORDER BY id DESC LIMIT 1
            """,
            mode,
        )
        return found

    async def added_since(self, connection: Connection, run_id: UUID) -> int:
        """How many objects incremental runs found to be made since this run."""
        total: int = await connection.fetchval(
            """
            SELECT coalesce(sum(added), 0)::bigint FROM reconcile_runs
            WHERE mode = 'incremental' AND state = 'done' AND id > $1
            """,
            run_id,
        )
        return total

    async def forget(self, connection: Connection, before: datetime) -> None:
        """Remove what runs before this moment left, but for the newest ones."""
        await connection.execute(
            """
            DELETE FROM reconcile_runs WHERE created_at < $1 AND (state IN ('done', 'failed') OR scope ? 'ids')
            AND id <> ALL(SELECT DISTINCT ON (mode, scope) id FROM reconcile_runs
                          WHERE state = 'done' ORDER BY mode, scope, id DESC)
            """,
            before,
        )

    async def saw(self, connection: Connection, run_id: UUID, kind: str, stripe_ids: Sequence[str]) -> None:
        """Note what a list has shown."""
        await connection.execute(
            """
            INSERT INTO reconcile_seen (run_id, object, stripe_id)
            SELECT $1, $2, unnest($3::text[]) ON CONFLICT DO NOTHING
            """,
            run_id,
            kind,
            list(stripe_ids),
        )


class DifferenceRepository:
    """Reads and writes `reconcile_differences`."""

    async def note(self, tx: Transaction, run_id: UUID, found: Found, by: str, now: datetime) -> None:
        """What was found of one object, and what became of it; fields that differed before and no longer do, pass."""
        fields = [difference.field for difference in found.differences]
        await self._pass(tx, found.object, found.stripe_id, fields, now)
        if not fields:
            return
        stories = [
            [
                {
                    "at": msgspec.to_builtins(now),
                    "what": "found" if found.state == "open" else found.state,
                    "cause": found.causes[difference.field],
                    "ours": difference.ours,
                    "stripe": difference.stripe,
                    "by": by,
                }
            ]
            for difference in found.differences
        ]
        await tx.execute(
            _NOTE,
            found.object,
            found.stripe_id,
            found.state,
            now,
            by,
            run_id,
            [new_id() for _ in fields],
            fields,
            [_json(difference.ours) for difference in found.differences],
            [_json(difference.stripe) for difference in found.differences],
            [found.causes[field] for field in fields],
            [_json(story) for story in stories],
        )

    async def _pass(self, tx: Transaction, kind: str, stripe_id: str, but: Sequence[str], now: datetime) -> None:
        await tx.execute(
            """
            UPDATE reconcile_differences SET state = 'passed', closed_at = $4
            WHERE object = $1 AND stripe_id = $2 AND state = 'open' AND field <> ALL($3)
            """,
            kind,
            stripe_id,
            list(but),
            now,
        )

    async def open_objects(self, connection: Connection, but: UUID, limit: int) -> list[tuple[str, str]]:
        """Kind and id of objects that runs other than `but` saw to differ, the longest ago first."""
        rows = await connection.fetch(
            """
            SELECT object, stripe_id FROM reconcile_differences
            WHERE state = 'open' AND run_id IS DISTINCT FROM $1
            GROUP BY object, stripe_id ORDER BY min(seen_at) LIMIT $2
            """,
            but,
            limit,
        )
        return [(row[0], row[1]) for row in rows]

    async def unequal(self, connection: Connection) -> int:
        """How many objects differ, as far as is known."""
        count: int = await connection.fetchval(
            """
            SELECT count(*) FROM
                (SELECT DISTINCT object, stripe_id FROM reconcile_differences WHERE state = 'open') AS open
            """
        )
        return count

    async def by_cause(self, connection: Connection) -> dict[str, int]:
        """How many differences are open, by cause."""
        rows = await connection.fetch(
            "SELECT cause, count(*) FROM reconcile_differences WHERE state = 'open' GROUP BY cause ORDER BY cause"
        )
        return {row[0]: row[1] for row in rows}

    async def find(self, connection: Connection, difference_id: UUID) -> Difference | None:
        row = await connection.fetchrow(f"SELECT {_DIFFERENCE} FROM reconcile_differences WHERE id = $1", difference_id)
        return _difference(row) if row else None

    async def page(
        self, connection: Connection, wanted: DifferenceFilter, *, after: Difference | None, limit: int
    ) -> list[Difference]:
        """Differences, the last seen first, beyond `after`."""
        conditions, values = ["true"], list[Any]()
        for name in wanted.__struct_fields__:
            if (value := getattr(wanted, name)) is not None:
                values.append(value)
                conditions.append(f"{name} = ${len(values)}")
        if after is not None:
            values += [after.seen_at, after.id]
            conditions.append(f"(seen_at, id) < (${len(values) - 1}, ${len(values)})")
        rows = await connection.fetch(
            f"""
            SELECT {_DIFFERENCE} FROM reconcile_differences WHERE {" AND ".join(conditions)}
            ORDER BY seen_at DESC, id DESC LIMIT {limit:d}
            """,
            *values,
        )
        return [_difference(row) for row in rows]


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _run(row: Record) -> Run:
    return Run(**{**row, "scope": msgspec.convert(row["scope"], Scope)})


def _difference(row: Record) -> Difference:
    return Difference(**row)
