"""What a rebuild compares, and what it reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallystick.core.clock import SystemClock

__all__ = ["COMPARED", "COPIED", "MARK", "Compared", "Difference", "Progress", "Rebuilt", "ReplayClock", "TableResult"]

MARK = "tallystick rebuild"
"""How the comment on a schema begins that a rebuild has made, and may therefore replace."""

# Which row it is, how often and when it was written here, and whether a fetch is (or was) under way: they tell of the
# way a state came, not of the state.
_OURS = ("id", "revision", "state_at", "unsure", "updated_at")
# What is made here first has the time at which it was asked for; it is not told to Stripe.
_MADE_HERE = (*_OURS, "created_at")
# Whether staff were told of a second one hangs on which of two was heard of first.
_FLAGGED = (*_OURS, "flagged")


@dataclass(frozen=True, slots=True)
class Compared:
    """A table of the mirror, as it is compared: `key` names a row on both sides, `refs` are columns that name rows by
    our own ids, with Stripe's id in their place (SQL; the row is `t`), and `ignored` are left out."""

    table: str
    key: str
    where: str = "true"
    ignored: Sequence[str] = _OURS
    refs: Mapping[str, str] = field(default_factory=dict)


_PAYMENT = "(SELECT p.stripe_payment_intent_id FROM payments p WHERE p.id = t.payment_id)"
_SUBSCRIPTION = "(SELECT s.stripe_subscription_id FROM subscriptions s WHERE s.id = t.subscription_id)"
_INVOICE = "(SELECT i.stripe_invoice_id FROM invoices i WHERE i.id = t.invoice_id)"

COMPARED: tuple[Compared, ...] = (
    Compared("products", "t.stripe_product_id"),
    Compared("prices", "t.stripe_price_id"),
    Compared("coupons", "t.stripe_coupon_id"),
    Compared("promotion_codes", "t.stripe_promotion_code_id"),
    Compared("customers", "t.stripe_customer_id", ignored=_FLAGGED),
    Compared("payment_methods", "t.stripe_payment_method_id"),
    Compared("setup_intents", "t.stripe_setup_intent_id"),
    Compared("payments", "t.stripe_payment_intent_id", "t.stripe_payment_intent_id IS NOT NULL", _MADE_HERE),
    Compared("charges", "t.stripe_charge_id", refs={"payment_id": _PAYMENT}),
    Compared(
        "refunds", "t.stripe_refund_id", "t.stripe_refund_id IS NOT NULL", _MADE_HERE, refs={"payment_id": _PAYMENT}
    ),
    Compared("disputes", "t.stripe_dispute_id", refs={"payment_id": _PAYMENT}),
    Compared("subscriptions", "t.stripe_subscription_id", "t.stripe_subscription_id IS NOT NULL", _FLAGGED),
    Compared("subscription_schedules", "t.stripe_schedule_id"),
    Compared("discounts", "t.stripe_discount_id"),
    Compared("invoices", "t.stripe_invoice_id"),
    Compared("invoice_lines", f"{_INVOICE} || ' ' || lpad(t.position::text, 6, '0')", refs={"invoice_id": _INVOICE}),
    Compared(
        "subscription_history",
        "t.business_key",
        # What no event has told yet is known from answers, which are no events.
        "NOT t.provisional",
        ignored=("id",),
        refs={"subscription_id": _SUBSCRIPTION},
    ),
    Compared(
        "access_grants",
        f"{_SUBSCRIPTION} || ' ' || t.stripe_product_id",
        # Of a product that was replaced within one batch of events nobody has ever had access.
        "t.state <> 'replaced'",
        # When access was lost by the clock alone is known from the worker's looks.
        ignored=("asked_at", "since", "changes", "updated_at"),
        refs={"subscription_id": _SUBSCRIPTION},
    ),
)

COPIED: Mapping[str, str] = {
    "installation": "SELECT * FROM installation",
    "users": "SELECT * FROM users",
    "features": "SELECT * FROM features",
    "product_features": "SELECT * FROM product_features",
    # Who asked for what: an event names the request that caused it by its key.
    "attempts": """
        SELECT id, kind, user_id, subject_id, part_id, stripe_idempotency_key, request, state, sent_at, lease_until,
            looks, error_code, decline_code, stripe_request_id, created_at, updated_at
        FROM attempts
    """,
}
"""What no event tells, as it is not Stripe's: it is copied from the live schema."""


class ReplayClock(SystemClock):
    """Business time that stands at the event being replayed; the machine's before the first."""

    def __init__(self) -> None:
        super().__init__()
        self.at: datetime | None = None

    def now(self) -> datetime:
        return self.at or self.wall()


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that did not come out the same: `field` is None where one side has no such row."""

    table: str
    key: str
    field: str | None
    live: Any
    rebuilt: Any


@dataclass(slots=True)
class TableResult:
    """One table: rows on the live side, fields compared, and how many rows differ."""

    table: str
    rows: int = 0
    fields: int = 0
    different: int = 0


@dataclass(slots=True)
class Rebuilt:
    """What became of a rebuild. `failures` are events that could not be applied, with the reason; `gone` is how many
    payloads were dropped with the archive. `differences` are the first ones; the tables count all."""

    schema: str
    events: int = 0
    own: int = 0
    gone: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    tables: list[TableResult] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def different(self) -> int:
        """How many rows differ."""
        return sum(table.different for table in self.tables)


class Progress:
    """Whoever watches overrides what it wants to hear of."""

    def phase(self, name: str, total: int) -> None:
        """A new phase begins, of so many steps."""

    def advance(self, steps: int) -> None:
        """So many are done."""
