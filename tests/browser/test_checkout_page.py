"""The checkout page in a real browser, against a real server and the sandbox's Stripe: one session, one payment."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, Request, Route, expect

from browser.checkout import CARDS, Checkout, make_session
from browser.watching import OpenPage, Recorder, Watch, accessibility_problems
from system import System, unique

SETTINGS = {"CHECKOUT_RETURN_URLS": "http://shop.test", "TERMS_URL": "http://shop.test/terms"}
SUCCESS = "http://shop.test/thanks?order=7"
SIZES = pytest.mark.parametrize("size", ["desktop", "phone"])

DECLINES = {
    "declined": "Your bank declined the payment",
    "insufficient funds": "did not have enough funds",
    "lost": "Your bank declined the payment",
    "stolen": "Your bank declined the payment",
    "expired": "This card has expired",
    "wrong code": "The security code is not right",
    "processing error": "Your card is not at fault",
}


async def payments_of(system: System, user: str) -> list[str]:
    """The statuses of a user's payments, when all is quiet."""
    await system.quiet()
    rows = await system.fetch(
        "SELECT p.status FROM payments p JOIN users u ON u.id = p.user_id WHERE u.external_id = $1", user
    )
    return [row["status"] for row in rows]


async def charged(system: System, user: str) -> int:
    """How often a user's money was taken."""
    await system.quiet()
    count: int = await system.value(
        """
        SELECT count(*) FROM charges c JOIN payments p ON p.id = c.payment_id JOIN users u ON u.id = p.user_id
        WHERE u.external_id = $1 AND c.status = 'succeeded'
        """,
        user,
    )
    return count


async def shop(page: Page) -> None:
    """Let the application's own page be one that answers."""
    await page.route("http://shop.test/**", lambda route: route.fulfill(body="<h1>Shop</h1>", content_type="text/html"))


async def ready(system: System, open_page: OpenPage, size: str = "desktop", **fields: Any) -> tuple[Checkout, str]:
    """A customer of their own before the form of a new session."""
    user = unique("buyer")
    session = await make_session(system, user=user, **fields)
    return await Checkout(await open_page(size), session["url"]).open(), user


@SIZES
async def test_decline_after_decline_and_then_it_is_paid(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size, success_url=SUCCESS, cancel_url="http://shop.test/cart")
    page = checkout.page
    await shop(page)
    assert await accessibility_problems(page) == []
    for card, words in DECLINES.items():
        await checkout.pay(card)
        await checkout.is_told(words)
        await expect(checkout.problem).to_be_focused()
    assert await accessibility_problems(page) == []
    # Whoever loads the page again is told what happened before.
    await checkout.open()
    await checkout.is_told(DECLINES["processing error"])
    await checkout.pay()
    await page.wait_for_url(re.compile(r"^http://shop\.test/thanks"))
    assert await payments_of(system, user) == ["succeeded"]
    payment = await system.value(
        "SELECT p.id FROM payments p JOIN users u ON u.id = p.user_id WHERE external_id = $1", user
    )
    assert re.fullmatch(rf"{re.escape(SUCCESS)}&checkout_session_id=[0-9a-f-]{{36}}&payment_id={payment}", page.url)
    assert await charged(system, user) == 1


async def test_what_is_wrong_is_told_before_anything_is_asked(system: System, open_page: OpenPage) -> None:
    checkout, user = await ready(system, open_page)
    await checkout.button.click()
    await expect(checkout.frame.locator("#number-error")).to_be_visible()
    await expect(checkout.button).to_be_enabled()
    assert await payments_of(system, user) == []
    # By the keyboard alone.
    await checkout.fill()
    await checkout.button.focus()
    await checkout.page.keyboard.press("Enter")
    await checkout.sees("Payment received")


@SIZES
async def test_the_bank_asks_and_is_answered_in_every_way(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size)
    await checkout.pay("3D Secure")
    await checkout.answer_bank("Fail")
    await checkout.is_told("The payment was not confirmed with your bank")
    await checkout.button.click()
    await checkout.answer_bank("Cancel")
    await checkout.is_told("The payment was not confirmed with your bank")
    # Abandoned: the page is closed over the bank's question, and opened again.
    await checkout.button.click()
    await expect(checkout.page.locator("dialog iframe")).to_be_visible()
    await checkout.open()
    await checkout.pay("3D Secure")
    await checkout.answer_bank("Complete")
    await checkout.sees("Payment received")
    assert await accessibility_problems(checkout.page) == []
    assert await charged(system, user) == 1


