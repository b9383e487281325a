"""Entitlements: features, the products they come with, and what a customer's subscriptions entitle to."""

from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, no_such
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, Fields, boolean, metadata, string
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, decode, encode, list_object

__all__ = ["EXPANDABLE", "FOLLOW_UPS", "ROUTES", "sync"]

EXPANDABLE = frozenset({"feature"})
_FEATURE, _LINK, _ACTIVE = "entitlements.feature", "product_feature", "entitlements.active_entitlement"
_ENTITLING = ("active", "trialing", "past_due")
_SHOWN = 10

_CREATE: Fields = {"lookup_key": string(80), "metadata": metadata, "name": string(80), **common.EXPAND}
_UPDATE: Fields = {"active": boolean, "metadata": metadata, "name": string(80), **common.EXPAND}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/entitlements/features`."""
    if ctx.store.find(_FEATURE, "lookup_key", params["lookup_key"]):
        raise invalid(
            f"A feature with lookup_key `{params['lookup_key']}` already exists.",
            code="resource_already_exists", param="lookup_key",
        )  # fmt: skip
    feature: Json = {
        "id": f"feat_test_61{ctx.ids.characters(30)}",
        "object": _FEATURE,
        "active": True,
        "livemode": False,
        "lookup_key": params["lookup_key"],
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "name": params["name"],
    }
    ctx.save(feature)
    return feature


def retrieve(ctx: Context, _params: Json, feature_id: str) -> Json:
    """`GET /v1/entitlements/features/{id}`."""
    return ctx.require(_FEATURE, feature_id, param="id")


def update(ctx: Context, params: Json, feature_id: str) -> Json:
    """`POST /v1/entitlements/features/{id}`."""
    feature = ctx.require(_FEATURE, feature_id, param="id")
    for key in ("active", "name"):
        if key in params:
            feature[key] = params[key]
    feature["metadata"] = common.merge_metadata(feature["metadata"], params.get("metadata"))
    ctx.save(feature)
    return feature


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/entitlements/features`."""
    archived = params.get("archived")
    filters = {
        "lookup_key": params.get("lookup_key"),
        "active": None if archived is None else common.flag(not archived),
    }
    return page(ctx, _FEATURE, "/v1/entitlements/features", params, filters)


def attach(ctx: Context, params: Json, product_id: str) -> Json:
    """`POST /v1/products/{id}/features`: the product comes with this feature from now on."""
    ctx.require("product", product_id, param="product")
    feature = ctx.require(_FEATURE, params["entitlement_feature"], param="entitlement_feature", status=400)
    known = _links(ctx, product_id)
    if any(link["entitlement_feature"]["id"] == feature["id"] for link in known):
        raise invalid("This feature is already attached to the product.", code="resource_already_exists")
    link: Json = {
        "id": ctx.ids.long("prodft_"),
        "object": _LINK,
        "entitlement_feature": dict(feature),
        "livemode": False,
    }
    ctx.save(link)
    _note_ids(ctx, product_id, "features", [*(item["id"] for item in known), link["id"]])
    ctx.store.set_meta("product_features", "used")
    return link


def list_links(ctx: Context, params: Json, product_id: str) -> Json:
    """`GET /v1/products/{id}/features`."""
    ctx.require("product", product_id, param="product")
    return _page(ctx, _LINK, f"/v1/products/{product_id}/features", params, _noted_ids(ctx, product_id, "features"))


def retrieve_link(ctx: Context, _params: Json, product_id: str, link_id: str) -> Json:
    """`GET /v1/products/{id}/features/{id}`."""
    if link_id not in _noted_ids(ctx, product_id, "features"):
        raise no_such(_LINK, link_id, param="id")
    return ctx.require(_LINK, link_id, param="id")


def detach(ctx: Context, params: Json, product_id: str, link_id: str) -> Json:
    """`DELETE /v1/products/{id}/features/{id}`."""
    link = retrieve_link(ctx, params, product_id, link_id)
    rest = [item for item in _noted_ids(ctx, product_id, "features") if item != link_id]
    _note_ids(ctx, product_id, "features", rest)
    return common.delete(ctx, link)


def list_active(ctx: Context, params: Json) -> Json:
    """`GET /v1/entitlements/active_entitlements`."""
    customer = params["customer"]
    ctx.require("customer", customer, param="customer", status=400)
    return _page(ctx, _ACTIVE, "/v1/entitlements/active_entitlements", params, _active_ids(ctx, customer))


def retrieve_active(ctx: Context, _params: Json, entitlement_id: str) -> Json:
    """`GET /v1/entitlements/active_entitlements/{id}`."""
    return ctx.require(_ACTIVE, entitlement_id, param="id")


def sync(ctx: Context, customer: str) -> None:
    """Bring a customer's entitlements up to date with the subscriptions; a change makes the summary's event."""
    old = _active_ids(ctx, customer)
    by_feature = {}
    for entitlement_id in old:
        entitlement = ctx.require(_ACTIVE, entitlement_id, param="id")
        by_feature[entitlement["feature"]] = entitlement
    wanted = _entitled_features(ctx, customer)
    if wanted.keys() == by_feature.keys():
        return
    before = _summary(ctx, customer, old)
    new = []
    for feature_id, feature in wanted.items():
        known = by_feature.pop(feature_id) if feature_id in by_feature else _entitle(ctx, feature)
        new.append(known["id"])
    _note_ids(ctx, customer, "entitlements", new)
    # The snapshot is made before what ended is gone.
    ctx.emit("entitlements.active_entitlement_summary.updated", _summary(ctx, customer, new), before)
    for gone in by_feature.values():
        common.delete(ctx, gone)


def _entitle(ctx: Context, feature: Json) -> Json:
    entitlement: Json = {
        "id": f"ent_test_61{ctx.ids.characters(30)}",
        "object": _ACTIVE,
        "feature": feature["id"],
        "livemode": False,
        "lookup_key": feature["lookup_key"],
    }
    ctx.save(entitlement)
    return entitlement


def _entitled_features(ctx: Context, customer: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for subscription in ctx.store.find("subscription", "customer", customer):
        if subscription["status"] not in _ENTITLING:
            continue
        for product_id in _products(ctx, subscription):
            for link in _links(ctx, product_id):
                feature = ctx.find(_FEATURE, link["entitlement_feature"]["id"])
                if feature is not None and feature["active"]:
                    found[feature["id"]] = feature
    return found


def _products(ctx: Context, subscription: Json) -> list[str]:
    products = []
    for item in subscription["items"]["data"]:
        price = item["price"] if isinstance(item["price"], dict) else ctx.store.get(item["price"])
        if price is not None:
            product = price["product"]
            products.append(product["id"] if isinstance(product, dict) else product)
    return products


def _summary(ctx: Context, customer: str, ids: list[str]) -> Json:
    url = f"/v1/customer/{customer}/entitlements"
    return {
        "object": "entitlements.active_entitlement_summary",
        "customer": customer,
        "entitlements": list_object(
            url, [dict(ctx.store.get(item) or {}) for item in ids[:_SHOWN]], has_more=len(ids) > _SHOWN
        ),
        "livemode": False,
    }


def _active_ids(ctx: Context, customer: str) -> list[str]:
    return _noted_ids(ctx, customer, "entitlements")


def _links(ctx: Context, product_id: str) -> list[Json]:
    found = [ctx.find(_LINK, item) for item in _noted_ids(ctx, product_id, "features")]
    return [link for link in found if link is not None]


def _noted_ids(ctx: Context, owner: str, name: str) -> list[str]:
    ids: list[str] = decode(ctx.store.note(owner, name) or "[]")
    return ids


def _note_ids(ctx: Context, owner: str, name: str, ids: list[str]) -> None:
    ctx.store.set_note(owner, name, encode(ids).decode())


def _page(ctx: Context, kind: str, url: str, params: Json, ids: list[str]) -> Json:
    extra: list[tuple[str, list[Any]]] = [(f"o.id IN ({', '.join('?' * len(ids)) or 'NULL'})", ids)]
    return page(ctx, kind, url, params, extra=extra)


def _changed(ctx: Context, subscription: Json) -> None:
    if ctx.store.meta("product_features") is None:
        return
    customer = subscription["customer"]
    sync(ctx, customer["id"] if isinstance(customer, dict) else customer)


FOLLOW_UPS = dict.fromkeys(
    (
        "customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
        "customer.subscription.paused", "customer.subscription.resumed",
    ),
    _changed,
)  # fmt: skip

ROUTES = (
    Route("POST", "entitlements/features", create, _CREATE, ("lookup_key", "name")),
    Route(
        "GET", "entitlements/features", list_all, {**LIST_FIELDS, "archived": boolean, "lookup_key": string()}
    ),
    Route("GET", "entitlements/features/*", retrieve, common.EXPAND),
    Route("POST", "entitlements/features/*", update, _UPDATE),
    Route(
        "POST", "products/*/features", attach, {"entitlement_feature": string(), **common.EXPAND},
        ("entitlement_feature",),
    ),
    Route("GET", "products/*/features", list_links, LIST_FIELDS),
    Route("GET", "products/*/features/*", retrieve_link, common.EXPAND),
    Route("DELETE", "products/*/features/*", detach),
    Route(
        "GET", "entitlements/active_entitlements", list_active, {**LIST_FIELDS, "customer": string()}, ("customer",)
    ),
    Route("GET", "entitlements/active_entitlements/*", retrieve_active, common.EXPAND),
)  # fmt: skip
