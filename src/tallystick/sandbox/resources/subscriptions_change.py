"""What an update makes of a subscription: new items, periods and prorations, up to the draft of an invoice.

Previews run exactly this and stop here, so a preview is the invoice that would follow.
"""

from dataclasses import dataclass
from typing import Any

from tallystick.sandbox.billing.calendar import Period
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, no_such
from tallystick.sandbox.resources import (
    common,
    invoice_items,
    invoices_lines,
    subscriptions_bill,
    subscriptions_build,
    subscriptions_prorate,
    subscriptions_status,
)
from tallystick.sandbox.resources.subscriptions_create import in_future
from tallystick.sandbox.resources.subscriptions_prorate import Old, Part
from tallystick.sandbox.shapes import Json

__all__ = ["BILLED", "anchor_of", "apply"]

BILLED = frozenset(
    {
        "add_invoice_items", "billing_cycle_anchor", "cancel_at", "items", "proration_behavior", "proration_date",
        "trial_end", "trial_from_plan",
    }
)  # fmt: skip
"""The parameters of an update that can change what is billed."""


@dataclass(slots=True)
class _Change:
    """One update under way."""

    moment: int
    behavior: str
    old: dict[str, Old]
    prorating: bool
    parts: list[Part]
    changed: list[Json]
    immediate: list[tuple[Json | None, Json]] | None = None


def anchor_of(ctx: Context, given: Any, *, param: str = "billing_cycle_anchor") -> str | int | None:
    """`billing_cycle_anchor` as either kind of version spells it: text before endive, a hash since."""
    if given is None:
        return None
    if isinstance(given, dict) != ctx.behaviour.anchor_object:
        if ctx.behaviour.anchor_object:
            raise invalid("Invalid object", param=param)
        raise invalid(f"Invalid {param}: must be one of now, or unchanged", param=param)
    if not isinstance(given, dict):
        found: str | int = given
        return found
    return given["timestamp"] if given["type"] == "timestamp" else str(given["type"])


def apply(ctx: Context, subscription: Json, params: Json) -> Json | None:
    """Carry the change out on `subscription`, which the caller stores; answers the draft to be paid now, if any."""
    moment = _moment(ctx, subscription, params)
    change = _Change(
        moment=moment,
        behavior=params.get("proration_behavior", "create_prorations"),
        old=subscriptions_prorate.remember_old(ctx, subscription),
        prorating=subscription["status"] in ("active", "past_due"),
        parts=[],
        changed=[],
    )
    subscriptions_build.apply_discounts(ctx, subscription, params)
    was_free = _cost(ctx, subscription) == 0
    started = subscriptions_status.period_end(subscription)
    window_start = min(item["current_period_start"] for item in subscription["items"]["data"])
    gone = _items(ctx, subscription, params.get("items") or [], change)
    trial, anchor = params.get("trial_end"), anchor_of(ctx, params.get("billing_cycle_anchor"))
    if trial is not None:
        _trial(ctx, subscription, trial, change)
    elif anchor == "now" or _resets(ctx, subscription, change, was_free=was_free):
        _reset(ctx, subscription, change, asked=anchor == "now")
    else:
        _within(ctx, subscription, change, gone)
    _cancel_at(ctx, subscription, params, change, started)
    customer = ctx.require("customer", subscription["customer"], param="customer")
    for index, entry in enumerate(params.get("add_invoice_items") or []):
        added = {**entry, "subscription": subscription["id"]}
        path = f"add_invoice_items[{index}]"
        invoice_items.from_params(ctx, customer, added, code=subscription["currency"], path=path)
    if change.behavior != "none":
        subscriptions_prorate.write(ctx, subscription, change.parts, date=change.moment)
    return _invoice(ctx, subscription, params, change, window_start)


def _invoice(ctx: Context, subscription: Json, params: Json, change: _Change, start: int) -> Json | None:
    lines = change.immediate
    if lines is None:
        extra = bool(params.get("add_invoice_items")) and change.behavior == "always_invoice"
        if change.behavior != "always_invoice" or not (change.parts or extra):
            return None
        lines = []
    window = Period(min(start, ctx.now), ctx.now)
    return subscriptions_bill.invoice(ctx, subscription, lines, reason="subscription_update", window=window)


