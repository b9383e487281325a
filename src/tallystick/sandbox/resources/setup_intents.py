"""SetupIntents and their attempts: saving a method without paying."""

from collections.abc import Callable

from tallystick.sandbox import cards
from tallystick.sandbox.cards import ThreeDs
from tallystick.sandbox.context import Context
from tallystick.sandbox.declines import DECLINES
from tallystick.sandbox.errors import ApiError, card_error, doc_url, invalid, unexpected_state
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    anything,
    array_of,
    boolean,
    enum,
    hash_of,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import (
    common,
    confirmation_tokens,
    intents,
    payment_flow,
    payment_methods,
    setup_attempts,
)
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "FOLLOWERS", "ROUTES", "authenticate", "create"]

FOLLOWERS: list[Callable[[Context, Json], None]] = []
"""Told of a SetupIntent that succeeded."""

EXPANDABLE = frozenset({"customer", "latest_attempt", "mandate", "payment_method", "single_use_mandate"})

_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
_FAILED_AUTHENTICATION = "The latest attempt to set up the payment method has failed because authentication failed."


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/setup_intents`."""
    if params.get("customer"):
        ctx.require("customer", params["customer"], param="customer", status=400)
    params = confirmation_tokens.redeem(ctx, params)
    intent = _new(ctx, params)
    method = intents.given_method(ctx, params)
    if method is not None:
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_confirmation"
    ctx.save(intent)
    ctx.emit("setup_intent.created", intent)
    if params.get("confirm"):
        return _confirm(ctx, intent, method, params)
    return intent


def retrieve(ctx: Context, params: Json, intent_id: str) -> Json:
    """`GET /v1/setup_intents/{id}`."""
    return _find(ctx, intent_id, params)


def update(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/setup_intents/{id}`."""
    intent = _find(ctx, intent_id, params)
    if params.get("customer"):
        ctx.require("customer", params["customer"], param="customer", status=400)
        intent["customer"] = params["customer"]
    if "description" in params:
        intent["description"] = params["description"]
    intent["metadata"] = common.merge_metadata(intent["metadata"], params.get("metadata"))
    method = intents.given_method(ctx, params)
    if method is not None:
        if intent["status"] not in _OPEN:
            raise unexpected_state(_refusal("update", intent), intent)
        intent["payment_method"] = method["id"]
        intent["status"] = "requires_confirmation"
    ctx.save(intent)
    return intent


def confirm(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/setup_intents/{id}/confirm`."""
    intent = _find(ctx, intent_id, params)
    intents.check_browser(ctx, params)
    if intent["status"] not in _OPEN:
        raise unexpected_state(_refusal("confirm", intent), intent)
    params = confirmation_tokens.redeem(ctx, params)
    method = intents.given_method(ctx, params)
    if method is None and intent["payment_method"]:
        method = ctx.find("payment_method", intent["payment_method"])
    return _confirm(ctx, intent, method, params)


