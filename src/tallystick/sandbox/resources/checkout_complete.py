"""What the customer does on a Checkout page: pay, save a card, or subscribe; and how the session ends.

`complete` leaves the session complete, or waiting for a 3D Secure challenge; a decline is raised and leaves it
open for another try. What happens to its payment later reaches the session by `FOLLOW_UPS`.
"""

from dataclasses import dataclass

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.resources import (
    checkout_subscribe,
    customers,
    discounts,
    payment_intents,
    payment_methods,
    setup_intents,
)
from tallystick.sandbox.shapes import Json, decode

__all__ = ["FOLLOW_UPS", "Given", "complete", "details", "needs_method", "waiting_intent"]

_PAYMENT_KEYS = (
    "capture_method", "description", "receipt_email", "setup_future_usage", "shipping", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_group",
)  # fmt: skip
_DONE = {"succeeded": "paid", "requires_capture": "unpaid", "processing": "unpaid"}


@dataclass(frozen=True, slots=True)
class Given:
    """What the customer typed in: a method's id or a card's data, and who they are."""

    email: str
    name: str | None = None
    payment_method: str | None = None
    card: Json | None = None


def complete(ctx: Context, session: Json, given: Given) -> None:
    """One try. Raises 400 for a session that is not open, 402 for a card that is declined (what it did is kept)."""
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is not open any more: it has a status of {session['status']}.")
    method = _method(ctx, given) if needs_method(session) else None
    if method is not None and method["type"] not in session["payment_method_types"]:
        raise invalid(f"This Checkout Session does not take the payment method type {method['type']}.")
    _check_discounts(ctx, session)
    session["customer_details"] = details(given.email, given.name)
    ctx.save(session)
    if session["mode"] == "setup":
        _set_up(ctx, session, method, given)
    elif session["mode"] == "subscription":
        customer = _customer(ctx, session, given)
        if checkout_subscribe.subscribe(ctx, session, customer, method, return_url=_return_url(session)):
            _finish(ctx, session, _status_of(ctx, session, checkout_subscribe.intent_of(ctx, session)))
    elif session["amount_total"] == 0:
        _finish(ctx, session, "no_payment_required")
    else:
        _pay(ctx, session, method, given)


def needs_method(session: Json) -> bool:
    """Whether a card has to be given: not for nothing, and for a free trial only if the shop wants one."""
    free = session["mode"] != "setup" and session["amount_total"] == 0
    return not (free and session["payment_method_collection"] == "if_required")


def waiting_intent(ctx: Context, session: Json) -> Json | None:
    """The intent whose challenge the customer has been sent to."""
    for kind in ("payment_intent", "setup_intent"):
        intent = ctx.find(kind, session[kind]) if session[kind] else None
        if intent is not None and intent["status"] == "requires_action":
            return intent
    subscribed = checkout_subscribe.intent_of(ctx, session)
    return subscribed if subscribed is not None and subscribed["status"] == "requires_action" else None


def details(email: str | None, name: str | None = None) -> Json:
    """`customer_details`."""
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _return_url(session: Json) -> str:
    # Where the challenge page sends the browser back to.
    base: str = session["url"] or session.get("return_url") or session["success_url"] or ""
    return f"{base}/return" if session["url"] else base


def _method(ctx: Context, given: Given) -> Json:
    if given.payment_method is not None:
        return payment_methods.resolve(ctx, given.payment_method, param="payment_method", status=400)
    billing = {"email": given.email, "name": given.name}
    return payment_methods.create_from(ctx, {"type": "card", "card": given.card or {}, "billing_details": billing})


def _customer(ctx: Context, session: Json, given: Given) -> Json:
    """The session's customer; a new one is remembered for the next try, and shown when it succeeds."""
    known = session["customer"] or ctx.store.note(session["id"], "customer")
    if known is not None:
        return ctx.require("customer", known, param="customer", status=400)
    customer = customers.create(ctx, {"email": given.email, "name": given.name})
    ctx.store.set_note(session["id"], "customer", customer["id"])
    return customer


def _pay(ctx: Context, session: Json, method: Json | None, given: Given) -> None:
    data: Json = decode(ctx.store.note(session["id"], "payment_intent_data") or "{}")
    wants_customer = session["customer_creation"] == "always" or data.get("setup_future_usage")
    customer = _customer(ctx, session, given)["id"] if session["customer"] or wants_customer else None
    if session["payment_intent"] is None:
        intent = payment_intents.create(
            ctx,
            {
                **{key: data[key] for key in _PAYMENT_KEYS if key in data},
                "amount": session["amount_total"],
                "currency": session["currency"],
                "customer": customer,
                "metadata": data.get("metadata"),
                "payment_method_types": session["payment_method_types"],
            },
        )
        session["payment_intent"] = intent["id"]
        ctx.save(session)
    elif session["amount_total"] != ctx.require("payment_intent", session["payment_intent"], param="intent")["amount"]:
        payment_intents.update(ctx, {"amount": session["amount_total"]}, session["payment_intent"])
    how = {"payment_method": method["id"] if method else None, "return_url": _return_url(session)}
    _settle(ctx, session, payment_intents.confirm(ctx, how, session["payment_intent"]))