@SIZES
async def test_a_slow_payment_is_on_its_way(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size, success_url=SUCCESS, cancel_url="http://shop.test/cart")
    await checkout.pay_by_bank()
    await checkout.sees("Your payment is on its way")
    # Nothing here leads to where the customer would pay once more.
    await expect(checkout.page.locator("main a")).to_have_count(0)
    assert await accessibility_problems(checkout.page) == []
    await checkout.page.goto(checkout.url)
    await checkout.sees("Your payment is on its way")
    assert await payments_of(system, user) == ["processing"]


async def test_a_double_click_is_one_payment(system: System, open_page: OpenPage) -> None:
    checkout, user = await ready(system, open_page, "phone")
    await checkout.fill()
    await checkout.button.dblclick(force=True)
    await checkout.sees("Payment received")
    assert await payments_of(system, user) == ["succeeded"]
    assert await charged(system, user) == 1


async def test_a_reload_in_the_middle_and_the_back_button(system: System, open_page: OpenPage) -> None:
    checkout, user = await ready(system, open_page, success_url=SUCCESS)
    page = checkout.page
    await shop(page)

    async def reload_instead(route: Route) -> None:
        """Stripe charges the card, and the page is loaded again before it hears of that."""
        await route.fetch()
        await page.goto(checkout.url)

    await page.route("**/confirm", reload_instead)
    await checkout.pay()
    # The page finds out that it is paid, whether the webhook was quicker than the reload or not.
    await checkout.sees("Payment received")
    await page.get_by_role("link", name="Return to Acme").click()
    await page.wait_for_url(re.compile(r"^http://shop\.test/thanks"))
    await page.go_back()
    await checkout.sees("Payment received")
    assert await charged(system, user) == 1


async def test_two_tabs_are_one_payment(system: System, open_page: OpenPage, watch: Watch) -> None:
    # The second try, if it comes after the first, is one that Stripe refuses.
    watch.expect("status of 400.*/confirm")
    one, user = await ready(system, open_page, "phone")
    other = await Checkout(await open_page(beside=one.page), one.url).open()
    await one.fill()
    await other.fill()
    await one.button.click()
    await other.button.click()
    for tab in (one, other):
        await tab.sees("Payment received")
    assert await payments_of(system, user) == ["succeeded"]
    assert await charged(system, user) == 1


@pytest.mark.parametrize(("moment", "times"), [("start", 4), ("state", 2)])
async def test_a_server_that_is_away_for_a_while(
    system: System, open_page: OpenPage, watch: Watch, moment: str, times: int
) -> None:
    checkout, user = await ready(system, open_page)
    watch.expect("ERR_CONNECTION_REFUSED")
    lost: list[str] = []

    async def lose(route: Route, request: Request) -> None:
        lost.append(request.url)
        await (route.abort("connectionrefused") if len(lost) <= times else route.continue_())

    await checkout.page.route(re.compile(rf"{re.escape(checkout.url)}/{moment}"), lose)
    await checkout.pay()
    await expect(checkout.page.locator("#progress")).to_contain_text("The connection was lost")
    await checkout.sees("Payment received")
    assert len(lost) > times
    assert await charged(system, user) == 1


async def test_a_line_to_stripe_that_breaks_after_the_charge(system: System, open_page: OpenPage, watch: Watch) -> None:
    checkout, user = await ready(system, open_page)
    watch.expect("ERR_FAILED|ERR_CONNECTION")

    async def cut(route: Route) -> None:
        await route.fetch()
        await route.abort()

    await checkout.page.route("**/payment_intents/*/confirm", cut)
    await checkout.pay()
    await checkout.sees("Payment received")
    assert await charged(system, user) == 1


