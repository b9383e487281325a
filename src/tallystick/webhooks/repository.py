"""The inbox's SQL: `webhook_events`, `webhook_lanes`, `webhook_parked_objects`.

An event that must wait for another one of its object has `not_before = 'infinity'`; it is set back when the object
is released. So a claim never walks over the events behind a failing one again and again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from tallystick.core.ids import new_id
from tallystick.platform.database import Connection, Record, Transaction
from tallystick.webhooks.models import ClaimedEvent, Envelope, EventDetail, EventSummary, Parked, StoredEvent
from tallystick.webhooks.repository_archive import ARCHIVED_PAYLOAD

__all__ = ["BATCH", "CHANNEL", "WebhookEventRepository"]

CHANNEL = "tallystick_inbox"
BATCH = 64
"""How many events are applied together at most."""

_INSERT = f"""
    WITH arrived AS (
        -- Numbered in the order of arrival …
        SELECT nextval('webhook_events_seq_seq') AS seq, new.*
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::smallint[], $7::text[],
                    $8::text[], $9::text[], $10::text[], $11::text[])
          AS new (id, stripe_event_id, event_type, created, api_version, lane, object_key, object_id, request_key,
                  payload, source)
    ), added AS (
        INSERT INTO webhook_events (
            id, stripe_event_id, event_type, payload, created_at, updated_at, state, source, seq, lane, object_key,
            object_id, api_version, event_created_at, request_idempotency_key, not_before)
        OVERRIDING SYSTEM VALUE
        SELECT id, stripe_event_id, event_type, payload::jsonb, $12, $12, 'pending', source, seq, lane, object_key,
            object_id, api_version, to_timestamp(created), request_key, $12
        -- … but inserted in the order of ids, which all processes share: else two of them with the same events in
        -- another order wait for each other.
        FROM arrived ORDER BY stripe_event_id COLLATE "C"
        ON CONFLICT (stripe_event_id) DO NOTHING
        RETURNING 1
    ), told AS (
        SELECT pg_notify('{CHANNEL}', '') FROM added LIMIT 1
    )
    SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM told)
"""

_INSERT_REFUSED = """
    INSERT INTO webhook_events (
        id, stripe_event_id, event_type, raw, created_at, updated_at, state, source, lane, object_key,
        object_id, api_version, event_created_at, request_idempotency_key, not_before, error_message)
    VALUES ($1, $2, $3, $4, $5, $5, 'parked', $6, $7, $8, $9, $10, to_timestamp($11::bigint), $12, $5, $13)
    ON CONFLICT (stripe_event_id) DO NOTHING
"""

_INSERT_APPLIED = """
    INSERT INTO webhook_events (
        id, stripe_event_id, event_type, processed, processed_at, payload, created_at, updated_at, state, source,
        lane, object_key, object_id, api_version, event_created_at, request_idempotency_key, not_before)
    VALUES ($1, $2, $3, true, $5, $4::text::jsonb, $5, $5, 'processed', $6, $7, $8, $9, $10,
        to_timestamp($11::bigint), $12, $5)
"""

_INSERT_MANY_APPLIED = """
    INSERT INTO webhook_events (
        id, stripe_event_id, event_type, processed, processed_at, payload, created_at, updated_at, state, source,
        lane, object_key, object_id, event_created_at, not_before)
    SELECT id, stripe_event_id, event_type, true, $9, payload::jsonb, $9, $9, 'processed', $10,
        lane, object_key, object_id, to_timestamp(created), $9
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::bigint[])
      AS new (id, stripe_event_id, event_type, payload, lane, object_key, object_id, created)
"""

# `< 'infinity'` says nothing new; it lets a partial index on just these rows serve.
_DUE = "e.state = 'pending' AND e.not_before <= {now} AND e.not_before < 'infinity'"

# Looking for lanes that are free locks them for a moment. Nothing of that is worth a wait for the disk, as its commit
# would be otherwise.
_DUE_LANES = f"""
    SELECT l.lane, due.events
    FROM (SELECT set_config('synchronous_commit', 'off', true) OFFSET 0) AS unhurried, webhook_lanes l
    CROSS JOIN LATERAL (
        SELECT count(*) AS events FROM (
            -- Without ORDER BY a planner without statistics collects a lane's whole backlog first.
            SELECT FROM webhook_events e WHERE e.lane = l.lane AND {_DUE.format(now="$1")} ORDER BY e.seq LIMIT $2
        ) AS first
    ) AS due
    WHERE due.events > 0
    FOR UPDATE OF l SKIP LOCKED
