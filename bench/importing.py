"""How fast an account comes into the mirror, and with how much memory.

Everything is on this machine and real: a PostgreSQL of its own (fsync on), the sandbox in a process, its account filled
with customers, payments, subscriptions and invoices, and the import in a process of its own, allowed 1,000 calls a
second. The floor is a process that lists the same pages through the same client, and writes nothing.
"""

import asyncio
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, Part, Run
from bench.postgres import Postgres
from bench.processes import call, free_port, running

CONCURRENCY = 4
_LOOK_S = 0.05


@contextmanager
def sandbox(folder: Path) -> Iterator[int]:
    """The offline Stripe in a process of its own; its port."""
    port = free_port()
    command = ("tallystick.sandbox", "--port", str(port), "--database", str(folder / "sandbox.db"))
    with running(*command, port=port, health="/_sandbox/health"):
        yield port


def seed(port: int, objects: int) -> dict[str, Any]:
    """Fill the account."""
    body = json.dumps({"objects": objects}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_sandbox/seed", body, timeout=3600) as answer:
        made: dict[str, Any] = json.load(answer)
    return made


def run(what: str, url: str, stripe: str) -> dict[str, Any]:
    """The floor or the import, by a process of its own."""
    result: dict[str, Any] = call("bench.importing:run_here", what=what, url=url, stripe=stripe)
    return result


def measure(run: Run) -> Part:
    """One size; in a long run a second."""
    sizes = (300,) if run.quick else (2_000, 10_000, 100_000) if run.long else (2_000,)
    results = [_measure(size) for size in sizes]
    show(results)
    figures = []
    for result in results:
        ours, floor, size = result["import"], result["floor"], f"{result['import']['listed']:,} objects"
        figures += [
            Figure(f"import of {size}", "/s", [ours["per_s"]], "listing them, and writing nothing", [floor["per_s"]]),
            Figure(f"memory of an import at the end of {size}", "MB", [ours["rss_mb"]["at 100 %"]], "at 25 %",
                   [ours["rss_mb"]["at 25 %"]]),
        ]  # fmt: skip
    return Part(figures, {"sizes": results})


def _measure(objects: int) -> dict[str, Any]:
    """One size: the floor, the import, and the same import again, of which all is known already."""
    from tallystick.platform.migrate import migrate

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tallystick-bench-")))
        postgres = Postgres(folder / "pg")
        stack.callback(postgres.server.stop)
        asyncio.run(migrate(postgres.url, "public"))
        port = stack.enter_context(sandbox(folder))
        made, stripe = seed(port, objects), f"http://127.0.0.1:{port}"
        floor = run("floor", postgres.url, stripe)
        ours = run("import", postgres.url, stripe)
        again = run("import", postgres.url, stripe)
    return {"objects": objects, "seeded_per_s": round(made["objects"] / made["took_s"]), "cpus": os.cpu_count(),
            "floor": floor, "import": ours, "again": again}  # fmt: skip


# In a process of its own


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _parts(url: str, stripe: str) -> Any:
    from tallystick.app.parts import build_parts
    from tallystick.core.clock import SystemClock
    from tallystick.platform.settings import load_settings

    settings = load_settings(
        {
            "ENVIRONMENT": "test",
            "DATABASE_URL": url,
            "STRIPE_SECRET_KEY": "sk_test_bench",
            "STRIPE_WEBHOOK_SECRET": "whsec_bench",
            "STRIPE_API_BASE": stripe,
            "STRIPE_RATE_LIMIT": "10000",
            "STRIPE_BACKGROUND_RATE": "1000",
            "JWT_SECRET": "0" * 32,
            "LOG_LEVEL": "error",
        }
    )
    return build_parts(settings, SystemClock(), "bench")


async def _import(parts: Any) -> dict[str, Any]:
    """Import all there is; objects a second, and memory at the start, at a quarter, and at the end."""
    from tallystick.importing.models import ImportOptions
    from tallystick.importing.service import ImportProgress

    progress, start = ImportProgress(), _rss_mb()
    seen: list[tuple[int, float]] = []

    async def look() -> None:
        while True:
            kinds = progress.by_kind().values()
            seen.append((sum(counts.listed for counts, _, _ in kinds), _rss_mb()))
            await asyncio.sleep(_LOOK_S)

    looking = asyncio.create_task(look())
    began = time.monotonic()
    summary = await parts.reconciling.imports.run(ImportOptions(), concurrency=CONCURRENCY, progress=progress)
    took_s = time.monotonic() - began
    looking.cancel()
    listed = sum(kind.counts.listed for kind in summary.kinds)
    quarter = next((rss for count, rss in seen if count >= listed / 4), start)
    return {
        "listed": listed,
        "added": sum(kind.counts.added for kind in summary.kinds),
        "per_s": round(listed / took_s),
        "took_s": round(took_s, 1),
        "rss_mb": {"start": round(start), "at 25 %": round(quarter), "at 100 %": round(_rss_mb())},
    }


async def _floor(parts: Any) -> dict[str, Any]:
    """List the same pages, as many at once."""
    from tallystick.reconciliation.kinds import KINDS
    from tallystick.stripe_gateway.dialect import Dialect

    dialect, customers, listed = Dialect(parts.settings.stripe_api_version), list[str](), 0
    room = asyncio.Semaphore(CONCURRENCY)

    async def everything(kind: Any, path: str) -> None:
        nonlocal listed
        params, more = kind.list_params(dialect), True
        while more:
            async with room:
                page = await parts.stripe.list_page(path, params, dict)
            listed += len(page.value)
            more = page.raw["has_more"]
            if kind.object == "customer":
                customers.extend(item["id"] for item in page.value)
            if more:
                params["starting_after"] = page.value[-1]["id"]

    began = time.monotonic()
    lists = [(kind, kind.path) for kind in KINDS if kind.path]
    await asyncio.gather(*(everything(kind, path) for kind, path in lists if not kind.per_customer))
    for kind, path in lists:
        if kind.per_customer:
            for first in range(0, len(customers), 100):
                some = customers[first : first + 100]
                await asyncio.gather(*(everything(kind, path.replace("{customer}", one)) for one in some))
    took_s = time.monotonic() - began
    return {"listed": listed, "per_s": round(listed / took_s), "took_s": round(took_s, 1)}


def run_here(what: str, url: str, stripe: str) -> dict[str, Any]:
    """What `run` runs."""
    return asyncio.run(_run(what, url, stripe))


async def _run(what: str, url: str, stripe: str) -> dict[str, Any]:
    parts = _parts(url, stripe)
    await parts.database.open()
    try:
        result: dict[str, Any] = await (_floor(parts) if what == "floor" else _import(parts))
        return result
    finally:
        await parts.close()


def show(results: Sequence[dict[str, Any]]) -> None:
    """The figures as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"import of an account, {CONCURRENCY} lists at once ({os.cpu_count()} CPUs)")
    for name in ("objects", "who", "a second", "took s", "of floor", "MB at start", "at 25 %", "at 100 %"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        for who in ("floor", "import", "again"):
            row, memory = result[who], result[who].get("rss_mb", {})
            share = f"{row['per_s'] / result['floor']['per_s']:.2f}"
            sizes = [str(memory.get(name, "")) for name in ("start", "at 25 %", "at 100 %")]
            table.add_row(f"{row['listed']:,}", who, f"{row['per_s']:,}", f"{row['took_s']:,}", share, *sizes)
    Console().print(table)
