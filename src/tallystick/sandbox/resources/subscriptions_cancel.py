"""Ending a subscription: at once, by the clock, or with its customer."""

from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.context import Context
from tallystick.sandbox.resources import (
    invoices_collect,
    subscriptions_bill,
    subscriptions_prorate,
    subscriptions_status,
    test_clocks,
)
from tallystick.sandbox.shapes import Json

__all__ = ["cancel", "final_invoice", "of_customer"]


def cancel(ctx: Context, subscription: Json, *, prorate: bool = False, invoice_now: bool = False) -> None:
    """End it now. Recorded: with both options the final invoice stays a draft for its hour."""
    unpaid_first = subscription["status"] == "incomplete"
    draft = final_invoice(ctx, subscription, prorate=prorate, invoice_now=invoice_now)
    if not (prorate or invoice_now):
        subscriptions_status.drop_prorations(ctx, subscription)
    subscriptions_status.end(ctx, subscription, last=draft)
    if draft is not None:
        invoices_collect.wait(ctx, draft)
        invoices_collect.announce(ctx, draft)
    if unpaid_first:
        first = ctx.find("invoice", subscription["latest_invoice"] or "")
        if first is not None and first["status"] == "open":
            invoices_collect.void(ctx, first)


def final_invoice(ctx: Context, subscription: Json, *, prorate: bool, invoice_now: bool) -> Json | None:
    """Credits for the rest of the period, and the draft that takes them in."""
    if prorate and subscription["status"] in ("active", "past_due"):
        parts = []
        for old in subscriptions_prorate.remember_old(ctx, subscription).values():
            parts += subscriptions_prorate.given_back(ctx, subscription, old, ctx.now)
        for item in subscriptions_prorate.write(ctx, subscription, parts, date=ctx.now):
            # Recorded: the credit of a cancellation belongs to no subscription and names no lines.
            if not invoice_now:
                item["parent"] = None
                item.pop("proration_details")
                ctx.save(item)
    if not invoice_now:
        return None
    latest = subscription["latest_invoice"]
    start = min(item["current_period_start"] for item in subscription["items"]["data"])
    draft = subscriptions_bill.invoice(
        ctx, subscription, [], reason="subscription_cycle", window=Period(start, ctx.now)
    )
    if not draft["lines"]["data"]:
        ctx.store.execute("DELETE FROM objects WHERE id = ?", draft["id"])
        subscription["latest_invoice"] = latest
        return None
    return draft


def of_customer(ctx: Context, customer_id: str) -> None:
    """A customer that is deleted takes its subscriptions along."""
    customer = ctx.find("customer", customer_id)
    if customer is None:
        return
    ctx = test_clocks.at_customer(ctx, customer)
    for subscription in ctx.store.find("subscription", "customer", customer_id):
        if subscription["status"] not in subscriptions_status.ENDED:
            cancel(ctx, subscription)
