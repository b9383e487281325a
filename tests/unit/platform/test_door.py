"""Who may come in, by which host and scheme, from which page, and with how much of everything."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from starlette.types import Message, Receive, Scope, Send

from tallystick.app.door import place_of
from tallystick.platform.database import Database
from tallystick.platform.door import Door
from tallystick.platform.http import RequestFrame
from tallystick.platform.limits import Limits
from tallystick.platform.rate_limit import RateLimiter
from tallystick.platform.settings import Settings, load_settings

PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    "STRIPE_SECRET_KEY": "sk_test_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
    "JWT_SECRET": "x" * 32,
    "PUBLIC_URL": "https://pay.acme.test",
    "TRUSTED_PROXIES": "10.0.0.0/8",
}
BY_PROXY: dict[str, Any] = {"host": "pay.acme.test", "x_forwarded_for": "198.51.100.7", "x_forwarded_proto": "https"}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seen: Scope | None

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


@pytest_asyncio.fixture
async def nowhere() -> AsyncIterator[Database]:
    """A database that is away: each process keeps limits by itself."""
    database = await Database.connect(PRODUCTION["DATABASE_URL"])
    yield database
    await database.close()


class House:
    """The door, with an application behind it that shows what came in."""

    def __init__(self, database: Database, **changes: str) -> None:
        self.settings: Settings = load_settings(PRODUCTION | changes)
        self.limits = Limits(self.settings, RateLimiter(database))
        self._door = Door(RequestFrame(self._app, 1024, 0.05), self.settings, self.limits, place_of)
        self._seen: Scope | None = None

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._seen = scope
        if scope["path"].endswith("broken"):
            raise RuntimeError("a secret of ours")
        body = (await receive()).get("body", b"")
        status = 404 if scope["path"].endswith("missing") else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % len(body)})

    async def ask(
        self,
        path: str = "/api/products",
        method: str = "GET",
        *,
        peer: str = "10.1.2.3",
        body: bytes | None = None,
        query: bytes = b"",
        hangs: bool = False,
        **headers: Any,
    ) -> Answer:
        sent: list[Message] = []
        named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        if body is not None and "content_length" not in headers:
            named.append((b"content-length", str(len(body)).encode()))
        scope = {
            "type": "http", "method": method, "path": path, "query_string": query, "headers": named,
            "client": (peer, 1), "scheme": "http",
        }  # fmt: skip

        async def receive() -> Message:
            if hangs:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        self._seen = None
        await self._door(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], found, b"".join(part["body"] for part in sent[1:]), self._seen)


async def test_plain_http_is_turned_away_in_production_and_pages_are_sent_on(nowhere: Database) -> None:
    house = House(nowhere)
    good = await house.ask(**BY_PROXY)
    assert (good.status, good.headers["strict-transport-security"]) == (200, "max-age=31536000")
    assert good.seen is not None
    assert (good.seen["client"][0], good.seen["scheme"]) == ("198.51.100.7", "https")
    plain = BY_PROXY | {"x_forwarded_proto": "http"}
    refused = await house.ask(**plain)
    assert (refused.status, refused.code, refused.seen) == (403, "HTTPS_REQUIRED", None)
    assert "strict-transport-security" not in refused.headers
    page = await house.ask("/pay/abc def", query=b"back=1", **plain)
    assert (page.status, page.headers["location"]) == (308, "https://pay.acme.test/pay/abc%20def?back=1")
    assert (await house.ask("/billing/methods", "POST", **plain)).code == "HTTPS_REQUIRED", "a form is not sent on"
    forged = await house.ask(peer="203.0.113.5", **BY_PROXY)
    assert forged.code == "HTTPS_REQUIRED", "who is no trusted proxy tells us nothing"
    for inner in ("/healthz", "/readyz", "/metrics", "/api/webhooks/stripe"):
        assert (await house.ask(inner, host="10.1.1.1:8000")).status == 200, inner
    relaxed = House(nowhere, HTTPS_ONLY="false")
    assert (await relaxed.ask(**plain)).status == 200


async def test_only_hosts_that_are_ours_are_answered_for(nowhere: Database) -> None:
    house = House(nowhere, ALLOWED_HOSTS="api.acme.test, [2001:db8::1]", HTTPS_ONLY="false")
    for host in ("pay.acme.test", "PAY.acme.test:443", "api.acme.test.", "localhost:8000", "[2001:DB8::1]:8000"):
        assert (await house.ask(host=host)).status == 200, host
    for host in ("evil.test", "pay.acme.test.evil.test", "", "evil.test:443", "[::2]"):
        assert (await house.ask(host=host)).code == "HOST_UNKNOWN", host
    assert (await house.ask(host="pay.acme.test", x_forwarded_host="evil.test")).code == "HOST_UNKNOWN"
    by_anybody = await house.ask(peer="203.0.113.5", host="pay.acme.test", x_forwarded_host="evil.test")
    assert by_anybody.status == 200, "that header is a trusted proxy's only"
    assert (await House(nowhere, PUBLIC_URL="", HTTPS_ONLY="false").ask(host="any.test")).status == 200


async def test_pages_of_other_origins_may_ask_only_where_that_is_set(nowhere: Database) -> None:
    preflight = BY_PROXY | {"access_control_request_method": "POST", "origin": "https://shop.acme.test"}
    closed, open_ = House(nowhere), House(nowhere, CORS_ORIGINS="https://shop.acme.test")
    answer = await closed.ask(method="OPTIONS", **preflight)
    assert not any(name.startswith("access-control") for name in answer.headers)
    answer = await open_.ask("/api/payments/payment-intent", "OPTIONS", **preflight)
    assert (answer.status, answer.seen) == (204, None)
    assert answer.headers["access-control-allow-origin"] == "https://shop.acme.test"
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
    assert answer.headers["vary"] == "Origin"
    for origin in ("https://shop.acme.test.evil.test", "http://shop.acme.test", "null", "https://SHOP.acme.test"):
        for method in ("GET", "OPTIONS"):
            answer = await open_.ask(method=method, **preflight | {"origin": origin})
            assert "access-control-allow-origin" not in answer.headers, origin
            assert answer.headers["vary"] == "Origin"
    read = await open_.ask(**BY_PROXY, origin="https://shop.acme.test")
    assert read.headers["access-control-allow-origin"] == "https://shop.acme.test"
    assert "RateLimit" in read.headers["access-control-expose-headers"]
    for path in ("/api/webhooks/stripe", "/console", "/billing", "/pay/abc"):
        answer = await open_.ask(path, **BY_PROXY, origin="https://shop.acme.test")
        assert not any(name.startswith("access-control") for name in answer.headers), path
    assert "access-control-allow-credentials" not in {**read.headers, **answer.headers}
    for wrong in ("*", "https://*.acme.test", "shop.acme.test"):
        with pytest.raises(Exception, match="CORS_ORIGINS"):
            load_settings(PRODUCTION | {"CORS_ORIGINS": wrong})


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"path": "/api/" + "x" * 2048}, 414, "URI_TOO_LONG"),
        ({"query": b"a=" + b"x" * 8192}, 414, "URI_TOO_LONG"),
        ({"query": b"a=1&" * 200}, 414, "URI_TOO_LONG"),
        ({f"x_header_{number}": "1" for number in range(100)}, 431, "HEADERS_TOO_LARGE"),
        ({"x_large": "x" * 33_000}, 431, "HEADERS_TOO_LARGE"),
        ({"method": "POST", "body": b" " * 1025}, 413, "BODY_TOO_LARGE"),
        ({"method": "POST", "body": b" " * 1025, "content_length": "5"}, 413, "BODY_TOO_LARGE"),
        ({"method": "POST", "body": b"{}", "content_length": "99999"}, 413, "BODY_TOO_LARGE"),
        ({"method": "POST", "body": b"", "content_length": "5", "hangs": True}, 408, "BODY_TIMEOUT"),
        ({"method": "POST", "body": b"[" * 21 + b"]" * 21}, 400, "JSON_TOO_COMPLEX"),
        ({"method": "PUT", "body": b'{"a":' * 30 + b"1" + b"}" * 30}, 400, "JSON_TOO_COMPLEX"),
        ({"method": "POST", "body": b"[" * 30 + b'"]', "content_type": "application/problem+JSON"}, 400, "JSON_TOO_"),
    ],
)  # fmt: skip
async def test_a_request_is_bounded(nowhere: Database, asked: dict[str, Any], status: int, code: str) -> None:
    answer = await House(nowhere).ask(**{**BY_PROXY, **asked})
    assert (answer.status, answer.seen) == (status, None)
    assert answer.code.startswith(code)
    assert json.loads(answer.body)["suggested_action"]
    assert answer.headers["content-type"] == "application/problem+json"
    if status in (408, 413):
        assert answer.headers["connection"] == "close"


async def test_json_is_bounded_by_what_it_is_and_not_by_what_its_texts_hold(nowhere: Database) -> None:
    texts = json.dumps({"description": "[{" * 200 + '\\"', "flat": [[1]] * 30}).encode()
    assert (await House(nowhere).ask(method="POST", body=texts, **BY_PROXY)).status == 200
    house = House(nowhere)
    house._door._app._body_max_bytes = 60_000  # type: ignore[attr-defined]
    many = b"[" + b"1," * 5001 + b"1]"
    assert (await house.ask(method="POST", body=many, **BY_PROXY)).code == "JSON_TOO_COMPLEX"
    form = await house.ask(method="POST", body=many, content_type="application/x-www-form-urlencoded", **BY_PROXY)
    assert form.status == 200


async def test_refusals_have_their_headers_and_a_browser_is_told_in_words(nowhere: Database) -> None:
    house = House(nowhere, RATE_LIMIT_PAGES="2/60", RATE_LIMIT_PUBLIC="1/60")
    answers = [await house.ask("/billing", accept="text/html,*/*", **BY_PROXY) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"pages";q=2;w=60'
    assert answers[0].headers["ratelimit"].startswith('"pages";r=1;t=')
    assert answers[2].headers["content-type"].startswith("text/plain")
    wait_s = answers[2].headers["retry-after"]
    assert answers[2].headers["ratelimit"] == f'"pages";r=0;t={wait_s}'
    assert f"Too many requests. There is room for another request in {wait_s} s." in answers[2].body.decode()
    other = await house.ask("/billing", **BY_PROXY | {"x_forwarded_for": "198.51.100.8"})
    assert other.status == 200, "another address has a bucket of its own"
    refused = [await house.ask(**BY_PROXY) for _ in range(2)][1]
    assert (refused.status, refused.code) == (429, "RATE_LIMITED")
    told = json.loads(refused.body)
    wait_s = refused.headers["retry-after"]
    assert 0 < int(wait_s) <= 60
    assert (told["limit"], refused.headers["ratelimit"]) == ("public", f'"public";r=0;t={wait_s}')
    assert told["suggested_action"].startswith(f"Wait {wait_s} s")


async def test_whoever_guesses_links_is_not_looked_at_any_more(nowhere: Database) -> None:
    house = House(nowhere, RATE_LIMIT_BAD_TOKENS="3/60")
    statuses = [(await house.ask("/pay/missing", **BY_PROXY)).status for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    assert (await house.ask("/billing/open/good", **BY_PROXY)).status == 429, "links of all kinds count together"
    assert (await house.ask("/billing", **BY_PROXY)).status == 200, "who is signed in goes on"


async def test_a_token_that_nobody_looks_at_costs_its_address(nowhere: Database) -> None:
    house = House(nowhere, RATE_LIMIT_ADDRESS="2/3600")
    statuses = [(await house.ask("/api/nowhere", authorization="Bearer x", **BY_PROXY)).status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_webhooks_are_never_turned_away_for_being_many(nowhere: Database) -> None:
    house = House(nowhere, **{f"RATE_LIMIT_{name}": "1/3600" for name in ("PUBLIC", "MONEY", "WRITES", "ADDRESS")})
    for _ in range(200):
        answer = await house.ask("/api/webhooks/stripe", "POST", body=b"{}", **BY_PROXY)
        assert answer.status == 200
        assert "ratelimit" not in answer.headers


async def test_an_address_that_is_exempt_is_not_counted(nowhere: Database) -> None:
    house = House(nowhere, RATE_LIMIT_PUBLIC="1/3600", RATE_LIMIT_EXEMPT="198.51.100.0/24")
    assert [(await house.ask(**BY_PROXY)).status for _ in range(3)] == [200] * 3
    none = House(nowhere, RATE_LIMIT_PUBLIC="0")
    assert [(await none.ask(**BY_PROXY)).status for _ in range(3)] == [200] * 3


async def test_an_answer_about_a_bug_is_dressed_and_tells_nothing(nowhere: Database) -> None:
    answer = await House(nowhere).ask("/api/broken", **BY_PROXY)
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert b"secret of ours" not in answer.body
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["strict-transport-security"]
