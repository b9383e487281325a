"""SQL of outbound webhooks: `outbound_facts`, `webhook_endpoints`, `outbound_deliveries`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.core.ids import new_id
from tallystick.core.pages import Page
from tallystick.notifications.outbound_models import Delivery, DeliveryRow, Endpoint, NewFact
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.tracing import here

__all__ = ["OUTBOUND_CHANNEL", "EndpointRepository", "OutboundRepository"]

OUTBOUND_CHANNEL = "tallystick_outbound"

_ENDPOINT = ", ".join(Endpoint.__struct_fields__)
_LISTED = """
    SELECT d.id, d.seq, d.fact_id, f.type, f.occurred_at, f.data, d.state, d.attempts, d.not_before, d.last_error,
           d.response_status, d.response_body, d.created_at, d.finished_at
    FROM outbound_deliveries d JOIN outbound_facts f ON f.id = d.fact_id
"""
# The oldest of an object is asked for by a scalar subquery: one probe of an index a row. As NOT EXISTS it is planned as
# a join of all rows.
_LEASE_DUE = """
    WITH receivers AS (
        SELECT 'endpoint:' || id AS receiver FROM webhook_endpoints WHERE enabled AND NOT deleted
        UNION ALL SELECT 'hook:' || name FROM unnest($1::text[]) AS name
    ), rooms AS (
        SELECT r.receiver, $4::int - coalesce(b.n, 0) AS room
        FROM receivers r LEFT JOIN unnest($2::text[], $3::int[]) AS b (receiver, n) USING (receiver)
        WHERE coalesce(b.n, 0) < $4::int
    ), due AS (
        SELECT head.id FROM rooms CROSS JOIN LATERAL (
            SELECT d.id FROM outbound_deliveries d
            WHERE d.receiver = rooms.receiver AND d.state = 'queued' AND d.due_at <= $5 AND d.not_before <= $6
              AND (d.leased_until IS NULL OR d.leased_until < $6)
              AND d.seq = (
                  SELECT e.seq FROM outbound_deliveries e
                  WHERE e.receiver = d.receiver AND e.object_key = d.object_key AND e.state = 'queued'
                  ORDER BY e.seq LIMIT 1)
            ORDER BY d.not_before, d.seq LIMIT rooms.room FOR UPDATE SKIP LOCKED
        ) head
    )
    UPDATE outbound_deliveries d SET leased_until = $7, first_tried_at = coalesce(d.first_tried_at, $6)
    FROM due WHERE d.id = due.id
    RETURNING d.id
"""
_LEASED = """
    SELECT d.id, d.receiver, d.leased_until, d.first_tried_at, d.attempts, d.fact_id, f.type, f.occurred_at,
           f.data, d.endpoint_id, e.url,
           CASE WHEN e.id IS NULL THEN ARRAY[]::text[]
                WHEN e.previous_secret_until > $2 THEN ARRAY[e.secret, e.previous_secret]
                ELSE ARRAY[e.secret] END AS secrets,
           f.trace
    FROM outbound_deliveries d JOIN outbound_facts f ON f.id = d.fact_id
         LEFT JOIN webhook_endpoints e ON e.id = d.endpoint_id
    WHERE d.id = ANY ($1) AND d.leased_until = $3 ORDER BY d.seq
