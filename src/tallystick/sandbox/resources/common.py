"""Parameters and small rules that several objects share."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.params import Fields, array_of, email, hash_of, metadata, string, unsettable
from tallystick.sandbox.shapes import Json

__all__ = [
    "ADDRESS", "EMPTY_ADDRESS", "EXPAND", "SHIPPING", "address", "billing_details", "delete", "flag",
    "merge_metadata", "shipping",
]  # fmt: skip

EXPAND: Fields = {"expand": array_of(string())}

_ADDRESS_KEYS = ("city", "country", "line1", "line2", "postal_code", "state")
ADDRESS = hash_of(dict.fromkeys(_ADDRESS_KEYS, unsettable(string())))
SHIPPING = hash_of(
    {
        "address": ADDRESS,
        "name": string(),
        "phone": unsettable(string()),
        "carrier": unsettable(string()),
        "tracking_number": unsettable(string()),
    },
    required=("address", "name"),
)
BILLING_DETAILS = hash_of(
    {
        "address": unsettable(ADDRESS),
        "email": unsettable(email),
        "name": unsettable(string()),
        "phone": unsettable(string()),
        "tax_id": unsettable(string()),
    }
)
METADATA: Fields = {"metadata": metadata}

EMPTY_ADDRESS: Json = dict.fromkeys(_ADDRESS_KEYS)


def address(given: Json | None) -> Json | None:
    """An address as printed: every key, None where not given."""
    return {**EMPTY_ADDRESS, **given} if given is not None else None


def shipping(given: Json | None, *, with_carrier: bool = False) -> Json | None:
    """Shipping details as printed; intents and charges also print the carrier."""
    if given is None:
        return None
    printed: Json = {
        "address": address(given.get("address") or {}),
        "name": given.get("name"),
        "phone": given.get("phone"),
    }
    if with_carrier:
        printed |= {"carrier": given.get("carrier"), "tracking_number": given.get("tracking_number")}
    return printed


def billing_details(given: Json | None, before: Json | None = None) -> Json:
    """Billing details as printed, `given` over `before`."""
    empty: Json = {"address": dict(EMPTY_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None}
    old = before or empty
    given = given or {}
    merged = {**old, **given}
    merged["address"] = {**old["address"], **(given.get("address") or {})}
    return merged


def merge_metadata(old: dict[str, str], given: Json | None) -> dict[str, str]:
    """`given` over `old`: a key set to None goes, `{"": None}` empties all; None changes nothing."""
    if given is None:
        return old
    if "" in given:
        return {}
    merged = {**old, **given}
    return {key: value for key, value in merged.items() if value is not None}


def flag(value: bool | None) -> str | None:
    """A boolean as the lists' index has it."""
    return None if value is None else str(value).lower()


def delete(ctx: Context, value: Json) -> Json:
    """Turn an object into its stub. What still refers to it finds its last form in `Store.last_form`."""
    ctx.store.keep_last_form(value["id"])
    stub = {"id": value["id"], "object": value["object"], "deleted": True}
    value.clear()
    value.update(stub)
    ctx.store.put(value)
    return value
