"""What creating a payment costs beside the one call to Stripe that it makes, with Stripe instant.

The floor is that call alone: `payment_intents.create` by the SDK, asynchronous over aiohttp as the program makes it,
against the same stub that answers at once. Our share is what is left of a create when the call is taken off: token,
validation, the idempotency key, two transactions, the answer.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, cast
from uuid import uuid4

import uvloop

from bench import rows
from bench.figures import Figure, Part, Run, at_most
from bench.load import Load, load
from bench.postgres import postgres
from bench.processes import call, cpu_s
from bench.system import api, environment, stub, token

__all__ = ["measure", "run_load", "run_sdk"]

CONNECTIONS = (1, 32)
_REQUESTS = {1: 500, 32: 2_000}
_USERS, _ASKING = 2_000, 300
_LIMIT = 32


def run_load(port: int, connections: int, requests: int) -> dict[str, Any]:
    """Create so many payments, each under a key of its own."""
    tokens = [token(rows.user(number)) for number in range(1, _ASKING + 1)]
    body = json.dumps({"amount": 1050, "currency": "usd", "description": "An order", "metadata": {"order": "1"}})
    made = [_request(tokens[number % _ASKING], body.encode()) for number in range(requests)]
    return uvloop.run(load(port, connections, made))


def _request(of: str, body: bytes) -> bytes:
    head = (
        "POST /api/payments/payment-intent HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {of}\r\nIdempotency-Key: {uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run_sdk(stripe: str, at_once: int, calls: int) -> dict[str, float]:
    """So many calls, some at once: what one takes in ms, how many a second, and the CPU time of one in µs."""
    return uvloop.run(_sdk(stripe, at_once, calls))


async def _sdk(base: str, at_once: int, calls: int) -> dict[str, float]:
    import stripe

    http = stripe.AIOHTTPClient()
    client = stripe.StripeClient("sk_test_bench", base_addresses={"api": base}, max_network_retries=0, http_client=http)
    taken: list[float] = []
    line = iter(range(calls))

    async def one_after_another() -> None:
        for number in line:
            began = time.perf_counter()
            await client.v1.payment_intents.create_async(
                {
                    "amount": 1050,
                    "currency": "usd",
                    "customer": rows.cus(1),
                    "capture_method": "automatic",
                    "automatic_payment_methods": {"enabled": True},
                    "description": "An order",
                    "expand": ["latest_charge"],
                    "metadata": {"order": "1", "tallystick_payment": str(number), "tallystick_user": "user-1"},
                },
                {"idempotency_key": str(uuid4())},
            )
            taken.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    took, used = time.perf_counter() - began, time.process_time() - cpu
    await cast("Any", http).close_async()
    taken.sort()
    return {"p50_ms": taken[calls // 2] * 1000, "per_s": calls / took, "cpu_us": used / calls * 1e6}


def measure(run: Run) -> Part:
    """All rounds; each create beside the SDK's call at as many at once."""
    made: dict[int, list[tuple[Load, float]]] = {connections: [] for connections in CONNECTIONS}
    sdk: dict[int, list[dict[str, float]]] = {connections: [] for connections in CONNECTIONS}
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        asyncio.run(rows.fill(server.url, run.some(20_000, 2_000), users=_USERS))
        stripe, _ = stack.enter_context(stub())
        port, pid = stack.enter_context(api(environment(server.url, stripe)))
        for number in range(run.rounds + 1):
            for connections in run.many(CONNECTIONS, _LIMIT):
                requests = run.some(_REQUESTS[connections], 100)
                cpu = cpu_s(pid)
                ours = Load(**call("bench.writes:run_load", port=port, connections=connections, requests=requests))
                used = (cpu_s(pid) - cpu) / requests * 1e6
                theirs = call("bench.writes:run_sdk", stripe=stripe, at_once=connections, calls=requests)
                if number:
                    made[connections].append((ours, used))
                    sdk[connections].append(theirs)
    return _part(run, made, sdk)


def _part(run: Run, made: dict[int, list[tuple[Load, float]]], sdk: dict[int, list[dict[str, float]]]) -> Part:
    figures = []
    for connections in run.many(CONNECTIONS, _LIMIT):
        of = f"{connections} connection{'' if connections == 1 else 's'}"
        ours, theirs = made[connections], sdk[connections]
        # With many at once, how long each takes is how long the others take; what counts is the time for each.
        times = [1000 / each.per_s for each, _ in ours]
        floors = [1000 / each["per_s"] for each in theirs]
        reach = at_most(1.0, "ratio") if connections == _LIMIT else None
        figures += [
            Figure(f"creating a payment, {of}", "/s", [each.per_s for each, _ in ours], "the SDK's call alone",
                   [each["per_s"] for each in theirs]),
            Figure(f"creating a payment: our share of the time, {of}", "ms", _shares(times, floors),
                   "one call of the SDK to an instant stub", floors, reach),
            Figure(f"p99 of creating a payment, {of}", "ms", [each.p99_ms for each, _ in ours]),
        ]  # fmt: skip
    cpu = [each["cpu_us"] for each in sdk[_LIMIT]]
    used = [used for _, used in made[_LIMIT]]
    figures.append(Figure("CPU of the API for a create, without the call", "µs", _shares(used, cpu),
                          "CPU of the SDK's call", cpu))  # fmt: skip
    return Part(figures)


def _shares(whole: Sequence[float], call_alone: Sequence[float]) -> list[float]:
    return [max(0.0, ours - theirs) for ours, theirs in zip(whole, call_alone, strict=True)]
