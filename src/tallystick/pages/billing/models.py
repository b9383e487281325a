"""Links to the billing pages, the sessions that come of them, and what the pages show. Amounts are minor units."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.customers.models import MethodRow
from tallystick.entitlements.models import Grant
from tallystick.invoices.models import InvoiceRow, LineRow
from tallystick.platform.auth import Actor
from tallystick.products.models import charged
from tallystick.subscriptions.dunning import Dunning
from tallystick.subscriptions.models import OVERDUE, SubscriptionRow

__all__ = [
    "RENEWING",
    "Account",
    "Flow",
    "InvoiceDetails",
    "LinkState",
    "Offer",
    "Opened",
    "PortalLink",
    "PortalRequest",
    "PortalSession",
    "Price",
    "Scheduled",
    "Subscribed",
    "Visitor",
]

Flow: TypeAlias = Literal["cancel", "change", "payment_method", "pay"]
LinkState: TypeAlias = Literal["missing", "expired", "used"]
RENEWING = frozenset({"trialing", "active", "past_due"})
"""Statuses of subscriptions that go on with a renewal."""


class PortalRequest(Struct, frozen=True):
    """A link that the application asks for; `flow` is where it leads."""

    return_url: str | None = None
    flow: Flow | None = None
    locale: str | None = None


class PortalLink(Struct, frozen=True):
    """A row of `portal_links`; all times are wall time."""

    token_hash: bytes
    user_id: UUID
    flow: Flow | None
    return_url: str | None
    locale: str | None
    created_at: datetime
    expires_at: datetime
    opened_at: datetime | None


class PortalSession(Struct, frozen=True):
    """A row of `portal_sessions`: one browser, signed in as one user; all times are wall time."""

    token_hash: bytes
    link_hash: bytes
    user_id: UUID
    return_url: str | None
    locale: str | None
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class Visitor(Struct, frozen=True):
    """Who looks at a page: the session, its user, and the token that this session's forms bear."""

    session: PortalSession
    actor: Actor
    email: str | None
    locale: str | None
    csrf: str


class Opened(Struct, frozen=True):
    """A link that was opened just now, and the token of the session that came of it."""

    token: str
    flow: Flow | None


class Price(Struct, frozen=True):
    """What a plan costs; `amount` is for one, or for one pack, None where it depends on the use or on how many."""

    id: str
    product: str
    name: str
    amount: int | None
    currency: str
    interval: str
    interval_count: int
    metered: bool
    transform_quantity: Mapping[str, Any] | None = None

    def of(self, quantity: int) -> int | None:
        """What so many cost in one interval, in minor units; None as for `amount`."""
        return None if self.amount is None else self.amount * charged(self.transform_quantity, quantity)


class Offer(Struct, frozen=True):
    """A product that can be subscribed to, and its prices."""

    name: str
    description: str | None
    prices: Sequence[Price]


class Scheduled(Struct, frozen=True):
    """What a subscription becomes at `at`, the end of its period; `plan` is None where it cannot be shown as one."""

    at: datetime
    plan: Price | None
    quantity: int | None


class Subscribed(Struct, frozen=True):
    """A subscription as the pages show it.

    `upcoming` is the next invoice as the API shows it, None where there is none or Stripe cannot be asked. `method` is
    what it will charge. `unpaid` is the invoice that waits for the customer, `pending` the plan that waits for its
    payment.
    """

    row: SubscriptionRow
    plan: Price | None
    grants: Sequence[Grant]
    dunning: Dunning | None
    upcoming: Mapping[str, Any] | None
    method: MethodRow | None
    unpaid: InvoiceRow | None
    pending: Price | None
    scheduled: Scheduled | None

    @property
    def renews(self) -> bool:
        """Whether a renewal is to come by which something can change."""
        ends = self.row.cancel_at_period_end or self.row.cancel_at is not None
        return self.row.status in RENEWING and not ends and self.row.pause_collection is None

    @property
    def changes_now(self) -> bool:
        """Whether its plan can change before the renewal: what is overdue is paid first."""
        return self.row.status not in OVERDUE

    @property
    def takes_code(self) -> bool:
        """Whether a promotion code can be used for it now."""
        return self.renews and self.row.schedule_id is None and self.row.pending_update is None


class Account(Struct, frozen=True):
    """All of a customer's; `subscriptions` are those that are not over, else the one that ended last.

    `default` is the method that is charged next, which may be removed where it is `spare`: nothing is paid with it.
    """

    subscriptions: Sequence[Subscribed]
    methods: Sequence[MethodRow]
    default: str | None
    spare: bool
    invoices: Sequence[InvoiceRow]
    more_invoices: bool
    overdue: Sequence[InvoiceRow]


class InvoiceDetails(Struct, frozen=True):
    """An invoice, its lines, and the card that paid it where that is known."""

    row: InvoiceRow
    lines: Sequence[LineRow]
    card: tuple[str | None, str | None]
