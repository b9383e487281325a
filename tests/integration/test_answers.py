"""Every answer of every address says to browsers what they must not do with it."""

import io
from collections.abc import Iterator
from typing import Any

import aiohttp

from system import System, token_for
from tallystick.app import create_app
from tallystick.app.door import place_of

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-permitted-cross-domain-policies": "none",
}
SOMETHING = "0193f0c2-0000-7000-8000-000000000000"


def paths(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and address that a router knows, with something in place of each parameter."""
    for route in routes:
        holder = getattr(route, "original_router", None) or getattr(route, "app", None)
        if inner := getattr(holder, "routes", None):
            yield from paths(inner, prefix + getattr(route, "path", ""))
            continue
        parts = [SOMETHING if "{" in part else part for part in (prefix + route.path).split("/")]
        for method in sorted(route.methods or {"GET"}):
            yield method, "/".join(parts)


def check(method: str, path: str, status: int, headers: Any) -> None:
    told = {name.lower(): value for name, value in headers.items()}
    where = f"{method} {path}: {status}"
    assert {name: told.get(name) for name in EVERYWHERE} == EVERYWHERE, where
    assert told["x-frame-options"] in ("DENY", "SAMEORIGIN"), where
    assert told["referrer-policy"] in ("no-referrer", "same-origin"), where
    policy = told["content-security-policy"]
    assert "default-src 'none'" in policy, where
    # Only the logo has styles of its own, and can be nothing but a picture.
    assert "unsafe" not in policy or path == "/brand/logo", where
    assert "frame-ancestors 'none'" in policy, where
    page = place_of(method, path).page
    assert told["cross-origin-opener-policy"] == ("same-origin-allow-popups" if page else "same-origin"), where
    assert told["cross-origin-resource-policy"] in ("same-origin", "cross-origin"), where
    if not path.startswith(("/assets/", "/brand/")):
        # The catalogue is everybody's.
        assert told["cache-control"] == "no-store" or (path == "/api/products" and status == 200), where
        assert told["cross-origin-resource-policy"] == "same-origin", where
    assert not any(name.startswith("access-control") for name in told), where
    assert "server" not in told, where


async def test_every_route_whether_it_lets_anybody_in_or_not(system: System) -> None:
    known = sorted(set(paths(create_app(system.settings)._api.routes)))
    assert len(known) > 120
    plain = {"Content-Type": "application/json"}
    staff = {**plain, "Authorization": f"Bearer {token_for('ida', roles=('support',))}"}
    seen = set()
    for method, path in known:
        for headers in (plain, staff) if path.startswith("/api/") else (plain,):
            url, data = system.api_url + path, b"{}" if method in ("POST", "PUT", "PATCH") else None
            async with system.http.request(method, url, headers=headers, data=data, allow_redirects=False) as answer:
                check(method, path, answer.status, answer.headers)
                seen.add(answer.status)
    assert {200, 303, 401, 403, 404, 422} <= seen


async def test_what_is_no_route_and_what_is_before_the_framework(system: System) -> None:
    large = b" " * (system.settings.request_body_max_bytes + 1)
    asked: list[tuple[str, str, bytes | None, int]] = [
        ("GET", "/", None, 404),
        ("GET", "/nowhere", None, 404),
        ("GET", "/api/nowhere", None, 404),
        ("GET", "/assets/nothing.js", None, 404),
        ("DELETE", "/api/products", None, 405),
        ("TRACE", "/console", None, 405),
        ("POST", "/api/payments/payment-intent", b"{", 401),
        ("POST", "/api/payments/payment-intent", large, 413),
        ("POST", "/billing/methods/setup", large, 413),
        ("POST", "/console/login", large, 413),
        ("POST", "/api/webhooks/stripe", b"{}", 400),
        ("POST", "/api/webhooks/stripe", b" " * (system.settings.webhook_body_max_bytes + 1), 413),
        ("GET", "/api/webhooks/stripe", None, 405),
        ("GET", "/metrics", None, 200),
        ("GET", "/internal/settle", None, 404),
        ("GET", "/healthz", None, 200),
        ("GET", "/readyz", None, 200),
        ("GET", "/api/" + "x" * 3000, None, 414),
    ]
    # A connection of its own for each: whoever sends too much is hung up on.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        for method, path, body, status in asked:
            data = io.BytesIO(body) if body else None
            async with http.request(method, system.api_url + path, data=data) as answer:
                assert answer.status == status, (method, path)
                check(method, path, answer.status, answer.headers)
