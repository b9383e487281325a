"""SQL that finds what a timeline is about, and what belongs to it; it reads the tables of other areas."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from tallystick.platform.database import Connection
from tallystick.timeline.models import Member, Subject

__all__ = ["SubjectRepository"]

_MOST = 5000
"""Of more objects than these, the oldest are left out."""

_TABLES: Mapping[str, tuple[str, str]] = {
    "subscription": ("subscriptions", "stripe_subscription_id"),
    "payment": ("payments", "stripe_payment_intent_id"),
    "invoice": ("invoices", "stripe_invoice_id"),
    "customer": ("customers", "stripe_customer_id"),
    "payment_method": ("payment_methods", "stripe_payment_method_id"),
    "setup_intent": ("setup_intents", "stripe_setup_intent_id"),
    "schedule": ("subscription_schedules", "stripe_schedule_id"),
    "refund": ("refunds", "stripe_refund_id"),
    "charge": ("charges", "stripe_charge_id"),
    "dispute": ("disputes", "stripe_dispute_id"),
    "product": ("products", "stripe_product_id"),
    "price": ("prices", "stripe_price_id"),
    "coupon": ("coupons", "stripe_coupon_id"),
    "promotion_code": ("promotion_codes", "stripe_promotion_code_id"),
}
_OWNED = ("subscription", "payment", "invoice", "customer", "payment_method", "setup_intent")
_OF_PAYMENT = ("refund", "charge", "dispute")


def _members(kind: str, condition: str) -> str:
    table, stripe_id = _TABLES[kind]
    return f"SELECT '{kind}' AS kind, t.id, t.{stripe_id} AS stripe_id, t.created_at FROM {table} t WHERE {condition}"


_OF_USER = " UNION ALL ".join(
    [_members(kind, "t.user_id = $1") for kind in _OWNED]
    + [_members("schedule", "t.stripe_customer_id IN (SELECT stripe_customer_id FROM customers WHERE user_id = $1)")]
)
_OF_CUSTOMER = " UNION ALL ".join(
    _members(kind, "t.stripe_customer_id = $1")
    for kind in ("subscription", "payment", "invoice", "customer", "payment_method", "schedule")
)
_OF_SUBSCRIPTION = " UNION ALL ".join(
    [_members(kind, "t.stripe_subscription_id = $1") for kind in ("subscription", "invoice", "schedule")]
    + [
        _members(
            "payment",
            "t.stripe_payment_intent_id IN (SELECT payment_intent_id FROM invoices WHERE stripe_subscription_id = $1)",
        )
    ]
)
_OF_INVOICE = " UNION ALL ".join(
    [
        _members("invoice", "t.stripe_invoice_id = $1"),
        _members(
            "payment",
            "t.stripe_payment_intent_id IN (SELECT payment_intent_id FROM invoices WHERE stripe_invoice_id = $1)",
        ),
    ]
)
_OF_PAYMENT_INTENT = " UNION ALL ".join(
    [_members("payment", "t.stripe_payment_intent_id = $1"), _members("invoice", "t.payment_intent_id = $1")]
)
_TOGETHER = {
    "customer": _OF_CUSTOMER,
    "subscription": _OF_SUBSCRIPTION,
    "invoice": _OF_INVOICE,
    "payment": _OF_PAYMENT_INTENT,
}


class SubjectRepository:
    """Finds subjects by what a person calls them."""

    async def user(self, connection: Connection, external_id: str) -> Subject | None:
        """A user by the host application's id, with all that is theirs."""
        user_id = await connection.fetchval("SELECT id FROM users WHERE external_id = $1", external_id)
        return await self.user_by_id(connection, user_id) if user_id else None

    async def user_by_id(self, connection: Connection, user_id: UUID) -> Subject | None:
        """The same by our id."""
        name = await connection.fetchval("SELECT external_id FROM users WHERE id = $1", user_id)
        if name is None:
            return None
        return Subject("user", name, user_id, True, await self._list(connection, _OF_USER, user_id))

    async def object(self, connection: Connection, reference: UUID | str) -> Subject | None:
        """An object by our id or Stripe's, with what belongs to its story; a customer's is that of their user."""
        for kind, (table, stripe_id) in _TABLES.items():
            column = "id" if isinstance(reference, UUID) else stripe_id
            row = await connection.fetchrow(f"SELECT to_jsonb(t) AS row FROM {table} t WHERE {column} = $1", reference)
            if row is not None:
                return await self._of_row(connection, kind, row["row"])
        return None

    async def heard_of(self, connection: Connection, stripe_id: str) -> Subject | None:
        """What only events tell of: an object that is not in the mirror, or what an event (evt_…) is about."""
        key = await connection.fetchval(
            """
            SELECT coalesce((SELECT object_key FROM webhook_events WHERE stripe_event_id = $1),
                            (SELECT object_key FROM webhook_events WHERE object_key = $1 LIMIT 1))
            """,
            stripe_id,
        )
        if key is None:
            return None
        found = await self.object(connection, key) if key != stripe_id else None
        return found or Subject("object", key, None, False, [Member("object", None, key)])

    async def _of_row(self, connection: Connection, kind: str, row: Mapping[str, Any]) -> Subject | None:
        if kind in _OF_PAYMENT and row["payment_id"]:
            return await self.object(connection, UUID(row["payment_id"]))
        user_id = UUID(row["user_id"]) if row.get("user_id") else None
        if kind == "customer" and user_id is not None:
            return await self.user_by_id(connection, user_id)
        stripe_id = row[_TABLES[kind][1]]
        members: Sequence[Member] = []
        if kind in _TOGETHER and stripe_id is not None:
            members = await self._list(connection, _TOGETHER[kind], stripe_id)
        # One that Stripe does not know yet has nothing that hangs on it.
        members = members or [Member(kind, UUID(row["id"]), stripe_id)]
        return Subject(kind, stripe_id or row["id"], user_id, False, members)

    async def _list(self, connection: Connection, sql: str, value: UUID | str) -> Sequence[Member]:
        rows = await connection.fetch(
            f"SELECT kind, id, stripe_id FROM ({sql}) m ORDER BY created_at DESC LIMIT {_MOST}", value
        )
        return [Member(row["kind"], row["id"], row["stripe_id"]) for row in rows]
