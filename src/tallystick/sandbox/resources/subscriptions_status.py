"""A subscription's status: what payments and failures make of it, and what is due next.

The transitions are Stripe's "subscription lifecycle"; what follows the last retry is a setting of the account.
"""

from tallystick.sandbox.context import Context
from tallystick.sandbox.resources import invoice_items
from tallystick.sandbox.shapes import Json, clone

__all__ = [
    "ENDED", "INCOMPLETE_S", "NO_METHOD", "UPDATED", "after_failure", "after_overdue", "after_payment", "after_promise",
    "after_void", "default_method", "drop_prorations", "end", "of_invoice", "period_end", "replan", "save",
]  # fmt: skip

ENDED = ("canceled", "incomplete_expired")
INCOMPLETE_S = 23 * 3600
"""How long the first invoice, and the invoice of a pending update, may stay unpaid."""
UPDATED = "customer.subscription.updated"
NO_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding a default payment "
    "method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)
_TRIAL_NOTICE_S = 3 * 86400
_DAY_S = 86400


def of_invoice(ctx: Context, invoice: Json) -> Json | None:
    """The subscription that an invoice bills."""
    details = (invoice["parent"] or {}).get("subscription_details")
    return ctx.find("subscription", details["subscription"]) if details else None


def default_method(ctx: Context, subscription: Json | None, customer: Json, invoice: Json | None = None) -> Json | None:
    """The method to collect with: the invoice's, the subscription's, then the customer's default."""
    wanted = (
        invoice["default_payment_method"] if invoice else None,
        subscription["default_payment_method"] if subscription else None,
        customer["invoice_settings"]["default_payment_method"],
    )
    for method_id in wanted:
        method = ctx.find("payment_method", method_id) if method_id else None
        if method is not None and method["customer"] == customer["id"]:
            return method
    return None


def period_end(subscription: Json) -> int:
    """When the next item is to be billed."""
    end: int = min(item["current_period_end"] for item in subscription["items"]["data"])
    return end


def save(ctx: Context, subscription: Json) -> None:
    """Store a change with its event, and plan anew what is due."""
    ctx.save_updated(UPDATED, subscription)
    replan(ctx, subscription)


def replan(ctx: Context, subscription: Json) -> None:
    """The due moments of a subscription, all of them new."""
    found = subscription["id"]
    ctx.unplan(found)
    status = subscription["status"]
    if status in ENDED:
        return
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"]:
        ctx.plan(pause["resumes_at"], "subscription_collects_again", found)
    update = subscription["pending_update"]
    if update:
        ctx.plan(update["expires_at"], "subscription_update_expires", found)
    if status == "incomplete":
        ctx.plan(subscription["created"] + INCOMPLETE_S, "subscription_expires", found)
        return
    if subscription["cancel_at"] is not None:
        # Before the renewal of the same moment.
        ctx.plan(subscription["cancel_at"], "subscription_ends", found)
    schedule = _schedule_of(ctx, subscription)
    if schedule is not None:
        ctx.plan(schedule["current_phase"]["end_date"], "subscription_phase_ends", found)
    if status == "paused":
        return
    end = period_end(subscription)
    ctx.plan(end, "subscription_renews", found)
    _plan_notices(ctx, subscription, end)


def _schedule_of(ctx: Context, subscription: Json) -> Json | None:
    return ctx.find("subscription_schedule", subscription["schedule"]) if subscription["schedule"] else None


def _plan_notices(ctx: Context, subscription: Json, end: int) -> None:
    found = subscription["id"]
    if subscription["status"] == "trialing" and ctx.store.note(found, "trial_notice") != str(end):
        ctx.plan(max(end - _TRIAL_NOTICE_S, ctx.now), "subscription_trial_notice", found)
    notice = end - ctx.settings.upcoming_days * _DAY_S
    silent = subscription["pause_collection"] or subscription["collection_method"] == "send_invoice"
    if ctx.settings.upcoming_days and notice > ctx.now and not silent and subscription["status"] != "unpaid":
        ctx.plan(notice, "subscription_upcoming", found)


