"""Invoice payments: which PaymentIntent pays which invoice."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, array_of, enum, hash_of, string
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["EXPANDABLE", "INCLUDES", "ROUTES", "close", "of_invoice", "open_for", "paid"]

EXPANDABLE = frozenset({"invoice", "payment.charge", "payment.payment_intent"})


def open_for(ctx: Context, invoice: Json, intent_id: str) -> Json:
    """The default payment of a finalised invoice."""
    payment: Json = {
        "id": ctx.ids.long("inpay_"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": ctx.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": intent_id, "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    ctx.save(payment)
    return payment


def of_invoice(ctx: Context, invoice_id: str) -> Json | None:
    """The default payment, if the invoice has one."""
    found = ctx.store.find("invoice_payment", "invoice", invoice_id)
    return found[-1] if found else None


def paid(ctx: Context, payment: Json) -> None:
    """It went through; the event is the caller's."""
    payment["status"] = "paid"
    payment["amount_paid"] = payment["amount_requested"]
    payment["status_transitions"]["paid_at"] = ctx.now
    ctx.save(payment)


def close(ctx: Context, payment: Json) -> None:
    """It will not be paid this way any more."""
    payment["status"] = "canceled"
    payment["status_transitions"]["canceled_at"] = ctx.now
    ctx.save(payment)


def retrieve(ctx: Context, _params: Json, payment_id: str) -> Json:
    """`GET /v1/invoice_payments/{id}`."""
    return ctx.require("invoice_payment", payment_id, param="invoice_payment")


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/invoice_payments`."""
    payment = params.get("payment", {})
    filters = {
        "invoice": params.get("invoice"),
        "payment.payment_intent": payment.get("payment_intent"),
        "status": params.get("status"),
    }
    return page(ctx, "invoice_payment", "/v1/invoice_payments", params, filters)


def _included(ctx: Context, invoice: Json) -> Json:
    found = ctx.store.find("invoice_payment", "invoice", invoice["id"])
    return list_object("/v1/invoice_payments", found[::-1], total_count=len(found))


INCLUDES = {("invoice", "payments"): _included}

_LIST = {
    **LIST_FIELDS,
    "invoice": string(),
    "payment": hash_of(
        {"payment_intent": string(), "payment_record": string(), "type": enum("payment_intent", "payment_record")},
        required=("type",),
    ),
    "status": enum("canceled", "open", "paid"),
    "expand": array_of(string()),
}
ROUTES = (
    Route("GET", "invoice_payments", list_all, _LIST),
    Route("GET", "invoice_payments/*", retrieve, common.EXPAND),
)
