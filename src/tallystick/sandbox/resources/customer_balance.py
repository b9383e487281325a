"""A customer's balance: credit (negative) and debt that the next invoices take in."""

from collections.abc import Mapping

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import invalid, no_such
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, currency, integer, metadata, string, unsettable
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "ROUTES", "adjust"]

EXPANDABLE = frozenset({"checkout_session", "credit_note", "customer", "invoice"})


def adjust(
    ctx: Context,
    customer: Json,
    amount: int,
    kind: str,
    *,
    code: str,
    invoice: str | None = None,
    description: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> Json:
    """Move the balance by `amount` and record why; the customer is for the caller to store."""
    customer["balance"] += amount
    transaction: Json = {
        "id": ctx.ids.long("cbtxn_"),
        "object": "customer_balance_transaction",
        "amount": amount,
        "checkout_session": None,
        "created": ctx.now,
        "credit_note": None,
        "currency": code,
        "customer": customer["id"],
        "customer_account": None,
        "description": description,
        "ending_balance": customer["balance"],
        "invoice": invoice,
        "livemode": False,
        "metadata": dict(notes or {}),
        "type": kind,
    }
    ctx.save(transaction)
    return transaction


def create(ctx: Context, params: Json, customer_id: str) -> Json:
    """`POST /v1/customers/{id}/balance_transactions`."""
    customer = ctx.require("customer", customer_id, param="customer")
    if customer["currency"] not in (None, params["currency"]):
        raise invalid(
            f"The currency provided ({params['currency']}) does not match the customer's ({customer['currency']}).",
            param="currency",
        )
    customer["currency"] = params["currency"]
    transaction = adjust(
        ctx,
        customer,
        params["amount"],
        "adjustment",
        code=params["currency"],
        description=params.get("description"),
        notes=common.merge_metadata({}, params.get("metadata")),
    )
    ctx.save_updated("customer.updated", customer)
    return transaction


def retrieve(ctx: Context, _params: Json, customer_id: str, transaction_id: str) -> Json:
    """`GET /v1/customers/{id}/balance_transactions/{cbtxn}`."""
    found = ctx.require("customer_balance_transaction", transaction_id, param="transaction")
    if found["customer"] != customer_id:
        raise no_such("customer_balance_transaction", transaction_id, param="transaction")
    return found


def update(ctx: Context, params: Json, customer_id: str, transaction_id: str) -> Json:
    """`POST /v1/customers/{id}/balance_transactions/{cbtxn}`: description and metadata."""
    found = retrieve(ctx, {}, customer_id, transaction_id)
    if "description" in params:
        found["description"] = params["description"]
    found["metadata"] = common.merge_metadata(found["metadata"], params.get("metadata"))
    ctx.save(found)
    return found


def list_all(ctx: Context, params: Json, customer_id: str) -> Json:
    """`GET /v1/customers/{id}/balance_transactions`."""
    ctx.require("customer", customer_id, param="id")
    url = f"/v1/customers/{customer_id}/balance_transactions"
    filters = {"customer": customer_id, "invoice": params.get("invoice")}
    return page(ctx, "customer_balance_transaction", url, params, filters)


_NOTES = {"description": unsettable(string()), "metadata": metadata, **common.EXPAND}
_PATH = "customers/*/balance_transactions"
ROUTES = (
    Route("GET", _PATH, list_all, {**LIST_FIELDS, "invoice": string()}),
    Route("POST", _PATH, create, {**_NOTES, "amount": integer(), "currency": currency}, ("amount", "currency")),
    Route("GET", f"{_PATH}/*", retrieve, common.EXPAND),
    Route("POST", f"{_PATH}/*", update, _NOTES),
)
