"""How many reads a second one API process answers: `python -m bench.reads [entitlements] [products] [--quick]`.

Everything is on this machine and real: a PostgreSQL of its own, uvicorn with uvloop and httptools in a process, the
load in another. The floor is the same read of the same rows by a bare Starlette route with asyncpg and msgspec: no
token is checked, no header set, nothing logged. Rounds are interleaved and medians shown, because rates on a shared
machine swing; ratios do not.
"""

import argparse
import asyncio
import json
import os
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

from bench.ingest import RESULTS, Postgres, cpu_s
from bench.ingest_parts import Load, free_port
from bench.reads_parts import READS, run_floor, run_load, run_ours, seed

CONNECTIONS = (1, 8, 32)
_REQUESTS = {1: 1500, 8: 4000, 32: 6000}


@contextmanager
def server(kind: str, url: str) -> Iterator[tuple[int, int]]:
    """The route under uvicorn in a process of its own; its port and its process."""
    port = free_port()
    command = [sys.executable, "-m", "bench.reads", "--serve", kind, "--port", str(port), "--url", url]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1)
                break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def load(what: str, kind: str, port: int, connections: int, requests: int) -> Load:
    """One measured run by a process of its own."""
    command = [sys.executable, "-m", "bench.reads", what, "--load", str(requests), "--kind", kind]
    command += ["--port", str(port), "--connections", str(connections)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Load(**json.loads(said.splitlines()[-1]))


def measure(reads: Sequence[str], rounds: int, scale: float) -> dict[str, Any]:
    """All rounds of these reads; medians by read, kind and number of connections."""
    from tallystick.platform.migrate import migrate

    runs: dict[tuple[str, str, int], list[tuple[Load, float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tallystick-bench-")))
        postgres = Postgres(folder / "pg")
        stack.callback(postgres.server.stop)
        asyncio.run(migrate(postgres.url, "public"))
        asyncio.run(seed(postgres.url))
        servers = {kind: stack.enter_context(server(kind, postgres.url)) for kind in ("ours", "floor")}
        for what in reads:
            for kind, (port, _) in servers.items():
                load(what, kind, port, 8, 500)
        for _ in range(rounds):
            for what in reads:
                for connections in CONNECTIONS:
                    for kind, (port, pid) in servers.items():
                        requests = max(300, int(_REQUESTS[connections] * scale))
                        before = cpu_s(pid)
                        run = load(what, kind, port, connections, requests)
                        if run.refused:
                            raise SystemExit(f"{run.refused} of {requests} requests were refused")
                        runs.setdefault((what, kind, connections), []).append(
                            (run, (cpu_s(pid) - before) / requests * 1e6)
                        )
    return {what: summary(what, rounds, runs) for what in reads}


def summary(what: str, rounds: int, runs: dict[tuple[str, str, int], list[tuple[Load, float]]]) -> dict[str, Any]:
    """The medians of one read, as they go into the file."""
    rows = [
        {
            "kind": kind,
            "connections": connections,
            "per_s": round(statistics.median(run.per_s for run, _ in several)),
            "p50_ms": round(statistics.median(run.p50_ms for run, _ in several), 2),
            "p99_ms": round(statistics.median(run.p99_ms for run, _ in several), 2),
            "server_cpu_us_per_request": round(statistics.median(used for _, used in several)),
        }
        for (of, kind, connections), several in sorted(runs.items(), key=lambda item: (item[0][2], item[0][1]))
        if of == what
    ]
    return {"rounds": rounds, "cpus": os.cpu_count(), "reads": rows}


def show(what: str, result: dict[str, Any]) -> None:
    """The figures as a table."""
    from rich.console import Console
    from rich.table import Table

    title = f"{READS[what]}, one API process (medians of {result['rounds']} rounds, {result['cpus']} CPUs)"
    table = Table(title=title)
    for name in ("clients", "who", "a second", "p50 ms", "p99 ms", "of floor", "CPU µs"):
        table.add_column(name, justify="right", no_wrap=True)
    floors = {row["connections"]: row["per_s"] for row in result["reads"] if row["kind"] == "floor"}
    for row in result["reads"]:
        table.add_row(
            str(row["connections"]),
            row["kind"],
            f"{row['per_s']:,}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['per_s'] / floors[row['connections']]:.2f}",
            str(row["server_cpu_us_per_request"]),
            end_section=row["kind"] == "ours",
            style="bold" if row["kind"] == "ours" else None,
        )
    Console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, show and write; or, started by itself, be one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("reads", nargs="*", default=list(READS), help="entitlements, products")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests, one round; figures are rough")
    for hidden in ("--serve", "--load", "--kind", "--port", "--url", "--connections"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        (run_ours if given.serve == "ours" else run_floor)(int(given.port), given.url)
    elif given.load:
        run_load(given.reads[0], given.kind, int(given.port), int(given.connections), int(given.load))
    else:
        result = measure(given.reads, 1 if given.quick else given.rounds, 0.1 if given.quick else 1.0)
        for what, figures in result.items():
            show(what, figures)
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps({**kept, **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
