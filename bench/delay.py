"""How long it takes from when a webhook is received until its effect is committed, flooded and at half load.

Received is the moment that the inbox notes on the event's row, before its commit; applied is the commit of the
transaction that marked it, as PostgreSQL itself remembers it (`track_commit_timestamp`, on only here).
"""

import asyncio
from contextlib import ExitStack
from typing import Any

import uvloop

from bench import rows
from bench.apply import await_quiet
from bench.events import requests
from bench.figures import Figure, Part, Reach, Run
from bench.load import Load, load, pace
from bench.postgres import Postgres, postgres
from bench.processes import call
from bench.system import api, environment, stub, worker

__all__ = ["measure", "run_load", "run_pace"]

CONNECTIONS = 32
_EVENTS, _USERS = 8_000, 2_000
_PACED_S = 5
# Steady, and half of what is applied when flooded.
_HALF = 0.5
_DELAYS = """
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
        ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - created_at) * 1000)
    FROM webhook_events
"""
_TOOK = "SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)) - min(created_at))::float8 FROM webhook_events"


def run_load(port: int, first: int, events: int, story: str) -> dict[str, Any]:
    """Send events about the payments from number `first` on, as fast as they are taken."""
    made = requests(range(first, first + events), _USERS, story)
    return uvloop.run(load(port, CONNECTIONS, made))


def run_pace(port: int, first: int, events: int, per_s: float, story: str) -> dict[str, Any]:
    """Send them at a steady rate."""
    made = requests(range(first, first + events), _USERS, story)
    return uvloop.run(pace(port, CONNECTIONS, made, per_s))


def measure(run: Run) -> Part:
    """All rounds."""
    flooded: list[tuple[float, float, float]] = []
    steady: list[tuple[float, float, float]] = []
    accepted: list[float] = []
    applied: list[float] = []
    events = run.some(_EVENTS, 400)
    with ExitStack() as stack:
        server = stack.enter_context(postgres(track_commit_timestamp="on"))
        everything = 2 * events * (run.rounds + 1)
        asyncio.run(rows.fill(server.url, everything, users=_USERS, still_open=everything))
        stripe, _ = stack.enter_context(stub())
        settings = environment(server.url, stripe)
        port, _ = stack.enter_context(api(settings))
        stack.enter_context(worker(settings))
        first = 1
        for number in range(run.rounds + 1):
            made = Load(**call("bench.delay:run_load", port=port, first=first, events=events, story=f"f{number}"))
            delay = _delay(server)
            first += events
            some = min(events, max(200, int(delay[2] * _HALF * _PACED_S)))
            call(
                "bench.delay:run_pace", port=port, first=first, events=some, per_s=delay[2] * _HALF, story=f"s{number}"
            )
            half = _delay(server)
            first += events
            if number:
                # The first round makes the plans, and fills the caches.
                accepted.append(made.per_s)
                applied.append(delay[2])
                flooded.append(delay)
                steady.append(half)
    return _part(events, accepted, applied, flooded, steady)


def _delay(server: Postgres) -> tuple[float, float, float]:
    """Median and p99 in ms of all events there are, and how many were applied a second from the first one on."""
    await_quiet(server)
    (p50, p99), took = server.sql(_DELAYS), server.sql(_TOOK)
    events = server.sql("SELECT count(*) FROM webhook_events")
    server.sql("TRUNCATE webhook_events, webhook_parked_objects, mails, outbound_facts CASCADE", "SELECT 1")
    return p50, p99, events / took


def _part(
    events: int,
    accepted: list[float],
    applied: list[float],
    flooded: list[tuple[float, float, float]],
    steady: list[tuple[float, float, float]],
) -> Part:
    load = f"{CONNECTIONS} connections, {events:,} events"
    return Part(
        [
            Figure(f"delay received → applied, p50, flooded ({load})", "ms", [each[0] for each in flooded],
                   reach=Reach("value", "<", 250)),
            Figure("the same, p99", "ms", [each[1] for each in flooded]),
            Figure("delay received → applied, p50, half load", "ms", [each[0] for each in steady],
                   reach=Reach("value", "<", 20)),
            Figure("the same, p99", "ms", [each[1] for each in steady]),
            Figure("webhooks accepted meanwhile, flooded", "/s", accepted),
            Figure("events applied meanwhile, flooded", "/s", applied),
            Figure("events sent at half load", "/s", [each * _HALF for each in applied]),
        ]
    )  # fmt: skip
