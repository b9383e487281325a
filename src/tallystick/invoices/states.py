"""Which of two states of an invoice is the newer one. Pure rules; everything that changes a mirrored row asks them.

An invoice is created, finalised and paid within one second as a rule, so that time decides little. Its status only
goes on (docs.stripe.com/invoicing/overview#invoice-statuses), attempts are counted, and what was paid grows: these
decide first, then which fields an event changed (not of drafts). What stays open is applied, marked unsure, and
fetched.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tallystick.invoices.models import InvoiceFacts, InvoiceRow
from tallystick.stripe_gateway.objects import pick
from tallystick.stripe_gateway.ordering import Verdict, judge

__all__ = ["FAILURES", "failed_at", "judge_invoice"]


FAILURES = frozenset({"invoice.payment_failed", "invoice.payment_action_required"})
"""Events that tell of a payment which did not go through."""

_RANK = {"draft": 0, "open": 1, "uncollectible": 2, "paid": 3, "void": 3}
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


def judge_invoice(row: InvoiceRow, fact: InvoiceFacts) -> Verdict:
    """An invoice's state against its row."""
    invoice, source = fact.value, fact.source
    if source.mends(row.revision):
        return Verdict.APPLY
    if row.deleted or invoice.deleted:
        return Verdict.KEEP if row.deleted else Verdict.APPLY
    old, new = _RANK.get(row.status or "", 0), _RANK.get(invoice.status or "", 0)
    if old != new:
        return Verdict.APPLY if new > old else Verdict.KEEP
    shown: Mapping[str, Any] = {name: getattr(row, name) for name in _SHOWN}
    state: Mapping[str, Any] = {name: pick(getattr(invoice, name), shown[name]) for name in _SHOWN}
    verdict = judge(source, row_at=row.state_at, revision=row.revision, shown=shown, state=state)
    if source.at != row.state_at or source.unmoved(row.revision):
        return verdict
    return _judge_same_second(row, fact, verdict, edited=shown != state)


def _judge_same_second(row: InvoiceRow, fact: InvoiceFacts, verdict: Verdict, *, edited: bool) -> Verdict:
    invoice, source = fact.value, fact.source
    old = (row.attempted, row.attempt_count, row.amount_paid)
    new = (invoice.attempted, invoice.attempt_count, invoice.amount_paid)
    if old != new:
        if all(ours <= theirs for ours, theirs in zip(old, new, strict=True)):
            return Verdict.APPLY
        if all(ours >= theirs for ours, theirs in zip(old, new, strict=True)):
            return Verdict.KEEP
        return Verdict.UNSURE
    if row.status == "draft" and source.event_type != "invoice.created":
        # The lines of a draft are edited, too, and they are not all here.
        return Verdict.UNSURE if edited or "lines" in (source.previous or {}) else Verdict.KEEP
    return verdict


def failed_at(row: InvoiceRow | None, fact: InvoiceFacts) -> datetime | None:
    """When a payment of the invoice failed, or needed the customer, for the first time, this fact included."""
    known = row.first_failed_at if row else None
    if fact.source.event_type not in FAILURES:
        return known
    return fact.source.at if known is None else min(known, fact.source.at)
