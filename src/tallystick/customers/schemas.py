"""The shapes of requests and answers about customers, for validation at the edge and for OpenAPI."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

__all__ = [
    "AttachPaymentMethod",
    "CustomerFields",
    "CustomerView",
    "NoFields",
    "PaymentMethodList",
    "PaymentMethodView",
    "SetupIntentView",
]

Email = Annotated[str, StringConstraints(strict=True, max_length=512, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]
Phone = Annotated[str, StringConstraints(strict=True, max_length=30, pattern=r"^\+?[0-9 ()./-]{3,29}$")]
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=256)]
Line = Annotated[str, StringConstraints(strict=True, max_length=500)]
Country = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{2}$")]
Metadata = dict[Annotated[str, StringConstraints(strict=True)], Annotated[str, StringConstraints(strict=True)]]
PaymentMethodId = Annotated[str, StringConstraints(strict=True, max_length=255, pattern=r"^pm_[A-Za-z0-9_]+$")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Address(_Request):
    """A postal address; it replaces the whole of the old one."""

    line1: Line | None = None
    line2: Line | None = None
    city: Line | None = None
    state: Line | None = None
    postal_code: Line | None = None
    country: Country | None = Field(default=None, description="two letters, ISO 3166-1")


class CustomerFields(_Request):
    """What a customer tells of itself. What is absent stays as it is; null clears it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"email": "ann@example.com", "name": "Ann Example", "metadata": {"tier": "a"}}]
        },
    )

    email: Email | None = None
    name: Name | None = None
    phone: Phone | None = None
    address: Address | None = None
    metadata: Metadata = Field(default_factory=dict, description="joins what is there; an empty text removes a key")


class NoFields(_Request):
    """Nothing."""


class AttachPaymentMethod(_Request):
    """A payment method made with Stripe.js, to be kept for later."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"payment_method": "pm_card_visa", "default": True}]}
    )

    payment_method: PaymentMethodId
    default: StrictBool = Field(default=False, description="make it the default for subscriptions and invoices")


class AttemptView(BaseModel):
    """Where a write to Stripe stands whose outcome is not known yet."""

    id: UUID
    kind: str
    state: str


class CustomerView(BaseModel):
    """A customer; of a deleted one only its ids and times."""

    id: UUID
    object: Literal["customer"]
    stripe_customer_id: str
    deleted: bool
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    address: dict[str, str | None] | None = None
    metadata: dict[str, str] | None = None
    default_payment_method: str | None = Field(default=None, description="Stripe's id")
    created_at: datetime
    updated_at: datetime
    attempt: AttemptView | None = Field(default=None, description="only with 202")
    user_id: UUID | None = Field(default=None, description="staff only, and only when read")
    flagged: bool | None = Field(
        default=None, description="made elsewhere for a user who has another customer; staff only, and only when read"
    )


class CardView(BaseModel):
    """What may be shown of a card."""

    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    funding: str | None
    country: str | None


class PaymentMethodView(BaseModel):
    """A payment method; `customer` is null once it is detached."""

    id: UUID
    object: Literal["payment_method"]
    stripe_payment_method_id: str
    customer: str | None
    type: str
    card: CardView | None
    default: bool
    created_at: datetime
    updated_at: datetime
    attempt: AttemptView | None = Field(default=None, description="only with 202")


class PaymentMethodList(BaseModel):
    """The customer's payment methods, the default first, then newest first; at most a hundred."""

    data: list[PaymentMethodView]
    has_more: bool


class SetupIntentView(BaseModel):
    """A setup intent. The browser confirms it with the client secret and the customer's card (`confirmSetup`)."""

    id: UUID
    object: Literal["setup_intent"]
    stripe_setup_intent_id: str
    status: str
    payment_method: str | None = Field(description="Stripe's id, once there is one")
    client_secret: str | None = Field(default=None, description="only in the answer to the request that made it")
    created_at: datetime
    updated_at: datetime
    attempt: AttemptView | None = Field(default=None, description="only with 202")
