"""Charges: how an attempt to pay is printed, and the charges API that is left beside PaymentIntents."""

from tallystick.sandbox import banks, cards
from tallystick.sandbox.context import Context
from tallystick.sandbox.declines import Decline
from tallystick.sandbox.errors import ApiError, invalid
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    boolean,
    currency,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import balance_transactions, common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.search import SEARCH_FIELDS, search
from tallystick.sandbox.shapes import Json

__all__ = ["AUTHORIZATION_S", "EXPANDABLE", "ROUTES", "book", "build", "charge_of", "succeeded_outcome"]

EXPANDABLE = frozenset(
    {"balance_transaction", "customer", "dispute", "failure_balance_transaction", "payment_intent", "review"}
)

AUTHORIZATION_S = 7 * 86400
"""How long a card authorisation can be captured."""


def build(
    ctx: Context, intent: Json, method: Json, *, status: str, decline: Decline | None, authenticated: bool
) -> Json:
    """The charge of one attempt; `status` is `succeeded`, `pending` or `failed`. Not stored yet."""
    ok = status == "succeeded"
    captured = ok and intent["capture_method"] != "manual"
    charge_id = ctx.ids.sibling("ch_" if method["type"] == "card" else "py_", intent["id"])
    return {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if captured else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "Stripe",
        "captured": captured,
        "created": ctx.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "destination": None,
        "dispute": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "order": None,
        "outcome": _outcome(method, decline) if status != "pending" else None,
        "paid": ok,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(ctx, intent, method, succeeded=ok, challenged=authenticated),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": f"https://pay.stripe.com/receipts/payment/{charge_id}" if ok else None,
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": status,
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
        **({"_": intent["_"]} if "_" in intent else {}),
    }


def book(ctx: Context, charge: Json, *, at_once: bool = False) -> None:
    """The balance transaction of what was captured; sets it on the charge, which the caller stores."""
    amount = charge["amount_captured"]
    transaction = balance_transactions.record(
        ctx,
        charge,
        "charge" if charge["id"].startswith("ch_") else "payment",
        amount,
        description=charge["description"],
        fee=balance_transactions.card_fee(amount),
        at_once=at_once,
    )
    charge["balance_transaction"] = transaction["id"]


def charge_of(ctx: Context, intent: Json) -> Json:
    """The intent's latest charge, which must be there."""
    return ctx.require("charge", intent["latest_charge"], param="id")


def succeeded_outcome() -> Json:
    """The outcome of an approved bank debit or card."""
    return _approved("normal")


def _approved(risk: str) -> Json:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": "elevated_risk_level" if risk == "elevated" else None,
        "risk_level": risk,
        "risk_score": 71 if risk == "elevated" else 24,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def _outcome(method: Json, decline: Decline | None) -> Json:
    risk = "normal"
    if method["type"] == "card":
        risk = cards.by_fingerprint(method["card"]["fingerprint"]).risk
    if decline is None:
        return _approved(risk)
    if decline.blocked:
        return {
            **_approved(risk),
            "network_status": "not_sent_to_network",
            "reason": "highest_risk_level",
            "risk_score": 92,
            "seller_message": "Stripe blocked this payment as too risky.",
            "type": "blocked",
        }
    hidden = decline.decline_code == "generic_decline"
    return {
        **_approved(risk),
        "advice_code": decline.advice_code,
        "network_decline_code": decline.network_decline_code,
        "network_status": "declined_by_network",
        "reason": decline.decline_code or decline.code,
        "seller_message": "The bank did not return any further details with this decline."
        if hidden
        else f"The bank returned the decline code `{decline.decline_code or decline.code}`.",
        "type": "issuer_declined",
    }


def _details(ctx: Context, intent: Json, method: Json, *, succeeded: bool, challenged: bool) -> Json:
    kind = method["type"]
    if kind == "card":
        card = _card_details(ctx, intent, method["card"], succeeded=succeeded, challenged=challenged)
        return {"card": card, "type": "card"}
    source = method[kind]
    if kind == banks.US:
        keep = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
        return {kind: {**{key: source[key] for key in keep}, "payment_reference": None}, "type": kind}
    if kind == banks.SEPA:
        shown = {key: source[key] for key in ("bank_code", "branch_code", "country", "fingerprint", "last4")}
        return {kind: {**shown, "mandate": None}, "type": kind}
    return {kind: {}, "type": kind}


