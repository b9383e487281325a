"""Stripe's JSON into our objects, for every API version: read by the fields present, never by the version.

Works alike on answers, on webhook payloads and on listed objects. Every reference may be an id or an expanded object.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from tallystick.core.clock import from_unix
from tallystick.stripe_gateway.objects import (
    Charge,
    Customer,
    Dispute,
    Failure,
    PaymentIntent,
    PaymentMethod,
    Price,
    Product,
    Refund,
    StripeEvent,
)

__all__ = [
    "charge",
    "customer",
    "dispute",
    "event",
    "metadata",
    "optional_reference",
    "optional_time",
    "payment_intent",
    "payment_method",
    "price",
    "product",
    "reference",
    "refund",
]

Json = Mapping[str, Any]


def reference(value: object) -> str | None:
    """The id behind a reference that is an id, an expanded object, or nothing."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def optional_reference(obj: Json, name: str) -> str | None | UnsetType:
    """The id behind the reference of this name; UNSET where the object has none of that name."""
    return reference(obj[name]) if name in obj else UNSET


def optional_time(obj: Json, name: str) -> datetime | None | UnsetType:
    """The moment of this name; UNSET where the object has none of that name."""
    if name not in obj:
        return UNSET
    value = obj[name]
    return None if value is None else from_unix(int(value))


def metadata(obj: Json) -> dict[str, str]:
    """An object's metadata, empty where it has none."""
    return {str(key): str(value) for key, value in (obj.get("metadata") or {}).items()}


def _reason(told: str | None | UnsetType) -> str | None | UnsetType:
    """Since basil Stripe says `expired` of an authorisation that ran out, and before that `automatic`. Webhooks and
    answers may be of two versions, so it has the word here that both can tell."""
    return "automatic" if told == "expired" else told


def _failure(obj: Json) -> Failure | None | UnsetType:
    if "last_payment_error" not in obj:
        return UNSET
    error = obj["last_payment_error"]
    if not error:
        return None
    return Failure(
        code=error.get("code") or error.get("type") or "unknown",
        decline_code=error.get("decline_code"),
        charge_id=reference(error.get("charge")),
        payment_method=reference(error.get("payment_method")),
    )


def payment_intent(obj: Json) -> PaymentIntent:
    """A payment intent (all versions: the fields we use did not move)."""
    get = obj.get
    return PaymentIntent(
        id=obj["id"],
        amount=int(obj["amount"]),
        currency=obj["currency"],
        status=obj["status"],
        created=from_unix(obj["created"]),
        metadata=metadata(obj),
        customer=optional_reference(obj, "customer"),
        payment_method=optional_reference(obj, "payment_method"),
        description=get("description", UNSET),
        capture_method=get("capture_method", UNSET),
        setup_future_usage=get("setup_future_usage", UNSET),
        amount_capturable=get("amount_capturable", UNSET),
        amount_received=get("amount_received", UNSET),
        latest_charge=optional_reference(obj, "latest_charge"),
        failure=_failure(obj),
        cancellation_reason=_reason(get("cancellation_reason", UNSET)),
        canceled_at=optional_time(obj, "canceled_at"),
        client_secret=get("client_secret"),
        next_action=get("next_action"),
        expanded_charge=charge(latest) if isinstance(latest := get("latest_charge"), Mapping) else None,
    )


def charge(obj: Json) -> Charge:
    """A charge; the card's details hang at `payment_method_details.card`, the decline at `outcome`."""
    details = obj.get("payment_method_details")
    card = details.get("card") if details else None
    outcome = obj.get("outcome") or {}
    declined = outcome.get("type") in ("issuer_declined", "blocked", "invalid")
    return Charge(
        id=obj["id"],
        amount=int(obj["amount"]),
        currency=obj["currency"],
        status=obj["status"],
        created=from_unix(obj["created"]),
        captured=bool(obj["captured"]),
        payment_intent=optional_reference(obj, "payment_intent"),
        amount_captured=obj.get("amount_captured", UNSET),
        amount_refunded=obj.get("amount_refunded", UNSET),
        disputed=obj.get("disputed", UNSET),
        payment_method=optional_reference(obj, "payment_method"),
        card_brand=card.get("brand", UNSET) if card else UNSET,
        card_last4=card.get("last4", UNSET) if card else UNSET,
        failure_code=obj.get("failure_code", UNSET),
        decline_code=(outcome.get("reason") if declined else None) if "outcome" in obj else UNSET,
    )


