"""SQL of a timeline; it reads the tables of other areas, and writes nothing.

First the order: from each source the newest rows behind a place, by their indexes. Then what the rows of one page say.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from tallystick.platform.database import Connection, Record
from tallystick.timeline.models import RANKS, EntryKind, Place, Subject
from tallystick.webhooks.repository_archive import ARCHIVED_PAYLOAD

__all__ = ["TimelineRepository"]

# $1 the user of whom all is told, $2 our ids, $3 Stripe's ids, $4 all names of it as text, $5 the owner, $6 to $9 the
# place before which, $10 how many.
_SOURCES: Mapping[EntryKind, str] = {
    "event": """
        SELECT id, event_created_at AS at, CASE
            WHEN starts_with(stripe_event_id, source || '_') THEN 9
            WHEN event_type LIKE '%.created' THEN 0
            WHEN event_type LIKE ANY ('{%.finalized,%.attached,%.requires_action,%.processing}') THEN 1
            WHEN event_type LIKE 'charge.%' THEN 2
            WHEN event_type LIKE '%.updated' THEN 3 ELSE 4 END AS stage
        FROM webhook_events WHERE object_key = ANY($3)
    """,
    "call": """
        SELECT id, created_at AS at FROM attempts WHERE user_id = $1
        UNION SELECT id, created_at FROM attempts WHERE subject_id = ANY($2)
    """,
    "change": "SELECT id, performed_at AS at FROM subscription_history WHERE subscription_id = ANY($2)",
    "access": "SELECT id, occurred_at AS at FROM outbound_facts WHERE object_key = ANY($4) AND type LIKE 'access.%'",
    "webhook": """
        SELECT f.id, f.occurred_at AS at FROM outbound_facts f
        WHERE f.object_key = ANY($4) AND f.type NOT LIKE 'access.%'
            -- Of what was told long ago, to whom it was told is forgotten.
            AND (f.data = '{}' OR EXISTS (SELECT FROM outbound_deliveries d WHERE d.fact_id = f.id))
    """,
    "mail": """
        SELECT id, coalesce(finished_at, due_at) AS at FROM mails
        WHERE user_id = $5 AND ($1::uuid IS NOT NULL OR context ->> 'subscription_id' = ANY($4)
            OR context ->> 'invoice_id' = ANY($4) OR context ->> 'payment_id' = ANY($4))
    """,
    "difference": """
        SELECT d.id, d.found_at AS at
        FROM (SELECT DISTINCT object FROM reconcile_differences) kinds
        JOIN reconcile_differences d ON d.object = kinds.object AND d.stripe_id = ANY($3)
    """,
    "staff": """
        SELECT id, business_at AS at FROM audit_log WHERE object_id = ANY($4)
        UNION SELECT id, business_at FROM audit_log WHERE user_id = $1
    """,
}


def _newest(kind: EntryKind, sql: str) -> str:
    rank = f"{RANKS[kind]} + s.stage" if kind == "event" else str(RANKS[kind])
    return f"""
        (SELECT '{kind}' AS kind, {rank} AS rank, date_trunc('second', s.at) AS second, s.at, s.id FROM ({sql}) s
        WHERE $6::timestamptz IS NULL
            OR (date_trunc('second', s.at), {rank}, s.at, s.id) < ($6, $7::int, $8::timestamptz, $9::uuid)
        ORDER BY 3 DESC, 2 DESC, 4 DESC, 5 DESC LIMIT $10)
    """


_ORDER = f"""
    SELECT * FROM ({" UNION ALL ".join(_newest(kind, sql) for kind, sql in _SOURCES.items())}) found
    ORDER BY second DESC, rank DESC, at DESC, id DESC LIMIT $10
