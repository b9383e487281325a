"""Pictures of every page and state for docs/images: `make screenshots`.

They are taken as tests are, so that a page that complains gives none.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from browser.checkout import Checkout, make_session, make_subscription_session
from browser.pictures import LOOKS, shoot
from browser.watching import OpenPage, Watch
from subscribing import plan, promotion_code, subscribed
from system import System, unique

SETTINGS = {
    "BRAND_NAME": "Acme Tea",
    "TERMS_URL": "http://shop.test/terms",
    "PRIVACY_URL": "http://shop.test/privacy",
    "CHECKOUT_RETURN_URLS": "http://shop.test",
}
Act = Callable[[System, Page, dict[str, Any]], Awaitable[None]]


async def opened(system: System, page: Page, session: dict[str, Any]) -> None:
    await Checkout(page, session["url"]).open()


async def declined(system: System, page: Page, session: dict[str, Any]) -> None:
    checkout = await Checkout(page, session["url"]).open()
    await checkout.pay("insufficient funds")
    await checkout.is_told("did not have enough funds")


async def challenged(system: System, page: Page, session: dict[str, Any]) -> None:
    checkout = await Checkout(page, session["url"]).open()
    await checkout.pay("3D Secure")
    await expect(page.frame_locator("dialog iframe").get_by_role("button", name="Complete")).to_be_visible()


async def offline(system: System, page: Page, session: dict[str, Any]) -> None:
    checkout = await Checkout(page, session["url"]).open()
    await page.route("**/start", lambda route: route.abort("connectionrefused"))
    await checkout.pay()
    await expect(page.locator("#progress")).to_contain_text("The connection was lost")


async def complete(system: System, page: Page, session: dict[str, Any]) -> None:
    await page.route("http://shop.test/**", lambda route: route.fulfill(body="Shop", content_type="text/html"))
    checkout = await Checkout(page, session["url"]).open()
    await checkout.pay()
    await page.wait_for_url("http://shop.test/**")
    await page.goto(session["url"])
    await checkout.sees("Payment received")


async def processing(system: System, page: Page, session: dict[str, Any]) -> None:
    checkout = await Checkout(page, session["url"]).open()
    await checkout.pay_by_bank()
    await checkout.sees("Your payment is on its way")


async def expired(system: System, page: Page, session: dict[str, Any]) -> None:
    answer = await system.call("POST", f"/api/checkout-sessions/{session['id']}/expire", user=session["user"])
    assert answer.status == 200
    await page.goto(session["url"])


async def canceled(system: System, page: Page, session: dict[str, Any]) -> None:
    async with system.http.post(f"{session['url']}/start") as answer:
        assert answer.status == 200
    shown = await system.call("GET", f"/api/checkout-sessions/{session['id']}", user=session["user"])
    path = f"/api/payments/payment-intent/{shown.body['payment_id']}/cancel"
    assert (await system.call("POST", path, user=session["user"])).status == 200
    await page.goto(session["url"])


async def missing(system: System, page: Page, session: dict[str, Any]) -> None:
    await page.goto(f"{system.api_url}/pay/nothing")


STATES: dict[str, Act] = {act.__name__: act for act in (
    opened, declined, challenged, offline, complete, processing, expired, canceled, missing
)}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
async def test_checkout(system: System, open_page: OpenPage, watch: Watch, state: str) -> None:
    watch.expect("status of 404|ERR_CONNECTION_REFUSED")
    for size, dark in LOOKS:
        await picture(system, await open_page(size, dark=dark), f"checkout-{state}", size, dark=dark, act=STATES[state])


async def subscribed_before(system: System, page: Page, session: dict[str, Any]) -> None:
    checkout = await Checkout(page, session["url"]).open()
    await subscribed(system, session["user"], await plan(system))
    await checkout.pay()
    await checkout.is_told("You have a subscription")


async def begun(system: System, page: Page, session: dict[str, Any]) -> None:
    await page.route("http://shop.test/**", lambda route: route.fulfill(body="Shop", content_type="text/html"))
    checkout = await Checkout(page, session["url"]).open()
    await checkout.pay()
    await page.wait_for_url("http://shop.test/**")
    await page.goto(session["url"])


async def saved_card(system: System, page: Page, session: dict[str, Any]) -> None:
    await system.call("POST", "/api/customers", {}, user=session["user"])
    body = {"payment_method": "pm_card_visa", "default": True}
    await system.call("POST", "/api/customers/me/payment-methods", body, user=session["user"])
    await system.quiet()
    await Checkout(page, session["url"]).open()


PLANS: dict[str, tuple[Act, dict[str, Any]]] = {
    "trial": (opened, {"days": 14}),
    "trial-saved": (saved_card, {"days": 14}),
    "trial-complete": (begun, {"days": 14}),
    "discount": (opened, {"quantity": 2, "promotion_code": "TEA"}),
    "declined": (declined, {}),
    "complete": (begun, {}),
    "exists": (subscribed_before, {}),
}


@pytest.mark.parametrize("state", PLANS)
async def test_subscription(system: System, open_page: OpenPage, watch: Watch, state: str) -> None:
    watch.expect("status of 409")
    act, fields = PLANS[state]
    for size, dark in LOOKS:
        page = await open_page(size, dark=dark)
        await subscription_picture(system, page, f"subscribe-{state}", size, dark=dark, act=act, **fields)


@pytest.mark.parametrize("locale", ["de-DE", "ja-JP"])
async def test_subscription_languages(system: System, open_page: OpenPage, locale: str) -> None:
    page = await open_page("phone", locale=locale)
    await subscription_picture(system, page, f"subscribe-{locale[:2]}", "phone", dark=False, act=opened, days=14)


async def subscription_picture(
    system: System, page: Page, name: str, size: str, *, dark: bool, act: Act, **fields: Any
) -> None:
    user, price = unique("ann"), await plan(system, 1500)
    if "promotion_code" in fields:
        fields = {**fields, "promotion_code": f"TEA{LOOKS.index((size, dark)) + 1}"}
        await promotion_code(system, fields["promotion_code"])
    urls: dict[str, Any] = {"success_url": "http://shop.test/thanks", "cancel_url": "http://shop.test/cart"}
    session = await make_subscription_session(
        system, user=user, price=price, description="Tea of the month", **urls, **fields
    )
    await act(system, page, {**session, "user": user})
    await shoot(page, name, size, dark=dark)


@pytest.mark.parametrize("locale", ["de-DE", "ja-JP"])
async def test_languages(system: System, open_page: OpenPage, locale: str) -> None:
    page = await open_page("phone", locale=locale)
    await picture(system, page, f"checkout-{locale[:2]}", "phone", dark=False, act=opened)


async def picture(system: System, page: Page, name: str, size: str, *, dark: bool, act: Act) -> None:
    user = unique("ann")
    urls = {"success_url": "http://shop.test/thanks", "cancel_url": "http://shop.test/cart"}
    session = await make_session(system, user=user, amount=4200, **urls)
    await act(system, page, {**session, "user": user})
    await shoot(page, name, size, dark=dark, full_page=act is not challenged)
