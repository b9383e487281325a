"""Forgetting old `Idempotency-Key`s. Attempts stay: they are the record of what was sent to Stripe."""

from datetime import datetime

from tallystick.attempts.repository import AttemptRepository
from tallystick.platform.database import Transaction

__all__ = ["prune_keys"]


async def prune_keys(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget answered keys that were claimed before then (wall time), at most `limit`; how many.

    One whose attempt is open stays: it is all that keeps a repeat from being sent as a new request. What a repeat of a
    forgotten key would make bears the same derived id and the same key at Stripe as the first, so it is refused.
    """
    return await AttemptRepository().prune_keys(tx, before, limit)
