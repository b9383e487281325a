"""SQL that reads, across areas, what the pages of objects show beside the objects themselves."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from tallystick.platform.database import Connection

__all__ = ["ObjectRepository"]

_BY_ID = (
    ("payments", "payments", "stripe_payment_intent_id"),
    ("subscriptions", "subscriptions", "stripe_subscription_id"),
    ("invoices", "invoices", "stripe_invoice_id"),
    ("customers", "customers", "stripe_customer_id"),
    ("events", "webhook_events", "stripe_event_id"),
)
_BY_OURS = (("mails", "mails"), ("deliveries", "outbound_deliveries"), ("endpoints", "webhook_endpoints"))
_PRODUCT = "(SELECT p.name FROM products p WHERE p.stripe_product_id = product_id)"
# Title, table (which is the page's name, too), name, amount.
_OWNED = (
    ("Subscriptions", "subscriptions", f"coalesce({_PRODUCT}, price_id, 'Subscription')", "NULL"),
    ("Payments", "payments", "NULL", "amount"),
    ("Invoices", "invoices", "coalesce(number, stripe_invoice_id)", "NULL"),
)


class ObjectRepository:
    """Reads; writes nothing."""

    async def find(self, connection: Connection, text: str, our_id: UUID | None) -> str | None:
        """The address of the page about what is called `text`."""
        for page, table, column in _BY_ID:
            key, value = ("id", our_id) if our_id else (column, text)
            found = await connection.fetchval(f"SELECT id FROM {table} WHERE {key} = $1", value)
            if found is not None:
                return f"/console/{page}/{found}"
        if our_id is not None:
            for page, table in _BY_OURS:
                if await connection.fetchval(f"SELECT true FROM {table} WHERE id = $1", our_id):
                    return f"/console/{page}/{our_id}"
            return None
        charge = await connection.fetchval(
            """
            SELECT payment_id FROM charges WHERE stripe_charge_id = $1
            UNION ALL SELECT payment_id FROM refunds WHERE stripe_refund_id = $1
            UNION ALL SELECT payment_id FROM disputes WHERE stripe_dispute_id = $1 LIMIT 1
            """,
            text,
        )
        if charge is not None:
            return f"/console/payments/{charge}"
        customer = await connection.fetchval(
            """
            SELECT c.id FROM customers c WHERE c.id = ANY (ARRAY(
                SELECT c.id FROM users u JOIN customers c ON c.user_id = u.id
                WHERE u.external_id = $1 OR lower(u.email) = lower($1)
                UNION ALL SELECT id FROM customers WHERE lower(email) = lower($1) AND NOT deleted
            ))
            ORDER BY c.created_at DESC LIMIT 1
            """,
            text,
        )
        return f"/console/customers/{customer}" if customer is not None else None

    async def of_customer(
        self, connection: Connection, stripe_customer_id: str
    ) -> Sequence[tuple[str, str, Sequence[Mapping[str, Any]]]]:
        """The newest ten of each kind that are a customer's: title, page, and rows.

        Rows have id, name or amount and currency, state and time.
        """
        found = []
        for title, table, name, amount in _OWNED:
            rows = await connection.fetch(
                f"""
                SELECT id, {name} AS name, {amount} AS amount, currency, status AS state, created_at AS at FROM {table}
                WHERE stripe_customer_id = $1 ORDER BY created_at DESC, id DESC LIMIT 10
                """,
                stripe_customer_id,
            )
            found.append((title, table, [dict(row) for row in rows]))
        return found

    async def external_id(self, connection: Connection, user_id: UUID) -> str | None:
        """The host application's id of a user."""
        found: str | None = await connection.fetchval("SELECT external_id FROM users WHERE id = $1", user_id)
        return found

    async def plans(self, connection: Connection, price_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of the products that prices are of."""
        rows = await connection.fetch(
            """
            SELECT r.stripe_price_id, p.name FROM prices r JOIN products p USING (stripe_product_id)
            WHERE r.stripe_price_id = ANY ($1)
            """,
            [*price_ids],
        )
        return {row["stripe_price_id"]: row["name"] for row in rows}

    async def currencies(self, connection: Connection, start: date, end: date) -> Sequence[str]:
        """The currencies that figures of these days are in."""
        rows = await connection.fetch(
            "SELECT DISTINCT currency FROM metrics_days WHERE day BETWEEN $1 AND $2 AND currency <> '' ORDER BY 1",
            start,
            end,
        )
        return [row["currency"] for row in rows]

    async def delivery(self, connection: Connection, delivery_id: UUID) -> Mapping[str, Any] | None:
        """An outbound webhook's delivery with its fact and where it goes."""
        row = await connection.fetchrow(
            """
            SELECT d.*, f.type, f.data, f.occurred_at, w.url
            FROM outbound_deliveries d JOIN outbound_facts f ON f.id = d.fact_id
            LEFT JOIN webhook_endpoints w ON w.id = d.endpoint_id WHERE d.id = $1
            """,
            delivery_id,
        )
        return dict(row) if row else None
