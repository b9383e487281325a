"""Creating a subscription: its first period, trial and invoice, and what becomes of the first payment."""

from tallystick.sandbox.billing.calendar import Period, configured_anchor
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid, missing_param
from tallystick.sandbox.resources import (
    invoice_items,
    invoices_collect,
    payment_methods,
    setup_intents,
    subscriptions_bill,
    subscriptions_build,
    subscriptions_status,
    test_clocks,
)
from tallystick.sandbox.shapes import Json

__all__ = ["check_collection", "check_method", "create", "in_future", "pay", "prepare", "set_up_later"]

_DAY_S = 86400
_LONGEST_TRIAL_S = 730 * _DAY_S + _DAY_S


def create(ctx: Context, params: Json) -> Json:
    """A subscription, paid or not, with all its events; `params` are those of `POST /v1/subscriptions`.

    Checkout calls this too. Raises 400 for what cannot be subscribed to, and 402 where the behaviour wants the
    first payment or nothing.
    """
    customer = ctx.require("customer", params["customer"], param="customer", status=400)
    ctx = test_clocks.at_customer(ctx, customer)
    behavior = params.get("payment_behavior", "allow_incomplete")
    if behavior == "pending_if_incomplete":
        raise invalid(
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating a subscription.",
            param="payment_behavior",
        )
    subscription, invoice = prepare(ctx, params, customer)
    automatic = subscription["collection_method"] == "charge_automatically"
    method = subscriptions_status.default_method(ctx, subscription, customer)
    due = invoice["amount_due"] > 0 and automatic
    if due and method is None and behavior != "default_incomplete":
        raise invalid(subscriptions_status.NO_METHOD, code="resource_missing")
    if due and subscription["status"] == "active" and invoices_collect.paid_before(ctx, customer) is None:
        subscription["status"] = "incomplete"
    if not due and automatic and method is None:
        set_up_later(ctx, subscription)
    ctx.save(subscription)
    ctx.emit("customer.subscription.created", subscription)
    subscriptions_status.replan(ctx, subscription)
    pay(ctx, subscription, invoice, behavior, off_session=params.get("off_session", False))
    return subscription


def prepare(ctx: Context, params: Json, customer: Json) -> tuple[Json, Json]:
    """The subscription and the draft of its first invoice, stored without their events: previews stop here."""
    _check(params)
    subscription = subscriptions_build.new(ctx, customer, params)
    check_collection(subscription)
    _items(ctx, subscription, params)
    _check_currency(ctx, subscription, customer)
    if params.get("default_payment_method"):
        method = check_method(ctx, params["default_payment_method"], customer)
        subscription["default_payment_method"] = method["id"]
    _trial(ctx, subscription, params)
    whole = _periods(ctx, subscription, params)
    _cancel_at(ctx, subscription, params)
    ctx.save(subscription)
    subscriptions_build.apply_discounts(ctx, subscription, params)
    _item_discounts(ctx, subscription, params)
    for index, entry in enumerate(params.get("add_invoice_items") or []):
        added = {**entry, "subscription": subscription["id"]}
        invoice_items.from_params(
            ctx, customer, added, code=subscription["currency"], path=f"add_invoice_items[{index}]"
        )
    if subscription["status"] == "trialing":
        lines = subscriptions_bill.trial_lines(ctx, subscription)
    elif whole is None:
        lines = subscriptions_bill.item_lines(ctx, subscription, subscription["items"]["data"])
    elif params.get("proration_behavior") == "none":
        lines = []
    else:
        lines = subscriptions_bill.prorated_lines(ctx, subscription, whole)
    window = Period(ctx.now, ctx.now)
    invoice = subscriptions_bill.invoice(ctx, subscription, lines, reason="subscription_create", window=window)
    return subscription, invoice


def _check(params: Json) -> None:
    if not params.get("items"):
        raise missing_param("items")
    if params.get("trial_from_plan") and ("trial_end" in params or "trial_period_days" in params):
        raise invalid("You cannot set `trial_end` or `trial_period_days` when `trial_from_plan=true`.")
    if "trial_end" in params and "trial_period_days" in params:
        raise invalid("You can only set one of `trial_end` and `trial_period_days`.", param="trial_period_days")
    if params.get("cancel_at") and params.get("cancel_at_period_end"):
        raise invalid("You cannot set both `cancel_at` and `cancel_at_period_end`.", param="cancel_at")