"""

_CLAIM = f"""
    SELECT e.id, e.stripe_event_id, e.event_type AS type, e.event_created_at AS created, e.api_version,
        e.object_key, e.object_id, (e.payload -> 'data')::text AS data, e.request_idempotency_key, e.source,
        e.retry_count, e.created_at AS received_at, e.error_message, p.event_id AS parked_by,
        e.payload #>> '{{request,id}}' IS NOT NULL AS requested,
        CASE WHEN p.event_id = e.id THEN p.since END AS waits_since
    -- Lane by lane, which an index serves in the order that is wanted.
    FROM unnest($1::smallint[]) AS l (lane) CROSS JOIN LATERAL (
        SELECT * FROM webhook_events e WHERE e.lane = l.lane AND {_DUE.format(now="$2")} ORDER BY e.seq LIMIT $3
    ) AS e LEFT JOIN webhook_parked_objects p ON p.object_key = e.object_key
    ORDER BY e.seq LIMIT $3
"""

_SUMMARY = """
    id, stripe_event_id, event_type AS type, state, source, object_id, object_key, event_created_at AS created,
    created_at AS received_at, processed_at, nullif(not_before, 'infinity') AS not_before, retry_count, error_message
"""


_SUMMARY_FIELDS = tuple(field.name for field in fields(EventSummary))


class WebhookEventRepository:
    """Reads and writes events in the transaction it is given."""

    # In

    async def insert(self, connection: Connection, envelopes: Sequence[Envelope], now: datetime) -> int:
        """Store what is not stored yet, wake the workers, and return how many events were new.

        One statement, and so one transaction when `connection` is in none. Raises asyncpg.DataError or
        ProgramLimitExceededError when jsonb refuses one of the payloads; nothing is stored then.
        """
        columns = [
            [new_id() for _ in envelopes],
            [e.stripe_event_id for e in envelopes],
            [e.type for e in envelopes],
            [e.created for e in envelopes],
            [e.api_version for e in envelopes],
            [e.lane for e in envelopes],
            [e.object_key for e in envelopes],
            [e.object_id for e in envelopes],
            [e.request_idempotency_key for e in envelopes],
            [e.payload for e in envelopes],
            [e.source for e in envelopes],
        ]
        return int(await connection.fetchval(_INSERT, *columns, now))

    async def insert_refused(self, tx: Transaction, envelope: Envelope, reason: str, now: datetime) -> bool:
        """Keep an event whose payload jsonb refuses, as bytes; False when it is stored already."""
        status = await tx.execute(
            _INSERT_REFUSED,
            new_id(),
            envelope.stripe_event_id,
            envelope.type,
            envelope.payload.encode(),
            now,
            envelope.source,
            envelope.lane,
            envelope.object_key,
            envelope.object_id,
            envelope.api_version,
            envelope.created,
            envelope.request_idempotency_key,
            reason,
        )
        return status == "INSERT 0 1"

    async def insert_applied(self, tx: Transaction, envelope: Envelope, now: datetime) -> None:
        """Store an event whose effect is already in the caller's transaction."""
        await tx.execute(
            _INSERT_APPLIED,
            new_id(),
            envelope.stripe_event_id,
            envelope.type,
            envelope.payload,
            now,
            envelope.source,
            envelope.lane,
            envelope.object_key,
            envelope.object_id,
            envelope.api_version,
            envelope.created,
            envelope.request_idempotency_key,
        )

    async def insert_many_applied(self, tx: Transaction, envelopes: Sequence[Envelope], now: datetime) -> None:
        """The same for many, all of one source."""
        await tx.execute(
            _INSERT_MANY_APPLIED,
            [new_id() for _ in envelopes],
            [envelope.stripe_event_id for envelope in envelopes],
            [envelope.type for envelope in envelopes],
            [envelope.payload for envelope in envelopes],
            [envelope.lane for envelope in envelopes],
            [envelope.object_key for envelope in envelopes],
            [envelope.object_id for envelope in envelopes],
            [envelope.created for envelope in envelopes],
            now,
            envelopes[0].source,
        )

    # Out

    async def due_lanes(self, connection: Connection, now: datetime) -> Sequence[tuple[int, int]]:
        """The lanes with due events that no worker holds at this moment, and how many are due, up to a batch."""
        return [(row["lane"], row["events"]) for row in await connection.fetch(_DUE_LANES, now, BATCH)]

    async def try_lanes(self, tx: Transaction, lanes: Sequence[int]) -> Sequence[int]:
        """Take lanes for the rest of the transaction, all of these but those that another worker has.

        The events are read by a later statement on purpose: one statement for both would read them as they were
        before the other worker's commit, and apply them twice.
        """
        sql = "SELECT lane FROM webhook_lanes WHERE lane = ANY($1::smallint[]) FOR UPDATE SKIP LOCKED"
        return [row["lane"] for row in await tx.fetch(sql, lanes)]

    async def lock_lane(self, tx: Transaction, lane: int) -> None:
        """Wait for a lane and hold it: nobody applies its events meanwhile."""
        await tx.execute("SELECT 1 FROM webhook_lanes WHERE lane = $1 FOR UPDATE", lane)

    async def claim(self, tx: Transaction, lanes: Sequence[int], now: datetime) -> Sequence[ClaimedEvent]:
        """A batch of due events of lanes that the caller holds, oldest first; also those that will have to wait."""
        return [ClaimedEvent(**row) for row in await tx.fetch(_CLAIM, lanes, now, BATCH)]

    async def parked_among(self, tx: Transaction, object_keys: Sequence[str]) -> Mapping[str, Parked]:
        """Which of these objects are held up, and by what; they stay so until the caller commits.

        The lock matters where one object's events are in two lanes: without it the object could be released
        between this look and the waiting that follows from it, and the event would wait for ever.
        """
        rows = await tx.fetch(
            "SELECT object_key, event_id, waits_for FROM webhook_parked_objects WHERE object_key = ANY($1) FOR SHARE",
            object_keys,
        )
        return {row["object_key"]: Parked(row["event_id"], row["waits_for"]) for row in rows}

    async def wait_behind(self, tx: Transaction, event_ids: Sequence[UUID]) -> None:
        """Take events out of the line until their object is released."""
        await tx.execute("UPDATE webhook_events SET not_before = 'infinity' WHERE id = ANY($1)", event_ids)

    async def settle(self, tx: Transaction, states: Mapping[UUID, str], now: datetime) -> int:
        """Mark events as `processed` or `unhandled`; returns how many of them were still pending."""
        status = await tx.execute(
            """
            UPDATE webhook_events e
            SET state = m.state, processed = m.state = 'processed', processed_at = $3, updated_at = $3,
                error_message = NULL
            FROM unnest($1::uuid[], $2::text[]) AS m (id, state) WHERE e.id = m.id AND e.state = 'pending'
            """,
            list(states),
            list(states.values()),
            now,
        )
        return int(status.removeprefix("UPDATE "))

    async def postpone(
        self,
        tx: Transaction,
        event: ClaimedEvent,
        *,
        retry_count: int,
        not_before: datetime,
        message: str,
        now: datetime,
        waits_for: str | None,
    ) -> None:
        """Try an event again later, and hold its object up until then.

        Events of the parent that it `waits_for` pass it; one of those that fails takes its place.
        """
        await tx.execute(
            """
            UPDATE webhook_events SET retry_count = $2, not_before = $3, error_message = $4, updated_at = $5
            WHERE id = $1 AND state = 'pending'
            """,
            event.id,
            retry_count,
            not_before,
            message,
            now,
        )
        await tx.execute(
            """
            INSERT INTO webhook_parked_objects AS p (object_key, event_id, waits_for, since) VALUES ($1, $2, $3, $4)
            ON CONFLICT (object_key) DO UPDATE SET event_id = excluded.event_id, waits_for = excluded.waits_for,
                since = excluded.since
            WHERE p.waits_for IS NOT NULL OR p.event_id = excluded.event_id
            """,
            event.object_key,
            event.id,
            waits_for,
            event.waits_since or now,
        )

    async def give_up(self, tx: Transaction, event_id: UUID, message: str, now: datetime) -> None:
        """Put an event with the dead letters; its object is released by `release`."""
        await tx.execute(
            "UPDATE webhook_events SET state = 'dead', error_message = $2, updated_at = $3 WHERE id = $1",
            event_id,
            message,
            now,
        )

    async def release(self, tx: Transaction, event_ids: Sequence[UUID], now: datetime) -> None:
        """Let the objects go on that these events hold up."""
        rows = await tx.fetch(
            "DELETE FROM webhook_parked_objects WHERE event_id = ANY($1) RETURNING object_key", event_ids
        )
        if rows:
            await tx.execute(
                """
                UPDATE webhook_events SET not_before = $2
                WHERE object_key = ANY($1) AND state = 'pending' AND not_before = 'infinity'
                """,
                [row["object_key"] for row in rows],
                now,
            )

    # For operators

    async def find(self, connection: Connection, event_id: UUID | str) -> EventDetail | None:
        """One event by our id or by Stripe's."""
        column = "id" if isinstance(event_id, UUID) else "stripe_event_id"
        row = await connection.fetchrow(
            f"""
            SELECT {_SUMMARY}, api_version, request_idempotency_key, archived_at,
                coalesce(e.payload, a.payload)::text AS payload, coalesce(e.raw, a.raw) AS raw,
                (SELECT p.event_id FROM webhook_parked_objects p WHERE p.object_key = e.object_key) AS parked_by
            FROM webhook_events e {ARCHIVED_PAYLOAD} WHERE {column} = $1
            """,
            event_id,
        )
        if row is None:
            return None
        return EventDetail(
            summary=_summary(row),
            api_version=row["api_version"],
            request_idempotency_key=row["request_idempotency_key"],
            payload=json.loads(row["payload"], parse_int=_whole) if row["payload"] is not None else None,
            raw=row["raw"],
            parked_by=row["parked_by"],
            archived_at=row["archived_at"],
        )

    async def lane_of_event(self, tx: Transaction, event_id: UUID | str) -> int | None:
        """The lane an event is in; an event never changes its lane."""
        column = "id" if isinstance(event_id, UUID) else "stripe_event_id"
        lane: int | None = await tx.fetchval(f"SELECT lane FROM webhook_events WHERE {column} = $1", event_id)
        return lane

    async def page(
        self,
        connection: Connection,
        *,
        state: str | None,
        event_type: str | None,
        before: UUID | None,
        limit: int,
    ) -> Sequence[EventSummary]:
        """The newest `limit` events that were received before the event `before`; our ids sort by arrival."""
        conditions, values = ["true"], list[Any]()
        for condition, value in (("state = {}", state), ("event_type = {}", event_type), ("id < {}", before)):
            if value is not None:
                values.append(value)
                conditions.append(condition.format(f"${len(values)}"))
        rows = await connection.fetch(
            f"""
            SELECT {_SUMMARY} FROM webhook_events WHERE {" AND ".join(conditions)}
            ORDER BY id DESC LIMIT {limit:d}
            """,
            *values,
        )
        return [_summary(row) for row in rows]

    async def discard(self, tx: Transaction, event_id: UUID, message: str, now: datetime) -> None:
        """Put an event aside for good; its object is released by `release`."""
        await tx.execute(
            "UPDATE webhook_events SET state = 'discarded', error_message = $2, updated_at = $3 WHERE id = $1",
            event_id,
            message,
            now,
        )

    async def caused_by(self, connection: Connection, request_key: str) -> Sequence[StoredEvent]:
        """The events that a request with this idempotency key caused, oldest first."""
        rows = await connection.fetch(
            f"""
            SELECT id, stripe_event_id, event_type AS type, event_created_at AS created, api_version, object_key,
                object_id, (coalesce(e.payload, a.payload) -> 'data')::text AS data, request_idempotency_key, source,
                retry_count, created_at AS received_at, error_message, NULL::uuid AS parked_by, true AS requested
            FROM webhook_events e {ARCHIVED_PAYLOAD}
            WHERE request_idempotency_key = $1 AND coalesce(e.payload, a.payload) IS NOT NULL
                AND NOT starts_with(stripe_event_id, source || '_')
            ORDER BY event_created_at, seq
            """,
            request_key,
        )
        return [ClaimedEvent(**row).open() for row in rows]

    async def backlog(self, connection: Connection) -> Mapping[str, int]:
        """How many events are in each state that is not an end: pending, dead, parked."""
        rows = await connection.fetch(
            "SELECT state, count(*) FROM webhook_events WHERE state IN ('pending', 'dead', 'parked') GROUP BY state"
        )
        return {row["state"]: row["count"] for row in rows}


def _whole(digits: str) -> int | str:
    # Whatever jsonb took can be shown, be it a number of a hundred thousand digits.
    return int(digits) if len(digits) < 1000 else digits


def _summary(row: Record) -> EventSummary:
    return EventSummary(**{name: row[name] for name in _SUMMARY_FIELDS})
