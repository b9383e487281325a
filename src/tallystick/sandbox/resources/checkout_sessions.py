"""Checkout Sessions: the endpoints. `checkout_complete` does what the customer does on the page."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS
from tallystick.sandbox.resources import (
    checkout_complete,
    checkout_lines,
    common,
    discounts,
    intents,
    payment_flow,
    setup_intents,
)
from tallystick.sandbox.resources import checkout_fields as fields
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, clone, encode

__all__ = ["EXPANDABLE", "FOLLOW_UPS", "INCLUDES", "ITEM_EXPANDABLE", "JOBS", "ROUTES", "apply_code"]

EXPANDABLE = frozenset({"customer", "invoice", "payment_intent", "payment_link", "setup_intent", "subscription"})
ITEM_EXPANDABLE = frozenset({"price"})

_SHORTEST_S, _LONGEST_S = 1800, 86400
_DATA = {
    "payment_intent_data": "payment",
    "setup_intent_data": "setup",
    "subscription_data": "subscription",
    "invoice_creation": "payment",
    "submit_type": "payment",
}
"""Parameters that belong to one mode."""


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/checkout/sessions`."""
    mode = params.get("mode")
    if mode is None:
        raise missing_param("mode")
    ui_mode = _ui_mode(ctx, params)
    _check(ctx, params, mode, ui_mode)
    session = _new(ctx, params, mode, ui_mode)
    # What the customer does later happens at this version.
    ctx.store.set_note(session["id"], "version", ctx.version)
    for name in ("payment_intent_data", "subscription_data"):
        if name in params:
            ctx.store.set_note(session["id"], name, encode(params[name]).decode())
    if mode == "setup":
        _begin_setup(ctx, session, params)
    else:
        checkout_lines.build(ctx, params, session)
        checkout_lines.total_up(ctx, session, [])
        for index, entry in enumerate(params.get("discounts", [])[:1]):
            _discount(ctx, session, entry, param=f"discounts[{index}]")
    if "payment_method_types" not in params:
        session["payment_method_types"] = intents.default_types(ctx, session["currency"])
    ctx.save(session)
    ctx.at(session["expires_at"], "checkout_expires", session["id"])
    return session


def retrieve(ctx: Context, _params: Json, session_id: str) -> Json:
    """`GET /v1/checkout/sessions/{id}`."""
    return ctx.require("checkout.session", session_id, param="session")


def update(ctx: Context, params: Json, session_id: str) -> Json:
    """`POST /v1/checkout/sessions/{id}`: metadata; no event tells of it."""
    session = ctx.require("checkout.session", session_id, param="session")
    session["metadata"] = common.merge_metadata(session["metadata"], params.get("metadata"))
    ctx.save(session)
    return session


