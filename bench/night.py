"""A renewal night: 100,000 events in a burst over 256 connections, with a worker at work all the while.

None may be lost; none is refused but with 503, and then taken when it is sent again. Every one is applied: the numbers
of payments that changed, of receipts and of facts are held against that of the events.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvloop

from bench import rows
from bench.apply import await_quiet
from bench.events import requests
from bench.figures import Figure, Part, Reach, Run
from bench.load import Load, load
from bench.postgres import postgres
from bench.processes import call, cpu_s, rss_mb
from bench.system import api, environment, stub, worker

__all__ = ["measure", "run_load"]

CONNECTIONS = 256
_EVENTS, _USERS = 100_000, 20_000
_SURE = """
    SELECT (SELECT count(*) FROM webhook_events WHERE state = 'processed')
        || ' ' || (SELECT count(*) FROM payments WHERE status = 'succeeded')
        || ' ' || (SELECT count(*) FROM mails) || ' ' || (SELECT count(*) FROM outbound_facts)
"""


def run_load(port: int, events: int) -> dict[str, Any]:
    """Send all of them, as fast as they are taken."""
    return uvloop.run(load(port, CONNECTIONS, requests(range(1, events + 1), _USERS, "night")))


def measure(run: Run) -> Part:
    """One night, whatever the number of rounds."""
    events = run.some(_EVENTS, 2_000)
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        asyncio.run(rows.fill(server.url, events, users=_USERS, still_open=events))
        stripe, _ = stack.enter_context(stub())
        settings = environment(server.url, stripe)
        port, api_pid = stack.enter_context(api(settings))
        worker_pid = stack.enter_context(worker(settings))
        depth = stack.enter_context(_watching(server.url))
        began, cpu = time.perf_counter(), (cpu_s(api_pid), cpu_s(worker_pid), server.cpu_s())
        made = Load(**call("bench.night:run_load", port=port, events=events))
        taken = server.sql("SELECT extract(epoch FROM max(created_at) - min(created_at))::float8 FROM webhook_events")
        await_quiet(server)
        took = time.perf_counter() - began
        used = cpu_s(api_pid) - cpu[0], cpu_s(worker_pid) - cpu[1], server.cpu_s() - cpu[2]
        last = server.sql("SELECT extract(epoch FROM max(processed_at) - min(created_at))::float8 FROM webhook_events")
        sure = server.sql(_SURE)
        memory = [rss_mb(pid, most=True) for pid in (api_pid, worker_pid)]
    lost = events - int(sure.split()[0])
    if sure.split() != [str(events)] * 4:
        raise SystemExit(f"of {events} events, payments, receipts and facts there are {sure}")
    below = Reach("value", "<", 300)
    return Part(
        [
            Figure(f"a night of {events:,} events: lost", "", [lost], reach=Reach("value", "≤", 0)),
            Figure("refused for good", "", [made.refused], reach=Reach("value", "≤", 0)),
            Figure("answered 503, and taken when sent again", "", [made.came_again]),
            Figure(f"acknowledged, p99, {CONNECTIONS} connections", "ms", [made.p99_ms],
                   reach=Reach("value", "<", 250)),
            Figure("acknowledged, p50", "ms", [made.p50_ms]),
            Figure("accepted", "/s", [events / taken]),
            Figure("applied, from the first one received to the last one applied", "/s", [events / last]),
            Figure("most events waiting to be applied", "", [max(depth, default=0)]),
            Figure("memory of the API process at most", "MB", [memory[0]], reach=below),
            Figure("memory of the worker at most", "MB", [memory[1]], reach=below),
            *(
                Figure(f"CPU of {name} for an event", "µs", [seconds / events * 1e6])
                for name, seconds in zip(("the API", "the worker", "the database"), used, strict=True)
            ),
        ],
        {"took_s": round(took, 1)},
    )  # fmt: skip


@contextmanager
def _watching(url: str) -> Iterator[list[int]]:
    """How many events were waiting, each second."""
    seen: list[int] = []
    stop = threading.Event()

    async def watch() -> None:
        import asyncpg

        connection = await asyncpg.connect(url)
        while not stop.is_set():
            # By the index of those that wait alone.
            waiting = "SELECT count(*) FROM webhook_events WHERE state = 'pending' AND not_before < 'infinity'"
            seen.append(await connection.fetchval(waiting))
            await asyncio.sleep(1)
        await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(watch()))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
