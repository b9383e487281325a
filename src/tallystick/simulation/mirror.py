"""Is the mirror Stripe? Every table beside what Stripe's own lists say, field by field.

The expected rows are read from Stripe's JSON here, on purpose not by the code under test.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import asyncpg

__all__ = ["Lists", "Rows", "assert_same", "everything", "mirror_rows", "stripe_rows"]

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = dict[str, Row]
Lists: TypeAlias = Callable[[str], Awaitable[dict[str, Any]]]
"""GETs a path of Stripe's API, such as `/v1/refunds?limit=100`."""

_QUERIES = {
    "payments": """
        SELECT stripe_payment_intent_id AS key, stripe_customer_id, amount::bigint, currency, status, stripe_status,
            payment_method, description, metadata::text, capture_method, setup_future_usage,
            amount_capturable::bigint, amount_received::bigint, amount_refunded::bigint, latest_charge_id, error_code,
            decline_code, cancellation_reason, canceled_at, claimed
        FROM payments
    """,
    "charges": """
        SELECT stripe_charge_id AS key, c.stripe_payment_intent_id, p.stripe_payment_intent_id AS parent,
            c.amount::bigint, amount_captured::bigint, c.amount_refunded::bigint, c.currency, c.status, captured,
            disputed, c.payment_method, card_brand, card_last4, c.error_code, c.decline_code, c.created_at
        FROM charges c LEFT JOIN payments p ON p.id = c.payment_id
    """,
    "refunds": """
        SELECT stripe_refund_id AS key, p.stripe_payment_intent_id AS parent, r.amount::bigint, r.currency, r.status,
            reason, failure_reason, r.metadata::text
        FROM refunds r JOIN payments p ON p.id = r.payment_id
    """,
    "disputes": """
        SELECT stripe_dispute_id AS key, p.stripe_payment_intent_id AS parent, stripe_charge_id, d.amount::bigint,
            d.currency, reason, d.status, evidence_due_at, d.created_at
        FROM disputes d LEFT JOIN payments p ON p.id = d.payment_id
    """,
}


async def everything(get: Lists, kind: str, query: str = "") -> list[dict[str, Any]]:
    """All objects of a kind that Stripe lists, newest first; `query` is like `&status=all`."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await get(f"/v1/{kind}?limit=100{query}{after}")
        found += page["data"]
        if not page["has_more"]:
            return found
        after = f"&starting_after={found[-1]['id']}"


async def mirror_rows(database_url: str) -> dict[str, Rows]:
    """What our tables say, by table and Stripe's id."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = {}
        for table, query in _QUERIES.items():
            records = [dict(record) for record in await connection.fetch(query)]
            # What was given up, as nobody knows whether Stripe ever heard of it, is only ours.
            records = [row for row in records if row["key"] is not None or row.get("status") != "abandoned"]
            tables[table] = {str(row.pop("key")): _plain(row) for row in records}
            assert len(tables[table]) == len(records), f"{table}: rows that Stripe does not know"
        return tables
    finally:
        await connection.close()


async def stripe_rows(get: Lists, installation: str) -> dict[str, Rows]:
    """What our tables should say, read from Stripe."""
    refunds = {refund["id"]: refund for refund in await everything(get, "refunds") if not _is_release(refund)}
    counted: dict[str, int] = {}
    for refund in refunds.values():
        if refund["status"] in ("pending", "requires_action", "succeeded"):
            counted[refund["payment_intent"]] = counted.get(refund["payment_intent"], 0) + refund["amount"]
    return {
        "payments": {
            intent["id"]: _payment(intent, counted.get(intent["id"], 0), installation)
            for intent in await everything(get, "payment_intents")
        },
        "charges": {charge["id"]: _charge(charge) for charge in await everything(get, "charges")},
        "refunds": {refund["id"]: _refund(refund) for refund in refunds.values()},
        "disputes": {dispute["id"]: _dispute(dispute) for dispute in await everything(get, "disputes")},
    }


