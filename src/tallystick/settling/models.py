"""Shapes of the settling area."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where we stand: `quiet`, or `waiting` for at most twenty things by name.

    `now` and `next_due`, the moment at which something queued will be due, are business time in Unix seconds.
    """

    quiet: bool
    now: float
    next_due: float | None
    waiting: Sequence[str]
