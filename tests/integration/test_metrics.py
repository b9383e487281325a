"""Money figures: a shop whose every figure is worked out by hand, through the API, the worker and the moved clock."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from documented import samples
from subscribing import SUBSCRIPTIONS, plan
from system import MakeDatabase, System, running_system, token_for
from tallystick.metrics.service_refresh import MetricsRefresher
from tallystick.platform.database import Database
from tallystick.platform.settings import load_settings

METRICS = "/api/metrics"
STAFF: dict[str, Any] = {"user": "sue", "roles": ("support",)}
ADMIN: dict[str, Any] = {"user": "root", "roles": ("admin",)}


@pytest_asyncio.fixture(scope="module")
async def shop(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database(), DEFAULT_TRIAL_DAYS="0", METRICS_TIME_ZONE="Asia/Tokyo") as system:
        yield system


async def figures(system: System, path: str = "", **query: str) -> Any:
    """What the API answers once all that changed is worked out."""
    await system.quiet()
    database = await Database.connect(system.database_url)
    try:
        while (await system.value("SELECT count(*) FROM metrics_stale")) > 0:
            await MetricsRefresher(database, system.settings).refresh()
    finally:
        await database.close()
    question = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await system.call("GET", f"{METRICS}{path}?{question}", **STAFF)
    assert answer.status == 200, answer.body
    return answer.body


async def subscribe(system: System, user: str, price: str, **fields: Any) -> str:
    body = {"price": price, "payment_method": "pm_card_visa", **fields}
    answer = await system.call("POST", SUBSCRIPTIONS, body, user=user)
    assert answer.status == 201, answer.body
    return str(answer.body["id"])


def days_of(report: Any, name: str) -> list[Any]:
    """What is not nothing."""
    return [day[name] for day in report["data"] if day[name]]


async def test_a_shop_worked_out_by_hand(shop: System) -> None:
    system = shop
    small, large, yearly = (
        await plan(system, 1500),
        await plan(system, 4500),
        await plan(system, 60000, interval="year"),
    )
    start = system.now()
    await subscribe(system, "ann", small, quantity=2)
    await subscribe(system, "bob", yearly)
    trying = await subscribe(system, "cid", large, trial_period_days=5)
    first = await figures(system)
    # 2 × 15 a month, 600 a year; the trial does not count.
    assert (first["currency"], first["mrr"], first["subscribers"], first["arpu"]) == ("usd", 8000, 2, 4000)
    assert first["trials"]["started"] == 1
    assert (first["money"]["charged"], first["money"]["charges"]) == (63000, 2)

    await system.advance("6d")
    assert (await figures(system))["mrr"] == 12500
    changed = await system.call("PUT", f"{SUBSCRIPTIONS}/{trying}", {"quantity": 2}, user="cid")
    assert changed.status == 200, changed.body
    ann = (await system.call("GET", SUBSCRIPTIONS, user="ann")).body["data"][0]["id"]
    ended = await system.call("DELETE", f"{SUBSCRIPTIONS}/{ann}", {"when": "now"}, user="ann")
    assert ended.status == 200, ended.body
    declined = await system.pay("pm_card_visa_chargeDeclined", user="dan", amount=700)
    assert declined.status == 402, declined.body
    paid = await system.pay(user="dan", amount=1000)
    refunded = await system.call(
        "POST", f"/api/payments/payment-intent/{paid.body['id']}/refund", {"amount": 300}, user="dan"
    )
    assert refunded.status == 200, refunded.body
    await system.advance("4d")
    await subscribe(system, "ann", small)

    report = await figures(system, "/mrr")
    assert days_of(report, "mrr")[-1] == 5000 + 9000 + 1500
    assert days_of(report, "new") == [8000, 4500]
    assert (days_of(report, "expansion"), days_of(report, "churn")) == ([4500], [-3000])
    assert days_of(report, "reactivation") == [1500]
    for before, day in zip(report["data"], report["data"][1:], strict=False):
        moved = sum(day[name] for name in ("new", "reactivation", "expansion", "contraction", "churn"))
        assert day["mrr"] - before["mrr"] == moved
        assert day["currency_effect"] == 0

    now = await figures(system)
    assert (now["subscribers"], now["trials"]["ended"], now["trials"]["converted"]) == (3, 1, 1)
    # One churned; nobody was there 30 days ago, and three came.
    assert now["churn_rate"] == pytest.approx(1 / 3, abs=1e-6)
    assert now["ltv"] == round(round(15500 / 3, 9) / 0.333333)
    money = now["money"]
    assert (money["refunded"], money["declines"]) == (300, 1)
    assert money["net"] == money["charged"] - 300
    # Any past day is as it was.
    day = (start + timedelta(hours=9)).date().isoformat()
    assert (await figures(system, "", day=day))["mrr"] == 8000
    subscribers = await figures(system, "/subscribers")
    assert (sum(days_of(subscribers, "new")), sum(days_of(subscribers, "churned"))) == (3, 1)
    assert days_of(subscribers, "active")[-1] == 3
    by_month = await figures(system, "/mrr", by="month")
    assert by_month["data"][-1]["mrr"] == 15500


async def test_other_currencies_are_converted_by_the_rates_of_their_days(shop: System) -> None:
    system = shop
    today = (await figures(system))["day"]
    yen = await plan(system, 3000, currency="jpy")
    await subscribe(system, "eve", yen)
    found = await figures(system)
    assert found["without_rate"] == ["jpy"]
    before = found["mrr"]
    put = await system.call("PUT", f"{METRICS}/rates/{today}", {"rates": {"jpy": "0.0065"}}, **ADMIN)
    assert (put.status, put.body["base"]) == (200, "usd")
    found = await figures(system)
    # ¥3,000 are $19.50.
    assert (found["mrr"], found["without_rate"]) == (before + 1950, [])
    assert (await figures(system, "", currency="jpy"))["mrr"] == 3000
    assert (await figures(system, "", currency="usd"))["mrr"] == before
    await system.advance("2d")
    tomorrow = (await figures(system))["day"]
    await system.call("PUT", f"{METRICS}/rates/{tomorrow}", {"rates": {"jpy": "0.0070"}}, **ADMIN)
    last = (await figures(system, "/mrr"))["data"][-1]
    assert (last["mrr"], last["currency_effect"]) == (before + 2100, 150)


async def test_for_staff_and_as_csv(shop: System) -> None:
    system = shop
    assert (await system.call("GET", METRICS, user="ann")).code == "FORBIDDEN"
    assert (await system.call("PUT", f"{METRICS}/rates/2026-01-01", {"rates": {"eur": "1.1"}}, **STAFF)).status == 403
    for rates, code in (
        ({"usd": "1"}, "RATE_OF_BASE"), ({"xxx": "1"}, "CURRENCY_UNKNOWN"), ({"eur": "0"}, "RATE_INVALID"),
        ({"eur": "1e9"}, "RATE_INVALID"), ({"eur": "-1"}, "RATE_INVALID"),
    ):  # fmt: skip
        answer = await system.call("PUT", f"{METRICS}/rates/2026-01-01", {"rates": rates}, **ADMIN)
        assert (answer.status, answer.code) == (422, code)
    for query, code in (
        ("start=2026-02-02&end=2026-02-01", "SPAN_INVALID"), ("start=2015-01-01&end=2026-02-01", "SPAN_INVALID"),
        ("start=2020-01-01&end=2026-02-01&by=day", "SPAN_INVALID"), ("currency=zzz", "CURRENCY_UNKNOWN"),
    ):  # fmt: skip
        answer = await system.call("GET", f"{METRICS}/mrr?{query}", **STAFF)
        assert (answer.status, answer.code) == (422, code), query
    token = {"Authorization": f"Bearer {token_for('sue', roles=('support',))}"}
    found = await system.http.get(f"{system.api_url}{METRICS}/money?format=csv&by=month", headers=token)
    rows = list(csv.DictReader(io.StringIO(await found.text())))
    assert found.headers["Content-Disposition"] == 'attachment; filename="money-month.csv"'
    assert rows[-1]["currency"] == "usd"
    assert int(rows[-1]["net"]) == int(rows[-1]["charged"]) - int(rows[-1]["refunded"]) - int(rows[-1]["disputed"])


# What comes late


AT = datetime(2026, 1, 1, 20, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", name="own")
async def own_database(make_database: MakeDatabase) -> AsyncIterator[Database]:
    database = await Database.connect(await make_database(), size=3)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def database(own: Database) -> Database:
    """With nothing in it and nobody at it."""
    async with own.connection() as connection:
        await connection.execute(
            "TRUNCATE subscriptions, prices, discounts, coupons, invoices, metrics_stale, metrics_days, mrr_movements,"
            " trials CASCADE"
        )
    return own


def refresher(database: Database, **settings: str) -> MetricsRefresher:
    needed = {
        "DATABASE_URL": "postgresql://nowhere",
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_WEBHOOK_SECRET": "whsec_x",
        "JWT_SECRET": "0" * 40,
    }
    return MetricsRefresher(database, load_settings(needed | settings))


def item(price: str, quantity: int | None = 1, unit_amount: int | None = 1500) -> dict[str, Any]:
    """As a subscription's history remembers it."""
    return {
        "price": price, "product": "prod_1", "quantity": quantity, "unit_amount": unit_amount,
        "currency": "usd", "interval": "month", "interval_count": 1,
    }  # fmt: skip


