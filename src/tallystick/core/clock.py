"""Two clocks, handed in and never read from a global.

*Business time* (`now`) rules trials, dunning, mails and due work, and can be moved in the sandbox.
*Wall time* (`wall`) rules leases, tokens, signatures, rate limits and retry delays, and cannot.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock", "from_unix", "to_unix"]


class Clock(Protocol):
    """Where time comes from; all times are aware and in UTC."""

    def now(self) -> datetime:
        """Business time."""

    def wall(self) -> datetime:
        """Wall time."""

    def monotonic(self) -> float:
        """Seconds for measuring durations."""


class SystemClock:
    """The machine's clock; business time runs `offset` ahead of it."""

    def __init__(self, offset: timedelta = timedelta()) -> None:
        self.offset = offset

    def now(self) -> datetime:
        return self.wall() + self.offset

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def from_unix(seconds: int) -> datetime:
    """A Stripe timestamp (seconds since 1970) as an aware time."""
    return datetime.fromtimestamp(seconds, UTC)


def to_unix(at: datetime) -> int:
    """An aware time as Stripe writes it."""
    return int(at.timestamp())
