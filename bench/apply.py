"""How many events a worker applies a second, from a full inbox until it is quiet; two workers; ten that are idle.

The events tell that payments succeeded which are on their way: each changes the payment, queues a receipt and a fact
for the host application, and is marked, by the handlers of production in the real `tallystick worker`. The floor is
what the database does of it at most: the same four statements (insert the event, change the payment, insert what is
to be sent, mark) in a transaction for each event, by pgbench with 32 clients.
"""

import asyncio
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench import rows
from bench.events import payment_event
from bench.figures import Figure, Part, Reach, Run, at_least
from bench.ingest import prepare_floors, script
from bench.postgres import FLOOR_CLIENTS, Postgres, postgres
from bench.processes import call, cpu_s, rss_mb
from bench.system import environment, stub, worker

__all__ = ["APPLY_FLOOR", "await_quiet", "fill_inbox", "measure", "run_fill"]

_EVENTS, _USERS = 10_000, 2_000
_FLOOR_S = 4
_IDLE_WORKERS, _IDLE_S = 10, 15
_QUIET_S = 600
APPLY_FLOOR = f"pgbench, the same four statements one transaction at a time, {FLOOR_CLIENTS} clients"
_PENDING = "SELECT count(*) FROM webhook_events WHERE state = 'pending'"


@dataclass(frozen=True)
class _Drained:
    per_s: float
    worker_us: float
    database_us: float


def run_fill(url: str, first: int, events: int, users: int, story: str) -> None:
    """Put events about the payments from number `first` on into the inbox."""
    from tallystick.core.clock import SystemClock
    from tallystick.platform.database import Database
    from tallystick.webhooks.registry import Registry
    from tallystick.webhooks.service import StripeWebhookService

    async def fill() -> None:
        database = await Database.connect(url)
        service = StripeWebhookService(database, SystemClock(), Registry())
        for at in range(first, first + events, 500):
            several = range(at, min(at + 500, first + events))
            async with database.transaction() as tx:
                await service.ingest(tx, [payment_event(n, users, story=story) for n in several], "webhook")
        await database.close()

    asyncio.run(fill())


def fill_inbox(server: Postgres, first: int, events: int, users: int = _USERS, story: str = "") -> None:
    """The same in a process of its own; nobody may be at work on the inbox."""
    call("bench.apply:run_fill", url=server.url, first=first, events=events, users=users, story=story)


def await_quiet(server: Postgres) -> None:
    """Wait until nothing is pending; SystemExit where an event is left over, or it takes for ever."""
    ends = time.monotonic() + _QUIET_S
    while server.sql(_PENDING):
        if time.monotonic() > ends:
            raise SystemExit("the inbox does not become quiet")
        time.sleep(0.05)
    if left := server.sql("SELECT count(*) FROM webhook_events WHERE state <> 'processed'"):
        raise SystemExit(f"{left} events were not processed")


def measure(run: Run) -> Part:
    """All rounds of one worker and of two beside the floor; then the idle ones."""
    one: list[_Drained] = []
    two: list[_Drained] = []
    floors: list[float] = []
    events = run.some(_EVENTS, 500)
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        prepare_floors(server)
        everything = events * (2 * run.rounds + 1)
        asyncio.run(rows.fill(server.url, everything, users=_USERS, still_open=everything))
        stripe, _ = stack.enter_context(stub())
        settings = environment(server.url, stripe)
        first = 1
        for number in range(2 * run.rounds + 1):
            workers = 1 + number % 2
            drained = _drain(server, settings, first, events, workers if number else 1)
            first += events
            if number:
                # The first one makes the plans, and fills the caches.
                (two if workers == 2 else one).append(drained)
            if number and workers == 1:
                rate = server.floor(script("apply"), seconds=_FLOOR_S * run.scale)
                floors += [rate] if rate else []
                server.sql("TRUNCATE floor_inbox, floor_outbox", "SELECT 1")
        idle, memory = _idle(server, settings, 3 if run.quick else _IDLE_S)
    return _part(one, two, floors, idle, memory)


def _drain(server: Postgres, settings: dict[str, str], first: int, events: int, workers: int) -> _Drained:
    """Apply so many events with so many workers; timed from the first that is applied until there are none left."""
    fill_inbox(server, first, events)
    # Held back, so that all workers are up when the first may begin.
    server.sql("UPDATE webhook_events SET not_before = now() + interval '1 hour' WHERE state = 'pending'", "SELECT 1")
    server.sql("VACUUM ANALYZE webhook_events", "SELECT 1")
    with ExitStack() as stack:
        pids = [stack.enter_context(worker(settings)) for _ in range(workers)]
        _await_workers(server, workers)
        free = "UPDATE webhook_events SET not_before = '2000-01-01' WHERE state = 'pending'"
        server.sql(free, "NOTIFY tallystick_inbox", "SELECT 1")
        began, cpu, database = time.perf_counter(), sum(map(cpu_s, pids)), server.cpu_s()
        await_quiet(server)
        took = time.perf_counter() - began
        used = sum(map(cpu_s, pids)) - cpu, server.cpu_s() - database
    told = server.sql("SELECT (SELECT count(*) FROM mails) + (SELECT count(*) FROM outbound_facts)")
    if told != 2 * events:
        raise SystemExit(f"{events} payments succeeded, and {told} receipts and facts tell of it")
    server.sql("TRUNCATE webhook_events, webhook_parked_objects, mails, outbound_facts CASCADE", "SELECT 1")
    return _Drained(events / took, used[0] / events * 1e6, used[1] / events * 1e6)


def _await_workers(server: Postgres, workers: int) -> None:
    """Wait until so many listen."""
    ends = time.monotonic() + 60
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    while server.sql(listening) < workers:
        if time.monotonic() > ends:
            raise SystemExit("the workers do not start")
        time.sleep(0.05)
    time.sleep(1)


def _idle(server: Postgres, settings: dict[str, str], seconds: float) -> tuple[list[float], list[float]]:
    """What so many idle workers cost the database, in per cent of a core, and what memory they have."""
    with ExitStack() as stack:
        pids = [stack.enter_context(worker(settings)) for _ in range(_IDLE_WORKERS)]
        _await_workers(server, _IDLE_WORKERS)
        # What is due at a start is done by then.
        time.sleep(seconds / 3)
        before, began = server.cpu_s(), time.perf_counter()
        time.sleep(seconds)
        used = (server.cpu_s() - before) / (time.perf_counter() - began) * 100
        return [used], [rss_mb(pid) for pid in pids]


def _part(
    one: list[_Drained], two: list[_Drained], floors: list[float], idle: list[float], memory: list[float]
) -> Part:
    rates = [each.per_s for each in one]
    # Two workers, the database and what else runs need a core each to show.
    scale = at_least(1.6) if (os.cpu_count() or 1) >= 4 else None
    figures: list[Figure] = [
        Figure("events fully applied, one worker", "/s", rates, APPLY_FLOOR if floors else "", floors, at_least(1.0)),
        Figure("the same, two workers", "/s", [each.per_s for each in two], "one worker", rates, scale),
        Figure("CPU of the worker for an event", "µs", [each.worker_us for each in one]),
        Figure("CPU of the database for an event", "µs", [each.database_us for each in one]),
        Figure(f"{_IDLE_WORKERS} idle workers: the database's share of a core", "%", idle,
               reach=Reach("value", "<", 1.0)),
        Figure("memory of an idle worker", "MB", memory),
    ]  # fmt: skip
    return Part(figures)
