"""Payment methods: cards by number or test token, bank debits, attaching and detaching."""

from collections.abc import Callable
from typing import TypeAlias

from tallystick.sandbox import banks, cards
from tallystick.sandbox.context import Context
from tallystick.sandbox.declines import DECLINES
from tallystick.sandbox.errors import card_error, invalid, no_such
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    enum,
    hash_of,
    integer,
    metadata,
    string,
)
from tallystick.sandbox.resources import common
from tallystick.sandbox.resources import payment_method_details as details_of
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = [
    "DATA",
    "EXPANDABLE",
    "ROUTES",
    "ListMaker",
    "attach_to",
    "build",
    "create_from",
    "instrument",
    "release",
    "resolve",
]

ListMaker: TypeAlias = Callable[[Context, Json], Json]

EXPANDABLE = frozenset({"customer"})

_CARD = hash_of(
    {
        "cvc": string(),
        "exp_month": integer(),
        "exp_year": integer(),
        "number": string(),
        "networks": anything,
        "token": string(),
    }
)
_OTHER_TYPES = (
    "affirm", "alipay", "amazon_pay", "bancontact", "cashapp", "eps", "giropay", "ideal", "klarna", "link",
    "p24", "paypal", "revolut_pay", "sofort", "wechat_pay",
)  # fmt: skip
_DETAILS: Fields = {
    "billing_details": common.BILLING_DETAILS,
    "card": _CARD,
    "sepa_debit": hash_of({"iban": string()}, required=("iban",)),
    "us_bank_account": hash_of(
        {
            "account_holder_type": enum("company", "individual"),
            "account_number": string(),
            "account_type": enum("checking", "savings"),
            "financial_connections_account": string(),
            "routing_number": string(),
        }
    ),
    "allow_redisplay": enum("always", "limited", "unspecified"),
    "metadata": metadata,
    "radar_options": anything,
    **dict.fromkeys(_OTHER_TYPES, anything),
}
_TYPE = enum("card", "us_bank_account", "sepa_debit", *_OTHER_TYPES)
DATA = hash_of({**_DETAILS, "type": _TYPE}, required=("type",))
"""`payment_method_data` of an intent."""

