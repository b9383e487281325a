"""The sandbox's two clocks: business time moves by an offset that is kept in the store."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import formatdate

from tallystick.core.clock import SystemClock

__all__ = ["SandboxClock", "parse_span"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class SandboxClock(SystemClock):
    """Business time in Stripe's form. Every `created`, due moment and `Date` header comes from here."""

    def __init__(self, offset_s: float = 0.0, wall: Callable[[], datetime] | None = None) -> None:
        super().__init__(timedelta(seconds=offset_s), wall)
        self._date = (0, "")

    def exact(self) -> float:
        """Business time in seconds since 1970."""
        return self.now().timestamp()

    def unix(self) -> int:
        """Business time as Stripe prints it."""
        return int(self.now().timestamp())

    def wall_unix(self) -> float:
        """Wall time in seconds since 1970: signatures, idempotency keys and the search lag use it."""
        return self.wall().timestamp()

    def move_to(self, exact: float) -> None:
        """Move business time forward to `exact`; a moment in the past changes nothing."""
        ahead = exact - self.exact()
        if ahead > 0:
            self.offset += timedelta(seconds=ahead)

    def http_date(self) -> str:
        """Business time as an HTTP date."""
        now = self.unix()
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]


def parse_span(value: object) -> float:
    """Seconds of `90`, `"90"`, `"40d"`, `"2h"`, `"15m"`, `"1w"`; raises ValueError for anything else."""
    text = str(value).strip()
    unit = _UNITS.get(text[-1:])
    try:
        seconds = float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        seconds = math.nan
    if isinstance(value, bool) or not math.isfinite(seconds):
        raise ValueError(f"{text!r} is no span of time: seconds, or a number with s, m, h, d or w (90, 15m, 40d).")
    return seconds
