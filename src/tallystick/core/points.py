"""Named points at which a simulation steps in: with a delay, an error, or the death of the process.

They are where crashes hurt: before and after each call to Stripe, each commit, and each message that is sent. Outside a
simulation nobody listens, and a point costs the call of one function.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

__all__ = ["POINTS", "Point", "listening", "reach"]

Point: TypeAlias = Literal[
    "stripe.before", "stripe.after", "commit.before", "commit.after", "send.before", "send.after"
]
POINTS: tuple[Point, ...] = (
    "stripe.before", "stripe.after", "commit.before", "commit.after", "send.before", "send.after",
)  # fmt: skip
Listener: TypeAlias = Callable[[Point], Awaitable[None]]

_listeners: list[Listener] = []


async def reach(point: Point) -> None:
    """Tell whoever listens that this point is reached; what a listener raises is raised here."""
    for listener in _listeners:
        await listener(point)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have `listener` awaited at each point, wherever it is reached, for as long as the block lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
