"""Confirmation tokens: what a customer typed, for the shop's server to confirm an intent with, once."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param
from tallystick.sandbox.params import Fields, anything, boolean, enum, string, unsettable
from tallystick.sandbox.resources import common, payment_methods
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, decode, encode

__all__ = ["ROUTES", "redeem", "used_by"]

_LIFE_S = 12 * 3600
_PREVIEWED = ("allow_redisplay", "billing_details", "customer", "customer_account", "type")
_COPIED = ("return_url", "setup_future_usage", "shipping", "use_stripe_sdk")


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/confirmation_tokens`, by Stripe.js."""
    if "payment_method_data" not in params:
        raise missing_param("payment_method_data")
    method = payment_methods.build(ctx, params["payment_method_data"])
    token: Json = {
        "id": ctx.ids.long("ctoken_"),
        "object": "confirmation_token",
        "created": ctx.now,
        "expires_at": ctx.now + _LIFE_S,
        "livemode": False,
        "mandate_data": None,
        "payment_intent": None,
        "payment_method_options": None,
        "payment_method_preview": {key: method[key] for key in (*_PREVIEWED, method["type"])},
        "return_url": params.get("return_url"),
        "setup_future_usage": params.get("setup_future_usage"),
        "setup_intent": None,
        "shipping": common.shipping(params.get("shipping")),
        "use_stripe_sdk": params.get("use_stripe_sdk", True),
    }
    ctx.save(token)
    ctx.store.set_note(token["id"], "method", encode(method).decode())
    return token


def retrieve(ctx: Context, _params: Json, token_id: str) -> Json:
    """`GET /v1/confirmation_tokens/{id}`."""
    return ctx.require("confirmation_token", token_id, param="confirmation_token")


def redeem(ctx: Context, params: Json) -> Json:
    """The parameters with what their `confirmation_token` holds, if they have one; those sent along win.

    Raises 400 for a token that is unknown, used or expired.
    """
    if not params.get("confirmation_token"):
        return params
    token = ctx.require("confirmation_token", params["confirmation_token"], param="confirmation_token", status=400)
    if token["payment_intent"] or token["setup_intent"]:
        raise invalid(
            f"The ConfirmationToken {token['id']} has already been used. Collect the payment details again.",
            param="confirmation_token",
        )
    if token["expires_at"] <= ctx.now:
        raise invalid(
            f"The ConfirmationToken {token['id']} has expired. Collect the payment details again.",
            param="confirmation_token",
        )
    method = {**decode(ctx.store.note(token["id"], "method") or "{}"), "created": ctx.now}
    ctx.save(method)
    held = {key: token[key] for key in _COPIED if token[key] is not None}
    return {**held, **params, "payment_method": method["id"]}


def used_by(ctx: Context, params: Json, intent: Json) -> None:
    """Spend the token of these parameters on this intent."""
    if params.get("confirmation_token"):
        token = ctx.require("confirmation_token", params["confirmation_token"], param="confirmation_token")
        token[intent["object"]] = intent["id"]
        ctx.save(token)


_CREATE: Fields = {
    "metadata": anything,
    "payment_method_data": payment_methods.DATA,
    "return_url": string(),
    "setup_future_usage": unsettable(enum("off_session", "on_session")),
    "shipping": unsettable(common.SHIPPING),
    "use_stripe_sdk": boolean,
    **common.EXPAND,
}
ROUTES = (
    Route("POST", "confirmation_tokens", create, _CREATE, publishable=True),
    Route("GET", "confirmation_tokens/*", retrieve, common.EXPAND),
)
