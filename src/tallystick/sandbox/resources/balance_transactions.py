"""The ledger: what each charge, refund and dispute did to the account's balance, and the balance itself."""

from typing import Any

from tallystick.sandbox.context import Context
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, currency, string
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "ROUTES", "card_fee", "fresh", "record"]

EXPANDABLE = frozenset({"source"})

_DAY = 86400
_PAYOUT_DELAY = 7 * _DAY


def card_fee(amount: int) -> int:
    """2.9 % + 30 in the minor unit, halves up."""
    return (amount * 29 + 500) // 1000 + 30


def record(
    ctx: Context,
    source: Json,
    kind: str,
    amount: int,
    *,
    description: str | None,
    transaction_id: str | None = None,
    fee: int = 0,
    fee_description: str = "Stripe processing fees",
    category: str | None = None,
    at_once: bool = False,
) -> Json:
    """A new transaction of `amount` (negative: money out) caused by `source`; pending for seven days unless
    `at_once`."""
    now = ctx.now
    transaction: Json = {
        "id": transaction_id or ctx.ids.sibling("txn_", source["id"]),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now if at_once else now // _DAY * _DAY + _PAYOUT_DELAY,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": _fee_details(fee, source["currency"], fee_description),
        "net": amount - fee,
        "reporting_category": category or kind,
        "source": source["id"],
        "status": "available" if at_once else "pending",
        "type": kind,
    }
    ctx.save(transaction)
    return transaction


def fresh(ctx: Context, transaction: Json) -> Json:
    """The transaction as it reads now: pending money becomes available by itself."""
    if transaction["status"] == "pending" and transaction["available_on"] <= ctx.now:
        return {**transaction, "status": "available"}
    return transaction


def retrieve(ctx: Context, _params: Json, transaction_id: str) -> Json:
    """`GET /v1/balance_transactions/{id}`."""
    return fresh(ctx, ctx.require("balance_transaction", transaction_id, param="id"))


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/balance_transactions`: unknown types and sources give an empty list."""
    filters = {key: params.get(key) for key in ("currency", "source", "type")}
    found = page(ctx, "balance_transaction", "/v1/balance_transactions", params, filters)
    found["data"] = [fresh(ctx, item) for item in found["data"]]
    return found


def balance(ctx: Context, _params: Json) -> Json:
    """`GET /v1/balance`."""
    rows = ctx.store.execute(
        "SELECT json_extract(body, '$.currency'), json_extract(body, '$.available_on') <= ?, "
        "sum(json_extract(body, '$.net')) FROM objects WHERE object = 'balance_transaction' GROUP BY 1, 2",
        ctx.now,
    ).fetchall()
    default = ctx.settings.default_currency
    currencies = sorted({row[0] for row in rows} | {default})
    sums = {(code, bool(ready)): total for code, ready, total in rows}

    def entries(*, ready: bool) -> list[dict[str, Any]]:
        amounts = [(code, sums.get((code, ready), 0)) for code in currencies]
        return [{"amount": amount, "currency": code, "source_types": {"card": amount}} for code, amount in amounts]

    nothing = [{"amount": 0, "currency": default}]
    return {
        "object": "balance",
        "available": entries(ready=True),
        "livemode": False,
        "pending": entries(ready=False),
        "refund_and_dispute_prefunding": {"available": nothing, "pending": nothing},
    }


def _fee_details(fee: int, code: str, description: str) -> list[Json]:
    if not fee:
        return []
    return [{"amount": fee, "application": None, "currency": code, "description": description, "type": "stripe_fee"}]


ROUTES = (
    Route("GET", "balance", balance, common.EXPAND),
    Route(
        "GET",
        "balance_transactions",
        list_all,
        {**LIST_FIELDS, "currency": currency, "source": string(), "type": string(), "payout": string()},
    ),
    Route("GET", "balance_transactions/*", retrieve, common.EXPAND),
)
