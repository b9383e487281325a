"""The shapes of requests and answers about checkout sessions, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from tallystick.payments.schemas import Amount, CurrencyCode, Metadata, ReturnUrl, Text

__all__ = ["CheckoutSessionView", "CreateCheckoutSession"]

_DAY_S = 24 * 60 * 60


class CreateCheckoutSession(BaseModel):
    """A new checkout session: an amount with its currency, or a price of the catalogue with a quantity.

    Mode `payment` takes one-time prices, mode `subscription` recurring ones.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "mode": "payment",
                    "amount": 1050,
                    "currency": "usd",
                    "description": "Order 1001",
                    "success_url": "https://shop.example.com/thanks",
                    "cancel_url": "https://shop.example.com/cart",
                }
            ]
        },
    )

    mode: Literal["payment", "subscription"] = "payment"
    amount: Amount | None = None
    currency: CurrencyCode | None = Field(default=None, description="DEFAULT_CURRENCY if absent")
    description: Text | None = Field(default=None, description="what is paid for; the customer sees it")
    price: Annotated[str, StringConstraints(strict=True, pattern=r"^price_[A-Za-z0-9_]{1,200}$")] | None = Field(
        default=None, description="Stripe's id of a price, in place of amount and currency"
    )
    quantity: Annotated[StrictInt, Field(ge=1, le=999)] = Field(default=1, description="how many of `price`")
    promotion_code: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)] | None = Field(
        default=None, description="of a subscription; as customers type it"
    )
    trial_period_days: Annotated[StrictInt, Field(ge=0, le=730)] | None = Field(
        default=None, description="of a subscription; DEFAULT_TRIAL_DAYS if absent. Who has had a trial gets none."
    )
    success_url: ReturnUrl | None = Field(
        default=None,
        description="where a customer who has paid goes; `checkout_session_id` and `payment_id` or "
        "`subscription_id` are added. "
        "Its origin is one of CHECKOUT_RETURN_URLS.",
    )
    cancel_url: ReturnUrl | None = Field(default=None, description="where a customer who does not pay goes")
    locale: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")] | None = (
        Field(default=None, max_length=35, description="the page's language; else the user's, else the browser's")
    )
    expires_in_s: Annotated[StrictInt, Field(ge=60, le=7 * _DAY_S)] = Field(
        default=_DAY_S, description="seconds until the link is dead"
    )
    metadata: Metadata = Field(default_factory=dict, description="goes to the payment or subscription, too")


class SubscriptionCostView(BaseModel):
    """What a subscription costs: amounts of a whole period, in minor units."""

    interval: str
    interval_count: int
    trial_days: int = Field(description="for how long it is free; 0: who has had a trial gets none")
    metered: bool = Field(description="billed by use")
    subtotal: int
    discount: int
    tax: int
    credit: int = Field(description="what of the customer's is taken off what is due now")
    discount_duration: str | None = Field(description="once, repeating, forever")
    discount_months: int | None


class CheckoutSessionView(BaseModel):
    """A checkout session; amounts in minor units, times in UTC."""

    id: UUID
    object: Literal["checkout_session"]
    mode: str
    status: str = Field(description="open, processing, complete, expired, canceled")
    amount: int = Field(description="what is due now")
    currency: str
    description: str | None
    price: str | None
    quantity: int
    promotion_code: str | None
    recurring: SubscriptionCostView | None = Field(description="of a subscription: what it costs then")
    payment_id: UUID | None = Field(description="once the customer has begun to pay")
    subscription_id: UUID | None = Field(description="once the customer has begun to pay")
    success_url: str | None
    cancel_url: str | None
    locale: str | None
    metadata: dict[str, str]
    expires_at: datetime
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    url: str | None = Field(
        default=None,
        description="the page, for this customer's eyes only; in the answer of create, where each repeat has its own",
    )
