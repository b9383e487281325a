"""Customers and payment methods as the API shows them."""

from typing import Any

from tallystick.customers.models import CustomerRow, MethodRow, SetupRow

__all__ = ["RESERVED", "customer_view", "method_view", "setup_view"]

RESERVED = "tallystick_"
"""Keys of metadata that begin so are ours, and nobody's business."""


def customer_view(customer: CustomerRow, *, staff: bool = False) -> dict[str, Any]:
    """A customer; of a deleted one only that it was there."""
    view: dict[str, Any] = {
        "id": customer.id,
        "object": "customer",
        "stripe_customer_id": customer.stripe_customer_id,
        "deleted": customer.deleted,
    }
    if not customer.deleted:
        view |= {
            "email": customer.email,
            "name": customer.name,
            "phone": customer.phone,
            "address": customer.address,
            "metadata": {key: value for key, value in customer.metadata.items() if not key.startswith(RESERVED)},
            "default_payment_method": customer.default_payment_method,
        }
    view |= {"created_at": customer.created_at, "updated_at": customer.updated_at}
    if staff:
        view |= {"user_id": customer.user_id, "flagged": customer.flagged}
    return view


def method_view(method: MethodRow, *, default: bool = False) -> dict[str, Any]:
    """A payment method; of a card what may be shown. `customer` is null once it is detached."""
    card = None
    if method.type == "card":
        card = {
            "brand": method.card_brand,
            "last4": method.card_last4,
            "exp_month": method.card_exp_month,
            "exp_year": method.card_exp_year,
            "funding": method.card_funding,
            "country": method.card_country,
        }
    return {
        "id": method.id,
        "object": "payment_method",
        "stripe_payment_method_id": method.stripe_payment_method_id,
        "customer": method.stripe_customer_id,
        "type": method.type,
        "card": card,
        "default": default and method.stripe_customer_id is not None,
        "created_at": method.created_at,
        "updated_at": method.updated_at,
    }


def setup_view(setup: SetupRow) -> dict[str, Any]:
    """A setup intent; its client secret joins only the answer itself."""
    return {
        "id": setup.id,
        "object": "setup_intent",
        "stripe_setup_intent_id": setup.stripe_setup_intent_id,
        "status": setup.status,
        "payment_method": setup.payment_method,
        "created_at": setup.created_at,
        "updated_at": setup.updated_at,
    }
