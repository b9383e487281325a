"""What a caller asks of a payment, after its shape was checked."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

__all__ = ["CancelRequest", "CaptureRequest", "ConfirmRequest", "HistoryRequest", "PaymentRequest", "RefundRequest"]


class PaymentRequest(Struct, frozen=True, kw_only=True):
    """A new payment; `amount` in minor units. With `confirm` it is charged at once."""

    amount: int
    currency: str
    description: str | None = None
    metadata: dict[str, str] = {}
    payment_method: str | None = None
    capture_method: Literal["automatic", "manual"] | None = None
    setup_future_usage: Literal["on_session", "off_session"] | None = None
    confirm: bool = False
    off_session: bool = False
    return_url: str | None = None


class ConfirmRequest(Struct, frozen=True, kw_only=True):
    """Try to charge, with `payment_method` or the one that the payment already has."""

    payment_method: str | None = None
    off_session: bool = False
    return_url: str | None = None


class CaptureRequest(Struct, frozen=True, kw_only=True):
    """Capture `amount` minor units, or all."""

    amount: int | None = None


class CancelRequest(Struct, frozen=True, kw_only=True):
    """Cancel, for one of Stripe's reasons."""

    reason: str | None = None


class RefundRequest(Struct, frozen=True, kw_only=True):
    """Refund `amount` minor units, or all that is left."""

    amount: int | None = None
    reason: str | None = None
    metadata: dict[str, str] = {}


class HistoryRequest(Struct, frozen=True, kw_only=True):
    """A page of history; cursors are ids of ours or Stripe's."""

    limit: int
    starting_after: str | None = None
    ending_before: str | None = None
    status: str | None = None
    currency: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
