"""API versions: one stored form, the newest; older answers are taken down from it here and nowhere else.

Sources: Stripe's changelog (2025-03-31.basil is the break that matters to payments) and the types of its
SDKs of both ends. A version between the two known ones is treated by its date.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.shapes import Json

__all__ = ["NEWEST", "OLDEST", "Behaviour", "behaviour", "check_version", "render"]

NEWEST = "2026-10-28.endive"
OLDEST = "2023-10-16"
_BASIL = "2025-03-31"
_PLAIN = frozenset(
    {
        "amount_details",
        "automatic_payment_methods",
        "billing_details",
        "card",
        "evidence",
        "metadata",
        "outcome",
        "payment_method_details",
        "payment_method_options",
        "shipping",
    }
)
"""Hashes that never hold an object: the walk down need not enter them."""
_FORM = re.compile(r"\d{4}-\d{2}-\d{2}(?:\.[a-z]+)?\Z")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a request does, not how it is printed, where versions differ."""

    capture_method: str
    release_makes_refund: bool
    """Before basil, the part of an authorisation that was not captured came back as a Refund."""


_OLD_BEHAVIOUR = Behaviour(capture_method="automatic", release_makes_refund=True)
_NEW_BEHAVIOUR = Behaviour(capture_method="automatic_async", release_makes_refund=False)


def check_version(text: str) -> str:
    """`text` if it has the form of an API version; else the 400 that Stripe answers."""
    if not _FORM.match(text):
        raise ApiError(400, f"Invalid Stripe API version: {text}", log_url=False)
    return text


def behaviour(version: str) -> Behaviour:
    """How a request at `version` behaves."""
    return _NEW_BEHAVIOUR if _is_new(version) else _OLD_BEHAVIOUR


def render(value: Any, version: str) -> Any:
    """A stored object (with whatever is expanded inside it) as `version` prints it."""
    return value if _is_new(version) else _downgrade(value)


def _is_new(version: str) -> bool:
    return version[:10] >= _BASIL


def _downgrade(value: Any) -> Any:
    if isinstance(value, list):
        return [_downgrade(item) for item in value]
    if not isinstance(value, dict):
        return value
    lowered = {key: _downgrade(item) if item and key not in _PLAIN else item for key, item in value.items()}
    kind = value.get("object")
    change = _CHANGES.get(kind) if isinstance(kind, str) else None
    return _ordered(change(lowered)) if change else lowered


def _ordered(value: Json) -> Json:
    """Stripe's order of keys for an object whose parts have it already."""
    head = {key: value[key] for key in ("id", "object") if key in value}
    return head | {key: value[key] for key in sorted(value) if key not in head}


def _without(value: Mapping[str, Any], *keys: str) -> Json:
    return {key: item for key, item in value.items() if key not in keys}


def _plain_error(error: Json | None) -> Json | None:
    return _without(error, "advice_code", "network_advice_code", "network_decline_code") if error else error


def _billing_details(value: Json) -> Json:
    details = value.get("billing_details")
    return {**value, "billing_details": _without(details, "tax_id")} if details else value


def _customer(value: Json) -> Json:
    return _without(value, "business_name", "customer_account", "individual_name")


def _payment_method(value: Json) -> Json:
    value = _billing_details(_without(value, "allow_redisplay", "customer_account", "shared_payment_granted_token"))
    if value.get("card"):
        value["card"] = _without(value["card"], "regulated_status")
    return value


def _payment_intent(value: Json) -> Json:
    value = _without(
        value,
        "allowed_payment_method_types",
        "customer_account",
        "excluded_payment_method_types",
        "managed_payments",
        "payment_record",
        "shared_payment_granted_token",
    )
    value["invoice"] = None
    value["last_payment_error"] = _plain_error(value.get("last_payment_error"))
    if value.get("cancellation_reason") == "expired":
        value["cancellation_reason"] = "automatic"
    return value


def _setup_intent(value: Json) -> Json:
    value = _without(
        value,
        "allowed_payment_method_types",
        "customer_account",
        "excluded_payment_method_types",
        "managed_payments",
    )
    value["last_setup_error"] = _plain_error(value.get("last_setup_error"))
    return value


def _setup_attempt(value: Json) -> Json:
    value = _without(value, "customer_account")
    value["setup_error"] = _plain_error(value.get("setup_error"))
    return value


def _charge(value: Json) -> Json:
    value = _billing_details(value)
    value["invoice"] = None
    value["outcome"] = _plain_error(value.get("outcome"))
    details = value.get("payment_method_details")
    if details and details.get("card"):
        card = _without(details["card"], "authorization_code", "regulated_status", "transaction_link_id")
        card = _without(card, "electronic_commerce_indicator", "network_transaction_id")
        if card.get("three_d_secure"):
            card["three_d_secure"] = _without(
                card["three_d_secure"], "electronic_commerce_indicator", "exemption_indicator", "transaction_id"
            )
        value["payment_method_details"] = {**details, "card": card}
    return value


def _refund(value: Json) -> Json:
    return _without(value, "customer", "customer_account", "payment_method", "pending_reason")


def _dispute(value: Json) -> Json:
    value = _without(value, "enhanced_eligibility_types", "intended_submission_method")
    value["evidence"] = _without(value["evidence"], "enhanced_evidence")
    value["evidence_details"] = _without(value["evidence_details"], "enhanced_eligibility", "submission_method")
    details = value.get("payment_method_details")
    if details and details.get("card"):
        value["payment_method_details"] = {**details, "card": _without(details["card"], "case_type", "network")}
    return value


def _token(value: Json) -> Json:
    return {**value, "card": _without(value["card"], "regulated_status")}


def _balance_transaction(value: Json) -> Json:
    return _without(value, "balance_type")


def _balance(value: Json) -> Json:
    return _without(value, "refund_and_dispute_prefunding")


_CHANGES: dict[str, Callable[[Json], Json]] = {
    "balance": _balance,
    "balance_transaction": _balance_transaction,
    "charge": _charge,
    "customer": _customer,
    "dispute": _dispute,
    "payment_intent": _payment_intent,
    "payment_method": _payment_method,
    "refund": _refund,
    "setup_attempt": _setup_attempt,
    "setup_intent": _setup_intent,
    "token": _token,
}
