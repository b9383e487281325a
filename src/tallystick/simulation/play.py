"""Playing a story: step by step in a world of its own, until it ends or something does not hold."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field

from tallystick.platform.database import Database
from tallystick.simulation.acting import Acting
from tallystick.simulation.actions import ACTIONS
from tallystick.simulation.canaries import Bug
from tallystick.simulation.checks import Checker, Failure
from tallystick.simulation.databases import Databases
from tallystick.simulation.faults import FAULTS, Active
from tallystick.simulation.starting import living
from tallystick.simulation.story import QUIET, Step, Story
from tallystick.simulation.world import World

__all__ = ["Outcome", "play"]

_STEP_S = 60.0
_PLANS = ((1000, "month"), (2500, "month"), (9900, "year"))


@dataclass
class Outcome:
    """How a story went. `told` is one line a step; `met` counts each action with the faults that really struck."""

    story: Story
    failures: list[Failure] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    met: Counter[tuple[str, str]] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    checks: int = 0
    took_s: float = 0.0
    failed_at: int | None = None

    @property
    def held(self) -> bool:
        return not self.failures


async def play(story: Story, databases: Databases, bug: Bug | None = None, *, watch: bool = False) -> Outcome:
    """Play it to its end, or to the first thing that does not hold, with `bug` planted; `watch` prints each step."""
    began, outcome = time.monotonic(), Outcome(story)
    url = await databases.make()
    try:
        if bug is not None:
            await bug.spoil(url)
        with bug.code() if bug else nullcontext():
            async with living(story.setting, url) as world:
                database = await Database.connect(url, size=2, name="simulator")
                try:
                    await _Player(world, Checker(world, database), outcome, watch=watch).play()
                finally:
                    database.terminate()
                    outcome.answers.update(world.book.answers)
    finally:
        await databases.drop(url)
    outcome.took_s = time.monotonic() - began
    return outcome


@dataclass
class _Player:
    """One performance."""

    world: World
    checker: Checker
    outcome: Outcome
    watch: bool
    _active: list[tuple[Step, Active]] = field(default_factory=list)

    async def play(self) -> None:
        """All steps, those together that belong together, and a last quiet."""
        await self._prepare()
        for steps in _bursts(self.outcome.story.steps):
            failures = await self._quiet(steps[0]) if steps[0].action == QUIET else await self._burst(steps)
            self.outcome.steps += len(steps)
            if failures:
                self._fail(failures, steps[-1].number)
                break
        else:
            self._lift()
            if failures := await self.checker.at_quiet(last=True):
                self._fail(failures, None)
        self.outcome.checks = self.checker.done

    def _fail(self, failures: list[Failure], at: int | None) -> None:
        self.outcome.failures, self.outcome.failed_at = failures, at

    async def _prepare(self) -> None:
        """A few plans on offer."""
        for amount, interval in _PLANS:
            product = await self.world.must("/v1/products", {"name": f"Plan {amount}"})
            form = {"product": product["id"], "currency": "usd", "unit_amount": amount, "recurring[interval]": interval}
            self.world.prices.append((await self.world.must("/v1/prices", form))["id"])
        await self.world.settle()

    async def _quiet(self, step: Step) -> list[Failure]:
        self._lift()
        self._tell(step, "all comes to rest", 0)
        return await self.checker.at_quiet()

    async def _burst(self, steps: Sequence[Step]) -> list[Failure]:
        """Some steps at once; the faults of the ones before are over."""
        self._lift()
        await self.world.revive()
        for step in steps:
            if step.fault is not None:
                rng = random.Random(f"fault {step.seed}")
                self._active.append((step, FAULTS[step.fault].begin(self.world, rng)))
        told = await asyncio.gather(*(self._step(step) for step in steps))
        for step, line in zip(steps, told, strict=True):
            hits = sum(active.hits() for one, active in self._active if one is step)
            self._tell(step, line, hits)
            self.outcome.actions[step.action] += 1
        return await self.checker.after_step()

    async def _step(self, step: Step) -> str:
        it = Acting(self.world, step.number, step.user, random.Random(f"act {step.seed}"))
        try:
            async with asyncio.timeout(_STEP_S):
                return await ACTIONS[step.action].act(it)
        except TimeoutError:
            self.world.accidents.append(f"step {step.number} never came to an end")
            return "never came to an end"

    def _lift(self) -> None:
        for step, active in self._active:
            if active.hits():
                self.outcome.met[step.action, step.fault or ""] += 1
            with suppress(ValueError):
                active.end()
        self._active.clear()

    def _tell(self, step: Step, line: str, hits: int) -> None:
        struck = f" [{step.fault}{f' ×{hits}' if hits else ', in vain'}]" if step.fault else ""
        with_ = "+" if step.together else " "
        self.outcome.told.append(f"{step.number:4}{with_} {step.user} {step.action}: {line}{struck}")
        if self.watch:
            print(self.outcome.told[-1], flush=True)  # noqa: T201  # asked for


def _bursts(steps: Sequence[Step]) -> list[list[Step]]:
    """Steps that are made at once: each that is `together` joins the one before it."""
    found: list[list[Step]] = []
    for step in steps:
        alone = not found or not step.together or step.action == QUIET or ACTIONS[step.action].alone
        if alone or found[-1][-1].action == QUIET or ACTIONS[found[-1][-1].action].alone:
            found.append([step])
        else:
            found[-1].append(step)
    return found
