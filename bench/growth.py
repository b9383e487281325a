"""What a page of history, one payment, one entitlement and one event cost as the record grows.

At 10⁴ payments and at 10⁶ (with --long at 10⁷), each in a database of its own; the users grow alike, so that each has a
hundred payments. Both are up at the same time and asked in turns, one request after the other. Beside the times stand
the pages of the database that a read touches, which no load on the machine changes.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

from bench import rows
from bench.apply import fill_inbox
from bench.figures import Figure, Part, Run, at_most
from bench.load import load
from bench.postgres import Postgres, postgres
from bench.processes import call
from bench.reads_floor import SEED
from bench.system import api, environment, head, settings_for, stub, token

__all__ = ["measure", "run_apply", "run_ask"]

_SMALL, _LARGE, _LARGEST = 10_000, 1_000_000, 10_000_000
_EACH = 100
_ASKED = 200
_ASKERS = 90
_TURNS = 2
# About a batch for each lane.
_OPEN = 1000
_MOST = at_most(1.2, "ratio")
READS = {
    "a page of 20 of history": "/api/payments/history?limit=20",
    "a page in the middle of history": "/api/payments/history?limit=20&starting_after={payment}",
    "one payment": "/api/payments/payment-intent/{payment}",
    "entitlements": "/api/entitlements",
}


@dataclass(frozen=True)
class _World:
    size: int
    server: Postgres
    port: int


def run_ask(port: int, path: str, size: int, asked: int) -> dict[str, Any]:
    """Ask one request after the other, each as one of so many users, whatever the size: a token is remembered."""
    dice = random.Random(f"{path} {size}")  # no secret
    users = size // _EACH
    askers = dice.sample(range(1, users), min(_ASKERS, users - 1))
    made = []
    for _ in range(asked):
        owner = dice.choice(askers)
        payment = rows.our_id(owner - 1 + users * dice.randrange(_EACH // 2, _EACH))
        who = f"Bearer {token(rows.user(owner))}"
        made.append(head("GET", path.format(payment=payment), Authorization=who))
    return uvloop.run(load(port, 1, made))


def run_apply(url: str, batches: int) -> float:
    """Apply what is in the inbox, a batch of a lane at a time; the median time of an event, in µs."""
    return uvloop.run(_apply(url, batches))


async def _apply(url: str, batches: int) -> float:
    from tallystick.app.parts import build_parts
    from tallystick.core.clock import SystemClock
    from tallystick.webhooks.processor import EventProcessor

    settings, clock = settings_for(url), SystemClock()
    parts = build_parts(settings, clock, "bench")
    await parts.database.open()
    processor = EventProcessor(parts.database, clock, parts.registry, settings)
    taken = []
    for number in range(batches):
        began = time.perf_counter()
        applied = await processor.work_lanes([number % 16])
        if applied:
            taken.append((time.perf_counter() - began) / applied * 1e6)
    await parts.close()
    return sorted(taken)[len(taken) // 2]


def measure(run: Run) -> Part:
    """Both sizes in turns."""
    large = _LARGEST if run.long else 20_000 if run.quick else _LARGE
    asked = run.some(_ASKED, 60)
    made: dict[str, dict[int, list[float]]] = {name: {} for name in (*READS, "applying an event")}
    filled: dict[str, float] = {}
    with ExitStack() as stack:
        stripe, _ = stack.enter_context(stub())
        worlds = [stack.enter_context(_world(size, stripe, run, filled)) for size in (_SMALL, large)]
        touched = {name: [_touched(world, path, asked) for world in worlds] for name, path in READS.items()}
        for number in range(run.rounds + 1):
            for name, path in READS.items():
                # Often in turns, so that what disturbs one disturbs the other.
                for _ in range(1 if run.quick else _TURNS):
                    for world in worlds:
                        told = call("bench.growth:run_ask", port=world.port, path=path, size=world.size, asked=asked)
                        if number:
                            made[name].setdefault(world.size, []).append(told["p50_ms"] * 1000)
            for world in worlds:
                first = world.size - (number + 1) * _OPEN + 1
                fill_inbox(world.server, first, _OPEN, world.size // _EACH)
                world.server.sql("VACUUM ANALYZE webhook_events", "SELECT 1")
                took = call("bench.growth:run_apply", url=world.server.url, batches=16)
                world.server.sql("TRUNCATE webhook_events, webhook_parked_objects", "SELECT 1")
                if number:
                    made["applying an event"].setdefault(world.size, []).append(took)
    return Part(
        [
            Figure(f"{name} at {large:,} payments", "µs", by_size[large], f"at {_SMALL:,}", by_size[_SMALL], _MOST)
            for name, by_size in made.items()
        ]
        + [
            Figure(
                f"pages of the database (8 kB) that {name} touches at {large:,}", "", [there], f"at {_SMALL:,}", [here]
            )
            for name, (here, there) in touched.items()
        ],
        {"filled_s": filled},
    )


def _touched(world: _World, path: str, asked: int) -> float:
    """How many pages a request touches; the server's backends tell what they did within a second."""
    told = "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"
    call("bench.growth:run_ask", port=world.port, path=path, size=world.size, asked=asked)
    time.sleep(1.5)
    before = world.server.sql(told)
    call("bench.growth:run_ask", port=world.port, path=path, size=world.size, asked=asked)
    time.sleep(1.5)
    return float(world.server.sql(told) - before) / asked


@contextmanager
def _world(size: int, stripe: str, run: Run, filled: dict[str, float]) -> Iterator[_World]:
    """A record of so many payments, and the API on it."""
    with postgres() as server:
        began = time.monotonic()
        asyncio.run(rows.fill(server.url, size, users=size // _EACH, still_open=_OPEN * (run.rounds + 1)))
        server.sql(SEED, "SELECT 1")
        filled[str(size)] = round(time.monotonic() - began, 1)
        with api(environment(server.url, stripe)) as (port, _):
            yield _World(size, server, port)
