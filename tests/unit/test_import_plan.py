"""However an account's objects lie in time, its ranges cover all of them, once, and no look costs much."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tallystick.importing.models import Range
from tallystick.importing.service_plan import plan_ranges
from tallystick.reconciliation.kinds import kind_named

UNTIL = 1_790_000_000
LOOKS = 41

ages = st.lists(st.integers(1, 400_000_000), max_size=40)
crowds = st.lists(st.tuples(st.integers(1, 100_000_000), st.integers(1, 400), st.integers(0, 5_000)), max_size=4)


def _plan(times: Sequence[int]) -> tuple[list[Range], int]:
    newest_first, looks = sorted(times, reverse=True), 0

    async def look(params: Mapping[str, Any]) -> tuple[Sequence[Mapping[str, Any]], bool]:
        nonlocal looks
        looks += 1
        older = [{"created": at} for at in newest_first if at < params["created"]["lt"]]
        return older[: params["limit"]], len(older) > params["limit"]

    return asyncio.run(plan_ranges(kind_named("customer"), UNTIL, look)), looks


@given(ages, crowds)
def test_every_object_is_in_one_range(alone: list[int], together: list[tuple[int, int, int]]) -> None:
    times = [UNTIL - age for age in alone]
    times += [UNTIL - age - number * apart for age, many, apart in together for number in range(many)]
    ranges, looks = _plan(times)
    assert looks <= LOOKS
    for at in times:
        fitting = [one for one in ranges if (one.created_from or 0) <= at < (one.created_until or 0)]
        assert len(fitting) == 1, (at, ranges)
    bounds = sorted((one.created_from or 0, one.created_until) for one in ranges)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == UNTIL
    assert all(end == start for (_, end), (start, _) in pairwise(bounds))


def test_a_steady_account_is_cut_into_ranges_of_about_a_size() -> None:
    times = [UNTIL - 1 - number * 600 for number in range(50_000)]
    ranges, looks = _plan(times)
    sizes = [sum((one.created_from or 0) <= at < (one.created_until or 0) for at in times) for one in ranges]
    assert looks < 15
    assert len(ranges) > 8
    assert max(sizes) < 4_000
    assert 0.8 < sum(one.expected for one in ranges) / len(times) < 1.6


def test_a_small_account_costs_one_look() -> None:
    assert _plan([UNTIL - 5])[1] == 1
    assert _plan([])[1] == 1
