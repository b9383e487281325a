"""Cutting a list into ranges of about the same size, by a few looks at how dense it is.

Stripe's lists are newest first, tell no count, and page only by the object before. So one page is read at the newest
end, and one each further and further back, until there is nothing more: how long a page lasts tells about how many
objects lie between two looks.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tallystick.core.ids import new_id
from tallystick.importing.models import Range
from tallystick.reconciliation.kinds import Kind

__all__ = ["Lister", "plan_ranges"]

Lister: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[tuple[Sequence[Mapping[str, Any]], bool]]]
"""A page of the list with these parameters, and whether there are more."""

_PAGE = 100
_RANGE_SIZE = 2000
_PIECES = 32
"""At most so many ranges between two looks."""
_LOOKS = 40
_STEP = 8
"""The second look is as many pages behind the first; each later one twice as far."""


async def plan_ranges(kind: Kind, until: int, lister: Lister) -> list[Range]:
    """Ranges that cover all objects of a kind that were created before `until` (Unix seconds)."""
    page, more = await lister({"limit": _PAGE, "created": {"lt": until}})
    if not more:
        return [_range(kind, None, until, len(page))]
    ranges: list[Range] = []
    end, step = until, 0
    for _ in range(_LOOKS):
        oldest, span = int(page[-1]["created"]), int(page[0]["created"]) - int(page[-1]["created"])
        step = max(step * 2, span * _STEP, 1)
        start = oldest - step
        page, more = await lister({"limit": _PAGE, "created": {"lt": start}})
        # What lies between is about as dense as the nearer of the two looks.
        expected = max(_PAGE, round(_PAGE * (end - start) / max(span, 1))) if span else _PAGE
        if not page:
            return [*ranges, *_cut(kind, start, end, expected), _range(kind, None, start, 0)]
        ranges += _cut(kind, start, end, expected)
        end = start
        if not more:
            break
    return [*ranges, _range(kind, None, end, len(page))]


def _cut(kind: Kind, start: int, end: int, expected: int) -> list[Range]:
    pieces = max(1, min(_PIECES, expected // _RANGE_SIZE, end - start))
    edges = [start + (end - start) * number // pieces for number in range(pieces + 1)]
    return [_range(kind, edges[number], edges[number + 1], expected // pieces) for number in reversed(range(pieces))]


def _range(kind: Kind, start: int | None, end: int, expected: int) -> Range:
    return Range(new_id(), kind.object, None, start, end, expected)
