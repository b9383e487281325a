"""The processes of `bench.reads`: what is read, the server under test, the floor, and the load."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import asyncpg
import jwt

from bench.ingest_parts import Client, load, settings_for

__all__ = ["READS", "Reader", "run_floor", "run_load", "run_ours", "seed"]

READS = {"entitlements": "GET /api/entitlements", "products": "GET /api/products"}
_USERS, _ASKING, _PRODUCTS, _FEATURES = 20_000, 300, 20, 4

_SEED = f"""
INSERT INTO users (id, external_id, created_at, updated_at)
    SELECT gen_random_uuid(), 'user-' || n, now(), now() FROM generate_series(1, {_USERS}) n;
INSERT INTO products (id, stripe_product_id, name, active, deleted, images, features, metadata, state_at, created_at,
        updated_at)
    SELECT gen_random_uuid(), 'prod_' || n, 'Plan ' || n, true, false, '[]', '[]', '{{}}', now(),
        now() - n * interval '1 day', now()
    FROM generate_series(1, {_PRODUCTS}) n;
INSERT INTO prices (id, stripe_price_id, stripe_product_id, active, deleted, currency, type, billing_scheme,
        unit_amount, recurring, metadata, state_at, created_at, updated_at)
    SELECT gen_random_uuid(), 'price_' || n || '_' || c, 'prod_' || n, true, false, c, 'recurring', 'per_unit', n * 500,
        '{{"interval": "month", "interval_count": 1}}', '{{}}', now(), now(), now()
    FROM generate_series(1, {_PRODUCTS}) n, unnest(ARRAY['usd', 'eur']) c;
INSERT INTO features (id, key, name, created_at, updated_at)
    SELECT gen_random_uuid(), 'feature_' || n, 'Feature ' || n, now(), now() FROM generate_series(1, {_FEATURES}) n;
INSERT INTO product_features (stripe_product_id, feature_id, value)
    SELECT stripe_product_id, features.id, '10' FROM products, features;
INSERT INTO subscriptions (id, stripe_subscription_id, user_id, status, created_at, updated_at)
    SELECT gen_random_uuid(), 'sub_' || external_id, id, 'active', now(), now() FROM users;
INSERT INTO access_grants (subscription_id, stripe_product_id, user_id, price_id, quantity, state, access, since,
        changes, updated_at)
    SELECT id, 'prod_' || 1 + abs(hashtext(stripe_subscription_id)) % {_PRODUCTS}, user_id, 'price_1_usd', 1, 'active',
        true, now(), 1, now()
    FROM subscriptions;
ANALYZE;
"""

_FLOOR_ENTITLEMENTS = """
    SELECT g.stripe_product_id, p.name AS product_name, g.subscription_id, g.price_id, g.quantity, g.state,
        g.access_until, g.since, f.key, f.name, pf.value
    FROM users u
    JOIN access_grants g ON g.user_id = u.id AND g.access
    LEFT JOIN products p ON p.stripe_product_id = g.stripe_product_id
    LEFT JOIN product_features pf ON pf.stripe_product_id = g.stripe_product_id
    LEFT JOIN features f ON f.id = pf.feature_id
    WHERE u.external_id = $1
"""


async def seed(url: str) -> None:
    """Users, each with a subscription to one of a few products."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_SEED)
    finally:
        await connection.close()


def _serve(app: Any, port: int, *, lifespan: Literal["on", "off"]) -> None:
    import uvicorn

    uvicorn.run(
        app, port=port, loop="uvloop", http="httptools", lifespan=lifespan, access_log=False, log_level="critical"
    )


def run_ours(port: int, url: str) -> None:
    """Serve the API until SIGTERM."""
    from tallystick.app import create_app

    # A log of its own costs more than what is measured; in production it is on.
    _serve(create_app(settings_for(url).model_copy(update={"log_level": "error"})), port, lifespan="on")


def run_floor(port: int, url: str) -> None:
    """Serve the same reads with nothing around them, until SIGTERM."""
    import msgspec
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    pool: dict[str, Any] = {}

    async def rows(sql: str, *values: Any) -> list[dict[str, Any]]:
        if not pool:
            pool["pool"] = await asyncpg.create_pool(url, min_size=0, max_size=16, server_settings={"jit": "off"})
        async with pool["pool"].acquire() as connection:
            return [dict(row) for row in await connection.fetch(sql, *values)]

    def answer(data: Any) -> Response:
        content = msgspec.json.encode({"data": data}, enc_hook=str)
        return Response(content, media_type="application/json")

    async def entitlements(request: Request) -> Response:
        return answer(await rows(_FLOOR_ENTITLEMENTS, request.headers["x-user"]))

    async def products(_: Request) -> Response:
        found = await rows("SELECT * FROM products WHERE active ORDER BY created_at DESC, id DESC LIMIT 11")
        ids = [row["stripe_product_id"] for row in found]
        prices = await rows("SELECT * FROM prices WHERE stripe_product_id = ANY($1) AND active", ids)
        return answer([{**row, "prices": prices} for row in found[:1]] + found[1:])

    routes = [
        Route("/healthz", lambda _: Response("")),
        Route("/api/entitlements", entitlements),
        Route("/api/products", products),
    ]
    _serve(Starlette(routes=routes), port, lifespan="off")


class Reader(Client):
    """A client that reads answers of any shape."""

    def is_whole(self, head: bytes, body: bytes) -> bool:
        _, _, length = head.lower().partition(b"content-length: ")
        return len(body) >= int(length.partition(b"\r\n")[0])


def run_load(what: str, kind: str, port: int, connections: int, requests: int) -> None:
    """Send `requests` over `connections`, by some hundred users in turn."""
    import uvloop

    print(json.dumps(asdict(uvloop.run(load(port, connections, _requests(what, kind, requests), Reader)))))


def _requests(what: str, kind: str, requests: int) -> Sequence[bytes]:
    dice = random.Random(what)  # no secret
    users = [f"user-{number}" for number in dice.sample(range(1, _USERS), _ASKING)]
    heads = [_head(what, kind, user) for user in users]
    return [heads[number % _ASKING] for number in range(requests)]


def _head(what: str, kind: str, user: str) -> bytes:
    path = READS[what].removeprefix("GET ")
    who = f"X-User: {user}\r\n"
    if kind == "ours":
        claims = {"iss": "tallystick", "aud": "tallystick", "sub": user, "exp": int(time.time()) + 3600}
        who = f"Authorization: Bearer {jwt.encode(claims, '0' * 32)}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench/1.0\r\n{who}\r\n".encode()
