"""Customers and their payment methods."""

from collections.abc import Callable

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, no_such
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    array_of,
    boolean,
    email,
    enum,
    hash_of,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import common, customer_balance, discounts, payment_methods, test_clocks
from tallystick.sandbox.routing import Route
from tallystick.sandbox.search import SEARCH_FIELDS, search
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["EXPANDABLE", "INCLUDES", "LEAVING", "ROUTES", "delete"]

LEAVING: list[Callable[[Context, str], None]] = []
"""What happens before a customer is deleted: its subscriptions end."""

EXPANDABLE = frozenset({"default_source", "discount", "invoice_settings.default_payment_method", "test_clock"})

_INVOICE_SETTINGS = hash_of(
    {
        "custom_fields": unsettable(
            array_of(hash_of({"name": string(40), "value": string(140)}, required=("name", "value")))
        ),
        "default_payment_method": unsettable(string()),
        "footer": unsettable(string()),
        "rendering_options": unsettable(anything),
    }
)
_FIELDS: Fields = {
    "address": unsettable(common.ADDRESS),
    "balance": integer(),
    "business_name": unsettable(string(150)),
    "cash_balance": anything,
    "coupon": unsettable(string()),
    "description": unsettable(string()),
    "email": unsettable(email),
    "individual_name": unsettable(string(150)),
    "invoice_prefix": string(12),
    "invoice_settings": _INVOICE_SETTINGS,
    "metadata": metadata,
    "name": unsettable(string(256)),
    "next_invoice_sequence": integer(1),
    "phone": unsettable(string()),
    "preferred_locales": array_of(string()),
    "promotion_code": unsettable(string()),
    "shipping": unsettable(common.SHIPPING),
    "tax": anything,
    "tax_exempt": unsettable(enum("none", "exempt", "reverse")),
    "validate": boolean,
    **common.EXPAND,
}
_CREATE: Fields = {
    **_FIELDS,
    "payment_method": string(),
    "source": string(),
    "tax_id_data": anything,
    "test_clock": string(),
}
_UPDATE: Fields = {**_FIELDS, "default_source": string(), "source": string()}
_PLAIN = (
    "business_name", "description", "email", "individual_name", "invoice_prefix", "name",
    "next_invoice_sequence", "phone", "preferred_locales",
)  # fmt: skip


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/customers`."""
    customer: Json = {
        "id": ctx.ids.short("cus_"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": ctx.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": ctx.ids.characters(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    _refuse_sources(params)
    if "test_clock" in params:
        test_clocks.attach(ctx, params["test_clock"])
        customer["test_clock"] = params["test_clock"]
        customer["created"] = test_clocks.at_customer(ctx, customer).now
    method = None
    if "payment_method" in params:
        method = payment_methods.resolve(ctx, params["payment_method"], param="payment_method")
    _apply(ctx, customer, params, method)
    reduction = discounts.old_params(ctx, params)
    ctx.save(customer)
    ctx.emit("customer.created", customer)
    if reduction:
        discounts.on_customer(ctx, customer, reduction)
        ctx.save(customer)
    if method is not None:
        payment_methods.attach_to(ctx, method, customer["id"])
    return customer


def retrieve(ctx: Context, _params: Json, customer_id: str) -> Json:
    """`GET /v1/customers/{id}`: a deleted customer answers 200 with its stub."""
    found = ctx.store.get(customer_id)
    if found is None or found["object"] != "customer":
        raise no_such("customer", customer_id, param="id")
    return found


def update(ctx: Context, params: Json, customer_id: str) -> Json:
    """`POST /v1/customers/{id}`."""
    customer = ctx.require("customer", customer_id, param="id")
    _refuse_sources(params)
    _apply(ctx, customer, params, None)
    reduction = discounts.old_params(ctx, params)
    if reduction is not None:
        discounts.on_customer(ctx, customer, reduction)
    ctx.save_updated("customer.updated", customer)
    return customer


def delete(ctx: Context, _params: Json, customer_id: str) -> Json:
    """`DELETE /v1/customers/{id}`: detaches its methods; the event has the full customer."""
    customer = ctx.require("customer", customer_id, param="id")
    for leave in LEAVING:
        leave(ctx, customer_id)
    ctx.emit("customer.deleted", customer)
    for method in ctx.store.find("payment_method", "customer", customer_id):
        payment_methods.release(ctx, method)
    stub = {"id": customer_id, "object": "customer", "deleted": True}
    customer.clear()
    customer.update(stub)
    ctx.store.put(customer)
    return customer


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/customers`."""
    filters = {"email": params.get("email"), "test_clock": params.get("test_clock")}
    return page(ctx, "customer", "/v1/customers", params, filters, extra=test_clocks.left_out(params))


def search_customers(ctx: Context, params: Json) -> Json:
    """`GET /v1/customers/search`."""
    return search(ctx, "customer", "/v1/customers/search", params)


def list_methods(ctx: Context, params: Json, customer_id: str) -> Json:
    """`GET /v1/customers/{id}/payment_methods`."""
    ctx.require("customer", customer_id, param="id")
    filters = {"customer": customer_id, "type": params.get("type")}
    return page(ctx, "payment_method", f"/v1/customers/{customer_id}/payment_methods", params, filters)


def retrieve_method(ctx: Context, _params: Json, customer_id: str, method_id: str) -> Json:
    """`GET /v1/customers/{id}/payment_methods/{pm}`."""
    ctx.require("customer", customer_id, param="id")
    method = ctx.require("payment_method", method_id, param="payment_method")
    if method["customer"] != customer_id:
        raise ApiError(404, "Invalid request", param="customer")
    return method


def _apply(ctx: Context, customer: Json, params: Json, method: Json | None) -> None:
    moved = params.get("balance", customer["balance"]) - customer["balance"]
    if moved:
        code = customer["currency"] or ctx.settings.default_currency
        customer_balance.adjust(ctx, customer, moved, "adjustment", code=code)
    for key in _PLAIN:
        if key in params:
            customer[key] = params[key]
    if "address" in params:
        customer["address"] = common.address(params["address"])
    if "shipping" in params:
        customer["shipping"] = common.shipping(params["shipping"])
    if "tax_exempt" in params:
        customer["tax_exempt"] = params["tax_exempt"] or "none"
    customer["metadata"] = common.merge_metadata(customer["metadata"], params.get("metadata"))
    given = params.get("invoice_settings", {})
    default = given.get("default_payment_method")
    if default is not None:
        if method is None:
            method = payment_methods.resolve(ctx, default, param="invoice_settings[default_payment_method]")
        if method["customer"] != customer["id"] and "payment_method" not in params:
            raise ApiError(
                400,
                f"The customer does not have a payment method with the ID {default}. The payment method must "
                "be attached to the customer.",
                code="resource_missing",
                param="invoice_settings[default_payment_method]",
            )
        given = {**given, "default_payment_method": method["id"]}
    customer["invoice_settings"] = {**customer["invoice_settings"], **given}


def _refuse_sources(params: Json) -> None:
    if "source" in params:
        raise ApiError(
            400,
            "Card Token usage on the Customers API and Charges API has reached end of life. "
            "Use PaymentMethods instead.",
        )


def _empty(field: str) -> payment_methods.ListMaker:
    return lambda _ctx, customer: list_object(f"/v1/customers/{customer['id']}/{field}", [])


INCLUDES = {("customer", field): _empty(field) for field in ("sources", "tax_ids")}

_METHOD_LIST: Fields = {
    **LIST_FIELDS,
    "type": string(),
    "allow_redisplay": enum("always", "limited", "unspecified"),
}
ROUTES = (
    Route("POST", "customers", create, _CREATE),
    Route("GET", "customers", list_all, {**LIST_FIELDS, "email": string(), "test_clock": string()}),
    Route("GET", "customers/search", search_customers, SEARCH_FIELDS),
    Route("GET", "customers/*", retrieve, common.EXPAND),
    Route("POST", "customers/*", update, _UPDATE),
    Route("DELETE", "customers/*", delete),
    Route("GET", "customers/*/payment_methods", list_methods, _METHOD_LIST),
    Route("GET", "customers/*/payment_methods/*", retrieve_method, common.EXPAND),
)