def source_cancel(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/setup_intents/{id}/source_cancel`: how Stripe.js says that the customer closed the challenge."""
    intent = _find(ctx, intent_id, params)
    if intent["status"] != "requires_action":
        raise unexpected_state(f"This SetupIntent has a status of {intent['status']}: nothing waits.", intent)
    authenticate(ctx, intent, success=False)
    return intent


def cancel(ctx: Context, params: Json, intent_id: str) -> Json:
    """`POST /v1/setup_intents/{id}/cancel`."""
    intent = _find(ctx, intent_id, params)
    if intent["status"] not in _OPEN:
        raise unexpected_state(_refusal("cancel", intent), intent)
    intent["status"] = "canceled"
    intent["cancellation_reason"] = params.get("cancellation_reason")
    intent["next_action"] = None
    ctx.save(intent)
    ctx.emit("setup_intent.canceled", intent)
    return intent


def authenticate(ctx: Context, intent: Json, *, success: bool) -> ApiError | None:
    """The customer completed or failed the challenge."""
    method = ctx.require("payment_method", intent["payment_method"], param="payment_method")
    if success:
        return _finish(ctx, intent, method, challenged=True)
    return _fail(
        ctx, intent, method,
        {"code": "setup_intent_authentication_failure", "message": _FAILED_AUTHENTICATION,
         "type": "invalid_request_error"},
    )  # fmt: skip


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/setup_intents`."""
    filters = {key: params.get(key) for key in ("customer", "payment_method")}
    return page(ctx, "setup_intent", "/v1/setup_intents", params, filters)


def _find(ctx: Context, intent_id: str, params: Json) -> Json:
    intent = ctx.require("setup_intent", intent_id, param="intent")
    intents.check_secret(ctx, intent, params)
    return intent


def _new(ctx: Context, params: Json) -> Json:
    intent_id = ctx.ids.long("seti_")
    types = params.get("payment_method_types")
    automatic = params.get("automatic_payment_methods", {})
    dynamic = types is None and automatic.get("enabled", True)
    types = types or intents.default_types(ctx, None)
    return {
        "id": intent_id,
        "object": "setup_intent",
        "allowed_payment_method_types": None,
        "application": None,
        "automatic_payment_methods": {
            "allow_redirects": automatic.get("allow_redirects", "always"), "enabled": True,
        } if dynamic else None,
        "cancellation_reason": None,
        "client_secret": ctx.ids.secret(intent_id),
        "created": ctx.now,
        "customer": params.get("customer"),
        "customer_account": None,
        "description": params.get("description"),
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "mandate": None,
        "metadata": common.merge_metadata({}, params.get("metadata")),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": {
            "id": ctx.ids.long("pmc_"), "parent": None,
        } if dynamic else None,
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": types,
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": params.get("usage", "off_session"),
    }  # fmt: skip


def _confirm(ctx: Context, intent: Json, method: Json | None, params: Json) -> Json:
    if method is None:
        raise unexpected_state(
            "You cannot confirm this SetupIntent because it's missing a payment method. You can either update the "
            "SetupIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
            intent,
        )
    if method["customer"] is None:
        payment_methods.refuse_spent(ctx, method)
    automatic = intent["automatic_payment_methods"]
    redirects = automatic is not None and automatic["allow_redirects"] != "never"
    if redirects and not (params.get("return_url") or ctx.publishable):
        raise invalid(
            "This SetupIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
            "these payment methods might redirect your customer off of your page, you must provide a "
            "`return_url`. If you don't want to accept redirect-based payment methods, set "
            "`automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to "
            "`never` when creating Setup Intents and Payment Intents."
        )
    confirmation_tokens.used_by(ctx, params, intent)
    intent["payment_method"] = method["id"]
    intent["last_setup_error"] = None
    card = payment_methods.instrument(method)
    if (
        isinstance(card, cards.Card)
        and card.three_ds is not ThreeDs.ON_SESSION
        and payment_flow.needs_challenge(ctx, method, card, off_session=False)
    ):
        options = payment_flow.Attempt(
            return_url=params.get("return_url"), use_stripe_sdk=bool(params.get("use_stripe_sdk"))
        )
        intent["status"] = "requires_action"
        intent["next_action"] = payment_flow.challenge_action(ctx, intent, options)
        ctx.save(intent)
        ctx.emit("setup_intent.requires_action", intent)
        return intent
    error = _finish(ctx, intent, method, challenged=False)
    if error is not None:
        raise error
    return intent


def _finish(ctx: Context, intent: Json, method: Json, *, challenged: bool) -> ApiError | None:
    card = payment_methods.instrument(method)
    payment_methods.mark_checked(method)
    if isinstance(card, cards.Card) and card.decline and not card.attachable:
        decline = DECLINES[card.decline]
        error = {
            "code": decline.code,
            "message": decline.message,
            "type": "card_error",
            **decline.error_fields(),
        }
        return _fail(ctx, intent, method, error)
    setup_attempts.record(ctx, intent, method, "succeeded", None, challenged=challenged)
    intent["status"] = "succeeded"
    intent["next_action"] = None
    ctx.save(intent)
    ctx.emit("setup_intent.succeeded", intent)
    if intent["customer"] and method["customer"] is None:
        payment_methods.attach_to(ctx, method, intent["customer"])
    else:
        ctx.save(method)
    if challenged and intent["usage"] == "off_session":
        ctx.store.set_note(method["id"], "set_up", "yes")
    for follow in FOLLOWERS:
        follow(ctx, intent)
    return None


def _fail(ctx: Context, intent: Json, method: Json, error: Json) -> ApiError:
    ctx.save(method)
    error = {**error, "doc_url": doc_url(error["code"]), "payment_method": method}
    setup_attempts.record(ctx, intent, method, "failed", error, challenged=False)
    intent["status"] = "requires_payment_method"
    intent["payment_method"] = None
    intent["next_action"] = None
    intent["last_setup_error"] = error
    ctx.save(intent)
    ctx.emit("setup_intent.setup_failed", intent)
    details: Json = {"payment_method": method, "setup_intent": intent}
    details |= {key: error[key] for key in ("advice_code", "decline_code", "network_decline_code") if key in error}
    return card_error(error["message"], code=error["code"], details=details)


def _refusal(action: str, intent: Json) -> str:
    verb = {"confirm": "confirmed", "cancel": "canceled", "update": "updated"}[action]
    if action == "confirm" and intent["status"] == "succeeded":
        return "You cannot confirm this SetupIntent because it has already succeeded after being previously confirmed."
    return (
        f"You cannot {action} this SetupIntent because it has a status of {intent['status']}. Only a SetupIntent "
        f"with one of the following statuses may be {verb}: {', '.join(_OPEN)}."
    )


_OPTIONS: Fields = {
    "description": unsettable(string()),
    "metadata": metadata,
    "payment_method": string(),
    "payment_method_data": payment_methods.DATA,
    "payment_method_options": intents.METHOD_OPTIONS,
    "excluded_payment_method_types": anything,
    "flow_directions": anything,
    "attach_to_self": boolean,
    **common.EXPAND,
}
_CONFIRM: Fields = {
    **common.EXPAND,
    "client_secret": string(),
    "confirmation_token": string(),
    "mandate_data": anything,
    "payment_method": string(),
    "payment_method_data": payment_methods.DATA,
    "payment_method_options": intents.METHOD_OPTIONS,
    "return_url": string(),
    "use_stripe_sdk": boolean,
}
ROUTES = (
    Route(
        "POST",
        "setup_intents",
        create,
        {
            **_OPTIONS,
            "automatic_payment_methods": hash_of(
                {"enabled": boolean, "allow_redirects": enum("always", "never")}, required=("enabled",)
            ),
            "confirm": boolean,
            "confirmation_token": string(),
            "customer": string(),
            "mandate_data": anything,
            "on_behalf_of": string(),
            "payment_method_configuration": string(),
            "payment_method_types": array_of(string()),
            "return_url": string(),
            "single_use": anything,
            "usage": enum("off_session", "on_session"),
            "use_stripe_sdk": boolean,
        },
    ),
    Route(
        "GET",
        "setup_intents",
        list_all,
        {**LIST_FIELDS, "customer": string(), "payment_method": string(), "attach_to_self": boolean},
    ),
    Route("GET", "setup_intents/*", retrieve, {**common.EXPAND, "client_secret": string()}, publishable=True),
    Route(
        "POST",
        "setup_intents/*",
        update,
        {**_OPTIONS, "customer": string(), "payment_method_types": array_of(string())},
    ),
    Route("POST", "setup_intents/*/confirm", confirm, _CONFIRM, publishable=True),
    Route(
        "POST",
        "setup_intents/*/source_cancel",
        source_cancel,
        {"client_secret": string(), "source": string()},
        publishable=True,
    ),
    Route(
        "POST",
        "setup_intents/*/cancel",
        cancel,
        {
            **common.EXPAND,
            "cancellation_reason": enum("abandoned", "requested_by_customer", "duplicate"),
        },
    ),
)
