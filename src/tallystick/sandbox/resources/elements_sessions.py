"""What Stripe.js asks before it draws a form: the intent, and the methods it can be paid with."""

from tallystick.sandbox import banks
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, missing_param
from tallystick.sandbox.params import Fields, anything, array_of, currency, enum, hash_of, integer, string
from tallystick.sandbox.resources import common, intents
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["ROUTES"]

_CLOSED = ("succeeded", "canceled", "processing", "requires_capture")


def retrieve(ctx: Context, params: Json) -> Json:
    """`GET /v1/elements/sessions`: for an intent by its client secret, or for one that is still to be made."""
    kind = params["type"]
    intent = None if kind == "deferred_intent" else _intent(ctx, kind, params)
    if intent is not None and intent["status"] in _CLOSED:
        raise invalid(
            f"You cannot collect payment details for this {intent['object']}: it has a status of {intent['status']}.",
            code=f"{intent['object']}_unexpected_state",
        )
    types = _deferred_types(ctx, params) if intent is None else intent["payment_method_types"]
    session: Json = {
        "object": "elements_session",
        "session_id": ctx.ids.long("elements_session_"),
        "payment_method_preference": {
            "object": "payment_method_preference",
            "country_code": ctx.settings.country,
            "ordered_payment_method_types": types,
            "type": kind,
        },
        "merchant_country": ctx.settings.country,
        "merchant_currency": ctx.settings.default_currency,
    }
    return session if intent is None else {**session, kind: intents.reduced(intent)}


def _intent(ctx: Context, kind: str, params: Json) -> Json:
    secret = params.get("client_secret")
    if secret is None:
        raise missing_param("client_secret")
    intent = ctx.require(kind, secret.partition("_secret_")[0], param="client_secret")
    intents.check_secret(ctx, intent, params)
    return intent


def _deferred_types(ctx: Context, params: Json) -> list[str]:
    asked = params.get("deferred_intent") or {}
    if asked.get("payment_method_types"):
        types: list[str] = asked["payment_method_types"]
        return types
    if asked.get("mode") == "payment":
        return intents.default_types(ctx, asked.get("currency"))
    # Invoices and setups offer what the account has; a debit of one currency is not for every one.
    return [kind for kind in ctx.settings.payment_method_types if kind not in (banks.US, banks.SEPA)]


_FIELDS: Fields = {
    "client_secret": string(),
    "deferred_intent": hash_of(
        {
            "amount": integer(0),
            "capture_method": string(),
            "currency": currency,
            "mode": enum("payment", "setup", "subscription"),
            "payment_method_types": array_of(string()),
            "setup_future_usage": enum("off_session", "on_session"),
        },
        required=("mode",),
    ),
    "key": anything,
    "locale": string(),
    "type": enum("payment_intent", "setup_intent", "deferred_intent"),
    **common.EXPAND,
}
ROUTES = (Route("GET", "elements/sessions", retrieve, _FIELDS, ("type",), publishable=True),)
