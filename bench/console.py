"""How long the console's pages and the money figures take as the record grows.

The record has ten thousand rows of everything, then a hundred thousand, or (--long) a million: payments, events, mails,
subscriptions and the rest, over three years. Every list is asked for by each of its filters alone, with values that
many rows have, that few have and that none has, in both orders. Pages come over HTTP from the API in a process of its
own; beside their time stands how many pages of the database (8 kB) their list touched, which no other load on the
machine changes.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import asyncpg

from bench.console_parts import fill
from bench.figures import Figure, Part, Run
from bench.pages_parts import World, staff_token, world
from bench.postgres import Postgres
from tallystick.console.listing import query_of
from tallystick.console.listings import LISTINGS

_TIMES = 7
_ROWS = 26
_SHOWN = 40
_DAY, _NOW = "2026-01-31", "2999-01-01"
_FIGURES = {
    "overview": "/console",
    "figures, 3 years": "/console/figures?span=3y",
    "GET /api/metrics": "/api/metrics",
    **{
        f"GET /api/metrics/{name}, 3 years": f"/api/metrics/{name}?by=month&start={{start}}"
        for name in ("mrr", "subscribers", "trials", "money")
    },
}
# Values that are there; one that is not is asked for besides.
_THERE: Mapping[str, Sequence[str]] = {
    "payments.user": ["user-7@example.com", "user-7"],
    "payments.customer": ["cus_7"],
    "payments.intent": ["pi_77"],
    "payments.code": ["insufficient_funds", "expired_card"],
    "customers.email": ["user-7@example.com"],
    "customers.user": ["user-7"],
    "customers.customer": ["cus_7"],
    "subscriptions.user": ["user-7"],
    "subscriptions.customer": ["cus_7"],
    "subscriptions.subscription": ["sub_7"],
    "subscriptions.price": ["price_7"],
    "invoices.user": ["user-7"],
    "invoices.customer": ["cus_7"],
    "invoices.invoice": ["in_7"],
    "events.type": ["invoice.paid"],
    "events.object": ["pi_7"],
    "events.event": ["evt_7"],
    "mails.template": ["receipt"],
    "mails.recipient": ["user-7@example.com"],
    "mails.user": ["user-7"],
    "deliveries.object": ["pi_7"],
    "differences.object": ["invoice"],
    "differences.id": ["pi_7"],
    "audit.actor": ["admin:7"],
    "audit.action": ["console_payments_refund"],
    "audit.object": ["pi_7"],
}


@dataclass(frozen=True)
class Question:
    """A list by a filter (or none), in an order."""

    name: str
    listing: str
    wanted: Mapping[str, str]


def questions() -> list[Question]:
    """Every list, by every filter alone, in every order."""
    found = []
    for listing in LISTINGS.values():
        asked: list[dict[str, str]] = [{}]
        for each in listing.filters:
            if each.choices:
                values = list(each.choices)
            elif each.type == "text":
                values = [*_THERE[f"{listing.name}.{each.name}"], "nothing"]
            else:
                values = [_DAY, _NOW] if each.name == "since" else [_DAY, "2000-01-01"]
            asked += [{each.name: value} for value in values]
        for wanted in asked:
            for order in listing.orders:
                text = " ".join([listing.name, *(f"{name}={value}" for name, value in wanted.items()), order.name])
                found.append(Question(text, listing.name, {**wanted, "order": order.name}))
    return found


async def touched(connection: asyncpg.Connection, question: Question) -> tuple[int, list[str]]:
    """How many pages of the database the list's statement touches, and the tables that it reads whole."""
    listing = LISTINGS[question.listing]
    order = next(order for order in listing.orders if order.name == question.wanted["order"])
    query = query_of(listing, question.wanted, order=order, cursor=None, limit=_ROWS)
    said = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.sql}", *query.arguments)
    plan = json.loads(said)[0]["Plan"]
    whole: list[str] = []

    def look(node: Mapping[str, Any]) -> None:
        if node["Node Type"] == "Seq Scan":
            whole.append(node["Relation Name"])
        for child in node.get("Plans", ()):
            look(child)

    look(plan)
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], whole


