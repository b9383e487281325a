"""SQL that reads the mirror, the inbox and the queues for reconcile; and that removes a row Stripe knows nothing of.

Whatever else is written to the mirror is written by the recorders of its areas.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tallystick.platform.database import Connection, Record, Transaction
from tallystick.reconciliation.compare import COMPARED
from tallystick.reconciliation.compare_rules import Row
from tallystick.reconciliation.kinds import Kind
from tallystick.webhooks.models import ClaimedEvent
from tallystick.webhooks.repository_archive import ARCHIVED_PAYLOAD

__all__ = ["Evidence", "MirrorReader"]

_SNAPSHOTS = 40
_STORY = 1000
# What hangs on a row and goes with it, children before parents.
_CHILDREN: Mapping[str, Sequence[tuple[str, str]]] = {
    "payments": (("disputes", "payment_id"), ("refunds", "payment_id"), ("charges", "payment_id")),
    "subscriptions": (
        ("dunning_runs", "subscription_id"),
        ("access_grants", "subscription_id"),
        ("subscription_history", "subscription_id"),
    ),
    "invoices": (("invoice_lines", "invoice_id"),),
}


class MirrorReader:
    """Rows of the mirror, whole, as plain values."""

    async def rows(self, connection: Connection, kind: Kind, stripe_ids: Sequence[str]) -> dict[str, Row]:
        """The rows of these objects, by Stripe's id, with what their comparison needs beside their columns."""
        extra = COMPARED[kind.object].extra
        found = await connection.fetch(
            f"SELECT t.*{',' if extra else ''} {extra} FROM {kind.table} t WHERE {kind.stripe_id} = ANY($1)",
            list(stripe_ids),
        )
        return {str(row[kind.stripe_id]): _plain(row) for row in found}

    async def not_seen(
        self, connection: Connection, kind: Kind, run_id: UUID, since: datetime | None, after: UUID, limit: int
    ) -> list[tuple[UUID, str]]:
        """Our id and Stripe's of rows that the lists of a run did not show, in the order of our ids."""
        rows = await connection.fetch(
            f"""
            SELECT t.id, t.{kind.stripe_id} FROM {kind.table} t
            WHERE t.id > $1 AND t.{kind.stripe_id} IS NOT NULL AND ($4::timestamptz IS NULL OR t.created_at >= $4)
              AND NOT EXISTS (SELECT FROM reconcile_seen s WHERE s.run_id = $2 AND s.object = $3
                              AND s.stripe_id = t.{kind.stripe_id})
            ORDER BY t.id LIMIT $5
            """,
            after,
            run_id,
            kind.object,
            since,
            limit,
        )
        return [(row[0], row[1]) for row in rows]

    async def customers(
        self, connection: Connection, since: datetime | None, after: UUID, limit: int
    ) -> list[tuple[UUID, str]]:
        """Our id and Stripe's of customers that are not deleted, in the order of our ids."""
        rows = await connection.fetch(
            """
            SELECT id, stripe_customer_id FROM customers
            WHERE id > $1 AND NOT deleted AND ($2::timestamptz IS NULL OR created_at >= $2) ORDER BY id LIMIT $3
            """,
            after,
            since,
            limit,
        )
        return [(row[0], row[1]) for row in rows]

    async def estimate(self, connection: Connection, tables: Sequence[str]) -> int:
        """About how many rows these tables have."""
        total: int = await connection.fetchval(
            """
            SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class
            WHERE oid = ANY(SELECT to_regclass(name) FROM unnest($1::text[]) AS name)
            """,
            list(tables),
        )
        return total

    async def remove(self, tx: Transaction, kind: Kind, row_id: UUID) -> dict[str, Any]:
        """Remove a row with what hangs on it; answers all that was removed, as JSON has it, by table."""
        gone: dict[str, Any] = {}
        for table, column in _CHILDREN.get(kind.table, ()):
            rows = await tx.fetch(f"DELETE FROM {table} WHERE {column} = $1 RETURNING to_jsonb({table}) AS row", row_id)
            if rows:
                gone[table] = [row["row"] for row in rows]
        gone[kind.table] = await tx.fetchval(
            f"DELETE FROM {kind.table} WHERE id = $1 RETURNING to_jsonb({kind.table})", row_id
        )
        return gone

    async def children(self, connection: Connection, kind: Kind, row_id: UUID) -> list[tuple[str, str | None]]:
        """Kind and Stripe's id of the charges, refunds and disputes that hang on a row; a reservation has no id."""
        if kind.table != "payments":
            return []
        rows = await connection.fetch(
            """
            SELECT 'charge', stripe_charge_id FROM charges WHERE payment_id = $1
            UNION ALL SELECT 'dispute', stripe_dispute_id FROM disputes WHERE payment_id = $1
            UNION ALL SELECT 'refund', stripe_refund_id FROM refunds WHERE payment_id = $1
            """,
            row_id,
        )
        return [(row[0], row[1]) for row in rows]


