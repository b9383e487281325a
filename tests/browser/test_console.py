"""The console in a browser: staff sign in, find a failed payment and why, refund and capture, bring dead letters back
or discard them, repair what drifted, change a subscription for what was shown; and whoever may not, cannot.
"""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Page, expect

from browser.console import sign_in
from browser.watching import AT_A_WIDTH, SIZES, OpenPage, Watch, check_page
from subscribing import plan, subscribed
from system import System, token_for

SETTINGS = {"DEFAULT_TRIAL_DAYS": "0"}
WEIGHT = 40_000
LISTS = (
    "payments", "customers", "subscriptions", "invoices", "events", "mails", "deliveries", "endpoints", "differences",
    "runs", "audit", "alerts",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def shop(system: System) -> AsyncIterator[System]:
    """A subscriber, some payments, and time enough for it all to be told."""
    await subscribed(system, "ada", await plan(system, 1500))
    await system.pay(amount=4200, user="ada")
    await system.quiet()
    yield system


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def told(page: Page, words: str) -> None:
    await expect(page.get_by_role("status")).to_contain_text(words)


@AT_A_WIDTH
async def test_a_failed_payment_is_found_and_why(shop: System, open_page: OpenPage, size: str) -> None:
    failed = (await shop.pay("pm_card_visa_chargeDeclinedInsufficientFunds", amount=9900, user="grace")).body["payment"]
    await shop.quiet()
    page = await open_page(size)
    await sign_in(page, shop)
    await check_page(page)
    await page.goto(f"{shop.api_url}/console/payments")
    await page.get_by_label("Status").select_option("failed")
    await page.get_by_label("User").fill("grace@example.com")
    await press(page, "Show")
    await check_page(page)
    await page.get_by_role("link", name="$99.00").first.click()
    await expect(page.locator(".notice--bad")).to_contain_text("insufficient")
    await expect(page.locator(".story")).to_contain_text("charge.failed")
    await check_page(page)
    await page.get_by_label("Find by id or e-mail").fill(failed["stripe_payment_intent_id"])
    await press(page, "Find")
    await expect(page.get_by_role("heading", level=1)).to_have_text("$99.00")


@AT_A_WIDTH
async def test_a_refund_is_made_once(shop: System, open_page: OpenPage, size: str, watch: Watch) -> None:
    watch.expect("status of 422")
    paid = (await shop.pay(amount=3000, user="ada")).body
    await shop.quiet()
    page = await open_page(size, dark=size == "phone")
    await sign_in(page, shop)
    await page.goto(f"{shop.api_url}/console/payments/{paid['id']}")
    await page.locator("summary", has_text="Refund").click()
    amount = page.get_by_label("Amount in USD")
    await expect(amount).to_have_value("30.00")
    await amount.fill("1,000")
    await press(page, "Refund")
    await expect(page.get_by_role("alert")).to_contain_text("digits and a point only")
    await page.locator("summary", has_text="Refund").click()
    await amount.fill("999.99")
    await press(page, "Refund")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.locator("summary", has_text="Refund").click()
    await page.get_by_label("Amount in USD").fill("10")
    await page.get_by_role("button", name="Refund", exact=True).dblclick()
    await told(page, "Refunded")
    await shop.quiet()
    refunds = (await shop.stripe(f"/v1/refunds?payment_intent={paid['stripe_payment_intent_id']}"))["data"]
    assert [refund["amount"] for refund in refunds] == [1000]
    entry = await shop.fetch(
        "SELECT actor, outcome FROM audit_log WHERE action = 'console_payments_refund' ORDER BY id"
    )
    assert ("admin:root", "done") in [tuple(row) for row in entry]


@AT_A_WIDTH
async def test_a_dead_letter_is_replayed_and_what_drifted_repaired(
    shop: System, open_page: OpenPage, size: str
) -> None:
    event = await shop.value(
        "UPDATE webhook_events SET state = 'dead', error_message = 'KeyError: amount' WHERE id = (SELECT id FROM "
        "webhook_events WHERE event_type = 'payment_intent.succeeded' ORDER BY id DESC LIMIT 1) RETURNING id::text"
    )
    page = await open_page(size)
    await sign_in(page, shop)
    await page.get_by_role("link", name="1 event could not be applied").click()
    await page.get_by_role("checkbox").first.check()
    await press(page, "Replay the chosen")
    await told(page, "1 replayed")
    await shop.quiet()
    assert await shop.value("SELECT state FROM webhook_events WHERE id = $1::text::uuid", event) == "processed"

    intent = await shop.value(
        "UPDATE payments SET amount_received = 1, description = 'by hand' WHERE id = (SELECT id FROM payments "
        "WHERE status = 'succeeded' ORDER BY created_at DESC LIMIT 1) RETURNING stripe_payment_intent_id"
    )
    for field in ("amount_received", "description"):
        await shop.fetch(
            "INSERT INTO reconcile_differences (id, object, stripe_id, field, ours, stripe, cause, state, found_at, "
            "seen_at) VALUES (gen_random_uuid(), 'payment_intent', $1, $2, '1', '2', 'ours', 'open', now(), now()) "
            "ON CONFLICT (object, stripe_id, field) DO UPDATE SET state = 'open'",
            intent,
            field,
        )
    await page.goto(f"{shop.api_url}/console/differences?state=open")
    await check_page(page)
    await page.get_by_role("button", name=f"Compare {intent} again").first.click()
    await told(page, "Compared")
    row = await shop.fetch(
        "SELECT amount_received::int, description FROM payments WHERE stripe_payment_intent_id = $1", intent
    )
    assert row[0][0] != 1
    assert row[0][1] != "by hand"
    assert await shop.value("SELECT count(*) FROM reconcile_differences WHERE state = 'open'") == 0


async def test_what_was_given_up_is_discarded_with_a_reason_or_sent_again(
    shop: System, open_page: OpenPage, watch: Watch
) -> None:
    watch.expect("status of 422")
    given_up = [
        await shop.value(
            f"UPDATE {table} SET state = 'dead' WHERE id = (SELECT id FROM {table} WHERE state = '{was}' "
            "ORDER BY id DESC LIMIT 1) RETURNING id::text"
        )
        for table, was in (("webhook_events", "processed"), ("mails", "sent"))
    ]
    event, mail = given_up
    page = await open_page("phone")
    await sign_in(page, shop)
    await page.get_by_role("link", name="1 event could not be applied").click()
    await page.locator("tbody a").first.click()
    await page.locator("summary", has_text="Discard").click()
    await press(page, "Discard")
    await expect(page.get_by_role("alert")).to_contain_text("Say why")
    await page.locator("summary", has_text="Discard").click()
    await page.get_by_label("Why").fill("it was a test")
    await press(page, "Discard")
    await told(page, "Discarded")
    await expect(page.locator(".notice--info")).to_contain_text("discarded: it was a test (admin:root)")
    await check_page(page)
    assert await shop.value("SELECT state FROM webhook_events WHERE id = $1::text::uuid", event) == "discarded"

    await page.goto(f"{shop.api_url}/console")
    await page.get_by_role("link", name="1 mail could not be sent").click()
    await page.get_by_role("checkbox").check()
    await press(page, "Send the chosen again")
    await told(page, "1 sent again")
    await shop.quiet()
    assert await shop.value("SELECT state FROM mails WHERE id = $1::text::uuid", mail) == "sent"


async def test_an_endpoint_that_was_switched_off_is_mended(shop: System, open_page: OpenPage) -> None:
    # What answers 200 to any POST.
    url = f"{shop.sandbox_url}/_sandbox/quiet"
    made = await shop.call(
        "POST", "/api/webhook-endpoints", {"url": url, "events": ["*"]}, user="root", roles=("admin",)
    )
    assert made.status == 201, made.body
    await shop.fetch(
        "UPDATE webhook_endpoints SET enabled = false, disabled_reason = 'failing', failing_since = now() "
        "WHERE id = $1::text::uuid",
        made.body["id"],
    )
    await shop.fetch(
        "INSERT INTO alerts (name, state, since, told_at) VALUES ('OutboundEndpointOff', 'firing', now(), now())"
    )
    page = await open_page("desktop")
    await sign_in(page, shop)
    await expect(page.locator(".alert")).to_contain_text("An endpoint of your application was switched off")
    await page.get_by_role("link", name="OutboundEndpointOff").click()
    await expect(page.locator(".alert")).to_contain_text("firing")
    await check_page(page)
    await page.goto(f"{shop.api_url}/console")
    await page.get_by_role("link", name="1 outbound endpoint switched off").click()
    await page.get_by_role("link", name=url).click()
    await check_page(page)
    await page.locator("summary", has_text="Enable").click()
    await press(page, "Enable")
    await told(page, "Enabled")
    await page.locator("summary", has_text="Send a test event").click()
    await press(page, "Send a test event")
    await told(page, "on its way")
    await shop.quiet()
    await page.reload()
    await page.locator("tbody a").first.click()
    await expect(page.locator(".badge").first).to_have_text("delivered")
    await page.locator("summary", has_text="Deliver again").click()
    await press(page, "Deliver again")
    await told(page, "delivered in a moment")
    await shop.quiet()
    assert await shop.value("SELECT sum(attempts)::int FROM outbound_deliveries WHERE state = 'delivered'") == 2
    await shop.call("DELETE", f"/api/webhook-endpoints/{made.body['id']}", user="root", roles=("admin",))
    await shop.fetch("DELETE FROM alerts")


async def test_a_subscription_is_changed_for_what_was_shown_and_canceled(shop: System, open_page: OpenPage) -> None:
    made = await subscribed(shop, "hedy", await plan(shop, 1000))
    dearer = await plan(shop, 3000)
    await shop.quiet()
    page = await open_page("phone")
    await sign_in(page, shop)
    await page.goto(f"{shop.api_url}/console/subscriptions/{made['id']}")
    await page.locator("summary", has_text="Preview a change").click()
    await page.get_by_label("Price (empty: as it is)").fill(dearer)
    await press(page, "Preview a change")
    await expect(page.get_by_role("heading", name="What it would bill")).to_be_visible()
    await check_page(page)
    await press(page, "Make this change")
    await told(page, "Changed")
    await shop.quiet()
    await page.reload()
    await page.locator(".values summary").first.click()
    await expect(page.locator(".values table").first).to_contain_text(dearer)
    await check_page(page)
    await page.locator("summary", has_text="Cancel").click()
    await page.get_by_label("When").select_option("now")
    await press(page, "Cancel")
    await told(page, "Canceled")
    await shop.quiet()
    assert (await shop.stripe(f"/v1/subscriptions/{made['stripe_subscription_id']}"))["status"] == "canceled"


async def test_a_list_is_live_until_the_session_runs_out(shop: System, open_page: OpenPage) -> None:
    held = (await shop.pay(amount=7700, user="ada", capture_method="manual")).body
    await shop.quiet()
    page = await open_page("desktop")
    await sign_in(page, shop)
    await page.goto(f"{shop.api_url}/console/payments?user=ada&status=succeeded")
    await expect(page.get_by_role("link", name="$77.00")).to_have_count(0)
    await page.evaluate("window.same = true")
    # Captured by somebody else, it comes to this list by itself.
    other = await open_page("phone", beside=page)
    await other.goto(f"{shop.api_url}/console/payments/{held['id']}")
    await other.locator("summary", has_text="Capture").click()
    await press(other, "Capture")
    await told(other, "Captured")
    await other.close()
    await expect(page.get_by_role("link", name="$77.00")).to_have_count(1)
    assert await page.evaluate("window.same")
    await shop.fetch("UPDATE console_sessions SET expires_at = now() - interval '1 second'")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to the console")
    await page.get_by_label("Access token").fill(token_for("root", roles=("admin",)))
    await press(page, "Sign in")
    await expect(page.get_by_role("link", name="$77.00")).to_have_count(1)


async def test_a_run_is_asked_for(shop: System, open_page: OpenPage) -> None:
    page = await open_page("phone")
    await sign_in(page, shop)
    await page.goto(f"{shop.api_url}/console/differences")
    await press(page, "Compare everything")
    await told(page, "A worker begins")
    await expect(page.locator("#standing")).to_contain_text("100 %", timeout=30_000)
    await check_page(page)
    await page.get_by_role("link", name="All runs").click()
    await expect(page.locator("tbody")).to_contain_text("done")


async def test_every_page_is_light_readable_and_whole(shop: System, open_page: OpenPage) -> None:
    page = await open_page("phone")
    await sign_in(page, shop, "support")
    ids = {
        "subscriptions": await shop.value("SELECT id::text FROM subscriptions LIMIT 1"),
        "customers": await shop.value("SELECT id::text FROM customers LIMIT 1"),
        "invoices": await shop.value("SELECT id::text FROM invoices LIMIT 1"),
        "mails": await shop.value("SELECT id::text FROM mails LIMIT 1"),
        "events": await shop.value("SELECT id::text FROM webhook_events LIMIT 1"),
    }
    # The other lists are drawn as these are, or were looked at above.
    whole = ["/figures", "/payments", "/events", *(f"/{name}/{id_}" for name, id_ in ids.items())]
    pages = ["", "/figures", *(f"/{name}" for name in LISTS), *(f"/{name}/{id_}" for name, id_ in ids.items())]
    for path in pages:
        answer = await page.goto(f"{shop.api_url}/console{path}")
        assert answer is not None
        assert answer.status == 200, path
        assert len(await answer.body()) < WEIGHT, path
        if path in whole:
            await check_page(page)
        assert await page.evaluate("document.documentElement.scrollWidth") == SIZES["phone"][0], path
        # Support looks, and changes nothing.
        posts = page.locator("form[method=post]:not([action$='/logout']):not([action$='/preview'])")
        assert await posts.count() == 0, path


async def test_the_pages_of_a_list(shop: System, open_page: OpenPage) -> None:
    page = await open_page("desktop")
    await sign_in(page, shop)
    await page.goto(f"{shop.api_url}/console/events")
    first = await page.locator("tbody a").all_inner_texts()
    await page.get_by_role("link", name="Older").click()
    second = page.url
    await page.get_by_role("link", name="Newer").click()
    assert await page.locator("tbody a").all_inner_texts() == first
    assert "cursor=" in second
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    lines = (await (await download.value).path()).read_text().splitlines()
    assert lines[0] == "type,state,object,source,tries,error,received"
    assert len(lines) == 1 + await shop.value("SELECT count(*) FROM webhook_events")


async def test_the_door(shop: System, open_page: OpenPage, watch: Watch) -> None:
    watch.expect("status of 40[13]")
    page = await open_page("phone")
    await page.goto(f"{shop.api_url}/console/payments?status=failed")
    assert "/console/login?then=" in page.url
    await check_page(page)
    await page.get_by_label("Access token").fill("no token")
    await press(page, "Sign in")
    await expect(page.get_by_role("alert")).to_contain_text("does not open the console")
    await page.get_by_label("Access token").fill(token_for("root", roles=("admin",)))
    await press(page, "Sign in")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Payments")
    # A form of another session does nothing.
    payment = await shop.value("SELECT id::text FROM payments LIMIT 1")
    refused = await page.evaluate(
        """async (url) => (await fetch(url, {method: "POST", body: new URLSearchParams({csrf: "x"})})).status""",
        f"{shop.api_url}/console/payments/{payment}/refund",
    )
    assert refused == 403
    await press(page, "Sign out")
    await page.goto(f"{shop.api_url}/console")
    assert "/console/login" in page.url
    cookies = await page.context.cookies()
    assert not [cookie for cookie in cookies if cookie["name"] == "tallystick_console"]
