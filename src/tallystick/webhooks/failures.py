"""What becomes of an event that could not be applied: a pure decision, carried out by the processor."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random

import asyncpg

from tallystick.platform.database import is_weather
from tallystick.platform.logging import scrub
from tallystick.platform.work import backoff
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.models import ClaimedEvent

__all__ = ["Rules", "Verdict", "describe", "judge"]

_MESSAGE_MAX_CHARS = 500
_WEATHER_DELAY = timedelta(seconds=1)
# A parent is mostly a neighbour in another lane: it comes within moments, or not at all.
_PARENT_WAIT_LEAST = timedelta(milliseconds=250)
_PARENT_WAIT_MOST = timedelta(seconds=5)
_PARENT_FETCHED_AFTER = timedelta(minutes=1)
_PARENT_GIVEN_UP_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient the inbox is: `max_retries` after the first try, the first of them after `retry_delay`, and which
    objects somebody could fetch."""

    max_retries: int
    retry_delay: timedelta
    can_fetch: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`not_before` is wall time, and None for an event that is dead; `fetch` is a parent to be fetched meanwhile.

    The later events of its object wait for it, but for those of the parent that it `waits_for` itself.
    """

    not_before: datetime | None
    retry_count: int
    message: str
    fetch: str | None = None
    waits_for: str | None = None


def judge(error: Exception, event: ClaimedEvent, rules: Rules, now: datetime) -> Verdict:
    """The design's failure rules: weather waits and is not counted, a missing parent waits and is fetched after a
    minute, everything else is the event's own error and uses up its tries. `now` is wall time.

    A parent is waited for from the first try on: after an outage both are old, and it may be behind in the backlog."""
    message, fetch, parent = describe(error), None, None
    if isinstance(error, ParentMissing):
        parent = error.parent_id
        age = now - (event.waits_since or now)
        if age >= _PARENT_FETCHED_AFTER and rules.can_fetch(parent):
            message += "; it is being fetched"
            # Said already: then it was queued already, and a second time would not make it come sooner.
            fetch = parent if event.error_message != message else None
        if age < _PARENT_GIVEN_UP_AFTER:
            wait = min(max(age / 2, _PARENT_WAIT_LEAST), _PARENT_WAIT_MOST)
            return Verdict(now + wait, event.retry_count, message, fetch, parent)
    elif is_weather(error):
        return Verdict(now + _WEATHER_DELAY * (1 + random()), event.retry_count, message)
    if event.retry_count >= rules.max_retries:
        return Verdict(None, event.retry_count, message, fetch)
    retry = event.retry_count + 1
    return Verdict(now + backoff(retry, rules.retry_delay), retry, message, fetch, parent)


def describe(error: BaseException) -> str:
    """Class and message, without secrets, and without PostgreSQL's DETAIL, which quotes personal data of rows."""
    text = str(error.args[0]) if isinstance(error, asyncpg.PostgresError) and error.args else str(error)
    return scrub(f"{type(error).__name__}: {text}".rstrip(": "))[:_MESSAGE_MAX_CHARS]
