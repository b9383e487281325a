"""API versions: one stored form, the newest; older answers are taken down from it here and nowhere else.

Sources: Stripe's changelog (2025-03-31.basil is the break that matters to payments) and the types of its
SDKs of both ends. A version between the two known ones is treated by its date.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from tallystick.sandbox import versions_billing, versions_catalogue
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.shapes import Json

__all__ = ["NEWEST", "OLDEST", "Behaviour", "Lookup", "behaviour", "check_version", "knows_event", "render"]

Lookup: TypeAlias = Callable[[str], Json | None]
"""Finds a stored object (a deleted one in its last form): older versions print some in full, newer their ids."""

NEWEST = "2026-10-28.endive"
OLDEST = "2023-10-16"
_MARKETING_FEATURES = "2024-04-10"
_BASIL = "2025-03-31"
_CLOVER = "2025-09-30"
_FOREVER_AGAIN = "2026-01-28"
_DAHLIA = "2026-03-25"
_ENDIVE = "2026-09-30"
_EVENTS_SINCE = {"invoice_payment.paid": _BASIL}
HIDDEN = "_"
"""The key of a stored object for facts that older versions print, or none."""
_PLAIN = frozenset(
    {
        "_",
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

    marketing_features: str
    """The product's parameter of that meaning."""
    coupon_params: bool
    """Customers and subscriptions take `coupon` and `promotion_code`; from basil on, `discounts`."""
    promotion_param: bool
    """Promotion codes are created with `promotion`; before clover with `coupon`."""
    amount_off_forever: bool
    """An amount may be taken off for ever; basil and the versions up to 2026-01-28.clover refuse it."""
    early_subscription: bool
    """Before basil, Checkout makes the subscription and its invoice before it is paid."""
    billing_mode: str
    """Of a subscription that names none: `classic` before clover."""
    anchor_object: bool
    """From endive on, an update's `billing_cycle_anchor` is a hash with a `type`."""
    preview_call: bool
    """From basil on, invoices are previewed by `create_preview`, before by `upcoming`."""
    ui_modes: Mapping[str, str]
    """Checkout's `ui_mode` as the version spells it, to the stored one."""


_NEW_UI_MODES = {mode: mode for mode in ("hosted_page", "embedded_page", "elements", "form")}


def check_version(text: str) -> str:
    """`text` if it has the form of an API version; else the 400 that Stripe answers."""
    if not _FORM.match(text):
        raise ApiError(400, f"Invalid Stripe API version: {text}", log_url=False)
    return text


def knows_event(version: str, kind: str) -> bool:
    """Whether endpoints of this version get events of this type."""
    return version[:10] >= _EVENTS_SINCE.get(kind, "")


def behaviour(version: str) -> Behaviour:
    """How a request at `version` behaves."""
    return _behaviour(version[:10])


@cache
def _behaviour(day: str) -> Behaviour:
    basil = day >= _BASIL
    return Behaviour(
        capture_method="automatic_async" if basil else "automatic",
        release_makes_refund=not basil,
        marketing_features="marketing_features" if day >= _MARKETING_FEATURES else "features",
        coupon_params=not basil,
        promotion_param=day >= _CLOVER,
        amount_off_forever=not basil or day >= _FOREVER_AGAIN,
        early_subscription=not basil,
        billing_mode="flexible" if day >= _CLOVER else "classic",
        anchor_object=day >= _ENDIVE,
        preview_call=basil,
        ui_modes=_NEW_UI_MODES if day >= _DAHLIA else versions_catalogue.UI_MODES,
    )


def _nothing(_object_id: str) -> None:
    return None


def render(value: Any, version: str, lookup: Lookup = _nothing) -> Any:
    """A stored object (with whatever is expanded inside it) as `version` prints it.

    `lookup` gives the objects that an older version prints where the newest prints their ids.
    """
    form = _form(version[:10])
    return _downgrade(value, form, lookup) if form.changes else _without_hidden(value)


