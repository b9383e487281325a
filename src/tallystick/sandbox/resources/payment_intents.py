"""PaymentIntents: the endpoints and their rules; `payment_flow` does the paying."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid, missing_param, unexpected_state
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, string
from tallystick.sandbox.resources import (
    charges,
    common,
    confirmation_tokens,
    intents,
    payment_flow,
    payment_methods,
)
from tallystick.sandbox.resources import payment_intent_fields as fields
from tallystick.sandbox.resources import payment_intent_rules as rules
from tallystick.sandbox.routing import Route
from tallystick.sandbox.search import SEARCH_FIELDS, search
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "ROUTES", "for_invoice"]

EXPANDABLE = frozenset({"customer", "latest_charge", "payment_method", "review"})

_CANCELABLE = (
    "requires_payment_method", "requires_capture", "requires_reauthorization", "requires_confirmation",
    "requires_action", "expired", "processing",
)  # fmt: skip
_PLAIN = (
    "description", "receipt_email", "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix",
    "transfer_group",
)  # fmt: skip


def for_invoice(ctx: Context, invoice_id: str, params: Json) -> Json:
    """The PaymentIntent of an invoice: stored without its event, and canceled only with the invoice."""
    intent = _new(ctx, params)
    intent["_"] = {"invoice": invoice_id}
    intent["capture_method"] = "automatic"
    intent["description"] = params.get("description")
    ctx.save(intent)
    return intent


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/payment_intents`; with `confirm=true` also the first attempt."""
    for name in ("amount", "currency"):
        if name not in params:
            raise missing_param(name)
    rules.check_amount(params["amount"], params["currency"])
    if params.get("off_session") and not params.get("confirm"):
        raise invalid("`off_session` can only be passed when `confirm=true`.", param="off_session")
    params = confirmation_tokens.redeem(ctx, params)
    if params.get("customer"):
        ctx.require("customer", params["customer"], param="customer", status=400)
    intent = _new(ctx, params)
    method = intents.given_method(ctx, params)
    if method is not None:
        rules.check_owner(method, intent["customer"])
    if params.get("confirm"):
        ctx.save(intent)
        ctx.emit("payment_intent.created", intent)
        return _confirm(ctx, intent, method, params)
    if method is not None:
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_confirmation"
    ctx.save(intent)
    ctx.emit("payment_intent.created", intent)
    return intent


def retrieve(ctx: Context, params: Json, intent_id: str) -> Json:
    """`GET /v1/payment_intents/{id}`."""
    return _find(ctx, intent_id, params)


