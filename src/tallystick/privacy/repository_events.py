"""SQL over stored events of erased persons, wherever their payloads are; and which objects were an erased person's."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from tallystick.platform.database import Connection, Transaction
from tallystick.privacy.models import ErasedEvent, NamingEvent
from tallystick.privacy.theirs import NAMES
from tallystick.webhooks.repository_archive import ARCHIVED_PAYLOAD

__all__ = ["ErasedEventRepository", "names_in"]

_EVENT = """
    e.id, e.created_at, e.seq, e.object_key, coalesce(e.payload, a.payload)::text, coalesce(e.raw, a.raw),
    e.error_message, e.archived_at IS NOT NULL
"""
_EVENTS = f"""
    SELECT {_EVENT} FROM webhook_events e {ARCHIVED_PAYLOAD} WHERE e.id = ANY ($1) ORDER BY e.id
    FOR NO KEY UPDATE OF e
"""
# Of kinds that the mirror has no rows of: all that names a customer is in that customer's lane, and of the rest no kind
# that is applied names a payment by anything but its own key. What an object is named by is its id, or the whole of it.
_UNMIRRORED = f"""
    SELECT e.id, e.object_key, array_remove(e.object_key || ARRAY(
        SELECT coalesce(named.by #>> ARRAY[name, 'id'], named.by ->> name) FROM unnest($4::text[]) AS name
    ), NULL) AS names
    FROM (
        SELECT id, created_at, object_key, payload, archived_at FROM webhook_events
        WHERE id > $1 AND (lane = ANY ($2) OR state <> 'processed') ORDER BY id LIMIT $3
    ) e {ARCHIVED_PAYLOAD}
    CROSS JOIN LATERAL (SELECT coalesce(e.payload, a.payload) #> '{{data,object}}' AS by OFFSET 0) named
    ORDER BY e.id
"""


class ErasedEventRepository:
    """Reads and redacts payloads; reads and adds to `erased_objects`."""

    async def erased(self, connection: Connection, stripe_ids: Collection[str]) -> dict[str, UUID]:
        """Those of these objects of Stripe's that belonged to an erased user, each with the erasure."""
        rows = await connection.fetch(
            "SELECT stripe_id, erasure_id FROM erased_objects WHERE stripe_id = ANY ($1)", list(stripe_ids)
        )
        return {row[0]: row[1] for row in rows}

    async def any(self, connection: Connection) -> bool:
        """Whether anybody was ever erased."""
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM erased_objects)"))

    async def pseudonyms(self, connection: Connection, erasure_ids: Collection[UUID]) -> dict[UUID, str]:
        rows = await connection.fetch(
            "SELECT e.id, u.external_id FROM erasures e JOIN users u ON u.id = e.user_id WHERE e.id = ANY ($1)",
            list(erasure_ids),
        )
        return {row[0]: row[1] for row in rows}

    async def add_objects(self, tx: Transaction, erasure_id: UUID, stripe_ids: Collection[str]) -> None:
        await tx.execute(
            "INSERT INTO erased_objects SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING",
            sorted(stripe_ids),
            erasure_id,
        )

    async def customers_of(self, connection: Connection, erasure_id: UUID) -> list[str]:
        rows = await connection.fetch(
            "SELECT stripe_id FROM erased_objects WHERE erasure_id = $1 AND stripe_id LIKE 'cus\\_%'", erasure_id
        )
        return [row[0] for row in rows]

    async def next_objects(self, connection: Connection, erasure_id: UUID, after: str, limit: int) -> list[str]:
        """The next of Stripe's ids of what was the person's."""
        rows = await connection.fetch(
            "SELECT stripe_id FROM erased_objects WHERE erasure_id = $1 AND stripe_id > $2 ORDER BY stripe_id LIMIT $3",
            erasure_id,
            after,
            limit,
        )
        return [row[0] for row in rows]

    async def events_of(self, connection: Connection, stripe_ids: Sequence[str]) -> list[UUID]:
        """The ids of the events about these objects."""
        rows = await connection.fetch("SELECT id FROM webhook_events WHERE object_key = ANY ($1)", stripe_ids)
        return [row[0] for row in rows]

    async def events(self, tx: Transaction, event_ids: Sequence[UUID]) -> Sequence[ErasedEvent]:
        """These events with their payloads, locked."""
        return [ErasedEvent(*row) for row in await tx.fetch(_EVENTS, event_ids)]

    async def next_unmirrored(
        self, connection: Connection, lanes: Sequence[int], after: UUID, limit: int
    ) -> tuple[Sequence[NamingEvent], UUID | None]:
        """The next `limit` events that may be somebody's whose customers have these lanes; the last id looked at."""
        rows = await connection.fetch(_UNMIRRORED, after, lanes, limit, NAMES)
        found = [NamingEvent(row[0], row[1], frozenset(row[2])) for row in rows]
        return found, found[-1].id if len(rows) == limit else None

    async def theirs(self, connection: Connection, erasure_id: UUID, names: Collection[str]) -> set[str]:
        """Those of these ids of Stripe's that were the person's."""
        rows = await connection.fetch(
            "SELECT stripe_id FROM erased_objects WHERE erasure_id = $1 AND stripe_id = ANY ($2)",
            erasure_id,
            list(names),
        )
        return {row[0] for row in rows}

    async def rewrite(self, tx: Transaction, events: Sequence[ErasedEvent]) -> None:
        """Store what is left of these events, each where it is."""
        archived = [event for event in events if event.archived]
        await tx.executemany(
            """
            UPDATE webhook_payloads SET payload = $3::text::jsonb, raw = $4 WHERE received_at = $2 AND event_id = $1
            """,
            [(event.id, event.received_at, event.payload, event.raw) for event in archived],
        )
        await tx.executemany(
            "UPDATE webhook_events SET error_message = $2 WHERE id = $1",
            [(event.id, event.error_message) for event in archived],
        )
        await tx.executemany(
            "UPDATE webhook_events SET payload = $2::text::jsonb, raw = $3, error_message = $4 WHERE id = $1",
            [(event.id, event.payload, event.raw, event.error_message) for event in events if not event.archived],
        )

    async def rewrite_data(self, tx: Transaction, event_ids: Sequence[UUID], data: Sequence[str]) -> None:
        """Store what is left of the data of events that are being applied."""
        await tx.execute(
            """
            UPDATE webhook_events e SET payload = jsonb_set(e.payload, '{data}', new.data::jsonb)
            FROM unnest($1::uuid[], $2::text[]) AS new (id, data) WHERE e.id = new.id
            """,
            event_ids,
            data,
        )

    async def line_texts(self, connection: Connection, stripe_invoice_ids: Collection[str]) -> dict[str, str | None]:
        """What the lines of these invoices say, by Stripe's id of the line."""
        rows = await connection.fetch(
            """
            SELECT l.stripe_line_id, l.description FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id
            WHERE i.stripe_invoice_id = ANY ($1)
            """,
            list(stripe_invoice_ids),
        )
        return {row[0]: row[1] for row in rows}

    async def note(self, tx: Transaction, erasure_id: UUID, wall: datetime) -> None:
        """Late news of an erased person came, and was redacted."""
        await tx.execute(
            """
            UPDATE erasures SET removed = jsonb_set(removed, '{late_events}',
                to_jsonb(coalesce((removed ->> 'late_events')::bigint, 0) + 1)), updated_at = $2
            WHERE id = $1
            """,
            erasure_id,
            wall,
        )


def names_in(events: Sequence[NamingEvent]) -> set[str]:
    """All that these events go by."""
    return set().union(*(event.names for event in events))
