"""Who may use what they subscribed to, and until when: a pure function of a subscription and its unpaid invoices.

It knows no clock. What it answers is true from now until something changes, or until `until` has come.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from tallystick.invoices.models import InvoiceRow
from tallystick.subscriptions.models import SubscriptionRow

__all__ = ["Access", "AccessRules", "access_of", "failing_invoice", "failing_since"]

_NONE = frozenset({"incomplete", "incomplete_expired", "unpaid", "paused", "canceled"})


class AccessRules(Struct, frozen=True):
    """What the installation decides: GRACE_PERIOD_DAYS and PAUSED_SUBSCRIPTIONS_KEEP_ACCESS."""

    grace: timedelta
    paused_keep: bool = False


class Access(Struct, frozen=True):
    """What a subscription gives.

    `state` says why: `trialing`, `active`, `grace`, `paused`, `incomplete`, `incomplete_expired`, `unpaid`, `canceled`,
    `grace_over` or `past_due` (of which no unpaid invoice is known). `access` ends by itself at `until` (None: not by
    itself) and is then `ends_as`. `grace_until` is the end of grace where an invoice is overdue, whatever ends access.
    """

    state: str
    access: bool
    until: datetime | None = None
    grace_until: datetime | None = None
    ends_as: str | None = None


def access_of(
    row: SubscriptionRow, unpaid: Sequence[InvoiceRow], rules: AccessRules, *, customer_has_method: bool
) -> Access:
    """The access that a subscription gives. `unpaid` are its open invoices with money to come, in any order.

    | status | access |
    |---|---|
    | incomplete, incomplete_expired, unpaid, paused, canceled | none |
    | any other, `pause_collection` set | none, unless PAUSED_SUBSCRIPTIONS_KEEP_ACCESS |
    | trialing | yes; until `trial_end` where it would end for want of a payment method |
    | active | yes, whatever older invoices are unpaid: Stripe looks at the newest |
    | past_due | until the oldest unpaid invoice's first failure + grace; not at all where grace is 0 |
    | past_due, no unpaid invoice known | yes: it was paid, or the invoice is on its way here |

    A scheduled cancellation ends what is left of it at its date. The end of a period ends nothing: a renewal stays a
    draft for an hour, and its news may come later still.
    """
    if row.status in _NONE:
        return Access(row.status, access=False)
    if row.pause_collection is not None and not rules.paused_keep:
        return Access("paused", access=False)
    access = _running(row, unpaid, rules, customer_has_method=customer_has_method)
    ends_at = _cancel_at(row)
    if access.access and ends_at is not None and (access.until is None or ends_at < access.until):
        return replace(access, until=ends_at, ends_as="canceled")
    return access


def failing_since(unpaid: Sequence[InvoiceRow]) -> datetime | None:
    """Since when the oldest of these invoices is overdue. Retries, and invoices that came after, do not move it."""
    invoice = failing_invoice(unpaid)
    return _failing_since(invoice) if invoice else None


def failing_invoice(unpaid: Sequence[InvoiceRow]) -> InvoiceRow | None:
    """The invoice that is overdue longest."""
    return min(unpaid, key=lambda invoice: (_failing_since(invoice), invoice.created_at, invoice.id), default=None)


def _failing_since(invoice: InvoiceRow) -> datetime:
    # An invoice that is to be paid by a date fails by passing it. The rest: we were not told how it failed.
    return invoice.first_failed_at or invoice.due_date or invoice.finalized_at or invoice.created_at


def _running(
    row: SubscriptionRow, unpaid: Sequence[InvoiceRow], rules: AccessRules, *, customer_has_method: bool
) -> Access:
    if row.status == "trialing":
        covered = row.default_payment_method is not None or customer_has_method
        if covered or row.trial_without_method not in ("cancel", "pause") or row.trial_end is None:
            return Access("trialing", access=True)
        return Access("trialing", access=True, until=row.trial_end, ends_as="trial_over")
    since = failing_since(unpaid) if row.status == "past_due" else None
    if since is None:
        return Access(row.status, access=True)
    ends = since + rules.grace
    if not rules.grace:
        return Access("grace_over", access=False, grace_until=ends)
    return Access("grace", access=True, until=ends, grace_until=ends, ends_as="grace_over")


def _cancel_at(row: SubscriptionRow) -> datetime | None:
    if row.cancel_at is not None:
        return row.cancel_at
    return row.current_period_end if row.cancel_at_period_end else None
