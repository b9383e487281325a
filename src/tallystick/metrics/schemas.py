"""What the API takes and answers about figures. Amounts are integers in minor units of the report's currency."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "FiguresView", "MoneyReport", "MrrReport", "RatesFields", "RatesView", "SubscriberReport", "TrialReport",
]  # fmt: skip


class _Period(BaseModel):
    start: date
    end: date


class MrrPeriodView(_Period):
    new: int
    reactivation: int
    expansion: int
    contraction: int
    churn: int
    currency_effect: int
    mrr: int


class SubscriberPeriodView(_Period):
    new: int
    reactivated: int
    churned: int
    active: int
    churn_rate: float | None


class TrialPeriodView(_Period):
    started: int
    ended: int
    converted: int
    conversion_rate: float | None


class MoneyPeriodView(_Period):
    charged: int
    refunded: int
    disputed: int
    net: int
    charges: int
    declines: int
    success_rate: float | None
    failed: int
    recovered: int
    recovery_rate: float | None


class _Report(BaseModel):
    currency: str = Field(examples=["usd"])
    by: str = Field(examples=["day"])
    without_rate: list[str] = Field(description="currencies that were left out, as there is no exchange rate for them")
    stale: int = Field(description="how many changes are not in the figures yet")


class MrrReport(_Report):
    data: list[MrrPeriodView]


class SubscriberReport(_Report):
    data: list[SubscriberPeriodView]


class TrialReport(_Report):
    data: list[TrialPeriodView]


class MoneyReport(_Report):
    data: list[MoneyPeriodView]


class FiguresView(BaseModel):
    day: date
    currency: str
    mrr: int
    subscribers: int
    arpu: int | None
    churn_rate: float | None
    revenue_churn_rate: float | None
    ltv: int | None
    trials: TrialPeriodView
    money: MoneyPeriodView
    without_rate: list[str]
    stale: int


class RatesFields(BaseModel):
    """Exchange rates of a day."""

    model_config = ConfigDict(extra="forbid")

    rates: dict[str, Annotated[str, Field(max_length=40)]] = Field(
        min_length=1,
        max_length=200,
        description="by currency, what one main unit of it is worth in main units of the base, as a decimal in text",
        examples=[{"eur": "1.0842", "jpy": "0.0067"}],
    )


class RatesView(BaseModel):
    day: date
    base: str
    rates: dict[str, str]
