"""Moving business time: from due moment to due moment, the sandbox's and the application's.

At each moment everything that is due happens, its webhooks are delivered, and what follows from them in the
application is waited for. Only then comes the next moment, so each thing happens at its own time and in order.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import aiohttp

from tallystick.sandbox.application import Application, Standing, Unreachable
from tallystick.sandbox.delivery import Deliverer
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.shapes import Json

__all__ = ["Advance", "NotSettled"]

_LOOK_LEAST_S = 0.002
_LOOK_MOST_S = 0.1
_RESTART_S = 5.0
"""How long an application is waited for that may just be starting."""
_AT_REST = Standing(quiet=True, now=0.0, next_due=None, waiting=[])


class NotSettled(Exception):
    """What is due did not get done in time; business time stands where it was waited for."""

    def __init__(self, waiting: list[str]) -> None:
        super().__init__(f"Still not done: {', '.join(waiting) or 'nothing that could be named'}.")
        self.waiting = waiting


_Place: TypeAlias = Literal["none", "settled", "unreachable"]


@dataclass
class _Journey:
    """One advance: where to, and how far it is."""

    session: aiohttp.ClientSession
    target: float
    patience_s: float
    application: _Place
    problem: str | None = None
    steps: int = 0
    waiting: list[str] = field(default_factory=list)


class Advance:
    """Moves business time, one journey at a time; a second one waits until the first has arrived."""

    def __init__(self, engine: Engine, deliverer: Deliverer, application: Application) -> None:
        self._engine = engine
        self._deliverer = deliverer
        self._application = application
        self._turn = asyncio.Lock()
        self._journey: _Journey | None = None

    def progress(self) -> Json | None:
        """Where the journey that is under way goes, and what it waits for; None when there is none."""
        journey = self._journey
        if journey is None:
            return None
        return {"to": int(journey.target), "steps": journey.steps, "waiting": journey.waiting}

    async def move(self, target_from: Callable[[float], float], patience_s: float) -> Json:
        """Go to what `target_from` makes of the present time (Unix seconds); `patience_s` is for each moment.

        Raises:
            NotSettled: what was due at a moment did not get done in time.
        """
        async with self._turn, aiohttp.ClientSession() as session:
            began = time.monotonic()
            application: _Place = "settled" if self._application.url else "none"
            target = target_from(self._engine.clock.exact())
            self._journey = journey = _Journey(session, target, patience_s, application)
            try:
                await self._travel(journey)
            finally:
                self._journey = None
            answer: Json = {"steps": journey.steps, "application": journey.application}
            if journey.problem:
                answer["problem"] = journey.problem
            return {**answer, "took_s": round(time.monotonic() - began, 3)}

    async def _travel(self, journey: _Journey) -> None:
        await self._meet(journey)
        # What is under way belongs to the time before the move.
        moment = await self._settle(journey)
        while moment is not None and moment <= journey.target:
            self._engine.move_clock(moment)
            journey.steps += 1
            moment = await self._settle(journey)
        self._engine.move_clock(journey.target)
        await self._settle(journey)

    async def _meet(self, journey: _Journey) -> None:
        """An application that is away at the start is left behind; one that goes away later is waited for."""
        if journey.application == "none":
            return
        if self._engine.config.clock_file is None:
            journey.application, journey.problem = "unreachable", "this sandbox has no CLOCK_FILE to tell its time by"
            return
        ends = time.monotonic() + min(_RESTART_S, journey.patience_s)
        while True:
            try:
                await self._application.standing(journey.session, self._engine.clock.exact())
                return
            except Unreachable as error:
                if error.lasting or time.monotonic() > ends:
                    journey.application, journey.problem = "unreachable", str(error)
                    return
            await asyncio.sleep(_LOOK_MOST_S)

    async def _settle(self, journey: _Journey) -> float | None:
        """Wait until nothing is due any more in either half; the next moment at which something will be."""
        ends = time.monotonic() + journey.patience_s
        pause = _LOOK_LEAST_S
        while True:
            if self.at_rest():
                before = self._engine.commits
                standing = await self._ask(journey)
                # Both at once: whatever the application did to us while it was asked would show here.
                if standing.quiet and self.at_rest() and self._engine.commits == before:
                    journey.waiting = []
                    moments = [at for at in (self._next_moment(), standing.next_due) if at is not None]
                    return min(moments, default=None)
                journey.waiting = standing.waiting
            else:
                journey.waiting = self._deliverer.unfinished()
            if time.monotonic() > ends:
                raise NotSettled(journey.waiting)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LOOK_MOST_S)

    async def _ask(self, journey: _Journey) -> Standing:
        if journey.application != "settled":
            return _AT_REST
        try:
            return await self._application.standing(journey.session, self._engine.clock.exact())
        except Unreachable as error:
            return Standing(quiet=False, now=0.0, next_due=None, waiting=[str(error)])

    def at_rest(self, *, ahead_s: float = 0.0) -> bool:
        """Let happen what is due; whether no delivery is under way and no due moment lies within `ahead_s`."""
        self._deliverer.pump()
        job = self._engine.next_job_at()
        return not self._deliverer.busy() and (job is None or job > self._engine.clock.exact() + ahead_s)

    def _next_moment(self) -> float | None:
        moments = [at for at in (self._engine.next_job_at(), self._deliverer.next_due()) if at is not None]
        return min(moments, default=None)