def assert_same(one: Mapping[str, Rows], other: Mapping[str, Rows]) -> None:
    """Raise AssertionError with every field in which two sets of tables differ."""
    assert one.keys() == other.keys()
    found = [line for table in one for line in _table_differences(table, one[table], other[table])]
    if found:
        raise AssertionError(f"{len(found)} differences:\n" + "\n".join(found[:40]))


def _table_differences(table: str, one: Rows, other: Rows) -> Iterable[str]:
    for key in sorted(one.keys() | other.keys()):
        if key not in one or key not in other:
            yield f"{table} {key}: only in the {'first' if key in one else 'second'}"
            continue
        mine, theirs = one[key], other[key]
        assert mine.keys() == theirs.keys(), (table, mine.keys() ^ theirs.keys())
        for name in mine:
            if mine[name] != theirs[name]:
                yield f"{table} {key}: {name} is {mine[name]!r} and {theirs[name]!r}"


def _payment(intent: Mapping[str, Any], refunded: int, installation: str) -> Row:
    error = intent["last_payment_error"] or {}
    failed = intent["status"] == "requires_payment_method" and bool(error)
    return {
        "stripe_customer_id": intent["customer"],
        "amount": intent["amount"],
        "currency": intent["currency"],
        "status": "failed" if failed else intent["status"],
        "stripe_status": intent["status"],
        "payment_method": intent["payment_method"],
        "description": intent["description"],
        "metadata": intent["metadata"],
        "capture_method": intent["capture_method"],
        "setup_future_usage": intent["setup_future_usage"],
        "amount_capturable": intent["amount_capturable"],
        "amount_received": intent["amount_received"],
        "amount_refunded": refunded,
        "latest_charge_id": intent["latest_charge"],
        "error_code": error.get("code"),
        "decline_code": error.get("decline_code"),
        # One word for what newer versions call "expired": an authorisation that ran out, whichever version told it.
        "cancellation_reason": "automatic"
        if intent["cancellation_reason"] == "expired"
        else intent["cancellation_reason"],
        "canceled_at": _time(intent["canceled_at"]),
        "claimed": intent["metadata"].get("tallystick_installation") == installation,
    }


def _charge(charge: Mapping[str, Any]) -> Row:
    card, outcome = charge["payment_method_details"]["card"], charge["outcome"]
    return {
        "stripe_payment_intent_id": charge["payment_intent"],
        "parent": charge["payment_intent"],
        "amount": charge["amount"],
        "amount_captured": charge["amount_captured"],
        "amount_refunded": charge["amount_refunded"],
        "currency": charge["currency"],
        "status": charge["status"],
        "captured": charge["captured"],
        "disputed": charge["disputed"],
        "payment_method": charge["payment_method"],
        "card_brand": card["brand"],
        "card_last4": card["last4"],
        "error_code": charge["failure_code"],
        "decline_code": outcome["reason"] if outcome["type"] == "issuer_declined" else None,
        "created_at": _time(charge["created"]),
    }


def _refund(refund: Mapping[str, Any]) -> Row:
    return {
        "parent": refund["payment_intent"],
        "amount": refund["amount"],
        "currency": refund["currency"],
        "status": refund["status"],
        "reason": refund["reason"],
        "failure_reason": refund.get("failure_reason"),
        "metadata": refund["metadata"],
    }


def _dispute(dispute: Mapping[str, Any]) -> Row:
    return {
        "parent": dispute["payment_intent"],
        "stripe_charge_id": dispute["charge"],
        "amount": dispute["amount"],
        "currency": dispute["currency"],
        "reason": dispute["reason"],
        "status": dispute["status"],
        "evidence_due_at": _time(dispute["evidence_details"]["due_by"]),
        "created_at": _time(dispute["created"]),
    }


def _is_release(refund: Mapping[str, Any]) -> bool:
    """Before basil the part of an authorisation that was not captured is listed as a refund; no event tells of it."""
    details = refund.get("destination_details") or {}
    return bool((details.get("card") or {}).get("type") == "reversal")


def _plain(row: Row) -> Row:
    return {name: json.loads(value) if name == "metadata" else value for name, value in row.items()}


def _time(unix: int | None) -> datetime | None:
    return None if unix is None else datetime.fromtimestamp(unix, UTC)
