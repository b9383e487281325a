"""Named points: nobody listens but a simulation, and what it raises is raised where the point is."""

import pytest

from tallystick.core.points import POINTS, listening, reach


async def test_whoever_listens_is_told_for_as_long_as_he_listens() -> None:
    heard: list[str] = []

    async def listen(point: str) -> None:
        heard.append(point)

    await reach("commit.before")
    with listening(listen):
        for point in POINTS:
            await reach(point)
    await reach("commit.after")
    assert heard == list(POINTS)


async def test_what_a_listener_raises_is_raised_at_the_point() -> None:
    async def fail(point: str) -> None:
        raise ConnectionError(point)

    with listening(fail), pytest.raises(ConnectionError, match=r"send\.before"):
        await reach("send.before")
    await reach("send.before")