def check_collection(subscription: Json) -> None:
    """`days_until_due` is for invoices that are sent."""
    sent = subscription["collection_method"] == "send_invoice"
    if subscription["days_until_due"] is not None and not sent:
        raise invalid("You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.")
    if sent and subscription["days_until_due"] is None:
        raise invalid(
            "You must specify 'days_until_due' if invoice collection method is 'send_invoice'.", param="days_until_due"
        )


def _items(ctx: Context, subscription: Json, params: Json) -> None:
    code = params.get("currency")
    items: list[Json] = []
    for index, entry in enumerate(params["items"]):
        item = subscriptions_build.item_from(ctx, subscription, entry, path=f"items[{index}]", code=code)
        code = code or item["price"]["currency"]
        items.append(item)
    subscription["currency"] = code
    subscriptions_build.put_items(subscription, items)


def _item_discounts(ctx: Context, subscription: Json, params: Json) -> None:
    for index, (item, entry) in enumerate(zip(subscription["items"]["data"], params["items"], strict=True)):
        invoice_items.discount(ctx, subscription, item, entry, f"items[{index}]")


def _check_currency(ctx: Context, subscription: Json, customer: Json) -> None:
    """Everything open of one customer is in one currency."""
    code = subscription["currency"]
    others = [
        other["currency"]
        for other in ctx.store.find("subscription", "customer", customer["id"])
        if other["status"] not in subscriptions_status.ENDED
    ]
    others += [item["currency"] for item in invoice_items.pending(ctx, customer["id"], None)]
    if any(other != code for other in others):
        raise invalid(
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            f"subscription schedule, discount, quote, or invoice item with currency {customer['currency']}",
        )


def check_method(ctx: Context, method_id: str, customer: Json) -> Json:
    """A payment method that is attached to the customer."""
    method = payment_methods.resolve(ctx, method_id, param="default_payment_method", status=400)
    if method["customer"] != customer["id"]:
        raise invalid(
            f"The customer does not have a payment method with the ID {method_id}. The payment method must be "
            "attached to the customer.",
            code="resource_missing",
            param="default_payment_method",
        )
    return method


def in_future(ctx: Context, moment: int, name: str) -> int:
    """Raises the recorded 400 for a time that has passed."""
    if moment <= ctx.now:
        raise invalid(
            f"The parameter `{name}` expects a unix timestamp representing a date and time in the future. You "
            f"specified the value `{moment}` which is in the past.",
            param=name,
        )
    return moment


def _trial(ctx: Context, subscription: Json, params: Json) -> None:
    end = params.get("trial_end")
    days = params.get("trial_period_days")
    if params.get("trial_from_plan"):
        days = max(item["price"]["recurring"]["trial_period_days"] or 0 for item in subscription["items"]["data"])
    if days:
        end = ctx.now + days * _DAY_S
    if end is None or end == "now":
        return
    in_future(ctx, end, "trial_end")
    if end > ctx.now + _LONGEST_TRIAL_S:
        raise invalid("Invalid timestamp: trials can be at most two years long.", param="trial_end")
    subscription["trial_start"], subscription["trial_end"] = ctx.now, end
    subscription["status"] = "trialing"


def _periods(ctx: Context, subscription: Json, params: Json) -> dict[str, Period] | None:
    """Sets the anchor and each item's first period; the whole periods where the first is only a part of one."""
    asked = params.get("billing_cycle_anchor")
    config = params.get("billing_cycle_anchor_config")
    if config is not None:
        subscription["billing_cycle_anchor_config"] = {
            key: config.get(key) for key in ("day_of_month", "hour", "minute", "month", "second")
        }
        asked = configured_anchor(ctx.now, config)
    trial_end = subscription["trial_end"]
    items = subscription["items"]["data"]
    if asked is not None:
        if asked < ctx.now:
            in_future(ctx, asked, "billing_cycle_anchor")
        subscription["billing_cycle_anchor"] = asked
        _check_anchor(ctx, subscription, asked, trial_end or ctx.now)
    elif trial_end is not None:
        subscription["billing_cycle_anchor"] = trial_end
    whole = {item["id"]: subscriptions_build.period_at(subscription, item, ctx.now) for item in items}
    for item in items:
        item["current_period_start"] = ctx.now
        item["current_period_end"] = trial_end or whole[item["id"]].end
    cut = trial_end is None and any(period.start < ctx.now for period in whole.values())
    return whole if cut else None


