"""What goes wrong and when, decided by a seed before anything starts; and doing it to a world."""

import asyncio
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import aiohttp

from chaos.parts import Part, Postgres
from chaos.proxy import Trouble
from chaos.traffic import Traffic
from chaos.world import LINES, Sizes, World

__all__ = ["Fault", "Injector", "schedule"]

_GAP_S = 2.5
_MOVE_EVERY_S = 120
_PAUSE_S = 8.0
_MOVING_S = 20.0
_CALM_S = 14.0
_BRIEF_S = 3.0
_PAST_LEASES = (65.0, 80.0)
"""Work and mails are leased for a minute."""


@dataclass(frozen=True)
class Fault:
    """One fault: `at` and `lasts` are seconds, `amount` seconds of a clock or of a delay."""

    at: float
    kind: str
    target: str
    lasts: float = 0.0
    amount: float = 0.0

    @property
    def label(self) -> str:
        """What it is in the table: whose process is killed or frozen makes a difference."""
        role = self.target.rstrip("0123456789")
        return f"{self.kind} {role}" if self.kind in ("kill", "freeze", "freeze past leases") else self.kind

    def __str__(self) -> str:
        amount = f" {self.amount:+.1f} s" if self.amount else ""
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.at:6.1f} s  {self.kind} {self.target}{amount}{lasts}"


Maker = Callable[[random.Random], Fault]


def schedule(seed: int, seconds: float, sizes: Sizes) -> Sequence[Fault]:
    """The faults of a run. Kinds come from a deck that is dealt to its end, so that each comes again and again.

    What hits the same thing as a fault that still lasts is left out, and what lasts is kept away from the moves of
    business time: they would come to nothing.
    """
    rng = random.Random(seed)
    apis, workers = _names("api", sizes.apis), _names("worker", sizes.workers)
    makers = _makers(apis, workers)
    moves = list(_moves(seconds, rng))
    freezes = _long_freezes(moves[:-1], (workers, apis), rng)
    found = [*moves, *freezes]
    busy: dict[str, float] = {}
    at = min(2.0, seconds / 10)
    for make in _deck(makers, rng):
        at += rng.expovariate(1 / _GAP_S)
        if at >= seconds:
            break
        drawn = make(rng)
        lasts = min(drawn.lasts, max(0.5, seconds - at))
        apart = [move for move in moves if lasts > _BRIEF_S] + [one for one in freezes if one.target == drawn.target]
        if busy.get(_hit(drawn), 0.0) < at and not any(_meet(at, lasts, other) for other in apart):
            found.append(Fault(round(at, 3), drawn.kind, drawn.target, round(lasts, 3), round(drawn.amount, 3)))
            # A little more, in which what was hit comes back.
            busy[_hit(drawn)] = at + lasts + 2
    return sorted(found, key=lambda fault: fault.at)


def _meet(at: float, lasts: float, other: Fault) -> bool:
    return at <= other.at + max(other.lasts, _CALM_S) and at + lasts >= other.at - 1


def _moves(seconds: float, rng: random.Random) -> Iterator[Fault]:
    """Business time moves now and then only: customers pause for it."""
    for start in range(0, max(1, int(seconds)), _MOVE_EVERY_S):
        span = min(seconds - start, _MOVE_EVERY_S)
        at, amount = start + span * rng.uniform(0.15, 0.3), rng.uniform(3600, 35 * 86_400)
        yield Fault(round(at, 3), "move business time", "clock", amount=round(amount, 3))


def _long_freezes(moves: Sequence[Fault], turns: Sequence[Sequence[str]], rng: random.Random) -> list[Fault]:
    """After each move but the last one, so in long runs only, somebody sleeps through all his leases."""
    found = []
    for number, move in enumerate(moves):
        target, lasts = rng.choice(turns[number % len(turns)]), rng.uniform(*_PAST_LEASES)
        found.append(Fault(round(move.at + _CALM_S, 3), "freeze past leases", target, round(lasts, 3)))
    return found


def _names(role: str, count: int) -> list[str]:
    return [f"{role}{number + 1}" for number in range(count)]


def _deck(makers: Sequence[Maker], rng: random.Random) -> Iterator[Maker]:
    while True:
        yield from rng.sample(makers, len(makers))


def _hit(fault: Fault) -> str:
    """What no two faults hit at once; of lines all of a kind, as they may be hit together."""
    return re.sub(r"\d", "", fault.target) if fault.kind in list(Trouble) else fault.target


