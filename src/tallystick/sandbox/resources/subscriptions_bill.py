"""A subscription's invoices: which lines and discounts they have, and what was debited for each item."""

from collections.abc import Sequence

from tallystick.sandbox.billing import texts
from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.billing.discounts import Discountable, reduce_lines, single
from tallystick.sandbox.billing.money import rounded, share
from tallystick.sandbox.billing.prorations import Billed
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.resources import (
    discounts,
    invoice_items,
    invoices_build,
    invoices_lines,
    subscriptions_build,
)
from tallystick.sandbox.resources.invoices_lines import Portion
from tallystick.sandbox.shapes import Json

__all__ = ["applied_discounts", "invoice", "item_lines", "net_amounts", "prorated_lines", "renew", "trial_lines"]


def invoice(
    ctx: Context,
    subscription: Json,
    lines: Sequence[tuple[Json | None, Json]],
    *,
    reason: str,
    window: Period,
    pending: bool = True,
) -> Json:
    """A draft of pending items and of `lines`, each with the item that it bills.

    Remembers what was debited, and spends discounts that are for one invoice.
    """
    customer = ctx.require("customer", subscription["customer"], param="customer")
    waiting = invoice_items.pending(ctx, customer["id"], subscription["id"]) if pending else []
    waiting = [item for item in waiting if item["currency"] == subscription["currency"]]
    applied = applied_discounts(ctx, subscription, customer)
    made = invoices_build.draft(
        ctx,
        customer,
        [*(invoices_lines.item_line(ctx, item) for item in waiting), *(line for _, line in lines)],
        reason=reason,
        currency=subscription["currency"],
        period=window,
        subscription=subscription,
        applied=applied,
        collection_method=subscription["collection_method"],
    )
    made["default_payment_method"] = None
    ctx.save(made)
    invoices_build.take_pending(ctx, made, waiting)
    _remember(made, lines)
    _spend(ctx, subscription, customer, made)
    subscription["latest_invoice"] = made["id"]
    return made


def renew(ctx: Context, subscription: Json) -> Json:
    """The draft for the period that begins now; the subscription is for the caller to store."""
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    due = [item for item in subscription["items"]["data"] if item["current_period_end"] <= ctx.now]
    start = min(item["current_period_start"] for item in due)
    for item in due:
        period = subscriptions_build.period_at(subscription, item, ctx.now)
        item["current_period_start"] = max(period.start, item["current_period_end"])
        item["current_period_end"] = period.end
    whole = {item["id"]: subscriptions_build.period_at(subscription, item, ctx.now) for item in due}
    if any(whole[item["id"]].start < item["current_period_start"] for item in due):
        # A trial that ends before the anchor: only a part of a period is billed.
        lines = prorated_lines(ctx, {**subscription, "items": {"data": due}}, whole)
    else:
        lines = item_lines(ctx, subscription, due)
    window = Period(start, ctx.now)
    return invoice(ctx, subscription, lines, reason="subscription_cycle", window=window)


def _remember(made: Json, lines: Sequence[tuple[Json | None, Json]]) -> None:
    debits: dict[str, list[Json]] = {}
    for item, line in lines:
        if item is None:
            continue
        billed = Billed(
            invoices_build.net_amount(line),
            line["period"]["start"],
            line["period"]["end"],
            item["price"]["id"],
            item.get("quantity"),
            invoice=made["id"],
            line=line["id"],
        )
        debits.setdefault(item["id"], []).append(billed.kept())
        item["_"]["billed"] = debits[item["id"]]


def applied_discounts(ctx: Context, subscription: Json, customer: Json) -> list[str]:
    """The discounts of an invoice made now: the subscription's, or else the customer's."""
    found = subscription["discounts"] or ([customer["discount"]["id"]] if customer["discount"] else [])
    running = [discount for name in found if (discount := ctx.find("discount", name))]
    return [discount["id"] for discount in running if discounts.is_running(discount, ctx.now)]


def _spend(ctx: Context, subscription: Json, customer: Json, made: Json) -> None:
    """`once` is for the first invoice that it takes something off; repeating ones end in time."""
    used = {taken["discount"] for taken in made["total_discount_amounts"] if taken["amount"]}
    holders = [(subscription, subscription["discounts"])]
    holders += [(item, item["discounts"]) for item in subscription["items"]["data"]]
    for _holder, held in holders:
        for discount_id in list(held):
            discount = ctx.find("discount", discount_id)
            if discount is None:
                continue
            once = discounts.coupon_of(ctx, discount)["duration"] == "once"
            if (once and discount_id in used) or not discounts.is_running(discount, ctx.now):
                held.remove(discount_id)
                discounts.remove(ctx, discount)
    inherited = customer["discount"]
    if inherited and inherited["id"] in used:
        discount = ctx.require("discount", inherited["id"], param="discount")
        if discounts.coupon_of(ctx, discount)["duration"] == "once":
            customer["discount"] = None
            ctx.save_updated("customer.updated", customer)
            discounts.remove(ctx, discount)


