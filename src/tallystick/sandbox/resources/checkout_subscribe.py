"""Checkout in subscription mode.

Since basil the subscription comes into being only when its payment has gone through: a PaymentIntent of the
session's own is paid first, and the first invoice is settled by it. Before, the subscription was there,
incomplete, from the first try on. `Behaviour.early_subscription` tells them apart.
"""

from typing import Any

from tallystick.sandbox.billing.totals import due
from tallystick.sandbox.context import Context
from tallystick.sandbox.resources import (
    checkout_lines,
    invoices_collect,
    payment_intents,
    payment_methods,
    setup_intents,
    subscriptions_create,
    subscriptions_status,
)
from tallystick.sandbox.shapes import Json, decode

__all__ = ["intent_of", "paid", "session_of", "subscribe"]

_DONE = ("succeeded", "processing")


def subscribe(ctx: Context, session: Json, customer: Json, method: Json | None, *, return_url: str) -> bool:
    """One try to subscribe; False while a challenge is waiting. Raises 402 for a declined card."""
    if method is None:
        _create(ctx, session, customer, None)
        return True
    early = ctx.behaviour.early_subscription
    if early and session["subscription"] is None:
        _create(ctx, session, customer, None)
    intent = intent_of(ctx, session) or _intent(ctx, session, customer)
    how = {"payment_method": method["id"], "return_url": return_url}
    module: Any = payment_intents if intent["object"] == "payment_intent" else setup_intents
    intent = module.confirm(ctx, how, intent["id"])
    return intent["status"] in _DONE and paid(ctx, session, intent)


def intent_of(ctx: Context, session: Json) -> Json | None:
    """The intent that the session's customer pays or sets up."""
    note = ctx.store.note(session["id"], "intent")
    return ctx.store.get(note) if note else None


def session_of(ctx: Context, intent: Json) -> Json | None:
    """The session in subscription mode that an intent belongs to."""
    note = ctx.store.note(intent["id"], "checkout_session")
    return ctx.find("checkout.session", note) if note else None


def paid(ctx: Context, session: Json, intent: Json) -> bool:
    """The intent went through: the subscription is made, or made complete, with its method."""
    customer = ctx.require("customer", intent["customer"], param="customer")
    method = ctx.require("payment_method", intent["payment_method"], param="payment_method")
    if method["customer"] is None:
        # An intent's own follow-up may come later than this.
        payment_methods.attach_to(ctx, method, customer["id"], check=False)
    if session["subscription"] is None:
        if intent["object"] == "payment_intent":
            ctx.store.set_note(customer["id"], "paid_before", intent["id"])
        _create(ctx, session, customer, method)
        return True
    subscription = ctx.require("subscription", session["subscription"], param="subscription")
    if subscription["default_payment_method"] != method["id"]:
        subscription["default_payment_method"] = method["id"]
        subscription["pending_setup_intent"] = None
        subscriptions_status.save(ctx, subscription)
    return True


def _create(ctx: Context, session: Json, customer: Json, method: Json | None) -> None:
    """The subscription of the session's lines; without a method it waits for its first payment."""
    data: Json = decode(ctx.store.note(session["id"], "subscription_data") or "{}")
    params: Json = {
        **data,
        "customer": customer["id"],
        "currency": session["currency"],
        "items": [],
        "add_invoice_items": [],
        "payment_behavior": "default_incomplete",
        "default_payment_method": method["id"] if method else None,
    }
    if method is None:
        # The first invoice is paid on the page, by what the page takes.
        params["payment_settings"] = {"payment_method_types": session["payment_method_types"]}
    for item in checkout_lines.stored(ctx, session["id"]):
        recurring = checkout_lines.price_of(ctx, item)["type"] == "recurring"
        entry: Json = {"price": item["price"], "sold": True} if recurring else {"price": item["price"]}
        if item["quantity"] is not None:
            entry["quantity"] = item["quantity"]
        params["items" if recurring else "add_invoice_items"].append(entry)
    if session["discounts"]:
        params["discounts"] = [{key: item for key, item in entry.items() if item} for entry in session["discounts"]]
    subscription = subscriptions_create.create(ctx, params)
    session["customer"] = customer["id"]
    session["subscription"] = subscription["id"]
    session["invoice"] = subscription["latest_invoice"]
    ctx.save(session)


def _intent(ctx: Context, session: Json, customer: Json) -> Json:
    """What the customer has to confirm: of the first invoice or of the trial, or one of the session's own."""
    intent = _of_subscription(ctx, session) or _own(ctx, session, customer)
    ctx.store.set_note(session["id"], "intent", intent["id"])
    ctx.store.set_note(intent["id"], "checkout_session", session["id"])
    return intent


def _of_subscription(ctx: Context, session: Json) -> Json | None:
    if session["subscription"] is None:
        return None
    subscription = ctx.require("subscription", session["subscription"], param="subscription")
    if subscription["pending_setup_intent"]:
        return ctx.find("setup_intent", subscription["pending_setup_intent"])
    invoice = ctx.find("invoice", subscription["latest_invoice"])
    return invoices_collect.intent_of(ctx, invoice) if invoice else None


def _own(ctx: Context, session: Json, customer: Json) -> Json:
    types = session["payment_method_types"]
    # What the first invoice will ask for: the customer's balance counts.
    amount = due(session["amount_total"], customer["balance"], session["currency"]).amount
    if amount == 0:
        return setup_intents.create(
            ctx, {"customer": customer["id"], "payment_method_types": types, "usage": "off_session"}
        )
    return payment_intents.create(
        ctx,
        {
            "amount": amount,
            "currency": session["currency"],
            "customer": customer["id"],
            "description": "Subscription creation",
            "payment_method_types": types,
            "setup_future_usage": "off_session",
        },
    )
