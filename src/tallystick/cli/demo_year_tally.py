"""The end of the year: our half of the tally beside Stripe's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.text import Text

from tallystick.cli.demo_client import given
from tallystick.cli.demo_news import day
from tallystick.cli.demo_story import check, short, usd
from tallystick.cli.demo_world import Amiss, Json
from tallystick.cli.demo_year import Year
from tallystick.client.api.customers import list_payment_methods
from tallystick.client.api.invoices import list_invoices
from tallystick.client.models import InvoiceView

__all__ = ["tally_of_year"]

# Lines of invoices that are still to come; the invoices bring them.
_EVENTS = """
    SELECT state, count(*) AS number FROM webhook_events
    WHERE (payload #>> '{data,object,customer}' = $1 OR object_key = $1) AND source = 'webhook'
        AND event_type NOT LIKE 'invoiceitem.%' GROUP BY state
"""
_PAYMENTS = """
    SELECT coalesce(sum(p.amount_received), 0) AS received, coalesce(sum(p.amount_refunded), 0) AS refunded
    FROM payments p JOIN users u ON u.id = p.user_id WHERE u.external_id = $1
"""
_OPEN = "SELECT kind FROM attempts a JOIN users u ON u.id = a.user_id WHERE u.external_id = $1 AND a.state <> $2"


@dataclass(frozen=True, slots=True)
class _Bill:
    """What one side knows of an invoice; the sides are equal when these are."""

    stripe_id: str
    number: str
    status: str
    total: int
    paid: int
    remaining: int


async def tally_of_year(year: Year) -> None:
    """Compare the two halves field by field, show both, and count what went out. Raises Amiss."""
    await year.settle()
    await year.expect(use=None)
    row = await year.world.row("SELECT * FROM subscriptions WHERE id = $1::text::uuid", year.subscription)
    if row is None:
        raise Amiss("The subscription's row should be there, but it is gone.")
    await _invoices(year, row["stripe_customer_id"])
    await _subscription(year, row)
    await _methods(year, row["stripe_customer_id"])
    await _money(year, row["stripe_customer_id"])
    await _history(year, row)
    await _events(year, row["stripe_customer_id"])
    await _mails(year)
    await year.conclude(f"{year.looks} looks at /api/entitlements: each as it should be, and nothing is left now.")


async def _invoices(year: Year, customer: str) -> None:
    ours = (await year.read(list_invoices.asyncio_detailed(client=year.ann, limit=100))).data[::-1]
    theirs = {
        item["id"]: item for item in (await year.world.stripe("/v1/invoices", customer=customer, limit="100"))["data"]
    }
    pairs = []
    for item in ours:
        other = theirs.pop(item.stripe_invoice_id, None)
        pairs.append((item.created_at, _our_bill(item), _their_bill(other) if other else None))
    year.screen.block(_table(pairs))
    year.screen.paragraph()
    for _, bill, other in pairs:
        check(bill == other, f"invoice {bill.number} should be equal on both sides", f"{bill} is not {other}")
    check(not theirs, "Stripe should have no invoice that we do not know", f"it has {', '.join(theirs)}")
    kinds = Counter(bill.status for _, bill, _ in pairs)
    check(set(kinds) == {"paid", "void"}, "every invoice should be paid or void", f"they are {dict(kinds)}")
    await year.conclude(f"{len(pairs)} invoices, equal in every field: {kinds['paid']} paid, {kinds['void']} void.")


def _our_bill(item: InvoiceView) -> _Bill:
    amounts = (item.total, item.amount_paid, item.amount_remaining)
    return _Bill(item.stripe_invoice_id, item.number or "", item.status or "", *amounts)


def _their_bill(item: Json) -> _Bill:
    amounts = (item["total"], item["amount_paid"], item["amount_remaining"])
    return _Bill(item["id"], item["number"] or "", item["status"] or "", *amounts)


def _table(pairs: Sequence[tuple[datetime, _Bill, _Bill | None]]) -> list[Text]:
    rows = [["", "Tallystick", "", "", "", "Stripe", "", "", ""]]
    for at, ours, theirs in pairs:
        equal = ours == theirs
        left = [f"{day(at):>6}", ours.number, usd(ours.total), ours.status, "=" if equal else "≠"]
        right = [short(theirs.stripe_id), usd(theirs.total), theirs.status] if theirs else ["nothing", "", ""]
        rows.append([*left, *right, "✓" if equal else "✗"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [_laid_out(row, widths, heading=not index) for index, row in enumerate(rows)]


def _laid_out(row: list[str], widths: list[int], *, heading: bool) -> Text:
    line = Text()
    for column, (value, width) in enumerate(zip(row, widths, strict=True)):
        style = {"✓": "bold green", "✗": "bold red", "≠": "bold red", "=": "dim"}.get(value, "dim" if heading else "")
        line.append(f"{value:>{width}}" if column in (2, 6) else f"{value:{width}}", style).append("  ")
    line.rstrip()
    return line


async def _subscription(year: Year, row: Json) -> None:
    theirs = await year.world.stripe(f"/v1/subscriptions/{row['stripe_subscription_id']}")
    ours = await year.details()
    for name in ("status", "cancel_at_period_end", "default_payment_method"):
        _same(name, getattr(ours, name), theirs[name])
    for name in ("trial_end", "cancel_at", "canceled_at", "ended_at"):
        _same(name, getattr(ours, name), _unix(theirs[name]))
    for name in ("reason", "feedback", "comment"):
        _same(f"cancellation {name}", getattr(ours.cancellation, name), theirs["cancellation_details"][name])
    items = [(item["id"], item["price"]["id"], item["quantity"]) for item in theirs["items"]["data"]]
    _same("items", [(item.id, item.price, item.quantity) for item in ours.items], items)
    _same("product", ours.product, theirs["items"]["data"][0]["price"]["product"])
    await year.conclude(f"The subscription is equal on both sides: {ours.status}, with its items, dates and reasons.")


async def _methods(year: Year, customer: str) -> None:
    ours = (await year.read(list_payment_methods.asyncio_detailed("me", client=year.ann))).data
    theirs = (await year.world.stripe("/v1/payment_methods", customer=customer, type="card"))["data"]
    cards = {item["id"]: item["card"]["last4"] for item in theirs}
    _same("payment methods", {item.stripe_payment_method_id: given(item.card, "a card").last4 for item in ours}, cards)
    _same("last digits", sorted(cards.values()), ["0341", "4242", "4444"])
    await year.conclude("3 payment methods on both sides.")


async def _money(year: Year, customer: str) -> None:
    """Four ways to count the same money."""
    bills = (await year.read(list_invoices.asyncio_detailed(client=year.ann, limit=100, status="paid"))).data
    invoiced = sum(item.amount_paid for item in bills)
    found = await year.world.row(_PAYMENTS, year.world.subject)
    assert found is not None
    check(not found["refunded"], "nothing should be refunded", f"{usd(int(found['refunded']))} are")
    expand = {"expand[]": "data.balance_transaction"}
    charges = (await year.world.stripe("/v1/charges", customer=customer, limit="100", **expand))["data"]
    charged = [item for item in charges if item["status"] == "succeeded"]
    balance = sum(item["balance_transaction"]["amount"] for item in charged)
    receipts = sum(_cents(item.fact[2]) for item in year.came if item.fact[1] == "invoice_receipt")
    sums = {
        "invoices": invoiced,
        "payments": int(found["received"]),
        "receipts": receipts,
        "Stripe's charges": sum(item["amount"] for item in charged),
        "Stripe's balance": balance,
    }
    check(len(set(sums.values())) == 1, "the money should be the same wherever it is counted", str(sums))
    await year.conclude(f"{usd(invoiced)}: in invoices, payments, receipts, Stripe's charges and Stripe's balance.")


async def _history(year: Year, row: Json) -> None:
    """The rows alone lead to what the subscription is."""
    rows = await year.world.rows(
        "SELECT * FROM subscription_history WHERE subscription_id = $1 ORDER BY performed_at, id", row["id"]
    )
    state: Json = {}
    for change in rows:
        old, new = (msgspec.json.decode(change[name] or "{}") for name in ("old_values", "new_values"))
        wrong = [name for name, value in old.items() if name in state and state[name] != value]
        check(not wrong, f"“{change['action']}” should follow what was before", f"{', '.join(wrong)} does not")
        state |= new
    check(not any(change["provisional"] for change in rows), "each change should have been told by Stripe")
    for name in ("status", "cancel_at_period_end", "default_payment_method"):
        _same(f"{name} by the history", state[name], row[name])
    _same("quantity by the history", [item["quantity"] for item in state["items"]], [row["quantity"]])
    await year.conclude(
        f"{len(rows)} changes in the history: each follows from the one before, and they end where Stripe is."
    )


async def _events(year: Year, customer: str) -> None:
    found = {row["state"]: row["number"] for row in await year.world.rows(_EVENTS, customer)}
    check(set(found) == {"processed"}, "every webhook should be applied", f"they are {found}")
    left = await year.world.rows(_OPEN, year.world.subject, "succeeded")
    check(not left, "every request to Stripe should have succeeded", f"these did not: {left}")
    await year.conclude(f"{found['processed']} webhooks, each applied once.")


async def _mails(year: Year) -> None:
    landed = await year.world.mails()
    told = Counter(item.fact[1] for item in year.came if item.kind == "mail")
    once = len({item["message_id"] for item in landed}) == len(landed) == told.total()
    check(once, f"{told.total()} mails should be in the mailbox, each once", f"there are {len(landed)}")
    receipts = told["invoice_receipt"]
    await year.conclude(f"{len(landed)} mails, each sent once: {receipts} receipts, {len(landed) - receipts} others.")


def _same(what: str, ours: Any, theirs: Any) -> None:
    check(ours == theirs, f"{what} should be equal on both sides", f"{ours} is not {theirs}")


def _unix(seconds: int | None) -> Any:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _cents(amount: str) -> int:
    return int(amount.removeprefix("$").replace(",", "").replace(".", ""))
