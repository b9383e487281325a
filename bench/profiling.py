"""Where the time goes: samples of the processes under load by what they are in, and the statements of each hot path.

Samples are taken by py-spy (dependency group `bench`) from outside; without it only statements are told. A sample
counts for the innermost part of the program that it is in; a system call of a library is that library's.
"""

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench import rows
from bench.apply import await_quiet, fill_inbox
from bench.figures import Figure, Part, Run
from bench.postgres import postgres
from bench.processes import call
from bench.reads_floor import SEED
from bench.system import api, environment, settings_for, stub, token, worker

__all__ = ["measure", "run_statements"]

_USERS, _PAYMENTS, _EVENTS = 2_000, 20_000, 6_000
_SAMPLES_A_S = 200
_RULES: Sequence[tuple[str, Sequence[str]]] = (
    ("database driver", ("asyncpg/", "platform/database.py")),
    ("call to Stripe: SDK, HTTP client, gateway", ("stripe/", "aiohttp/", "stripe_gateway/service.py", "yarl/")),
    ("HTTP server", ("uvicorn/", "platform/joined_writes.py", "uvloop/", "asyncio/runners.py")),
    ("framework: routing, validation", ("fastapi/", "pydantic", "starlette/")),
    ("token and who calls", ("jwt/", "platform/auth.py", "platform/callers.py", "customers/service.py")),
    ("door and rate limits", ("platform/door.py", "platform/rate_", "platform/limits.py", "security_headers", "prox")),
    ("log line", ("structlog/", "platform/logging.py")),
    ("counting", ("prometheus_client/", "platform/telemetry.py")),
    ("request frame, audit, traces", ("platform/http.py", "audit/", "tracing", "traced", "platform/direct.py")),
    ("signature", ("signatures.py",)),
    ("inbox: envelope, group commit, batches", ("webhooks/",)),
    ("mails and facts queued", ("notifications/",)),
    ("payments: translate, decide, show", ("payments/", "stripe_gateway/translate", "stripe_gateway/ordering")),
    ("attempts and idempotency keys", ("attempts/", "platform/idempotency.py")),
)
# Whatever calls these is who spends the time.
_NOBODY = ("contextlib", "asyncio/", "json/", "typing.py", "<frozen", "uuid.py", "re/", "enum.py", "core/ids.py")
_PATHS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "GET one payment": ("payment", "bench.reads:run_load", {"what": "payment", "kind": "ours", "payments": _PAYMENTS}),
    "a page of history": (
        "history",
        "bench.reads:run_load",
        {"what": "history", "kind": "ours", "payments": _PAYMENTS},
    ),
    "create a payment": ("create", "bench.writes:run_load", {}),
    "accept a webhook": ("webhook", "bench.ingest:run_load", {"story": "profile"}),
}


def measure(run: Run) -> Part:
    """Every hot path once."""
    shares: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        events = run.some(_EVENTS, 200)
        asyncio.run(rows.fill(server.url, _PAYMENTS + events, users=_USERS, still_open=events))
        server.sql(SEED, "SELECT 1")
        stripe, _ = stack.enter_context(stub())
        settings = environment(server.url, stripe)
        statements: dict[str, list[str]] = {
            path: call("bench.profiling:run_statements", url=server.url, stripe=stripe, what=what)
            for path, what in {**{path: each[0] for path, each in _PATHS.items()}, "apply 64 events": "events"}.items()
        }
        server.sql("TRUNCATE webhook_events, webhook_parked_objects", "SELECT 1")
        with api(settings) as (port, pid):
            for path, (what, target, arguments) in _PATHS.items():
                number = "events" if what == "webhook" else "requests"
                amount = {number: run.some(2_000 if what == "create" else 12_000, 300)}
                with _sampled(pid) as told:
                    call(target, port=port, connections=32, **arguments, **amount)
                shares[path] = told
        server.sql("TRUNCATE webhook_events, webhook_parked_objects", "SELECT 1")
        fill_inbox(server, _PAYMENTS + 1, events, _USERS)
        with worker(settings) as pid, _sampled(pid) as told:
            await_quiet(server)
        shares["apply 64 events"] = told
    _show(statements, shares)
    figures = [Figure(f"round trips: {path}", "", [len(each)]) for path, each in statements.items()]
    return Part(figures, {"statements": statements, "shares": shares})


@contextmanager
def _sampled(pid: int) -> Iterator[dict[str, float]]:
    """Shares of the process's time during the block, filled in at its end; empty without py-spy."""
    shares: dict[str, float] = {}
    sampler = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if sampler is None:
        yield shares
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks"
        command = [sampler, "record", "--pid", str(pid), "--rate", str(_SAMPLES_A_S), "--duration", "600"]
        sampling = subprocess.Popen([*command, "--format", "raw", "--output", str(file)], stderr=subprocess.DEVNULL)
        # It looks around first.
        time.sleep(2)
        yield shares
        sampling.send_signal(signal.SIGINT)
        sampling.wait(60)
        if file.exists():
            shares.update(_shares(file.read_text()))


