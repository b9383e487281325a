"""The parameters of the PaymentIntents API, as the SDK's types and the API reference list them."""

from typing import Any

from tallystick.sandbox.params import (
    Fields,
    anything,
    array_of,
    boolean,
    currency,
    email,
    enum,
    hash_of,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import common, intents, payment_methods

__all__ = ["CANCEL", "CAPTURE", "CAPTURE_CHARGE", "CONFIRM", "CREATE", "INCREMENT", "SECRET", "SOURCE_CANCEL", "UPDATE"]


def _off_session(value: Any, path: str) -> bool:
    """`true`, `false`, or the older `one_off` and `recurring`, which both mean true."""
    return value in ("one_off", "recurring") or boolean(value, path)


OPTIONS: Fields = {
    "description": unsettable(string()),
    "metadata": metadata,
    "payment_method": string(),
    "payment_method_data": payment_methods.DATA,
    "payment_method_options": unsettable(intents.METHOD_OPTIONS),
    "payment_method_types": array_of(string()),
    "receipt_email": unsettable(email),
    "setup_future_usage": unsettable(enum("off_session", "on_session")),
    "shipping": unsettable(common.SHIPPING),
    "excluded_payment_method_types": anything,
    "capture_method": enum("automatic", "automatic_async", "manual"),
    "amount_details": anything,
    "payment_details": anything,
    "hooks": anything,
    **common.EXPAND,
}
CONFIRM_OPTIONS: Fields = {
    "confirmation_token": string(),
    "error_on_requires_action": boolean,
    "mandate": string(),
    "mandate_data": anything,
    "off_session": _off_session,
    "radar_options": anything,
    "return_url": string(),
    "use_stripe_sdk": boolean,
}
DESCRIPTORS: Fields = {
    "statement_descriptor": unsettable(string(22)),
    "statement_descriptor_suffix": unsettable(string(22)),
    "transfer_group": string(),
    "transfer_data": anything,
    "application_fee_amount": anything,
}
CREATE: Fields = {
    **OPTIONS,
    **CONFIRM_OPTIONS,
    **DESCRIPTORS,
    "amount": integer(),
    "automatic_payment_methods": hash_of(
        {"enabled": boolean, "allow_redirects": enum("always", "never")}, required=("enabled",)
    ),
    "confirm": boolean,
    "confirmation_method": enum("automatic", "manual"),
    "currency": currency,
    "customer": string(),
    "on_behalf_of": string(),
    "payment_method_configuration": string(),
}
SECRET: Fields = {"client_secret": string()}
SOURCE_CANCEL: Fields = {**SECRET, "source": string()}
CONFIRM: Fields = {**OPTIONS, **CONFIRM_OPTIONS, **SECRET, "amount_to_confirm": integer(1)}
UPDATE: Fields = {
    **OPTIONS,
    **DESCRIPTORS,
    **SECRET,
    "amount": integer(),
    "currency": currency,
    "customer": string(),
    "payment_method_configuration": string(),
}
CAPTURE: Fields = {
    **common.EXPAND,
    **DESCRIPTORS,
    "amount_details": anything,
    "amount_to_capture": integer(),
    "final_capture": boolean,
    "metadata": metadata,
    "payment_details": anything,
}
CANCEL: Fields = {
    **common.EXPAND,
    "cancellation_reason": enum("duplicate", "fraudulent", "requested_by_customer", "abandoned"),
}
INCREMENT: Fields = {
    **common.EXPAND,
    **DESCRIPTORS,
    "amount": integer(1),
    "description": string(),
    "metadata": metadata,
}
CAPTURE_CHARGE: Fields = {**common.EXPAND, **DESCRIPTORS, "amount": integer(1)}