async def change(
    connection: Any, subscription: UUID, day: int, *items: dict[str, Any], customer: str = "cus_1", **more: Any
) -> None:
    """A row of history, and the subscription where it is the first."""
    at = AT + timedelta(days=day)
    await connection.execute(
        """
        INSERT INTO subscriptions (id, stripe_customer_id, status, created_at, updated_at)
        VALUES ($1, $2, 'active', $3, $3) ON CONFLICT (id) DO NOTHING
        """,
        subscription,
        customer,
        at,
    )
    await connection.execute(
        """
        INSERT INTO subscription_history
            (id, subscription_id, action, new_values, performed_at, business_key, actor, cause)
        VALUES (gen_random_uuid(), $1, 'updated', $2, $3, gen_random_uuid()::text, 'stripe', 'stripe')
        """,
        subscription,
        {"status": "active", "items": list(items), **more},
        at,
    )


async def price(connection: Any, stripe_id: str, unit_amount: int | None, **fields: Any) -> None:
    """A monthly price comes into the mirror, or changes there."""
    values = {"recurring": {"interval": "month", "interval_count": 1}, "tiers_mode": None, "tiers": None, **fields}
    await connection.execute(
        """
        INSERT INTO prices (id, stripe_price_id, stripe_product_id, active, currency, type, billing_scheme, unit_amount,
            recurring, tiers_mode, tiers, state_at, created_at, updated_at)
        VALUES (gen_random_uuid(), $1, 'prod_1', true, 'usd', 'recurring', 'per_unit', $2, $3, $4, $5, $6, $6, $6)
        ON CONFLICT (stripe_price_id) DO UPDATE SET unit_amount = excluded.unit_amount, recurring = excluded.recurring,
            tiers_mode = excluded.tiers_mode, tiers = excluded.tiers, nickname = 'seen again'
        """,
        stripe_id,
        unit_amount,
        values["recurring"],
        values["tiers_mode"],
        values["tiers"],
        AT,
    )


