"""What PaymentIntents and SetupIntents share: the given method, its types and options, the client secret."""

import hmac

from tallystick.sandbox import banks
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, missing_param, no_such, unknown_param
from tallystick.sandbox.params import anything, enum, hash_of
from tallystick.sandbox.resources import payment_methods
from tallystick.sandbox.shapes import Json

__all__ = [
    "METHOD_OPTIONS",
    "check_browser",
    "check_expand",
    "check_secret",
    "default_types",
    "given_method",
    "method_options",
    "reduced",
]

METHOD_OPTIONS = hash_of(
    {
        "card": hash_of(
            {
                "request_three_d_secure": enum("any", "automatic", "challenge"),
                **dict.fromkeys(
                    (
                        "capture_method", "cvc_token", "installments", "mandate_options", "moto", "network",
                        "request_extended_authorization", "request_incremental_authorization",
                        "request_multicapture", "request_overcapture", "require_cvc_recollection",
                        "setup_future_usage", "statement_descriptor_suffix_kana",
                        "statement_descriptor_suffix_kanji", "three_d_secure",
                    ),
                    anything,
                ),
            }
        ),
        **dict.fromkeys(
            (
                "affirm", "alipay", "amazon_pay", "bancontact", "cashapp", "eps", "giropay", "ideal", "klarna",
                "link", "p24", "paypal", "revolut_pay", "sepa_debit", "sofort", "us_bank_account", "wechat_pay",
            ),
            anything,
        ),
    }
)  # fmt: skip
_DEFAULT_OPTIONS: dict[str, Json] = {
    "card": {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": "automatic",
    },
    "link": {"persistent_token": None},
    banks.US: {"verification_method": "automatic"},
}
_REDUCED = (
    "id", "object", "amount", "amount_details", "automatic_payment_methods", "canceled_at",
    "cancellation_reason", "capture_method", "client_secret", "confirmation_method", "created", "currency",
    "description", "last_payment_error", "last_setup_error", "livemode", "next_action", "payment_method",
    "payment_method_types", "processing", "receipt_email", "setup_future_usage", "shipping", "source", "status",
    "usage",
)  # fmt: skip


_FROM_BROWSERS = frozenset(
    {
        "client_secret", "confirmation_token", "expand", "mandate", "mandate_data", "payment_method",
        "payment_method_data", "payment_method_options", "radar_options", "receipt_email", "return_url",
        "setup_future_usage", "shipping", "use_stripe_sdk",
    }
)  # fmt: skip


def check_browser(ctx: Context, params: Json) -> None:
    """A browser may say how to pay, not what it is for or when it is captured. Raises 400 for such a parameter."""
    for name in params.keys() - _FROM_BROWSERS if ctx.publishable else ():
        raise unknown_param(name)


def check_expand(paths: list[str]) -> None:
    """A browser may see the method that it gave, and nothing behind it. Raises 403 for any other path."""
    for path in paths:
        if path != "payment_method":
            raise ApiError(
                403,
                f"You may not expand `{path}` with a publishable API key. Please use a secret API key.",
                code="secret_key_required",
            )


def given_method(ctx: Context, params: Json) -> Json | None:
    """The method of `payment_method` or `payment_method_data`, if either was sent."""
    if params.get("payment_method"):
        return payment_methods.resolve(ctx, params["payment_method"], param="payment_method", status=400)
    if params.get("payment_method_data"):
        return payment_methods.create_from(ctx, params["payment_method_data"])
    return None


def default_types(ctx: Context, currency: str | None) -> list[str]:
    """The methods enabled for the account: its own, and the bank debits of the currency."""
    debits = {"usd": [banks.US], "eur": [banks.SEPA]}.get(currency or "", [])
    return [*ctx.settings.payment_method_types, *debits]


def method_options(types: list[str]) -> Json:
    """`payment_method_options` as a fresh intent prints them."""
    return {kind: dict(_DEFAULT_OPTIONS.get(kind, {})) for kind in types}


def check_secret(ctx: Context, intent: Json, params: Json) -> None:
    """A browser must show the intent's client secret. Raises 400 without one, 404 with a wrong one."""
    if not ctx.publishable:
        return
    given = params.get("client_secret")
    if given is None:
        raise missing_param("client_secret")
    if not hmac.compare_digest(given.encode(), intent["client_secret"].encode()):
        raise no_such(intent["object"], intent["id"], param="intent")


def reduced(intent: Json) -> Json:
    """What a browser sees of an intent."""
    return {key: intent[key] for key in _REDUCED if key in intent}
