"""From draft to paid: finalising, collecting, voiding and writing off an invoice."""

from dataclasses import dataclass

from tallystick.sandbox.billing.retries import HARD_DECLINES, next_attempt
from tallystick.sandbox.billing.totals import due
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.resources import (
    customer_balance,
    invoice_payments,
    invoices_build,
    payment_flow,
    payment_intents,
    subscriptions_status,
    test_clocks,
)
from tallystick.sandbox.shapes import Json

__all__ = [
    "Collection", "announce", "collect", "finalize", "follow", "intent_of", "mark_uncollectible", "paid_before",
    "pay_elsewhere", "settle", "void", "wait",
]  # fmt: skip

_DESCRIPTIONS = {"subscription_create": "Subscription creation", "subscription_update": "Subscription update"}


@dataclass(frozen=True, slots=True)
class Collection:
    """One attempt to collect. `automatic` ones are counted and plan the next."""

    automatic: bool = True
    off_session: bool = True
    method: Json | None = None


def announce(ctx: Context, invoice: Json) -> None:
    """A draft came into being. A renewal's stays one for an hour."""
    ctx.emit("invoice.created", invoice)


def wait(ctx: Context, invoice: Json) -> None:
    """Let a draft be finalised by itself, as renewals are."""
    if not invoice["auto_advance"]:
        return
    automatic = invoice["collection_method"] == "charge_automatically"
    invoice["automatically_finalizes_at"] = ctx.now + ctx.settings.draft_s + 1
    invoice["next_payment_attempt"] = ctx.now + ctx.settings.draft_s if automatic else None
    ctx.save(invoice)
    ctx.plan(invoice["automatically_finalizes_at"], "invoice_finalizes", invoice["id"])


def intent_of(ctx: Context, invoice: Json) -> Json | None:
    """The PaymentIntent of an invoice that has been finalised with something due."""
    found = invoice["_"]["payment_intent"]
    return ctx.find("payment_intent", found) if found else None


def finalize(ctx: Context, invoice: Json) -> None:
    """Number it, use the balance, make the PaymentIntent; with nothing due it is paid at once."""
    customer = ctx.require("customer", invoice["customer"], param="customer")
    before = ctx.store.stored(customer["id"])
    invoices_build.copy_customer(invoice, customer)
    invoices_build.compute(ctx, invoice, customer)
    _number(invoice, customer)
    _use_balance(ctx, invoice, customer)
    invoice["status"] = "open"
    invoice["automatically_finalizes_at"] = None
    invoice["next_payment_attempt"] = None
    invoice["effective_at"] = invoice["webhooks_delivered_at"] = ctx.now
    invoice["status_transitions"]["finalized_at"] = ctx.now
    code = f"test_{ctx.ids.characters(24)}"
    ctx.store.set_note(code, "invoice", invoice["id"])
    invoice["hosted_invoice_url"] = f"{ctx.base_url}/invoice/{ctx.ids.account_id}/{code}"
    invoice["invoice_pdf"] = f"{invoice['hosted_invoice_url']}/pdf"
    if invoice["collection_method"] == "send_invoice":
        _plan_due(ctx, invoice)
    ctx.unplan(invoice["id"])
    intent = _make_intent(ctx, invoice, customer) if invoice["amount_due"] else None
    ctx.save(invoice)
    ctx.save(customer)
    ctx.emit("invoice.finalized", invoice)
    if intent is not None:
        if intent["status"] in ("requires_payment_method", "requires_confirmation"):
            ctx.emit("payment_intent.created", intent)
        if invoice["due_date"] is not None:
            ctx.plan(invoice["due_date"], "invoice_overdue", invoice["id"])
    _customer_changed(ctx, customer, before)
    if intent is None or intent["status"] == "succeeded":
        settle(ctx, invoice)


def _number(invoice: Json, customer: Json) -> None:
    invoice["number"] = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    customer["currency"] = customer["currency"] or invoice["currency"]


def _use_balance(ctx: Context, invoice: Json, customer: Json) -> None:
    result = due(invoice["total"], customer["balance"], invoice["currency"])
    invoice["ending_balance"] = result.ending_balance
    moved = result.ending_balance - customer["balance"]
    if moved:
        small = result.ending_balance > 0
        customer_balance.adjust(
            ctx, customer, moved, "invoice_too_small" if small else "applied_to_invoice",
            code=invoice["currency"], invoice=invoice["id"],
        )  # fmt: skip


def _customer_changed(ctx: Context, customer: Json, before: Json) -> None:
    """The counter of invoices alone is no news."""
    counted = {**before, "next_invoice_sequence": customer["next_invoice_sequence"]}
    if counted != customer:
        ctx.emit("customer.updated", customer, before)


