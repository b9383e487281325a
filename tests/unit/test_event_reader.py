"""The list of events is read whole, oldest first, in few calls and in bounded memory, whatever lies where."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.catch_up.service_read import EventReader
from tallystick.core.clock import from_unix
from tallystick.stripe_gateway.objects import Answer, StripeEvent

START = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
DAY = 86_400


class Listed:
    """A list that answers as `GET /v1/events` does, newest first, a hundred at a time."""

    def __init__(self, times: list[int]) -> None:
        self.events = [
            StripeEvent(id=f"evt_{number}", created=from_unix(at), raw={"id": f"evt_{number}"})
            for number, at in enumerate(sorted(times))
        ]
        self.calls = 0

    def background(self) -> "Listed":
        return self

    async def __aenter__(self) -> None:
        self.calls += 1

    async def __aexit__(self, *_: object) -> None:
        pass

    async def list_events(
        self, *, created_from: int, created_until: int, starting_after: str | None, ending_before: str | None
    ) -> Answer[list[StripeEvent]]:
        low, high = from_unix(created_from), from_unix(created_until)
        found = [event for event in reversed(self.events) if low <= event.created < high]
        ids = [event.id for event in found]
        if ending_before:
            before = found[: ids.index(ending_before)]
            page, more = before[-100:], len(before) > 100
        else:
            rest = found[ids.index(starting_after) + 1 :] if starting_after else found
            page, more = rest[:100], len(rest) > 100
        return Answer(page, None, None, {"has_more": more})


async def read(listed: Listed, start: int, end: int) -> list[str]:
    """The ids in the order in which they were read; what is promised of each window is held."""
    ids: list[str] = []
    edge = start
    reader: Any = EventReader(listed)  # type: ignore[arg-type]
    async for window in reader.read(start, end):
        assert len(window.events) <= 500
        assert edge <= window.until <= end
        for event in window.events:
            assert edge <= int(event.created.timestamp()) <= window.until
        ids += [event.id for event in window.events]
        edge = window.until
        read_so_far = [event.id for event in listed.events if start <= event.created.timestamp() < edge]
        assert set(read_so_far) <= set(ids), "the cursor would pass over an event that was not read"
    assert edge == end
    return ids


moments = st.integers(0, 40 * DAY)
crowds = st.lists(st.tuples(moments, st.integers(1, 700), st.integers(0, 3 * DAY)), max_size=4)


@given(st.lists(moments, max_size=300), crowds, st.integers(0, 20 * DAY), st.integers(1, 30 * DAY))
async def test_every_event_is_read_once_and_in_order(
    single: list[int], crowd: list[tuple[int, int, int]], begin: int, length: int
) -> None:
    times = [START + at for at in single]
    for at, count, span in crowd:
        times += [START + at + span * number // count for number in range(count)]
    listed = Listed(times)
    start, end = START + begin, START + begin + length
    ids = await read(listed, start, end)
    assert ids == [event.id for event in listed.events if start <= event.created.timestamp() < end]


async def test_a_year_without_events_costs_one_call() -> None:
    listed = Listed([START - 1, START + 365 * DAY])
    assert await read(listed, START, START + 365 * DAY) == []
    assert listed.calls == 1


@pytest.mark.parametrize(
    ("times", "most"),
    [
        pytest.param([START + 3 * DAY * number // 5000 for number in range(5000)], 90, id="spread over three days"),
        pytest.param([START + DAY + number // 30 for number in range(5000)], 200, id="all within three minutes"),
        pytest.param([START + DAY] * 5000, 250, id="all in one second"),
    ],
)
async def test_five_thousand_events_cost_little_more_than_their_pages(times: list[int], most: int) -> None:
    listed = Listed(times)
    assert len(await read(listed, START, START + 3 * DAY)) == 5000
    assert listed.calls <= most
