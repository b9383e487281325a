"""What a caller asks of a subscription, after its shape was checked."""

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

__all__ = [
    "CancelRequest",
    "ChangeRequest",
    "CreateRequest",
    "ListRequest",
    "PauseRequest",
    "ProrationBehavior",
    "ResumeRequest",
]

ProrationBehavior: TypeAlias = Literal["create_prorations", "always_invoice", "none"]


class CreateRequest(Struct, frozen=True, kw_only=True):
    """A new subscription. `trial_period_days` None: DEFAULT_TRIAL_DAYS; 0: no trial.

    `by_browser`: the customer is at a page of ours and confirms the first payment, or saves a card, there; the request
    itself charges nothing, whatever cards are saved, and a trial that waits for its card is taken up again, too.
    `shown`: what the customer saw as due at once, in minor units, and the days of the trial; nothing else is charged.
    """

    price: str
    quantity: int = 1
    trial_period_days: int | None = None
    payment_method: str | None = None
    promotion_code: str | None = None
    metadata: dict[str, str] = {}
    by_browser: bool = False
    shown: tuple[int, int] | None = None


class ChangeRequest(Struct, frozen=True, kw_only=True):
    """A change, or a preview of one; what is None stays as it is. `promotion_code` None takes the discount off.

    `only_if_paid`: where the change bills now, it is made only when that is paid.
    """

    price: str | None = None
    quantity: int | None = None
    payment_method: str | None = None
    promotion_code: str | None | UnsetType = UNSET
    cancel_at_period_end: Literal[False] | None = None
    proration_behavior: ProrationBehavior | None = None
    when: Literal["now", "period_end"] = "now"
    only_if_paid: bool = True
    preview_token: str | None = None
    metadata: dict[str, str] | None = None
    reason: str | None = None


class CancelRequest(Struct, frozen=True, kw_only=True):
    """Cancel; `reason` is one of Stripe's values for `feedback`."""

    when: Literal["period_end", "now"] = "period_end"
    reason: str | None = None
    comment: str | None = None


class PauseRequest(Struct, frozen=True, kw_only=True):
    """Pause, until `resumes_at` or until somebody resumes it."""

    resumes_at: datetime | None = None
    reason: str | None = None


class ResumeRequest(Struct, frozen=True, kw_only=True):
    """Resume."""

    reason: str | None = None


class ListRequest(Struct, frozen=True, kw_only=True):
    """A page of a list; cursors are ids of ours or Stripe's."""

    limit: int
    starting_after: str | None = None
    ending_before: str | None = None
    status: str | None = None
