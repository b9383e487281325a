"""Where catching up stands, and what it could not read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

__all__ = ["CatchUpState", "Gap"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of Stripe's time whose events were not there any more when we came to read them.

    `walked_at` is when all lists had been walked instead; None: that is still to be done.
    """

    id: UUID
    from_at: datetime
    until_at: datetime
    found_at: datetime
    walked_at: datetime | None


@dataclass(frozen=True, slots=True)
class CatchUpState:
    """`cursor_at` is Stripe's time: every event created before it was read. `read_at` (wall time) is when the list was
    last read to its end. `recovered` events were brought that no webhook had brought, the last at `recovered_at`."""

    cursor_at: datetime
    read_at: datetime | None
    recovered: int
    recovered_at: datetime | None
    gaps: Sequence[Gap] = ()
