"""Money figures: a shop whose every figure is worked out by hand, through the API, the worker and the moved clock."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from subscribing import SUBSCRIPTIONS, plan
from system import MakeDatabase, System, running_system, token_for
from tallystick.metrics.service_refresh import MetricsRefresher
from tallystick.platform.database import Database

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