async def failed_invoice(connection: Any, stripe_id: str, at: datetime) -> None:
    await connection.execute(
        """
        INSERT INTO invoices (id, stripe_invoice_id, currency, subtotal, total, amount_due, status, first_failed_at,
            state_at, created_at, updated_at)
        VALUES (gen_random_uuid(), $1, 'usd', 5000, 5000, 5000, 'open', $2, $2, $2, $2)
        """,
        stripe_id,
        at,
    )


async def days(database: Database, *, customers: bool = False) -> list[tuple[str, str, int, int]]:
    """What the days show: day, kind, amount and how many."""
    async with database.connection() as connection:
        rows = await connection.fetch(
            """
            SELECT day::text, kind, amount, count FROM metrics_days
            WHERE (amount <> 0 OR count <> 0) AND (currency <> '' OR $1) ORDER BY day, kind
            """,
            customers,
        )
    return [tuple(row) for row in rows]


async def marked(database: Database) -> list[UUID]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT subscription_id FROM metrics_stale ORDER BY seq")
    return [row[0] for row in rows]


async def test_a_price_that_comes_after_its_subscription_is_counted(database: Database) -> None:
    one, other = uuid4(), uuid4()
    async with database.transaction() as tx:
        await change(tx, one, 0, item("price_use", None, 10), item("price_tiers", 7, None))
        # Only its history remembers the price that it had.
        await change(tx, one, 5, item("price_plain"))
        await change(tx, other, 0, item("price_plain"), customer="cus_2")
    await refresher(database).refresh()
    assert await days(database) == [("2026-01-01", "new", 1510, 2), ("2026-01-06", "expansion", 1490, 1)]
    tiered = {"tiers_mode": "volume", "tiers": [{"up_to": None, "unit_amount": 1000}]}
    async with database.transaction() as tx:
        await price(tx, "price_use", 10, recurring={"interval": "month", "interval_count": 1, "usage_type": "metered"})
        await price(tx, "price_tiers", None, tiers_mode="volume")
        await price(tx, "price_of_nobody", 100)
    assert await marked(database) == [one, one]
    await refresher(database).refresh()
    assert await days(database) == [("2026-01-01", "new", 1500, 1), ("2026-01-06", "new", 1500, 1)]
    async with database.transaction() as tx:
        await price(tx, "price_tiers", None, **tiered)
    await refresher(database).refresh()
    assert await days(database) == [("2026-01-01", "new", 8500, 2), ("2026-01-06", "contraction", -5500, 1)]
    async with database.transaction() as tx:
        await price(tx, "price_tiers", None, **tiered)
    assert await marked(database) == []