def _moment(ctx: Context, subscription: Json, params: Json) -> int:
    asked: int | None = params.get("proration_date")
    if asked is None:
        return ctx.now
    items = subscription["items"]["data"]
    if not all(item["current_period_start"] <= asked < item["current_period_end"] for item in items):
        raise invalid(
            "Cannot specify `proration_date` outside of the subscription's current period.", param="proration_date"
        )
    return asked


def _cost(ctx: Context, subscription: Json) -> int:
    return sum(
        int(invoices_lines.exact_amount(ctx, item["price"], item.get("quantity"), subscription["currency"]))
        for item in subscription["items"]["data"]
    )


def _items(ctx: Context, subscription: Json, entries: list[Json], change: _Change) -> list[Old]:
    """Change, add and delete items; answers those that are gone or were something else before."""
    items = subscription["items"]["data"]
    gone: list[Old] = []
    for index, entry in enumerate(entries):
        path = f"items[{index}]"
        if "id" not in entry:
            item = subscriptions_build.item_from(ctx, subscription, entry, path=path, code=subscription["currency"])
            items.append(item)
            invoice_items.discount(ctx, subscription, item, entry, path)
            change.changed.append(item)
            continue
        found = next((item for item in items if item["id"] == entry["id"]), None)
        if found is None:
            raise no_such("subscription_item", entry["id"], param=f"{path}[id]", status=400)
        old = change.old[found["id"]]
        if entry.get("deleted"):
            items.remove(found)
            gone.append(old)
        elif _edit(ctx, subscription, found, entry, path):
            gone.append(old)
            change.changed.append(found)
    if not items:
        raise invalid("A subscription must have at least one active plan. To cancel a subscription, delete it.")
    subscriptions_build.put_items(subscription, items)
    return gone


def _edit(ctx: Context, subscription: Json, item: Json, entry: Json, path: str) -> bool:
    """Whether the item's price or quantity has changed; a new price without a quantity is for one."""
    before = (item["price"]["id"], item.get("quantity"))
    if "price" in entry or "plan" in entry or "price_data" in entry:
        new = subscriptions_build.item_from(
            ctx, subscription, {"quantity": item.get("quantity", 1), **entry}, path=path, code=subscription["currency"]
        )
        replaced = new["price"]["id"] != item["price"]["id"]
        subscriptions_build.set_price(item, new["price"])
        kept: int = 1 if replaced else item.get("quantity", 1)
        subscriptions_build.set_quantity(item, entry.get("quantity", kept), path)
    elif "quantity" in entry:
        subscriptions_build.set_quantity(item, entry["quantity"], path)
    item["metadata"] = common.merge_metadata(item["metadata"], entry.get("metadata"))
    if "discounts" in entry:
        item["discounts"] = []
        invoice_items.discount(ctx, subscription, item, entry, path)
    return before != (item["price"]["id"], item.get("quantity"))


def _resets(ctx: Context, subscription: Json, change: _Change, *, was_free: bool) -> bool:
    """Classic mode starts a new cycle, billed at once, for another interval and when free becomes paid."""
    if subscription["billing_mode"]["type"] != "classic" or not change.prorating or not change.changed:
        return False
    if was_free and _cost(ctx, subscription) > 0:
        return True
    before = {_interval(old.item) for old in change.old.values()}
    return {_interval(item) for item in subscription["items"]["data"]} != before


def _interval(item: Json) -> tuple[str, int]:
    return item["plan"]["interval"], item["plan"]["interval_count"]


def _within(ctx: Context, subscription: Json, change: _Change, gone: list[Old]) -> None:
    """The period goes on: credits for what was, debits for what is."""
    ends = subscription["cancel_at"]
    for item in change.changed:
        old = change.old.get(item["id"])
        if old is None or _interval(old.item) != _interval(item):
            _join(subscription, item, change)
    if not change.prorating:
        return
    now_by_id = {item["id"]: item for item in change.changed}
    for old in gone:
        change.parts += _credits(ctx, subscription, old, change.moment)
        if old.item["id"] in now_by_id:
            change.parts += _debits(ctx, subscription, now_by_id.pop(old.item["id"]), change.moment, ends)
    for item in now_by_id.values():
        change.parts += _debits(ctx, subscription, item, change.moment, ends)


