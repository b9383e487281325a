"""SQL of an export: everything that is held about one user, read in pages, as JSON text from the database."""

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from tallystick.platform.database import Connection
from tallystick.privacy.theirs import CUSTOMERS, OBJECTS, THEIRS
from tallystick.webhooks.repository_archive import ARCHIVED_PAYLOAD

__all__ = ["SECTIONS", "ExportRepository", "Section", "Theirs"]

_PAGE = 200
_PLUMBING = "ARRAY['revision', 'state_at', 'unsure', 'claimed', 'flagged', 'card_fingerprint', 'customer_requested_at']"
_START = UUID(int=0)


def _all_of(table: str, alias: str, join: str, order: str) -> str:
    return (
        f"(SELECT coalesce(jsonb_agg(to_jsonb({alias}) - {_PLUMBING} ORDER BY {order}), '[]') "
        f"FROM {table} {alias} WHERE {join})"
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A list of the export: rows of `table t` where `rows` holds ($1 is our id of the user), each shown as `shows`."""

    name: str
    table: str
    rows: str = "t.user_id = $1"
    shows: str = f"to_jsonb(t) - {_PLUMBING}"


def _only(*columns: str) -> str:
    return "jsonb_build_object(" + ", ".join(f"'{column}', t.{column}" for column in columns) + ")"


SECTIONS = (
    Section("customers", "customers"),
    Section("payment_methods", "payment_methods"),
    Section(
        "payments",
        "payments",
        shows=f"to_jsonb(t) - {_PLUMBING} || jsonb_build_object("
        f"'charges', {_all_of('charges', 'c', 'c.payment_id = t.id', 'c.created_at')}, "
        f"'refunds', {_all_of('refunds', 'r', 'r.payment_id = t.id', 'r.created_at')}, "
        f"'disputes', {_all_of('disputes', 'd', 'd.payment_id = t.id', 'd.created_at')})",
    ),
    Section("setup_intents", "setup_intents"),
    Section(
        "subscriptions",
        "subscriptions",
        shows=f"to_jsonb(t) - {_PLUMBING} || jsonb_build_object("
        f"'history', {_all_of('subscription_history', 'h', 'h.subscription_id = t.id', 'h.performed_at, h.id')}, "
        f"'access', {_all_of('access_grants', 'g', 'g.subscription_id = t.id', 'g.stripe_product_id')})",
    ),
    Section(
        "invoices",
        "invoices",
        shows=f"to_jsonb(t) - {_PLUMBING} || jsonb_build_object("
        f"'lines', {_all_of('invoice_lines', 'l', 'l.invoice_id = t.id', 'l.position')})",
    ),
    Section("subscription_schedules", "subscription_schedules", rows=f"t.stripe_customer_id IN {CUSTOMERS}"),
    Section("promotion_codes", "promotion_codes", rows=f"t.stripe_customer_id IN {CUSTOMERS}"),
    Section("checkout_sessions", "checkout_sessions"),
    Section("mails", "mails", shows=_only("id", "template", "recipient", "locale", "subject", "state", "due_at",
                                          "finished_at")),
    Section(
        "facts",
        "outbound_facts",
        rows="t.data ->> 'user' = (SELECT external_id FROM users WHERE id = $1)",
        shows=_only("id", "type", "occurred_at", "data"),
    ),
    Section("requests", "attempts", shows=_only("id", "kind", "state", "request", "error_code", "decline_code",
                                                "stripe_request_id", "created_at")),
    Section("acts", "audit_log", shows=_only("id", "action", "object_kind", "object_id", "outcome", "happened_at")),
)  # fmt: skip
"""In the order in which they stand in an export."""

_SHOWN = " UNION ALL ".join(
    f"SELECT {column} AS stripe_id FROM {table} t WHERE {rows}" for table, column, rows in OBJECTS
)
_NAMED = f"""
    SELECT found.stripe_id, found.stripe_id IN (SELECT stripe_id FROM ({_SHOWN}) shown WHERE stripe_id = ANY ($2))
    FROM (
        SELECT stripe_id FROM ({THEIRS}) theirs WHERE stripe_id = ANY ($2)
        UNION SELECT stripe_id FROM erased_objects
        WHERE stripe_id = ANY ($2) AND erasure_id = (SELECT id FROM erasures WHERE user_id = $1)
    ) found
"""


@dataclass(frozen=True, slots=True)
class Theirs:
    """Some of what is a user's: our ids and Stripe's."""

    ids: Sequence[str]
    stripe_ids: Sequence[str]


class ExportRepository:
    """Reads all about one user; a page is a statement of its own, so that nothing is held while a client reads."""

    async def user(self, connection: Connection, user_id: UUID) -> str:
        found: str = await connection.fetchval(
            f"SELECT (to_jsonb(t) - {_PLUMBING})::text FROM users t WHERE id = $1", user_id
        )
        return found

    async def page(
        self, connection: Connection, section: Section, user_id: UUID, after: UUID | None
    ) -> tuple[Sequence[str], UUID | None]:
        """The next rows of a section, and after which id to go on (None: that was all)."""
        rows = await connection.fetch(
            f"SELECT t.id, ({section.shows})::text FROM {section.table} t "
            f"WHERE t.id > $2 AND ({section.rows}) ORDER BY t.id LIMIT {_PAGE}",
            user_id,
            after or _START,
        )
        return [row[1] for row in rows], rows[-1][0] if len(rows) == _PAGE else None

    async def theirs(self, connection: Connection, user_id: UUID) -> AsyncGenerator[Theirs, None]:
        """All that is the user's, page by page. `connection` must be free between the pages."""
        for table, stripe_id, rows in OBJECTS:
            after: UUID | None = _START
            while after is not None:
                found = await connection.fetch(
                    f"SELECT t.id, {stripe_id} FROM {table} t WHERE t.id > $2 AND {rows} ORDER BY t.id LIMIT {_PAGE}",
                    user_id,
                    after,
                )
                after = found[-1][0] if len(found) == _PAGE else None
                yield Theirs([str(row[0]) for row in found], [row[1] for row in found if row[1]])

    async def customers(self, connection: Connection, user_id: UUID) -> Sequence[str]:
        """Stripe's ids of the user's customers, deleted ones too."""
        return [row[0] for row in await connection.fetch(f"SELECT * FROM {CUSTOMERS} found", user_id)]

    async def named(self, connection: Connection, user_id: UUID, names: Collection[str]) -> tuple[set[str], set[str]]:
        """Those of these ids of Stripe's that are the user's, or were; and those that `theirs` shows."""
        rows = await connection.fetch(_NAMED, user_id, list(names))
        return {row[0] for row in rows}, {row[0] for row in rows if row[1]}

    async def events(self, connection: Connection, stripe_ids: Sequence[str], *, payloads: bool) -> Sequence[str]:
        """The stored events about these objects."""
        return await self._events(connection, "e.object_key = ANY ($1::text[])", stripe_ids, payloads=payloads)

    async def events_by_id(self, connection: Connection, ids: Sequence[UUID], *, payloads: bool) -> Sequence[str]:
        """These stored events."""
        return await self._events(connection, "e.id = ANY ($1::uuid[])", ids, payloads=payloads)

    async def _events(
        self, connection: Connection, where: str, values: Sequence[str] | Sequence[UUID], *, payloads: bool
    ) -> Sequence[str]:
        shown = ", 'payload', coalesce(e.payload, a.payload)" if payloads else ""
        rows = await connection.fetch(
            f"""
            SELECT jsonb_build_object('id', e.stripe_event_id, 'type', e.event_type, 'object', e.object_id,
                'created', e.event_created_at, 'received', e.created_at, 'source', e.source{shown})::text
            FROM webhook_events e {ARCHIVED_PAYLOAD if payloads else ""}
            WHERE {where} ORDER BY e.object_key, e.seq
            """,
            values,
        )
        return [row[0] for row in rows]

    async def audit(self, connection: Connection, theirs: Theirs) -> Sequence[str]:
        """What staff did with these objects; not who of the staff it was, nor from where."""
        rows = await connection.fetch(
            f"""
            SELECT (jsonb_build_object('by', split_part(t.actor, ':', 1)) ||
                {_only("id", "action", "object_kind", "object_id", "outcome", "happened_at", "details")})::text
            FROM audit_log t WHERE t.object_id = ANY ($1) ORDER BY t.id
            """,
            [*theirs.ids, *theirs.stripe_ids],
        )
        return [row[0] for row in rows]
