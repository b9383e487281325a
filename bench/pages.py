"""How long the server works on each page, and what it weighs.

Everything is on this machine and real: a PostgreSQL of its own, the API and the sandbox each in a process, the load in
another. The floor is a bare Starlette route that answers with the same bytes from memory. The billing home asks Stripe
(here the sandbox) for the next invoice, as it does in production; the other pages show our own record. Rounds are
interleaved and medians shown, because rates on a shared machine swing.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.figures import Figure, Part, Run
from bench.load import Load
from bench.pages_parts import Page, make_pages, world
from bench.postgres import Postgres
from bench.processes import call, cpu_s, free_port, serving

CONNECTIONS = (1, 8)
_REQUESTS = {1: 400, 8: 1200}
_OBJECTS = 10_000


def load(url: str, cookie: str, connections: int, requests: int) -> Load:
    """One measured run by a process of its own."""
    asked = {"url": url, "cookie": cookie, "connections": connections, "requests": requests}
    return Load(**call("bench.pages_parts:run_load", **asked))


def measure(run: Run) -> Part:
    """One round of all pages, in a long run all rounds."""
    result = _measure(run.rounds if run.long else 1, run.scale)
    show(result)
    rows = result["pages"]
    figures = [
        Figure(f"{ours['page']}, one client", "ms", [ours["p50_ms"]], "the same bytes from memory", [floor["p50_ms"]])
        for floor, ours in zip(rows[::2], rows[1::2], strict=True)
    ]
    return Part(figures, result)


def _measure(rounds: int, scale: float) -> dict[str, Any]:
    """All rounds of all pages; medians by page, kind and number of connections."""
    from tallystick.platform.migrate import migrate

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tallystick-bench-")))
        postgres = Postgres(folder / "pg")
        stack.callback(postgres.server.stop)
        asyncio.run(migrate(postgres.url, "public"))
        made = stack.enter_context(world(postgres.url, folder))
        pages = asyncio.run(make_pages(made, int(_OBJECTS * max(scale, 0.1))))
        bodies, port = folder / "pages", free_port()
        bodies.mkdir()
        for number, page in enumerate(pages):
            (bodies / str(number)).write_bytes(page.body)
        floor = stack.enter_context(serving("bench.pages_parts:run_floor", port=port, folder=str(bodies)))
        targets = [
            (page, kind, url, cookie, pid)
            for number, page in enumerate(pages)
            for kind, url, cookie, pid in (
                ("floor", f"http://127.0.0.1:{port}/{number}", "", floor.pid),
                ("ours", page.url, page.cookie, made.pids["/".join(page.url.split("/")[:3])]),
            )
        ]
        runs: dict[tuple[str, str, int], list[tuple[Load, float]]] = {}
        for _, _, url, cookie, _ in targets:
            load(url, cookie, 1, 30)
        for _ in range(rounds):
            for page, kind, url, cookie, pid in targets:
                for connections in CONNECTIONS:
                    requests = max(20, int(_REQUESTS[connections] * scale))
                    before = cpu_s(pid)
                    run = load(url, cookie, connections, requests)
                    if run.refused:
                        raise SystemExit(f"{page.name}: {run.refused} of {requests} requests were refused")
                    used = (cpu_s(pid) - before) / requests * 1000
                    runs.setdefault((page.name, kind, connections), []).append((run, used))
    return summary(pages, rounds, runs)


def summary(
    pages: Sequence[Page], rounds: int, runs: dict[tuple[str, str, int], list[tuple[Load, float]]]
) -> dict[str, Any]:
    """The medians, as they go into the file."""
    rows = []
    for page in pages:
        for kind in ("floor", "ours"):
            alone, many = (runs[page.name, kind, connections] for connections in CONNECTIONS)
            rows.append(
                {
                    "page": page.name,
                    "kind": kind,
                    "p50_ms": round(statistics.median(run.p50_ms for run, _ in alone), 2),
                    "p99_ms": round(statistics.median(run.p99_ms for run, _ in alone), 2),
                    "per_s_8_clients": round(statistics.median(run.per_s for run, _ in many)),
                    "server_cpu_ms": round(statistics.median(used for _, used in many), 2),
                    "bytes": len(page.body),
                    "bytes_with_assets": page.weight,
                }
            )
    return {"rounds": rounds, "cpus": os.cpu_count(), "pages": rows}


def show(result: dict[str, Any]) -> None:
    """The figures as a table."""
    from rich.console import Console
    from rich.table import Table

    cpus, rounds = result["cpus"], result["rounds"]
    table = Table(title=f"Pages: one client, then eight at once (medians of {rounds} rounds, {cpus} CPUs)")
    for name in ("page", "who", "p50 ms", "p99 ms", "8: a second", "CPU ms", "bytes", "in all"):
        table.add_column(name, justify="left" if name in ("page", "who") else "right", no_wrap=True)
    for row in result["pages"]:
        ours = row["kind"] == "ours"
        table.add_row(
            row["page"] if not ours else "",
            row["kind"],
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['per_s_8_clients']:,}",
            f"{row['server_cpu_ms']:.2f}",
            f"{row['bytes']:,}" if ours else "",
            f"{row['bytes_with_assets']:,}" if ours else "",
            end_section=ours,
            style="bold" if ours else None,
        )
    # Not a terminal: a file keeps its lines whole.
    Console(width=None if sys.stdout.isatty() else 110).print(table)
