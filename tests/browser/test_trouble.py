"""What goes wrong around the pages: the API is away, a webhook is late, scripts are slow. It stays one payment."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from playwright.async_api import Page, Request, Route, expect

from browser.billing import Billing, Catalogue, customer, fail_renewal
from browser.checkout import Checkout, make_session, payments_of, shop, taken
from browser.watching import SIZES, OpenPage, Recorder, Watch, check_page
from system import LONG, System, unique

SETTINGS = {"CHECKOUT_RETURN_URLS": "http://shop.test"}
SUCCESS = "http://shop.test/thanks"


async def ready(system: System, open_page: OpenPage, size: str, **fields: Any) -> tuple[Checkout, str]:
    """A customer of their own before the form of a new session."""
    user = unique("buyer")
    session = await make_session(system, user=user, **fields)
    return await Checkout(await open_page(size), session["url"]).open(), user


async def held(page: Page, *addresses: str) -> Callable[[], None]:
    """Let these take as long as it pleases the test; what is returned lets them come."""
    released = asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.fallback()

    for address in addresses:
        await page.route(address, hold)
    return released.set


async def test_the_api_is_away_for_three_seconds(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("ERR_CONNECTION|ERR_SOCKET|ERR_EMPTY_RESPONSE")
    debtor, _ = await customer(system, prices["small"])
    await fail_renewal(system, debtor)
    overdue = await Billing(system, await open_page("phone"), debtor).open(flow="pay")
    await overdue.page.locator("#another summary").click()
    # Each of both on each size of page in a long run only.
    small, large = (list(SIZES), list(SIZES)) if LONG else (["phone"], ["desktop"])
    pressing = [await ready(system, open_page, size) for size in small]
    at_the_bank = [await ready(system, open_page, size) for size in large]
    for checkout, _ in pressing:
        await checkout.fill()
    for checkout, _ in at_the_bank:
        await checkout.pay("3D Secure")
        await expect(checkout.page.locator("dialog iframe")).to_be_visible()
    await expect(overdue.go).to_be_enabled()
    await system.stop_api()
    for checkout, _ in pressing:
        await checkout.button.click()
    for checkout, _ in at_the_bank:
        await checkout.answer_bank("Complete")
    await overdue.type_card("visa")
    for page in (overdue.page, *(checkout.page for checkout, _ in pressing + at_the_bank)):
        await expect(page.locator("#progress")).to_contain_text("The connection was lost")
    await asyncio.sleep(3)
    await system.start_api()
    for checkout, _ in pressing + at_the_bank:
        await checkout.sees("Payment received")
    await overdue.is_told("the payment has arrived")
    # Stripe sends its webhooks again: what the pages found out by themselves is told once more, and does nothing.
    await system.advance("2h")
    for _, user in pressing + at_the_bank:
        assert await payments_of(system, user) == ["succeeded"]
        assert await taken(system, user) == [1050]
    assert await taken(system, debtor) == [900, 900]


async def test_a_webhook_that_is_ten_seconds_late(system: System, open_page: OpenPage, recorder: Recorder) -> None:
    for type_ in ("payment_intent.*", "charge.*"):
        await system.fault(target="webhook", kind="delay", delay_s=10, type=type_, times=None)
    users = []
    for size in SIZES:
        checkout, user = await ready(system, open_page, size, success_url=SUCCESS)
        users.append(user)
        await shop(checkout.page)
        asked = requests_of(checkout.page)
        await checkout.pay()
        await expect(checkout.page.locator("#progress")).to_contain_text("Checking your payment")
        await checkout.page.wait_for_url(re.compile(rf"^{re.escape(SUCCESS)}\?checkout_session_id=.*&payment_id="))
        # Stripe was asked once, and the customer was gone before its webhook came.
        assert len([url for url in asked if url.startswith(f"{checkout.url}/state?ask=1")]) == 1
        intent = await system.value(
            "SELECT p.stripe_payment_intent_id FROM payments p JOIN users u ON u.id = p.user_id "
            "WHERE u.external_id = $1 AND p.status = 'succeeded'",
            user,
        )
        assert not told(recorder, intent)
    await system.sandbox("DELETE", "/_sandbox/faults")
    await system.advance(11)
    assert told(recorder, intent)
    for user in users:
        assert await payments_of(system, user) == ["succeeded"]
        assert await taken(system, user) == [1050]
        assert len(system.mails_to(user)) == 1


def requests_of(page: Page) -> list[str]:
    """The addresses that a page asks from now on."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url))
    return found