def _join(subscription: Json, item: Json, change: _Change) -> None:
    """A new item takes the running period, which began before it."""
    same = [
        old.item
        for old in change.old.values()
        if _interval(old.item) == _interval(item) and old.item["id"] != item["id"]
    ]
    trialing = subscription["status"] == "trialing"
    if same or trialing:
        like = same[0] if same else next(iter(change.old.values())).item
        item["current_period_start"] = like["current_period_start"]
        item["current_period_end"] = like["current_period_end"]
        return
    period = subscriptions_build.period_at(subscription, item, change.moment)
    item["current_period_start"], item["current_period_end"] = period.start, period.end


def _credits(ctx: Context, subscription: Json, old: Old, moment: int) -> list[Part]:
    ends = subscription["cancel_at"]
    until = ends if ends is not None and ends < old.item["current_period_end"] else None
    return subscriptions_prorate.given_back(ctx, subscription, old, moment, until=until)


def _debits(ctx: Context, subscription: Json, item: Json, moment: int, ends: int | None) -> list[Part]:
    until = ends if ends is not None and ends < item["current_period_end"] else None
    return subscriptions_prorate.debits(ctx, subscription, [item], moment, until=until)


def _reset(ctx: Context, subscription: Json, change: _Change, *, asked: bool) -> None:
    """A new cycle from now on. Classic mode bills it at once; flexible mode makes it a proration, as recorded."""
    flexible = subscription["billing_mode"]["type"] == "flexible"
    trialing = subscription["status"] == "trialing"
    if change.prorating:
        for old in change.old.values():
            change.parts += _credits(ctx, subscription, old, change.moment)
    _start_cycle(ctx, subscription, ctx.now)
    if trialing:
        subscription["status"] = "active"
        subscription["trial_end"] = ctx.now - 1
    items = subscription["items"]["data"]
    if flexible and asked and not trialing:
        if change.prorating:
            change.parts += subscriptions_prorate.debits(ctx, subscription, items, ctx.now)
        return
    change.immediate = subscriptions_bill.item_lines(ctx, subscription, items)


def _start_cycle(ctx: Context, subscription: Json, anchor: int) -> None:
    subscription["billing_cycle_anchor"] = anchor
    subscription["billing_cycle_anchor_config"] = None
    for item in subscription["items"]["data"]:
        period = subscriptions_build.period_at(subscription, item, anchor)
        item["current_period_start"], item["current_period_end"] = period.start, period.end


def _trial(ctx: Context, subscription: Json, end: int | str, change: _Change) -> None:
    trialing = subscription["status"] == "trialing"
    if end == "now":
        if trialing:
            end_trial(ctx, subscription, change)
        return
    end = in_future(ctx, int(end), "trial_end")
    if change.prorating:
        for old in change.old.values():
            change.parts += _credits(ctx, subscription, old, change.moment)
    if not trialing:
        subscription["trial_start"] = ctx.now
    subscription["trial_end"] = end
    subscription["status"] = "trialing"
    subscription["billing_cycle_anchor"] = end
    subscription["billing_cycle_anchor_config"] = None
    for item in subscription["items"]["data"]:
        item["current_period_start"] = item["current_period_start"] if trialing else ctx.now
        item["current_period_end"] = end
        item["_"]["billed"] = []
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = end
    if not trialing and subscription["billing_mode"]["type"] == "classic":
        change.immediate = subscriptions_bill.trial_lines(ctx, subscription)


