"""The calendar of an unpaid renewal: what was tried, what comes next, and until when access is kept. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from msgspec import Struct

from tallystick.invoices.models import InvoiceRow
from tallystick.subscriptions.access import failing_invoice, failing_since
from tallystick.subscriptions.models import TERMINAL, DunningRow, SubscriptionRow

__all__ = ["Dunning", "DunningRules", "dunning_of", "has_failed"]


class DunningRules(Struct, frozen=True):
    """What the installation decides: DUNNING_MODE, DUNNING_RETRY_DAYS up to MAX_RETRY_ATTEMPTS, GRACE_PERIOD_DAYS.

    A failed payment is tried again `days[n]` days after the n-th failure.
    """

    mode: Literal["stripe", "local"]
    days: Sequence[int]
    grace: timedelta


class Dunning(Struct, frozen=True):
    """An unpaid renewal as it is shown: the oldest unpaid invoice, and what is done about it.

    `attempts_left` are those that are planned; `access_until` may be past. `amount_due` in minor units of `currency`.
    """

    invoice: UUID
    stripe_invoice_id: str
    first_failed_at: datetime
    attempts: int
    attempts_left: int
    next_payment_attempt: datetime | None
    access_until: datetime
    amount_due: int
    currency: str
    pay_url: str | None


def dunning_of(
    row: SubscriptionRow, unpaid: Sequence[InvoiceRow], runs: Mapping[str, DunningRow], rules: DunningRules
) -> Dunning | None:
    """The calendar of a subscription, or None where no payment of an unpaid invoice has failed.

    `unpaid` are its open invoices with money to come, in any order, `runs` how far each has come in mode `local`, by
    Stripe's id. Stripe's own next attempt is believed in either mode: while there is one, we make none.
    """
    if row.status in TERMINAL or row.status == "incomplete":
        return None
    failed = [invoice for invoice in unpaid if has_failed(row, invoice)]
    invoice, since = failing_invoice(failed), failing_since(failed)
    if invoice is None or since is None:
        return None
    attempts, left, upcoming = _plan(invoice, since, runs.get(invoice.stripe_invoice_id), rules)
    return Dunning(
        invoice=invoice.id,
        stripe_invoice_id=invoice.stripe_invoice_id,
        first_failed_at=since,
        attempts=attempts,
        attempts_left=left,
        next_payment_attempt=upcoming,
        access_until=since + rules.grace,
        amount_due=invoice.amount_remaining,
        currency=invoice.currency,
        pay_url=invoice.hosted_invoice_url,
    )


def has_failed(row: SubscriptionRow, invoice: InvoiceRow) -> bool:
    """Whether a payment of the invoice has failed: we were told so, or see what it has led to."""
    return invoice.first_failed_at is not None or (row.status == "past_due" and invoice.attempted)


def _plan(
    invoice: InvoiceRow, since: datetime, run: DunningRow | None, rules: DunningRules
) -> tuple[int, int, datetime | None]:
    """Attempts made, attempts left, and the next one's time."""
    if rules.mode == "stripe" or invoice.next_payment_attempt is not None:
        upcoming = invoice.next_payment_attempt
        left = max(1, len(rules.days) + 1 - invoice.attempt_count) if upcoming else 0
        return max(1, invoice.attempt_count), left, upcoming
    if run is None:
        upcoming = since + timedelta(days=rules.days[0]) if rules.days else None
        return max(1, invoice.attempt_count), len(rules.days), upcoming
    left = max(0, len(rules.days) - run.step)
    return run.attempts, left, run.next_at if left else None