"""

_DETAILS: Mapping[EntryKind, str] = {
    "event": f"""
        SELECT e.id, e.event_type AS type, e.stripe_event_id, coalesce(e.object_id, e.object_key) AS object, e.state,
            e.source, e.created_at AS received_at, e.processed_at, e.retry_count, e.error_message,
            e.request_idempotency_key, coalesce(e.payload, a.payload) #>> '{{request,id}}' AS request_id,
            e.archived_at IS NOT NULL AS archived, coalesce(e.payload, a.payload) IS NULL AS gone,
            o ->> 'status' AS status, p ->> 'status' AS was,
            (SELECT string_agg(name, ', ' ORDER BY name) FROM jsonb_object_keys(
                CASE jsonb_typeof(p) WHEN 'object' THEN p END) AS name) AS changed,
            coalesce(o ->> 'amount', o ->> 'total') AS amount, o ->> 'currency' AS currency,
            coalesce(o #>> '{{last_payment_error,decline_code}}', o #>> '{{last_payment_error,code}}',
                o #>> '{{outcome,reason}}', o ->> 'failure_code', o ->> 'failure_reason') AS why
        FROM webhook_events e {ARCHIVED_PAYLOAD}
            CROSS JOIN LATERAL (SELECT coalesce(e.payload, a.payload) #> '{{data,object}}' AS o,
                coalesce(e.payload, a.payload) #> '{{data,previous_attributes}}' AS p) data
        WHERE e.id = ANY($1)
    """,
    "call": """
        SELECT id, kind AS type, subject_id, part_id, state, stripe_request_id,
            right(stripe_idempotency_key, 6) AS key_tail,
            error_code, decline_code, sent_at, updated_at AS ended_at, request ->> 'actor' AS actor,
            request ->> 'reason' AS reason
        FROM attempts WHERE id = ANY($1)
    """,
    "change": """
        SELECT h.id, h.action AS type, s.stripe_subscription_id AS object, h.old_values, h.new_values, h.actor, h.cause,
            h.reason, h.provisional, h.stripe_event_id
        FROM subscription_history h JOIN subscriptions s ON s.id = h.subscription_id WHERE h.id = ANY($1)
    """,
    "webhook": """
        SELECT f.id, f.type, f.business_key, f.object_key, coalesce((
            SELECT jsonb_agg(jsonb_build_object('receiver', coalesce(e.url, d.receiver), 'state', d.state,
                'attempts', d.attempts, 'status', d.response_status, 'error', d.last_error) ORDER BY d.receiver)
            FROM outbound_deliveries d LEFT JOIN webhook_endpoints e ON e.id = d.endpoint_id
            WHERE d.fact_id = f.id), '[]') AS deliveries,
            f.data #>> '{access,product}' AS product, p.name AS product_name, f.data #>> '{access,state}' AS access,
            f.data #>> '{access,until}' AS until, f.data = '{}' AS forgotten
        FROM outbound_facts f LEFT JOIN products p ON p.stripe_product_id = f.data #>> '{access,product}'
        WHERE f.id = ANY($1)
    """,
    "mail": """
        SELECT id, template AS type, state, recipient, subject, due_at, finished_at, attempts, last_error, business_key
        FROM mails WHERE id = ANY($1)
    """,
    "difference": """
        SELECT id, object || '.' || field AS type, stripe_id AS object, ours, stripe, cause, state, closed_at, closed_by
        FROM reconcile_differences WHERE id = ANY($1)
    """,
    "staff": """
        SELECT id, action AS type, object_id AS object, actor, outcome AS state, status, error_code, request_id
        FROM audit_log WHERE id = ANY($1)
    """,
}


class TimelineRepository:
    """Reads what happened."""

    async def order(
        self, connection: Connection, subject: Subject, before: Place | None, limit: int
    ) -> Sequence[tuple[EntryKind, Place]]:
        """The last things that happened to a subject before a place, the last one first."""
        rows = await connection.fetch(
            _ORDER,
            subject.user_id if subject.whole else None,
            subject.ids,
            subject.stripe_ids,
            subject.names,
            subject.user_id,
            before.second if before else None,
            before.rank if before else None,
            before.at if before else None,
            before.id if before else None,
            limit,
        )
        return [(row["kind"], Place(row["second"], row["rank"], row["at"], row["id"])) for row in rows]

    async def details(
        self, connection: Connection, kind: EntryKind, ids: Sequence[UUID]
    ) -> Mapping[UUID, Mapping[str, Any]]:
        """What rows of one kind say, by their ids."""
        rows: Sequence[Record] = await connection.fetch(_DETAILS["webhook" if kind == "access" else kind], ids)
        return {row["id"]: {name: value for name, value in row.items() if name != "id"} for row in rows}
