"""What a person may write for a time."""

from datetime import UTC, datetime, timedelta

import pytest

from tallystick.cli.asked import moment
from tallystick.cli.errors import Problem


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:30", datetime(2026, 11, 20, 8, 30, tzinfo=UTC)),
        ("2026-11-20T08:30Z", datetime(2026, 11, 20, 8, 30, tzinfo=UTC)),
        ("2026-11-20T08:30:05+02:00", datetime(2026, 11, 20, 6, 30, 5, tzinfo=UTC)),
    ],
)
def test_a_time(text: str, meant: datetime) -> None:
    assert moment(text, "--since") == meant


@pytest.mark.parametrize(
    ("text", "age"), [("90m", timedelta(minutes=90)), ("36h", timedelta(hours=36)), ("2w", timedelta(weeks=2))]
)
def test_an_age(text: str, age: timedelta) -> None:
    before = datetime.now(UTC)
    found = moment(text, "--since")
    assert found is not None
    assert before - age <= found <= datetime.now(UTC) - age


@pytest.mark.parametrize("text", ["", "yesterday", "7y", "-7d", "2026-13-01", "9999999d", "999999w"])
def test_neither(text: str) -> None:
    with pytest.raises(Problem, match="--since: should be"):
        moment(text, "--since")


def test_none_was_given() -> None:
    assert moment(None, "--since") is None