class Evidence:
    """What the inbox, the queues and the attempts say about an object."""

    async def under_way(
        self, connection: Connection, object_id: str, keys: Sequence[str], row_id: UUID | None, since: datetime
    ) -> bool:
        """Whether an event, a fetch or a call of ours is on its way that began after `since` (wall time)."""
        return bool(
            await connection.fetchval(
                """
                SELECT EXISTS (SELECT FROM webhook_events WHERE object_key = ANY($2) AND object_id = $1
                               AND state = 'pending' AND created_at > $4)
                    OR EXISTS (SELECT FROM work WHERE business_key = 'stripe.fetch:' || $1 AND state = 'queued'
                               AND created_at > $4)
                    OR EXISTS (SELECT FROM attempts WHERE (subject_id = $3 OR part_id = $3)
                               AND state IN ('requested', 'unknown') AND created_at > $4)
                """,
                object_id,
                list(keys),
                row_id,
                since,
            )
        )

    async def unapplied(self, connection: Connection, keys: Sequence[str], since: datetime) -> set[str]:
        """The objects under these keys of which the inbox has an event that was not applied, created from `since` on.

        What waits there for its turn, however long, and dead letters, which a person may yet have applied.
        """
        rows = await connection.fetch(
            """
            SELECT DISTINCT coalesce(object_id, object_key) FROM webhook_events
            WHERE object_key = ANY($1) AND state IN ('pending', 'parked', 'dead') AND event_created_at >= $2
            """,
            list(keys),
            since,
        )
        return {row[0] for row in rows}

    async def snapshots(
        self, connection: Connection, object_id: str, keys: Sequence[str]
    ) -> list[tuple[datetime, Mapping[str, Any]]]:
        """The newest states of an object that the inbox was told, newest first, as Stripe's JSON."""
        rows = await connection.fetch(
            f"""
            SELECT e.event_created_at, coalesce(e.payload, a.payload) #> '{{data,object}}' AS object
            FROM webhook_events e {ARCHIVED_PAYLOAD}
            WHERE e.object_key = ANY($2) AND e.object_id = $1
            ORDER BY e.event_created_at DESC, e.seq DESC LIMIT $3
            """,
            object_id,
            list(keys),
            _SNAPSHOTS,
        )
        return [(row[0], row[1]) for row in rows if isinstance(row[1], Mapping)]

    async def stored_events(self, connection: Connection, object_id: str, keys: Sequence[str]) -> list[ClaimedEvent]:
        """The events about an object that were applied, oldest first; at most a thousand, the last ones."""
        rows = await connection.fetch(
            f"""
            SELECT e.id, e.stripe_event_id, e.event_type AS type, e.event_created_at AS created, e.api_version,
                e.object_key, e.object_id, (coalesce(e.payload, a.payload) -> 'data')::text AS data,
                e.request_idempotency_key, e.source, e.retry_count, e.created_at AS received_at, e.error_message,
                NULL::uuid AS parked_by, coalesce(e.payload, a.payload) #>> '{{request,id}}' IS NOT NULL AS requested
            FROM webhook_events e {ARCHIVED_PAYLOAD}
            WHERE e.object_key = ANY($2) AND e.object_id = $1 AND e.state = 'processed'
              AND coalesce(e.payload, a.payload) IS NOT NULL
            ORDER BY e.event_created_at DESC, e.seq DESC LIMIT {_STORY}
            """,
            object_id,
            list(keys),
        )
        return [ClaimedEvent(**row) for row in reversed(rows)]

    async def told_types(self, connection: Connection, object_id: str, keys: Sequence[str]) -> set[str]:
        """The types of all events about an object that ever reached the inbox."""
        rows = await connection.fetch(
            "SELECT DISTINCT event_type FROM webhook_events WHERE object_key = ANY($2) AND object_id = $1",
            object_id,
            list(keys),
        )
        return {row[0] for row in rows}

    async def asked_for(self, connection: Connection, object_id: str, row_id: UUID) -> bool:
        """Whether a call of ours was about this row, or a user of ours has this object."""
        return bool(
            await connection.fetchval(
                """
                SELECT EXISTS (SELECT FROM attempts WHERE subject_id = $2 OR part_id = $2)
                    OR EXISTS (SELECT FROM users WHERE stripe_customer_id = $1)
                """,
                object_id,
                row_id,
            )
        )

    async def missing(self, connection: Connection, event_ids: Sequence[str]) -> set[str]:
        """Which of these events never reached the inbox."""
        rows = await connection.fetch(
            "SELECT stripe_event_id FROM webhook_events WHERE stripe_event_id = ANY($1)", list(event_ids)
        )
        return set(event_ids) - {row[0] for row in rows}

    async def fetched_since(self, connection: Connection, after: UUID, limit: int) -> tuple[list[str], UUID | None]:
        """The objects that were fetched since the inbox row `after`; and the last row that was looked at, if any."""
        rows = await connection.fetch(
            """
            SELECT id, object_id FROM webhook_events
            WHERE id > $1 AND source IN ('fetch', 'repair') AND object_id IS NOT NULL ORDER BY id LIMIT $2
            """,
            after,
            limit,
        )
        return list(dict.fromkeys(row[1] for row in rows)), rows[-1][0] if rows else None

    async def newest(self, connection: Connection) -> UUID:
        """The inbox row that came last; the smallest id there is where there is none."""
        found: UUID | None = await connection.fetchval("SELECT id FROM webhook_events ORDER BY id DESC LIMIT 1")
        return found or UUID(int=0)


def _plain(row: Record) -> dict[str, Any]:
    # Amounts are numeric, which the driver reads as Decimal; money is in integers here.
    return {name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}
