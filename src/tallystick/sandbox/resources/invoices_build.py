"""Drafts: an invoice with its lines, what discounts take off them, and what is due."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from tallystick.core.currencies import MAX_AMOUNT
from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.billing.discounts import Discountable, Reduction, reduce_lines
from tallystick.sandbox.billing.totals import due
from tallystick.sandbox.context import Context
from tallystick.sandbox.resources import coupons, discounts
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["add_lines", "compute", "copy_customer", "draft", "net_amount", "reductions", "take_pending"]


def draft(
    ctx: Context,
    customer: Json,
    lines: Sequence[Json],
    *,
    reason: str,
    currency: str,
    period: Period,
    subscription: Json | None = None,
    applied: Sequence[str] = (),
    collection_method: str = "charge_automatically",
) -> Json:
    """A new draft, computed and stored; its event is for the caller. `applied` are ids of discounts."""
    invoice_id = ctx.ids.long("in_")
    invoice: Json = {
        **_CONSTANT,
        "id": invoice_id,
        "object": "invoice",
        "account_country": ctx.settings.country,
        "automatic_tax": {
            "disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None,
        },
        "billing_reason": reason,
        "collection_method": collection_method,
        "created": ctx.now,
        "currency": currency,
        "customer": customer["id"],
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_tax_rates": [],
        "discounts": list(applied),
        "issuer": {"type": "self"},
        "lines": list_object(f"/v1/invoices/{invoice_id}/lines", [], total_count=0),
        "metadata": {},
        "parent": _parent(subscription),
        "payment_settings": {
            "default_mandate": None, "payment_method_options": None, "payment_method_types": None,
        },
        "period_end": period.end,
        "period_start": period.start,
        "status_transitions": dict.fromkeys(
            ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
        ),
        "test_clock": customer["test_clock"],
        "_": {"payment_intent": None, "paid_out_of_band": False, "exhausted": False},
    }  # fmt: skip
    if subscription is not None:
        settings = subscription["payment_settings"]
        invoice["payment_settings"]["payment_method_types"] = settings["payment_method_types"]
        invoice["payment_settings"]["payment_method_options"] = settings["payment_method_options"]
    copy_customer(invoice, customer)
    add_lines(ctx, invoice, lines)
    compute(ctx, invoice, customer)
    ctx.save(invoice)
    return invoice


_CONSTANT: Json = {
    "account_name": None,
    "account_tax_ids": None,
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_paid_off_stripe": 0,
    "amount_shipping": 0,
    "application": None,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "automatically_finalizes_at": None,
    "custom_fields": None,
    "customer_account": None,
    "default_source": None,
    "description": None,
    "due_date": None,
    "effective_at": None,
    "ending_balance": None,
    "footer": None,
    "from_invoice": None,
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "last_finalization_error": None,
    "latest_revision": None,
    "livemode": False,
    "next_payment_attempt": None,
    "number": None,
    "on_behalf_of": None,
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "receipt_number": None,
    "rendering": None,
    "shipping_cost": None,
    "shipping_details": None,
    "statement_descriptor": None,
    "status": "draft",
    "webhooks_delivered_at": None,
}


def _parent(subscription: Json | None) -> Json | None:
    if subscription is None:
        return None
    details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def copy_customer(invoice: Json, customer: Json) -> None:
    """The customer's details, which follow it until the invoice is finalised."""
    for field in ("address", "email", "name", "phone", "shipping", "tax_exempt"):
        invoice[f"customer_{field}"] = customer[field]


def add_lines(ctx: Context, invoice: Json, lines: Sequence[Json]) -> None:
    """Put lines at the end."""
    for line in lines:
        line["invoice"] = invoice["id"]
        invoice["lines"]["data"].append(line)
    invoice["lines"]["total_count"] = len(invoice["lines"]["data"])


def take_pending(ctx: Context, invoice: Json, items: Sequence[Json]) -> None:
    """The invoice items are not pending any more."""
    for item in items:
        item["invoice"] = invoice["id"]
        ctx.save(item)


def compute(ctx: Context, invoice: Json, customer: Json) -> None:
    """Discounts, subtotal, total and what is due as of now."""
    currency = invoice["currency"]
    lines = invoice["lines"]["data"]
    products = {_product(line) for line in lines}
    own = [tuple(reductions(ctx, line["discounts"], currency, products)) for line in lines]
    whole = reductions(ctx, invoice["discounts"], currency, products)
    seen = [
        Discountable(line["amount"], _product(line), line["discountable"], mine)
        for line, mine in zip(lines, own, strict=True)
    ]
    totals: dict[str, int] = {}
    before_whole = 0
    for line, mine, taken in zip(lines, own, reduce_lines(seen, whole, currency), strict=True):
        line["discount_amounts"] = [{"amount": amount, "discount": found} for found, amount in taken]
        line["pretax_credit_amounts"] = [
            {"amount": amount, "discount": found, "type": "discount"} for found, amount in taken
        ]
        names = {reduction.id for reduction in mine}
        before_whole += line["amount"] - sum(amount for found, amount in taken if found in names)
        for found, amount in taken:
            totals[found] = totals.get(found, 0) + amount
    total = sum(line["amount"] for line in lines) - sum(totals.values())
    invoice["total_discount_amounts"] = [{"amount": amount, "discount": found} for found, amount in totals.items()]
    invoice["total_pretax_credit_amounts"] = [
        {"amount": amount, "discount": found, "type": "discount"} for found, amount in totals.items()
    ]
    invoice["total_taxes"] = []
    invoice["subtotal"] = invoice["subtotal_excluding_tax"] = before_whole
    invoice["total"] = invoice["total_excluding_tax"] = total
    invoice["starting_balance"] = customer["balance"]
    amount = due(total, customer["balance"], currency).amount
    invoice["amount_due"] = invoice["amount_remaining"] = amount


def net_amount(line: Json) -> int:
    """What a line costs after its discounts."""
    amount: int = line["amount"] - sum(taken["amount"] for taken in line["discount_amounts"])
    return amount


def reductions(ctx: Context, ids: Sequence[str], currency: str, products: set[str | None]) -> list[Reduction]:
    """Discounts as the arithmetic takes them."""
    found = []
    for discount_id in ids:
        discount = ctx.find("discount", discount_id)
        if discount is None:
            continue
        coupon = discounts.coupon_of(ctx, discount)
        fitting = frozenset(product for product in products if product and coupons.applies_to(ctx, coupon, product))
        limit = None if coupons.applies_to(ctx, coupon, "") else fitting
        if coupon["percent_off"] is not None:
            percent = Fraction(Decimal(str(coupon["percent_off"])))
            found.append(Reduction(discount_id, percent=percent, products=limit))
        else:
            off = coupons.reduction(ctx, coupon, MAX_AMOUNT, currency)
            found.append(Reduction(discount_id, amount=off, products=limit))
    return found


def _product(line: Json) -> str | None:
    details = (line["pricing"] or {}).get("price_details") or {}
    product: str | None = details.get("product")
    return product
