"""The arithmetic of a rate limit: a bucket that leaks, of which each process fills its part.

What all have filled is known only to the database. A process knows what the database told it last and what it has let
through since. Both can only be too little, so whoever is refused by them is over the limit. Before it has let through
more than a batch that the others know nothing of, it has to tell them.
"""

from dataclasses import dataclass, field
from math import ceil

__all__ = ["Bucket", "RatePolicy", "Verdict"]

_BATCHES = 50
"""A batch is this part of the quota; so is what leaks out while a process keeps one for itself."""
_SOONEST_S, _LATEST_S = 0.1, 5.0
# Times of the database are whole microseconds: nobody is refused for what is lost by that.
_ROUNDING = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class RatePolicy:
    """`quota` requests at once, and as many again in each `window_s` seconds."""

    name: str
    quota: int
    window_s: int
    rate: float = field(init=False)
    """How many requests leak out in a second."""
    batch: int = field(init=False)
    """How many a process may let through that the others do not know of yet."""
    telling_s: float = field(init=False)
    """After how many seconds it tells them in any case."""
    header: bytes = field(init=False)
    """The policy as the field `RateLimit-Policy` tells it (draft-ietf-httpapi-ratelimit-headers-10)."""

    def __post_init__(self) -> None:
        told = {
            "rate": self.quota / self.window_s,
            "batch": max(1, self.quota // _BATCHES),
            "telling_s": min(max(self.window_s / _BATCHES, _SOONEST_S), _LATEST_S),
            "header": f'"{self.name}";q={self.quota};w={self.window_s}'.encode(),
        }
        for name, value in told.items():
            object.__setattr__(self, name, value)


@dataclass(slots=True)
class Verdict:
    """What a policy says to a request. `wait_s`: in how many seconds there is room again; 0: it may pass now."""

    policy: RatePolicy
    remaining: int
    reset_s: int
    wait_s: int = 0

    @property
    def header(self) -> bytes:
        """The field `RateLimit`: how many are left, and when there is room again, or all of the quota is."""
        return b'"%b";r=%d;t=%d' % (self.policy.name.encode(), self.remaining, self.wait_s or self.reset_s)


class Bucket:
    """One caller's bucket as a process sees it; times are those of its monotonic clock, in seconds."""

    __slots__ = ("_at", "_level", "sending", "since", "unsent")

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0
        self.unsent = 0
        """Let through here, and told to nobody yet."""
        self.sending = 0
        """On its way to the database."""
        self.since = 0.0
        """When the first of `unsent` was let through."""

    def level(self, policy: RatePolicy, now: float) -> float:
        """How full it is at the least."""
        return max(0.0, self._level - (now - self._at) * policy.rate)

    def take(self, policy: RatePolicy, now: float, *, alone: bool = False) -> Verdict | None:
        """Let a request through, or refuse it; None where the database has to be asked first (never if `alone`)."""
        level = self.level(policy, now)
        if level + 1 > policy.quota + _ROUNDING:
            return self.refusal(policy, level)
        if self.unsent + self.sending >= policy.batch and not alone:
            return None
        if not self.unsent:
            self.since = now
        self._level, self._at = level + 1, now
        self.unsent += 1
        return Verdict(policy, int(policy.quota - level - 1 + _ROUNDING), ceil((level + 1) / policy.rate))

    def full(self, policy: RatePolicy, now: float) -> Verdict | None:
        """What whoever is over the limit is told; None where there is room. Nothing is taken."""
        level = self.level(policy, now)
        return self.refusal(policy, level) if level + 1 > policy.quota + _ROUNDING else None

    def refusal(self, policy: RatePolicy, level: float) -> Verdict:
        wait_s = max(1, ceil((level + 1 - policy.quota) / policy.rate))
        return Verdict(policy, 0, ceil(level / policy.rate), wait_s)

    def begin_sending(self) -> int:
        """Take all that is unsent on its way to the database; how many that are."""
        self.sending, self.unsent = self.unsent, 0
        return self.sending

    def sent(self, policy: RatePolicy, level: float, asked_at: float) -> None:
        """The database has counted what was sent: the bucket held `level` a little after `asked_at`."""
        self._level, self._at, self.sending = max(0.0, level) + self.unsent, asked_at, 0

    def not_sent(self, since: float) -> None:
        """The database did not answer; what was sent is unsent again."""
        self.unsent, self.sending, self.since = self.unsent + self.sending, 0, since
