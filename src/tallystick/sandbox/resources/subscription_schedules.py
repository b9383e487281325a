"""Subscription schedules: what a subscription is to become, phase by phase.

A schedule takes over a subscription that there is (`from_subscription`). At the end of a phase the subscription gets
the items of the next one, just before the renewal of the same moment; after the last it is let go, or ends.
"""

from collections.abc import Sequence

from tallystick.sandbox.billing.calendar import Cycle
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.lists import page
from tallystick.sandbox.resources import (
    common,
    subscriptions_build,
    subscriptions_status,
    subscriptions_update,
    test_clocks,
)
from tallystick.sandbox.resources import subscription_schedules_fields as fields
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "JOBS", "PHASE_ENDS", "ROUTES", "foresee"]

EXPANDABLE = frozenset({"customer", "subscription", "test_clock"})
PHASE_ENDS = "subscription_phase_ends"
_KIND = "subscription_schedule"


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/subscription_schedules`: from a subscription, whose present period is the first phase."""
    if "from_subscription" not in params:
        raise invalid("The sandbox makes subscription schedules from subscriptions only.", param="from_subscription")
    if params.keys() - {"from_subscription", "billing_mode", "metadata", "expand"}:
        raise invalid("You can only specify `from_subscription` by itself.", param="from_subscription")
    found = params["from_subscription"]
    subscription = ctx.require("subscription", found, param="from_subscription", status=400)
    if subscription["status"] in (*subscriptions_status.ENDED, "incomplete"):
        raise invalid(
            f"You cannot migrate a subscription with a status of `{subscription['status']}` to a schedule.",
            param="from_subscription",
        )
    if subscription["schedule"]:
        raise invalid(
            f"You cannot migrate a subscription that is already attached to a schedule: {subscription['schedule']}.",
            param="from_subscription",
        )
    ctx = test_clocks.at_customer(ctx, ctx.require("customer", subscription["customer"], param="customer"))
    schedule = _new(ctx, subscription, params)
    ctx.save(schedule)
    ctx.emit("subscription_schedule.created", schedule)
    subscription["schedule"] = schedule["id"]
    subscriptions_status.save(ctx, subscription)
    return schedule


def _new(ctx: Context, subscription: Json, params: Json) -> Json:
    items = subscription["items"]["data"]
    start = min(item["current_period_start"] for item in items)
    end = subscription["cancel_at"] or subscriptions_status.period_end(subscription)
    trial = subscription["trial_end"] if subscription["status"] == "trialing" else None
    entries = [
        {"price": item["price"]["id"], "quantity": item.get("quantity"), "metadata": item["metadata"]} for item in items
    ]
    discounts = [{"discount": found} for found in subscription["discounts"]]
    phase = _phase(
        subscription, entries, start=start, end=end, behavior="create_prorations", trial_end=trial, discounts=discounts
    )
    return {
        "id": ctx.ids.long("sub_sched_"),
        "object": _KIND,
        "application": None,
        "billing_mode": subscription["billing_mode"],
        "canceled_at": None,
        "completed_at": None,
        "created": ctx.now,
        "current_phase": {"end_date": end, "start_date": start},
        "customer": subscription["customer"],
        "customer_account": None,
        "default_settings": _defaults(subscription),
        "end_behavior": "cancel" if subscription["cancel_at"] else "release",
        "livemode": False,
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "pause_schedules": [],
        "phases": [phase],
        "released_at": None,
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }


def _defaults(subscription: Json) -> Json:
    return {
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": "automatic",
        "billing_thresholds": None,
        "collection_method": subscription["collection_method"],
        "default_payment_method": None,
        "description": None,
        "invoice_settings": {
            "account_tax_ids": None, "custom_fields": None, "days_until_due": subscription["days_until_due"],
            "description": None, "footer": None, "issuer": {"type": "self"},
        },
        "on_behalf_of": None,
        "transfer_data": None,
    }  # fmt: skip


def _phase(
    subscription: Json,
    entries: Sequence[Json],
    *,
    start: int,
    end: int,
    behavior: str,
    trial_end: int | None = None,
    discounts: Sequence[Json] = (),
) -> Json:
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": subscription["currency"],
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [dict.fromkeys(("coupon", "discount", "promotion_code")) | entry for entry in discounts],
        "end_date": end,
        "invoice_settings": None,
        "items": [
            {
                "billing_thresholds": None, "discounts": [], "metadata": entry.get("metadata") or {},
                "plan": entry["price"], "price": entry["price"], "quantity": entry.get("quantity"), "tax_rates": [],
            }
            for entry in entries
        ],
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": behavior,
        "start_date": start,
        "transfer_data": None,
        "trial_end": trial_end,
    }  # fmt: skip


def retrieve(ctx: Context, _params: Json, schedule_id: str) -> Json:
    """`GET /v1/subscription_schedules/{id}`."""
    return ctx.require(_KIND, schedule_id, param="schedule")


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/subscription_schedules`."""
    filters = {"customer": params.get("customer")}
    return page(ctx, _KIND, "/v1/subscription_schedules", params, filters)


def update(ctx: Context, params: Json, schedule_id: str) -> Json:
    """`POST /v1/subscription_schedules/{id}`: the phases from the present one on, and what comes after the last."""
    schedule = _active(ctx, schedule_id)
    subscription = ctx.require("subscription", schedule["subscription"], param="subscription")
    ctx = test_clocks.at_customer(ctx, ctx.require("customer", schedule["customer"], param="customer"))
    schedule["metadata"] = common.merge_metadata(schedule["metadata"], params.get("metadata"))
    schedule["end_behavior"] = params.get("end_behavior", schedule["end_behavior"])
    if "phases" in params:
        schedule["phases"] = _phases(ctx, schedule, subscription, params["phases"])
        current = schedule["phases"][0]
        schedule["current_phase"] = {"end_date": current["end_date"], "start_date": current["start_date"]}
        _keep_trial(ctx, subscription, current["trial_end"])
    ctx.save_updated("subscription_schedule.updated", schedule)
    subscriptions_status.replan(ctx, subscription)
    return schedule


def _keep_trial(ctx: Context, subscription: Json, end: int | None) -> None:
    """What the present phase is given without, it does not have any more: a trial that is not named again is over."""
    if subscription["status"] == "trialing" and subscription["trial_end"] != end:
        subscriptions_update.update(ctx, subscription, {"trial_end": end or "now"})


def _active(ctx: Context, schedule_id: str) -> Json:
    schedule = ctx.require(_KIND, schedule_id, param="schedule")
    if schedule["status"] != "active":
        raise invalid(
            f"You cannot change a subscription schedule with a status of `{schedule['status']}`. "
            "It must be `not_started` or `active`."
        )
    return schedule


def _phases(ctx: Context, schedule: Json, subscription: Json, given: list[Json]) -> list[Json]:
    current = next(
        phase for phase in schedule["phases"] if phase["start_date"] == schedule["current_phase"]["start_date"]
    )
    start, made = current["start_date"], list[Json]()
    first = given[0].get("start_date", start)
    if first not in ("now", start):
        raise invalid("You can not modify the start date of the current phase.", param="phases[0][start_date]")
    for index, phase in enumerate(given):
        path = f"phases[{index}]"
        if index and "start_date" in phase and phase["start_date"] != start:
            raise invalid("Phases must follow each other without a gap.", param=f"{path}[start_date]")
        entries = [_entry(ctx, subscription, entry, f"{path}[items][{n}]") for n, entry in enumerate(phase["items"])]
        end = _end_of(ctx, phase, entries, start, path)
        if end <= max(start, ctx.now if index == 0 else start):
            raise invalid("The phase ends before it begins, or in the past.", param=f"{path}[end_date]")
        behavior = phase.get("proration_behavior", "create_prorations")
        discounts, trial = phase.get("discounts") or [], phase.get("trial_end")
        if trial is not None and trial > end:
            raise invalid("The trial of a phase cannot end after the phase.", param=f"{path}[trial_end]")
        made.append(
            _phase(subscription, entries, start=start, end=end, behavior=behavior, trial_end=trial, discounts=discounts)
        )
        start = end
    return made


def _entry(ctx: Context, subscription: Json, entry: Json, path: str) -> Json:
    price = ctx.require("price", entry["price"], param=f"{path}[price]", status=400)
    if not price["active"]:
        raise invalid("The price specified is inactive. This field only accepts active prices.", param=f"{path}[price]")
    if price["recurring"] is None:
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
            param=f"{path}[price]",
        )
    if price["currency"] != subscription["currency"]:
        raise invalid(
            f"The price specified supports currencies of `{price['currency']}`. This doesn't match the expected "
            f"currency: `{subscription['currency']}`.",
            param=f"{path}[price]",
        )
    return {"price": price["id"], "quantity": entry.get("quantity", 1), "metadata": entry.get("metadata")}


def _end_of(ctx: Context, phase: Json, entries: Sequence[Json], start: int, path: str) -> int:
    """As given: a date, a duration, or so many intervals of the first price (one, where nothing is said)."""
    if isinstance(phase.get("end_date"), int):
        found: int = phase["end_date"]
        return found
    if phase.get("end_date") == "now":
        return ctx.now
    if "duration" in phase:
        duration = phase["duration"]
        return Cycle(start, duration["interval"], duration.get("interval_count", 1)).boundary(1)
    if "iterations" in phase and ctx.behaviour.billing_mode == "flexible":
        raise invalid("Received unknown parameter: iterations", param=f"{path}[iterations]")
    recurring = ctx.require("price", entries[0]["price"], param="price")["recurring"]
    cycle = Cycle(start, recurring["interval"], recurring["interval_count"])
    return cycle.boundary(phase.get("iterations", 1))


def release(ctx: Context, params: Json, schedule_id: str) -> Json:
    """`POST …/release`: the subscription stays as it is, without the schedule."""
    schedule = _active(ctx, schedule_id)
    subscription = ctx.require("subscription", schedule["subscription"], param="subscription")
    ctx = test_clocks.at_customer(ctx, ctx.require("customer", schedule["customer"], param="customer"))
    before = ctx.store.stored(schedule_id)
    schedule |= {
        "status": "released", "released_at": ctx.now, "released_subscription": subscription["id"],
        "subscription": None, "current_phase": None,
    }  # fmt: skip
    ctx.save(schedule)
    ctx.emit("subscription_schedule.released", schedule, before)
    subscription["schedule"] = None
    if subscription["cancel_at"] and not params.get("preserve_cancel_date"):
        subscription |= {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None}
    subscriptions_status.save(ctx, subscription)
    return schedule


def cancel(ctx: Context, _params: Json, schedule_id: str) -> Json:
    """`POST …/cancel`: the subscription ends with its schedule."""
    schedule = _active(ctx, schedule_id)
    subscription = ctx.require("subscription", schedule["subscription"], param="subscription")
    ctx = test_clocks.at_customer(ctx, ctx.require("customer", schedule["customer"], param="customer"))
    schedule |= {"status": "canceled", "canceled_at": ctx.now, "current_phase": None}
    ctx.save(schedule)
    ctx.emit("subscription_schedule.canceled", schedule)
    subscription["schedule"] = None
    subscriptions_status.end(ctx, subscription)
    return schedule


def _phase_ends(ctx: Context, subscription_id: str, data: Json) -> None:
    """The next phase begins, or there is none."""
    ctx = test_clocks.at_moment(ctx, data)
    subscription = ctx.find("subscription", subscription_id)
    schedule = ctx.find(_KIND, (subscription or {}).get("schedule") or "")
    if subscription is None or schedule is None or schedule["current_phase"]["end_date"] > ctx.now:
        return
    phase = _next_phase(schedule)
    if phase is None:
        _complete(ctx, schedule, subscription)
        return
    schedule["current_phase"] = {"end_date": phase["end_date"], "start_date": phase["start_date"]}
    ctx.save_updated("subscription_schedule.updated", schedule)
    changes = _changes(subscription, phase["items"])
    if subscriptions_status.period_end(subscription) <= ctx.now:
        _renew_as(ctx, subscription, changes)
        subscriptions_status.save(ctx, subscription)
    else:
        subscriptions_update.update(
            ctx, subscription, {"items": changes, "proration_behavior": phase["proration_behavior"]}
        )


def _next_phase(schedule: Json) -> Json | None:
    end = schedule["current_phase"]["end_date"]
    return next((phase for phase in schedule["phases"] if phase["start_date"] >= end), None)


def foresee(ctx: Context, subscription: Json) -> None:
    """Give a subscription the items that it is to be renewed with at `ctx.now`; nothing is stored."""
    schedule = ctx.find(_KIND, subscription["schedule"] or "")
    if schedule is not None and schedule["current_phase"]["end_date"] <= ctx.now:
        phase = _next_phase(schedule)
        if phase is not None:
            _renew_as(ctx, subscription, _changes(subscription, phase["items"]))


def _renew_as(ctx: Context, subscription: Json, changes: Sequence[Json]) -> None:
    """With the period over there is nothing to prorate: the renewal of this moment bills the new items."""
    items = {item["id"]: item for item in subscription["items"]["data"]}
    lengths = {_length(item) for item in items.values()}
    for change in changes:
        if "id" not in change:
            item = subscriptions_build.item_from(ctx, subscription, change, path="items", code=subscription["currency"])
            items[item["id"]] = item | {"current_period_start": ctx.now, "current_period_end": ctx.now}
        elif change.get("deleted"):
            del items[change["id"]]
        else:
            item = items[change["id"]]
            if "price" in change:
                subscriptions_build.set_price(item, ctx.require("price", change["price"], param="price"))
            subscriptions_build.set_quantity(item, change["quantity"])
    if {_length(item) for item in items.values()} != lengths:
        subscription["billing_cycle_anchor"] = ctx.now
        subscription["billing_cycle_anchor_config"] = None
    subscriptions_build.put_items(subscription, list(items.values()))


def _length(item: Json) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def _changes(subscription: Json, wanted: Sequence[Json]) -> list[Json]:
    """What turns the items that there are into those of a phase; an item keeps its id where it can."""
    left = [dict(entry) for entry in wanted]
    changes: list[Json] = []
    unmatched = []
    for item in subscription["items"]["data"]:
        same = next((entry for entry in left if entry["price"] == item["price"]["id"]), None)
        if same is None:
            unmatched.append(item)
            continue
        left.remove(same)
        changes.append({"id": item["id"], "quantity": same["quantity"]})
    for item in unmatched:
        if left:
            entry = left.pop(0)
            changes.append({"id": item["id"], "price": entry["price"], "quantity": entry["quantity"]})
        else:
            changes.append({"id": item["id"], "deleted": True})
    return changes + [{"price": entry["price"], "quantity": entry["quantity"]} for entry in left]


def _complete(ctx: Context, schedule: Json, subscription: Json) -> None:
    schedule |= {"status": "completed", "completed_at": ctx.now, "current_phase": None}
    before = ctx.store.stored(schedule["id"])
    ctx.save(schedule)
    ctx.emit("subscription_schedule.completed", schedule, before)
    subscription["schedule"] = None
    if schedule["end_behavior"] == "cancel":
        subscriptions_status.end(ctx, subscription)
    else:
        subscriptions_status.save(ctx, subscription)


JOBS = {PHASE_ENDS: _phase_ends}

_PATH = "subscription_schedules"
ROUTES = (
    Route("POST", _PATH, create, fields.CREATE),
    Route("GET", _PATH, list_all, fields.LIST),
    Route("GET", f"{_PATH}/*", retrieve, common.EXPAND),
    Route("POST", f"{_PATH}/*", update, fields.UPDATE),
    Route("POST", f"{_PATH}/*/release", release, fields.RELEASE),
    Route("POST", f"{_PATH}/*/cancel", cancel, fields.CANCEL),
)