"""


class OutboundRepository:
    """The queue of deliveries: filled with the facts, emptied by workers."""

    async def add_facts(
        self,
        tx: Transaction,
        facts: Sequence[NewFact],
        told: Sequence[bool],
        hooks: Sequence[str],
        now: datetime,
        wall: datetime,
    ) -> None:
        """Store facts whose business key is new, in their order, with a delivery for each who should hear of it.

        `told` says for each fact whether anybody should.
        An endpoint that is off because it failed gets them, too, for when it is on again. Keys are inserted in
        their own order: two transactions with the same keys the other way round would deadlock.
        """
        # Ids in the order of the facts: what they are delivered by.
        ids = sorted(new_id() for _ in facts)
        rows = sorted(zip(ids, facts, told, strict=True), key=lambda row: row[1].business_key)
        await tx.fetch(
            f"""
            WITH added AS (
                INSERT INTO outbound_facts (id, business_key, type, object_key, data, occurred_at, created_at, trace)
                SELECT id, business_key, type, object_key, data, occurred_at, $7, trace
                FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[],
                            $11::bytea[])
                     AS new (id, business_key, type, object_key, data, occurred_at, trace)
                ON CONFLICT (business_key) DO NOTHING
                RETURNING id, type, object_key
            ), queued AS (
                INSERT INTO outbound_deliveries
                    (id, fact_id, receiver, endpoint_id, object_key, due_at, not_before, created_at)
                SELECT gen_random_uuid(), added.id, r.receiver, r.endpoint_id, added.object_key, $7, $8, $7
                FROM added JOIN unnest($10::uuid[]) AS told (id) ON told.id = added.id JOIN (
                    SELECT 'endpoint:' || id AS receiver, id AS endpoint_id, events FROM webhook_endpoints
                    WHERE NOT deleted AND (enabled OR disabled_reason = 'failing')
                    UNION ALL SELECT 'hook:' || name, NULL, ARRAY['*'] FROM unnest($9::text[]) AS name
                ) r ON added.type = ANY (r.events) OR '*' = ANY (r.events)
                ORDER BY added.id
                RETURNING id
            )
            SELECT pg_notify('{OUTBOUND_CHANNEL}', '') WHERE EXISTS (SELECT 1 FROM queued)
            """,
            [fact_id for fact_id, _, _ in rows],
            [fact.business_key for _, fact, _ in rows],
            [fact.type for _, fact, _ in rows],
            [fact.object_key for _, fact, _ in rows],
            [dict(fact.data) for _, fact, _ in rows],
            [fact.occurred_at for _, fact, _ in rows],
            now,
            wall,
            list(hooks),
            [fact_id for fact_id, _, tell in rows if tell],
            [here(fact.event_id) for _, fact, _ in rows],
        )

    async def take(
        self,
        connection: Connection,
        *,
        hooks: Sequence[str],
        busy: Mapping[str, int],
        lane: int,
        now: datetime,
        wall: datetime,
        lease: datetime,
    ) -> list[Delivery]:
        """Lease due deliveries, for each receiver as many as its lane of `lane` has room beside those in `busy`.

        Of one object only the oldest that is open can be taken, whoever has it and whenever it is due again.
        """
        taken = await connection.fetch(
            _LEASE_DUE,
            list(hooks),
            list(busy),
            list(busy.values()),
            lane,
            now,
            wall,
            lease,
        )
        if not taken:
            return []
        rows = await connection.fetch(
            _LEASED,
            [row["id"] for row in taken],
            wall,
            lease,
        )
        return [Delivery(*row) for row in rows]

    async def finish(
        self,
        tx: Transaction,
        delivery: Delivery,
        state: str,
        now: datetime,
        *,
        error: str | None = None,
        status: int | None = None,
        body: str | None = None,
    ) -> bool:
        """Close a delivery, unless it is not the caller's any more (False)."""
        closed = await tx.fetchval(
            """
            UPDATE outbound_deliveries SET state = $3, finished_at = $4, leased_until = NULL, last_error = $5,
                   response_status = $6, response_body = $7, attempts = attempts + 1
            WHERE id = $1 AND leased_until = $2 AND state = 'queued' RETURNING id
            """,
            delivery.id,
            delivery.leased_until,
            state,
            now,
            error,
            status,
            body,
        )
        return closed is not None

    async def put_back(
        self,
        tx: Transaction,
        delivery: Delivery,
        not_before: datetime,
        *,
        error: str,
        status: int | None,
        body: str | None,
    ) -> bool:
        """Release a delivery to be tried again, unless it is not the caller's any more (False).

        What waits behind it for the same object is put off as well, so that nobody looks at it in vain.
        """
        released = await tx.fetchrow(
            """
            UPDATE outbound_deliveries SET leased_until = NULL, not_before = $3, attempts = attempts + 1,
                   last_error = $4, response_status = $5, response_body = $6
            WHERE id = $1 AND leased_until = $2 AND state = 'queued' RETURNING receiver, object_key, seq
            """,
            delivery.id,
            delivery.leased_until,
            not_before,
            error,
            status,
            body,
        )
        if released is None:
            return False
        await tx.execute(
            """
            UPDATE outbound_deliveries SET not_before = $4
            WHERE receiver = $1 AND object_key = $2 AND seq > $3 AND state = 'queued' AND not_before < $4
            """,
            *released,
            not_before,
        )
        return True


