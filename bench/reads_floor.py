"""The floor of `bench.reads`: the same reads with nothing around them."""

from typing import Any

__all__ = ["SEED", "run_floor"]

_PRODUCTS, _FEATURES = 20, 4

SEED = f"""
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
"""What the users of `bench.rows` have subscribed to."""

_PAYMENT = """
    SELECT p.*,
        (SELECT coalesce(json_agg(c ORDER BY c.created_at DESC), '[]') FROM charges c WHERE c.payment_id = p.id)
            AS charges,
        (SELECT coalesce(json_agg(r ORDER BY r.created_at DESC), '[]') FROM refunds r WHERE r.payment_id = p.id)
            AS refunds
    FROM payments p WHERE p.id = $1::uuid AND p.user_id = $2::uuid
"""
_HISTORY = "SELECT * FROM payments WHERE user_id = $1::uuid ORDER BY created_at DESC, id DESC LIMIT 21"
_ENTITLEMENTS = """
    SELECT g.stripe_product_id, p.name AS product_name, g.subscription_id, g.price_id, g.quantity, g.state,
        g.access_until, g.since, f.key, f.name, pf.value
    FROM access_grants g
    LEFT JOIN products p ON p.stripe_product_id = g.stripe_product_id
    LEFT JOIN product_features pf ON pf.stripe_product_id = g.stripe_product_id
    LEFT JOIN features f ON f.id = pf.feature_id
    WHERE g.user_id = $1::uuid AND g.access
"""
_PRODUCTS_PAGE = "SELECT * FROM products WHERE active ORDER BY created_at DESC, id DESC LIMIT 11"
_PRICES = "SELECT * FROM prices WHERE stripe_product_id = ANY($1) AND active"


def run_floor(port: int, url: str) -> None:
    """Serve until SIGTERM."""
    import asyncpg
    import msgspec
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    pool: dict[str, Any] = {}

    async def found(sql: str, *values: Any) -> list[dict[str, Any]]:
        if not pool:
            pool["pool"] = await asyncpg.create_pool(url, min_size=0, max_size=16, server_settings={"jit": "off"})
        async with pool["pool"].acquire() as connection:
            return [dict(row) for row in await connection.fetch(sql, *values)]

    def answer(data: Any) -> Response:
        return Response(msgspec.json.encode(data), media_type="application/json")

    async def payment(request: Request) -> Response:
        [row] = await found(_PAYMENT, request.path_params["id"], request.headers["x-user"])
        for part in ("charges", "refunds"):
            row[part] = msgspec.Raw(row[part].encode())
        return answer(row)

    async def history(request: Request) -> Response:
        page = await found(_HISTORY, request.headers["x-user"])
        return answer({"data": page[:20], "has_more": len(page) > 20})

    async def entitlements(request: Request) -> Response:
        return answer({"data": await found(_ENTITLEMENTS, request.headers["x-user"])})

    async def products(_: Request) -> Response:
        page = await found(_PRODUCTS_PAGE)
        prices = await found(_PRICES, [row["stripe_product_id"] for row in page])
        return answer({"data": [{**row, "prices": prices if row is page[0] else []} for row in page]})

    routes = [
        Route("/healthz", lambda _: Response("")),
        Route("/api/payments/payment-intent/{id}", payment),
        Route("/api/payments/history", history),
        Route("/api/entitlements", entitlements),
        Route("/api/products", products),
    ]
    uvicorn.run(
        Starlette(routes=routes), port=port, loop="uvloop", http="httptools", lifespan="off", access_log=False,
        log_level="critical",
    )  # fmt: skip
