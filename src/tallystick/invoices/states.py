"""Which of two states of an invoice is the newer one. Pure rules; everything that changes a mirrored row asks them.

An invoice is created, finalised and paid within one second as a rule, so that time decides little. Its status only
goes on (docs.stripe.com/invoicing/overview#invoice-statuses), attempts are counted, and what was paid grows: these
decide first, then the event's `previous_attributes` (not of drafts). What stays open is applied, marked unsure, and
fetched.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from msgspec import UnsetType
from msgspec.structs import replace

from tallystick.core.clock import from_unix
from tallystick.invoices.models import InvoiceFacts, InvoiceRow
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.ordering import Source, Verdict, judge, whole_previous

__all__ = ["FAILURES", "failed_at", "judge_invoice", "pick"]

Value = TypeVar("Value")

FAILURES = frozenset({"invoice.payment_failed", "invoice.payment_action_required"})
"""Events that tell of a payment which did not go through."""

_RANK = {"draft": 0, "open": 1, "uncollectible": 2, "paid": 3, "void": 3}
_TIMES = ("next_payment_attempt", "due_date", "period_start", "period_end")
_SHOWN = (
    "number",
    "subtotal",
    "total",
    "amount_due",
    "amount_remaining",
    "starting_balance",
    "ending_balance",
    "next_payment_attempt",
    "auto_advance",
    "collection_method",
    "due_date",
    "period_start",
    "period_end",
    "default_payment_method",
    "metadata",
)


def pick(new: Value | UnsetType, old: Value) -> Value:
    """Absent is not null: what a payload does not have stays as it was."""
    return old if isinstance(new, UnsetType) else new


def judge_invoice(row: InvoiceRow, fact: InvoiceFacts) -> Verdict:
    """An invoice's state against its row."""
    invoice, source = fact.value, fact.source
    if row.deleted or invoice.deleted:
        return Verdict.KEEP if row.deleted else Verdict.APPLY
    old, new = _RANK.get(row.status or "", 0), _RANK.get(invoice.status or "", 0)
    if old != new:
        return Verdict.APPLY if new > old else Verdict.KEEP
    if source.unmoved(row.revision) or source.at > row.state_at:
        return Verdict.APPLY
    if source.at < row.state_at:
        return Verdict.KEEP
    return _judge_same_second(row, fact)


def _judge_same_second(row: InvoiceRow, fact: InvoiceFacts) -> Verdict:
    invoice, source = fact.value, fact.source
    old = (row.attempted, row.attempt_count, row.amount_paid)
    new = (invoice.attempted, invoice.attempt_count, invoice.amount_paid)
    if old != new:
        if all(ours <= theirs for ours, theirs in zip(old, new, strict=True)):
            return Verdict.APPLY
        if all(ours >= theirs for ours, theirs in zip(old, new, strict=True)):
            return Verdict.KEEP
        return Verdict.UNSURE
    shown: Mapping[str, Any] = {name: getattr(row, name) for name in _SHOWN}
    state: Mapping[str, Any] = {name: pick(getattr(invoice, name), shown[name]) for name in _SHOWN}
    if row.status == "draft" and source.event_type != "invoice.created":
        # Drafts are edited back and forth, which previous values do not tell apart, and their lines are not all here.
        edited = shown != state or "lines" in (source.previous or {})
        return Verdict.UNSURE if edited else Verdict.KEEP
    known = replace(source, previous=_previous(source, invoice))
    return judge(known, row_at=row.state_at, revision=row.revision, shown=shown, state=state)


def _previous(source: Source, invoice: Invoice) -> Mapping[str, Any] | None:
    whole = whole_previous(source.previous, {"metadata": invoice.metadata})
    return {
        name: from_unix(int(value)) if name in _TIMES and value is not None else value
        for name, value in (whole or {}).items()
    }


def failed_at(row: InvoiceRow | None, fact: InvoiceFacts) -> datetime | None:
    """When a payment of the invoice failed, or needed the customer, for the first time, this fact included."""
    known = row.first_failed_at if row else None
    if fact.source.event_type not in FAILURES:
        return known
    return fact.source.at if known is None else min(known, fact.source.at)