def after_payment(ctx: Context, invoice: Json) -> None:
    """An invoice was paid."""
    subscription = of_invoice(ctx, invoice)
    if subscription is not None and subscription["status"] not in ENDED:
        _remember_method(ctx, subscription, invoice)
        applied = _apply_pending(ctx, subscription, invoice)
        if _is_newest(ctx, subscription, invoice):
            _recover(ctx, subscription)
        elif applied:
            save(ctx, subscription)
    refresh_delinquent(ctx, invoice["customer"])


def _recover(ctx: Context, subscription: Json) -> None:
    resumed = subscription["status"] == "paused"
    if resumed:
        resume(ctx, subscription)
        return
    if subscription["status"] in ("incomplete", "past_due", "unpaid"):
        subscription["status"] = "active"
    save(ctx, subscription)


def resume(ctx: Context, subscription: Json, *, status: str = "active") -> None:
    """Out of `paused`; the periods are set already."""
    subscription["status"] = status
    subscription["pending_update"] = None
    subscription.pop("status_details", None)
    before = ctx.store.stored(subscription["id"])
    save(ctx, subscription)
    ctx.emit("customer.subscription.resumed", subscription, before)


def _remember_method(ctx: Context, subscription: Json, invoice: Json) -> None:
    if subscription["payment_settings"]["save_default_payment_method"] != "on_subscription":
        return
    intent = ctx.find("payment_intent", invoice["_"]["payment_intent"] or "")
    method = ctx.find("payment_method", intent["payment_method"] or "") if intent else None
    if method is not None and method["customer"] == subscription["customer"]:
        subscription["default_payment_method"] = method["id"]


def _apply_pending(ctx: Context, subscription: Json, invoice: Json) -> bool:
    """The invoice that a pending update waited for is paid."""
    waiting = subscription.get("_", {}).get("pending")
    if not waiting or waiting["invoice"] != invoice["id"]:
        return False
    subscription.update(clone(waiting["target"]))
    subscription["_"].pop("pending")
    subscription["pending_update"] = None
    if subscription["status"] == "paused":
        # It is resumed in a moment, and one event tells all that it changed.
        return True
    before = ctx.store.stored(subscription["id"])
    ctx.save(subscription)
    if not waiting["silent"]:
        ctx.emit("customer.subscription.pending_update_applied", subscription)
    ctx.emit(UPDATED, subscription, before)
    replan(ctx, subscription)
    return True


def after_promise(ctx: Context, invoice: Json) -> None:
    """A bank debit is under way: service starts, as the money is expected to come."""
    subscription = of_invoice(ctx, invoice)
    if subscription is not None and subscription["status"] == "incomplete":
        _recover(ctx, subscription)


def after_failure(ctx: Context, invoice: Json) -> None:
    """An invoice could not be collected."""
    subscription = of_invoice(ctx, invoice)
    pending = bool(subscription and subscription.get("_", {}).get("pending"))
    if subscription is None or subscription["status"] in (*ENDED, "incomplete") or pending:
        return
    set_delinquent(ctx, invoice["customer"], value=True)
    if invoice["_"].get("exhausted"):
        _give_up(ctx, subscription, invoice)
        return
    if subscription["status"] in ("active", "trialing", "paused") and _is_newest(ctx, subscription, invoice):
        if subscription["status"] == "paused":
            subscription["pending_update"] = None
        subscription["status"] = "past_due"
        save(ctx, subscription)


def _give_up(ctx: Context, subscription: Json, invoice: Json) -> None:
    ending = ctx.settings.after_last_retry
    if ending == "cancel":
        subscription["cancellation_details"]["reason"] = "payment_failed"
        end(ctx, subscription)
        return
    invoice["auto_advance"] = False
    ctx.save_updated("invoice.updated", invoice)
    subscription["status"] = ending
    save(ctx, subscription)


def after_overdue(ctx: Context, invoice: Json) -> None:
    """An invoice that was sent is past its due date."""
    subscription = of_invoice(ctx, invoice)
    if subscription is not None and subscription["status"] == "active":
        subscription["status"] = "past_due"
        save(ctx, subscription)


