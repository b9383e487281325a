"""Subscription items: the endpoints beside the subscription's own update."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param, no_such
from tallystick.sandbox.params import LIST_FIELDS, string
from tallystick.sandbox.resources import common, subscriptions_fields, subscriptions_update
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["ROUTES"]

_SHARED = ("off_session", "payment_behavior", "proration_behavior", "proration_date")


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/subscription_items`."""
    subscription = ctx.require("subscription", params["subscription"], param="subscription", status=400)
    known = {item["id"] for item in subscription["items"]["data"]}
    entry = {key: value for key, value in params.items() if key not in (*_SHARED, "expand", "subscription")}
    subscriptions_update.update(ctx, subscription, _change(params, entry))
    made = [item for item in _shown(subscription) if item["id"] not in known]
    return made[0]


def retrieve(ctx: Context, _params: Json, item_id: str) -> Json:
    """`GET /v1/subscription_items/{id}`."""
    return _find(ctx, item_id)[1]


def update(ctx: Context, params: Json, item_id: str) -> Json:
    """`POST /v1/subscription_items/{id}`."""
    subscription, _ = _find(ctx, item_id)
    entry = {key: value for key, value in params.items() if key not in (*_SHARED, "expand")}
    subscriptions_update.update(ctx, subscription, _change(params, {**entry, "id": item_id}))
    return _find(ctx, item_id)[1]


def delete(ctx: Context, params: Json, item_id: str) -> Json:
    """`DELETE /v1/subscription_items/{id}`; the last one cannot go."""
    subscription, _ = _find(ctx, item_id)
    subscriptions_update.update(ctx, subscription, _change(params, {"id": item_id, "deleted": True}))
    return {"id": item_id, "object": "subscription_item", "deleted": True}


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/subscription_items`: of one subscription, oldest first."""
    if "subscription" not in params:
        raise missing_param("subscription")
    subscription = ctx.require("subscription", params["subscription"], param="subscription", status=400)
    items = subscription["items"]["data"]
    if "starting_after" in params and "ending_before" in params:
        raise invalid("Received both starting_after and ending_before parameters. Please pass in only one.")
    ids = [item["id"] for item in items]
    for name in ("starting_after", "ending_before"):
        if name in params:
            if params[name] not in ids:
                raise no_such("subscription_item", params[name], param=name, status=400)
            place = ids.index(params[name])
            items = items[place + 1 :] if name == "starting_after" else items[:place]
    limit = min(max(params.get("limit", 10), 1), 100)
    return list_object("/v1/subscription_items", items[:limit], has_more=len(items) > limit)


def _change(params: Json, entry: Json) -> Json:
    return {"items": [entry], **{key: params[key] for key in _SHARED if key in params}}


def _shown(subscription: Json) -> list[Json]:
    """The items, and those of an update that waits for its payment."""
    update = subscription["pending_update"] or {}
    items: list[Json] = [*subscription["items"]["data"], *(update.get("subscription_items") or [])]
    return items


def _find(ctx: Context, item_id: str) -> tuple[Json, Json]:
    subscription = ctx.find("subscription", ctx.store.note(item_id, "subscription") or "")
    for item in subscription["items"]["data"] if subscription else ():
        if subscription is not None and item["id"] == item_id:
            return subscription, item
    raise no_such("subscription_item", item_id, param="item")


ROUTES = (
    Route("POST", "subscription_items", create, subscriptions_fields.CREATE_ITEM, ("subscription",)),
    Route("GET", "subscription_items", list_all, {**LIST_FIELDS, "subscription": string()}),
    Route("GET", "subscription_items/*", retrieve, common.EXPAND),
    Route("POST", "subscription_items/*", update, subscriptions_fields.UPDATE_ITEM),
    Route("DELETE", "subscription_items/*", delete, subscriptions_fields.DELETE_ITEM),
)
