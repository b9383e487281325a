"""The lines of an invoice: of a subscription's item, of an invoice item, of a trial."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from tallystick.core.currencies import CURRENCIES
from tallystick.sandbox.billing import texts
from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.billing.money import rounded
from tallystick.sandbox.context import Context
from tallystick.sandbox.resources import price_amounts
from tallystick.sandbox.shapes import Json

__all__ = ["Portion", "exact_amount", "item_line", "portions", "pricing", "product_name", "subscription_line"]


@dataclass(frozen=True, slots=True)
class Portion:
    """What one line of a price says: a price by tiers has a line for each tier it reaches."""

    amount: int
    description: str
    quantity: int | None
    unit: str | None


def product_name(ctx: Context, price: Json) -> str:
    """The name that lines bear; a deleted product keeps its own."""
    product = ctx.store.last_form(price["product"]) or {}
    name: str = product.get("name") or price["product"]
    return name


def exact_amount(ctx: Context, price: Json, quantity: int | None, currency: str) -> Fraction:
    """What a period costs at this price; metered prices cost nothing here, for nothing is reported."""
    if (price["recurring"] or {}).get("usage_type") == "metered":
        return Fraction(0)
    return price_amounts.exact_amount(ctx, price, 1 if quantity is None else quantity, currency)


def portions(ctx: Context, price: Json, quantity: int | None, currency: str) -> list[Portion]:
    """The lines of a whole period."""
    if price["billing_scheme"] == "tiered" and price["tiers_mode"] == "graduated" and quantity:
        return list(_by_tier(ctx, price, quantity, currency))
    terms = price_amounts.option(ctx, price, currency) or price
    unit = terms.get("unit_amount_decimal")
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    count = 0 if metered else 1 if quantity is None else quantity
    amount = rounded(exact_amount(ctx, price, quantity, currency), currency)
    return [Portion(amount, _text(ctx, price, count, unit, currency), count, unit)]


def _by_tier(ctx: Context, price: Json, quantity: int, currency: str) -> Iterator[Portion]:
    terms = price_amounts.option(ctx, price, currency) or {"tiers": []}
    before = Fraction(0)
    done = 0
    for number, tier in enumerate(terms["tiers"], 1):
        top = quantity if tier["up_to"] is None else min(quantity, tier["up_to"])
        if top <= done:
            return
        so_far = price_amounts.exact_amount(ctx, price, top, currency)
        unit = tier["unit_amount_decimal"]
        text = _text(ctx, price, top - done, unit, currency, tier=number)
        yield Portion(rounded(so_far - before, currency), text, top - done, unit)
        before, done = so_far, top


def _text(ctx: Context, price: Json, count: int, unit: str | None, currency: str, *, tier: int | None = None) -> str:
    recurring = price["recurring"]
    return texts.charge_text(
        count,
        product_name(ctx, price),
        unit,
        currency,
        recurring["interval"],
        recurring["interval_count"],
        tier=tier,
    )


def pricing(price: Json | None, unit: str | None) -> Json | None:
    """`pricing` of a line or invoice item; the whole price is printed by older versions only."""
    if price is None:
        return None
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": unit,
    }


def subscription_line(
    ctx: Context,
    subscription: Json,
    item: Json,
    portion: Portion,
    period: Period,
    *,
    proration: bool = False,
) -> Json:
    """The line that bills an item for a period."""
    return {
        **_line(ctx, portion.amount, subscription["currency"], portion.description, period),
        "discountable": True,
        "discounts": list(item["discounts"]),
        "metadata": dict(subscription["metadata"]),
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": proration,
                "proration_details": {"credited_items": None},
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "pricing": pricing(item["price"], portion.unit),
        "quantity": portion.quantity,
        "quantity_decimal": None if portion.quantity is None else str(portion.quantity),
        "subscription": subscription["id"],
    }


def item_line(ctx: Context, item: Json) -> Json:
    """The line of an invoice item; a proration's names what it credits by invoice line."""
    details = (item["parent"] or {}).get("subscription_details")
    subscription = details["subscription"] if details else None
    shared: Json = {"proration": item["proration"], "proration_details": {"credited_items": _credited(ctx, item)}}
    of_item = bool(details and details.get("subscription_item"))
    parent: Json = {
        "invoice_item_details": None,
        "subscription_item_details": None,
        "type": "subscription_item_details" if of_item else "invoice_item_details",
    }
    parent[parent["type"]] = {**shared, "invoice_item": item["id"], "subscription": subscription}
    if details and of_item:
        parent["subscription_item_details"]["subscription_item"] = details["subscription_item"]
    period = Period(item["period"]["start"], item["period"]["end"])
    return {
        **_line(ctx, item["amount"], item["currency"], item["description"], period),
        "discountable": item["discountable"],
        "discounts": list(item["discounts"] or []),
        "metadata": dict(item["metadata"]),
        "parent": parent,
        "pricing": item["pricing"],
        "quantity": item["quantity"],
        "quantity_decimal": item["quantity_decimal"],
        "subscription": subscription,
    }


def _credited(ctx: Context, item: Json) -> Json | None:
    credited = (item.get("proration_details") or {}).get("credited_items")
    if not credited:
        return None
    if credited["type"] == "invoice_line_items":
        details: Json = credited["invoice_line_item_details"]
        return details
    # A pending debit that was credited again: by now it may be a line.
    debit = ctx.find("invoiceitem", credited["invoice_item"])
    invoice = ctx.find("invoice", debit["invoice"]) if debit and debit["invoice"] else None
    lines = [
        line["id"]
        for line in (invoice["lines"]["data"] if invoice else [])
        if any((line["parent"][kind] or {}).get("invoice_item") == credited["invoice_item"] for kind in _PARENTS)
    ]
    return {"invoice": invoice["id"], "invoice_line_items": lines} if invoice and lines else None


_PARENTS = ("invoice_item_details", "subscription_item_details")


def _line(ctx: Context, amount: int, currency: str, description: str | None, period: Period) -> Json:
    if currency not in CURRENCIES:
        raise LookupError(currency)
    return {
        "id": ctx.ids.long("il_"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": description,
        "discount_amounts": [],
        "invoice": None,
        "livemode": False,
        "period": {"end": period.end, "start": period.start},
        "pretax_credit_amounts": [],
        "subtotal": amount,
        "taxes": [],
    }
