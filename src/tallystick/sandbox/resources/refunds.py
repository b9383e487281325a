"""Refunds: full, partial, pending, failing later, and the releases of old API versions."""

from tallystick.core.money import format_money
from tallystick.sandbox import banks, cards
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, no_such
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, Fields, anything, boolean, enum, integer, metadata, string
from tallystick.sandbox.resources import balance_transactions, common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["EXPANDABLE", "INCLUDES", "JOBS", "ROUTES", "record_release"]

EXPANDABLE = frozenset({"balance_transaction", "charge", "customer", "failure_balance_transaction", "payment_intent"})


_DESTINATIONS = {banks.US: "us_bank_transfer", banks.SEPA: "eu_bank_transfer"}
_TRANSFER = {"reference": None, "reference_status": None}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/refunds` of a charge or of an intent's latest charge."""
    return _refund(ctx, _target(ctx, params), params)


def create_nested(ctx: Context, params: Json, charge_id: str) -> Json:
    """`POST /v1/charges/{id}/refunds`."""
    return _refund(ctx, ctx.require("charge", charge_id, param="id"), params)


def create_legacy(ctx: Context, params: Json, charge_id: str) -> Json:
    """`POST /v1/charges/{id}/refund`: answers the charge."""
    charge = ctx.require("charge", charge_id, param="id")
    _refund(ctx, charge, params)
    return charge


def record_release(ctx: Context, charge: Json, amount: int, reason: str | None) -> None:
    """Before basil, what was authorised and not captured is refunded; the caller stores the charge."""
    refund = _object(ctx, charge, amount, reason=reason, given_metadata=None)
    refund["destination_details"] = {"card": {"type": "reversal"}, "type": "card"}
    ctx.save(refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    ctx.store.set_note(charge["id"], "released", str(amount))


def _target(ctx: Context, params: Json) -> Json:
    if "charge" in params:
        return ctx.require("charge", params["charge"], param="id")
    if "payment_intent" not in params:
        raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
    intent = ctx.require("payment_intent", params["payment_intent"], param="payment_intent")
    charge = ctx.find("charge", intent["latest_charge"]) if intent["latest_charge"] else None
    if charge is None or charge["status"] != "succeeded":
        raise invalid(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
    return charge


def _refund(ctx: Context, charge: Json, params: Json) -> Json:
    amount = _check(ctx, charge, params.get("amount"))
    refund = _object(ctx, charge, amount, reason=params.get("reason"), given_metadata=params.get("metadata"))
    effect = _effect(ctx, charge)
    if effect == "refund_pending":
        refund["status"] = "pending"
    transaction = balance_transactions.record(
        ctx,
        refund,
        "refund",
        -amount,
        description=f"REFUND FOR CHARGE ({charge['description']})" if charge["description"]
        else "REFUND FOR CHARGE",
    )  # fmt: skip
    refund["balance_transaction"] = transaction["id"]
    ctx.save(refund)
    before = ctx.store.stored(charge["id"])
    charge["amount_refunded"] += amount
    charge["refunded"] = _refundable(ctx, charge) == 0
    ctx.save(charge)
    ctx.emit("refund.created", refund)
    ctx.emit("charge.refunded", charge, before)
    ctx.later(ctx.settings.refund_settle_s, "refund_settles", refund["id"], effect=effect)
    return refund


def _refundable(ctx: Context, charge: Json) -> int:
    released = int(ctx.store.note(charge["id"], "released") or 0)
    left: int = charge["amount_captured"] - (charge["amount_refunded"] - released)
    return left


def _check(ctx: Context, charge: Json, amount: int | None) -> int:
    if charge["status"] != "succeeded":
        raise invalid(f"Charge {charge['id']} has not succeeded; it cannot be refunded.")
    if charge["disputed"] and not _refund_allowed(ctx, charge):
        raise invalid(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if not charge["captured"]:
        raise invalid(
            f"This uncaptured Charge was created by a PaymentIntent ({charge['payment_intent']}). You must "
            "cancel the PaymentIntent to reverse the authorization instead of refunding the Charge directly. For "
            "more information, see https://stripe.com/docs/payments/place-a-hold-on-a-payment-method"
        )
    left = _refundable(ctx, charge)
    if left <= 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount is None:
        return left
    if amount > left:
        asked, rest = (format_money(value, charge["currency"]) for value in (amount, left))
        raise invalid(f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})", param="amount")
    return amount


def _refund_allowed(ctx: Context, charge: Json) -> bool:
    dispute = ctx.find("dispute", charge["dispute"]) if charge["dispute"] else None
    return dispute is None or bool(dispute["is_charge_refundable"])


def _effect(ctx: Context, charge: Json) -> str | None:
    method = charge["payment_method_details"]
    if method["type"] == "card":
        return cards.by_fingerprint(method["card"]["fingerprint"]).effect
    return "refund_pending" if method["type"] in (banks.US, banks.SEPA) else None


def _object(ctx: Context, charge: Json, amount: int, *, reason: str | None, given_metadata: Json | None) -> Json:
    kind = _DESTINATIONS.get(charge["payment_method_details"]["type"], "card")
    reference = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    return {
        "id": ctx.ids.sibling("re_" if charge["id"].startswith("ch_") else "pyr_", charge["id"]),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": ctx.now,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {kind: reference if kind == "card" else dict(_TRANSFER), "type": kind},
        "metadata": common.merge_metadata({}, given_metadata),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def settles(ctx: Context, refund_id: str, data: Json) -> None:
    """A moment later: the bank's reference arrives, a pending refund succeeds, a failing one fails."""
    refund = ctx.find("refund", refund_id)
    if refund is None or refund["status"] not in ("pending", "succeeded"):
        return
    before = ctx.store.stored(refund_id)
    if data.get("effect") == "refund_fails":
        _fail(ctx, refund)
    else:
        refund["status"] = "succeeded"
        details = refund["destination_details"].get("card")
        if details and details["type"] == "refund":
            details["reference"] = ctx.ids.digits(16)
            details["reference_status"] = "available"
    ctx.save(refund)
    ctx.emit("refund.updated", refund, before)
    ctx.emit("charge.refund.updated", refund, before)
    if refund["status"] == "failed":
        ctx.emit("refund.failed", refund)


def _fail(ctx: Context, refund: Json) -> None:
    charge = ctx.require("charge", refund["charge"], param="charge")
    refund["status"] = "failed"
    refund["failure_reason"] = "expired_or_canceled_card"
    transaction = balance_transactions.record(
        ctx, refund, "refund_failure", refund["amount"], description="REFUND FAILURE"
    )
    refund["failure_balance_transaction"] = transaction["id"]
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    ctx.save(charge)


def retrieve(ctx: Context, _params: Json, refund_id: str) -> Json:
    """`GET /v1/refunds/{id}`."""
    return ctx.require("refund", refund_id, param="id")


def retrieve_nested(ctx: Context, _params: Json, charge_id: str, refund_id: str) -> Json:
    """`GET /v1/charges/{ch}/refunds/{re}`."""
    refund = ctx.find("refund", refund_id)
    if refund is None or refund["charge"] != charge_id:
        raise no_such("refund", refund_id, param="refund")
    return refund


def update(ctx: Context, params: Json, refund_id: str) -> Json:
    """`POST /v1/refunds/{id}`: metadata only."""
    refund = ctx.require("refund", refund_id, param="id")
    refund["metadata"] = common.merge_metadata(refund["metadata"], params.get("metadata"))
    before = ctx.store.stored(refund_id)
    if before != refund:
        ctx.save(refund)
        ctx.emit("refund.updated", refund, before)
        ctx.emit("charge.refund.updated", refund, before)
    return refund


def cancel(ctx: Context, _params: Json, refund_id: str) -> Json:
    """`POST /v1/refunds/{id}/cancel`: no refund made here ever waits for the customer."""
    ctx.require("refund", refund_id, param="id")
    raise invalid("Canceling this refund is unsupported.")


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/refunds`; by charge it prints a `count`."""
    filters = {key: params.get(key) for key in ("charge", "payment_intent")}
    return page(ctx, "refund", "/v1/refunds", params, filters, count="charge" in params)


def list_nested(ctx: Context, params: Json, charge_id: str) -> Json:
    """`GET /v1/charges/{id}/refunds`."""
    ctx.require("charge", charge_id, param="id")
    return page(ctx, "refund", f"/v1/charges/{charge_id}/refunds", params, {"charge": charge_id})


def _of_charge(ctx: Context, charge: Json) -> Json:
    found = ctx.store.find("refund", "charge", charge["id"])[::-1]
    url = f"/v1/charges/{charge['id']}/refunds"
    return list_object(url, found[:10], has_more=len(found) > 10, total_count=len(found))


INCLUDES = {("charge", "refunds"): _of_charge}
JOBS = {"refund_settles": settles}

_OPTIONS: Fields = {
    "amount": integer(1),
    "instructions_email": string(),
    "metadata": metadata,
    "reason": enum("duplicate", "fraudulent", "requested_by_customer"),
    "refund_application_fee": boolean,
    "reverse_transfer": boolean,
    "currency": anything,
    "customer": anything,
    "origin": anything,
    **common.EXPAND,
}
ROUTES = (
    Route("POST", "refunds", create, {**_OPTIONS, "charge": string(), "payment_intent": string()}),
    Route("GET", "refunds", list_all, {**LIST_FIELDS, "charge": string(), "payment_intent": string()}),
    Route("GET", "refunds/*", retrieve, common.EXPAND),
    Route("POST", "refunds/*", update, {**common.METADATA, **common.EXPAND}),
    Route("POST", "refunds/*/cancel", cancel, common.EXPAND),
    Route("POST", "charges/*/refund", create_legacy, _OPTIONS),
    Route("POST", "charges/*/refunds", create_nested, _OPTIONS),
    Route("GET", "charges/*/refunds", list_nested, LIST_FIELDS),
    Route("GET", "charges/*/refunds/*", retrieve_nested, common.EXPAND),
)
