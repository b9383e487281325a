"""SQL that reads what figures are made of from the mirror; it writes nothing."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from tallystick.metrics.models import Off, Price, Story, StoryRow
from tallystick.platform.database import Connection

__all__ = ["Money", "SourceRepository"]

_MONEY = """
    SELECT CASE WHEN status = 'succeeded' THEN 'charged' ELSE 'declined' END AS kind, currency,
        sum(CASE WHEN status = 'succeeded' THEN amount_captured ELSE amount END)::bigint AS amount, count(*) AS count
    FROM charges WHERE created_at >= $1 AND created_at < $2
        AND (status = 'failed' OR (status = 'succeeded' AND captured)) GROUP BY 1, 2
    UNION ALL
    SELECT 'refunded', currency, sum(amount)::bigint, count(*) FROM refunds
    WHERE created_at >= $1 AND created_at < $2 AND status IN ('pending', 'requires_action', 'succeeded') AND NOT release
    GROUP BY currency
    UNION ALL
    SELECT 'disputed', currency, sum(amount)::bigint, count(*) FROM disputes
    WHERE created_at >= $1 AND created_at < $2 AND status NOT IN ('won', 'warning_closed', 'prevented')
        AND status NOT LIKE 'warning_%'
    GROUP BY currency
    UNION ALL
    SELECT 'failed', currency, sum(amount_due)::bigint, count(*) FROM invoices
    WHERE first_failed_at >= $1 AND first_failed_at < $2 AND NOT deleted GROUP BY currency
    UNION ALL
    SELECT 'recovered', currency, sum(amount_paid)::bigint, count(*) FROM invoices
    WHERE first_failed_at >= $1 AND first_failed_at < $2 AND NOT deleted AND status = 'paid' GROUP BY currency
"""


class Money(Struct, frozen=True):
    """What was moved in a span of time: `kind` as in `models.Kind`."""

    kind: str
    currency: str
    amount: int
    count: int


class SourceRepository:
    """Reads subscriptions' histories, prices, coupons, and what charges, refunds, disputes and invoices add up to."""

    async def stories(self, connection: Connection, customer_id: str) -> Sequence[Story]:
        """The histories of a customer's subscriptions."""
        rows = await connection.fetch(
            """
            SELECT s.id, s.created_at, s.trial_end, h.performed_at, h.old_values, h.new_values
            FROM subscriptions s JOIN subscription_history h ON h.subscription_id = s.id
            WHERE s.stripe_customer_id = $1 ORDER BY s.id, h.performed_at, h.id
            """,
            customer_id,
        )
        stories: dict[UUID, Story] = {}
        for row in rows:
            story = stories.setdefault(row["id"], Story(row["id"], row["created_at"], row["trial_end"], []))
            story.rows.append(StoryRow(row["performed_at"], row["old_values"], row["new_values"]))
        return list(stories.values())

    async def prices(self, connection: Connection, price_ids: Collection[str]) -> Mapping[str, Price]:
        """These prices, by Stripe's id."""
        rows = await connection.fetch(
            """
            SELECT stripe_price_id, currency, coalesce(unit_amount_decimal, unit_amount::text) AS unit_amount,
                recurring, tiers_mode, tiers, transform_quantity
            FROM prices WHERE stripe_price_id = ANY($1)
            """,
            list(price_ids),
        )
        return {row["stripe_price_id"]: _price(row) for row in rows}

    async def offs(
        self, connection: Connection, customer_id: str, durations: Collection[str]
    ) -> tuple[Mapping[str, Off], list[tuple[datetime, datetime | None, Off]]]:
        """What counts of a customer's discounts: of subscriptions by Stripe's id, and its own, from when until when."""
        rows = await connection.fetch(
            """
            SELECT d.stripe_discount_id, d.stripe_subscription_id, d.start_at, c.percent_off,
                coalesce(c.amount_off, 0)::bigint AS amount_off, c.currency,
                CASE WHEN d.deleted THEN least(coalesce(d.end_at, d.state_at), d.state_at) ELSE d.end_at END AS end_at
            FROM discounts d JOIN coupons c USING (stripe_coupon_id)
            WHERE d.stripe_customer_id = $1 AND c.duration = ANY($2) ORDER BY d.start_at
            """,
            customer_id,
            list(durations),
        )
        named: dict[str, Off] = {}
        standing: list[tuple[datetime, datetime | None, Off]] = []
        for row in rows:
            off = Off(row["percent_off"], row["amount_off"], row["currency"])
            if row["stripe_subscription_id"] is None:
                standing.append((row["start_at"], row["end_at"], off))
            else:
                named[row["stripe_discount_id"]] = off
        return named, standing

    async def money(self, connection: Connection, start: datetime, end: datetime) -> Sequence[Money]:
        """What was charged, declined, refunded and disputed in [start, end), and the renewals that failed in it."""
        return [Money(**row) for row in await connection.fetch(_MONEY, start, end)]

    async def declines(self, connection: Connection, start: datetime, end: datetime) -> Mapping[tuple[str, str], int]:
        """How many charges of [start, end) were declined, by code and currency."""
        rows = await connection.fetch(
            """
            SELECT coalesce(decline_code, error_code, 'unknown') AS code, currency, count(*) AS count FROM charges
            WHERE created_at >= $1 AND created_at < $2 AND status = 'failed' GROUP BY 1, 2
            """,
            start,
            end,
        )
        return {(row["code"], row["currency"]): row["count"] for row in rows}


def _price(row: Any) -> Price:
    recurring = row["recurring"] or {}
    transform = row["transform_quantity"] or {}
    return Price(
        id=row["stripe_price_id"],
        currency=row["currency"],
        unit_amount=row["unit_amount"],
        interval=recurring.get("interval"),
        interval_count=recurring.get("interval_count") or 1,
        metered=recurring.get("usage_type") == "metered",
        tiers_mode=row["tiers_mode"],
        tiers=row["tiers"],
        divide_by=transform.get("divide_by"),
        round_up=transform.get("round") == "up",
    )
