"""`EventReader`: Stripe's list of events, which is newest first, read oldest first and in bounded memory.

A stretch of time is read window by window. A window that holds more than a few pages is made smaller, one that holds
little is followed by a larger one: a year without events costs one call, and a flood as many as it has pages, and some.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from tallystick.core.clock import to_unix
from tallystick.stripe_gateway.objects import StripeEvent
from tallystick.stripe_gateway.service import StripeService

__all__ = ["EventReader", "Window"]

_PAGE = 100
_PAGES = 5
_AIM = 300
_WIDEN = 4


@dataclass(frozen=True, slots=True)
class Window:
    """Events, oldest first. With them all are read that were created before `until` (Unix seconds)."""

    events: Sequence[StripeEvent]
    until: int


class EventReader:
    """Reads stretches of the list, in the background."""

    def __init__(self, stripe: StripeService) -> None:
        self._stripe = stripe

    async def read(self, start: int, end: int) -> AsyncGenerator[Window, None]:
        """The events created in [start, end), Unix seconds, and not after Stripe's own now.

        Raises the errors of the gateway; what was given out by then stays read.
        """
        width = max(end - start, 1)
        while start < end:
            until = min(start + width, end)
            first, more, now = await self._page(start, until)
            end = min(end, max(now, start + 1)) if now else end
            until = min(until, end)
            events = await self._rest(start, until, first, more=more)
            if events is not None:
                yield Window(events[::-1], until)
                start = until
                width *= max(min(_WIDEN, _AIM // max(len(events), 1)), 1)
            elif until - start == 1:
                async for window in self._flood(start, first):
                    yield window
                start = until
            else:
                width = _narrower(start, until, first)

    async def _rest(self, start: int, until: int, events: list[StripeEvent], *, more: bool) -> list[StripeEvent] | None:
        """All events of a window, newest first; None where they are too many."""
        if more and until - start > 1 and _expected(start, until, events) > _PAGES * _PAGE:
            return None
        while more:
            if len(events) >= _PAGES * _PAGE:
                return None
            page, more, _ = await self._page(start, until, after=events[-1].id)
            events = events + page
        return events

    async def _flood(self, second: int, first: list[StripeEvent]) -> AsyncGenerator[Window, None]:
        """The events of one second that has more than memory should hold: down to the oldest, and up again."""
        page, more = first, True
        while more:
            page, more, _ = await self._page(second, second + 1, after=page[-1].id)
        more = True
        while page:
            yield Window(page[::-1], second)
            page, more, _ = await self._page(second, second + 1, before=page[0].id) if more else ([], False, None)
        yield Window((), second + 1)

    async def _page(
        self, start: int, until: int, *, after: str | None = None, before: str | None = None
    ) -> tuple[list[StripeEvent], bool, int | None]:
        """A page, whether there are more, and Stripe's time as it was asked for: what came later is not in it."""
        async with self._stripe.background():
            answer = await self._stripe.list_events(
                created_from=start, created_until=until, starting_after=after, ending_before=before
            )
        more = bool(answer.raw.get("has_more")) and bool(answer.value)
        return answer.value, more, to_unix(answer.at) if answer.at else None


def _expected(start: int, until: int, newest: list[StripeEvent]) -> float:
    """How many events a window holds if they are as dense everywhere as in its newest page."""
    spanned = until - to_unix(newest[-1].created)
    return len(newest) * (until - start) / max(spanned, 1)


def _narrower(start: int, until: int, newest: list[StripeEvent]) -> int:
    width = until - start
    by_density = int(width * _AIM / max(_expected(start, until, newest), 1))
    return max(min(by_density, width // _WIDEN), 1)
