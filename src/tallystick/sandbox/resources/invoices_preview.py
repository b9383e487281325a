"""Previews: the very code of a change or a renewal, run and undone, so that they equal the invoice that follows."""

from dataclasses import replace
from typing import Any

from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid, no_such
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
    string,
    unsettable,
)
from tallystick.sandbox.resources import (
    common,
    discounts,
    invoice_items,
    invoices_build,
    invoices_lines,
    subscription_schedules,
    subscriptions_bill,
    subscriptions_cancel,
    subscriptions_change,
    subscriptions_create,
    subscriptions_status,
    test_clocks,
)
from tallystick.sandbox.resources import subscriptions_fields as fields
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, clone, list_object

__all__ = ["ROUTES", "of_renewal"]

_DETAILS = (
    "billing_cycle_anchor", "cancel_at", "cancel_at_period_end", "items", "proration_behavior", "proration_date",
    "trial_end",
)  # fmt: skip


def create_preview(ctx: Context, params: Json) -> Json:
    """`POST /v1/invoices/create_preview`."""
    if not ctx.behaviour.preview_call:
        raise no_such("invoice", "create_preview", param="invoice")
    return _preview(ctx, params, params.get("subscription_details") or {})


def upcoming(ctx: Context, params: Json) -> Json:
    """`GET /v1/invoices/upcoming`: the preview before basil."""
    if ctx.behaviour.preview_call:
        raise no_such("invoice", "upcoming", param="invoice")
    details = dict(params.get("subscription_details") or {})
    for name, value in params.items():
        if name.startswith("subscription_") and name != "subscription_details":
            details[name.removeprefix("subscription_")] = value
    return _preview(ctx, params, details)


def upcoming_lines(ctx: Context, params: Json) -> Json:
    """`GET /v1/invoices/upcoming/lines`."""
    wanted = {key: value for key, value in params.items() if key not in LIST_FIELDS}
    lines = upcoming(ctx, wanted)["lines"]["data"]
    limit = min(max(params.get("limit", 10), 1), 100)
    return list_object("/v1/invoices/upcoming/lines", lines[:limit], has_more=len(lines) > limit)


def of_renewal(ctx: Context, subscription_id: str) -> Json | None:
    """The next renewal's invoice as things are stored."""
    with ctx.store.undone():
        tried = replace(ctx, silent=True)
        subscription = tried.require("subscription", subscription_id, param="subscription")
        draft = _renewal(tried, subscription)
        return _finish(tried, draft) if draft is not None else None


def _preview(ctx: Context, params: Json, details: Json) -> Json:
    customer = _customer(ctx, params)
    tried = replace(test_clocks.at_customer(ctx, customer), silent=True)
    customer_id = customer["id"]
    with ctx.store.undone():
        customer = ctx.require("customer", customer_id, param="customer")
        draft = _draft(tried, customer, params, details)
        if draft is None:
            raise ApiError(404, f"No upcoming invoices for customer: {customer_id}", code="invoice_upcoming_none")
        return _finish(tried, draft)


def _customer(ctx: Context, params: Json) -> Json:
    if params.get("subscription"):
        subscription = ctx.require("subscription", params["subscription"], param="subscription", status=404)
        if params.get("customer") not in (None, subscription["customer"]):
            raise invalid(
                f"The subscription {subscription['id']} does not belong to customer {params['customer']}.",
                param="subscription",
            )
        return ctx.require("customer", subscription["customer"], param="customer")
    if not params.get("customer"):
        raise invalid(
            "You must specify one of: `customer`, `customer_details`, `schedule` or `subscription`.", param="customer"
        )
    return ctx.require("customer", params["customer"], param="customer", status=404)


def _draft(ctx: Context, customer: Json, params: Json, details: Json) -> Json | None:
    for index, entry in enumerate(params.get("invoice_items") or []):
        code = customer["currency"] or params.get("currency") or ctx.settings.default_currency
        given = {key: value for key, value in entry.items() if key != "invoiceitem"}
        if params.get("subscription"):
            given["subscription"] = params["subscription"]
        invoice_items.from_params(ctx, customer, given, code=code, path=f"invoice_items[{index}]")
    change = {name: details[name] for name in _DETAILS if name in details}
    change |= {name: params[name] for name in ("discounts", "coupon", "promotion_code") if name in params}
    if params.get("subscription"):
        subscription = ctx.require("subscription", params["subscription"], param="subscription")
        return _of_subscription(ctx, subscription, params, details, change)
    if details.get("items"):
        return _of_new(ctx, customer, params, details, change)
    return _of_customer(ctx, customer)


def _of_new(ctx: Context, customer: Json, params: Json, details: Json, change: Json) -> Json:
    wanted: Json = {**change, "customer": customer["id"]}
    if "billing_mode" in details:
        wanted["billing_mode"] = details["billing_mode"]
    if "currency" in params:
        wanted["currency"] = params["currency"]
    anchor = subscriptions_change.anchor_of(ctx, wanted.pop("billing_cycle_anchor", None))
    if isinstance(anchor, int):
        wanted["billing_cycle_anchor"] = anchor
    if wanted.get("trial_end") == "now":
        wanted.pop("trial_end")
    wanted.pop("proration_date", None)
    return subscriptions_create.prepare(ctx, wanted, customer)[1]


