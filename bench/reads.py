"""What one API process answers a second: one payment, a page of 20, entitlements, products, with a token each.

The floor is the same read of the same rows by a bare Starlette route with asyncpg and msgspec, in as few statements as
it takes: no token is checked, no header set, nothing logged or counted.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import uvloop

from bench import rows
from bench.figures import Figure, Part, Reach, Run, at_least
from bench.load import Load, load
from bench.postgres import postgres
from bench.processes import call, cpu_s, free_port, serving
from bench.reads_floor import SEED
from bench.system import api, environment, head, stub, token

__all__ = ["measure", "run_load"]

CONNECTIONS = (1, 8, 32)
_LIMIT = 32
_REQUESTS = {1: 800, 8: 2500, 32: 5000}
_PAYMENTS, _USERS = 100_000, 2_000
_ASKING = 300


@dataclass(frozen=True)
class Read:
    """A route, and what it should reach at 32 connections."""

    name: str
    path: str
    reach: Reach | None = None


READS: Mapping[str, Read] = {
    "payment": Read("GET one payment", "/api/payments/payment-intent/{payment}", at_least(0.5)),
    "history": Read("a page of 20 of history", "/api/payments/history?limit=20", at_least(0.5)),
    "entitlements": Read("GET entitlements", "/api/entitlements"),
    "products": Read("GET products", "/api/products"),
}


def run_load(what: str, kind: str, port: int, connections: int, requests: int, payments: int) -> dict[str, Any]:
    """Ask by some hundred users in turn, each for what is theirs."""
    return uvloop.run(load(port, connections, _requests(what, kind, requests, payments)))


def _requests(what: str, kind: str, requests: int, payments: int) -> Sequence[bytes]:
    dice = random.Random(what)  # no secret
    asking = dice.sample(range(1, _USERS), _ASKING)
    heads = {number: _who(kind, number) for number in asking}
    made = []
    for number in range(requests):
        owner = asking[number % _ASKING]
        # A user's payments are those of every so manieth number.
        payment = rows.our_id(owner - 1 + _USERS * dice.randrange(1, payments // _USERS))
        made.append(head("GET", READS[what].path.format(payment=payment), **heads[owner]))
    return made


def _who(kind: str, owner: int) -> dict[str, str]:
    if kind == "ours":
        return {"Authorization": f"Bearer {token(rows.user(owner))}"}
    return {"X_User": str(rows.our_id(owner))}


def measure(run: Run, names: Sequence[str] = tuple(READS)) -> Part:
    """All rounds of these reads."""
    runs: dict[tuple[str, str, int], list[tuple[Load, float]]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        payments = run.some(_PAYMENTS, 10 * _USERS)
        asyncio.run(rows.fill(server.url, payments, users=_USERS))
        server.sql(SEED, "SELECT 1")
        port = free_port()
        floor = stack.enter_context(serving("bench.reads_floor:run_floor", port=port, url=server.url))
        stripe, _ = stack.enter_context(stub())
        ours = stack.enter_context(api(environment(server.url, stripe)))
        servers = {"floor": (port, floor.pid), "ours": ours}
        for _ in range(run.rounds + 1):
            for what in names:
                for connections in run.many(CONNECTIONS, _LIMIT):
                    for kind, (at, pid) in servers.items():
                        requests = run.some(_REQUESTS[connections], 300)
                        before = cpu_s(pid)
                        made = Load(**call("bench.reads:run_load", what=what, kind=kind, port=at,
                                           connections=connections, requests=requests, payments=payments))  # fmt: skip
                        used = (cpu_s(pid) - before) / requests * 1e6
                        runs.setdefault((what, kind, connections), []).append((made, used))
    # The first round is for caches to fill.
    return _part(run, {key: several[1:] for key, several in runs.items()}, names)


def _part(run: Run, runs: Mapping[tuple[str, str, int], Sequence[tuple[Load, float]]], names: Sequence[str]) -> Part:
    figures = []
    for name in names:
        read = READS[name]
        for connections in run.many(CONNECTIONS, _LIMIT):
            ours, floor = runs[name, "ours", connections], runs[name, "floor", connections]
            reach = read.reach if connections == _LIMIT else None
            what = f"{read.name}, {connections} {'connection' if connections == 1 else 'connections'}"
            rates = [made.per_s for made, _ in ours], "the same read of the same rows, bare"
            figures.append(Figure(what, "/s", *rates, [made.per_s for made, _ in floor], reach))
        cpu = [used for _, used in ours], "the same, bare"
        figures.append(Figure(f"CPU of {read.name}, {connections} connections", "µs", *cpu, [cpu for _, cpu in floor]))
        figures.append(
            Figure(f"p99 of {read.name}, {connections} connections", "ms", [made.p99_ms for made, _ in ours])
        )
    return Part(figures)
