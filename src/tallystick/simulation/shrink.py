"""The shortest story that still fails, by delta debugging over its steps and then over their faults."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from tallystick.simulation.story import Step, Story

__all__ = ["Fails", "shortest"]

Fails = Callable[[Story], Awaitable[bool]]
"""Plays a story: whether it fails as the first one did."""


async def shortest(story: Story, fails: Fails, *, most: int = 120) -> Story:
    """A story of as few steps as `most` tries find; of it no single step can be left out if there were enough of them.

    What real sockets and PostgreSQL decide differs from try to try, so it may be longer than it need be.
    """
    tries = _Tries(story, fails, most)
    steps = await _fewer(list(story.steps), tries)
    for place, step in enumerate(steps):
        if step.fault is not None:
            plain = [*steps[:place], msgspec.structs.replace(step, fault=None), *steps[place + 1 :]]
            if await tries.fail(plain):
                steps = plain
    return story.only(steps)


class _Tries:
    """So many, and then none fails any more."""

    def __init__(self, story: Story, fails: Fails, left: int) -> None:
        self._story = story
        self._fails = fails
        self.left = left

    async def fail(self, steps: Sequence[Step]) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        return await self._fails(self._story.only(steps))


async def _fewer(steps: list[Step], tries: _Tries) -> list[Step]:
    """Leave out ever smaller parts, as long as what is left fails."""
    parts = 2
    while len(steps) > 1 and tries.left > 0:
        size = max(len(steps) // parts, 1)
        for start in range(0, len(steps), size):
            rest = steps[:start] + steps[start + size :]
            if rest and await tries.fail(rest):
                steps, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(steps))
    return steps
