"""How many webhooks a second the inbox takes, and applies: `python -m bench.ingest [--rounds 3] [--quick]`.

Everything is on this machine and real: a PostgreSQL of its own (fsync on), uvicorn with uvloop and httptools in a
process, the load in another. Beside the inbox's group commit stands the same route with a commit for each request,
and beside both what the database can do at most: pgbench inserting one row a commit. Rounds are interleaved and
medians shown, because rates on a shared machine swing; ratios do not.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.ingest_parts import EVENT_BYTES, Load, free_port, make_event, run_drain, run_load, run_server

RESULTS = Path(__file__).with_name("results.json")
CONNECTIONS = (1, 8, 32, 128)
_EVENTS = {1: 1500, 8: 6000, 32: 10000, 128: 12000}
_DRAIN_EVENTS = 10_000
_FLOOR_S = 4
_FLOOR_CLIENTS = 32

_FLOOR_SCHEMA = """
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


class Postgres:
    """The server under test, and pgbench against it."""

    def __init__(self, folder: Path) -> None:
        from tallystick.platform.embedded_postgres import EmbeddedPostgres
        from tallystick.platform.postgres_binaries import Account, find_binaries

        self.server = EmbeddedPostgres(folder)
        self.url = self.server.ensure()
        near = find_binaries(Account.choose(folder, folder / "data"), None).folder / "pgbench"
        self.pgbench = str(near) if near.exists() else shutil.which("pgbench")

    def sql(self, *statements: str) -> Any:
        """Run statements; the first value of the last one."""
        import asyncpg

        async def run() -> Any:
            connection = await asyncpg.connect(self.url)
            try:
                for statement in statements[:-1]:
                    await connection.execute(statement)
                return await connection.fetchval(statements[-1])
            finally:
                await connection.close()

        return asyncio.run(run())

    def floor(self, script: str) -> float | None:
        """Transactions a second of a pgbench script, or None without pgbench."""
        if self.pgbench is None:
            return None
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            said = subprocess.run(
                [
                    *(self.pgbench, "-n", "-M", "prepared", "-f", file.name),
                    *("-c", str(_FLOOR_CLIENTS), "-j", "1", "-T", str(_FLOOR_S), self.url),
                ],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        found = re.search(r"tps = ([\d.]+)", said)
        return float(found[1]) if found else None


def floors(postgres: Postgres) -> dict[str, float | None]:
    """What one row a commit, and what the four statements of applying an event a commit, come to."""
    payload = json.dumps(make_event(1), indent=2).replace("'", "''")
    key = "\\set id random(1, 9000000000000000)\n\\set payment random(1, 500)\n"
    insert = f"INSERT INTO floor_inbox (id, type, payload) VALUES (:id, 'x', '{payload}') ON CONFLICT DO NOTHING;\n"
    apply = (
        f"BEGIN;\n{insert}UPDATE floor_payments SET status = 'paid', revision = revision + 1 WHERE id = :payment;\n"
        "INSERT INTO floor_outbox (business_key) VALUES (:id) ON CONFLICT DO NOTHING;\n"
        "UPDATE floor_inbox SET done = true WHERE id = :id::text;\nCOMMIT;\n"
    )
    # The id is text in both tables; pgbench would send a number.
    scripts = {
        "insert": key + insert.replace("(:id,", "(:id::bigint::text,"),
        "apply": key + apply.replace("(:id", "(:id::bigint::text").replace(":id::text", ":id::bigint::text"),
    }
    found = {name: postgres.floor(script) for name, script in scripts.items()}
    postgres.sql("TRUNCATE floor_inbox, floor_outbox", "SELECT 1")
    return found


@contextmanager
def server(kind: str, url: str) -> Iterator[tuple[int, int]]:
    """The route under uvicorn in a process of its own; its port and its process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.ingest", "--serve", kind, "--port", str(port), "--url", url]
    )
    try:
        for _ in range(200):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
                break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def cpu_s(pid: int) -> float:
    """How much of a CPU a process has used so far, in seconds; 0 where the system does not tell."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def load(port: int, connections: int, events: int) -> Load:
    """One measured run by a process of its own."""
    said = subprocess.run(
        [
            *(sys.executable, "-m", "bench.ingest", "--load", str(events)),
            *("--port", str(port), "--connections", str(connections)),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return Load(**json.loads(said.splitlines()[-1]))


def measure(rounds: int, scale: float) -> dict[str, Any]:
    """All rounds; medians by kind and number of connections, and the floors."""
    from rich.progress import Progress

    from tallystick.platform.migrate import migrate

    runs: dict[tuple[str, int], list[tuple[Load, float]]] = {}
    drains: list[float] = []
    found: dict[str, list[float]] = {"insert": [], "apply": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tallystick-bench-")))
        postgres = Postgres(folder / "pg")
        stack.callback(postgres.server.stop)
        asyncio.run(migrate(postgres.url, "public"))
        postgres.sql(_FLOOR_SCHEMA, "SELECT 1")
        servers = {kind: stack.enter_context(server(kind, postgres.url)) for kind in ("group", "single")}
        progress = stack.enter_context(Progress(transient=True))
        task = progress.add_task("measuring", total=rounds * (len(CONNECTIONS) * 2 + 2))
        for port, _ in servers.values():
            load(port, 8, 500)
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for kind, (port, pid) in servers.items():
                    postgres.sql("TRUNCATE webhook_events, webhook_parked_objects", "SELECT 1")
                    events = max(200, int(_EVENTS[connections] * scale * (0.5 if kind == "single" else 1)))
                    before = cpu_s(pid)
                    run = load(port, connections, events)
                    used = (cpu_s(pid) - before) / events * 1e6
                    stored = postgres.sql("SELECT count(*) FROM webhook_events")
                    if stored != events or run.refused:
                        raise SystemExit(f"{events} events sent, {run.refused} refused, {stored} stored")
                    runs.setdefault((kind, connections), []).append((run, used))
                    progress.advance(task)
            drains.append(drain(postgres, int(_DRAIN_EVENTS * scale)))
            progress.advance(task)
            for name, rate in floors(postgres).items():
                found[name] += [rate] if rate is not None else []
            progress.advance(task)
    return summary(runs, drains, found)


def drain(postgres: Postgres, events: int) -> float:
    """Events a second that one worker applies from a full inbox: a payment updated and a mail queued for each."""
    postgres.sql("TRUNCATE webhook_events, webhook_parked_objects, floor_outbox", "SELECT 1")
    said = subprocess.run(
        [sys.executable, "-m", "bench.ingest", "--drain", str(events), "--url", postgres.url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return float(said.splitlines()[-1])


def summary(
    runs: dict[tuple[str, int], list[tuple[Load, float]]], drains: Sequence[float], found: dict[str, list[float]]
) -> dict[str, Any]:
    """The medians, as they go into the file."""
    floor = {name: round(statistics.median(rates)) if rates else None for name, rates in found.items()}
    rows = [
        {
            "kind": kind,
            "connections": connections,
            "accepted_per_s": round(statistics.median(run.per_s for run, _ in several)),
            "p50_ms": round(statistics.median(run.p50_ms for run, _ in several), 2),
            "p99_ms": round(statistics.median(run.p99_ms for run, _ in several), 2),
            "server_cpu_us_per_event": round(statistics.median(used for _, used in several)),
            "load_generator_cpu": round(statistics.median(run.cpu for run, _ in several), 2),
        }
        for (kind, connections), several in sorted(runs.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    return {
        "rounds": len(drains),
        "cpus": os.cpu_count(),
        "event_bytes": EVENT_BYTES,
        "floor_insert_per_s": floor["insert"],
        "floor_apply_per_s": floor["apply"],
        "accept": rows,
        "applied_per_s_one_worker": round(statistics.median(drains)),
    }


def show(result: dict[str, Any]) -> None:
    """The figures as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Webhooks accepted (medians of {result['rounds']} rounds, {result['cpus']} CPUs)")
    for name in ("clients", "commit", "a second", "p50 ms", "p99 ms", "of floor", "CPU µs", "load CPU"):
        table.add_column(name, justify="right", no_wrap=True)
    floor = result["floor_insert_per_s"]
    for row in result["accept"]:
        table.add_row(
            str(row["connections"]),
            "shared" if row["kind"] == "group" else "each",
            f"{row['accepted_per_s']:,}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['accepted_per_s'] / floor:.2f}" if floor else "–",
            str(row["server_cpu_us_per_event"]),
            f"{row['load_generator_cpu']:.0%}",
            end_section=row["kind"] == "single",
            style="bold" if row["kind"] == "group" else None,
        )
    console = Console()
    console.print(table)
    applied, floor_apply = result["applied_per_s_one_worker"], result["floor_apply_per_s"]
    if floor:
        console.print(f"floor: pgbench, one row a commit, {_FLOOR_CLIENTS} clients: {floor:,}/s")
        console.print(f"floor: pgbench, four statements a commit, {_FLOOR_CLIENTS} clients: {floor_apply:,}/s")
    console.print(f"applied by one worker from a full inbox: {applied:,}/s")


def write(result: dict[str, Any]) -> None:
    """Put the figures into the file beside those of the other benches."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**kept, "ingest": result}, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, show and write; or, started by itself, be one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, one round; figures are rough")
    for hidden in ("--serve", "--load", "--drain", "--port", "--url", "--connections"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        run_server(given.serve, int(given.port), given.url)
    elif given.load:
        run_load(int(given.port), int(given.connections), int(given.load))
    elif given.drain:
        run_drain(given.url, int(given.drain))
    else:
        result = measure(1 if given.quick else given.rounds, 0.1 if given.quick else 1.0)
        show(result)
        write(result)


if __name__ == "__main__":
    main()
