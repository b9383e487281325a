"""Card tokens, as older browser code makes them: used once, through `card[token]` of a payment method."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import missing_param
from tallystick.sandbox.params import Fields, hash_of, integer, string
from tallystick.sandbox.resources import common, payment_method_details
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, encode

__all__ = ["ROUTES"]

_BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "MasterCard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}
_ADDRESS = (
    "address_city", "address_country", "address_line1", "address_line2", "address_state", "address_zip",
)  # fmt: skip


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/tokens` of a card number."""
    if "card" not in params:
        raise missing_param("card")
    given = params["card"]
    details = payment_method_details.card_details(ctx, given)
    token: Json = {
        "id": ctx.ids.long("tok_"),
        "object": "token",
        "card": {
            "id": ctx.ids.long("card_"),
            "object": "card",
            **{key: given.get(key) for key in _ADDRESS},
            "address_line1_check": None,
            "address_zip_check": None,
            "brand": _BRANDS.get(details["brand"], "Unknown"),
            "country": details["country"],
            "cvc_check": details["checks"]["cvc_check"],
            "dynamic_last4": None,
            "exp_month": details["exp_month"],
            "exp_year": details["exp_year"],
            "fingerprint": details["fingerprint"],
            "funding": details["funding"],
            "last4": details["last4"],
            "metadata": {},
            "name": given.get("name"),
            "networks": {"preferred": None},
            "regulated_status": details["regulated_status"],
            "tokenization_method": None,
        },
        "client_ip": "127.0.0.1",
        "created": ctx.now,
        "livemode": False,
        "type": "card",
        "used": False,
    }
    ctx.save(token)
    ctx.store.set_note(token["id"], "card", encode(details).decode())
    return token


def retrieve(ctx: Context, _params: Json, token_id: str) -> Json:
    """`GET /v1/tokens/{id}`."""
    return ctx.require("token", token_id, param="token")


_CARD = hash_of(
    {
        "cvc": string(),
        "exp_month": integer(),
        "exp_year": integer(),
        "name": string(),
        "number": string(),
        **dict.fromkeys(_ADDRESS, string()),
    }
)
_FIELDS: Fields = {"card": _CARD, **common.EXPAND}
ROUTES = (
    Route("POST", "tokens", create, _FIELDS, publishable=True),
    Route("GET", "tokens/*", retrieve, common.EXPAND, publishable=True),
)