class EndpointRepository:
    """Endpoints, and their deliveries as they are listed."""

    async def add(self, tx: Transaction, endpoint: Endpoint, most: int) -> bool:
        """Store a new endpoint; False where there are `most` already."""
        await tx.execute("SELECT pg_advisory_xact_lock(hashtext('webhook_endpoints'))")
        if await tx.fetchval("SELECT count(*) FROM webhook_endpoints WHERE NOT deleted") >= most:
            return False
        marks = ", ".join(f"${n}" for n in range(1, len(Endpoint.__struct_fields__) + 1))
        await tx.execute(
            f"INSERT INTO webhook_endpoints ({_ENDPOINT}) VALUES ({marks})",
            *(getattr(endpoint, name) for name in Endpoint.__struct_fields__),
        )
        return True

    async def listed(self, connection: Connection) -> list[Endpoint]:
        """All endpoints, newest first."""
        rows = await connection.fetch(
            f"SELECT {_ENDPOINT} FROM webhook_endpoints WHERE NOT deleted ORDER BY created_at DESC, id DESC"
        )
        return [Endpoint(*row) for row in rows]

    async def find(self, connection: Connection, endpoint_id: UUID, *, lock: bool = False) -> Endpoint | None:
        row = await connection.fetchrow(
            f"SELECT {_ENDPOINT} FROM webhook_endpoints WHERE id = $1 AND NOT deleted {'FOR UPDATE' if lock else ''}",
            endpoint_id,
        )
        return Endpoint(*row) if row else None

    async def save(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Write all fields of an endpoint that the caller has locked."""
        names = [name for name in Endpoint.__struct_fields__ if name not in ("id", "created_at")]
        changes = ", ".join(f"{name} = ${n}" for n, name in enumerate(names, 2))
        await tx.execute(
            f"UPDATE webhook_endpoints SET {changes} WHERE id = $1",
            endpoint.id,
            *(getattr(endpoint, name) for name in names),
        )

    async def delete(self, tx: Transaction, endpoint_id: UUID, now: datetime) -> bool:
        """Take an endpoint out of use with what is queued for it; its rows stay as a record, its secrets do not."""
        gone = await tx.fetchval(
            """
            UPDATE webhook_endpoints SET deleted = true, enabled = false, secret = '', previous_secret = NULL,
                   previous_secret_until = NULL, updated_at = $2
            WHERE id = $1 AND NOT deleted RETURNING id
            """,
            endpoint_id,
            now,
        )
        await tx.execute(
            """
            UPDATE outbound_deliveries SET state = 'discarded', leased_until = NULL, finished_at = $2
            WHERE receiver = 'endpoint:' || $1::uuid AND state = 'queued'
            """,
            endpoint_id,
            now,
        )
        return gone is not None

    async def resume(self, tx: Transaction, endpoint_id: UUID, wall: datetime) -> None:
        """Make all that waits for an endpoint due now, with a whole day of tries ahead."""
        await tx.execute(
            f"""
            WITH woken AS (
                UPDATE outbound_deliveries SET not_before = $2, first_tried_at = NULL
                WHERE receiver = 'endpoint:' || $1::uuid AND state = 'queued' AND leased_until IS NULL
                RETURNING 1
            )
            SELECT pg_notify('{OUTBOUND_CHANNEL}', '') FROM (SELECT count(*) FROM woken) counted
            """,
            endpoint_id,
            wall,
        )

    async def moved(self, tx: Transaction, delivery: Delivery) -> bool:
        """Whether the endpoint has another address by now than the one that a delivery was sent to."""
        return bool(
            await tx.fetchval(
                "SELECT url <> $2 FROM webhook_endpoints WHERE id = $1", delivery.endpoint_id, delivery.url
            )
        )

    async def succeeded(self, tx: Transaction, delivery: Delivery) -> None:
        await tx.execute(
            """
            UPDATE webhook_endpoints SET failing_since = NULL WHERE id = $1 AND url = $2 AND failing_since IS NOT NULL
            """,
            delivery.endpoint_id,
            delivery.url,
        )

    async def failed(self, tx: Transaction, delivery: Delivery, wall: datetime) -> datetime | None:
        """Note a failure; since when there was no success (None: the address is the endpoint's no more)."""
        since: datetime | None = await tx.fetchval(
            """
            UPDATE webhook_endpoints SET failing_since = coalesce(failing_since, $3) WHERE id = $1 AND url = $2
            RETURNING failing_since
            """,
            delivery.endpoint_id,
            delivery.url,
            wall,
        )
        return since

    async def switch_off(self, tx: Transaction, delivery: Delivery, reason: str, now: datetime) -> bool:
        """Switch off the endpoint that a delivery was sent to; False where that was done before, or it has moved."""
        off = await tx.fetchval(
            """
            UPDATE webhook_endpoints SET enabled = false, disabled_reason = $3, updated_at = $4
            WHERE id = $1 AND url = $2 AND enabled AND NOT deleted RETURNING id
            """,
            delivery.endpoint_id,
            delivery.url,
            reason,
            now,
        )
        return off is not None

    # Deliveries

    async def add_delivery(
        self, tx: Transaction, endpoint_id: UUID, fact: NewFact, now: datetime, wall: datetime
    ) -> UUID:
        """Store a fact for one endpoint only, with its delivery; the delivery's id."""
        fact_id, delivery_id = new_id(), new_id()
        await tx.execute(
            "INSERT INTO outbound_facts (id, business_key, type, object_key, data, occurred_at, created_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            fact_id,
            fact.business_key,
            fact.type,
            fact.object_key,
            dict(fact.data),
            fact.occurred_at,
            now,
        )
        await tx.execute(
            f"""
            WITH added AS (
                INSERT INTO outbound_deliveries
                    (id, fact_id, receiver, endpoint_id, object_key, due_at, not_before, created_at)
                VALUES ($1, $2, 'endpoint:' || $3::uuid, $3, $4, $5, $6, $5) RETURNING 1
            )
            SELECT pg_notify('{OUTBOUND_CHANNEL}', '') FROM added
            """,
            delivery_id,
            fact_id,
            endpoint_id,
            fact.object_key,
            now,
            wall,
        )
        return delivery_id

    async def find_delivery(self, connection: Connection, endpoint_id: UUID, delivery_id: UUID) -> DeliveryRow | None:
        row = await connection.fetchrow(f"{_LISTED} WHERE d.endpoint_id = $1 AND d.id = $2", endpoint_id, delivery_id)
        return DeliveryRow(*row) if row else None

    async def deliveries(
        self,
        connection: Connection,
        endpoint_id: UUID,
        *,
        limit: int,
        state: str | None,
        after: DeliveryRow | None,
        before: DeliveryRow | None,
    ) -> Page[DeliveryRow]:
        """A page of an endpoint's deliveries, newest first."""
        edge, comparison, direction = (before, ">", "ASC") if before else (after, "<", "DESC")
        values: list[Any] = [endpoint_id, limit + 1, state]
        beyond = ""
        if edge is not None:
            values.append(edge.seq)
            beyond = f"AND d.seq {comparison} $4"
        rows = await connection.fetch(
            f"""
            {_LISTED} WHERE d.endpoint_id = $1 AND ($3::text IS NULL OR d.state = $3) {beyond}
            ORDER BY d.seq {direction} LIMIT $2
            """,
            *values,
        )
        found = [DeliveryRow(*row) for row in rows[:limit]]
        return Page(found[::-1] if before else found, len(rows) > limit)

    async def replay(self, tx: Transaction, delivery_id: UUID, now: datetime, wall: datetime) -> None:
        """Make a delivery due now, with a whole day of tries ahead; one that is just being made goes on."""
        await tx.execute(
            f"""
            WITH again AS (
                UPDATE outbound_deliveries
                SET state = 'queued', due_at = $2, not_before = $3, first_tried_at = NULL, finished_at = NULL
                WHERE id = $1 AND leased_until IS NULL RETURNING 1
            )
            SELECT pg_notify('{OUTBOUND_CHANNEL}', '') FROM again
            """,
            delivery_id,
            now,
            wall,
        )
