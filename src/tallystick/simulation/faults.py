"""How the world misbehaves while a step is made: kinds of faults by name, each of them decided by the step's seed."""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from tallystick.core.points import POINTS, Point
from tallystick.sandbox.faults import ApiFault, Fault, WebhookFault
from tallystick.sandbox.versions import NEWEST, OLDEST
from tallystick.simulation.processes import Killed, Kind, current_process

if TYPE_CHECKING:
    from tallystick.simulation.world import World

__all__ = ["FAULTS", "Active", "AtPoint", "FaultKind"]


@dataclass
class Active:
    """A fault while it lasts: how often it has struck, and how it is lifted."""

    hits: Callable[[], int]
    end: Callable[[], None]


Begin: TypeAlias = Callable[["World", random.Random], Active]


@dataclass(frozen=True)
class FaultKind:
    """One way to misbehave, and how often beside the others."""

    weight: int
    begin: Begin


@dataclass
class AtPoint:
    """What meets whoever of `kind` comes to one of `points`: the `nth` time, and `times` in all."""

    points: tuple[Point, ...]
    meet: Callable[[], Any]
    kind: Kind | None = None
    nth: int = 1
    times: int = 1
    seen: int = 0
    hits: int = 0

    async def reached(self, point: Point) -> None:
        """Whoever runs now has come to a point."""
        process = current_process()
        if process is None or point not in self.points or self.kind not in (None, process.kind):
            return
        self.seen += 1
        if self.nth <= self.seen < self.nth + self.times:
            self.hits += 1
            done = self.meet()
            if asyncio.iscoroutine(done):
                await done


def _rules(make: Callable[[random.Random], Iterable[Fault]]) -> Begin:
    """A fault of the sandbox."""

    def begin(world: "World", rng: random.Random) -> Active:
        faults = world.engine.faults
        rules = [faults.add(rule) for rule in make(rng)]

        def end() -> None:
            for rule in rules:
                faults.remove(rule.id)

        return Active(lambda: sum(rule.hits for rule in rules), end)

    return begin


def _webhooks(kind: Any, **more: Callable[[random.Random], Any]) -> Begin:
    def make(rng: random.Random) -> Iterable[Fault]:
        options = {name: draw(rng) for name, draw in more.items()}
        yield WebhookFault(
            kind=kind, times=None, probability=rng.choice((0.3, 0.7, 1.0)), seed=rng.getrandbits(31), **options
        )

    return _rules(make)


def _calls(kind: Any, when: Any = "before", most: int = 3, **options: Any) -> Begin:
    """A fault of calls to Stripe; three in a row are more than a call's own tries."""

    def make(rng: random.Random) -> Iterable[Fault]:
        method = rng.choice(("*", "POST"))
        yield ApiFault(kind=kind, when=when, method=method, times=rng.randint(1, most), **options)

    return _rules(make)


def _at(world: "World", plan: AtPoint) -> Active:
    world.at_points.append(plan)
    return Active(lambda: plan.hits, lambda: world.at_points.remove(plan))


def _raises(error: type[Exception], *points: Point) -> Begin:
    def begin(world: "World", rng: random.Random) -> Active:
        def meet() -> None:
            raise error("by the simulation")

        kind: Kind | None = rng.choice(("api", "worker", None))
        return _at(world, AtPoint(points, meet, kind, nth=rng.randint(1, 6), times=rng.choice((1, 1, 2))))

    return begin


def _kills(kind: Kind) -> Begin:
    def begin(world: "World", rng: random.Random) -> Active:
        def meet() -> None:
            process = current_process()
            assert process is not None
            process.kill()
            raise Killed

        points = (rng.choice(POINTS),) if rng.random() < 0.8 else POINTS
        return _at(world, AtPoint(points, meet, kind, nth=rng.randint(1, 3)))

    return begin


def _kills_sometime(kind: Kind) -> Begin:
    def begin(world: "World", rng: random.Random) -> Active:
        done: list[bool] = []
        delay = rng.uniform(0, 0.03)

        def kill() -> None:
            victims = [process for process in world.processes(kind) if process.alive]
            if victims:
                victims[0].kill()
                done.append(True)

        handle = asyncio.get_running_loop().call_later(delay, kill)
        return Active(lambda: len(done), handle.cancel)

    return begin


