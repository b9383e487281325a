"""The one clock of a simulation: wall time and business time, of the application and of Stripe, are the same."""

from datetime import UTC, datetime, timedelta

from tallystick.core.clock import SystemClock

__all__ = ["Timeline"]


class Timeline:
    """Time that passes by itself, and leaps when it is told to."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self.clock = SystemClock(wall=self.now)

    def now(self) -> datetime:
        """The present, for everybody."""
        return datetime.now(UTC) + self._ahead

    def nanoseconds(self) -> int:
        """The present as ids are made of it."""
        return int(self.now().timestamp() * 1e9)

    def leap(self, to: datetime) -> bool:
        """Go on to this moment; False where it is past already."""
        ahead = to - self.now()
        if ahead <= timedelta():
            return False
        self._ahead += ahead
        return True
