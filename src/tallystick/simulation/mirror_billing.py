"""Are subscriptions and invoices Stripe's? As `mirror.py`: what our tables say beside what Stripe's lists say."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import asyncpg

from tallystick.simulation.mirror import Lists, Row, Rows, everything
from tallystick.subscriptions.history import TRACKED, tracked
from tallystick.subscriptions.models import SubscriptionRow

__all__ = [
    "ends_of_history",
    "history_leads_to_the_rows",
    "invoice_rows",
    "stripe_invoices",
    "stripe_subscriptions",
    "subscription_of",
    "subscription_rows",
]

_JSON = ("items", "discounts", "metadata", "pause_collection", "pending_update")
_SUBSCRIPTIONS = """
    SELECT stripe_subscription_id AS key, stripe_customer_id, product_id, price_id, status, current_period_start,
        current_period_end, trial_start, trial_end, cancel_at_period_end, canceled_at, quantity, metadata::text,
        currency, items::text, discounts::text, start_date, billing_cycle_anchor, trial_without_method, cancel_at,
        ended_at, cancellation_reason, cancellation_feedback, cancellation_comment, collection_method, days_until_due,
        default_payment_method, latest_invoice_id, pending_setup_intent_id, schedule_id, pause_collection::text,
        pending_update::text, created_at, unsure
    FROM subscriptions
"""


_MONEY = (
    "subtotal", "total", "amount_due", "amount_paid", "amount_remaining", "starting_balance", "ending_balance",
)  # fmt: skip
_PLAIN = ("status", "number", "billing_reason", "currency", "attempted", "attempt_count", "auto_advance",
          "collection_method", "default_payment_method")  # fmt: skip
_MOMENTS = ("next_payment_attempt", "due_date", "period_start", "period_end")
_TRANSITIONS = ("finalized_at", "paid_at", "voided_at", "marked_uncollectible_at")
_INVOICES = f"""
    SELECT stripe_invoice_id AS key, stripe_customer_id, stripe_subscription_id,
        {", ".join(f"{name}::bigint" for name in _MONEY)}, {", ".join((*_PLAIN, *_MOMENTS, *_TRANSITIONS))}, unsure,
        (SELECT array_agg(stripe_line_id || ' ' || amount ORDER BY position) FROM invoice_lines
         WHERE invoice_id = invoices.id) AS lines
    FROM invoices WHERE NOT deleted
"""


async def invoice_rows(database_url: str) -> dict[str, Rows]:
    """What our table of invoices says, by Stripe's id."""
    connection = await asyncpg.connect(database_url)
    try:
        records = [dict(record) for record in await connection.fetch(_INVOICES)]
    finally:
        await connection.close()
    return {"invoices": {str(row.pop("key")): row for row in records}}


async def stripe_invoices(get: Lists) -> dict[str, Rows]:
    """What our table should say, read from Stripe."""
    return {"invoices": {one["id"]: _invoice(one) for one in await everything(get, "invoices")}}


def _invoice(one: Mapping[str, Any]) -> Row:
    parent = (one.get("parent") or {}).get("subscription_details") or {}
    lines = [f"{line['id']} {line['amount']}" for line in one["lines"]["data"]]
    return {
        "stripe_customer_id": one["customer"],
        "stripe_subscription_id": one.get("subscription", parent.get("subscription")),
        **{name: one[name] for name in (*_MONEY, *_PLAIN)},
        **{name: _time(one[name]) for name in _MOMENTS},
        **{name: _time(one["status_transitions"][name]) for name in _TRANSITIONS},
        "unsure": False,
        "lines": lines or None,
    }


async def subscription_rows(database_url: str) -> dict[str, Rows]:
    """What our table of subscriptions says, by Stripe's id."""
    connection = await asyncpg.connect(database_url)
    try:
        records = [dict(record) for record in await connection.fetch(_SUBSCRIPTIONS)]
    finally:
        await connection.close()
    rows = {str(row.pop("key")): _plain(row) for row in records}
    assert len(rows) == len(records), "subscriptions that Stripe does not know"
    return {"subscriptions": rows}


async def stripe_subscriptions(get: Lists) -> dict[str, Rows]:
    """What our table should say, read from Stripe."""
    listed = await everything(get, "subscriptions", "&status=all")
    return {"subscriptions": {one["id"]: subscription_of(one) for one in listed}}


