"""What we know of Stripe's subscription schedules: as `objects.py`."""

from datetime import datetime

from msgspec import Struct

__all__ = ["Phase", "Schedule"]


class Phase(Struct, frozen=True, kw_only=True):
    """What a subscription consists of from `start` to `end`: prices, and how many of each.

    `tax_rates` are Stripe's ids, of the whole; `item_tax_rates` those of each item.
    """

    start: datetime
    end: datetime
    items: list[tuple[str, int | None]]
    trial_end: datetime | None
    tax_rates: list[str]
    item_tax_rates: list[list[str]]


class Schedule(Struct, frozen=True, kw_only=True):
    """A subscription schedule; `current_start` is when its present phase began, None where none runs."""

    id: str
    status: str
    created: datetime
    metadata: dict[str, str]
    customer: str | None
    subscription: str | None
    end_behavior: str
    current_start: datetime | None
    phases: list[Phase]
