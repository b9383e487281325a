"""The parameters of the Prices API, and amounts that may have up to twelve decimals."""

from decimal import Decimal, InvalidOperation
from typing import Any

from tallystick.core.currencies import CURRENCIES
from tallystick.sandbox.errors import invalid
from tallystick.sandbox.params import (
    LIST_FIELDS,
    Fields,
    array_of,
    boolean,
    currency,
    enum,
    hash_of,
    integer,
    metadata,
    string,
    unsettable,
)
from tallystick.sandbox.resources import common
from tallystick.sandbox.resources.product_objects import PRODUCT_DATA
from tallystick.sandbox.shapes import Json

__all__ = [
    "CREATE", "DEFAULT_PRICE_DATA", "LIST", "PRICE_DATA", "UPDATE", "decimal", "decimal_text", "not_negative",
]  # fmt: skip

_PLACES = 12


def decimal(value: Any, path: str) -> str:
    """An amount of up to twelve decimals, as Stripe prints it: no trailing zeros, no exponent."""
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError):
        raise invalid(f"Invalid decimal: {value}", code="parameter_invalid_decimal", param=path) from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > _PLACES:
        raise invalid(f"Invalid decimal: {value}; must have at most {_PLACES} decimal places", param=path)
    if number < 0:
        raise invalid("Invalid non-negative decimal", param=path)
    return decimal_text(number)


def decimal_text(number: Decimal | int) -> str:
    """`10`, `123.45`."""
    text = f"{Decimal(number):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def not_negative(value: Any, path: str) -> int:
    """An amount of money."""
    number: int = integer()(value, path)
    if number < 0:
        raise invalid("Invalid non-negative integer", code="parameter_invalid_integer", param=path)
    return number


def _up_to(value: Any, path: str) -> int | None:
    if value == "inf":
        return None
    number: int = integer(1)(value, path)
    return number


def _by_currency(check: Any) -> Any:
    def checked(value: Any, path: str) -> Json:
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=path)
        for code in value:
            if code not in CURRENCIES:
                currency(code, f"{path}[{code}]")
        return {code: check(item, f"{path}[{code}]") for code, item in value.items()}

    return checked


TAX_BEHAVIOR = enum("exclusive", "inclusive", "unspecified")
_CUSTOM_UNIT_AMOUNT = hash_of(
    {"enabled": boolean, "maximum": not_negative, "minimum": not_negative, "preset": not_negative},
    required=("enabled",),
)
_TIERS = array_of(
    hash_of(
        {
            "flat_amount": not_negative,
            "flat_amount_decimal": decimal,
            "unit_amount": not_negative,
            "unit_amount_decimal": decimal,
            "up_to": _up_to,
        }
    )
)
_AMOUNT: Fields = {"unit_amount": not_negative, "unit_amount_decimal": decimal}
_OPTION: Fields = {
    **_AMOUNT,
    "custom_unit_amount": _CUSTOM_UNIT_AMOUNT,
    "tax_behavior": TAX_BEHAVIOR,
    "tiers": _TIERS,
}
_CURRENCY_OPTIONS = _by_currency(hash_of(_OPTION))
_RECURRING: Fields = {"interval": enum("day", "week", "month", "year"), "interval_count": integer(1)}
_PLAN = hash_of(
    {
        **_RECURRING,
        "aggregate_usage": enum("last_during_period", "last_ever", "max", "sum"),
        "meter": string(),
        "trial_period_days": integer(1),
        "usage_type": enum("licensed", "metered"),
    },
    required=("interval",),
)
_COMMON: Fields = {
    "active": boolean,
    "lookup_key": string(200),
    "metadata": metadata,
    "nickname": unsettable(string()),
    "tax_behavior": TAX_BEHAVIOR,
    "transfer_lookup_key": boolean,
    **common.EXPAND,
}
CREATE: Fields = {
    **_COMMON,
    **_OPTION,
    "billing_scheme": enum("per_unit", "tiered"),
    "currency": currency,
    "currency_options": _CURRENCY_OPTIONS,
    "product": string(),
    "product_data": PRODUCT_DATA,
    "recurring": _PLAN,
    "tiers_mode": enum("graduated", "volume"),
    "transform_quantity": hash_of(
        {"divide_by": integer(1), "round": enum("up", "down")}, required=("divide_by", "round")
    ),
}
UPDATE: Fields = {**_COMMON, "currency_options": unsettable(_CURRENCY_OPTIONS)}
"""The amount, the currency and the interval cannot be changed: they are unknown parameters of an update."""

DEFAULT_PRICE_DATA = hash_of(
    {
        **_AMOUNT,
        "currency": currency,
        "currency_options": _CURRENCY_OPTIONS,
        "custom_unit_amount": _CUSTOM_UNIT_AMOUNT,
        "metadata": metadata,
        "recurring": _PLAN,
        "tax_behavior": TAX_BEHAVIOR,
    },
    required=("currency",),
)
PRICE_DATA = hash_of(
    {
        **_AMOUNT,
        "currency": currency,
        "product": string(),
        "product_data": PRODUCT_DATA,
        "recurring": hash_of(_RECURRING, required=("interval",)),
        "tax_behavior": TAX_BEHAVIOR,
    },
    required=("currency",),
)
"""`price_data` of a line item, a subscription item or an invoice item."""

LIST: Fields = {
    **LIST_FIELDS,
    "active": boolean,
    "currency": currency,
    "lookup_keys": array_of(string()),
    "product": string(),
    "recurring": hash_of(
        {"interval": enum("day", "week", "month", "year"), "meter": string(), "usage_type": enum("licensed", "metered")}
    ),
    "type": enum("one_time", "recurring"),
}