@SIZES
async def test_what_cannot_be_paid_says_so(system: System, open_page: OpenPage, watch: Watch, size: str) -> None:
    user = unique("buyer")
    session = await make_session(system, user=user, cancel_url="http://shop.test/cart")
    page = await open_page(size)
    late = await Checkout(page, session["url"]).open()
    await system.call("POST", f"/api/checkout-sessions/{session['id']}/expire", user=user)
    # The form was open all the time.
    await late.pay()
    await late.sees("This page has expired")
    await expect(page.get_by_role("link", name="Return to Acme")).to_have_attribute("href", "http://shop.test/cart")
    assert await accessibility_problems(page) == []
    watch.expect("status of 404")
    for address in (f"{session['url'][:-1]}!", f"{system.api_url}/pay/{'x' * 43}"):
        await page.goto(address)
        await expect(page.locator("h1")).to_have_text("There is no such page")
        assert await accessibility_problems(page) == []
    assert await payments_of(system, user) == []


async def test_without_scripts_or_without_stripe_the_page_says_what_to_do(
    system: System, open_page: OpenPage, watch: Watch
) -> None:
    session = await make_session(system)
    plain = await open_page(script=False)
    await plain.goto(session["url"])
    await expect(plain.get_by_text("It needs JavaScript")).to_be_visible()
    await expect(plain.get_by_text("A year of tea")).to_be_visible()
    await expect(plain.locator("form")).to_be_hidden()
    watch.expect("ERR_FAILED")
    blocked = await open_page()
    await blocked.route(f"{system.sandbox_url}/v3/", lambda route: route.abort())
    await blocked.goto(session["url"])
    await expect(blocked.locator("#problem")).to_contain_text("The card form could not be loaded")
    await expect(blocked.get_by_role("link", name="Load this page again")).to_be_visible()


@SIZES
async def test_the_page_is_light_and_needs_no_pictures(
    system: System, open_page: OpenPage, watch: Watch, size: str
) -> None:
    session = await make_session(system)
    page = await open_page(size, dark=True)
    weight: list[int] = []

    async def weigh(request: Request) -> None:
        if request.url.startswith(system.api_url):
            response = await request.response()
            assert response is not None
            weight.append(len(await response.body()))

    watch.expect(r"ERR_FAILED.*\.svg")
    page.on("requestfinished", weigh)
    await page.route(re.compile(r"\.(svg|png)\b|/logo"), lambda route: route.abort())
    checkout = await Checkout(page, session["url"]).open()
    assert await accessibility_problems(page) == []
    assert sum(weight) < 40_000, weight
    overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0
    assert checkout.page.url == session["url"]


async def test_a_late_webhook_keeps_nobody_waiting(system: System, open_page: OpenPage) -> None:
    checkout, user = await ready(system, open_page)
    await system.fault(target="webhook", kind="delay", delay_s=600, type="payment_intent.succeeded", times=1)
    await system.fault(target="webhook", kind="delay", delay_s=600, type="charge.*", times=2)
    await checkout.pay()
    await checkout.sees("Payment received")
    told = "SELECT count(*) FROM webhook_events WHERE event_type = 'payment_intent.succeeded' AND object_id = $1"
    rows = await system.fetch(
        "SELECT status, stripe_payment_intent_id FROM payments p JOIN users u ON u.id = p.user_id "
        "WHERE u.external_id = $1",
        user,
    )
    assert [row["status"] for row in rows] == ["succeeded"]
    assert await system.value(told, rows[0]["stripe_payment_intent_id"]) == 0


@pytest.mark.parametrize(
    "request_text",
    [
        "POST /pay/x/start?\n\n\n" + '{"number": "4242424242424242"}',
        "GET /pay/x/state?card=4242+4242+4242+4242\n",
        "POST /pay/x/start?\n\n\nnumber=6011111111111117",
        "POST /api/webhooks/stripe?\n\n\n4000-0000-0000-0002",
    ],
)
def test_a_card_number_at_our_server_would_be_found(request_text: str) -> None:
    recorder = Recorder()
    recorder.requests = ["GET /pay/0193f0c2-8a5d-7c3e-9f10-a1b2c3d4e5f6?\n", request_text]
    with pytest.raises(AssertionError, match=re.escape(request_text.split()[1])):
        recorder.check_no_card_number(CARDS.values())
