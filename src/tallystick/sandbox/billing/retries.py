"""When a failed renewal is tried again: so many days after each failure, as a custom schedule does."""

from collections.abc import Sequence

__all__ = ["HARD_DECLINES", "next_attempt"]

_DAY_S = 86400

HARD_DECLINES = frozenset(
    {
        "authentication_required", "highest_risk_level", "incorrect_number", "lost_card", "pickup_card",
        "revocation_of_all_authorizations", "revocation_of_authorization", "stolen_card",
        "transaction_not_allowed",
    }
)  # fmt: skip
"""After these no retry is executed until there is another method, though retries stay planned and counted."""


def next_attempt(attempts: int, now: int, days: Sequence[int]) -> int | None:
    """When to try again after `attempts` failed ones; None after the last."""
    return now + days[attempts - 1] * _DAY_S if 0 < attempts <= len(days) else None