def after_void(ctx: Context, invoice: Json) -> None:
    """The newest invoice does not count any more: the one before it decides."""
    subscription = of_invoice(ctx, invoice)
    refresh_delinquent(ctx, invoice["customer"])
    if subscription is None or subscription["status"] in ENDED:
        return
    if subscription["status"] == "incomplete":
        if invoice["status"] == "void":
            expire(ctx, subscription)
        else:
            _recover(ctx, subscription)
        return
    if subscription["status"] == "paused":
        if invoice["status"] == "uncollectible" and subscription["pending_update"]:
            resume(ctx, subscription)
        return
    if subscription["status"] not in ("past_due", "unpaid"):
        return
    for older in _finalized(ctx, subscription)[::-1]:
        if older["status"] == "open":
            return
        if older["status"] in ("paid", "uncollectible"):
            break
    subscription["status"] = "active"
    save(ctx, subscription)


def expire(ctx: Context, subscription: Json) -> None:
    """The first invoice was not paid in time."""
    subscription["status"] = "incomplete_expired"
    subscription["ended_at"] = ctx.now
    save(ctx, subscription)


def end(ctx: Context, subscription: Json, *, last: Json | None = None) -> None:
    """Canceled: no more invoices, and no more attempts to collect the ones there are but the `last`."""
    subscription["status"] = "canceled"
    subscription["ended_at"] = ctx.now
    if subscription["canceled_at"] is None:
        subscription["canceled_at"] = ctx.now
    subscription["cancellation_details"]["reason"] = (
        subscription["cancellation_details"]["reason"] or "cancellation_requested"
    )
    subscription["pending_update"] = None
    subscription.get("_", {}).pop("pending", None)
    for invoice in ctx.store.find("invoice", _SUBSCRIPTION, subscription["id"]):
        if (
            invoice is not last
            and invoice["status"] in ("draft", "open")
            and (invoice["auto_advance"] or invoice["next_payment_attempt"])
        ):
            invoice["auto_advance"] = False
            invoice["next_payment_attempt"] = None
            ctx.unplan(invoice["id"])
            ctx.save_updated("invoice.updated", invoice)
    schedule = _schedule_of(ctx, subscription)
    if schedule is not None:
        schedule |= {"status": "canceled", "canceled_at": ctx.now, "current_phase": None}
        ctx.save(schedule)
        ctx.emit("subscription_schedule.canceled", schedule)
        subscription["schedule"] = None
    ctx.save(subscription)
    replan(ctx, subscription)
    ctx.emit("customer.subscription.deleted", subscription)


def drop_prorations(ctx: Context, subscription: Json) -> None:
    """Pending prorations of a subscription that ends without being billed."""
    for item in invoice_items.pending(ctx, subscription["customer"], subscription["id"]):
        if item["proration"] and invoice_items.subscription_of(item) == subscription["id"]:
            invoice_items.remove(ctx, item)


_SUBSCRIPTION = "parent.subscription_details.subscription"


def _finalized(ctx: Context, subscription: Json) -> list[Json]:
    found = ctx.store.find("invoice", _SUBSCRIPTION, subscription["id"])
    return [invoice for invoice in found if invoice["status"] != "draft"]


def _is_newest(ctx: Context, subscription: Json, invoice: Json) -> bool:
    found = _finalized(ctx, subscription)
    return not found or found[-1]["id"] == invoice["id"]


def refresh_delinquent(ctx: Context, customer_id: str) -> None:
    """Whether any invoice that was tried is still open."""
    open_ones = ctx.store.find("invoice", "customer", customer_id)
    failing = any(
        invoice["status"] == "open" and invoice["attempted"] and invoice["billing_reason"] != "subscription_create"
        for invoice in open_ones
    )
    set_delinquent(ctx, customer_id, value=failing)


def set_delinquent(ctx: Context, customer_id: str, *, value: bool) -> None:
    customer = ctx.find("customer", customer_id)
    if customer is not None and customer["delinquent"] != value:
        customer["delinquent"] = value
        ctx.save_updated("customer.updated", customer)