def item_lines(ctx: Context, subscription: Json, items: Sequence[Json]) -> list[tuple[Json | None, Json]]:
    """The lines of whole periods, the newest item first; flexible ones leave out what is metered at nothing."""
    flexible = subscription["billing_mode"]["type"] == "flexible"
    lines: list[tuple[Json | None, Json]] = []
    for item in items[::-1]:
        if flexible and item["price"]["recurring"]["usage_type"] == "metered":
            continue
        period = Period(item["current_period_start"], item["current_period_end"])
        for portion in invoices_lines.portions(ctx, item["price"], item.get("quantity"), subscription["currency"]):
            _refuse_too_large(portion.amount)
            lines.append((item, invoices_lines.subscription_line(ctx, subscription, item, portion, period)))
    return lines


def _refuse_too_large(amount: int) -> None:
    if amount > 99_999_999_999:
        raise invalid("The amount of this invoice is too large.", code="amount_too_large", param="items")


def trial_lines(ctx: Context, subscription: Json) -> list[tuple[Json | None, Json]]:
    """Lines that say what is free until the trial ends."""
    flexible = subscription["billing_mode"]["type"] == "flexible"
    lines: list[tuple[Json | None, Json]] = []
    for item in subscription["items"]["data"][::-1]:
        quantity = item.get("quantity")
        name = invoices_lines.product_name(ctx, item["price"])
        portion = Portion(0, texts.trial_text(quantity, name, flexible=flexible), quantity, "0")
        period = Period(item["current_period_start"], item["current_period_end"])
        lines.append((item, invoices_lines.subscription_line(ctx, subscription, item, portion, period)))
    return lines


def prorated_lines(ctx: Context, subscription: Json, whole: dict[str, Period]) -> list[tuple[Json | None, Json]]:
    """The lines of a first period that is cut short by a later anchor: in proportion to the whole one."""
    lines: list[tuple[Json | None, Json]] = []
    code = subscription["currency"]
    for item in subscription["items"]["data"][::-1]:
        period = Period(item["current_period_start"], item["current_period_end"])
        full = whole[item["id"]]
        exact = invoices_lines.exact_amount(ctx, item["price"], item.get("quantity"), code)
        amount = rounded(share(exact, full.start, full.end, period.start), code)
        text = texts.remaining_text(item.get("quantity"), invoices_lines.product_name(ctx, item["price"]), period.start)
        portion = Portion(amount, text, item.get("quantity"), None)
        line = invoices_lines.subscription_line(ctx, subscription, item, portion, period, proration=True)
        lines.append((item, line))
    return lines


def net_amounts(ctx: Context, subscription: Json, items: Sequence[Json]) -> dict[str, int]:
    """What a whole period of each item costs after discounts, as prorations are made of it.

    A fixed amount is shared out among the items in flexible mode; in classic mode each item takes it whole, as
    Stripe's comparison of the two shows.
    """
    customer = ctx.require("customer", subscription["customer"], param="customer")
    code = subscription["currency"]
    amounts = [
        rounded(invoices_lines.exact_amount(ctx, item["price"], item.get("quantity"), code), code) for item in items
    ]
    products: set[str | None] = {item["price"]["product"] for item in items}
    whole = invoices_build.reductions(ctx, applied_discounts(ctx, subscription, customer), code, products)
    own = [tuple(invoices_build.reductions(ctx, item["discounts"], code, products)) for item in items]
    if subscription["billing_mode"]["type"] == "classic":
        return {
            item["id"]: single(amount, [*mine, *whole], item["price"]["product"], code)
            for item, amount, mine in zip(items, amounts, own, strict=True)
        }
    seen = [
        Discountable(amount, item["price"]["product"], own=mine)
        for item, amount, mine in zip(items, amounts, own, strict=True)
    ]
    taken = reduce_lines(seen, whole, code)
    return {
        item["id"]: amount - sum(off for _, off in found)
        for item, amount, found in zip(items, amounts, taken, strict=True)
    }
