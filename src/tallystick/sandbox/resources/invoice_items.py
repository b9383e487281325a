"""Invoice items: what waits for the customer's next invoice, or was added to a draft; prorations among them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from tallystick.sandbox.billing.money import rounded
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param, unknown_param
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    boolean,
    currency,
    hash_of,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import (
    common,
    discounts,
    invoices_build,
    invoices_lines,
    price_amounts,
    price_fields,
    prices,
    test_clocks,
)
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = [
    "EXPANDABLE", "ITEM_DATA", "ROUTES", "build", "discount", "from_params", "pending", "remove", "subscription_of",
]  # fmt: skip

EXPANDABLE = frozenset({"customer", "discounts", "invoice", "subscription", "test_clock"})


def build(
    ctx: Context,
    customer: Json,
    *,
    amount: int,
    code: str,
    description: str | None,
    start: int,
    end: int,
    quantity: int = 1,
    price: Json | None = None,
    unit: str | None = None,
    subscription: str | None = None,
    subscription_item: str | None = None,
    proration_details: Json | None = None,
    date: int | None = None,
) -> Json:
    """A pending item, stored, with its event. `proration_details` makes it a proration."""
    proration = proration_details is not None
    parent: Json | None = None
    if subscription is not None:
        details = {"subscription": subscription}
        if subscription_item is not None:
            details["subscription_item"] = subscription_item
        parent = {"subscription_details": details, "type": "subscription_details"}
    item: Json = {
        "id": ctx.ids.long("ii_"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": code,
        "customer": customer["id"],
        "customer_account": None,
        "date": ctx.now if date is None else date,
        "description": description,
        "discountable": not proration,
        "discounts": [],
        "frozen_fields": ["pricing", "quantity", "discounts"] if proration else [],
        "invoice": None,
        "invoicing_rules": [],
        "livemode": False,
        "metadata": {},
        "net_amount": amount,
        "parent": parent,
        "period": {"end": end, "start": start},
        "pricing": invoices_lines.pricing(price, unit),
        "proration": proration,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "tax_rates": [],
        "test_clock": customer["test_clock"],
    }
    if proration_details is not None:
        item["proration_details"] = proration_details
    ctx.save(item)
    ctx.emit("invoiceitem.created", item)
    return item


def pending(ctx: Context, customer: str, subscription: str | None) -> list[Json]:
    """What the next invoice takes in, newest first: items of no subscription, and of this one."""
    found = [
        item
        for item in ctx.store.find("invoiceitem", "customer", customer)
        if item["invoice"] is None and subscription_of(item) in (None, subscription)
    ]
    return found[::-1]


def subscription_of(item: Json) -> str | None:
    """The subscription that an item belongs to."""
    details = (item["parent"] or {}).get("subscription_details") or {}
    found: str | None = details.get("subscription")
    return found


def remove(ctx: Context, item: Json) -> Json:
    """Delete an item that is on no invoice."""
    ctx.emit("invoiceitem.deleted", item)
    return common.delete(ctx, item)


def from_params(ctx: Context, customer: Json, params: Json, *, code: str | None, path: str = "") -> Json:
    """An item as the API is asked for it: an amount, or a price and a quantity."""
    price = _price(ctx, params, path)
    quantity = params.get("quantity", 1)
    code = params.get("currency") or (price["currency"] if price else None) or code
    if code is None:
        raise missing_param("currency")
    if price is not None:
        unit = (price_amounts.option(ctx, price, code) or price)["unit_amount_decimal"]
        amount = rounded(price_amounts.exact_amount(ctx, price, quantity, code), code)
    else:
        unit = params.get("unit_amount_decimal")
        if "amount" in params:
            amount, unit = params["amount"], str(params["amount"]) if quantity == 1 else unit
        elif unit is None:
            raise missing_param("amount")
        else:
            amount = rounded(Fraction(Decimal(unit)) * quantity, code)
    period = params.get("period") or {"start": ctx.now, "end": ctx.now}
    name = invoices_lines.product_name(ctx, price) if price else None
    item = build(
        ctx,
        customer,
        amount=amount,
        code=code,
        description=params.get("description") or name,
        start=period["start"],
        end=period["end"],
        quantity=quantity,
        price=price,
        unit=unit,
        subscription=params.get("subscription"),
    )
    item["discountable"] = params.get("discountable", amount >= 0)
    item["metadata"] = common.merge_metadata({}, params.get("metadata"))
    item["discounts"] = _discounts(ctx, customer, item, params, path)
    ctx.save(item)
    return item


def _price(ctx: Context, params: Json, path: str) -> Json | None:
    given = (params.get("pricing") or {}).get("price") or params.get("price")
    name = f"{path}[price]" if path else "price"
    if given is not None:
        price = ctx.require("price", given, param=name, status=400)
        if price["type"] != "one_time":
            raise invalid(
                "The price specified is set to `type=recurring` but this field only accepts prices with "
                "`type=one_time`.",
                param=name,
            )
        return price
    if params.get("price_data"):
        return prices.from_data(ctx, params["price_data"], param=f"{path}[price_data]" if path else "price_data")
    return None


def _discounts(ctx: Context, customer: Json, item: Json, params: Json, path: str) -> list[str]:
    made = []
    for index, entry in enumerate(params.get("discounts") or []):
        redemption = discounts.check(
            ctx, entry, customer=customer["id"], param=f"{path}[discounts][{index}]" if path else f"discounts[{index}]"
        )
        made.append(discounts.make(ctx, redemption, customer=customer["id"], invoice_item=item["id"])["id"])
    return made


def discount(ctx: Context, subscription: Json, item: Json, entry: Json, path: str) -> None:
    """The discounts of a subscription's item."""
    for index, given in enumerate(entry.get("discounts") or []):
        redemption = discounts.check(ctx, given, customer=subscription["customer"], param=f"{path}[discounts][{index}]")
        made = discounts.make(
            ctx,
            redemption,
            customer=subscription["customer"],
            subscription=subscription["id"],
            subscription_item=item["id"],
            start=ctx.now,
        )
        item["discounts"].append(made["id"])


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/invoiceitems`."""
    if "pricing" in params and not ctx.behaviour.preview_call:
        raise unknown_param("pricing")
    customer = ctx.require("customer", params["customer"], param="customer", status=400)
    ctx = test_clocks.at_customer(ctx, customer)
    invoice = None
    if "invoice" in params:
        invoice = _draft(ctx, params["invoice"])
    if "subscription" in params:
        ctx.require("subscription", params["subscription"], param="subscription", status=400)
    code = invoice["currency"] if invoice else customer["currency"] or ctx.settings.default_currency
    item = from_params(ctx, customer, params, code=code)
    if customer["currency"] is None:
        customer["currency"] = item["currency"]
        ctx.save_updated("customer.updated", customer)
    if invoice is not None:
        _attach(ctx, invoice, customer, item)
    return item


def _draft(ctx: Context, invoice_id: str) -> Json:
    invoice = ctx.require("invoice", invoice_id, param="invoice", status=400)
    if invoice["status"] != "draft":
        raise invalid(
            f"You can only add items to a draft invoice; {invoice_id} is {invoice['status']}.",
            code="invoice_not_editable",
            param="invoice",
        )
    return invoice


def _attach(ctx: Context, invoice: Json, customer: Json, item: Json) -> None:
    if item["currency"] != invoice["currency"]:
        raise invalid("The currency of the invoice item must match the invoice's.", param="currency")
    invoices_build.take_pending(ctx, invoice, [item])
    invoices_build.add_lines(ctx, invoice, [invoices_lines.item_line(ctx, item)])
    invoices_build.compute(ctx, invoice, customer)
    ctx.save_updated("invoice.updated", invoice)


def retrieve(ctx: Context, _params: Json, item_id: str) -> Json:
    """`GET /v1/invoiceitems/{id}`."""
    return ctx.require("invoiceitem", item_id, param="id")


def update(ctx: Context, params: Json, item_id: str) -> Json:
    """`POST /v1/invoiceitems/{id}`: while it is pending, or on a draft."""
    item = ctx.require("invoiceitem", item_id, param="id")
    invoice = _draft(ctx, item["invoice"]) if item["invoice"] else None
    for key in ("description", "discountable", "period"):
        if key in params:
            item[key] = params[key]
    before: int = item["quantity"]
    quantity: int = params.get("quantity", before)
    unit = (item["pricing"] or {}).get("unit_amount_decimal")
    if "amount" in params:
        item["amount"] = params["amount"]
    elif quantity != item["quantity"] and unit is not None:
        item["amount"] = rounded(Fraction(Decimal(unit)) * quantity, item["currency"])
    item["quantity"], item["quantity_decimal"] = quantity, str(quantity)
    item["net_amount"] = item["amount"]
    item["metadata"] = common.merge_metadata(item["metadata"], params.get("metadata"))
    ctx.save(item)
    if invoice is not None:
        customer = ctx.require("customer", item["customer"], param="customer")
        lines = invoice["lines"]["data"]
        for index, line in enumerate(lines):
            if (line["parent"]["invoice_item_details"] or {}).get("invoice_item") == item_id:
                lines[index] = {**invoices_lines.item_line(ctx, item), "id": line["id"], "invoice": invoice["id"]}
        invoices_build.compute(ctx, invoice, customer)
        ctx.save_updated("invoice.updated", invoice)
    return item


def delete(ctx: Context, _params: Json, item_id: str) -> Json:
    """`DELETE /v1/invoiceitems/{id}`."""
    item = ctx.require("invoiceitem", item_id, param="id")
    if item["invoice"]:
        invoice = _draft(ctx, item["invoice"])
        customer = ctx.require("customer", item["customer"], param="customer")
        kept = [
            line
            for line in invoice["lines"]["data"]
            if (line["parent"]["invoice_item_details"] or {}).get("invoice_item") != item_id
        ]
        invoice["lines"]["data"] = []
        invoices_build.add_lines(ctx, invoice, kept)
        invoices_build.compute(ctx, invoice, customer)
        ctx.save_updated("invoice.updated", invoice)
    return remove(ctx, item)


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/invoiceitems`."""
    filters = {key: params.get(key) for key in ("customer", "invoice")}
    extra: list[tuple[str, list[Any]]] = []
    if params.get("pending"):
        extra.append(("json_extract(CAST(o.body AS TEXT), '$.invoice') IS NULL", []))
    extra += test_clocks.left_out(params)
    return page(ctx, "invoiceitem", "/v1/invoiceitems", params, filters, extra=extra)


_PERIOD = hash_of({"end": integer(), "start": integer()}, required=("end", "start"))
_FIELDS: Fields = {
    "amount": integer(),
    "description": unsettable(string()),
    "discountable": boolean,
    "discounts": unsettable(discounts.PARAM),
    "metadata": metadata,
    "period": _PERIOD,
    "price": string(),
    "price_data": price_fields.PRICE_DATA,
    "pricing": hash_of({"price": string()}),
    "quantity": integer(0),
    "quantity_decimal": anything,
    "tax_behavior": anything,
    "tax_code": anything,
    "tax_rates": anything,
    "unit_amount_decimal": price_fields.decimal,
    **common.EXPAND,
}
ITEM_DATA: Fields = {key: check for key, check in _FIELDS.items() if key != "expand"} | {"currency": currency}
"""One of `add_invoice_items`, and of the invoice items of a preview."""

ROUTES = (
    Route(
        "POST",
        "invoiceitems",
        create,
        {**_FIELDS, "currency": currency, "customer": string(), "invoice": string(), "subscription": string()},
        ("customer",),
    ),
    Route(
        "GET",
        "invoiceitems",
        list_all,
        {**LIST_FIELDS, "customer": string(), "invoice": string(), "pending": boolean},
    ),
    Route("GET", "invoiceitems/*", retrieve, common.EXPAND),
    Route("POST", "invoiceitems/*", update, _FIELDS),
    Route("DELETE", "invoiceitems/*", delete),
)
