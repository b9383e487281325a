"""Pictures of the console for docs/images: part of `make screenshots`."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from browser.console import sign_in
from browser.pictures import FEW, shoot
from browser.watching import OpenPage
from subscribing import plan, subscribed
from system import System

SETTINGS = {"BRAND_NAME": "Acme Tea", "DEFAULT_TRIAL_DAYS": "0", "ALERTS_BUILT_IN": "true"}
PAGES = {
    "overview": "",
    "figures": "/figures?span=90d",
    "payments": "/payments",
    "payment": "/payments/{failed}",
    "subscription": "/subscriptions/{subscription}",
    "customer": "/customers/{customer}",
    "events": "/events",
    "event": "/events/{event}",
    "differences": "/differences",
    "alerts": "/alerts",
    "audit": "/audit",
}


@pytest_asyncio.fixture(scope="module")
async def story(system: System) -> AsyncIterator[dict[str, str]]:
    """Some months of a shop: ids of what the pictures show."""
    small, large = await plan(system, 1500), await plan(system, 4900)
    for user in ("ada", "grace", "alan", "edsger"):
        await subscribed(system, user, small)
    for user in ("barbara", "donald"):
        await subscribed(system, user, large, trial_period_days=14)
    for month in range(3):
        for number in range(month + 2):
            assert (await system.pay(amount=1900 + 700 * number, user="ada")).status == 201
        await system.advance("25d")
    failed = await system.pay("pm_card_visa_chargeDeclinedInsufficientFunds", amount=9900, user="grace")
    assert failed.status == 402
    await system.quiet()
    await system.fetch(
        "UPDATE webhook_events SET state = 'dead', error_message = 'KeyError: amount', retry_count = 4 "
        "WHERE id IN (SELECT id FROM webhook_events ORDER BY id LIMIT 2)"
    )
    await system.fetch(
        "INSERT INTO alerts (name, state, since, told_at, over_at) VALUES "
        "('DeadLetters', 'firing', now(), now(), NULL), "
        "('StripeErrors', 'over', now() - interval '26 hours', now(), now() - interval '25 hours') "
        "ON CONFLICT (name) DO UPDATE SET state = excluded.state"
    )
    started = await system.call("POST", "/api/reconciliation/runs", {"mode": "full"}, user="root", roles=("admin",))
    assert started.status == 202, started.body
    while await system.value("SELECT count(*) FROM reconcile_runs WHERE state <> 'done'"):
        await asyncio.sleep(0.1)
    yield {
        "failed": failed.body["payment"]["stripe_payment_intent_id"],
        "subscription": await system.value("SELECT stripe_subscription_id FROM subscriptions ORDER BY id LIMIT 1"),
        "customer": await system.value("SELECT stripe_customer_id FROM customers ORDER BY id LIMIT 1"),
        "event": await system.value("SELECT stripe_event_id FROM webhook_events WHERE state = 'dead' LIMIT 1"),
    }


@pytest.mark.parametrize(("size", "dark"), FEW)
async def test_pictures(system: System, story: dict[str, str], open_page: OpenPage, size: str, dark: bool) -> None:
    page = await open_page(size, dark=dark)
    await page.goto(f"{system.api_url}/console/login")
    await shoot(page, "console-login", size, dark=dark)
    await sign_in(page, system)
    for name, path in PAGES.items():
        await page.goto(f"{system.api_url}/console{path.format(**story)}")
        await shoot(page, f"console-{name}", size, dark=dark, full_page=name not in ("events", "payments", "event"))