def _makers(apis: Sequence[str], workers: Sequence[str]) -> list[Maker]:
    makers: list[Maker] = [
        _of("kill", apis),
        _of("kill", workers),
        _of("kill", ["postgres"]),
        _of("kill backend", ["postgres"]),
        _of("kill", ["sandbox"]),
        _of("kill", ["mailbox"]),
        _of("freeze", apis, (1, 12)),
        _of("freeze", workers, (1, 12)),
        _of("freeze", ["postgres", "sandbox"], (1, 8)),
        _of("full disk", ["postgres"], (2, 6)),
        _of("wall clock ahead", [*apis, *workers], (5, 30), amount=(5, 90)),
        _of("wall clock behind", [*apis, *workers], (5, 30), amount=(-90, -5)),
    ]
    for trouble in Trouble:
        lasts = (1, 6) if trouble is Trouble.CUT else (1, 12)
        delay = (0.05, 2.5) if trouble is Trouble.DELAY else (0, 0)
        makers.append(_of(trouble, [*LINES, *_own_lines(apis, workers)], lasts, amount=delay))
    return makers


def _own_lines(apis: Sequence[str], workers: Sequence[str]) -> list[str]:
    lines = [f"client-{name}" for name in apis]
    lines += [f"{name}-{other}" for name in (*apis, *workers) for other in ("stripe", "postgres")]
    return [*lines, *(f"{name}-smtp" for name in workers)]


def _of(
    kind: str, targets: Sequence[str], lasts: tuple[float, float] = (0, 0), *, amount: tuple[float, float] = (0, 0)
) -> Maker:
    def make(rng: random.Random) -> Fault:
        return Fault(0.0, str(kind), rng.choice(targets), rng.uniform(*lasts), rng.uniform(*amount))

    return make


class Injector:
    """Does faults to a world, and undoes them."""

    def __init__(self, world: World, traffic: Traffic, rng: random.Random) -> None:
        self._world = world
        self._traffic = traffic
        self._rng = rng
        self.moved: list[str] = []
        """How each move of business time ended."""

    async def inject(self, fault: Fault) -> None:
        world = self._world
        if fault.kind == "kill backend":
            world.postgres.kill_backend(self._rng)
        elif fault.kind == "kill":
            self._part(fault).kill()
        elif fault.kind.startswith("freeze"):
            self._part(fault).freeze()
        elif fault.kind.startswith("wall clock"):
            clock = world.parts[fault.target].clock
            assert clock is not None
            clock.jump(fault.amount)
        elif fault.kind == "full disk":
            assert world.disk is not None
            world.disk.fill()
            await asyncio.sleep(fault.lasts / 2)
            await world.postgres.want_log()
        elif fault.kind == "move business time":
            await self._move(fault)
        else:
            for line in world.lines_of(fault.target):
                line.disturb(Trouble(fault.kind), fault.amount)

    def lift(self, fault: Fault) -> None:
        world = self._world
        if fault.kind.startswith("freeze"):
            self._part(fault).thaw()
        elif fault.kind.startswith("wall clock"):
            clock = world.parts[fault.target].clock
            assert clock is not None
            clock.jump(0)
        elif fault.kind == "full disk":
            assert world.disk is not None
            world.disk.free()
        elif fault.kind in list(Trouble):
            for line in world.lines_of(fault.target):
                line.mend()

    def lift_all(self) -> None:
        """Whatever still lasts."""
        world = self._world
        for line in world.lines.values():
            line.mend()
        for part in world.parts.values():
            part.thaw()
            if part.clock is not None:
                part.clock.jump(0)
        world.postgres.thaw()
        if world.disk is not None:
            world.disk.free()

    def _part(self, fault: Fault) -> Part | Postgres:
        return self._world.postgres if fault.target == "postgres" else self._world.parts[fault.target]

    async def _move(self, fault: Fault) -> None:
        """Business time moves from due moment to due moment, so customers hold their breath; faults go on."""
        self._traffic.open_gate.clear()
        try:
            ends = time.monotonic() + _PAUSE_S
            while not self._traffic.at_rest:
                if time.monotonic() > ends:
                    self.moved.append("customers never paused")
                    return
                await asyncio.sleep(0.05)
            self.moved.append(await self._advance(fault.amount))
        finally:
            self._traffic.open_gate.set()

    async def _advance(self, by_s: float) -> str:
        url = f"{self._world.sandbox_url}/_sandbox/clock/advance"
        patience = aiohttp.ClientTimeout(total=_MOVING_S)
        try:
            body = {"by": by_s, "timeout_s": 10}
            async with self._traffic.system.http.post(url, json=body, timeout=patience) as answer:
                return "moved" if answer.status == 200 else "moved in part"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"broken off ({type(error).__name__})"
