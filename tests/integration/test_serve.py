"""The service around the routes: health, OpenAPI, headers, polling, the page after 3D Secure, and secrets in logs."""

import asyncio
import json
import subprocess
import sys

from system import MakeDatabase, System, running_system, unique

BASE = "/api/payments/payment-intent"


async def test_health_and_readiness(system: System) -> None:
    assert (await system.call("GET", "/healthz")).body == {"status": "ok"}
    ready = await system.call("GET", "/readyz")
    assert (ready.status, ready.body) == (200, {"status": "ready"})


async def test_not_ready_while_the_schema_is_behind(make_database: MakeDatabase) -> None:
    async with running_system(await make_database()) as system:
        await system.pool.execute("UPDATE alembic_version SET version_num = '0000'")
        ready = await system.call("GET", "/readyz")
        assert (ready.status, ready.body["failing"]) == (503, ["schema"])
        assert (await system.call("GET", "/healthz")).status == 200


async def test_every_answer_bears_its_id_and_is_not_kept(system: System) -> None:
    answer = await system.call("GET", "/api/payments/history", headers={"X-Request-Id": "from-the-caller"})
    assert answer.headers["X-Request-Id"] == "from-the-caller"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    forged = await system.call("GET", "/api/payments/history", headers={"X-Request-Id": "a b\tc"})
    assert len(forged.headers["X-Request-Id"]) == 36
    assert (await system.call("DELETE", "/api/payments/history")).code == "METHOD_NOT_ALLOWED"


async def test_openapi_names_every_route_answer_and_error(system: System) -> None:
    document = (await system.call("GET", "/api/openapi.json")).body
    assert {
        BASE,
        f"{BASE}/{{id}}",
        f"{BASE}/{{id}}/confirm",
        f"{BASE}/{{id}}/capture",
        f"{BASE}/{{id}}/cancel",
        f"{BASE}/{{id}}/refund",
        "/api/payments/history",
    } <= set(document["paths"])
    create = document["paths"][BASE]["post"]
    assert {"201", "202", "400", "401", "402", "403", "404", "409", "413", "422", "503"} <= set(create["responses"])
    assert "Problem" in document["components"]["schemas"]


async def test_the_page_after_3d_secure_says_nothing_it_does_not_know(system: System) -> None:
    async with system.http.get(f"{system.api_url}/payments/return?redirect_status=succeeded") as page:
        text = await page.text()
        assert page.status == 200
        assert "Thank you" in text
        assert "'none'" in page.headers["Content-Security-Policy"]
    async with system.http.get(f"{system.api_url}/payments/return?redirect_status=failed") as page:
        assert "not confirmed" in await page.text()


async def test_where_no_webhook_can_come_events_are_polled_once_each(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), STRIPE_EVENT_POLLING="true") as system:
        endpoints = (await system.stripe("/v1/webhook_endpoints"))["data"]
        for endpoint in endpoints:
            await system.stripe(f"/v1/webhook_endpoints/{endpoint['id']}", {"disabled": "true"})
        user = unique("polled")
        made = (await system.call("POST", BASE, {"amount": 1500}, user=user)).body
        await system.stripe(
            f"/v1/payment_intents/{made['stripe_payment_intent_id']}/confirm",
            {"payment_method": "pm_card_visa", "return_url": "https://shop.test/"},
        )
        for _ in range(200):
            if (await system.get(made["id"], user=user))["status"] == "succeeded" and system.mails_to(user):
                break
            await asyncio.sleep(0.05)
        assert [len(system.mails_to(user))] == [1]
        rows = await system.fetch("SELECT source, count(*) FROM webhook_events GROUP BY source")
        assert [row["source"] for row in rows] == ["poll"]


def test_secrets_never_reach_a_log_line() -> None:
    script = """
import structlog
from tallystick.platform.logging import configure_logging
configure_logging("info", "json", "test")
log = structlog.get_logger()
log.info("said", key="sk_test_51abcDEF", text="whsec_aGVsbG8 pi_1_secret_abc ann@example.com 4242 4242 4242 4242")
try:
    raise ValueError("postgresql://user:hunter2@host/db Bearer eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl")
except ValueError:
    log.exception("failed")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["said", "failed"]
    for secret in ("51abc", "aGVsbG8", "_secret_abc", "ann@", "4242", "hunter2", "eyJ"):
        assert secret not in done.stderr
