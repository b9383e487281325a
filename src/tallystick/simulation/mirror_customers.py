"""Are customers and their payment methods Stripe's? As `mirror.py`: our tables beside what Stripe's lists say."""

import json
from collections.abc import Mapping
from typing import Any

import asyncpg

from tallystick.simulation.mirror import Lists, Row, Rows, everything

__all__ = ["customer_rows", "stripe_customers"]

_CARD = ("brand", "last4", "exp_month", "exp_year", "funding", "country", "fingerprint")
_CUSTOMERS = """
    SELECT c.stripe_customer_id AS key, c.deleted, c.email, c.name, c.phone, c.address::text, c.metadata::text,
        c.default_payment_method, CASE WHEN NOT c.deleted THEN u.external_id END AS owner, c.unsure
    FROM customers c LEFT JOIN users u ON u.id = c.user_id
"""
_METHODS = f"""
    SELECT m.stripe_payment_method_id AS key, m.stripe_customer_id, u.external_id AS owner, m.type, m.unsure,
        {", ".join(f"m.card_{name}" for name in _CARD)}
    FROM payment_methods m LEFT JOIN users u ON u.id = m.user_id WHERE m.stripe_customer_id IS NOT NULL
"""


async def customer_rows(database_url: str) -> dict[str, Rows]:
    """What our tables say of customers, deleted ones too, and of the payment methods they have, by Stripe's id."""
    connection = await asyncpg.connect(database_url)
    try:
        customers = [_plain(dict(record)) for record in await connection.fetch(_CUSTOMERS)]
        methods = [dict(record) for record in await connection.fetch(_METHODS)]
    finally:
        await connection.close()
    return {
        "customers": {str(row.pop("key")): row for row in customers},
        "payment_methods": {str(row.pop("key")): row for row in methods},
    }


async def stripe_customers(get: Lists, installation: str, ours: Mapping[str, Rows]) -> dict[str, Rows]:
    """What our tables should say, read from Stripe, which lists no deleted customers: those in `ours` are asked for."""
    listed = {one["id"]: one for one in await everything(get, "customers")}
    gone = [one for one in ours["customers"] if one not in listed]
    found = [*listed.values(), *[one for key in gone if "error" not in (one := await get(f"/v1/customers/{key}"))]]
    methods: Rows = {}
    for one in listed.values():
        for method in await everything(get, f"customers/{one['id']}/payment_methods"):
            methods[method["id"]] = _method(method, _owner(one, installation))
    return {"customers": {one["id"]: _customer(one, installation) for one in found}, "payment_methods": methods}


def _customer(one: Mapping[str, Any], installation: str) -> Row:
    gone = one.get("deleted", False)
    return {
        "deleted": gone,
        **{name: one.get(name) for name in ("email", "name", "phone", "address")},
        "metadata": one.get("metadata", {}),
        "default_payment_method": None if gone else one["invoice_settings"]["default_payment_method"],
        "owner": _owner(one, installation),
        "unsure": False,
    }


def _owner(one: Mapping[str, Any], installation: str) -> str | None:
    metadata = one.get("metadata", {})
    ours = metadata.get("tallystick_installation") == installation
    return metadata.get("tallystick_user") if ours else None


def _method(one: Mapping[str, Any], owner: str | None) -> Row:
    card = one.get("card") or {}
    return {
        "stripe_customer_id": one["customer"],
        "owner": owner,
        "type": one["type"],
        "unsure": False,
        **{f"card_{name}": card.get(name) for name in _CARD},
    }


def _plain(row: Row) -> Row:
    return {**row, **{name: json.loads(row[name] or "null") for name in ("address", "metadata")}}
