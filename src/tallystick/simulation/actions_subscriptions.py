"""What users do with subscriptions, and what is done to them in the dashboard."""

from typing import Any
from urllib.parse import urlencode

import aiohttp

from tallystick.simulation.acting import Acting, Action
from tallystick.simulation.book import Order

__all__ = ["SUBSCRIPTION_ACTIONS"]

_SUBSCRIPTIONS = "/api/subscriptions"
_CARDS = ("pm_card_visa", "pm_card_visa", "pm_card_mastercard", "pm_card_chargeCustomerFail")
_SECURE = "pm_card_authenticationRequired"
_NOTHING = "nothing to do it with"


async def _subscribe(it: Acting, **more: Any) -> str:
    body: dict[str, Any] = {
        "price": it.rng.choice(it.world.prices), "quantity": it.rng.randint(1, 3), "metadata": {"step": it.token},
    }  # fmt: skip
    if it.rng.random() < 0.85:
        body["payment_method"] = _SECURE if it.rng.random() < 0.1 else it.rng.choice(_CARDS)
    return await it.order("subscribe", "POST", _SUBSCRIPTIONS, {**body, **more}, token=it.token)


async def _subscribe_now(it: Acting) -> str:
    return await _subscribe(it, trial_period_days=0)


async def _try_out(it: Acting) -> str:
    return await _subscribe(it, trial_period_days=it.rng.choice((1, 5, 14)))


def _choose(it: Acting) -> Order | None:
    """The last subscription that the user knows of; where he has none, somebody else's."""
    newest = {one.user: one for one in it.world.book.of("subscribe") if _id(one)}
    return newest.get(it.user) or (it.rng.choice(list(newest.values())) if newest else None)


def _id(order: Order) -> str | None:
    found: dict[str, Any] = order.answer.get("subscription") or order.answer
    return found.get("id") if found.get("object") == "subscription" else None


async def _act(it: Acting, kind: str, method: str, path: str = "", body: dict[str, Any] | None = None) -> str:
    order = _choose(it)
    if order is None:
        return _NOTHING
    return await it.order(kind, method, f"{_SUBSCRIPTIONS}/{_id(order)}{path}", body, of=order)


async def _change(it: Acting) -> str:
    price, quantity = it.rng.choice(it.world.prices), it.rng.randint(1, 5)
    body: dict[str, Any] = it.rng.choice(
        [
            {"quantity": quantity},
            {"quantity": quantity, "proration_behavior": "always_invoice"},
            {"price": price, "proration_behavior": "always_invoice"},
            {"price": price, "quantity": quantity, "proration_behavior": "always_invoice", "only_if_paid": False},
            {"price": price, "quantity": quantity, "when": "period_end"},
            {"payment_method": it.rng.choice(_CARDS)},
            {"metadata": {"wish": "abc"}},
        ]
    )
    return await _act(it, "change", "PUT", body=body)


async def _preview_and_change(it: Acting) -> str:
    order = _choose(it)
    if order is None:
        return _NOTHING
    wanted = {"quantity": it.rng.randint(1, 5), "proration_behavior": "always_invoice"}
    path = f"{_SUBSCRIPTIONS}/{_id(order)}"
    try:
        shown = await it.world.call("GET", f"{path}/upcoming-invoice?{urlencode(wanted)}", user=order.user)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return f"preview {wanted}: no answer"
    if shown.status != 200:
        return f"preview {wanted}: {shown.status} {shown.body.get('code')}"
    if not shown.body["preview_token"]:
        return f"preview {wanted}: nothing changes"
    return await it.order("change", "PUT", path, {"preview_token": shown.body["preview_token"]}, of=order)


async def _cancel(it: Acting) -> str:
    return await _act(it, "end", "DELETE", body={"when": "now", "reason": "unused"})


async def _cancel_later(it: Acting) -> str:
    return await _act(it, "end later", "DELETE", body={"when": "period_end"})


async def _stay(it: Acting) -> str:
    return await _act(it, "change", "PUT", body={"cancel_at_period_end": False})


async def _pause(it: Acting) -> str:
    return await _act(it, "pause", "POST", "/pause")


async def _resume(it: Acting) -> str:
    return await _act(it, "resume", "POST", "/resume")


async def _pay_an_invoice(it: Acting) -> str:
    order = _choose(it)
    if order is None:
        return _NOTHING
    found: dict[str, Any] = order.answer.get("subscription") or order.answer
    invoices = (await it.world.stripe(f"/v1/invoices?subscription={found['stripe_subscription_id']}&limit=5"))["data"]
    due = [one["id"] for one in invoices if one["status"] == "open"]
    if not due:
        return _NOTHING
    body = {"payment_method": it.rng.choice(_CARDS)} if it.rng.random() < 0.5 else {}
    return await it.order("pay invoice", "POST", f"/api/invoices/{it.rng.choice(due)}/pay", body, of=order)


async def _in_the_dashboard(it: Acting) -> str:
    order = _choose(it)
    if order is None:
        return _NOTHING
    found: dict[str, Any] = order.answer.get("subscription") or order.answer
    path = f"/v1/subscriptions/{found['stripe_subscription_id']}"
    soon = int(it.world.timeline.now().timestamp()) + 40 * 3600
    there = await it.world.stripe(path)
    item = there["items"]["data"][0]["id"]
    form: dict[str, Any] = it.rng.choice(
        [
            {"items[0][id]": item, "items[0][quantity]": it.rng.randint(1, 5)},
            {"items[0][id]": item, "items[0][price]": it.rng.choice(it.world.prices)},
            {"pause_collection[behavior]": "void", "pause_collection[resumes_at]": soon},
            {"pause_collection": ""},
            {"cancel_at_period_end": "true", "metadata[by]": "hand"},
            {"cancel_at": soon},
            {"cancel_at": ""},
            {"trial_end": soon},
            {"billing_cycle_anchor": "now"},
        ]
    )
    done = await it.world.stripe(path, form)
    return f"in the dashboard, {form}: {done.get('status') or done['error']['message']}"


async def _canceled_in_the_dashboard(it: Acting) -> str:
    order = _choose(it)
    if order is None:
        return _NOTHING
    found: dict[str, Any] = order.answer.get("subscription") or order.answer
    done = await it.world.stripe(f"/v1/subscriptions/{found['stripe_subscription_id']}", {}, "DELETE")
    return f"canceled in the dashboard: {done.get('status') or done['error']['message']}"


SUBSCRIPTION_ACTIONS = {
    "subscribe": Action(6, _subscribe_now),
    "try out": Action(5, _try_out),
    "change": Action(7, _change),
    "preview and change": Action(4, _preview_and_change),
    "cancel now": Action(3, _cancel),
    "cancel later": Action(3, _cancel_later),
    "stay": Action(2, _stay),
    "pause": Action(3, _pause),
    "resume": Action(3, _resume),
    "pay an invoice": Action(3, _pay_an_invoice),
    "change in the dashboard": Action(3, _in_the_dashboard),
    "cancel in the dashboard": Action(1, _canceled_in_the_dashboard),
}
