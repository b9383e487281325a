"""Patience with a mail server that is away."""

from datetime import timedelta

from tallystick.core.clock import Clock

__all__ = ["Outage"]

_SHORTEST_S = 2.0
_LONGEST_S = 60.0


class Outage:
    """Whether the server is away, and when to try it again: after half the time that it has been away already.

    Without it, every mail that waits would be taken, tried and put back, over and over.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self._closed_until = 0.0

    def begin(self) -> timedelta:
        """The server could not be talked to; how long to leave it alone (2 s to a minute)."""
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
        seconds = min(max((now - self._since) / 2, _SHORTEST_S), _LONGEST_S)
        self._closed_until = now + seconds
        return timedelta(seconds=seconds)

    def over(self) -> None:
        """The server took a message."""
        self._since = None

    def allowed(self, wanted: int) -> int:
        """How many mails may be tried now: all that are wanted, none, or one to see whether the server is back."""
        if self._since is None:
            return wanted
        return 0 if self._clock.monotonic() < self._closed_until else 1