_CREATE: Fields = {**_DETAILS, "type": _TYPE, "customer": string(), "payment_method": string(), **common.EXPAND}
_UPDATE: Fields = {
    "allow_redisplay": enum("always", "limited", "unspecified"),
    "billing_details": common.BILLING_DETAILS,
    "card": hash_of({"exp_month": integer(), "exp_year": integer(), "networks": anything}),
    "metadata": metadata,
    "us_bank_account": anything,
    "link": anything,
    **common.EXPAND,
}


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/payment_methods`; card numbers are taken from a browser and, as here, from a server."""
    if "type" not in params:
        raise invalid("Missing required param: type.", code="parameter_missing", param="type")
    return create_from(ctx, params)


def create_from(ctx: Context, params: Json) -> Json:
    """A new method of these details, stored. Raises as `build`."""
    method = build(ctx, params)
    ctx.save(method)
    return method


def build(ctx: Context, params: Json) -> Json:
    """A method of these details. Raises 402 for a card that is no test card or has wrong data."""
    kind = params["type"]
    makers: dict[str, Callable[[Context, Json], Json]] = {
        "card": details_of.card_details, banks.US: details_of.us_details, banks.SEPA: details_of.sepa_details,
    }  # fmt: skip
    details = makers[kind](ctx, params.get(kind) or {}) if kind in makers else {}
    method = _new(ctx, kind, details, common.billing_details(params.get("billing_details")))
    method["metadata"] = common.merge_metadata({}, params.get("metadata"))
    method["allow_redisplay"] = params.get("allow_redisplay", "unspecified")
    return method


def resolve(ctx: Context, reference: str, *, param: str, status: int = 404) -> Json:
    """The method of an id, or a fresh one for a shared test id such as `pm_card_visa`."""
    if reference.startswith(("pm_card_", "tok_")):
        card = cards.by_token(reference)
        if card is not None:
            method = _new(ctx, "card", details_of.print_card(ctx, card, cvc_given=True), common.billing_details(None))
            ctx.save(method)
            return method
    account = banks.by_token(reference)
    if account is not None:
        billing = common.billing_details({"name": "Jenny Rosen", "email": "jenny.rosen@example.com"})
        method = _new(ctx, account.type, details_of.print_bank(account), billing)
        ctx.save(method)
        return method
    found = ctx.find("payment_method", reference)
    if found is None:
        raise no_such("PaymentMethod", reference, param=param, status=status)
    return found


def instrument(method: Json) -> cards.Card | banks.BankAccount:
    """The test card or account behind a method; Stripe's other kinds behave like the plain Visa card."""
    kind = method["type"]
    if kind in (banks.US, banks.SEPA):
        return banks.by_fingerprint(method[kind]["fingerprint"])
    if kind == "card":
        return cards.by_fingerprint(method["card"]["fingerprint"])
    visa = cards.by_token("visa")
    if visa is None:
        raise LookupError("the table of test cards has no plain Visa")
    return visa


def attach_to(ctx: Context, method: Json, customer_id: str, *, check: bool = True) -> None:
    """Attach; a declining card refuses with 402, as a charge would. Attached already: nothing happens."""
    if method["customer"] == customer_id:
        return
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.")
    refuse_spent(ctx, method)
    source = instrument(method)
    if check and isinstance(source, cards.Card) and not source.attachable:
        decline = DECLINES[source.decline or "generic_decline"]
        raise card_error(decline.message, code=decline.code, param=decline.param or "", details=decline.error_fields())
    method["customer"] = customer_id
    mark_checked(method)
    ctx.save(method)
    ctx.emit("payment_method.attached", method)


def mark_checked(method: Json) -> None:
    """The card's checks have been made: `unchecked` becomes their result."""
    if method["type"] != "card":
        return
    card = instrument(method)
    checks = method["card"]["checks"]
    if isinstance(card, cards.Card):
        if checks["cvc_check"] == "unchecked":
            checks["cvc_check"] = card.cvc if card.decline != "incorrect_cvc" else "fail"
        if method["billing_details"]["address"]["postal_code"]:
            checks["address_postal_code_check"] = card.postal
        if method["billing_details"]["address"]["line1"]:
            checks["address_line1_check"] = card.line1


def refuse_spent(ctx: Context, method: Json) -> None:
    """A method that was used or detached without a customer cannot be used again."""
    if ctx.store.note(method["id"], "spent"):
        raise invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, "
            "shared with a connected account without Customer attachment, or was detached from a Customer. It "
            "may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer "
            "first."
        )


def release(ctx: Context, method: Json) -> None:
    """Detach, for good."""
    before = ctx.store.stored(method["id"])
    customer = ctx.store.get(method["customer"])
    method["customer"] = None
    ctx.save(method)
    ctx.store.set_note(method["id"], "spent", "detached")
    ctx.emit("payment_method.detached", method, before)
    if customer and not customer.get("deleted"):
        settings = customer["invoice_settings"]
        if settings["default_payment_method"] == method["id"]:
            settings["default_payment_method"] = None
            ctx.save_updated("customer.updated", customer)


def retrieve(ctx: Context, _params: Json, method_id: str) -> Json:
    """`GET /v1/payment_methods/{id}`."""
    return resolve(ctx, method_id, param="payment_method")


def update(ctx: Context, params: Json, method_id: str) -> Json:
    """`POST /v1/payment_methods/{id}`: only of an attached method."""
    method = resolve(ctx, method_id, param="payment_method")
    if method["customer"] is None:
        raise invalid(
            "You must save this PaymentMethod to a customer before you can update it.",
        )
    if "billing_details" in params:
        method["billing_details"] = common.billing_details(params["billing_details"], method["billing_details"])
    for key in ("exp_month", "exp_year"):
        if key in params.get("card", {}):
            method["card"][key] = params["card"][key]
    if "allow_redisplay" in params:
        method["allow_redisplay"] = params["allow_redisplay"]
    method["metadata"] = common.merge_metadata(method["metadata"], params.get("metadata"))
    ctx.save_updated("payment_method.updated", method)
    return method


def attach(ctx: Context, params: Json, method_id: str) -> Json:
    """`POST /v1/payment_methods/{id}/attach`."""
    method = resolve(ctx, method_id, param="payment_method")
    customer = ctx.require("customer", params["customer"], param="customer", status=400)
    attach_to(ctx, method, customer["id"])
    return method


def detach(ctx: Context, _params: Json, method_id: str) -> Json:
    """`POST /v1/payment_methods/{id}/detach`."""
    method = resolve(ctx, method_id, param="payment_method")
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
    release(ctx, method)
    return method


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/payment_methods`: empty without a customer."""
    filters = {"customer": params.get("customer"), "type": params.get("type")}
    if filters["customer"] is not None:
        ctx.require("customer", filters["customer"], param="customer", status=400)
    # No method is listed that is not attached; the empty reference matches none.
    return page(ctx, "payment_method", "/v1/payment_methods", params, filters | {"customer": filters["customer"] or ""})


def _new(ctx: Context, kind: str, details: Json, billing: Json) -> Json:
    return {
        "id": ctx.ids.long("pm_"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing,
        "created": ctx.now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "shared_payment_granted_token": None,
        "type": kind,
        kind: details,
    }


ROUTES = (
    Route("POST", "payment_methods", create, _CREATE, publishable=True),
    Route("GET", "payment_methods", list_all, {**LIST_FIELDS, "customer": string(), "type": string()}),
    Route("GET", "payment_methods/*", retrieve, common.EXPAND),
    Route("POST", "payment_methods/*", update, _UPDATE),
    Route("POST", "payment_methods/*/attach", attach, {"customer": string(), **common.EXPAND}, ("customer",)),
    Route("POST", "payment_methods/*/detach", detach, common.EXPAND),
)
