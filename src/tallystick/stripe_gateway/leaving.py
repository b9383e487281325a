"""`leaving_while`: a write that must not leave too late, whatever holds it up on its way to the line.

A key protects a write for as long as Stripe keeps it (at least 24 hours, docs.stripe.com/api/idempotent_requests). A
process may stand still for longer than that between its last look at the age of a write and the line: a laptop that is
closed, a virtual machine that is paused. The look is therefore repeated as the last thing before each sending.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["leaving_while", "may_leave"]

_allowed: ContextVar[Callable[[], bool] | None] = ContextVar("may_leave", default=None)


@contextmanager
def leaving_while(allowed: Callable[[], bool]) -> Iterator[None]:
    """Around a call: each of its sendings asks `allowed` first; where it says no, the outcome is unknown."""
    token = _allowed.set(allowed)
    try:
        yield
    finally:
        _allowed.reset(token)


def may_leave() -> bool:
    """Whether what is sent now is not too late."""
    allowed = _allowed.get()
    return allowed is None or allowed()
