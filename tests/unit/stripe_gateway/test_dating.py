"""What an answer shows is as old as its asking: a change made while it was on its way is the newer one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallystick.stripe_gateway.dating import left_at, read_at

LEFT = datetime(2026, 1, 31, 12, tzinfo=UTC)
DATE = "Sat, 31 Jan 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({"Date": DATE}, LEFT),
        ({"date": DATE}, LEFT),
        ({"Date": DATE, "Idempotent-Replayed": "true"}, None),
        ({"Date": "yesterday"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_an_answer_left_when_its_date_says(headers: Any, left: datetime | None) -> None:
    assert left_at(headers) == left


@pytest.mark.parametrize(("took_s", "before_s"), [(0.005, 1), (1.0, 1), (1.1, 2), (29.5, 30)])
def test_what_is_read_is_as_old_as_its_asking(took_s: float, before_s: int) -> None:
    """To the whole second before: a `Date` says nothing of the part of a second that it leaves out."""
    assert read_at(LEFT, took_s, {}) == LEFT - timedelta(seconds=before_s)


@pytest.mark.parametrize(("made_s", "at_s"), [(-9, -4), (-4, -4), (-3, -3), (0, 0), (1, -4), (86_400, -4)])
def test_nothing_is_older_than_its_making(made_s: int, at_s: int) -> None:
    """But an object of a test clock may say that it will be made tomorrow."""
    created = int(LEFT.timestamp()) + made_s
    assert read_at(LEFT, 3.7, {"created": created}) == LEFT + timedelta(seconds=at_s)


def test_without_a_date_there_is_no_time() -> None:
    assert read_at(None, 1, {"created": 1}) is None
