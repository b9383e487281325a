"""The processes of `bench.pages`: a whole Tallystick with something to show, the floor, and the load."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from bench.load import load
from bench.processes import free_port, running
from bench.system import SECRET

__all__ = ["Page", "World", "make_pages", "run_floor", "run_load", "staff_token", "world"]

_JWT_SECRET = "0" * 32
_STRIPE_KEY = "sk_test_bench"
_PLANS = 3
_ASSET = re.compile(r'(?:href|src)="(/[^"]+\.(?:css|js|svg)[^"]*)"')


@dataclass(frozen=True)
class Page:
    """One page: where it is, the cookie it is shown for, its bytes, and those with all that it loads from us."""

    name: str
    url: str
    cookie: str
    body: bytes
    weight: int


@dataclass(frozen=True)
class World:
    """A running system: addresses, the processes that draw the pages, and the settings of another process."""

    api: str
    sandbox: str
    pids: Mapping[str, int]
    environment: Mapping[str, str]


@contextmanager
def world(database_url: str, folder: Path) -> Iterator[World]:
    """Sandbox and API in processes of their own."""
    sandbox_port, api_port = free_port(), free_port()
    sandbox, api = f"http://127.0.0.1:{sandbox_port}", f"http://127.0.0.1:{api_port}"
    environment = {
        "ENVIRONMENT": "test",
        "DATABASE_URL": database_url,
        "STRIPE_SECRET_KEY": _STRIPE_KEY,
        "STRIPE_PUBLISHABLE_KEY": "pk_test_bench",
        "STRIPE_WEBHOOK_SECRET": SECRET.decode(),
        "STRIPE_API_BASE": sandbox,
        "PUBLIC_URL": api,
        "JWT_SECRET": _JWT_SECRET,
        "CLOCK_FILE": str(folder / "clock"),
        "LOG_LEVEL": "error",
    }
    stored = ("--database", str(folder / "sandbox.db"), "--clock-file", str(folder / "clock"))
    of_sandbox = ("tallystick.sandbox", "--port", str(sandbox_port), *stored)
    of_api = ("tallystick.cli.main", "serve", "--port", str(api_port))
    with (
        running(*of_sandbox, port=sandbox_port, health="/_sandbox/health") as first,
        running(*of_api, port=api_port, health="/healthz", **environment) as second,
    ):
        yield World(api, sandbox, {sandbox: first.pid, api: second.pid}, environment)


@contextmanager
def _worker(made: World) -> Iterator[None]:
    """A worker while there is something to show; in the measured runs it would only disturb."""
    command = [sys.executable, "-m", "tallystick.cli.main", "worker"]
    process = subprocess.Popen(command, env={**os.environ, **made.environment})
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


async def make_pages(made: World, objects: int) -> list[Page]:
    """Fill the world, the sandbox with so many objects, and tell the pages that show it."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        story = _Story(made, http)
        await story.call(f"{made.sandbox}/_sandbox/seed", {"objects": objects}, token=False)
        with _worker(made):
            await story.listen()
            price = await story.catalogue()
            subscription = await story.api("/api/subscriptions", {"price": price, "payment_method": "pm_card_visa"})
            await story.known()
        opened = await story.checkout()
        complete = await story.checkout()
        await story.pay(complete)
        portal = await story.api("/api/portal-sessions", {})
        async with http.get(portal["url"]) as answer:
            assert answer.status == 200, await answer.text()
        cookie = "; ".join(f"{item.key}={item.value}" for item in http.cookie_jar)
        billing = f"{made.api}/billing"
        addresses = {
            "checkout, opened": opened,
            "checkout, complete": complete,
            "billing home": billing,
            "plans": f"{billing}/subscriptions/{subscription['id']}/change",
            "invoice": f"{billing}/invoices/{subscription['latest_invoice_id']}",
            f"dashboard, {objects // 1000}k objects": f"{made.sandbox}/dashboard",
        }
        return [await story.page(name, url, cookie) for name, url in addresses.items()]


def staff_token() -> str:
    """A token of an administrator."""
    return _token_for("root", roles=["admin"])


def _token_for(user: str, **claims: Any) -> str:
    usual = {"iss": "tallystick", "aud": "tallystick", "sub": user, "email": f"{user}@example.com"}
    return jwt.encode({**usual, **claims, "exp": int(time.time()) + 3600}, _JWT_SECRET)


