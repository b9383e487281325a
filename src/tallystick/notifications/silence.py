"""Silence: what is written inside it is told to nobody, and neither is what happened before the installation's mark.

An import, a rebuild, and events from before the mark write state and history. Mails, outbound webhooks, hooks and
alerts about them would tell people of what was over before anybody here could know of it. The business keys of mails
and facts are taken all the same, so that no later event tells them either.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TypeAlias

from tallystick.platform.database import Transaction

__all__ = ["ReadMark", "is_silent", "no_mark", "silent"]

ReadMark: TypeAlias = Callable[[Transaction], Awaitable[datetime | None]]
"""Tells, in the caller's transaction, from when on (business time) anybody is told of anything; None: always."""

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silent(*, unless: bool = False) -> Iterator[None]:
    """Around recorders whose facts are told to nobody: no mail, no outbound webhook, no hook, no alert.

    With `unless` they are told, also where the caller is silent: as long as an event is to come that would tell the
    same, whoever takes its business keys in silence takes its news away.
    """
    token = _silent.set(not unless)
    try:
        yield
    finally:
        _silent.reset(token)


def is_silent() -> bool:
    """Whether what is recorded now is to be told to nobody."""
    return _silent.get()


async def no_mark(_tx: Transaction) -> datetime | None:
    """For whoever was not told of a mark."""
    return None