def _of_subscription(ctx: Context, subscription: Json, params: Json, details: Json, change: Json) -> Json | None:
    if subscription["status"] in subscriptions_status.ENDED:
        return None
    if details.get("cancel_now"):
        prorate = details.get("proration_behavior", "create_prorations") != "none"
        return subscriptions_cancel.final_invoice(ctx, subscription, prorate=prorate, invoice_now=True)
    recurring = params.get("preview_mode") == "recurring"
    if recurring:
        change["proration_behavior"] = "none"
    draft = subscriptions_change.apply(ctx, subscription, change) if change else None
    if draft is not None and not recurring:
        return draft
    ctx.save(subscription)
    return _renewal(ctx, subscription, pending=not recurring)


def _renewal(ctx: Context, subscription: Json, *, pending: bool = True) -> Json | None:
    """The draft of the next renewal, made at its time."""
    if subscription["status"] in (*subscriptions_status.ENDED, "paused", "incomplete"):
        return None
    end = subscriptions_status.period_end(subscription)
    if subscription["cancel_at"] is not None and subscription["cancel_at"] <= end:
        return _rest(ctx, subscription) if pending else None
    then = replace(ctx, moment=end)
    if subscription["status"] == "trialing":
        customer = ctx.require("customer", subscription["customer"], param="customer")
        ending = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
        missing = subscriptions_status.default_method(ctx, subscription, customer) is None
        automatic = subscription["collection_method"] == "charge_automatically"
        if missing and automatic and ending != "create_invoice":
            return None
    subscription_schedules.foresee(then, subscription)
    if not pending:
        _forget_pending(then, subscription)
    return subscriptions_bill.renew(then, subscription)


def _forget_pending(ctx: Context, subscription: Json) -> None:
    for item in invoice_items.pending(ctx, subscription["customer"], subscription["id"]):
        invoice_items.remove(ctx, item)


def _rest(ctx: Context, subscription: Json) -> Json | None:
    """A subscription that ends is not renewed; nothing follows."""
    return None


def _of_customer(ctx: Context, customer: Json) -> Json | None:
    """The earliest renewal of any subscription, or else what waits for an invoice."""
    live = [
        subscription
        for subscription in ctx.store.find("subscription", "customer", customer["id"])
        if subscription["status"] not in (*subscriptions_status.ENDED, "paused", "incomplete")
    ]
    for subscription in sorted(live, key=subscriptions_status.period_end):
        draft = _renewal(ctx, subscription)
        if draft is not None:
            return draft
    waiting = invoice_items.pending(ctx, customer["id"], None)
    if not waiting:
        return None
    return invoices_build.draft(
        ctx,
        customer,
        [invoices_lines.item_line(ctx, item) for item in waiting],
        reason="upcoming",
        currency=waiting[0]["currency"],
        period=Period(ctx.now, ctx.now),
    )


def _finish(ctx: Context, draft: Json) -> Json:
    """A copy of the draft, as a preview prints it."""
    preview = clone(draft)
    name = ctx.ids.long("upcoming_in_")
    preview["id"] = name
    preview["billing_reason"] = "upcoming"
    preview["auto_advance"] = True
    if preview["collection_method"] == "charge_automatically":
        preview["next_payment_attempt"] = preview["created"] + ctx.settings.draft_s
    for line in preview["lines"]["data"]:
        line["id"] = line["id"].replace("il_", "il_tmp_")
        line["invoice"] = name
    preview["lines"]["url"] = f"/v1/invoices/upcoming/lines?customer={preview['customer']}"
    return preview


def _invoice_item(value: Any, path: str) -> Any:
    return hash_of({**invoice_items.ITEM_DATA, "invoiceitem": string()})(value, path)


_DETAIL_FIELDS: Fields = {
    "billing_cycle_anchor": fields.ANCHOR,
    "billing_mode": fields.CREATE["billing_mode"],
    "billing_schedules": anything,
    "cancel_at": unsettable(fields.moment_or("min_period_end", "max_period_end", "max_billed_until")),
    "cancel_at_period_end": boolean,
    "cancel_now": boolean,
    "default_tax_rates": anything,
    "items": array_of(hash_of(fields.ITEM)),
    "metadata": anything,
    "pause": anything,
    "proration_behavior": fields.PRORATION,
    "proration_date": integer(),
    "resume_at": anything,
    "start_date": integer(),
    "trial_end": fields.moment_or("now"),
}
_COMMON: Fields = {
    "automatic_tax": anything,
    "currency": currency,
    "customer": string(),
    "customer_details": anything,
    "discounts": unsettable(discounts.PARAM),
    "invoice_items": array_of(_invoice_item),
    "issuer": anything,
    "preview_mode": enum("next", "recurring"),
    "schedule": string(),
    "schedule_details": anything,
    "subscription": string(),
    "subscription_details": hash_of(_DETAIL_FIELDS),
    **common.EXPAND,
}
_OLD: Fields = {
    **_COMMON,
    "coupon": unsettable(string()),
    **{f"subscription_{name}": check for name, check in _DETAIL_FIELDS.items()},
}
ROUTES = (
    Route("POST", "invoices/create_preview", create_preview, _COMMON),
    Route("GET", "invoices/upcoming", upcoming, _OLD),
    Route("GET", "invoices/upcoming/lines", upcoming_lines, {**_OLD, **LIST_FIELDS}),
)