async def ask(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str], times: int) -> float:
    """The median time of a page, in ms."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        async with http.get(url, headers=headers, allow_redirects=False) as answer:
            body = await answer.text()
        if answer.status != 200:
            raise SystemExit(f"{url}: {answer.status} {body[:300]}")
        found.append((time.perf_counter() - begun) * 1000)
    return statistics.median(found)


async def measure_at(postgres: Postgres, made: World, times: int) -> dict[str, dict[str, Any]]:
    """Every page once for each size: its median, and what its statement touched."""
    rows: dict[str, dict[str, Any]] = {}
    token = staff_token()
    connection = await asyncpg.connect(postgres.url, server_settings={"jit": "off"})
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            async with http.post(f"{made.api}/console/login", data={"token": token}) as answer:
                assert str(answer.url).endswith("/console"), await answer.text()
            bearer = {"Authorization": f"Bearer {token}"}
            start = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 1094 * 86_400))
            for name, path in _FIGURES.items():
                url = made.api + path.format(start=start)
                rows[name] = {"p50_ms": round(await ask(http, url, bearer if "/api/" in path else {}, times), 2)}
            for question in questions():
                blocks, whole = await touched(connection, question)
                url = f"{made.api}/console/{question.listing}?{urlencode(question.wanted)}"
                p50 = await ask(http, url, {}, times)
                rows[question.name] = {"p50_ms": round(p50, 2), "pages": blocks, "whole": whole}
    finally:
        await connection.close()
    return rows


def measure(run: Run) -> Part:
    """Ten thousand rows of everything, and a hundred thousand; in a long run a million."""
    sizes = (1_000, 10_000) if run.quick else (10_000, 1_000_000) if run.long else (10_000, 100_000)
    result = _measure(sizes, 3 if run.quick else _TIMES)
    show(result)
    small, large = (str(size) for size in sizes)
    figures = []
    for name, by_size in result["pages"].items():
        ours, floor = [by_size[large]["p50_ms"]], [by_size[small]["p50_ms"]]
        if name in _FIGURES or "pages" not in by_size[large]:
            figures.append(Figure(f"{name}, {sizes[1]:,} rows", "ms", ours, f"{sizes[0]:,} rows", floor))
    lists = [row for row in result["pages"].values() if "pages" in row[large]]
    slowest = max(lists, key=lambda row: float(row[large]["p50_ms"]))
    figures += [
        Figure(f"the console's lists by every filter ({len(lists)} questions), {sizes[1]:,} rows", "ms",
               [statistics.median(row[large]["p50_ms"] for row in lists)], f"{sizes[0]:,} rows",
               [statistics.median(row[small]["p50_ms"] for row in lists)]),
        Figure("the slowest of them", "ms", [slowest[large]["p50_ms"]], f"{sizes[0]:,} rows",
               [slowest[small]["p50_ms"]]),
        Figure("questions that read a whole table", "", [sum(bool(row[large]["whole"]) for row in lists)]),
    ]  # fmt: skip
    return Part(figures, result)


def _measure(sizes: Sequence[int], times: int) -> dict[str, Any]:
    """All sizes, each in a database of its own."""
    from tallystick.platform.migrate import migrate

    found: dict[str, dict[str, Any]] = {}
    filled: dict[str, float] = {}
    for size in sizes:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tallystick-bench-")))
            postgres = Postgres(folder / "pg")
            stack.callback(postgres.server.stop)
            asyncio.run(migrate(postgres.url, "public"))
            begun = time.monotonic()
            asyncio.run(fill(postgres.url, size))
            filled[str(size)] = round(time.monotonic() - begun, 1)
            made = stack.enter_context(world(postgres.url, folder))
            for name, row in asyncio.run(measure_at(postgres, made, times)).items():
                found.setdefault(name, {})[str(size)] = row
    return {"cpus": os.cpu_count(), "sizes": list(sizes), "fill_s": filled, "pages": found}


def show(result: Mapping[str, Any]) -> None:
    """The figures as a table: the figures' pages, and of the lists those that take longest; all are in the file."""
    from rich.console import Console
    from rich.table import Table

    sizes = [str(size) for size in result["sizes"]]
    table = Table(title="The console as the record grows (medians; pages of the database that the list touched)")
    table.add_column("page", no_wrap=True)
    for size in sizes:
        table.add_column(f"{int(size):,}: ms", justify="right")
        table.add_column("pages", justify="right")
    table.add_column("ratio", justify="right")
    rows = sorted(result["pages"].items(), key=lambda row: (row[0] not in _FIGURES, -row[1][sizes[-1]]["p50_ms"]))
    for name, by_size in rows[:_SHOWN]:
        cells = [
            text
            for size in sizes
            for text in (
                f"{by_size[size]['p50_ms']:.1f}",
                f"{by_size[size].get('pages', ''):,}" if "pages" in by_size[size] else "",
            )
        ]
        ratio = by_size[sizes[-1]]["p50_ms"] / by_size[sizes[0]]["p50_ms"]
        whole = ", ".join(by_size[sizes[-1]].get("whole", ()))
        table.add_row(f"{name}{f' ({whole} is read whole)' if whole else ''}", *cells, f"{ratio:.2f}")
    table.add_row(f"… and {len(rows) - _SHOWN} more questions, all quicker")
    Console(width=140).print(table)