async def test_a_coupon_that_comes_after_its_discount_is_counted(database: Database) -> None:
    async with database.transaction() as tx:
        await change(tx, uuid4(), 0, item("price_plain"))
        await tx.execute(
            """
            INSERT INTO discounts (id, stripe_discount_id, stripe_coupon_id, stripe_customer_id, start_at, state_at,
                created_at, updated_at)
            VALUES (gen_random_uuid(), 'di_1', 'HALF', 'cus_1', $1, $1, $1, $1)
            """,
            AT - timedelta(days=1),
        )
    await refresher(database).refresh()
    assert await days(database) == [("2026-01-01", "new", 1500, 1)]
    coupon = """
        INSERT INTO coupons (id, stripe_coupon_id, percent_off, duration, valid, state_at, created_at, updated_at)
        VALUES (gen_random_uuid(), $1, '50', 'forever', true, $2, $2, $2)
        ON CONFLICT (stripe_coupon_id) DO UPDATE SET times_redeemed = 1
    """
    async with database.transaction() as tx:
        await tx.execute(coupon, "HALF", AT)
        await tx.execute(coupon, "OF_NOBODY", AT)
    await refresher(database).refresh()
    assert await days(database) == [("2026-01-01", "new", 750, 1)]
    async with database.transaction() as tx:
        await tx.execute(coupon, "HALF", AT)
    assert await marked(database) == []


async def test_a_price_and_a_subscription_that_come_at_once_do_not_miss_each_other(database: Database) -> None:
    subscription = uuid4()
    async with database.transaction() as first:
        await price(first, "price_1", 900)
        async with database.transaction() as second:
            await change(second, subscription, 0, item("price_1", 1, None))
        assert await marked(database) == [subscription]
        assert await refresher(database).refresh() == 0
    assert await refresher(database).refresh() == 1
    assert await days(database) == [("2026-01-01", "new", 900, 1)]


async def test_a_failure_that_turns_out_to_be_earlier_leaves_the_day_it_was_on(database: Database) -> None:
    async with database.transaction() as tx:
        await failed_invoice(tx, "in_1", AT + timedelta(days=3))
    await refresher(database).refresh()
    async with database.transaction() as tx:
        await tx.execute("UPDATE invoices SET first_failed_at = $1", AT)
    await refresher(database).refresh()
    assert await days(database) == [("2026-01-01", "failed", 5000, 1)]
    async with database.transaction() as tx:
        await tx.execute("UPDATE invoices SET number = 'A-1'")
    assert len(await marked(database)) == 1


async def test_after_a_change_of_settings_all_is_worked_out_anew(database: Database) -> None:
    """By the statements of docs/metrics.md, which says what stays wrong without them."""
    async with database.transaction() as tx:
        await failed_invoice(tx, "in_1", AT)
        await change(tx, uuid4(), 0, item("price_1"))
    await refresher(database).refresh()
    tokyo = refresher(database, METRICS_TIME_ZONE="Asia/Tokyo")
    async with database.transaction() as tx:
        await failed_invoice(tx, "in_2", AT + timedelta(hours=5))
        await price(tx, "price_1", 3000)
    await tokyo.refresh()
    assert await days(database) == [
        ("2026-01-01", "failed", 5000, 1), ("2026-01-01", "new", 1500, 1),
        ("2026-01-02", "failed", 10000, 2), ("2026-01-02", "new", 1500, 0),
    ]  # fmt: skip
    [anew] = samples("docs/metrics.md", "sql")
    async with database.connection() as connection:
        await connection.execute(anew)
    await tokyo.refresh()
    async with database.connection() as connection:
        movements = await connection.fetchval("SELECT count(*) FROM mrr_movements WHERE currency <> ''")
    assert movements == 1
    assert await days(database, customers=True) == [
        ("2026-01-02", "failed", 10000, 2), ("2026-01-02", "new", 0, 1), ("2026-01-02", "new", 3000, 1),
    ]  # fmt: skip