def _check_anchor(ctx: Context, subscription: Json, anchor: int, start: int) -> None:
    for item in subscription["items"]["data"]:
        if subscriptions_build.cycle(subscription, item).boundary(-1) > start:
            raise invalid(
                "`billing_cycle_anchor` cannot be later than next natural billing date "
                f"({subscriptions_build.period_at(subscription, item, start).end}) for plan",
                param="billing_cycle_anchor",
            )
    if anchor < start and start > ctx.now:
        raise invalid("`billing_cycle_anchor` cannot be before the trial's end.", param="billing_cycle_anchor")


def _cancel_at(ctx: Context, subscription: Json, params: Json) -> None:
    end = subscriptions_status.period_end(subscription)
    if params.get("cancel_at_period_end"):
        subscription["cancel_at_period_end"] = True
        subscription["cancel_at"] = end
        subscription["canceled_at"] = ctx.now
        subscription["cancellation_details"]["reason"] = "cancellation_requested"
    asked = params.get("cancel_at")
    if asked:
        subscription["cancel_at"] = end if isinstance(asked, str) else in_future(ctx, asked, "cancel_at")
        subscription["canceled_at"] = ctx.now
        subscription["cancellation_details"]["reason"] = "cancellation_requested"


def set_up_later(ctx: Context, subscription: Json) -> None:
    """A SetupIntent that collects a method while nothing is due yet."""
    types = subscription["payment_settings"]["payment_method_types"] or list(ctx.settings.payment_method_types)
    intent = setup_intents.create(
        ctx,
        {"customer": subscription["customer"], "payment_method_types": types, "usage": "off_session"},
    )
    intent["_"] = {"subscription": subscription["id"]}
    ctx.save(intent)
    subscription["pending_setup_intent"] = intent["id"]


def pay(ctx: Context, subscription: Json, invoice: Json, behavior: str, *, off_session: bool) -> None:
    """Announce and finalise an invoice inside the call that made it, and collect it as the behaviour says."""
    if subscription["collection_method"] == "send_invoice":
        invoices_collect.wait(ctx, invoice)
        invoices_collect.announce(ctx, invoice)
        return
    invoices_collect.announce(ctx, invoice)
    invoices_collect.finalize(ctx, invoice)
    if invoice["status"] == "paid":
        return
    if behavior == "default_incomplete":
        if subscription["status"] == "active":
            subscription["status"] = "past_due"
            subscriptions_status.save(ctx, subscription)
        return
    attempt = invoices_collect.Collection(off_session=off_session)
    error = invoices_collect.collect(ctx, invoice, attempt)
    if behavior == "error_if_incomplete" and invoice["status"] != "paid":
        raise _nothing_made(error)


def _nothing_made(error: ApiError | None) -> ApiError:
    """402, and all that was begun is undone."""
    if error is None:
        return ApiError(
            402,
            "Payment for this subscription requires additional user action, but the requested payment behavior "
            "doesn't save the invoice or PaymentIntent. Retry the request with "
            "`payment_behavior=allow_incomplete` or `payment_behavior=default_incomplete`, then complete the "
            "PaymentIntent on the subscription's latest invoice. Additional information is available here: "
            "https://stripe.com/docs/billing/subscriptions/overview#requires-action",
            error_type="card_error",
            # Recorded: this code comes without a doc_url.
            details={"code": "subscription_payment_intent_requires_action"},
        )
    kept = {key: item for key, item in error.details.items() if key not in ("charge", "payment_intent")}
    return ApiError(402, error.message, error_type="card_error", code=error.code, param=error.param, details=kept)
