"""Updating a subscription: settings, the change itself, and payment as `payment_behavior` says."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.resources import (
    common,
    invoices_collect,
    subscriptions_cancel,
    subscriptions_change,
    subscriptions_create,
    subscriptions_status,
    test_clocks,
)
from tallystick.sandbox.shapes import Json, clone

__all__ = ["update"]

_OPEN_TO_CANCELED = frozenset({"cancellation_details", "expand", "metadata"})
_OPEN_TO_INCOMPLETE = _OPEN_TO_CANCELED | {
    "cancel_at", "cancel_at_period_end", "default_payment_method", "default_source", "description", "payment_behavior",
    "payment_settings", "trial_settings",
}  # fmt: skip
_OPEN_TO_PENDING = frozenset(
    {
        "billing_cycle_anchor", "expand", "items", "off_session", "payment_behavior", "proration_behavior",
        "proration_date", "trial_end", "trial_from_plan",
    }
)  # fmt: skip
_TARGET = (
    "billing_cycle_anchor", "billing_cycle_anchor_config", "cancel_at", "items", "plan", "quantity", "status",
    "trial_end", "trial_start",
)  # fmt: skip


def update(ctx: Context, subscription: Json, params: Json) -> Json:
    """Carry out `POST /v1/subscriptions/{id}`; Checkout and the portal call it too."""
    _refuse(subscription, params)
    customer = ctx.require("customer", subscription["customer"], param="customer")
    ctx = test_clocks.at_customer(ctx, customer)
    behavior = params.get("payment_behavior", "allow_incomplete")
    before = ctx.store.stored(subscription["id"])
    _settings(ctx, subscription, params, customer)
    billed = params.keys() & (subscriptions_change.BILLED | {"cancel_at_period_end", "coupon", "promotion_code"})
    draft = None
    if billed or "discounts" in params:
        if behavior == "pending_if_incomplete" and subscription["pending_update"]:
            _replace_pending(ctx, subscription)
        draft = subscriptions_change.apply(ctx, subscription, params)
    if subscription["status"] == "canceled":
        # `trial_end=now` without a payment method, where the settings end the subscription then.
        subscription["status"] = before["status"]
        subscriptions_cancel.cancel(ctx, subscription)
        return subscription
    if draft is None:
        subscriptions_status.save(ctx, subscription)
        _tell_paused(ctx, subscription, before)
        return subscription
    off_session = params.get("off_session", False)
    if behavior == "pending_if_incomplete" and subscription["collection_method"] == "charge_automatically":
        _pay_first(ctx, subscription, draft, before, off_session=off_session)
        return subscription
    subscriptions_status.save(ctx, subscription)
    subscriptions_create.pay(ctx, subscription, draft, behavior, off_session=off_session)
    return subscription


def _tell_paused(ctx: Context, subscription: Json, before: Json) -> None:
    if subscription["status"] == "paused" != before["status"]:
        ctx.emit("customer.subscription.paused", subscription, before)


def _refuse(subscription: Json, params: Json) -> None:
    status = subscription["status"]
    if status in subscriptions_status.ENDED and not params.keys() <= _OPEN_TO_CANCELED:
        raise invalid(
            "A canceled subscription can only update its cancellation_details and metadata.",
            code="invalid_canceled_subscription_fields",
        )
    if status == "incomplete" and not params.keys() <= _OPEN_TO_INCOMPLETE:
        raise invalid(
            "You cannot update a subscription with a status of `incomplete` other than its metadata and its default "
            "payment method."
        )
    if params.get("payment_behavior") == "pending_if_incomplete":
        others = sorted(params.keys() - _OPEN_TO_PENDING)
        if others:
            raise invalid(
                "When `payment_behavior` is set to `pending_if_incomplete`, you can only pass the parameters "
                f"{', '.join(sorted(_OPEN_TO_PENDING))}. Received unsupported parameters: {', '.join(others)}.",
                param=others[0],
            )
    if subscription["schedule"] and params.keys() & {"cancel_at", "cancel_at_period_end"}:
        raise invalid(
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )
    if params.get("cancel_at") and params.get("cancel_at_period_end"):
        raise invalid("You cannot set both `cancel_at` and `cancel_at_period_end`.", param="cancel_at")


def _settings(ctx: Context, subscription: Json, params: Json, customer: Json) -> None:
    for key in ("collection_method", "days_until_due", "description"):
        if key in params:
            subscription[key] = params[key]
    if params.get("collection_method") == "charge_automatically":
        subscription["days_until_due"] = None
    if params.keys() & {"collection_method", "days_until_due"}:
        subscriptions_create.check_collection(subscription)
    if "default_payment_method" in params:
        given = params["default_payment_method"]
        method = subscriptions_create.check_method(ctx, given, customer) if given else None
        subscription["default_payment_method"] = method["id"] if method else None
    subscription["metadata"] = common.merge_metadata(subscription["metadata"], params.get("metadata"))
    subscription["payment_settings"] = {**subscription["payment_settings"], **(params.get("payment_settings") or {})}
    behavior = (params.get("trial_settings") or {}).get("end_behavior") or {}
    subscription["trial_settings"]["end_behavior"].update(behavior)
    subscription["cancellation_details"].update(params.get("cancellation_details") or {})
    if "pause_collection" in params:
        given = params["pause_collection"]
        if given and given.get("resumes_at") is not None:
            subscriptions_create.in_future(ctx, given["resumes_at"], "pause_collection[resumes_at]")
        subscription["pause_collection"] = given and {
            "behavior": given["behavior"], "resumes_at": given.get("resumes_at"),
        }  # fmt: skip


def _replace_pending(ctx: Context, subscription: Json) -> None:
    """A newer pending update takes the place of the one before, whose invoice is void."""
    waiting = subscription["_"].pop("pending", None)
    subscription["pending_update"] = None
    invoice = ctx.find("invoice", waiting["invoice"]) if waiting else None
    if invoice is not None and invoice["status"] == "open":
        invoices_collect.void(ctx, invoice)


def _pay_first(ctx: Context, subscription: Json, draft: Json, before: Json, *, off_session: bool) -> None:
    """Only a paid change counts; until then the subscription is as it was, with the change in `pending_update`."""
    target = clone({key: subscription[key] for key in _TARGET if key in subscription})
    for key in _TARGET:
        subscription.pop(key, None)
        if key in before:
            subscription[key] = clone({"kept": before[key]})["kept"]
    subscription["_"]["pending"] = {"invoice": draft["id"], "target": target, "silent": True}
    draft["_"]["pending_update"] = True
    ctx.save(draft)
    ctx.save(subscription)
    invoices_collect.announce(ctx, draft)
    invoices_collect.finalize(ctx, draft)
    if draft["status"] == "open":
        invoices_collect.collect(ctx, draft, invoices_collect.Collection(off_session=off_session))
    if draft["status"] == "paid":
        return
    subscription["_"]["pending"]["silent"] = False
    subscription["pending_update"] = _printed(ctx, target, before)
    ctx.save(subscription)
    ctx.emit(subscriptions_status.UPDATED, subscription, before)
    subscriptions_status.replan(ctx, subscription)


def _printed(ctx: Context, target: Json, before: Json) -> Json:
    expires = ctx.now + subscriptions_status.INCOMPLETE_S
    ends = [item["current_period_end"] for item in before["items"]["data"]]
    moved = target["billing_cycle_anchor"] != before["billing_cycle_anchor"]
    return {
        "billing_cycle_anchor": target["billing_cycle_anchor"] if moved else None,
        "cancel_at_period_end": None,
        "discount": None,
        "discounts": None,
        "expires_at": min([expires, *ends]),
        "metadata": None,
        "subscription_items": target["items"]["data"],
        "trial_end": target["trial_end"] if target["trial_end"] != before["trial_end"] else None,
        "trial_from_plan": None,
    }
