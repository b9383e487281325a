"""Of which moment the state is that an answer of Stripe's shows, by Stripe's own clock."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tallystick.core.clock import from_unix

__all__ = ["left_at", "read_at"]


def left_at(headers: Mapping[str, str] | None) -> datetime | None:
    """When an answer left Stripe (its `Date`, whole seconds); None where it tells nothing of the state that it shows.

    An answer replayed for an idempotency key shows the state of its first time, under the date of today.
    """
    if not headers or (headers.get("Idempotent-Replayed") or headers.get("idempotent-replayed")) == "true":
        return None
    for name in ("Date", "date"):
        if name in headers:
            try:
                found = parsedate_to_datetime(headers[name])
            except (ValueError, TypeError, OverflowError, IndexError):  # the library's, for dates that are none
                return None
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def read_at(left: datetime | None, took_s: float, raw: Mapping[str, Any]) -> datetime | None:
    """When something was asked for whose answer `left` Stripe, and was here `took_s` seconds after it was asked for.

    What changed while the answer was on its way is newer than what it shows. Nothing is older than its making.
    """
    if left is None:
        return None
    asked = left - timedelta(seconds=math.ceil(took_s))
    created = raw.get("created")
    # Objects of test clocks are made at any time.
    if isinstance(created, int) and asked.timestamp() < created <= left.timestamp():
        return from_unix(created)
    return asked
