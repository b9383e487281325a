"""How fast an account comes into the mirror, and with how much memory: `python -m bench.importing [--objects 10000]`.

Everything is on this machine and real: a PostgreSQL of its own (fsync on), the sandbox in a process, its account filled
with customers, payments, subscriptions and invoices, and the import in a process of its own, allowed 1,000 calls a
second. The floor is a process that lists the same pages through the same client, and writes nothing.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.ingest import RESULTS, Postgres
from bench.ingest_parts import free_port

SIZES = (10_000, 100_000)
CONCURRENCY = 4
_LOOK_S = 0.05


@contextmanager
def sandbox(folder: Path) -> Iterator[int]:
    """The offline Stripe in a process of its own; its port."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "tallystick.sandbox",
        "--port",
        str(port),
        "--database",
        str(folder / "sandbox.db"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_sandbox/health", timeout=1)
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def seed(port: int, objects: int) -> dict[str, Any]:
    """Fill the account."""
    body = json.dumps({"objects": objects}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_sandbox/seed", body, timeout=3600) as answer:
        made: dict[str, Any] = json.load(answer)
    return made


def run(what: str, url: str, stripe: str) -> dict[str, Any]:
    """The floor or the import, by a process of its own."""
    command = [sys.executable, "-m", "bench.importing", "--run", what, "--url", url, "--stripe", stripe]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(said.splitlines()[-1])
    return result


def measure(objects: int) -> dict[str, Any]:
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


async def _run(what: str, url: str, stripe: str) -> None:
    parts = _parts(url, stripe)
    await parts.database.open()
    try:
        print(json.dumps(await (_floor(parts) if what == "floor" else _import(parts))))
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


def main(options: Sequence[str] = ()) -> None:
    """Measure, show, and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench import")
    parser.add_argument("--objects", type=int, action="append", help=f"else {SIZES[0]} and {SIZES[1]}")
    parser.add_argument("--rounds", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="the smaller size only; do not keep the figures")
    parser.add_argument("--run", choices=("floor", "import"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--stripe", help=argparse.SUPPRESS)
    given = parser.parse_args(options)
    if given.run:
        asyncio.run(_run(given.run, given.url, given.stripe))
        return
    results = [measure(size) for size in given.objects or (SIZES[:1] if given.quick else SIZES)]
    show(results)
    if not given.quick:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps({**kept, "import": results}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
