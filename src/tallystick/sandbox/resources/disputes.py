"""Disputes by test card: withdrawal, evidence, decision; and early fraud warnings."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, Fields, anything, boolean, hash_of, metadata, string, unsettable
from tallystick.sandbox.resources import balance_transactions, common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EFFECTS", "EXPANDABLE", "JOBS", "ROUTES", "WARNING_EXPANDABLE"]

EXPANDABLE = frozenset({"charge", "payment_intent"})
WARNING_EXPANDABLE = frozenset({"charge", "payment_intent"})

EFFECTS = frozenset(
    {
        "dispute_fraudulent",
        "dispute_not_received",
        "dispute_inquiry",
        "dispute_compliance",
        "early_fraud_warning",
    }
)
"""The effects of cards that come true here, a moment after the money is captured."""

_FEE = 1500
_DAY = 86400
_REASONS = {"dispute_not_received": "product_not_received", "dispute_compliance": "noncompliant"}
_NETWORK_CODES = {"fraudulent": "10.4", "product_not_received": "13.1", "noncompliant": "98.1"}
_EVIDENCE = (
    "access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure",
    "cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name",
    "customer_purchase_ip", "customer_signature", "duplicate_charge_documentation",
    "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt", "refund_policy",
    "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
    "shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation",
    "shipping_tracking_number", "uncategorized_file", "uncategorized_text",
)  # fmt: skip
_CLOSED = ("won", "lost", "warning_closed")


def strike(ctx: Context, charge_id: str, data: Json) -> None:
    """The cardholder complains: a dispute, an inquiry, or a warning about the charge."""
    charge = ctx.find("charge", charge_id)
    if charge is None or charge["disputed"]:
        return
    if data["effect"] == "early_fraud_warning":
        _warn(ctx, charge)
        return
    inquiry = data["effect"] == "dispute_inquiry"
    dispute = _build(ctx, charge, _REASONS.get(data["effect"], "fraudulent"), inquiry=inquiry)
    if not inquiry:
        transaction = _book(ctx, dispute, -dispute["amount"], "withdrawal", "dispute")
        dispute["balance_transaction"] = transaction["id"]
        dispute["balance_transactions"] = [transaction]
    ctx.save(dispute)
    charge["disputed"] = True
    charge["dispute"] = dispute["id"]
    ctx.save(charge)
    ctx.emit("charge.dispute.created", dispute)
    if not inquiry:
        ctx.emit("charge.dispute.funds_withdrawn", dispute)
    ctx.later(ctx.settings.dispute_delay_s, "dispute_prefills", dispute["id"])
    ctx.at(dispute["evidence_details"]["due_by"], "dispute_expires", dispute["id"])


def prefill(ctx: Context, dispute_id: str, _data: Json) -> None:
    """What Stripe itself knows becomes evidence a moment later."""
    dispute = ctx.find("dispute", dispute_id)
    if dispute is None or dispute["status"] in _CLOSED:
        return
    charge = ctx.require("charge", dispute["charge"], param="charge")
    known = {
        "customer_email_address": charge["billing_details"]["email"] or charge["receipt_email"],
        "customer_name": charge["billing_details"]["name"],
        "product_description": charge["description"],
    }
    for key, value in known.items():
        if dispute["evidence"][key] is None:
            dispute["evidence"][key] = value
    ctx.save_updated("charge.dispute.updated", dispute)


def update(ctx: Context, params: Json, dispute_id: str) -> Json:
    """`POST /v1/disputes/{id}`: evidence is submitted unless `submit=false`."""
    dispute = _open_dispute(ctx, dispute_id)
    evidence = params.get("evidence") or {}
    dispute["evidence"] = {**dispute["evidence"], **evidence}
    dispute["metadata"] = common.merge_metadata(dispute["metadata"], params.get("metadata"))
    details = dispute["evidence_details"]
    if evidence:
        details["has_evidence"] = True
    if evidence and params.get("submit", True):
        details["submission_count"] += 1
        details["submission_method"] = "manual"
        inquiry = dispute["status"].startswith("warning")
        dispute["status"] = "warning_under_review" if inquiry else "under_review"
        ctx.later(ctx.settings.dispute_decision_s, "dispute_decided", dispute_id)
    ctx.save_updated("charge.dispute.updated", dispute)
    return dispute


def close(ctx: Context, _params: Json, dispute_id: str) -> Json:
    """`POST /v1/disputes/{id}/close`: the merchant gives in."""
    dispute = _open_dispute(ctx, dispute_id)
    _finish(ctx, dispute, "lost")
    return dispute


def decide(ctx: Context, dispute_id: str, _data: Json) -> None:
    """The bank decides by the magic words of Stripe's testing page; other evidence stays under review."""
    dispute = ctx.find("dispute", dispute_id)
    if dispute is None or dispute["status"] in _CLOSED:
        return
    text = dispute["evidence"]["uncategorized_text"]
    inquiry = dispute["status"].startswith("warning")
    if text == "winning_evidence":
        _finish(ctx, dispute, "warning_closed" if inquiry else "won")
    elif text == "losing_evidence" and not inquiry:
        _finish(ctx, dispute, "lost")