def _plan_due(ctx: Context, invoice: Json) -> None:
    if invoice["due_date"] is None:
        subscription = subscriptions_status.of_invoice(ctx, invoice)
        days = subscription["days_until_due"] if subscription else None
        invoice["due_date"] = ctx.now + (30 if days is None else days) * 86400


def paid_before(ctx: Context, customer: Json) -> Json | None:
    """The PaymentIntent by which Checkout was paid before it makes the customer's subscription."""
    note = ctx.store.note(customer["id"], "paid_before")
    return ctx.find("payment_intent", note) if note else None


def _make_intent(ctx: Context, invoice: Json, customer: Json) -> Json:
    paid = paid_before(ctx, customer)
    if paid is not None:
        paid["_"] = {"invoice": invoice["id"]}
        ctx.save(paid)
        ctx.store.set_note(customer["id"], "paid_before", "")
        invoice["_"]["payment_intent"] = paid["id"]
        invoice_payments.open_for(ctx, invoice, paid["id"])
        return paid
    reason = _DESCRIPTIONS.get(invoice["billing_reason"])
    types = invoice["payment_settings"]["payment_method_types"] or list(ctx.settings.payment_method_types)
    intent = payment_intents.for_invoice(
        ctx,
        invoice["id"],
        {
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": customer["id"],
            "description": reason or f"Payment for Invoice {invoice['number']}",
            "payment_method_types": types,
            "setup_future_usage": "off_session" if invoice["parent"] else None,
        },
    )
    options = (invoice["payment_settings"]["payment_method_options"] or {}).get("card") or {}
    if options.get("request_three_d_secure"):
        intent["payment_method_options"]["card"]["request_three_d_secure"] = options["request_three_d_secure"]
    method = subscriptions_status.default_method(ctx, subscriptions_status.of_invoice(ctx, invoice), customer, invoice)
    if method is not None:
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_confirmation"
    ctx.save(intent)
    invoice["_"]["payment_intent"] = intent["id"]
    invoice_payments.open_for(ctx, invoice, intent["id"])
    return intent


def collect(ctx: Context, invoice: Json, attempt: Collection) -> ApiError | None:
    """One attempt to pay an open invoice with the given or the default method; answers why it failed."""
    intent = intent_of(ctx, invoice)
    if intent is None:
        return None
    customer = ctx.require("customer", invoice["customer"], param="customer")
    subscription = subscriptions_status.of_invoice(ctx, invoice)
    method = attempt.method or subscriptions_status.default_method(ctx, subscription, customer, invoice)
    _count(ctx, invoice, automatic=attempt.automatic)
    if method is None:
        _failed(ctx, invoice)
        return ApiError(400, subscriptions_status.NO_METHOD, code="resource_missing", executed=True)
    if attempt.automatic and _hopeless(intent, method):
        # Counted and planned, not executed.
        ctx.save_updated("invoice.updated", invoice)
        _plan_retry(ctx, invoice)
        subscriptions_status.after_failure(ctx, invoice)
        return None
    options = payment_flow.Attempt(off_session=attempt.off_session, keep_challenge=True)
    return payment_flow.attempt(ctx, intent, method, options)


def _count(ctx: Context, invoice: Json, *, automatic: bool) -> None:
    """The first attempt of any kind counts, later only automatic ones; those plan what comes next."""
    invoice["attempted"] = True
    if not automatic and invoice["attempt_count"]:
        return
    invoice["attempt_count"] += 1
    if not automatic:
        return
    subscription = subscriptions_status.of_invoice(ctx, invoice)
    first = invoice["billing_reason"] == "subscription_create" and (
        subscription is None or subscription["status"] == "incomplete"
    )
    if first or not invoice["auto_advance"] or invoice["_"].get("pending_update"):
        invoice["next_payment_attempt"] = None
        return
    planned = next_attempt(invoice["attempt_count"], ctx.now, ctx.settings.retry_days)
    invoice["next_payment_attempt"] = planned
    invoice["_"]["exhausted"] = planned is None


def _hopeless(intent: Json, method: Json) -> bool:
    error = intent["last_payment_error"] or {}
    same = (error.get("payment_method") or {}).get("id") == method["id"]
    return same and error.get("decline_code", error.get("code")) in HARD_DECLINES


def follow(ctx: Context, intent: Json) -> None:
    """What becomes of the invoice when its PaymentIntent has moved on, whoever moved it."""
    invoice_id = intent.get("_", {}).get("invoice")
    invoice = ctx.find("invoice", invoice_id) if invoice_id else None
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return
    customer = ctx.find("customer", invoice["customer"])
    ctx = test_clocks.at_customer(ctx, customer)
    if not invoice["attempt_count"]:
        _count(ctx, invoice, automatic=False)
    status = intent["status"]
    if status == "succeeded":
        settle(ctx, invoice)
    elif status == "requires_action":
        _action_required(ctx, invoice)
    elif status == "requires_payment_method":
        _failed(ctx, invoice)
    elif status == "processing":
        ctx.save_updated("invoice.updated", invoice)
        subscriptions_status.after_promise(ctx, invoice)


