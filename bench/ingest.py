"""How many webhooks a second one API process takes: at 1 to 256 connections, doubled, and beside a commit for each.

The floor is the database alone: pgbench inserting one row a commit, of the same bytes, with 32 clients. That the load
generator is not what limits is shown by a server that answers at once.
"""

import json
from contextlib import ExitStack
from typing import Any

import uvloop

from bench.events import EVENT_BYTES, payment_event, requests
from bench.figures import Figure, Part, Reach, Run, at_least
from bench.load import Load, load
from bench.postgres import FLOOR_CLIENTS, Postgres, postgres
from bench.processes import call, cpu_s, free_port, serving
from bench.system import api, environment, stub

__all__ = ["INSERT_FLOOR", "measure", "prepare_floors", "run_load", "script"]

CONNECTIONS = (1, 8, 32, 128, 256)
_EVENTS = {1: 1500, 8: 6000, 32: 10_000, 128: 12_000, 256: 12_000}
_OBJECTS = 100_000
_FLOOR_S = 4
_LIMIT = 32
INSERT_FLOOR = f"pgbench, one row a commit, {FLOOR_CLIENTS} clients"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS floor_inbox (id text PRIMARY KEY, type text NOT NULL, payload jsonb NOT NULL,
    done boolean NOT NULL DEFAULT false);
CREATE TABLE IF NOT EXISTS floor_payments (id int PRIMARY KEY, status text NOT NULL, revision int NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS floor_outbox (id bigserial PRIMARY KEY, business_key text NOT NULL UNIQUE);
INSERT INTO floor_payments SELECT generate_series(1, 500), 'created' ON CONFLICT DO NOTHING;
DO $$ BEGIN
    ALTER TABLE floor_inbox ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;  -- as in the migration: the inbox has what the server has
END $$;
"""


def prepare_floors(server: Postgres) -> None:
    """The tables of `script`."""
    server.sql(_SCHEMA, "SELECT 1")


def script(name: str) -> str:
    """pgbench's script: `insert` is one row, `apply` the four statements of applying an event in a transaction."""
    payload = json.dumps(payment_event(1, 1), indent=2).replace("'", "''")
    key = "\\set id random(1, 9000000000000000)\n\\set payment random(1, 500)\n"
    # The id is text in both tables; pgbench would send a number.
    insert = (
        "INSERT INTO floor_inbox (id, type, payload) VALUES (:id::bigint::text, 'payment_intent.succeeded', "
        f"'{payload}') ON CONFLICT DO NOTHING;\n"
    )
    if name == "insert":
        return key + insert
    return (
        f"{key}BEGIN;\n{insert}"
        "UPDATE floor_payments SET status = 'succeeded', revision = revision + 1 WHERE id = :payment;\n"
        "INSERT INTO floor_outbox (business_key) VALUES (:id::bigint::text) ON CONFLICT DO NOTHING;\n"
        "UPDATE floor_inbox SET done = true WHERE id = :id::bigint::text;\nCOMMIT;\n"
    )


def run_load(port: int, connections: int, events: int, story: str) -> dict[str, Any]:
    """Send so many events, those of the same `story` each time; each connection its next when its last is answered."""
    return uvloop.run(load(port, connections, requests(range(1, events + 1), _OBJECTS, story)))


def measure(run: Run) -> Part:
    """All rounds."""
    made: dict[str, list[tuple[Load, float]]] = {}
    floors: list[float] = []
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        prepare_floors(server)
        stripe, _ = stack.enter_context(stub())
        port, pid = stack.enter_context(api(environment(server.url, stripe)))
        null = free_port()
        stack.enter_context(serving("bench.load:run_null", port=null))
        _send(run, server, port, pid, 8, 500, "warm")
        for number in range(run.rounds):
            for connections in run.many(CONNECTIONS, _LIMIT):
                events, story = run.some(_EVENTS[connections], 200), f"{number}/{connections}"
                made.setdefault(str(connections), []).append(_send(run, server, port, pid, connections, events, story))
                if connections == _LIMIT:
                    # The database as it was then.
                    floors += [rate] if (rate := server.floor(script("insert"), seconds=_FLOOR_S * run.scale)) else []
                    made.setdefault("doubled", []).append(
                        _send(run, server, port, pid, connections, events, story, stored=events)
                    )
                    told = call("bench.ingest:run_load", port=null, connections=_LIMIT, events=events, story=story)
                    made.setdefault("null", []).append((Load(**told), 0.0))
                server.sql("TRUNCATE webhook_events, webhook_parked_objects, floor_inbox", "SELECT 1")
    return _part(run, made, floors)


def _send(
    run: Run, server: Postgres, port: int, pid: int, connections: int, events: int, story: str, *, stored: int = 0
) -> tuple[Load, float]:
    """One run, and the API's CPU time for an event in µs; `stored` of the events are there before."""
    before, cpu = server.sql("SELECT count(*) FROM webhook_events"), cpu_s(pid)
    made = Load(**call("bench.ingest:run_load", port=port, connections=connections, events=events, story=story))
    used = (cpu_s(pid) - cpu) / events * 1e6
    new = server.sql("SELECT count(*) FROM webhook_events") - before
    if new != events - stored:
        raise SystemExit(f"of {events} events acknowledged, {stored} of them known, {new} were stored")
    return made, used


def _part(run: Run, made: dict[str, list[tuple[Load, float]]], floors: list[float]) -> Part:
    figures = []
    for connections in run.many(CONNECTIONS, _LIMIT):
        several, limit = made[str(connections)], connections == _LIMIT
        of = f"{connections} connection{'' if connections == 1 else 's'}"
        rates = [each.per_s for each, _ in several]
        figures += [
            Figure(f"webhooks accepted, {of}", "/s", rates, INSERT_FLOOR if floors else "", floors,
                   at_least(0.5) if limit else None),
            Figure(f"p99 of accepting, {of}", "ms", [each.p99_ms for each, _ in several],
                   reach=Reach("value", "<", 25) if limit else None),
        ]  # fmt: skip
        if limit:
            figures.append(Figure(f"CPU of accepting an event, {of}", "µs", [used for _, used in several]))
    accepted = [each.per_s for each, _ in made[str(_LIMIT)]]
    generator = [each.per_s for each, _ in made["null"]]
    figures += [
        Figure(f"the same events again, {_LIMIT} connections", "/s", [each.per_s for each, _ in made["doubled"]],
               "the first time", accepted),
        Figure("the generator against a server that does nothing", "/s", generator, "webhooks accepted", accepted,
               at_least(1.5)),
        Figure("the generator's share of a core while the webhooks were accepted", "%",
               [each.cpu * 100 for each, _ in made[str(_LIMIT)]]),
    ]  # fmt: skip
    return Part(figures, {"event_bytes": EVENT_BYTES})
