"""Prorations as invoice items: credits for what was debited, debits for the rest of the period.

Classic mode credits what the item costs now, flexible mode what it was debited (Stripe's comparison of the two).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tallystick.sandbox.billing import texts
from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.billing.money import rounded, share
from tallystick.sandbox.billing.prorations import Billed, credit_of, debit_of
from tallystick.sandbox.context import Context
from tallystick.sandbox.resources import invoice_items, invoices_lines, subscriptions_bill, subscriptions_build
from tallystick.sandbox.shapes import Json

__all__ = ["Old", "Part", "debits", "given_back", "remember_old", "write"]


@dataclass(frozen=True, slots=True)
class Old:
    """An item before the change, what it cost a period, and the period that price is for."""

    item: Json
    net: int
    whole: Period


@dataclass(slots=True)
class Part:
    """One proration that is to be written."""

    item: Json
    amount: int
    text: str
    price: Json
    quantity: int | None
    start: int
    end: int
    credited: Billed | None = None
    debited: bool = False


def remember_old(ctx: Context, subscription: Json) -> dict[str, Old]:
    """What the items are and cost before a change."""
    items = subscription["items"]["data"]
    nets = subscriptions_bill.net_amounts(ctx, subscription, items)
    return {
        item["id"]: Old(
            {**item, "_": dict(item["_"])},
            nets[item["id"]],
            subscriptions_build.period_at(subscription, item, item["current_period_start"]),
        )
        for item in items
    }


def given_back(ctx: Context, subscription: Json, old: Old, moment: int, *, until: int | None = None) -> list[Part]:
    """What is given back of an item that ends or changes at `moment`; what it has been debited is trimmed."""
    code = subscription["currency"]
    end = until or old.item["current_period_end"]
    billed = [Billed.of(kept) for kept in old.item["_"]["billed"]]
    if not billed:
        return []
    if subscription["billing_mode"]["type"] == "classic":
        exact = -(share(old.net, old.whole.start, old.whole.end, moment))
        if end < old.whole.end:
            exact += share(old.net, old.whole.start, old.whole.end, end)
        price, quantity = old.item["price"], old.item.get("quantity")
        return [_credit(ctx, old.item, rounded(exact, code), price, quantity, moment, end, billed[0])]
    parts = []
    for debit in billed:
        if debit.end <= moment:
            continue
        price = ctx.require("price", debit.price, param="price")
        amount = credit_of(debit, moment, code).amount
        parts.append(_credit(ctx, old.item, amount, price, debit.quantity, moment, debit.end, debit))
    return parts


def _credit(
    ctx: Context, item: Json, amount: int, price: Json, quantity: int | None, moment: int, end: int, billed: Billed
) -> Part:
    text = texts.unused_text(quantity, invoices_lines.product_name(ctx, price), moment)
    return Part(item, amount, text, price, quantity, moment, end, credited=billed)


def debits(
    ctx: Context, subscription: Json, items: Sequence[Json], moment: int, *, until: int | None = None
) -> list[Part]:
    """What the rest of the period costs for items that are new or changed."""
    code = subscription["currency"]
    nets = subscriptions_bill.net_amounts(ctx, subscription, subscription["items"]["data"])
    parts = []
    for item in items:
        price, quantity = item["price"], item.get("quantity")
        if price["recurring"]["usage_type"] == "metered":
            continue
        whole = subscriptions_build.period_at(subscription, item, moment)
        end = until or item["current_period_end"]
        exact = invoices_lines.exact_amount(ctx, price, quantity, code)
        net: Fraction | int = nets[item["id"]]
        # A price finer than the smallest coin is rounded once only.
        net = exact if rounded(exact, code) == net else net
        amount = debit_of(net, whole, moment, code)
        if end < whole.end:
            amount = rounded(share(net, whole.start, whole.end, moment) - share(net, whole.start, whole.end, end), code)
        text = texts.remaining_text(quantity, invoices_lines.product_name(ctx, price), moment)
        parts.append(Part(item, amount, text, price, quantity, moment, end, debited=True))
    return parts


def write(ctx: Context, subscription: Json, parts: Sequence[Part], *, date: int) -> list[Json]:
    """Pending invoice items of the parts; debits are remembered on their items.

    Recorded: of a credit and its debit the list shows the credit first, so the last part is made first.
    """
    customer = ctx.require("customer", subscription["customer"], param="customer")
    made = []
    for part in reversed(parts):
        credited = _credited(ctx, part.credited) if part.credited else None
        item = invoice_items.build(
            ctx,
            customer,
            amount=part.amount,
            code=subscription["currency"],
            description=part.text,
            start=part.start,
            end=part.end,
            quantity=1 if part.quantity is None else part.quantity,
            price=part.price,
            subscription=subscription["id"],
            subscription_item=part.item["id"],
            proration_details={"credited_items": credited, "discount_amounts": []},
            date=date,
        )
        if part.debited:
            billed = Billed(part.amount, part.start, part.end, part.price["id"], part.quantity, invoice_item=item["id"])
            part.item["_"]["billed"] = [billed.kept()]
        made.append(item)
    return made


def _credited(ctx: Context, billed: Billed) -> Json | None:
    invoice, line = billed.invoice, billed.line
    if invoice is None and billed.invoice_item is not None:
        debit = ctx.find("invoiceitem", billed.invoice_item)
        if debit is None:
            return None
        if debit["invoice"] is None:
            return {"invoice_item": billed.invoice_item, "type": "invoice_item"}
        invoice = debit["invoice"]
        line = _line_of(ctx, invoice, billed.invoice_item)
    if invoice is None or line is None:
        return None
    return {
        "invoice_line_item_details": {"invoice": invoice, "invoice_line_items": [line]},
        "type": "invoice_line_items",
    }


def _line_of(ctx: Context, invoice_id: str, item_id: str) -> str | None:
    invoice = ctx.find("invoice", invoice_id)
    for line in invoice["lines"]["data"] if invoice else ():
        if (line["parent"]["subscription_item_details"] or {}).get("invoice_item") == item_id:
            found: str = line["id"]
            return found
    return None
