"""`/metrics`: traffic whose outcomes are known, and every figure worked out by hand."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from running_dev import RunningDev
from scraping import Scrape, scrape
from system import WEBHOOK_SECRET, MakeDatabase, System, free_port, running_system, settings_for
from tallystick.app import create_app
from tallystick.cli.supervisor import empty_folder
from tallystick.core.clock import SystemClock
from tallystick.metrics import exposition
from tallystick.metrics.service_alerts import AlertKeeper
from tallystick.metrics.service_refresh import MetricsRefresher
from tallystick.platform.database import Database
from tallystick.stripe_gateway.signatures import sign

pytestmark = pytest.mark.timeout(120)

PORT = free_port()


@pytest_asyncio.fixture(scope="module")
async def shop(make_database: MakeDatabase) -> AsyncIterator[System]:
    with pytest.MonkeyPatch.context() as patch:
        # What the database tells is not kept for a while, as it is elsewhere.
        patch.setattr(exposition, "_FRESH_S", 0.0)
        async with running_system(await make_database(), WEBHOOK_MAX_RETRIES="2", METRICS_PORT=str(PORT)) as system:
            yield system


async def send(system: System, event: dict[str, Any], secret: str = WEBHOOK_SECRET) -> int:
    """A webhook as Stripe sends it."""
    body = json.dumps(event).encode()
    headers = {"Stripe-Signature": sign(body, secret.encode(), int(time.time()))}
    async with system.http.post(f"{system.api_url}/api/webhooks/stripe", data=body, headers=headers) as response:
        return response.status


def event(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"evt_by_hand_{number}",
        "object": "event",
        "api_version": "2023-10-16",
        "created": int(time.time()),
        "data": {"object": {"id": f"obj_{number}", "object": kind.partition(".")[0], **fields}},
        "livemode": False,
        "type": kind,
    }


async def worked_out(system: System) -> Scrape:
    """A scrape when all is applied and summed up."""
    await system.quiet()
    database = await Database.connect(system.database_url)
    try:
        while await system.value("SELECT count(*) FROM metrics_stale"):
            await MetricsRefresher(database, system.settings).refresh()
    finally:
        await database.close()
    return await scrape(system)


async def test_every_figure_is_the_one_worked_out_by_hand(shop: System) -> None:
    system = shop
    before = await worked_out(system)

    paid = [await system.pay(amount=1050) for _ in range(2)]
    paid.append(await system.pay(amount=2000, currency="eur"))
    assert [answer.status for answer in paid] == [201] * 3
    for reason in ("", "", "InsufficientFunds"):
        assert (await system.pay(f"pm_card_visa_chargeDeclined{reason}")).status == 402
    refund = {"amount": 300}
    path = f"/api/payments/payment-intent/{paid[0].body['id']}/refund"
    # Stripe turns one away for there being too many, takes the next, and refuses the third.
    await system.fault(target="api", kind="status", status=429, method="POST", path="/v1/refunds", times=1)
    assert (await system.call("POST", path, refund)).status == 503
    assert (await system.call("POST", path, refund)).status == 200
    for address in ("/nothing/1", "/nothing/2", "/nothing/3"):
        async with system.http.get(system.api_url + address) as response:
            assert response.status == 404
    await system.fault(target="api", kind="status", status=400, method="POST", path="/v1/refunds", times=1)
    assert (await system.call("POST", path, refund)).status in (400, 422, 500, 502)
    # A customer made and named, three events for each payment, four for the refund, the last of them seconds later.
    stripes = 2 + 6 * 3 + 4
    ends = time.monotonic() + 20
    while await system.value("SELECT count(*) FROM webhook_events") != stripes:
        assert time.monotonic() < ends, "all events come"
        await asyncio.sleep(0.1)

    # One webhook twice, two forged ones, one that is none, one whose handler fails until it is given up.
    twice = event(1, "tallystick.unheard_of")
    assert [await send(system, twice), await send(system, twice)] == [200, 200]
    assert [await send(system, twice, "whsec_wrong") for _ in range(2)] == [400, 400]
    async with system.http.get(f"{system.api_url}/api/webhooks/stripe") as response:
        assert response.status == 405
    broken = event(2, "charge.succeeded", amount="much")
    assert await send(system, broken) == 200
    after = await worked_out(system)
    grown = after.since(before)

    create, refunds = "/api/payments/payment-intent", "/api/payments/payment-intent/{id}/refund"
    requests = "tallystick_http_requests_total"
    assert grown.value(requests, route=create, status="201") == 3
    assert grown.value(requests, route=create, status="402") == 3
    assert grown.value(requests, route=refunds) == 3
    assert grown.value(requests, route=refunds, status="503") == 1
    assert grown.value("tallystick_payment_request_errors_total") == 1
    assert grown.value(requests, route="unknown", status="404") == 3
    assert grown.value("tallystick_http_request_duration_seconds_count") == grown.value(requests) == 12

    received = "tallystick_webhooks_received_total"
    assert grown.value(received, outcome="accepted") == stripes + 3
    assert grown.value("tallystick_webhook_accept_duration_seconds_count") == stripes + 3
    assert (grown.value(received, outcome="unsigned"), grown.value(received, outcome="invalid")) == (2, 1)
    assert grown.value(received, outcome="unavailable") == 0
    applied = "tallystick_events_applied_total"
    assert grown.value(applied, outcome="retried") == 2
    assert grown.value(applied, outcome="dead") == 1
    assert grown.value(applied, outcome="unhandled") == 1
    assert grown.value(applied, outcome="processed") == stripes
    for since in ("created", "received"):
        assert grown.value("tallystick_event_apply_delay_seconds_count", since=since) == stripes + 1
    assert after.value("tallystick_events_last_hour") == stripes + 2
    assert after.value("tallystick_events_retried_last_hour") == 1
    assert after.value("tallystick_queue_dead", queue="events") == 1

    calls = "tallystick_stripe_requests_total"
    intents = {"resource": "/v1/payment_intents", "method": "post"}
    assert grown.value(calls, **intents, outcome="done") == 3
    assert grown.value(calls, **intents, outcome="declined") == 3
    assert grown.value(calls, resource="/v1/refunds", outcome="done") == 1
    assert grown.value(calls, resource="/v1/refunds", outcome="unavailable") == 1
    assert grown.value(calls, resource="/v1/refunds", outcome="rejected") == 1
    assert grown.value("tallystick_stripe_rate_limited_total") == 1
    assert grown.value("tallystick_stripe_request_duration_seconds_count") == grown.value(calls)

    assert after.value("tallystick_charges_last_hour", outcome="succeeded") == 3
    assert after.value("tallystick_charges_last_hour", outcome="declined") == 3
    charges = "tallystick_charges_total"
    assert after.value(charges, outcome="succeeded", currency="usd") == 2
    assert after.value(charges, outcome="succeeded", currency="eur") == 1
    assert after.value(charges, outcome="declined", currency="usd") == after.value(charges, outcome="declined") == 3
    assert after.value("tallystick_declines_total", code="generic_decline", currency="usd") == 2
    assert after.value("tallystick_declines_total", code="insufficient_funds", currency="usd") == 1
    assert after.value("tallystick_volume", kind="charged", currency="usd") == 21
    assert after.value("tallystick_volume", kind="charged", currency="eur") == 20
    assert after.value("tallystick_volume", kind="refunded", currency="usd") == 3

    mails = "tallystick_mails_total"
    assert grown.value(mails, outcome="sent") == len(system.mails)
    assert grown.value(mails, template="payment_confirmation", outcome="sent") == 3
    assert after.value("tallystick_up") == 1
    assert after.value("tallystick_database_own_connections", program="worker") > 0


async def test_labels_are_few_and_tell_nobody_anything(shop: System) -> None:
    before = await scrape(shop)
    for number in range(30):
        path = f"/api/payments/payment-intent/{number:08}-0000-7000-8000-000000000000"
        assert (await shop.call("GET", path)).status == 404
        async with shop.http.request(f"X{number}", f"{shop.api_url}/no/{number}?email=ann@example.com"):
            pass
    after = await scrape(shop)
    fresh = after.labels("tallystick_http_requests_total") - before.labels("tallystick_http_requests_total")
    assert len(fresh) <= 3, fresh
    for secret in ("@", "sk_test", "whsec", r"\bpi_", r"\bcus_", r"\bch_", r"\bevt_", r"\bpm_", "-7000-"):
        assert not re.search(secret, after.text), secret


async def test_promtool_finds_nothing_to_say(shop: System) -> None:
    beside = Path(sys.executable).with_name("promtool")
    promtool = str(beside) if beside.exists() else shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not there: scripts/bootstrap.sh test fetches it on Debian; or install Prometheus")
    text = (await scrape(shop)).text
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


async def test_a_worker_serves_the_same(shop: System) -> None:
    async with shop.http.get(f"http://127.0.0.1:{PORT}/metrics") as response:
        assert response.status == 200
        assert Scrape(await response.text()).names() == (await scrape(shop)).names()


async def test_in_production_it_is_closed_unless_there_is_a_token(shop: System) -> None:
    production = {
        "ENVIRONMENT": "production",
        "STRIPE_SECRET_KEY": "sk_live_x",
        "STRIPE_PUBLISHABLE_KEY": "pk_live_x",
        "STRIPE_API_BASE": "",
    }

    async def answer(given: str | None = None, **changes: str) -> int:
        settings = settings_for(
            shop.database_url,
            sandbox_url="",
            api_url="https://pay.example",
            smtp_port=1,
            **production,
            **changes,
        )
        app, sent = create_app(settings), []
        parts = app._parts  # the server that would open them is not here

        async def send_(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", given.encode())] if given else []
        await parts.database.open()
        try:
            scope = {"type": "http", "path": "/metrics", "query_string": b"", "method": "GET", "headers": headers}
            await app(scope, None, send_)  # type: ignore[arg-type]  # it reads no body
        finally:
            await parts.close()
        return int(sent[0]["status"])

    assert await answer() == 404
    assert await answer(METRICS_TOKEN="prometheus-may") == 404
    assert await answer("Bearer prometheus-may-not", METRICS_TOKEN="prometheus-may") == 404
    assert await answer("Bearer prometheus-may", METRICS_TOKEN="prometheus-may") == 200


async def test_without_the_database_it_tells_what_was_counted(make_database: MakeDatabase) -> None:
    url = await make_database()
    base, _, name = url.rpartition("/")
    database, clock = await Database.connect(url, size=2), SystemClock()
    settings = settings_for(url, sandbox_url="", api_url="https://pay.example", smtp_port=1)

    async def share() -> float:
        return 0.5

    async def read() -> Scrape:
        exposed = exposition.Exposition(database, clock, settings, AlertKeeper(database, clock, settings), share)
        return Scrape((await exposed.text()).decode())

    before = await read()
    assert (before.value("tallystick_up"), before.value("tallystick_mirror_equal_share")) == (1, 0.5)
    admin = await asyncpg.connect(f"{base}/postgres")
    try:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_away"')
        after = await read()
    finally:
        await admin.close()
        await database.close()
    assert after.value("tallystick_up") == 0
    assert after.since(before).value("tallystick_database_errors_total", kind="lost") > 0
    assert "tallystick_webhooks_received_total" in after.names()
    assert "tallystick_queue_due" not in after.names()


async def test_several_processes_of_the_api_count_together(shop: System, tmp_path: Path) -> None:
    port = free_port()
    settings = {
        name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name in ("database_url", "stripe_secret_key", "stripe_publishable_key", "stripe_api_base", "jwt_secret")
        if (value := getattr(shop.settings, name)) is not None
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tallystick.cli.main", "serve", f"--port={port}", "--workers=2"],
        env={
            **os.environ,
            **settings,
            "ENVIRONMENT": "test",
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "TMPDIR": str(tmp_path),
        },
        stderr=subprocess.DEVNULL,
    )

    async def get(path: str) -> str:
        # A connection of its own for each, so that both processes answer some.
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as response:
            assert response.status == 200
            return await response.text()

    try:
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            with contextlib.suppress(aiohttp.ClientError):
                await get("/healthz")
                break
            await asyncio.sleep(0.1)
        name, route = "tallystick_http_requests_total", "/healthz"
        before = Scrape(await get("/metrics"))
        for _ in range(20):
            await get(route)
        for _ in range(5):
            assert Scrape(await get("/metrics")).since(before).value(name, route=route) == 20
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert list(tmp_path.iterdir()) == []


def test_processes_of_one_machine_count_together(running_dev: RunningDev) -> None:
    """The API of a `dev` shows what it counted and what only the worker does; what the database tells is told once."""
    api = running_dev.json["api_url"]

    def read() -> Scrape:
        with urllib.request.urlopen(f"{api}/metrics", timeout=30) as response:  # noqa: S310 (ours, and http)
            return Scrape(response.read().decode())

    before = read()
    for _ in range(7):
        with urllib.request.urlopen(f"{api}/healthz", timeout=30) as response:  # noqa: S310 (ours, and http)
            assert response.status == 200
    after = read()
    ends = time.monotonic() + 20
    while not after.value("tallystick_work_total"):
        assert time.monotonic() < ends, "the worker counts"
        time.sleep(0.1)
        after = read()
    assert after.since(before).value("tallystick_http_requests_total", route="/healthz", status="200") == 7
    assert after.value("tallystick_up") == 1
    pids = {int(path.stem.rpartition("_")[2]) for path in (running_dev.folder / "counted").glob("*.db")}
    assert {running_dev.json["pids"]["api"], running_dev.json["pids"]["worker"]} <= pids


def test_a_new_run_forgets_what_an_earlier_one_counted(tmp_path: Path) -> None:
    old = tmp_path / "counted" / "counter_1.db"
    old.parent.mkdir()
    old.write_bytes(b"old")
    assert list(empty_folder(tmp_path / "counted").iterdir()) == []