def end_trial(ctx: Context, subscription: Json, change: _Change) -> None:
    """`trial_end=now`: billed at once, unless there is no method and the settings say what then."""
    customer = ctx.require("customer", subscription["customer"], param="customer")
    ending = subscription["trial_settings"]["end_behavior"]
    missing = subscriptions_status.default_method(ctx, subscription, customer) is None
    if missing and subscription["collection_method"] == "charge_automatically":
        if ending["missing_payment_method"] == "pause":
            subscription["status"] = "paused"
            subscription["billing_cycle_anchor"] = ctx.now
            subscription["status_details"] = paused_details(ctx, "trial_end_without_payment_method")
            for item in subscription["items"]["data"]:
                item["current_period_end"] = ctx.now
            return
        if ending["missing_payment_method"] == "cancel":
            subscription["status"] = "canceled"
            return
    anchor = subscription["billing_cycle_anchor"]
    subscription["status"] = "active"
    # Recorded: the trial ends one second before the new cycle.
    subscription["trial_end"] = ctx.now - 1
    kept = ending["billing_cycle_anchor"] == "unchanged"
    _start_cycle(ctx, subscription, ctx.now)
    items = subscription["items"]["data"]
    if not kept:
        change.immediate = subscriptions_bill.item_lines(ctx, subscription, items)
        return
    subscription["billing_cycle_anchor"] = anchor
    whole = {item["id"]: subscriptions_build.period_at(subscription, item, ctx.now) for item in items}
    for item in items:
        item["current_period_end"] = whole[item["id"]].end
    change.immediate = subscriptions_bill.prorated_lines(ctx, subscription, whole)


def paused_details(ctx: Context, kind: str) -> Json:
    """`status_details` of a paused subscription."""
    return {"paused": {"subscription": {"type": kind}, "transitioned_at": ctx.now, "type": "subscription"}}


def _cancel_at(ctx: Context, subscription: Json, params: Json, change: _Change, end: int) -> None:
    """Set or lift the end; one inside a paid period gives its rest back, a later one takes it again."""
    before = subscription["cancel_at"]
    end = subscriptions_status.period_end(subscription)
    if "cancel_at_period_end" in params and params["cancel_at_period_end"] != subscription["cancel_at_period_end"]:
        subscription["cancel_at_period_end"] = params["cancel_at_period_end"]
        _mark(ctx, subscription, end if params["cancel_at_period_end"] else None)
    elif "cancel_at" in params:
        asked = params["cancel_at"]
        ends = [item["current_period_end"] for item in subscription["items"]["data"]]
        if isinstance(asked, str):
            asked = min(ends) if asked == "min_period_end" else max(ends)
        elif asked is not None:
            in_future(ctx, asked, "cancel_at")
        subscription["cancel_at_period_end"] = False
        _mark(ctx, subscription, asked)
    elif subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = end
    if change.prorating and before != subscription["cancel_at"] and change.immediate is None:
        _cut(ctx, subscription, change, before)


def _mark(ctx: Context, subscription: Json, at: int | None) -> None:
    details = subscription["cancellation_details"]
    subscription["cancel_at"] = at
    subscription["canceled_at"] = None if at is None else ctx.now
    details["reason"] = None if at is None else "cancellation_requested"


def _cut(ctx: Context, subscription: Json, change: _Change, before: int | None) -> None:
    for item in subscription["items"]["data"]:
        if item in change.changed or item["id"] not in change.old:
            continue
        end = item["current_period_end"]
        old_end = end if before is None else min(before, end)
        new_end = end if subscription["cancel_at"] is None else min(subscription["cancel_at"], end)
        if new_end < old_end:
            parts = subscriptions_prorate.given_back(ctx, subscription, change.old[item["id"]], new_end, until=old_end)
            item["_"]["billed"] = _trimmed(item["_"]["billed"], parts, new_end)
            change.parts += parts
        elif new_end > old_end:
            change.parts += subscriptions_prorate.debits(ctx, subscription, [item], old_end, until=new_end)


def _trimmed(billed: list[Json], parts: list[Part], end: int) -> list[Json]:
    """What was debited, less what is given back of it."""
    left = []
    for kept in billed:
        given = sum(part.amount for part in parts if part.credited and part.credited.kept() == kept)
        if kept["start"] < end:
            left.append({**kept, "amount": kept["amount"] + given, "end": min(kept["end"], end)})
    return left