def update(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/payment_intents/{id}`."""
    intent = _find(ctx, intent_id, params)
    if intent["status"] not in rules.CONFIRMABLE:
        rules.refuse_update(intent, params)
    if "amount" in params or "currency" in params:
        for key in ("amount", "currency"):
            intent[key] = params.get(key, intent[key])
        rules.check_amount(intent["amount"], intent["currency"])
    if params.get("customer"):
        ctx.require("customer", params["customer"], param="customer", status=400)
        intent["customer"] = params["customer"]
    _apply(intent, params)
    method = intents.given_method(ctx, params)
    if method is not None:
        rules.check_owner(method, intent["customer"])
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_confirmation"
        intent["next_action"] = None
    if intent["status"] in rules.CONFIRMABLE:
        intent["last_payment_error"] = None
    ctx.save(intent)
    return intent


def confirm(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/payment_intents/{id}/confirm`."""
    intent = _find(ctx, intent_id, params)
    intents.check_browser(ctx, params)
    if intent["status"] not in rules.CONFIRMABLE:
        raise unexpected_state(rules.not_confirmable(intent["status"]), intent)
    params = confirmation_tokens.redeem(ctx, params)
    method = intents.given_method(ctx, params)
    if method is None and intent["payment_method"]:
        method = ctx.find("payment_method", intent["payment_method"])
    _apply(intent, params)
    return _confirm(ctx, intent, method, params)


def source_cancel(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/payment_intents/{id}/source_cancel`: how Stripe.js says that the customer closed the challenge."""
    intent = _find(ctx, intent_id, params)
    if intent["status"] != "requires_action":
        raise unexpected_state(f"This PaymentIntent has a status of {intent['status']}: nothing waits.", intent)
    payment_flow.authenticate(ctx, intent, success=False)
    return intent


def capture(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/payment_intents/{id}/capture`."""
    intent = _find(ctx, intent_id, params)
    return _capture(ctx, intent, params)


def capture_charge(ctx: Context, params: Json, charge_id: str) -> Json:
    """`POST /v1/charges/{id}/capture`: the old way to the same."""
    charge = ctx.require("charge", charge_id, param="id")
    if charge["captured"]:
        raise invalid(f"Charge {charge_id} has already been captured.", code="charge_already_captured")
    intent = ctx.require("payment_intent", charge["payment_intent"], param="intent")
    asked = {"amount_to_capture": params["amount"]} if "amount" in params else {}
    _capture(ctx, intent, asked)
    return charge


def cancel(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/payment_intents/{id}/cancel`."""
    intent = _find(ctx, intent_id, params)
    if intent["status"] not in _CANCELABLE:
        raise unexpected_state(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a "
            "PaymentIntent with one of the following statuses may be canceled: " + ", ".join(_CANCELABLE) + ".",
            intent,
        )
    if "_" in intent:
        raise unexpected_state(
            "You cannot cancel this PaymentIntent because it was created by an invoice. Void the invoice instead.",
            intent,
        )
    payment_flow.release(ctx, intent, reason=params.get("cancellation_reason"))
    return intent


def increment(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/payment_intents/{id}/increment_authorization`: no test card online allows it."""
    intent = _find(ctx, intent_id, params)
    raise unexpected_state(
        "This PaymentIntent is not eligible for incremental authorization: its charge does not support it.",
        intent,
    )


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/payment_intents`."""
    return page(ctx, "payment_intent", "/v1/payment_intents", params, {"customer": params.get("customer")})


def search_intents(ctx: Context, params: Json) -> Json:
    """`GET /v1/payment_intents/search`."""
    return search(ctx, "payment_intent", "/v1/payment_intents/search", params)


def _find(ctx: Context, intent_id: str, params: Json) -> Json:
    intent = ctx.require("payment_intent", intent_id, param="intent")
    intents.check_secret(ctx, intent, params)
    return intent


def _new(ctx: Context, params: Json) -> Json:
    intent_id = ctx.ids.payment()
    types = params.get("payment_method_types")
    automatic = params.get("automatic_payment_methods", {})
    dynamic = types is None and automatic.get("enabled", True)
    if types is None:
        types = intents.default_types(ctx, params["currency"])
    intent: Json = {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": params["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": {
            "allow_redirects": automatic.get("allow_redirects", "always"), "enabled": True,
        } if dynamic else None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.get("capture_method", ctx.behaviour.capture_method),
        "client_secret": ctx.ids.secret(intent_id),
        "confirmation_method": params.get("confirmation_method", "automatic"),
        "created": ctx.now,
        "currency": params["currency"],
        "customer": params.get("customer"),
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": params.get("excluded_payment_method_types"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": {
            "id": ctx.ids.long("pmc_"), "parent": None,
        } if dynamic else None,
        "payment_method_options": intents.method_options(types),
        "payment_method_types": types,
        "payment_record": None,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shared_payment_granted_token": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }  # fmt: skip
    _apply(intent, params)
    return intent


def _apply(intent: Json, params: Json) -> None:
    for key in _PLAIN:
        if key in params:
            intent[key] = params[key]
    if "shipping" in params:
        intent["shipping"] = common.shipping(params["shipping"], with_carrier=True)
    if "payment_method_types" in params:
        intent["payment_method_types"] = params["payment_method_types"]
    if "capture_method" in params:
        intent["capture_method"] = params["capture_method"]
    for kind, options in (params.get("payment_method_options") or {}).items():
        if options and isinstance(options, dict):
            old = intent["payment_method_options"].get(kind) or {}
            intent["payment_method_options"][kind] = {**old, **options}
    intent["metadata"] = common.merge_metadata(intent["metadata"], params.get("metadata"))


def _confirm(ctx: Context, intent: Json, method: Json | None, params: Json) -> Json:
    if method is None:
        raise unexpected_state(rules.missing_method(intent), ctx.store.stored(intent["id"]))
    rules.check_owner(method, intent["customer"], ctx.store.stored(intent["id"]))
    if method["type"] not in intent["payment_method_types"]:
        raise invalid(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. Please attempt "
            "to pay with another payment method type, or update the allowed types of the PaymentIntent.",
            code="payment_intent_incompatible_payment_method", param="payment_method",
        )  # fmt: skip
    if method["customer"] is None:
        payment_methods.refuse_spent(ctx, method)
    automatic = intent["automatic_payment_methods"]
    off_session = bool(params.get("off_session"))
    redirects = automatic is not None and automatic["allow_redirects"] != "never"
    if redirects and not (params.get("return_url") or off_session or ctx.publishable):
        raise invalid(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some "
            "of these payment methods might redirect your customer off of your page, you must provide a "
            "`return_url`. If you don't want to accept redirect-based payment methods, set "
            "`automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to "
            "`never` when creating Setup Intents and Payment Intents."
        )
    confirmation_tokens.used_by(ctx, params, intent)
    options = payment_flow.Attempt(
        off_session=off_session,
        error_on_requires_action=bool(params.get("error_on_requires_action")),
        return_url=params.get("return_url"),
        use_stripe_sdk=bool(params.get("use_stripe_sdk")),
    )
    error = payment_flow.attempt(ctx, intent, method, options)
    if error is not None:
        raise error
    return intent


def _capture(ctx: Context, intent: Json, params: Json) -> Json:
    amount = params.get("amount_to_capture")
    if amount is not None and amount < 0:
        raise invalid("Invalid non-negative integer", param="amount_to_capture")
    if intent["status"] != "requires_capture":
        if intent["status"] == "succeeded" and intent["amount_received"] < intent["amount"]:
            raise unexpected_state(
                "The remaining amount on this PaymentIntent could not be captured because the remainder of the "
                "authorized amount has been released.",
                intent,
            )
        raise unexpected_state(
            f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a "
            "PaymentIntent with one of the following statuses may be captured: requires_capture.",
            intent,
        )
    if amount == 0:
        raise ApiError(
            400, "This value must be greater than or equal to 1.",
            code="parameter_invalid_integer", param="amount", details={"payment_intent": intent},
        )  # fmt: skip
    amount = intent["amount_capturable"] if amount is None else amount
    if amount > intent["amount_capturable"]:
        raise ApiError(
            400,
            "The payment could not be captured because the requested capture amount is greater than the amount "
            "you can capture for this charge. Contact us via https://support.stripe.com/contact/ for help.",
            code="amount_too_large", executed=True, details={"payment_intent": intent},
        )  # fmt: skip
    intent["metadata"] = common.merge_metadata(intent["metadata"], params.get("metadata"))
    payment_flow.capture(ctx, intent, charges.charge_of(ctx, intent), amount)
    return intent


ROUTES = (
    Route("POST", "payment_intents", create, fields.CREATE),
    Route("GET", "payment_intents", list_all, {**LIST_FIELDS, "customer": string()}),
    Route("GET", "payment_intents/search", search_intents, SEARCH_FIELDS),
    Route("GET", "payment_intents/*", retrieve, {**common.EXPAND, **fields.SECRET}, publishable=True),
    Route("POST", "payment_intents/*", update, fields.UPDATE),
    Route("POST", "payment_intents/*/confirm", confirm, fields.CONFIRM, publishable=True),
    Route("POST", "payment_intents/*/source_cancel", source_cancel, fields.SOURCE_CANCEL, publishable=True),
    Route("POST", "payment_intents/*/capture", capture, fields.CAPTURE),
    Route("POST", "payment_intents/*/cancel", cancel, fields.CANCEL),
    Route("POST", "payment_intents/*/increment_authorization", increment, fields.INCREMENT),
    Route("POST", "charges/*/capture", capture_charge, fields.CAPTURE_CHARGE),
)