def expire(ctx: Context, _params: Json, session_id: str) -> Json:
    """`POST /v1/checkout/sessions/{id}/expire`."""
    session = ctx.require("checkout.session", session_id, param="session")
    if session["status"] != "open":
        raise invalid(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status '
            f"of {session['status']}."
        )
    _expire(ctx, session)
    return session


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/checkout/sessions`."""
    filters = {key: params.get(key) for key in ("customer", "payment_intent", "status", "subscription")}
    filters["customer_details.email"] = params.get("customer_details", {}).get("email")
    return page(ctx, "checkout.session", "/v1/checkout/sessions", params, filters)


def list_items(ctx: Context, params: Json, session_id: str) -> Json:
    """`GET /v1/checkout/sessions/{id}/line_items`."""
    session = ctx.require("checkout.session", session_id, param="session")
    return checkout_lines.printed(ctx, session, {"limit": 10, **params})


def apply_code(ctx: Context, session: Json, promotion_code: Json) -> None:
    """The customer typed a code on the page. Raises 400 when it cannot be redeemed."""
    _discount(ctx, session, {"promotion_code": promotion_code["id"]}, param="promotion_code")
    ctx.save(session)


def _ui_mode(ctx: Context, params: Json) -> str:
    known = ctx.behaviour.ui_modes
    asked = params.get("ui_mode", next(iter(known)))
    if asked not in known:
        listed = ", ".join([*known][:-1]) + f", or {[*known][-1]}"
        raise invalid(f"Invalid ui_mode: must be one of {listed}", param="ui_mode")
    return known[asked]


def _check(ctx: Context, params: Json, mode: str, ui_mode: str) -> None:
    for name, wanted in _DATA.items():
        if name in params and mode != wanted:
            raise invalid(f"You can not pass `{name}` in `{mode}` mode.", param=name)
    if mode != "setup" and not params.get("line_items"):
        raise missing_param("line_items")
    if mode == "setup" and "line_items" in params:
        raise invalid("`line_items` is not supported in `setup` mode.", param="line_items")
    for names in (("allow_promotion_codes", "discounts"), ("customer", "customer_email")):
        if all(params.get(name) for name in names):
            raise invalid(f"You may only specify one of these parameters: {', '.join(names)}.")
    if "customer_creation" in params and (mode == "subscription" or "customer" in params):
        where = "`subscription` mode" if mode == "subscription" else "a session that has a `customer`"
        raise invalid(f"`customer_creation` cannot be used in {where}.", param="customer_creation")
    if "customer" in params:
        ctx.require("customer", params["customer"], param="customer", status=400)
    _check_urls(params, ui_mode)
    ends = params.get("expires_at", ctx.now + _LONGEST_S)
    # A request takes a moment to arrive.
    if ends < ctx.now + _SHORTEST_S - 10:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", param="expires_at"
        )
    if ends > ctx.now + _LONGEST_S + 10:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", param="expires_at"
        )
    trial = params.get("subscription_data", {})
    if "trial_end" in trial and trial["trial_end"] < ctx.now + 2 * 86400 - 10:
        raise invalid(
            "The `trial_end` date has to be at least 2 days in the future.", param="subscription_data[trial_end]"
        )


def _check_urls(params: Json, ui_mode: str) -> None:
    if ui_mode == "hosted_page":
        if "success_url" not in params:
            raise missing_param("success_url")
        if "return_url" in params:
            raise invalid("`return_url` can only be used with an embedded `ui_mode`.", param="return_url")
        return
    for name in ("success_url", "cancel_url"):
        if name in params:
            raise invalid(f"`{name}` can not be used when `ui_mode` is not hosted.", param=name)
    if "return_url" not in params and params.get("redirect_on_completion") != "never":
        raise missing_param("return_url")


def _new(ctx: Context, params: Json, mode: str, ui_mode: str) -> Json:
    session_id = f"cs_test_a1{ctx.ids.characters(56)}"
    hosted = ui_mode == "hosted_page"
    customer = ctx.find("customer", params["customer"]) if "customer" in params else None
    email = customer["email"] if customer else params.get("customer_email")
    session: Json = {
        **clone(_CONSTANT),
        "id": session_id,
        "object": "checkout.session",
        "after_expiration": _recovery(params),
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None if hosted else ctx.ids.secret(session_id),
        "created": ctx.now,
        "currency": params.get("currency"),
        "customer": params.get("customer"),
        "customer_creation": _customer_creation(params, mode),
        "customer_details": checkout_complete.details(email) if email else None,
        "customer_email": params.get("customer_email"),
        "expires_at": params.get("expires_at", ctx.now + _LONGEST_S),
        "invoice_creation": _invoice_creation() if mode == "payment" else None,
        "locale": params.get("locale"),
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "mode": mode,
        "payment_method_collection": params.get(
            "payment_method_collection", "if_required" if mode == "payment" else "always"
        ),
        "payment_method_types": params.get("payment_method_types", []),
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "phone_number_collection": {"enabled": params.get("phone_number_collection", {}).get("enabled", False)},
        "status": "open",
        "submit_type": params.get("submit_type"),
        "success_url": params.get("success_url"),
        "ui_mode": ui_mode,
        "url": f"{ctx.base_url}/_sandbox/checkout/{session_id}" if hosted else None,
    }
    if not hosted:
        session["redirect_on_completion"] = params.get("redirect_on_completion", "always")
        if "return_url" in params:
            session["return_url"] = params["return_url"]
    return session


_CONSTANT: Json = {
    "adaptive_pricing": {"enabled": False},
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "custom_fields": [],
    "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
    "discounts": [],
    "livemode": False,
    "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
    "shipping_options": [],
    **dict.fromkeys(
        (
            "amount_subtotal", "amount_total", "collected_information", "consent", "consent_collection",
            "customer_account", "invoice", "origin_context", "payment_intent", "payment_link",
            "payment_method_configuration_details", "permissions", "recovered_from",
            "saved_payment_method_options", "setup_intent", "shipping_address_collection", "shipping_cost",
            "subscription", "total_details", "wallet_options",
        )
    ),
}  # fmt: skip


def _recovery(params: Json) -> Json | None:
    asked = params.get("after_expiration", {}).get("recovery")
    if not asked:
        return None
    allowed = asked.get("allow_promotion_codes", False)
    return {
        "recovery": {
            "allow_promotion_codes": allowed, "enabled": asked["enabled"], "expires_at": None, "url": None,
        }
    }  # fmt: skip


def _customer_creation(params: Json, mode: str) -> str | None:
    if "customer" in params:
        return None
    default = "always" if mode == "subscription" else "if_required"
    creation: str = params.get("customer_creation", default)
    return creation


def _invoice_creation() -> Json:
    keys = ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    return {"enabled": False, "invoice_data": {**dict.fromkeys(keys), "metadata": {}}}


def _begin_setup(ctx: Context, session: Json, params: Json) -> None:
    given = {key: item for key, item in params.get("setup_intent_data", {}).items() if key != "on_behalf_of"}
    types = params.get("payment_method_types") or intents.default_types(ctx, session["currency"])
    intent = setup_intents.create(
        ctx, {**given, "customer": session["customer"], "payment_method_types": types, "usage": "off_session"}
    )
    session["setup_intent"] = intent["id"]


def _discount(ctx: Context, session: Json, entry: Json, *, param: str) -> None:
    redemption = discounts.check(
        ctx, entry, customer=session["customer"], param=param,
        amount=session["amount_subtotal"], currency=session["currency"],
    )  # fmt: skip
    code = redemption.promotion_code
    session["discounts"] = [
        {"coupon": None if code else redemption.coupon["id"], "promotion_code": code["id"] if code else None}
    ]
    checkout_lines.total_up(ctx, session, [redemption.coupon])


def _expire(ctx: Context, session: Json) -> None:
    session["status"] = "expired"
    session["url"] = None
    ctx.save(session)
    ctx.emit("checkout.session.expired", session)
    intent = ctx.find("payment_intent", session["payment_intent"]) if session["payment_intent"] else None
    if intent is not None and intent["status"] in (
        "requires_payment_method",
        "requires_confirmation",
        "requires_action",
    ):
        payment_flow.release(ctx, intent, reason="automatic")


def _expires(ctx: Context, session_id: str, _data: Json) -> None:
    session = ctx.find("checkout.session", session_id)
    if session is not None and session["status"] == "open":
        _expire(ctx, session)


FOLLOW_UPS = checkout_complete.FOLLOW_UPS
INCLUDES = {("checkout.session", "line_items"): checkout_lines.printed}
JOBS = {"checkout_expires": _expires}

ROUTES = (
    Route("POST", "checkout/sessions", create, fields.CREATE),
    Route("GET", "checkout/sessions", list_all, fields.LIST),
    Route("GET", "checkout/sessions/*", retrieve, common.EXPAND),
    Route("POST", "checkout/sessions/*", update, fields.UPDATE),
    Route("POST", "checkout/sessions/*/expire", expire, common.EXPAND),
    Route("GET", "checkout/sessions/*/line_items", list_items, LIST_FIELDS),
)
