"""Invoices: the endpoints. `invoices_build` makes drafts, `invoices_collect` takes them to their end."""

from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    array_of,
    boolean,
    currency,
    enum,
    hash_of,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import (
    common,
    discounts,
    invoice_items,
    invoices_build,
    invoices_collect,
    invoices_lines,
    payment_methods,
    subscriptions_create,
    test_clocks,
)
from tallystick.sandbox.routing import Route
from tallystick.sandbox.search import SEARCH_FIELDS, search
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["EXPANDABLE", "INCLUDES", "ITEM_EXPANDABLE", "LINE_EXPANDABLE", "ROUTES"]

EXPANDABLE = frozenset(
    {
        "charge", "customer", "default_payment_method", "discounts", "parent.subscription_details.subscription",
        "payment_intent", "subscription", "test_clock", "total_discount_amounts",
    }
)  # fmt: skip
ITEM_EXPANDABLE = invoice_items.EXPANDABLE
LINE_EXPANDABLE = frozenset({"discounts", "subscription", "pricing.price_details.price"})

_DAY_S = 86400


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/invoices`: a draft; with the customer's pending items if asked (or, before, by default)."""
    customer = ctx.require("customer", params["customer"], param="customer", status=400)
    ctx = test_clocks.at_customer(ctx, customer)
    subscription = None
    if params.get("subscription"):
        subscription = ctx.require("subscription", params["subscription"], param="subscription", status=400)
    take = params.get("pending_invoice_items_behavior", "exclude") == "include"
    code = params.get("currency") or customer["currency"] or ctx.settings.default_currency
    found = invoice_items.pending(ctx, customer["id"], params.get("subscription")) if take or subscription else []
    waiting = [item for item in found if item["currency"] == code]
    if subscription is not None and not waiting:
        raise invalid("Nothing to invoice for subscription", code="invoice_no_subscription_line_items")
    invoice = invoices_build.draft(
        ctx,
        customer,
        [invoices_lines.item_line(ctx, item) for item in waiting],
        reason="manual",
        currency=code,
        period=Period(ctx.now, ctx.now),
        subscription=subscription,
        applied=_discounts(ctx, customer, params),
        collection_method=params.get("collection_method", "charge_automatically"),
    )
    invoice["auto_advance"] = params.get("auto_advance", False)
    _apply(ctx, invoice, params)
    invoices_build.take_pending(ctx, invoice, waiting)
    if invoice["auto_advance"]:
        invoices_collect.wait(ctx, invoice)
    invoices_collect.announce(ctx, invoice)
    return invoice


def _discounts(ctx: Context, customer: Json, params: Json) -> list[str]:
    if "discounts" not in params:
        return [customer["discount"]["id"]] if customer["discount"] else []
    made = []
    for index, entry in enumerate(params["discounts"] or []):
        redemption = discounts.check(ctx, entry, customer=customer["id"], param=f"discounts[{index}]")
        made.append(discounts.make(ctx, redemption, customer=customer["id"])["id"])
    return made


def _apply(ctx: Context, invoice: Json, params: Json) -> None:
    for key in ("custom_fields", "description", "footer", "statement_descriptor"):
        if key in params:
            invoice[key] = params[key]
    if params.get("default_payment_method"):
        customer = ctx.require("customer", invoice["customer"], param="customer")
        method = subscriptions_create.check_method(ctx, params["default_payment_method"], customer)
        invoice["default_payment_method"] = method["id"]
    elif "default_payment_method" in params:
        invoice["default_payment_method"] = None
    if "collection_method" in params:
        invoice["collection_method"] = params["collection_method"]
    if "days_until_due" in params or "due_date" in params:
        if invoice["collection_method"] != "send_invoice":
            raise invalid("You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.")
        days = params.get("days_until_due")
        invoice["due_date"] = params.get("due_date") if days is None else ctx.now + days * _DAY_S
    for key, value in (params.get("payment_settings") or {}).items():
        invoice["payment_settings"][key] = value
    invoice["metadata"] = common.merge_metadata(invoice["metadata"], params.get("metadata"))
    ctx.save(invoice)


def retrieve(ctx: Context, _params: Json, invoice_id: str) -> Json:
    """`GET /v1/invoices/{id}`."""
    return ctx.require("invoice", invoice_id, param="invoice")


def update(ctx: Context, params: Json, invoice_id: str) -> Json:
    """`POST /v1/invoices/{id}`: once it is finalised, little more than its metadata."""
    ctx, invoice = _find(ctx, invoice_id)
    before = ctx.store.stored(invoice_id)
    closed = params.keys() - _ALWAYS
    if invoice["status"] != "draft" and closed:
        raise invalid(
            f"Finalized invoices can't be updated in this way: {', '.join(sorted(closed))}.",
            code="invoice_not_editable",
            param=min(closed),
        )
    customer = ctx.require("customer", invoice["customer"], param="customer")
    if "discounts" in params:
        invoice["discounts"] = _discounts(ctx, customer, params)
        invoices_build.compute(ctx, invoice, customer)
    _apply(ctx, invoice, params)
    if "auto_advance" in params and invoice["status"] in ("draft", "open"):
        invoice["auto_advance"] = params["auto_advance"]
        _advance(ctx, invoice)
    ctx.save(invoice)
    if before != invoice:
        ctx.emit("invoice.updated", invoice, before)
    return invoice


_ALWAYS = frozenset({"auto_advance", "default_payment_method", "expand", "metadata"})


def _advance(ctx: Context, invoice: Json) -> None:
    """Switching `auto_advance` starts or stops what happens by itself."""
    ctx.unplan(invoice["id"])
    if not invoice["auto_advance"]:
        invoice["automatically_finalizes_at"] = invoice["next_payment_attempt"] = None
    elif invoice["status"] == "draft":
        invoices_collect.wait(ctx, invoice)
    elif invoice["collection_method"] == "charge_automatically":
        invoice["next_payment_attempt"] = ctx.now + ctx.settings.draft_s
        ctx.plan(invoice["next_payment_attempt"], "invoice_retries", invoice["id"])


def _find(ctx: Context, invoice_id: str) -> tuple[Context, Json]:
    invoice = ctx.require("invoice", invoice_id, param="invoice")
    customer = ctx.find("customer", invoice["customer"])
    return test_clocks.at_customer(ctx, customer), invoice


def delete(ctx: Context, _params: Json, invoice_id: str) -> Json:
    """`DELETE /v1/invoices/{id}`: a draft that belongs to no subscription."""
    ctx, invoice = _find(ctx, invoice_id)
    if invoice["status"] != "draft" or invoice["parent"]:
        raise invalid(
            "You can only delete draft invoices that are not attached to a subscription; void this one instead.",
            code="invoice_not_editable",
        )
    ctx.unplan(invoice_id)
    for item in ctx.store.find("invoiceitem", "invoice", invoice_id):
        invoice_items.remove(ctx, item)
    ctx.emit("invoice.deleted", invoice)
    return common.delete(ctx, invoice)


def finalize(ctx: Context, params: Json, invoice_id: str) -> Json:
    """`POST …/finalize`."""
    ctx, invoice = _find(ctx, invoice_id)
    if invoice["status"] != "draft":
        raise invalid(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    if "auto_advance" in params:
        invoice["auto_advance"] = params["auto_advance"]
    invoices_collect.finalize(ctx, invoice)
    automatic = invoice["collection_method"] == "charge_automatically"
    if invoice["status"] == "open" and invoice["auto_advance"] and automatic:
        invoice["next_payment_attempt"] = ctx.now + ctx.settings.draft_s
        ctx.save_updated("invoice.updated", invoice)
        ctx.plan(invoice["next_payment_attempt"], "invoice_retries", invoice_id)
    return invoice


def pay(ctx: Context, params: Json, invoice_id: str) -> Json:
    """`POST …/pay`: now, with the given or the default method; a refusal is kept and answered."""
    ctx, invoice = _find(ctx, invoice_id)
    if invoice["status"] == "draft":
        invoices_collect.finalize(ctx, invoice)
        if invoice["status"] == "paid":
            return invoice
    if invoice["status"] not in ("open", "uncollectible"):
        said = "Invoice is already paid" if invoice["status"] == "paid" else "You cannot pay a voided invoice."
        raise invalid(said, code="invoice_not_editable" if invoice["status"] == "void" else None)
    if params.get("paid_out_of_band"):
        invoices_collect.pay_elsewhere(ctx, invoice)
        return invoice
    method = None
    if params.get("payment_method"):
        method = payment_methods.resolve(ctx, params["payment_method"], param="payment_method", status=400)
        if method["customer"] not in (None, invoice["customer"]):
            raise invalid(
                f"The PaymentMethod {method['id']} does not belong to the Customer {invoice['customer']}.",
                param="payment_method",
            )
    attempt = invoices_collect.Collection(automatic=False, off_session=params.get("off_session", True), method=method)
    error = invoices_collect.collect(ctx, invoice, attempt)
    if error is not None:
        raise error
    if invoice["status"] == "open":
        _refuse_waiting(ctx, invoice)
    return invoice


def _refuse_waiting(ctx: Context, invoice: Json) -> None:
    intent = invoices_collect.intent_of(ctx, invoice)
    if intent is not None and intent["status"] == "requires_action":
        raise ApiError(
            400,
            "This payment requires additional user action before it can be completed successfully. Payment can be "
            "completed using the PaymentIntent associated with the invoice.",
            code="invoice_payment_intent_requires_action",
            executed=True,
        )


def send(ctx: Context, _params: Json, invoice_id: str) -> Json:
    """`POST …/send`: only those that are sent to be paid."""
    ctx, invoice = _find(ctx, invoice_id)
    if invoice["collection_method"] != "send_invoice":
        raise invalid("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] == "draft":
        invoices_collect.finalize(ctx, invoice)
    ctx.emit("invoice.sent", invoice)
    return invoice


def void(ctx: Context, _params: Json, invoice_id: str) -> Json:
    """`POST …/void`."""
    ctx, invoice = _find(ctx, invoice_id)
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(
            f"You can only pass in open or uncollectible invoices. This invoice isn't: it is {invoice['status']}.",
            code="invoice_not_editable",
        )
    invoices_collect.void(ctx, invoice)
    return invoice


def mark_uncollectible(ctx: Context, _params: Json, invoice_id: str) -> Json:
    """`POST …/mark_uncollectible`."""
    ctx, invoice = _find(ctx, invoice_id)
    if invoice["status"] != "open":
        raise invalid(
            f"You can only mark an open invoice as uncollectible; this one is {invoice['status']}.",
            code="invoice_not_editable",
        )
    invoices_collect.mark_uncollectible(ctx, invoice, "user_forgiven")
    return invoice


def list_lines(ctx: Context, params: Json, invoice_id: str) -> Json:
    """`GET …/lines`."""
    lines = ctx.require("invoice", invoice_id, param="invoice")["lines"]["data"]
    ids = [line["id"] for line in lines]
    if params.get("starting_after") in ids:
        lines = lines[ids.index(params["starting_after"]) + 1 :]
    if params.get("ending_before") in ids:
        lines = lines[: ids.index(params["ending_before"])]
    limit = min(max(params.get("limit", 10), 1), 100)
    return list_object(f"/v1/invoices/{invoice_id}/lines", lines[:limit], has_more=len(lines) > limit)


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/invoices`."""
    filters = {key: params.get(key) for key in ("customer", "collection_method", "status")}
    filters["parent.subscription_details.subscription"] = params.get("subscription")
    return page(ctx, "invoice", "/v1/invoices", params, filters, extra=test_clocks.left_out(params))


def search_invoices(ctx: Context, params: Json) -> Json:
    """`GET /v1/invoices/search`."""
    return search(ctx, "invoice", "/v1/invoices/search", params)


def _confirmation_secret(ctx: Context, invoice: Json) -> Json | None:
    stored = ctx.find("invoice", invoice["id"])
    intent = invoices_collect.intent_of(ctx, stored) if stored and stored["status"] != "draft" else None
    return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else None


INCLUDES = {("invoice", "confirmation_secret"): _confirmation_secret}

_FIELDS: Fields = {
    "account_tax_ids": anything,
    "application_fee_amount": anything,
    "auto_advance": boolean,
    "automatic_tax": anything,
    "automatically_finalizes_at": anything,
    "collection_method": enum("charge_automatically", "send_invoice"),
    "custom_fields": anything,
    "days_until_due": integer(0),
    "default_payment_method": unsettable(string()),
    "default_source": anything,
    "default_tax_rates": anything,
    "description": unsettable(string()),
    "discounts": unsettable(discounts.PARAM),
    "due_date": integer(),
    "effective_at": anything,
    "footer": unsettable(string()),
    "issuer": anything,
    "metadata": metadata,
    "number": string(),
    "on_behalf_of": anything,
    "payment_settings": hash_of(
        {
            "default_mandate": anything,
            "payment_method_options": anything,
            "payment_method_types": unsettable(array_of(string())),
        }
    ),
    "rendering": anything,
    "shipping_cost": anything,
    "shipping_details": anything,
    "statement_descriptor": string(22),
    "transfer_data": anything,
    **common.EXPAND,
}
_CREATE: Fields = {
    **_FIELDS,
    "currency": currency,
    "customer": string(),
    "from_invoice": anything,
    "pending_invoice_items_behavior": enum("exclude", "include"),
    "subscription": string(),
}
_PAY: Fields = {
    "forgive": boolean,
    "mandate": anything,
    "off_session": boolean,
    "paid_out_of_band": boolean,
    "payment_method": string(),
    "source": anything,
    **common.EXPAND,
}
_LIST: Fields = {
    **LIST_FIELDS,
    "collection_method": enum("charge_automatically", "send_invoice"),
    "customer": string(),
    "due_date": anything,
    "status": enum("draft", "open", "paid", "uncollectible", "void"),
    "subscription": string(),
}
ROUTES = (
    Route("POST", "invoices", create, _CREATE, ("customer",)),
    Route("GET", "invoices", list_all, _LIST),
    Route("GET", "invoices/search", search_invoices, SEARCH_FIELDS),
    Route("GET", "invoices/*", retrieve, common.EXPAND),
    Route("POST", "invoices/*", update, _FIELDS),
    Route("DELETE", "invoices/*", delete),
    Route("GET", "invoices/*/lines", list_lines, LIST_FIELDS),
    Route("POST", "invoices/*/finalize", finalize, {"auto_advance": boolean, **common.EXPAND}),
    Route("POST", "invoices/*/pay", pay, _PAY),
    Route("POST", "invoices/*/send", send, common.EXPAND),
    Route("POST", "invoices/*/void", void, common.EXPAND),
    Route("POST", "invoices/*/mark_uncollectible", mark_uncollectible, common.EXPAND),
)
