"""Tallystick inside another ASGI application, at a prefix: what a host does, and what customers and staff follow."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

import tallystick
from system import JWT_SECRET, MakeDatabase, System, free_port, running_system, serving, token_for, unique
from tallystick import create_app

PREFIX = "/billing-service"
_ADDRESSES = re.compile(r'\s(?:href|src|action|formaction)="([^"#]*)')
_MOST_PAGES = 150


async def hello(_: Request) -> Response:
    return PlainTextResponse("the host's own page")


@pytest_asyncio.fixture(scope="module")
async def mounted(make_database: MakeDatabase) -> AsyncIterator[System]:
    """A system whose only API is mounted in a host application."""
    port = free_port()
    public = f"http://127.0.0.1:{port}{PREFIX}"
    async with running_system(await make_database(), PUBLIC_URL=public) as system:
        await system.stop_api()
        service = create_app(system.settings, logs=False)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with service.running():
                yield

        host = Starlette(routes=[Route("/", hello), Mount(PREFIX, service)], lifespan=lifespan)
        async with serving(host, port):
            system.api_url = public
            endpoint = {"url": f"{public}/api/webhooks/stripe", "secret": "whsec_tests", "description": "mounted"}
            await system.sandbox("PUT", "/_sandbox/webhook_endpoints", endpoint)
            await system.sandbox("PUT", "/_sandbox/application", {"url": public})
            yield system
            await system.stop_workers()


async def follow(session: aiohttp.ClientSession, start: str) -> dict[str, str]:
    """Every page and file that links lead to from `start`, all of them under the prefix and there."""
    seen: dict[str, str] = {}
    waiting = [start]
    base = start.split(PREFIX)[0] + PREFIX
    while waiting and len(seen) < _MOST_PAGES:
        url = waiting.pop()
        if url in seen:
            continue
        async with session.get(url) as answer:
            assert answer.status == 200, (url, answer.status)
            assert str(answer.url).startswith(base), (url, answer.url)
            seen[url] = text = await answer.text()
            if answer.content_type != "text/html":
                continue
        for address in _ADDRESSES.findall(text):
            target = urljoin(url, address.replace("&amp;", "&"))
            if urlsplit(target).netloc != urlsplit(base).netloc:
                continue
            assert target.startswith(base), f"{url} leads to {target}"
            if not re.search(r"/(logout|login|many|find)\b|/billing/open/", target) and _is_read(text, address):
                waiting.append(target)
    return seen


def _is_read(page: str, address: str) -> bool:
    return f'action="{address}' not in page


async def test_a_payment_goes_through_with_its_webhooks(mounted: System) -> None:
    user = unique("ann")
    made = await mounted.pay(user=user)
    assert (made.status, made.body["status"]) == (201, "succeeded")
    await mounted.quiet()
    assert await mounted.value("SELECT count(*) FROM webhook_events WHERE source = 'webhook'") > 0
    async with mounted.http.get(mounted.api_url.removesuffix(PREFIX)) as answer:
        assert await answer.text() == "the host's own page"


async def test_a_repeated_request_is_the_same_one_wherever_it_is_mounted(mounted: System) -> None:
    """What is stored under a key names the address without the prefix, so that a move keeps the keys."""
    user, key = unique("bob"), unique("key")
    first = await mounted.pay(user=user, key=key)
    body = {"amount": 1050, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    headers = {"Authorization": f"Bearer {token_for(user, email=f'{user}@example.com')}", "Idempotency-Key": key}
    port = free_port()
    async with serving(create_app(mounted.settings, logs=False), port):
        path = f"http://127.0.0.1:{port}/api/payments/payment-intent"
        async with mounted.http.post(path, json=body, headers=headers) as answer:
            assert (await answer.json())["id"] == first.body["id"]


async def test_the_console_holds_together(mounted: System) -> None:
    await mounted.pay(user=unique("eve"))
    await mounted.pay("pm_card_chargeDeclined", user=unique("eve"))
    await mounted.quiet()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as staff:
        outside = await staff.get(f"{mounted.api_url}/console/payments", allow_redirects=False)
        assert outside.headers["location"].startswith(f"{PREFIX}/console/login?then=%2Fconsole%2Fpayments")
        token = token_for("root", email="root@example.com", roles=("admin",))
        data = {"token": token, "then": "/console/payments"}
        async with staff.post(f"{mounted.api_url}/console/login", data=data) as answer:
            assert str(answer.url) == f"{mounted.api_url}/console/payments"
        assert {cookie["path"] for cookie in jar} == {f"{PREFIX}/console"}
        seen = await follow(staff, f"{mounted.api_url}/console")
    pages = {urlsplit(url).path.removeprefix(PREFIX) for url in seen}
    assert {"/console/alerts", "/console/figures", "/console/events", "/assets/console.css"} <= pages
    assert any(re.fullmatch(r"/console/payments/[0-9a-f-]{36}", page) for page in pages)


async def test_the_billing_pages_and_checkout_hold_together(mounted: System) -> None:
    user = unique("fay")
    made = await mounted.call("POST", "/api/portal-sessions", {}, user=user)
    assert made.status == 201, made.body
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as customer:
        async with customer.get(made.body["url"]) as answer:
            assert str(answer.url) == f"{mounted.api_url}/billing"
        seen = await follow(customer, f"{mounted.api_url}/billing")
    assert f"{mounted.api_url}/billing/plans" in seen
    body = {"mode": "payment", "amount": 900, "currency": "usd", "success_url": "http://localhost/done"}
    checkout = await mounted.call("POST", "/api/checkout-sessions", body, user=user)
    assert checkout.status == 201, checkout.body
    assert checkout.body["url"].startswith(f"{mounted.api_url}/pay/")
    assert any("checkout.js" in url for url in await follow(mounted.http, checkout.body["url"]))


@pytest.mark.parametrize("path", ["/nowhere", "/api/nowhere", "/console-of-others"])
async def test_what_is_not_there_is_not_there(mounted: System, path: str) -> None:
    async with mounted.http.get(mounted.api_url + path) as answer:
        assert answer.status == 404


def test_the_example_of_the_page_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "library.md").read_text()
    example = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(example) == 1
    for name, value in {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "STRIPE_SECRET_KEY": "sk_test_example",
        "STRIPE_WEBHOOK_SECRET": "whsec_example",
        "JWT_SECRET": JWT_SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {}
    exec(compile(example[0], "library.md", "exec"), names)  # noqa: S102  # our own page
    assert [route.path for route in names["app"].routes] == [PREFIX]
    assert set(re.findall(r"`tallystick\.(\w+)", page)) <= {*tallystick.__all__, "Application"}
