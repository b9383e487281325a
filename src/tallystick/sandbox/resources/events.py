"""The Events API: 30 days of events, as they were rendered when they happened."""

from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, no_such
from tallystick.sandbox.events import RETENTION_S
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, array_of, boolean, string
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["ROUTES", "fresh"]

_SINCE = (
    "o.seq >= coalesce((SELECT seq FROM objects WHERE object = 'event' AND created >= ? "
    "ORDER BY created, seq LIMIT 1), 1 << 62)"
)
_OF_TYPES = (
    "EXISTS (SELECT 1 FROM refs t WHERE t.object = 'event' AND t.field = 'type' AND t.value IN ({}) AND t.seq = o.seq)"
)


def fresh(ctx: Context, event: Json) -> Json:
    """The event with the number of deliveries that are not confirmed now."""
    row = ctx.store.execute(
        "SELECT count(DISTINCT endpoint) FROM deliveries WHERE event = ? AND state IN ('pending', 'dropped')",
        event["id"],
    ).fetchone()
    return {**event, "pending_webhooks": row[0]}


def retrieve(ctx: Context, _params: Json, event_id: str) -> Json:
    """`GET /v1/events/{id}`."""
    event = ctx.find("event", event_id)
    if event is None or event["created"] < ctx.now - RETENTION_S:
        raise no_such("event", event_id, param="id")
    return fresh(ctx, event)


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/events`, newest first; `type` may end in `*`."""
    if "type" in params and "types" in params:
        raise invalid("You may only specify one of these parameters: type, types.")
    if len(params.get("types", [])) > 20:
        raise invalid("You may only specify up to 20 types.", param="types")
    wanted = params.get("type")
    filters: dict[str, str | None] = {}
    extra: list[tuple[str, list[Any]]] = [(_SINCE, [ctx.now - RETENTION_S])]
    if wanted is not None and "*" not in wanted:
        filters["type"] = wanted
    elif wanted is not None or "types" in params:
        types = params.get("types") or _matching(ctx, wanted or "")
        marks = ", ".join("?" * len(types))
        extra.append((_OF_TYPES.format(marks), types))
    for kind, hidden_s in ctx.events.hidden().items():
        extra.append((f"NOT (o.created > ? AND {_OF_TYPES.format('?')})", [ctx.now - hidden_s, kind]))
    if "delivery_success" in params:
        negation = "NOT " if params["delivery_success"] else ""
        extra.append((f"o.seq {negation}IN (SELECT event_seq FROM deliveries WHERE state <> 'delivered')", []))
    found = page(ctx, "event", "/v1/events", params, filters, extra=extra)
    found["data"] = [fresh(ctx, event) for event in found["data"]]
    return found


def _matching(ctx: Context, pattern: str) -> list[str]:
    prefix = pattern.split("*", 1)[0]
    return [kind for kind in ctx.events.types() if kind.startswith(prefix)]


ROUTES = (
    Route(
        "GET",
        "events",
        list_all,
        {**LIST_FIELDS, "type": string(), "types": array_of(string()), "delivery_success": boolean},
    ),
    Route("GET", "events/*", retrieve, common.EXPAND),
)
