"""What money figures are made of. Amounts are minor units of their currency."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct

__all__ = [
    "ALL_CURRENCIES",
    "COUNTS",
    "MOVEMENTS",
    "Change",
    "DayFigure",
    "Kind",
    "Level",
    "Movement",
    "Off",
    "Price",
    "Story",
    "StoryRow",
    "Told",
    "Trial",
]

ALL_CURRENCIES = ""
"""The currency of what counts customers, whatever they pay in."""


class Kind(StrEnum):
    """A kind of figure of a day; the first five are movements of the monthly recurring revenue."""

    NEW = "new"
    REACTIVATION = "reactivation"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"
    TRIAL_STARTED = "trial_started"
    TRIAL_ENDED = "trial_ended"
    TRIAL_CONVERTED = "trial_converted"
    CHARGED = "charged"
    DECLINED = "declined"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    FAILED = "failed"
    RECOVERED = "recovered"


MOVEMENTS = (Kind.NEW, Kind.REACTIVATION, Kind.EXPANSION, Kind.CONTRACTION, Kind.CHURN)
COUNTS = (Kind.TRIAL_STARTED, Kind.TRIAL_ENDED, Kind.TRIAL_CONVERTED)


class Price(Struct, frozen=True):
    """What a price charges for an interval (`day`, `week`, `month`, `year`), as its row in the mirror says.

    `unit_amount` may be a fraction of a minor unit, so it is a decimal in text. `tiers` are Stripe's.
    """

    id: str
    currency: str
    unit_amount: str | None
    interval: str | None
    interval_count: int = 1
    metered: bool = False
    tiers_mode: str | None = None
    tiers: list[dict[str, Any]] | None = None
    divide_by: int | None = None
    round_up: bool = False


class Off(Struct, frozen=True):
    """What a coupon takes off: a percentage (a decimal in text), or an amount of each invoice."""

    percent: str | None = None
    amount: int = 0
    currency: str | None = None


class StoryRow(Struct, frozen=True):
    """A row of a subscription's history: the fields that changed, before (None: there was nothing) and after."""

    performed_at: datetime
    old_values: dict[str, Any] | None
    new_values: dict[str, Any] | None


class Story(Struct, frozen=True):
    """A subscription's history, in the order of time."""

    subscription_id: UUID
    began_at: datetime
    trial_end: datetime | None
    rows: list[StoryRow]


class Told(Struct, frozen=True):
    """What a subscription was from `at` on: its status, its items as its history remembers them, its discounts."""

    at: datetime
    status: str
    items: list[dict[str, Any]]
    discounts: list[str]


class Level(Struct, frozen=True):
    """The monthly recurring revenue of a subscription, from `at` on."""

    at: datetime
    currency: str
    amount: int


class Change(Struct, frozen=True):
    """By how much the monthly recurring revenue of a subscription changed at `at`."""

    at: datetime
    currency: str
    amount: int
    subscription_id: UUID


class Movement(Struct, frozen=True):
    """A change of what one customer is worth a month. `amount` is signed; those of a customer add up to what it is.

    In `ALL_CURRENCIES` the amount is 0: there only customers are counted, who came (`new`, `reactivation`) or went.
    """

    at: datetime
    currency: str
    kind: Kind
    amount: int


class Trial(Struct, frozen=True):
    """A subscription's trial. `converted`: it ended in a subscription that is paid for, or is to be."""

    subscription_id: UUID
    started_at: datetime
    ended_at: datetime | None
    converted: bool


class DayFigure(Struct, frozen=True):
    """One kind of figure on one day: the sum of its amounts, and of how many."""

    day: date
    currency: str
    kind: Kind
    amount: int
    count: int
