"""What the first page may say was done: only what the account still shows. An address can be kept, or typed."""

from collections.abc import Callable, Mapping

from tallystick.pages.billing.models import Account
from tallystick.subscriptions.models import LIVE, TERMINAL, SubscriptionRow

__all__ = ["OUTCOMES", "outcome"]


def _paused(row: SubscriptionRow) -> bool:
    return row.status == "paused" or row.pause_collection is not None


def _ends(row: SubscriptionRow) -> bool:
    return row.cancel_at_period_end or row.cancel_at is not None or row.status in TERMINAL


def _any(holds: Callable[[SubscriptionRow], bool]) -> Callable[[Account], bool]:
    return lambda account: any(holds(found.row) for found in account.subscriptions)


def _always(account: Account) -> bool:
    return True


OUTCOMES: Mapping[str, Callable[[Account], bool]] = {
    "subscribed": _any(lambda row: row.status in LIVE),
    "exists": _any(lambda row: row.status in LIVE),
    "changed": _always,
    "scheduled": lambda account: any(found.scheduled for found in account.subscriptions),
    "unscheduled": lambda account: not any(found.scheduled for found in account.subscriptions),
    "code_used": _any(lambda row: bool(row.discounts)),
    "canceled": _any(_ends),
    "kept": _any(lambda row: not _ends(row)),
    "paused": _any(_paused),
    "resumed": _any(lambda row: not _paused(row)),
    "card_added": _always,
    "card_default": _always,
    "card_removed": _always,
    "paid": lambda account: not account.overdue,
    "paying": _always,
    "unknown": _always,
}
"""By its name in the address: whether it is so."""


def outcome(name: str | None, account: Account) -> str | None:
    """The outcome to tell, or None."""
    holds = OUTCOMES.get(name or "")
    return name if holds is not None and holds(account) else None
