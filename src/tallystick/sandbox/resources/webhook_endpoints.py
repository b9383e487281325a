"""Webhook endpoints: where events go, signed with a secret that is shown once."""

from urllib.parse import urlsplit

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, Fields, array_of, boolean, metadata, string, unsettable
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json
from tallystick.sandbox.versions import check_version

__all__ = ["ROUTES", "upsert"]

_MAX = 16


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/webhook_endpoints`: the only answer with the `secret`."""
    if not params["enabled_events"]:
        raise invalid("Missing required param: enabled_events.", code="parameter_missing", param="enabled_events")
    version = params.get("api_version")
    if version is not None:
        check_version(version)
    if len(ctx.events.endpoints()) >= _MAX:
        raise invalid(f"You have reached the maximum of {_MAX} test webhook endpoints.")
    endpoint: Json = {
        "id": ctx.ids.long("we_"),
        "object": "webhook_endpoint",
        "api_version": version,
        "application": None,
        "created": ctx.now,
        "description": params.get("description"),
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "status": "enabled",
        "url": _check_url(params["url"]),
    }
    secret = params.get("secret") or ctx.ids.webhook_secret()
    ctx.save(endpoint)
    ctx.store.set_note(endpoint["id"], "secret", secret)
    ctx.events.endpoints_changed()
    return {**endpoint, "secret": secret}


def retrieve(ctx: Context, _params: Json, endpoint_id: str) -> Json:
    """`GET /v1/webhook_endpoints/{id}`."""
    return ctx.require("webhook_endpoint", endpoint_id, param="id")


def update(ctx: Context, params: Json, endpoint_id: str) -> Json:
    """`POST /v1/webhook_endpoints/{id}`; the version cannot be changed."""
    endpoint = ctx.require("webhook_endpoint", endpoint_id, param="id")
    if "url" in params:
        endpoint["url"] = _check_url(params["url"])
    for key in ("description", "enabled_events"):
        if key in params:
            endpoint[key] = params[key]
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    endpoint["metadata"] = common.merge_metadata(endpoint["metadata"], params.get("metadata"))
    ctx.save(endpoint)
    ctx.events.endpoints_changed()
    return endpoint


def delete(ctx: Context, _params: Json, endpoint_id: str) -> Json:
    """`DELETE /v1/webhook_endpoints/{id}`: what was not delivered never will be."""
    endpoint = ctx.require("webhook_endpoint", endpoint_id, param="id")
    endpoint.clear()
    endpoint.update({"id": endpoint_id, "object": "webhook_endpoint", "deleted": True})
    ctx.store.put(endpoint)
    ctx.store.execute("UPDATE deliveries SET state = 'canceled' WHERE endpoint = ? AND state = 'pending'", endpoint_id)
    ctx.events.endpoints_changed()
    return endpoint


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/webhook_endpoints`."""
    return page(ctx, "webhook_endpoint", "/v1/webhook_endpoints", params)


def upsert(ctx: Context, wanted: Json) -> Json:
    """The endpoint of this description (or URL), made or changed, with the secret the caller chose."""
    name, value = ("description", wanted["description"]) if wanted.get("description") else ("url", wanted["url"])
    same = [item for item in page(ctx, "webhook_endpoint", "", {"limit": 100})["data"] if item[name] == value]
    params = {**wanted, "enabled_events": wanted.get("enabled_events") or ["*"]}
    if not same:
        return create(ctx, params)
    endpoint = update(ctx, params, same[0]["id"])
    endpoint["api_version"] = wanted.get("api_version", endpoint["api_version"])
    endpoint["status"] = "enabled"
    ctx.save(endpoint)
    if wanted.get("secret"):
        ctx.store.set_note(endpoint["id"], "secret", wanted["secret"])
    return {**endpoint, "secret": ctx.store.note(endpoint["id"], "secret")}


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
    return url


_FIELDS: Fields = {
    "description": unsettable(string()),
    "enabled_events": array_of(string()),
    "metadata": metadata,
    "url": string(),
    **common.EXPAND,
}
ROUTES = (
    Route(
        "POST",
        "webhook_endpoints",
        create,
        {**_FIELDS, "api_version": string(), "connect": boolean},
        ("url", "enabled_events"),
    ),
    Route("GET", "webhook_endpoints", list_all, LIST_FIELDS),
    Route("GET", "webhook_endpoints/*", retrieve, common.EXPAND),
    Route("POST", "webhook_endpoints/*", update, {**_FIELDS, "disabled": boolean}),
    Route("DELETE", "webhook_endpoints/*", delete),
)
