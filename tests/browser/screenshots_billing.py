"""Pictures of the billing pages for docs/images: part of `make screenshots`."""

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import expect

from browser.billing import Billing, Catalogue, customer, fail_renewal
from browser.pictures import FEW, LOOKS, shoot
from browser.watching import OpenPage, Watch
from subscribing import promotion_code
from system import System, unique

SETTINGS = {
    "BRAND_NAME": "Acme Tea",
    "TERMS_URL": "http://shop.test/terms",
    "PRIVACY_URL": "http://shop.test/privacy",
    "CHECKOUT_RETURN_URLS": "http://shop.test",
    "BILLING_LOGIN_URL": "http://shop.test/login",
}
Act = Callable[[Billing], Awaitable[None]]


async def home(tab: Billing) -> None:
    await expect(tab.page.locator(".plan, .empty").first).to_be_visible()


async def plans(tab: Billing) -> None:
    await tab.page.goto(await tab.subscription_path("change"))


async def preview(tab: Billing) -> None:
    await plans(tab)
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.press("See what it costs")
    await tab.sees("Your new plan")


async def later(tab: Billing) -> None:
    await plans(tab)
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.page.get_by_role("radio", name="when this period ends").check()
    await tab.press("See what it costs")
    await tab.sees("Your new plan")


async def scheduled(tab: Billing) -> None:
    if await tab.page.locator(".plan__later").count() == 0:
        await later(tab)
        await tab.page.get_by_role("button", name="Change the plan on").click()
        await tab.is_told("Your change is set")


async def code(tab: Billing) -> None:
    await tab.page.goto(await tab.subscription_path("code"))
    await tab.code("TEATIME", "See what it takes off")
    await expect(tab.page.locator(".lines")).to_contain_text("$6.75")


async def no_code(tab: Billing) -> None:
    await tab.page.goto(await tab.subscription_path("code"))
    await tab.code("TEATME", "See what it takes off")
    await tab.is_warned("This promotion code cannot be used")


async def cancel(tab: Billing) -> None:
    await tab.page.goto(await tab.subscription_path("cancel"))


async def pause(tab: Billing) -> None:
    await tab.page.goto(await tab.subscription_path("pause"))


async def method(tab: Billing) -> None:
    await tab.page.goto(f"{tab.system.api_url}/billing/methods/add")
    await expect(tab.go).to_be_enabled()


async def invoice(tab: Billing) -> None:
    await tab.page.locator(".invoices a").last.click()
    await expect(tab.page.locator(".paper")).to_be_visible()


async def pay(tab: Billing) -> None:
    await tab.page.locator(".overdue .button").click()
    await tab.press("Pay $9.00")
    await tab.is_warned("Your bank declined the payment")


async def outside(tab: Billing) -> None:
    await tab.press("Log out")
    await tab.sees("Your billing page")


@pytest.mark.parametrize(
    ("act", "looks"),
    [
        (home, LOOKS),
        (preview, LOOKS),
        *((act, FEW) for act in (plans, later, scheduled, code, no_code, cancel, pause, method, invoice, outside)),
    ],
)
async def test_subscribed(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue, act: Act, looks: list[tuple[str, bool]]
) -> None:
    watch.expect("status of 422")
    if act is code:
        await promotion_code(system, "TEATIME")
    user, _ = await customer(system, prices["small"])
    await pictures(system, open_page, user, act.__name__.replace("_", "-"), act, looks)


async def test_overdue(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    await fail_renewal(system, user)
    await pictures(system, open_page, user, "overdue", home, LOOKS)
    await pictures(system, open_page, user, "pay", pay, LOOKS)


@pytest.mark.parametrize("state", ["none", "trial", "paused", "ending", "ended"])
async def test_other_states(system: System, open_page: OpenPage, watch: Watch, prices: Catalogue, state: str) -> None:
    user, subscription = unique("buyer"), ""
    if state == "trial":
        body = {"price": prices["small"], "trial_period_days": 14}
        made = await system.call("POST", "/api/subscriptions", body, user=user)
        assert made.status == 201, made.body
    elif state != "none":
        user, subscription = await customer(system, prices["small"])
    path = f"/api/subscriptions/{subscription}"
    calls: dict[str, tuple[str, str, dict[str, str]]] = {
        "paused": ("POST", f"{path}/pause", {}),
        "ending": ("DELETE", path, {}),
    }
    calls["ended"] = ("DELETE", path, {"when": "now"})
    if state in calls:
        answer = await system.call(*calls[state], user=user)
        assert answer.status == 200, answer.body
    await system.quiet()
    await pictures(system, open_page, user, state, home, FEW)


async def test_subscribe(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    await promotion_code(system, "FIRST")

    async def act(tab: Billing) -> None:
        await tab.page.goto(f"{system.api_url}/billing/subscribe?price={prices['small']}&promotion_code=FIRST")
        await expect(tab.page.locator(".preview__due")).to_contain_text("$6.75")

    await pictures(system, open_page, unique("buyer"), "subscribe", act, FEW)


@pytest.mark.parametrize("locale", ["de", "ja"])
async def test_languages(system: System, open_page: OpenPage, prices: Catalogue, locale: str) -> None:
    user, _ = await customer(system, prices["small"])
    await fail_renewal(system, user)
    await pictures(system, open_page, user, locale, home, [LOOKS[2]], locale=locale)


async def pictures(
    system: System,
    open_page: OpenPage,
    user: str,
    name: str,
    act: Act,
    looks: list[tuple[str, bool]],
    **wanted: str,
) -> None:
    for size, dark in looks:
        tab = await Billing(system, await open_page(size, dark=dark), user).open(
            return_url="http://shop.test/account", **wanted
        )
        await act(tab)
        await shoot(tab.page, f"billing-{name}", size, dark=dark)