def _settle(ctx: Context, session: Json, intent: Json) -> None:
    """The session's own payment has come to a result, at once or after a challenge."""
    if session["status"] == "open" and intent["status"] in _DONE:
        _redeem(ctx, session, intent["customer"])
        session["customer"] = intent["customer"]
        _finish(ctx, session, _status_of(ctx, session, intent))


def _check_discounts(ctx: Context, session: Json) -> None:
    """A code may have been used up since it was applied. Raises 400 then, before anything is paid."""
    for index, entry in enumerate(session["discounts"]):
        given = {key: item for key, item in entry.items() if item}
        discounts.check(ctx, given, customer=session["customer"], param=f"discounts[{index}]")


def _redeem(ctx: Context, session: Json, customer: str | None) -> None:
    for entry in session["discounts"]:
        code = ctx.find("promotion_code", entry["promotion_code"]) if entry["promotion_code"] else None
        coupon = ctx.store.last_form(code["promotion"]["coupon"] if code else entry["coupon"])
        if coupon is not None:
            redemption = discounts.Redemption(coupon, code)
            discounts.make(ctx, redemption, customer=customer, checkout_session=session["id"], announce=False)


def _set_up(ctx: Context, session: Json, method: Json | None, given: Given) -> None:
    intent = ctx.require("setup_intent", session["setup_intent"], param="intent")
    if session["customer"] is None and session["customer_creation"] == "always":
        intent["customer"] = _customer(ctx, session, given)["id"]
        ctx.save(intent)
    how = {"payment_method": method["id"] if method else None, "return_url": _return_url(session)}
    _settle_setup(ctx, session, setup_intents.confirm(ctx, how, intent["id"]))


def _settle_setup(ctx: Context, session: Json, intent: Json) -> None:
    if session["status"] == "open" and intent["status"] == "succeeded":
        session["customer"] = intent["customer"]
        _finish(ctx, session, "no_payment_required")


def _finish(ctx: Context, session: Json, payment_status: str) -> None:
    session["status"] = "complete"
    session["payment_status"] = payment_status
    session["url"] = None
    ctx.save(session)
    ctx.emit("checkout.session.completed", session)


def _sessions_of(ctx: Context, intent: Json) -> list[Json]:
    return ctx.store.find("checkout.session", intent["object"], intent["id"])


def _on_payment(ctx: Context, intent: Json) -> None:
    session = checkout_subscribe.session_of(ctx, intent)
    if session is not None:
        _on_subscription(ctx, session, intent)
    for session in _sessions_of(ctx, intent):
        if session["status"] == "open":
            _settle(ctx, session, intent)
        else:
            _late(ctx, session, intent)


def _on_subscription(ctx: Context, session: Json, intent: Json) -> None:
    if session["status"] != "open":
        _late(ctx, session, intent)
    elif checkout_subscribe.paid(ctx, session, intent):
        _finish(ctx, session, _status_of(ctx, session, intent))


def _status_of(ctx: Context, session: Json, intent: Json | None) -> str:
    if intent is None or intent["object"] == "setup_intent":
        return "no_payment_required"
    if intent["status"] == "processing":
        ctx.store.set_note(session["id"], "async", "yes")
    return _DONE[intent["status"]]


def _late(ctx: Context, session: Json, intent: Json) -> None:
    """A delayed payment arrives, or an authorisation is captured."""
    if session["status"] != "complete" or session["payment_status"] != "unpaid" or intent["status"] != "succeeded":
        return
    session["payment_status"] = "paid"
    ctx.save(session)
    if ctx.store.note(session["id"], "async"):
        ctx.emit("checkout.session.async_payment_succeeded", session)


def _on_failure(ctx: Context, intent: Json) -> None:
    subscribed = checkout_subscribe.session_of(ctx, intent)
    for session in [*_sessions_of(ctx, intent), *([subscribed] if subscribed else [])]:
        if session["status"] == "complete" and ctx.store.note(session["id"], "async"):
            ctx.emit("checkout.session.async_payment_failed", session)


def _on_setup(ctx: Context, intent: Json) -> None:
    session = checkout_subscribe.session_of(ctx, intent)
    if session is not None:
        _on_subscription(ctx, session, intent)
    for session in _sessions_of(ctx, intent):
        _settle_setup(ctx, session, intent)


FOLLOW_UPS = {
    "payment_intent.succeeded": _on_payment,
    "payment_intent.processing": _on_payment,
    "payment_intent.amount_capturable_updated": _on_payment,
    "payment_intent.payment_failed": _on_failure,
    "setup_intent.succeeded": _on_setup,
}
