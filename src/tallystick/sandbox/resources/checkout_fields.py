"""The parameters of the Checkout Sessions API, as the SDK's types and the API reference list them."""

from typing import Any

from tallystick.sandbox.errors import invalid
from tallystick.sandbox.params import (
    LIST_FIELDS,
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
from tallystick.sandbox.resources import common, intents
from tallystick.sandbox.resources.price_fields import PRICE_DATA

__all__ = ["CREATE", "LINE_ITEMS", "LIST", "UPDATE"]

_UI_MODES = ("hosted", "embedded", "custom", "hosted_page", "embedded_page", "elements", "form")


def _url(value: Any, path: str) -> str:
    text: str = string()(value, path)
    if not text.startswith(("http://", "https://")):
        raise invalid("Not a valid URL", code="url_invalid", param=path)
    return text


LINE_ITEMS = array_of(
    hash_of(
        {
            "adjustable_quantity": hash_of(
                {"enabled": boolean, "maximum": integer(), "minimum": integer()}, required=("enabled",)
            ),
            "dynamic_tax_rates": array_of(string()),
            "metadata": metadata,
            "price": string(),
            "price_data": PRICE_DATA,
            "quantity": integer(1),
            "tax_rates": array_of(string()),
        }
    )
)
_PAYMENT_INTENT_DATA = hash_of(
    {
        "capture_method": enum("automatic", "automatic_async", "manual"),
        "description": string(1000),
        "metadata": metadata,
        "receipt_email": email,
        "setup_future_usage": enum("off_session", "on_session"),
        "shipping": common.SHIPPING,
        "statement_descriptor": string(22),
        "statement_descriptor_suffix": string(22),
        "transfer_group": string(),
        **dict.fromkeys(("application_fee_amount", "on_behalf_of", "transfer_data"), anything),
    }
)
_SUBSCRIPTION_DATA = hash_of(
    {
        "billing_cycle_anchor": integer(1),
        "billing_mode": hash_of({"flexible": anything, "type": enum("classic", "flexible")}, required=("type",)),
        "default_tax_rates": array_of(string()),
        "description": string(500),
        "metadata": metadata,
        "proration_behavior": enum("create_prorations", "none"),
        "trial_end": integer(1),
        "trial_period_days": integer(1),
        "trial_settings": hash_of(
            {
                "end_behavior": hash_of(
                    {
                        "billing_cycle_anchor": anything,
                        "missing_payment_method": enum("cancel", "create_invoice", "pause"),
                    }
                )
            }
        ),
        **dict.fromkeys(
            (
                "application_fee_percent", "billing_cycle_anchor_config", "invoice_settings", "on_behalf_of",
                "pending_invoice_item_interval", "transfer_data",
            ),
            anything,
        ),
    }
)  # fmt: skip
CREATE: Fields = {
    "after_expiration": hash_of(
        {"recovery": hash_of({"allow_promotion_codes": boolean, "enabled": boolean}, required=("enabled",))}
    ),
    "allow_promotion_codes": boolean,
    "automatic_tax": hash_of({"enabled": boolean, "liability": anything}, required=("enabled",)),
    "billing_address_collection": enum("auto", "required"),
    "cancel_url": _url,
    "client_reference_id": string(200),
    "currency": currency,
    "customer": string(),
    "customer_creation": enum("always", "if_required"),
    "customer_email": email,
    "discounts": array_of(hash_of({"coupon": string(), "promotion_code": string()})),
    "expires_at": integer(1),
    "line_items": LINE_ITEMS,
    "locale": string(),
    "metadata": metadata,
    "mode": enum("payment", "setup", "subscription"),
    "payment_intent_data": _PAYMENT_INTENT_DATA,
    "payment_method_collection": enum("always", "if_required"),
    "payment_method_options": intents.METHOD_OPTIONS,
    "payment_method_types": array_of(string()),
    "phone_number_collection": hash_of({"enabled": boolean}, required=("enabled",)),
    "redirect_on_completion": enum("always", "if_required", "never"),
    "return_url": _url,
    "setup_intent_data": hash_of({"description": string(1000), "metadata": metadata, "on_behalf_of": string()}),
    "submit_type": enum("auto", "book", "donate", "pay", "subscribe"),
    "subscription_data": _SUBSCRIPTION_DATA,
    "success_url": _url,
    "ui_mode": enum(*_UI_MODES),
    **dict.fromkeys(
        (
            "adaptive_pricing", "allowed_payment_method_types", "branding_settings", "consent_collection",
            "custom_fields", "custom_text", "customer_account", "customer_update", "excluded_payment_method_types",
            "integration_identifier", "invoice_creation", "managed_payments", "name_collection", "optional_items",
            "origin_context", "payment_method_configuration", "payment_method_data", "permissions",
            "saved_payment_method_options", "shipping_address_collection", "shipping_options",
            "tax_id_collection", "wallet_options",
        ),
        anything,
    ),
    **common.EXPAND,
}  # fmt: skip
UPDATE: Fields = {
    "collected_information": anything,
    "metadata": metadata,
    "payment_intent_data": anything,
    "shipping_options": unsettable(anything),
    **common.EXPAND,
}
LIST: Fields = {
    **LIST_FIELDS,
    "customer": string(),
    "customer_details": hash_of({"email": email}, required=("email",)),
    "payment_intent": string(),
    "payment_link": string(),
    "status": enum("complete", "expired", "open"),
    "subscription": string(),
}
