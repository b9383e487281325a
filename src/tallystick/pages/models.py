"""Checkout sessions, what a caller asks of one, and how far its customer is. Amounts are minor units."""

from datetime import datetime
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.platform.auth import Actor

__all__ = [
    "Changed",
    "CheckoutKind",
    "CheckoutRequest",
    "CheckoutSession",
    "Look",
    "Progress",
    "Recurring",
    "SavedMethod",
    "Started",
    "Terms",
    "TermsChanged",
]

Mode: TypeAlias = Literal["payment", "subscription"]
Status: TypeAlias = Literal["open", "processing", "complete", "expired", "canceled"]


class Recurring(Struct, frozen=True, kw_only=True):
    """What a subscription costs beyond what is due now, in minor units of the session's currency.

    Of a whole period, `subtotal` less `discount` plus `tax` is charged; `credit` of the customer's is taken off what
    is due now. It is free for `trial_days`. `metered`: it is billed by use. `discount_duration` is Stripe's: once,
    repeating (for `discount_months`), forever; None where there is no discount.
    """

    interval: str
    interval_count: int
    trial_days: int
    metered: bool
    subtotal: int
    discount: int
    tax: int
    credit: int
    discount_duration: str | None = None
    discount_months: int | None = None


class CheckoutSession(Struct, frozen=True):
    """A row of `checkout_sessions`.

    `subject_id` is the id of the payment or subscription that it ends in, known before that exists. `intent_id` is
    Stripe's id of what the browser was last given to confirm, where the subject does not name it. `started_at` is
    when the customer first pressed the button; `expires_at` is business time.
    """

    id: UUID
    user_id: UUID
    mode: Mode
    status: Status
    amount: int
    currency: str
    description: str | None
    price_id: str | None
    quantity: int
    promotion_code: str | None
    recurring: Recurring | None
    success_url: str | None
    cancel_url: str | None
    locale: str | None
    metadata: dict[str, str]
    subject_id: UUID
    intent_id: str | None
    started_at: datetime | None
    expires_at: datetime
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class CheckoutRequest(Struct, frozen=True, kw_only=True):
    """A new session: an amount with its currency, or a price of the catalogue."""

    mode: Mode
    amount: int | None = None
    currency: str | None = None
    description: str | None = None
    price: str | None = None
    quantity: int = 1
    promotion_code: str | None = None
    trial_period_days: int | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    locale: str | None = None
    expires_in_s: int
    metadata: dict[str, str] = {}


class Terms(Struct, frozen=True):
    """What is due now, and for what; of a subscription, also what it costs then."""

    amount: int
    currency: str
    description: str | None
    recurring: Recurring | None = None


class Progress(Struct, frozen=True):
    """How far what a session ends in is.

    `held`: the money is authorised and not captured yet. `failure`: Stripe's error code and decline code of the
    last try. `free_until`: the end of a subscription's trial.
    """

    state: Literal["none", "open", "processing", "done", "canceled"]
    held: bool = False
    failure: tuple[str | None, str | None] | None = None
    free_until: datetime | None = None


class Look(Struct, frozen=True):
    """A session as it is at this moment."""

    session: CheckoutSession
    progress: Progress


class Started(Struct, frozen=True):
    """What the browser confirms with Stripe: a payment intent's secret, or a setup intent's.

    `subject_id` is what the session ends in: mostly the id that was foreseen, or that of a subscription which was
    begun before with the same wish, and is taken up again.
    """

    client_secret: str
    intent: Literal["payment", "setup"]
    subject_id: UUID


class Changed(Struct, frozen=True):
    """What would happen is not what was shown: the page has to be shown again before anybody confirms."""


class SavedMethod(Struct, frozen=True):
    """What Stripe charges for this customer by default; `last4` is None where it is no card."""

    brand: str | None
    last4: str | None


class TermsChanged(Exception):
    """What is due is not what the session says; `terms` are what holds, of what has come into being as `subject_id`."""

    def __init__(self, terms: Terms, subject_id: UUID) -> None:
        super().__init__("the terms have changed")
        self.terms = terms
        self.subject_id = subject_id


class CheckoutKind(Protocol):
    """What a mode of checkout ends in, and how. Every method may be called any number of times."""

    async def terms(self, actor: Actor, wanted: CheckoutRequest) -> Terms:
        """Check a new session's request and say what is due; raises a DomainError for what cannot be."""

    def subject_id(self, session_id: UUID) -> UUID:
        """The id that the payment or subscription of a session has, or will have."""

    async def start(self, session: CheckoutSession, subject: str) -> Started | None:
        """Create it at Stripe, or find what was created before; `subject` is the host application's id of the user.

        None: there is nothing (left) to confirm.

        Raises:
            Unavailable: try again.
            TermsChanged: it is there, and nobody may confirm it before having seen what it costs.
            DomainError: it cannot be, for good.
        """

    async def progress(self, session: CheckoutSession) -> Progress:
        """How far it is by our own record."""

    async def refresh(self, session: CheckoutSession) -> None:
        """Ask Stripe once how far it is; raises `Unavailable`."""

    async def cancel(self, session: CheckoutSession) -> None:
        """Make sure that nobody can pay it any more; raises `Conflict` where that cannot be done now."""
