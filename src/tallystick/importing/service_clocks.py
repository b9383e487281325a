"""Ranges for the objects of test clocks, which no list shows unless it is asked for one clock or customer."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tallystick.core.ids import new_id
from tallystick.importing.models import Range
from tallystick.reconciliation.kinds import Json, Kind

__all__ = ["clock_ranges"]

Page: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[tuple[Sequence[Json], bool]]]

_CLOCKS = "/v1/test_helpers/test_clocks"
_OF_CUSTOMER = frozenset(
    {"setup_intent", "payment_intent", "charge", "subscription", "invoice", "subscription_schedule"}
)


async def clock_ranges(page: Page, kinds: Sequence[Kind], known: Sequence[Range]) -> list[Range]:
    """The ranges of these kinds for every clock there is, except those that are known."""
    names = {kind.object for kind in kinds}
    if not names & {"customer", *_OF_CUSTOMER}:
        return []
    have = {(one.object, one.scope) for one in known}
    found: list[Range] = []
    for clock in await _everything(page, _CLOCKS, {}):
        if "customer" in names:
            found.append(_range("customer", f"test_clock={clock['id']}"))
        if names & _OF_CUSTOMER:
            for customer in await _everything(page, "/v1/customers", {"test_clock": clock["id"]}):
                found += [_range(name, f"customer={customer['id']}") for name in sorted(names & _OF_CUSTOMER)]
    return [one for one in found if (one.object, one.scope) not in have]


async def _everything(page: Page, path: str, params: Mapping[str, Any]) -> list[Json]:
    found: list[Json] = []
    more = True
    while more:
        after = {"starting_after": found[-1]["id"]} if found else {}
        listed, more = await page(path, {"limit": 100, **params, **after})
        found += listed
        more = more and bool(listed)
    return found


def _range(name: str, scope: str) -> Range:
    return Range(new_id(), name, scope, None, None, 0)