def _shares(stacks: str) -> dict[str, float]:
    counted: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        counted[_part_of(stack.split(";"))] += int(samples)
    total = sum(counted.values())
    return {part: round(samples / total, 3) for part, samples in counted.most_common()}


def _part_of(frames: Sequence[str]) -> str:
    for frame in reversed(frames):
        if any(nobody in frame for nobody in _NOBODY) and "asyncio/runners.py" not in frame:
            continue
        for part, files in _RULES:
            if any(file in frame for file in files):
                return part
    return "all else"


def run_statements(url: str, stripe: str, what: str) -> list[str]:
    """The round trips to the database that a request of a kind makes, or a batch of events, when all is warm."""
    return asyncio.run(_statements(url, stripe, what))


async def _statements(url: str, stripe: str, what: str) -> list[str]:
    from tallystick.app import create_app
    from tallystick.webhooks.processor import EventProcessor

    settings = settings_for(url, STRIPE_API_BASE=stripe, LOG_LEVEL="error")
    app = create_app(settings)
    async with app.running():
        if what == "events":
            parts = app.parts
            processor = EventProcessor(parts.database, parts.clock, parts.registry, settings)
            await asyncio.to_thread(_fill_one_lane, url, parts.clock)
            await processor.work_lanes([0])
            with _noted() as said:
                await processor.work_lanes([0])
            return said
        for number in range(3):
            with _noted() as said:
                await _ask(app, what, number)
        return said


def _fill_one_lane(url: str, clock: Any) -> None:
    import asyncpg

    call("bench.apply:run_fill", url=url, first=1, events=128, users=_USERS, story="lane")

    async def one_lane() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("UPDATE webhook_events SET lane = 0")
        await connection.close()

    del clock
    asyncio.run(one_lane())


async def _ask(app: Any, what: str, number: int) -> None:
    """One request, past the server."""
    from bench.events import requests

    owner = 1 + 7 % _USERS
    body, method = b"", "GET"
    path, query, headers = "/", b"", {"authorization": f"Bearer {token(rows.user(owner))}", "host": "bench"}
    if what == "payment":
        path = f"/api/payments/payment-intent/{rows.our_id(7)}"
    elif what == "history":
        path, query = "/api/payments/history", b"limit=20"
    elif what == "create":
        method, path, body = "POST", "/api/payments/payment-intent", b'{"amount": 1050, "currency": "usd"}'
        headers |= {"content-type": "application/json", "content-length": str(len(body))}
    else:
        head, _, body = requests([7], _USERS, f"one {number}")[0].partition(b"\r\n\r\n")
        method, path = "POST", "/api/webhooks/stripe"
        headers |= dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        headers["stripe-signature"] = re.findall(r"Stripe-Signature: (.*)", head.decode())[0].strip()
    sent = [{"type": "http.request", "body": body, "more_body": False}]
    status: list[int] = []

    async def receive() -> Mapping[str, Any]:
        return sent.pop() if sent else {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        status.append(message.get("status", 0))

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "scheme": "http",
        "client": ("127.0.0.1", 1), "server": ("bench", 80), "http_version": "1.1", "root_path": "",
        "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)
    if status[0] >= 300:
        raise SystemExit(f"{method} {path}: {status[0]}")


@contextmanager
def _noted() -> Iterator[list[str]]:
    """The first words of each statement that this process sends meanwhile."""
    from asyncpg.connection import Connection

    said: list[str] = []
    names = ("execute", "executemany", "fetch", "fetchrow", "fetchval")
    kept = {name: getattr(Connection, name) for name in names}

    def noting(name: str) -> Any:
        async def noted(self: Any, query: str, *arguments: Any, **more: Any) -> Any:
            said.append(" ".join(re.sub(r"--.*", "", query).split())[:90])
            return await kept[name](self, query, *arguments, **more)

        return noted

    for name in names:
        setattr(Connection, name, noting(name))
    try:
        yield said
    finally:
        for name, method in kept.items():
            setattr(Connection, name, method)


def _show(statements: Mapping[str, Sequence[str]], shares: Mapping[str, Mapping[str, float]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 130)
    table = Table(title="Where the time of the process goes", title_justify="left")
    table.add_column("part")
    for path in shares:
        table.add_column(path, justify="right")
    for part in [*(name for name, _ in _RULES), "all else"]:
        table.add_row(part, *(f"{each[part]:.0%}" if each.get(part) else "" for each in shares.values()))
    console.print(table)
    for path, each in statements.items():
        console.print(f"[bold]{path}[/bold]: {len(each)} round trips")
        for text in each:
            console.print(f"  {text}", markup=False, highlight=False)