class _Story:
    """What is done by requests, as the application and Stripe.js do it."""

    def __init__(self, made: World, http: aiohttp.ClientSession) -> None:
        self._world = made
        self._http = http
        self._token = _token_for("ada")

    async def call(self, url: str, json_body: Any = None, *, token: bool = True) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if token else {}
        method = "GET" if json_body is None else "POST"
        async with self._http.request(method, url, json=json_body, headers=headers) as answer:
            body = await answer.json(content_type=None)
            assert answer.status < 300, (url, answer.status, body)
            return body

    async def api(self, path: str, json_body: Any = None) -> Any:
        return await self.call(self._world.api + path, json_body)

    async def stripe(self, path: str, **data: Any) -> Any:
        auth = aiohttp.BasicAuth(_STRIPE_KEY)
        async with self._http.post(f"{self._world.sandbox}/v1/{path}", data=data, auth=auth) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            return body

    async def listen(self) -> None:
        """Have webhooks sent to the API."""
        endpoint = {"url": f"{self._world.api}/api/webhooks/stripe", "secret": SECRET.decode()}
        async with self._http.put(f"{self._world.sandbox}/_sandbox/webhook_endpoints", json=endpoint) as answer:
            assert answer.status == 200, await answer.text()

    async def known(self) -> None:
        """Wait until the plans and the first invoice are in our record."""
        for _ in range(300):
            products, invoices = await self.api("/api/products"), await self.api("/api/invoices")
            if len(products["data"]) == _PLANS and invoices["data"] and invoices["data"][0]["status"] == "paid":
                return
            await asyncio.sleep(0.1)
        raise SystemExit("the webhooks did not arrive")

    async def catalogue(self) -> str:
        """Three monthly plans; the id of one of them."""
        for name, amount in (("Tea", "900"), ("More tea", "1900"), ("All the tea", "4900")):
            product = await self.stripe("products", name=name)
            recurring = {"recurring[interval]": "month"}
            price = await self.stripe("prices", product=product["id"], currency="usd", unit_amount=amount, **recurring)
        return str(price["id"])

    async def checkout(self) -> str:
        """The address of a new checkout session."""
        body = {"amount": 4200, "currency": "usd", "description": "A tea pot"}
        return str((await self.api("/api/checkout-sessions", body))["url"])

    async def pay(self, url: str) -> None:
        """What pressing the button does, and Stripe.js after it."""
        started = await self.call(f"{url}/start", {}, token=False)
        intent = started["client_secret"].partition("_secret_")[0]
        await self.stripe(f"payment_intents/{intent}/confirm", payment_method="pm_card_visa", return_url=url)
        for _ in range(50):
            if (await self.call(f"{url}/state?ask=1", token=False))["status"] == "complete":
                return
            await asyncio.sleep(0.1)
        raise SystemExit("the checkout session was not completed")

    async def page(self, name: str, url: str, cookie: str) -> Page:
        """The page as it is now, weighed with the stylesheets, scripts and pictures that it has from us."""
        origin = "/".join(url.split("/")[:3])
        async with self._http.get(url, allow_redirects=False) as answer:
            body = await answer.read()
            assert answer.status == 200, (url, answer.status)
        weight = len(body)
        for asset in set(_ASSET.findall(body.decode())):
            async with self._http.get(origin + asset) as answer:
                assert answer.status == 200, asset
                weight += len(await answer.read())
        return Page(name, url, cookie if origin == self._world.api else "", body, weight)


def run_floor(port: int, folder: str) -> None:
    """Serve the very bytes of the pages from memory, by their number, until SIGTERM."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route

    bodies = {file.name: file.read_bytes() for file in Path(folder).iterdir()}

    async def page(request: Request) -> Response:
        return HTMLResponse(bodies[request.path_params["name"]])

    routes = [Route("/healthz", lambda _: Response("")), Route("/{name}", page)]
    uvicorn.run(
        Starlette(routes=routes), port=port, loop="uvloop", http="httptools", lifespan="off", access_log=False,
        log_level="critical",
    )  # fmt: skip


def run_load(url: str, cookie: str, connections: int, requests: int) -> dict[str, Any]:
    """Ask for one page again and again."""
    import uvloop

    _, _, host, path = url.split("/", 3)
    head = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench/1.0\r\nAccept: text/html\r\n"
    head += f"Cookie: {cookie}\r\n\r\n" if cookie else "\r\n"
    line = [head.encode()] * requests
    return uvloop.run(load(int(host.rpartition(":")[2]), connections, line))