def _without_hidden(value: Any) -> Any:
    """`value` without the notes that only older versions print; the very same where there are none."""
    if isinstance(value, dict):
        changed = {
            key: lowered
            for key, item in value.items()
            if item and isinstance(item, dict | list) and key not in _PLAIN and key != HIDDEN
            if (lowered := _without_hidden(item)) is not item
        }
        if changed or HIDDEN in value:
            return {key: changed.get(key, item) for key, item in value.items() if key != HIDDEN}
    elif isinstance(value, list):
        items = [_without_hidden(item) for item in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            return items
    return value


@dataclass(frozen=True, slots=True)
class _Form:
    """All that leads from the newest form of each kind down to one version's."""

    changes: Mapping[str, tuple[Callable[[Json], Json], ...]]
    filled: Mapping[str, tuple[str, ...]]
    first: Mapping[str, Callable[[Json, Lookup], Json]]


@cache
def _form(day: str) -> _Form:
    changes: dict[str, tuple[Callable[[Json], Json], ...]] = {}
    filled: dict[str, tuple[str, ...]] = {}
    for since, changed, filled_then in _STAGES:
        if day < since:
            filled |= filled_then
            for kind, change in changed.items():
                changes[kind] = (*changes.get(kind, ()), change)
    return _Form(changes, filled, versions_billing.FIRST if day < _BASIL else {})


def _downgrade(value: Any, form: _Form, lookup: Lookup) -> Any:
    if isinstance(value, list):
        return [_downgrade(item, form, lookup) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("object")
    if not isinstance(kind, str):
        kind = ""
    if kind in form.first and not value.get("deleted"):
        value = form.first[kind](value, lookup)
    if kind in form.filled:
        value = _fill(value, form.filled[kind], lookup)
    lowered = {
        key: _downgrade(item, form, lookup) if item and key not in _PLAIN else item for key, item in value.items()
    }
    changes = form.changes.get(kind)
    if changes:
        for change in changes:
            lowered = change(lowered)
        lowered.pop(HIDDEN, None)
        return _ordered(lowered)
    lowered.pop(HIDDEN, None)
    return lowered


def _fill(value: Json, place: tuple[str, ...], lookup: Lookup) -> Json:
    """`value` with the object in place of the id at `place`, a way through its hashes."""
    inner = value.get(place[0])
    if len(place) == 1:
        return {**value, place[0]: lookup(inner)} if isinstance(inner, str) else value
    return {**value, place[0]: _fill(inner, place[1:], lookup)} if isinstance(inner, dict) else value


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


def _confirmation_token(value: Json) -> Json:
    preview = _without(_payment_method(value["payment_method_preview"]), "customer")
    return {**_without(value, "payment_method_options"), "payment_method_preview": preview}


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
    value["invoice"] = value.get(HIDDEN, {}).get("invoice")
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
    value["invoice"] = value.get(HIDDEN, {}).get("invoice")
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
    "confirmation_token": _confirmation_token,
    "customer": _customer,
    "dispute": _dispute,
    "payment_intent": _payment_intent,
    "payment_method": _payment_method,
    "refund": _refund,
    "setup_attempt": _setup_attempt,
    "setup_intent": _setup_intent,
    "token": _token,
}
"""What basil changed, and what SDKs of the versions before it do not know."""

_STAGES: tuple[tuple[str, Mapping[str, Callable[[Json], Json]], Mapping[str, tuple[str, ...]]], ...] = (
    (_DAHLIA, versions_catalogue.DAHLIA, {}),
    (_CLOVER, versions_catalogue.CLOVER, versions_catalogue.CLOVER_FILLED),
    (_BASIL, _CHANGES | versions_billing.BASIL | versions_catalogue.BASIL, {}),
    (_MARKETING_FEATURES, versions_catalogue.MARKETING_FEATURES, {}),
)
"""Newest first: the version that brought the newer form, the ways down, and the ids that become objects."""