def told(recorder: Recorder, intent: str) -> bool:
    """Whether Stripe's webhook has told us that a payment succeeded."""
    return any('"payment_intent.succeeded"' in request and intent in request for request in recorder.requests)


async def test_slow_scripts_at_the_checkout(system: System, open_page: OpenPage) -> None:
    user = unique("buyer")
    session = await make_session(system, user=user)
    page = await open_page("phone")
    ours, stripes = await held(page, "**/assets/checkout.js*"), await held(page, f"{system.sandbox_url}/v3/")
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith(("/start", "/confirm")):
            sent.append(request.url.rpartition("/")[2])

    page.on("request", note)
    await page.goto(session["url"], wait_until="commit")
    checkout = Checkout(page, session["url"])
    # What is to be paid, and that the form is on its way; nothing that could be pressed in vain.
    for release in (ours, stripes):
        await expect(page.get_by_text("A year of tea")).to_be_visible()
        await expect(page.get_by_role("status").filter(has_text="Loading the card form")).to_be_visible()
        await expect(checkout.button).to_be_hidden()
        release()
    start, confirm = await held(page, "**/start"), await held(page, "**/confirm")
    await expect(checkout.button).to_be_enabled()
    await checkout.pay()
    for release, words in ((start, "Starting your payment"), (confirm, "Your bank is being asked")):
        await expect(page.locator("#progress")).to_contain_text(words)
        await expect(checkout.button).to_be_disabled()
        await checkout.button.dispatch_event("click")
        await page.locator("#form").evaluate("(form) => form.requestSubmit()")
        release()
    await checkout.sees("Payment received")
    assert sent == ["start", "confirm"]
    assert await taken(system, user) == [1050]


async def test_slow_scripts_at_the_billing_pages(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    tab = Billing(system, await open_page("phone"), user)
    page = tab.page
    release = await held(page, "**/assets/billing.js*")
    await page.goto(await tab.link(flow="change"), wait_until="commit")
    await tab.sees("Change your plan")
    await page.get_by_role("radio", name="$290.00 per year").check()
    await tab.press("See what it costs")
    # The script is still on its way: a double click is the server's business.
    await page.get_by_role("button", name="Change the plan and pay $281.00").dblclick()
    await tab.is_told("Your plan has been changed")
    # What is typed before it comes is not lost by its coming.
    await page.goto(await tab.subscription_path("cancel"), wait_until="commit")
    await page.get_by_label("What should we have done better?").fill("Cheaper tea")
    stripes = await held(page, f"{system.sandbox_url}/v3/")
    release()
    await page.wait_for_load_state()
    await expect(page.get_by_label("What should we have done better?")).to_have_value("Cheaper tea")
    await page.goto(f"{system.api_url}/billing/methods/add", wait_until="commit")
    await expect(page.get_by_role("status").filter(has_text="Loading the card form")).to_be_visible()
    await expect(tab.go).to_be_hidden()
    stripes()
    await tab.type_card("3D Secure")
    await tab.answer_bank("Complete")
    await tab.is_told("Your payment method has been saved")
    await expect(page.locator(".methods .method")).to_have_count(2)
    await check_page(page)
    assert await taken(system, user) == [900, 28100]
    assert (await tab.history()).count("plan_changed") == 1