def expire(ctx: Context, dispute_id: str, _data: Json) -> None:
    """The time for an answer is over."""
    dispute = ctx.find("dispute", dispute_id)
    if dispute is None or dispute["status"] not in ("needs_response", "warning_needs_response"):
        return
    dispute["evidence_details"]["past_due"] = True
    _finish(ctx, dispute, "warning_closed" if dispute["status"].startswith("warning") else "lost")


def _finish(ctx: Context, dispute: Json, status: str) -> None:
    before = ctx.store.stored(dispute["id"])
    dispute["status"] = status
    if status == "won":
        transaction = _book(ctx, dispute, dispute["amount"], "reversal", "dispute_reversal")
        dispute["balance_transactions"].append(transaction)
    dispute["is_charge_refundable"] = status != "lost"
    ctx.save(dispute)
    ctx.emit("charge.dispute.closed", dispute, before)
    if status == "won":
        ctx.emit("charge.dispute.funds_reinstated", dispute)


def _open_dispute(ctx: Context, dispute_id: str) -> Json:
    dispute = ctx.require("dispute", dispute_id, param="dispute")
    if dispute["status"] in _CLOSED:
        raise invalid("This dispute is already closed")
    return dispute


def _book(ctx: Context, dispute: Json, amount: int, what: str, category: str) -> Json:
    out = amount < 0
    return balance_transactions.record(
        ctx,
        dispute,
        "adjustment",
        amount,
        description=f"Chargeback {what} for {dispute['charge']}",
        transaction_id=ctx.ids.long("txn_"),
        fee=_FEE if out else 0,
        fee_description="Dispute fee",
        category=category,
        at_once=out,
    )


def _build(ctx: Context, charge: Json, reason: str, *, inquiry: bool) -> Json:
    now = ctx.now
    card = charge["payment_method_details"].get("card")
    details: Json | None = None
    if card:
        details = {
            "card": {
                "brand": card["brand"],
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": card["network"],
                "network_reason_code": "10" if inquiry else _NETWORK_CODES[reason],
            },
            "type": "card",
        }
    dispute: Json = {
        "id": ctx.ids.long("du_"),
        "object": "dispute",
        "amount": charge["amount_captured"],
        "balance_transaction": None,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now // _DAY * _DAY + 9 * _DAY - 1,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    if details:
        dispute["payment_method_details"] = details
    return dispute


def _warn(ctx: Context, charge: Json) -> None:
    warning: Json = {
        "id": ctx.ids.long("issfr_"),
        "object": "radar.early_fraud_warning",
        "actionable": not charge["refunded"],
        "charge": charge["id"],
        "created": ctx.now,
        "fraud_type": "unauthorized_use_of_card",
        "livemode": False,
        "payment_intent": charge["payment_intent"],
    }
    ctx.save(warning)
    ctx.emit("radar.early_fraud_warning.created", warning)


def retrieve(ctx: Context, _params: Json, dispute_id: str) -> Json:
    """`GET /v1/disputes/{id}`."""
    return ctx.require("dispute", dispute_id, param="dispute")


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/disputes`; by charge it prints a `count`."""
    filters = {key: params.get(key) for key in ("charge", "payment_intent")}
    return page(ctx, "dispute", "/v1/disputes", params, filters, count="charge" in params)


def retrieve_warning(ctx: Context, _params: Json, warning_id: str) -> Json:
    """`GET /v1/radar/early_fraud_warnings/{id}`."""
    return ctx.require("radar.early_fraud_warning", warning_id, param="early_fraud_warning")


def list_warnings(ctx: Context, params: Json) -> Json:
    """`GET /v1/radar/early_fraud_warnings`."""
    filters = {key: params.get(key) for key in ("charge", "payment_intent")}
    return page(ctx, "radar.early_fraud_warning", "/v1/radar/early_fraud_warnings", params, filters)


JOBS = {
    "charge_disputed": strike,
    "dispute_prefills": prefill,
    "dispute_decided": decide,
    "dispute_expires": expire,
}

_UPDATE: Fields = {
    "evidence": hash_of({**dict.fromkeys(_EVIDENCE, unsettable(string(20000))), "enhanced_evidence": anything}),
    "metadata": metadata,
    "submit": boolean,
    **common.EXPAND,
}
_LIST: Fields = {**LIST_FIELDS, "charge": string(), "payment_intent": string()}
ROUTES = (
    Route("GET", "disputes", list_all, _LIST),
    Route("GET", "disputes/*", retrieve, common.EXPAND),
    Route("POST", "disputes/*", update, _UPDATE),
    Route("POST", "disputes/*/close", close, common.EXPAND),
    Route("GET", "radar/early_fraud_warnings", list_warnings, _LIST),
    Route("GET", "radar/early_fraud_warnings/*", retrieve_warning, common.EXPAND),
)