def refund(obj: Json) -> Refund:
    """A refund. Its status may be null on very old ones, which then succeeded."""
    return Refund(
        id=obj["id"],
        amount=int(obj["amount"]),
        currency=obj["currency"],
        status=obj.get("status") or "succeeded",
        created=from_unix(obj["created"]),
        metadata=metadata(obj),
        payment_intent=reference(obj.get("payment_intent")),
        charge=reference(obj.get("charge")),
        reason=obj.get("reason", UNSET),
        failure_reason=obj.get("failure_reason", UNSET),
        # A refund that moved money has its balance transaction from the start.
        release=obj.get("status") == "succeeded" and obj.get("balance_transaction", "") is None,
    )


def dispute(obj: Json) -> Dispute:
    """A dispute (`du_…`, older ones `dp_…`)."""
    return Dispute(
        id=obj["id"],
        amount=int(obj["amount"]),
        currency=obj["currency"],
        status=obj["status"],
        reason=obj["reason"],
        created=from_unix(obj["created"]),
        payment_intent=reference(obj.get("payment_intent")),
        charge=reference(obj.get("charge")),
        evidence_due_at=optional_time(obj["evidence_details"], "due_by") if obj.get("evidence_details") else UNSET,
    )


def payment_method(obj: Json) -> PaymentMethod:
    """A payment method; `card` is there only where its type is card."""
    card = obj.get("card") or {}
    return PaymentMethod(
        id=obj["id"],
        type=obj["type"],
        created=from_unix(obj["created"]),
        customer=optional_reference(obj, "customer"),
        card_brand=card.get("brand", UNSET),
        card_last4=card.get("last4", UNSET),
        card_exp_month=card.get("exp_month", UNSET),
        card_exp_year=card.get("exp_year", UNSET),
        card_funding=card.get("funding", UNSET),
        card_country=card.get("country", UNSET),
        card_fingerprint=card.get("fingerprint", UNSET),
    )


def customer(obj: Json, *, deleted: bool = False) -> Customer:
    """A customer, or `{id, object, deleted: true}`; the event of a deletion has the whole customer instead."""
    created = obj.get("created")
    settings = obj.get("invoice_settings")
    return Customer(
        id=obj["id"],
        metadata=metadata(obj),
        deleted=deleted or bool(obj.get("deleted")),
        created=None if created is None else from_unix(created),
        email=obj.get("email", UNSET),
        name=obj.get("name", UNSET),
        phone=obj.get("phone", UNSET),
        address=obj.get("address", UNSET),
        default_payment_method=optional_reference(settings, "default_payment_method") if settings else UNSET,
    )


def product(obj: Json, *, deleted: bool = False) -> Product:
    """A product; its bullet points are `marketing_features` (before 2024-04-10 `features`)."""
    listed = obj.get("marketing_features", obj.get("features", UNSET))
    return Product(
        id=obj["id"],
        name=obj["name"],
        active=bool(obj["active"]),
        metadata=metadata(obj),
        created=from_unix(obj["created"]),
        deleted=deleted,
        description=obj.get("description", UNSET),
        unit_label=obj.get("unit_label", UNSET),
        default_price=optional_reference(obj, "default_price"),
        images=obj.get("images", UNSET),
        features=UNSET if listed is UNSET else [str(item.get("name") or "") for item in listed or ()],
    )


def price(obj: Json, *, deleted: bool = False) -> Price:
    """A price; `tiers` only where it was expanded."""
    recurring = obj.get("recurring")
    kept = ("interval", "interval_count", "usage_type")
    return Price(
        id=obj["id"],
        product=reference(obj["product"]) or "",
        active=bool(obj["active"]),
        currency=obj["currency"],
        type=obj["type"],
        billing_scheme=obj["billing_scheme"],
        metadata=metadata(obj),
        created=from_unix(obj["created"]),
        unit_amount=obj.get("unit_amount"),
        unit_amount_decimal=obj.get("unit_amount_decimal"),
        recurring={name: recurring[name] for name in kept if name in recurring} if recurring else None,
        tiers_mode=obj.get("tiers_mode"),
        transform_quantity=obj.get("transform_quantity"),
        tiers=obj.get("tiers", UNSET),
        deleted=deleted,
        nickname=obj.get("nickname", UNSET),
        lookup_key=obj.get("lookup_key", UNSET),
        tax_behavior=obj.get("tax_behavior", UNSET),
    )


def event(obj: Json) -> StripeEvent:
    """An event as `GET /v1/events` lists it."""
    return StripeEvent(id=obj["id"], created=from_unix(obj["created"]), raw=dict(obj))