def _drops(world: "World", rng: random.Random) -> Active:
    """Some connections to PostgreSQL are cut by the server, whatever they are at."""
    share, cut = rng.choice((0.3, 0.6, 1.0)), list[int]()

    async def drop(delay: float) -> None:
        await asyncio.sleep(delay)
        cut.append(await world.drop_connections(share))

    task = asyncio.create_task(drop(rng.uniform(0, 0.03)))

    def end() -> None:
        task.cancel()

    return Active(lambda: sum(cut), end)


def _pauses(world: "World", rng: random.Random) -> Active:
    """Everybody stops for a moment at each point, so that others come first."""
    own = random.Random(rng.getrandbits(32))
    return _at(world, AtPoint(POINTS, lambda: asyncio.sleep(own.choice((0, 0, 0.005, 0.02))), nth=1, times=60))


def _mail(name: str) -> Begin:
    def begin(world: "World", rng: random.Random) -> Active:
        before = world.mail_server.hits
        setattr(world.mail_server, name, rng.randint(1, 3))
        return Active(lambda: world.mail_server.hits - before, world.mail_server.mend)

    return begin


def _receiver(name: str) -> Begin:
    def begin(world: "World", rng: random.Random) -> Active:
        before = world.receiver.hits
        setattr(world.receiver, name, rng.randint(1, 3))
        return Active(lambda: world.receiver.hits - before, world.receiver.mend)

    return begin


def _late(rng: random.Random) -> float:
    return rng.choice((3.0, 40.0, 300.0, 4 * 3600.0))


FAULTS: dict[str, FaultKind] = {
    "webhooks lost": FaultKind(5, _webhooks("drop")),
    "webhooks doubled": FaultKind(5, _webhooks("duplicate", copies=lambda rng: rng.randint(2, 4))),
    "webhooks late": FaultKind(5, _webhooks("delay", delay_s=_late)),
    "webhooks shuffled": FaultKind(5, _webhooks("shuffle", window_s=lambda rng: rng.uniform(0.02, 0.2))),
    "webhooks of another version": FaultKind(
        4, _webhooks("api_version", api_version=lambda rng: rng.choice((OLDEST, NEWEST)))
    ),
    "Stripe slow": FaultKind(3, _calls("slow", delay_s=0.05)),
    "Stripe 429": FaultKind(4, _calls("status", status=429)),
    "Stripe 500 before the effect": FaultKind(4, _calls("status", status=500)),
    "Stripe 500 after the effect": FaultKind(5, _calls("status", "after", status=500)),
    "Stripe cut before the effect": FaultKind(4, _calls("cut")),
    "Stripe cut after the effect": FaultKind(5, _calls("cut", "after")),
    "Stripe garbled": FaultKind(2, _calls("garbage", "after")),
    "Stripe silent": FaultKind(1, _calls("hang", "after", 1)),
    "transaction aborted": FaultKind(4, _raises(asyncpg.DeadlockDetectedError, "commit.before")),
    "line cut before the commit": FaultKind(4, _raises(asyncpg.ConnectionDoesNotExistError, "commit.before")),
    "line cut after the commit": FaultKind(4, _raises(asyncpg.ConnectionDoesNotExistError, "commit.after")),
    "connections dropped": FaultKind(4, _drops),
    "API killed at a point": FaultKind(5, _kills("api")),
    "API killed": FaultKind(2, _kills_sometime("api")),
    "worker killed at a point": FaultKind(5, _kills("worker")),
    "worker killed": FaultKind(2, _kills_sometime("worker")),
    "pauses": FaultKind(3, _pauses),
    "mail refused": FaultKind(2, _mail("refuse")),
    "mail cut after it was taken": FaultKind(2, _mail("cut")),
    "receiver refuses": FaultKind(2, _receiver("refuse")),
    "receiver cut after it was told": FaultKind(2, _receiver("cut")),
    "receiver silent": FaultKind(1, _receiver("silent")),
}
