"""Subscriptions: the endpoints. `subscriptions_create` and `subscriptions_change` know how."""

from collections.abc import Callable
from typing import Any

from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid, no_such
from tallystick.sandbox.lists import page
from tallystick.sandbox.resources import (
    common,
    discounts,
    invoices_collect,
    subscriptions_bill,
    subscriptions_build,
    subscriptions_cancel,
    subscriptions_change,
    subscriptions_create,
    subscriptions_prorate,
    subscriptions_status,
    subscriptions_update,
    test_clocks,
)
from tallystick.sandbox.resources import subscriptions_fields as fields
from tallystick.sandbox.routing import Route
from tallystick.sandbox.search import SEARCH_FIELDS, search
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "INCLUDES", "ITEM_EXPANDABLE", "ROUTES", "follow_setup"]

EXPANDABLE = frozenset(
    {
        "customer", "default_payment_method", "default_source", "discounts", "latest_invoice", "pending_setup_intent",
        "schedule", "test_clock",
    }
)  # fmt: skip
ITEM_EXPANDABLE = frozenset({"discounts"})


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/subscriptions`."""
    return subscriptions_create.create(ctx, params)


def retrieve(ctx: Context, _params: Json, subscription_id: str) -> Json:
    """`GET /v1/subscriptions/{id}`."""
    return ctx.require("subscription", subscription_id, param="id")


def update(ctx: Context, params: Json, subscription_id: str) -> Json:
    """`POST /v1/subscriptions/{id}`."""
    subscription = ctx.require("subscription", subscription_id, param="id")
    return subscriptions_update.update(ctx, subscription, params)


def cancel(ctx: Context, params: Json, subscription_id: str) -> Json:
    """`DELETE /v1/subscriptions/{id}`: at once. Recorded: a canceled one is not there to be canceled."""
    ctx, subscription = _live(ctx, subscription_id)
    details = params.get("cancellation_details") or {}
    subscription["cancellation_details"].update(
        {key: value for key, value in details.items() if key in ("comment", "feedback", "feedback_option")}
    )
    subscription["cancellation_details"]["reason"] = "cancellation_requested"
    # Ended at once: a date that was planned is gone.
    subscription["cancel_at"] = None
    subscription["cancel_at_period_end"] = False
    subscription["canceled_at"] = None
    subscriptions_cancel.cancel(
        ctx, subscription, prorate=params.get("prorate", False), invoice_now=params.get("invoice_now", False)
    )
    return subscription


def _live(ctx: Context, subscription_id: str) -> tuple[Context, Json]:
    subscription = ctx.require("subscription", subscription_id, param="id")
    if subscription["status"] in subscriptions_status.ENDED:
        raise no_such("subscription", subscription_id, param="id")
    customer = ctx.require("customer", subscription["customer"], param="customer")
    return test_clocks.at_customer(ctx, customer), subscription


def resume(ctx: Context, params: Json, subscription_id: str) -> Json:
    """`POST …/resume`: out of `paused`, by an invoice where one is due."""
    ctx, subscription = _live(ctx, subscription_id)
    if subscription["status"] != "paused":
        raise invalid(
            f"Only a subscription with a status of `paused` can be resumed; this one is `{subscription['status']}`."
        )
    anchor = subscriptions_change.anchor_of(ctx, params.get("billing_cycle_anchor")) or "now"
    draft, target = _resumption(ctx, subscription, keep_anchor=anchor == "unchanged")
    if draft is None or not draft["amount_due"] or subscription["collection_method"] == "send_invoice":
        subscription.update(target)
        if draft is not None:
            invoices_collect.announce(ctx, draft)
            invoices_collect.finalize(ctx, draft)
        if subscription["status"] == "paused":
            subscriptions_status.resume(ctx, subscription)
        return subscription
    subscription["pending_update"] = _empty_update(ctx)
    subscription["_"]["pending"] = {"invoice": draft["id"], "target": target, "silent": True}
    subscriptions_status.save(ctx, subscription)
    invoices_collect.announce(ctx, draft)
    invoices_collect.finalize(ctx, draft)
    customer = ctx.require("customer", subscription["customer"], param="customer")
    if subscriptions_status.default_method(ctx, subscription, customer) is not None:
        invoices_collect.collect(ctx, draft, invoices_collect.Collection(off_session=True))
        if draft["status"] == "open" and params.get("payment_behavior") != "resume_on_payment_success":
            # The attempt alone resumes it, with an invoice that is past due.
            subscription["_"].pop("pending", None)
            subscription.update(target)
            subscription["pending_update"] = None
            subscriptions_status.resume(ctx, subscription, status="past_due")
    return subscription


def _resumption(ctx: Context, subscription: Json, *, keep_anchor: bool) -> tuple[Json | None, Json]:
    """The invoice of a resumption and the periods it begins, which count once it is paid."""
    kept = ("billing_cycle_anchor", "items")
    before = {name: subscription[name] for name in kept}
    subscription["items"] = {**before["items"], "data": [{**item, "_": {"billed": []}} for item in _data(subscription)]}
    if not keep_anchor:
        subscription["billing_cycle_anchor"] = ctx.now
    for item in _data(subscription):
        period = subscriptions_build.period_at(subscription, item, ctx.now)
        item["current_period_start"], item["current_period_end"] = period.start, period.end
    lines = subscriptions_bill.item_lines(ctx, subscription, _data(subscription))
    draft = subscriptions_bill.invoice(
        ctx, subscription, lines, reason="subscription_update", window=Period(ctx.now, ctx.now)
    )
    target = {name: subscription[name] for name in kept}
    subscription.update(before)
    return draft, target


def _data(subscription: Json) -> list[Json]:
    items: list[Json] = subscription["items"]["data"]
    return items


def _empty_update(ctx: Context) -> Json:
    """Recorded: a resumption that waits is a pending update with nothing but its end."""
    names = (
        "billing_cycle_anchor", "cancel_at_period_end", "discount", "discounts", "metadata", "subscription_items",
        "trial_end", "trial_from_plan",
    )  # fmt: skip
    return {**dict.fromkeys(names), "expires_at": ctx.now + subscriptions_status.INCOMPLETE_S}


def pause(ctx: Context, params: Json, subscription_id: str) -> Json:
    """`POST …/pause`: flexible subscriptions only; unused time comes back as a pending credit."""
    ctx, subscription = _live(ctx, subscription_id)
    if not ctx.behaviour.anchor_object:
        raise ApiError(404, f"Unrecognized request URL (POST: /v1/subscriptions/{subscription_id}/pause).")
    if subscription["billing_mode"]["type"] != "flexible":
        raise invalid("Only subscriptions with `billing_mode[type]=flexible` can be paused.")
    if subscription["status"] not in ("active", "past_due", "trialing"):
        raise invalid(f"A subscription with a status of `{subscription['status']}` cannot be paused.")
    unused = (params.get("bill_for") or {}).get("unused_time_from", {}).get("type", "now")
    if unused != "none" and subscription["status"] != "trialing":
        parts = []
        for old in subscriptions_prorate.remember_old(ctx, subscription).values():
            parts += subscriptions_prorate.given_back(ctx, subscription, old, ctx.now)
        subscriptions_prorate.write(ctx, subscription, parts, date=ctx.now)
    before = ctx.store.stored(subscription_id)
    subscription["status"] = "paused"
    subscription["status_details"] = subscriptions_change.paused_details(ctx, "pause_requested")
    subscriptions_status.save(ctx, subscription)
    ctx.emit("customer.subscription.paused", subscription, before)
    return subscription


def migrate(ctx: Context, params: Json, subscription_id: str) -> Json:
    """`POST …/migrate`: from classic to flexible, never back."""
    ctx, subscription = _live(ctx, subscription_id)
    if subscription["billing_mode"]["type"] == "flexible":
        raise invalid("This subscription is already in flexible billing mode.", param="billing_mode")
    options = (params["billing_mode"].get("flexible") or {}).get("proration_discounts", "included")
    subscription["billing_mode"] = {
        "flexible": {"proration_discounts": options}, "type": "flexible", "updated_at": ctx.now,
    }  # fmt: skip
    subscriptions_status.save(ctx, subscription)
    return subscription


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/subscriptions`: without a status, those that are not canceled."""
    status = params.get("status")
    filters = {key: params.get(key) for key in ("customer", "collection_method", "test_clock")}
    extra: list[tuple[str, list[Any]]] = list(test_clocks.left_out(params))
    if status is None:
        extra.append((_STATUS.format("NOT"), ["canceled", "incomplete_expired"]))
    elif status == "ended":
        extra.append((_STATUS.format(""), ["canceled", "incomplete_expired"]))
    elif status != "all":
        filters["status"] = status
    price = params.get("price") or params.get("plan")
    if price:
        extra.append((_PRICE, [price]))
    return page(ctx, "subscription", "/v1/subscriptions", params, filters, extra=extra)


_STATUS = (
    "{} EXISTS (SELECT 1 FROM refs s WHERE s.object = 'subscription' AND s.field = 'status' AND s.seq = o.seq "
    "AND s.value IN (?, ?))"
)
_PRICE = (
    "EXISTS (SELECT 1 FROM json_each(CAST(o.body AS TEXT), '$.items.data') i "
    "WHERE json_extract(i.value, '$.price.id') = ?)"
)


def search_subscriptions(ctx: Context, params: Json) -> Json:
    """`GET /v1/subscriptions/search`."""
    return search(ctx, "subscription", "/v1/subscriptions/search", params)


def delete_discount(ctx: Context, _params: Json, subscription_id: str) -> Json:
    """`DELETE …/discount`: all discounts of the subscription end."""
    ctx, subscription = _live(ctx, subscription_id)
    if not subscription["discounts"]:
        raise ApiError(404, f"No active discount for subscription: {subscription_id}", code="resource_missing")
    stub: Json = {}
    for discount_id in subscription["discounts"]:
        stub = discounts.remove(ctx, ctx.require("discount", discount_id, param="discount"))
    subscription["discounts"] = []
    subscriptions_status.save(ctx, subscription)
    return stub


def follow_setup(ctx: Context, intent: Json) -> None:
    """A subscription's pending SetupIntent succeeded: its method is the subscription's from now on."""
    found = intent.get("_", {}).get("subscription")
    subscription = ctx.find("subscription", found) if found else None
    if subscription is None or subscription["status"] in subscriptions_status.ENDED:
        return
    ctx = test_clocks.at_customer(ctx, ctx.find("customer", subscription["customer"]))
    subscription["pending_setup_intent"] = None
    subscription["default_payment_method"] = intent["payment_method"]
    subscriptions_status.save(ctx, subscription)


def _of_customer(ctx: Context, customer: Json) -> Json:
    return list_all(ctx, {"customer": customer["id"]}) | {"url": f"/v1/customers/{customer['id']}/subscriptions"}


INCLUDES: dict[tuple[str, str], Callable[[Context, Json], Json]] = {("customer", "subscriptions"): _of_customer}

ROUTES = (
    Route("POST", "subscriptions", create, fields.CREATE, ("customer",)),
    Route("GET", "subscriptions", list_all, fields.LIST),
    Route("GET", "subscriptions/search", search_subscriptions, SEARCH_FIELDS),
    Route("GET", "subscriptions/*", retrieve, common.EXPAND),
    Route("POST", "subscriptions/*", update, fields.UPDATE),
    Route("DELETE", "subscriptions/*", cancel, fields.CANCEL),
    Route("POST", "subscriptions/*/resume", resume, fields.RESUME),
    Route("POST", "subscriptions/*/pause", pause, fields.PAUSE),
    Route(
        "POST",
        "subscriptions/*/migrate",
        migrate,
        {"billing_mode": fields.CREATE["billing_mode"], **common.EXPAND},
        ("billing_mode",),
    ),
    Route("DELETE", "subscriptions/*/discount", delete_discount, common.EXPAND),
)
