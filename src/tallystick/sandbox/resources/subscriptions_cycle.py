"""What time does to subscriptions and invoices: renewals, ends of trials, expiries, retries, notices."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.resources import (
    invoices_collect,
    invoices_preview,
    subscriptions_bill,
    subscriptions_change,
    subscriptions_status,
)
from tallystick.sandbox.resources.test_clocks import at_moment
from tallystick.sandbox.shapes import Json

__all__ = ["JOBS"]


def _live(ctx: Context, subscription_id: str) -> Json | None:
    subscription = ctx.find("subscription", subscription_id)
    return subscription if subscription and subscription["status"] not in subscriptions_status.ENDED else None


def _renews(ctx: Context, subscription_id: str, data: Json) -> None:
    """The period is over: a trial ends, or the next period is billed."""
    ctx = at_moment(ctx, data)
    subscription = _live(ctx, subscription_id)
    if subscription is None or subscriptions_status.period_end(subscription) > ctx.now:
        return
    if subscription["pending_update"]:
        _drop_update(ctx, subscription)
    if subscription["status"] == "trialing" and _without_method(ctx, subscription):
        return
    draft = subscriptions_bill.renew(ctx, subscription)
    waits = subscription["pause_collection"] is None and subscription["status"] != "unpaid"
    if waits:
        invoices_collect.wait(ctx, draft)
    else:
        draft["auto_advance"] = False
        ctx.save(draft)
    invoices_collect.announce(ctx, draft)
    subscriptions_status.save(ctx, subscription)
    if not waits:
        _close(ctx, subscription, draft)


def _without_method(ctx: Context, subscription: Json) -> bool:
    """Whether the trial's end without a payment method was dealt with by its settings."""
    customer = ctx.require("customer", subscription["customer"], param="customer")
    automatic = subscription["collection_method"] == "charge_automatically"
    if not automatic or subscriptions_status.default_method(ctx, subscription, customer) is not None:
        return False
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behavior == "cancel":
        subscriptions_status.end(ctx, subscription)
        return True
    if behavior == "pause":
        before = ctx.store.stored(subscription["id"])
        subscription["status"] = "paused"
        subscription["status_details"] = subscriptions_change.paused_details(ctx, "trial_end_without_payment_method")
        subscriptions_status.save(ctx, subscription)
        ctx.emit("customer.subscription.paused", subscription, before)
        return True
    return False


def _close(ctx: Context, subscription: Json, draft: Json) -> None:
    """A renewal while collection is paused or has been given up."""
    pause = subscription["pause_collection"]
    if pause is None or pause["behavior"] == "keep_as_draft":
        return
    invoices_collect.finalize(ctx, draft)
    if draft["status"] != "open":
        return
    if pause["behavior"] == "void":
        invoices_collect.void(ctx, draft)
    else:
        invoices_collect.mark_uncollectible(ctx, draft, "subscription_paused")


def _ends(ctx: Context, subscription_id: str, data: Json) -> None:
    ctx = at_moment(ctx, data)
    subscription = _live(ctx, subscription_id)
    if subscription is not None and subscription["cancel_at"] is not None and subscription["cancel_at"] <= ctx.now:
        subscriptions_status.end(ctx, subscription)


def _expires(ctx: Context, subscription_id: str, data: Json) -> None:
    """23 hours without the first payment: the invoice is voided, which expires the subscription."""
    ctx = at_moment(ctx, data)
    subscription = _live(ctx, subscription_id)
    if subscription is None or subscription["status"] != "incomplete":
        return
    invoice = ctx.find("invoice", subscription["latest_invoice"] or "")
    if invoice is not None and invoice["status"] == "open":
        invoices_collect.void(ctx, invoice)
    else:
        subscriptions_status.expire(ctx, subscription)


def _update_expires(ctx: Context, subscription_id: str, data: Json) -> None:
    ctx = at_moment(ctx, data)
    subscription = _live(ctx, subscription_id)
    if subscription is not None and subscription["pending_update"]:
        _drop_update(ctx, subscription)


def _drop_update(ctx: Context, subscription: Json) -> None:
    """A pending update, or a resumption, that was not paid in time."""
    waiting = subscription["_"].pop("pending", None)
    invoice = ctx.find("invoice", (waiting or {}).get("invoice") or subscription["latest_invoice"] or "")
    before = ctx.store.stored(subscription["id"])
    subscription["pending_update"] = None
    ctx.save(subscription)
    if waiting:
        ctx.emit("customer.subscription.pending_update_expired", subscription)
    ctx.emit(subscriptions_status.UPDATED, subscription, before)
    subscriptions_status.replan(ctx, subscription)
    if invoice is not None and invoice["status"] == "open":
        invoices_collect.void(ctx, invoice)


def _collects_again(ctx: Context, subscription_id: str, data: Json) -> None:
    ctx = at_moment(ctx, data)
    subscription = _live(ctx, subscription_id)
    if subscription is not None and subscription["pause_collection"]:
        subscription["pause_collection"] = None
        subscriptions_status.save(ctx, subscription)


def _trial_notice(ctx: Context, subscription_id: str, data: Json) -> None:
    ctx = at_moment(ctx, data)
    subscription = _live(ctx, subscription_id)
    if subscription is not None and subscription["status"] == "trialing":
        ctx.store.set_note(subscription_id, "trial_notice", str(subscription["trial_end"]))
        ctx.emit("customer.subscription.trial_will_end", subscription)


def _upcoming(ctx: Context, subscription_id: str, data: Json) -> None:
    """`invoice.upcoming`: the preview of the renewal."""
    ctx = at_moment(ctx, data)
    subscription = _live(ctx, subscription_id)
    if subscription is None or subscription["status"] == "paused":
        return
    preview = invoices_preview.of_renewal(ctx, subscription_id)
    if preview is not None:
        ctx.emit("invoice.upcoming", preview)


def _finalizes(ctx: Context, invoice_id: str, data: Json) -> None:
    ctx = at_moment(ctx, data)
    invoice = ctx.find("invoice", invoice_id)
    if invoice is None or invoice["status"] != "draft" or not invoice["auto_advance"]:
        return
    invoices_collect.finalize(ctx, invoice)
    if invoice["status"] != "open":
        return
    if invoice["collection_method"] == "charge_automatically":
        invoices_collect.collect(ctx, invoice, invoices_collect.Collection())
    else:
        ctx.emit("invoice.sent", invoice)


def _retries(ctx: Context, invoice_id: str, data: Json) -> None:
    ctx = at_moment(ctx, data)
    invoice = ctx.find("invoice", invoice_id)
    if invoice is not None and invoice["status"] == "open" and invoice["auto_advance"]:
        invoices_collect.collect(ctx, invoice, invoices_collect.Collection())


def _overdue(ctx: Context, invoice_id: str, data: Json) -> None:
    ctx = at_moment(ctx, data)
    invoice = ctx.find("invoice", invoice_id)
    if invoice is not None and invoice["status"] == "open":
        ctx.emit("invoice.overdue", invoice)
        subscriptions_status.after_overdue(ctx, invoice)


JOBS = {
    "invoice_finalizes": _finalizes,
    "invoice_overdue": _overdue,
    "invoice_retries": _retries,
    "subscription_collects_again": _collects_again,
    "subscription_ends": _ends,
    "subscription_expires": _expires,
    "subscription_renews": _renews,
    "subscription_trial_notice": _trial_notice,
    "subscription_upcoming": _upcoming,
    "subscription_update_expires": _update_expires,
}