def subscription_of(one: Mapping[str, Any]) -> Row:
    """The row that mirrors Stripe's object."""
    items = [_item(item, one) for item in one["items"]["data"]]
    nearest = min(items, key=lambda item: item["current_period_end"])
    details, pause = one["cancellation_details"] or {}, one["pause_collection"]
    return {
        "stripe_customer_id": one["customer"],
        "product_id": items[0]["product"],
        "price_id": items[0]["price"],
        "quantity": items[0]["quantity"],
        "status": one["status"],
        "current_period_start": datetime.fromisoformat(nearest["current_period_start"]),
        "current_period_end": datetime.fromisoformat(nearest["current_period_end"]),
        **{
            name: _time(one[name])
            for name in ("trial_start", "trial_end", "canceled_at", "cancel_at", "ended_at", "start_date")
        },
        "billing_cycle_anchor": _time(one["billing_cycle_anchor"]),
        "cancel_at_period_end": one["cancel_at_period_end"],
        "metadata": one["metadata"],
        "currency": one["currency"],
        "items": items,
        "discounts": one["discounts"],
        "trial_without_method": one["trial_settings"]["end_behavior"]["missing_payment_method"],
        "cancellation_reason": details.get("reason"),
        "cancellation_feedback": details.get("feedback"),
        "cancellation_comment": details.get("comment"),
        "collection_method": one["collection_method"],
        "days_until_due": one["days_until_due"],
        "default_payment_method": one["default_payment_method"],
        "latest_invoice_id": one["latest_invoice"],
        "pending_setup_intent_id": one["pending_setup_intent"],
        "schedule_id": one["schedule"],
        "pause_collection": pause and {"behavior": pause["behavior"], "resumes_at": pause["resumes_at"]},
        "pending_update": _pending(one["pending_update"]),
        "created_at": _time(one["created"]),
        "unsure": False,
    }


async def history_leads_to_the_rows(database_url: str) -> None:
    """Raise AssertionError where the history of a subscription leads to something else than what it shows."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(f"SELECT {', '.join(SubscriptionRow.__struct_fields__)} FROM subscriptions")
        records = await connection.fetch("SELECT * FROM subscription_history ORDER BY performed_at")
    finally:
        await connection.close()
    for row in rows:
        own = [_decoded(record) for record in records if record["subscription_id"] == row["id"]]
        ends, shown = ends_of_history(own), tracked(SubscriptionRow(**_plain(dict(row))))
        lost = {name: (value, ends[name]) for name, value in shown.items() if value not in ends[name]}
        assert not lost, (row["stripe_subscription_id"], lost)


def ends_of_history(records: Sequence[Any]) -> dict[str, list[Any]]:
    """Of each field the values with which a subscription's history may end, by the seconds of its rows."""
    empty: Row = {"items": [], "discounts": [], "metadata": {}, "cancel_at_period_end": False}
    ends = {name: [empty.get(name)] for name in TRACKED}
    for _, second in groupby(records, key=lambda record: record["performed_at"]):
        rows = list(second)
        for name in TRACKED:
            new = [row["new_values"][name] for row in rows if name in row["new_values"]]
            old = [row["old_values"][name] for row in rows if name in (row["old_values"] or {})]
            if reached := [value for value in new if new.count(value) > old.count(value)]:
                ends[name] = reached
            elif new:
                # They go in a circle, and where it was entered may not be known.
                ends[name] = [*ends[name], *new]
    return ends


def _decoded(record: Any) -> Row:
    decoded = {name: json.loads(record[name] or "null") for name in ("old_values", "new_values")}
    return {"performed_at": record["performed_at"], **decoded}


def _item(item: Mapping[str, Any], parent: Mapping[str, Any]) -> Row:
    price = item["price"]
    named = ("currency", "unit_amount", "unit_amount_decimal", "billing_scheme")
    period = {
        name: _text(item[name] if name in item else parent[name])
        for name in ("current_period_start", "current_period_end")
    }
    return {
        "id": item["id"],
        "price": price["id"],
        "product": price["product"],
        "quantity": item["quantity"],
        **{name: price[name] for name in named},
        **{name: price["recurring"][name] for name in ("interval", "interval_count", "usage_type")},
        **period,
    }


def _pending(update: Row | None) -> Row | None:
    kept = {name: value for name, value in (update or {}).items() if value is not None}
    if kept.get("subscription_items"):
        kept["subscription_items"] = [
            {"id": item["id"], "price": {"id": item["price"]["id"]}, "quantity": item["quantity"]}
            for item in kept["subscription_items"]
        ]
    return kept or None


def _plain(row: Row) -> Row:
    return {name: json.loads(value) if name in _JSON and value is not None else value for name, value in row.items()}


def _time(unix: int | None) -> datetime | None:
    return None if unix is None else datetime.fromtimestamp(unix, UTC)


def _text(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