def _failed(ctx: Context, invoice: Json, *, action: bool = False) -> None:
    before = ctx.store.stored(invoice["id"])
    ctx.save(invoice)
    if action:
        ctx.emit("invoice.payment_action_required", invoice)
    _plan_retry(ctx, invoice)
    ctx.emit("invoice.payment_failed", invoice)
    if before != invoice:
        ctx.emit("invoice.updated", invoice, before)
    subscriptions_status.after_failure(ctx, invoice)


def _plan_retry(ctx: Context, invoice: Json) -> None:
    ctx.unplan(invoice["id"])
    if invoice["next_payment_attempt"] is not None:
        ctx.plan(invoice["next_payment_attempt"], "invoice_retries", invoice["id"])


def _action_required(ctx: Context, invoice: Json) -> None:
    subscription = subscriptions_status.of_invoice(ctx, invoice)
    if subscription is None or subscription["status"] != "incomplete":
        _failed(ctx, invoice, action=True)
        return
    before = ctx.store.stored(invoice["id"])
    ctx.save(invoice)
    ctx.emit("invoice.payment_action_required", invoice)
    if before != invoice:
        ctx.emit("invoice.updated", invoice, before)


def settle(ctx: Context, invoice: Json, *, elsewhere: bool = False) -> None:
    """The invoice is paid: by its PaymentIntent, outside of Stripe, or because nothing was due."""
    before = ctx.store.stored(invoice["id"])
    invoice["status"] = "paid"
    invoice["attempted"] = True
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["amount_paid"] = invoice["amount_due"]
    invoice["amount_remaining"] = 0
    invoice["status_transitions"]["paid_at"] = ctx.now
    invoice.pop("status_details", None)
    invoice["_"]["paid_out_of_band"] = elsewhere
    if elsewhere:
        invoice["amount_paid_off_stripe"] = invoice["amount_due"]
    payment = invoice_payments.of_invoice(ctx, invoice["id"])
    if payment is not None and not elsewhere:
        invoice_payments.paid(ctx, payment)
    ctx.save(invoice)
    ctx.unplan(invoice["id"])
    ctx.emit("invoice.updated", invoice, before)
    ctx.emit("invoice.paid", invoice)
    ctx.emit("invoice.payment_succeeded", invoice)
    if payment is not None and not elsewhere:
        ctx.emit("invoice_payment.paid", payment)
    subscriptions_status.after_payment(ctx, invoice)


def pay_elsewhere(ctx: Context, invoice: Json) -> None:
    """Paid outside of Stripe; the PaymentIntent is not needed any more."""
    _cancel_intent(ctx, invoice)
    settle(ctx, invoice, elsewhere=True)


def void(ctx: Context, invoice: Json) -> None:
    """As if it had never been asked for; credit that it used comes back."""
    before = ctx.store.stored(invoice["id"])
    customer = ctx.find("customer", invoice["customer"])
    invoice["status"] = "void"
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"]["voided_at"] = ctx.now
    used = invoice["starting_balance"] - (invoice["ending_balance"] or 0)
    ctx.save(invoice)
    ctx.unplan(invoice["id"])
    ctx.emit("invoice.voided", invoice)
    ctx.emit("invoice.updated", invoice, before)
    if used and customer is not None:
        customer_balance.adjust(
            ctx, customer, used, "unapplied_from_invoice", code=invoice["currency"], invoice=invoice["id"]
        )
        ctx.save_updated("customer.updated", customer)
    _cancel_intent(ctx, invoice)
    subscriptions_status.after_void(ctx, invoice)


def mark_uncollectible(ctx: Context, invoice: Json, reason: str) -> None:
    """Written off; it can still be paid."""
    before = ctx.store.stored(invoice["id"])
    invoice["status"] = "uncollectible"
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"]["marked_uncollectible_at"] = ctx.now
    invoice["status_details"] = {"uncollectible": {"reason": reason}}
    ctx.save(invoice)
    ctx.unplan(invoice["id"])
    ctx.emit("invoice.marked_uncollectible", invoice)
    ctx.emit("invoice.updated", invoice, before)
    subscriptions_status.after_void(ctx, invoice)


def _cancel_intent(ctx: Context, invoice: Json) -> None:
    intent = intent_of(ctx, invoice)
    if intent is not None and intent["status"] not in ("succeeded", "canceled", "processing"):
        payment_flow.release(ctx, intent, reason="void_invoice")
    payment = invoice_payments.of_invoice(ctx, invoice["id"])
    if payment is not None and payment["status"] == "open":
        invoice_payments.close(ctx, payment)
