"""The checkout page in a real browser, against a real server and the sandbox's Stripe: one session, one payment."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Request, Route, expect

from browser.checkout import CARDS, Checkout, make_session, payments_of, shop, taken
from browser.watching import AT_A_WIDTH, AT_EACH_WIDTH, OpenPage, Recorder, Watch, check_at_each_width, check_page
from subscribing import post
from system import System, unique

SETTINGS = {
    "CHECKOUT_RETURN_URLS": "http://shop.test",
    "TERMS_URL": "http://shop.test/terms",
    "BRAND_LOGO_PATH": str(files("tallystick.ui") / "assets" / "tallystick.svg"),
}
SUCCESS = "http://shop.test/thanks?order=7"

DECLINES = {
    "declined": "Your bank declined the payment",
    "insufficient funds": "did not have enough funds",
    "lost": "Your bank declined the payment",
    "stolen": "Your bank declined the payment",
    "expired": "This card has expired",
    "wrong code": "The security code is not right",
    "processing error": "Your card is not at fault",
}


async def one_time_price(system: System) -> str:
    """A price of $12.00 that is paid once."""
    product = await post(system, "/v1/products", name="Tea pot")
    price = await post(system, "/v1/prices", product=product["id"], currency="usd", unit_amount=1200)
    await system.quiet()
    return str(price["id"])


async def ready(system: System, open_page: OpenPage, size: str = "desktop", **fields: Any) -> tuple[Checkout, str]:
    """A customer of their own before the form of a new session."""
    user = unique("buyer")
    session = await make_session(system, user=user, **fields)
    return await Checkout(await open_page(size), session["url"]).open(), user


@AT_A_WIDTH
async def test_decline_after_decline_and_then_it_is_paid(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size, success_url=SUCCESS, cancel_url="http://shop.test/cart")
    page = checkout.page
    await shop(page)
    await check_page(page)
    for card, words in DECLINES.items():
        await checkout.pay(card)
        await checkout.is_told(words)
        await expect(checkout.problem).to_be_focused()
    await check_page(page)
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
    assert await taken(system, user) == [1050]


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


@AT_A_WIDTH
async def test_the_bank_asks_and_is_answered_in_every_way(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size)
    await checkout.pay("3D Secure")
    await expect(checkout.page.locator("dialog iframe")).to_be_visible()
    await check_page(checkout.page)
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
    await check_page(checkout.page)
    assert await taken(system, user) == [1050]


@AT_A_WIDTH
async def test_a_slow_payment_is_on_its_way(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size, success_url=SUCCESS, cancel_url="http://shop.test/cart")
    await checkout.pay_by_bank()
    await checkout.sees("Your payment is on its way")
    # Nothing here leads to where the customer would pay once more.
    await expect(checkout.page.locator("main a")).to_have_count(0)
    await check_page(checkout.page)
    await checkout.page.goto(checkout.url)
    await checkout.sees("Your payment is on its way")
    assert await payments_of(system, user) == ["processing"]


@AT_A_WIDTH
async def test_a_double_click_and_another_tab_are_one_payment(
    system: System, open_page: OpenPage, watch: Watch, size: str
) -> None:
    # The second try, if it comes after the first, is one that Stripe refuses.
    watch.expect("status of 400.*/confirm")
    one, user = await ready(system, open_page, size)
    other = await Checkout(await open_page(beside=one.page), one.url).open()
    await one.fill()
    await other.fill()
    await one.button.dblclick(force=True)
    await other.button.click()
    for tab in (one, other):
        await tab.sees("Payment received")
    assert await payments_of(system, user) == ["succeeded"]
    assert await taken(system, user) == [1050]


@AT_A_WIDTH
async def test_a_reload_in_the_middle_and_the_back_button(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size, success_url=SUCCESS)
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
    assert await taken(system, user) == [1050]


@AT_A_WIDTH
async def test_a_line_that_breaks_at_every_moment(system: System, open_page: OpenPage, watch: Watch, size: str) -> None:
    checkout, user = await ready(system, open_page, size)
    watch.expect("ERR_CONNECTION_REFUSED|ERR_FAILED")
    lost: dict[str, int] = {}

    async def lose(route: Route, request: Request) -> None:
        """Twice on its way, and then once more only the answer."""
        moment = request.url.partition("?")[0].rpartition("/")[2]
        lost[moment] = lost.get(moment, 0) + 1
        if lost[moment] == 3:
            await route.fetch()
        await (route.abort("connectionrefused") if lost[moment] <= 3 else route.continue_())

    async def cut(route: Route) -> None:
        """Stripe charges the card, and nobody hears of it."""
        await route.fetch()
        await route.abort()

    await checkout.page.route(re.compile(rf"{re.escape(checkout.url)}/(start|state)"), lose)
    await checkout.page.route("**/payment_intents/*/confirm", cut)
    await checkout.pay()
    await expect(checkout.page.locator("#progress")).to_contain_text("The connection was lost")
    await checkout.sees("Payment received")
    assert lost == {"start": 4, "state": 4}
    assert await taken(system, user) == [1050]


@AT_A_WIDTH
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
    await check_page(page)
    watch.expect("status of 404")
    for address in (f"{session['url'][:-1]}!", f"{system.api_url}/pay/{'x' * 43}"):
        await page.goto(address)
        await expect(page.locator("h1")).to_have_text("There is no such page")
        await check_page(page)
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
    await check_at_each_width(blocked)


@AT_EACH_WIDTH
async def test_the_page_is_light_and_needs_no_pictures(
    system: System, open_page: OpenPage, watch: Watch, size: str
) -> None:
    watch.expect(r"ERR_BLOCKED_BY_CLIENT.*(\.svg|/brand/logo)")
    user = unique("buyer")
    session = await make_session(system, user=user)
    page = await open_page(size, dark=True, pictures=False)
    weight: list[int] = []
    blocked: list[str] = []

    async def weigh(request: Request) -> None:
        if request.url.startswith(system.api_url):
            response = await request.response()
            assert response is not None
            weight.append(len(await response.body()))

    page.on("requestfinished", weigh)
    page.on("requestfailed", lambda request: blocked.append(request.url))
    checkout = await Checkout(page, session["url"]).open()
    await check_page(page)
    page.remove_listener("requestfinished", weigh)
    assert 0 < sum(weight) < 40_000, weight
    await expect(page.locator(".brand")).to_have_text("Acme")
    await checkout.pay("declined")
    await checkout.is_told("Your bank declined the payment")
    await checkout.pay()
    await checkout.sees("Payment received")
    await expect(page.locator(".outcome__sign svg")).to_be_visible()
    await check_page(page)
    assert any("/brand/logo" in url for url in blocked)
    assert await taken(system, user) == [1050]


async def test_the_other_pages(system: System, open_page: OpenPage) -> None:
    user, page = unique("buyer"), await open_page()
    session = await make_session(
        system, user=user, amount=None, currency=None, description=None, price=await one_time_price(system), quantity=3
    )
    await Checkout(page, session["url"]).open()
    await expect(page.locator(".bill__total")).to_contain_text("$36.00")
    await check_at_each_width(page)
    async with system.http.post(f"{session['url']}/start") as answer:
        assert answer.status == 200
    shown = await system.call("GET", f"/api/checkout-sessions/{session['id']}", user=user)
    await system.call("POST", f"/api/payments/payment-intent/{shown.body['payment_id']}/cancel", user=user)
    for path, title in (
        (session["url"], "This payment was canceled"),
        (f"{system.api_url}/payments/return?redirect_status=failed", "The payment was not confirmed"),
        (f"{system.api_url}/payments/return?redirect_status=succeeded", "Thank you"),
    ):
        await page.goto(path)
        await expect(page.locator("h1")).to_have_text(title)
        await check_at_each_width(page)
    assert await payments_of(system, user) == ["canceled"]


async def test_what_the_policy_forbids_is_heard(system: System, open_page: OpenPage, watch: Watch) -> None:
    page = await open_page()
    await page.goto(f"{system.api_url}/payments/return")
    await page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.evil = 1' }))"
    )
    assert await page.evaluate("window.evil") is None
    assert [problem for problem in watch.problems if "Content Security Policy" in problem]
    watch.expect("Content Security Policy")


def test_every_system_of_the_browser_tests_is_recorded() -> None:
    """That no card number reaches us is looked for in what `recorded_system` heard, so there must be no other."""
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")}
    for maker in ("running_system", "create_app"):
        assert {name for name, text in sources.items() if f"{maker}(" in text} == {"conftest.py"}


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