def _card_details(ctx: Context, intent: Json, card: Json, *, succeeded: bool, challenged: bool) -> Json:
    details: Json = {
        "amount_authorized": intent["amount"] if succeeded else None,
        "authorization_code": ctx.ids.digits(6),
        "brand": card["brand"],
        "checks": card["checks"],
        "country": card["country"],
        "electronic_commerce_indicator": "05" if challenged else "07",
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card["last4"],
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["networks"]["available"][0],
        "network_token": {"used": False},
        "network_transaction_id": ctx.ids.digits(15),
        "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        "regulated_status": card["regulated_status"],
        "three_d_secure": _challenge_result(ctx) if challenged else None,
        "transaction_link_id": None,
        "wallet": None,
    }
    if succeeded and intent["capture_method"] == "manual":
        details["capture_before"] = ctx.now + AUTHORIZATION_S
    return details


def _challenge_result(ctx: Context) -> Json:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": f"{ctx.ids.characters(8)}-3ds".lower(),
        "version": "2.2.0",
    }


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/charges`: end of life; every way of calling it is refused as the real API does."""
    if "source" in params:
        raise invalid(
            "Card Token usage on the Customers API and Charges API has reached end of life. Use PaymentMethods instead."
        )
    if "customer" not in params:
        raise invalid("Must provide source or customer.", code="parameter_missing")
    ctx.require("customer", params["customer"], param="customer", status=400)
    saved = ctx.store.find("payment_method", "customer", params["customer"])
    message = (
        "This Customer doesn't have any legacy saved payment details, but does have a Payment Method attached. "
        "Use a Payment Intent instead of creating a Charge: "
        "https://stripe.com/docs/payments/payment-intents/migration"
        if saved
        else "This Customer doesn't have any saved payment details. Use a Payment Intent instead of creating a "
        "Charge: https://stripe.com/docs/payments/payment-intents/migration"
    )
    raise ApiError(402, message, error_type="card_error", code="missing", param="card")


def retrieve(ctx: Context, _params: Json, charge_id: str) -> Json:
    """`GET /v1/charges/{id}`."""
    return ctx.require("charge", charge_id, param="id")


def update(ctx: Context, params: Json, charge_id: str) -> Json:
    """`POST /v1/charges/{id}`."""
    charge = ctx.require("charge", charge_id, param="id")
    if "transfer_group" in params and charge["payment_intent"]:
        raise invalid(
            f"This Charge was created by a PaymentIntent ({charge['payment_intent']}). You must update the "
            "`transfer_group` on the PaymentIntent instead of updating the Charge directly. See "
            "https://stripe.com/docs/api/payment_intents/update"
        )
    for key in ("description", "receipt_email"):
        if key in params:
            charge[key] = params[key]
    if "shipping" in params:
        charge["shipping"] = common.shipping(params["shipping"], with_carrier=True)
    if "fraud_details" in params:
        charge["fraud_details"] = params["fraud_details"] or {}
    charge["metadata"] = common.merge_metadata(charge["metadata"], params.get("metadata"))
    ctx.save_updated("charge.updated", charge)
    return charge


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/charges`."""
    filters = {key: params.get(key) for key in ("customer", "payment_intent")}
    return page(ctx, "charge", "/v1/charges", params, filters)


def search_charges(ctx: Context, params: Json) -> Json:
    """`GET /v1/charges/search`."""
    return search(ctx, "charge", "/v1/charges/search", params)


def dispute_of(ctx: Context, _params: Json, charge_id: str) -> Json:
    """`GET /v1/charges/{id}/dispute`."""
    charge = ctx.require("charge", charge_id, param="id")
    if not charge["dispute"]:
        raise ApiError(404, f"No dispute for charge: {charge_id}")
    return ctx.require("dispute", charge["dispute"], param="dispute")


_CREATE: Fields = {
    "amount": integer(),
    "capture": boolean,
    "currency": currency,
    "customer": string(),
    "description": string(),
    "metadata": metadata,
    "payment_method": string(),
    "receipt_email": string(),
    "shipping": anything,
    "source": anything,
    "statement_descriptor": string(),
    "statement_descriptor_suffix": string(),
    **common.EXPAND,
}
_UPDATE: Fields = {
    "customer": string(),
    "description": unsettable(string()),
    "fraud_details": anything,
    "metadata": metadata,
    "receipt_email": unsettable(string()),
    "shipping": common.SHIPPING,
    "transfer_group": string(),
    **common.EXPAND,
}
ROUTES = (
    Route("POST", "charges", create, _CREATE),
    Route(
        "GET",
        "charges",
        list_all,
        {**LIST_FIELDS, "customer": string(), "payment_intent": string(), "transfer_group": string()},
    ),
    Route("GET", "charges/search", search_charges, SEARCH_FIELDS),
    Route("GET", "charges/*", retrieve, common.EXPAND),
    Route("POST", "charges/*", update, _UPDATE),
    Route("GET", "charges/*/dispute", dispute_of, common.EXPAND),
)
