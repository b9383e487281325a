"""Pictures of the billing pages for docs/images: part of `make screenshots`."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import expect

from browser.billing import Billing, Catalogue, catalogue, customer, fail_renewal
from browser.screenshots import FOLDER, LOOKS, smaller
from browser.watching import OpenPage, Watch
from system import System, unique

SETTINGS = {
    "BRAND_NAME": "Acme Tea",
    "TERMS_URL": "http://shop.test/terms",
    "PRIVACY_URL": "http://shop.test/privacy",
    "CHECKOUT_RETURN_URLS": "http://shop.test",
    "BILLING_LOGIN_URL": "http://shop.test/login",
}
FEW = [LOOKS[0], LOOKS[3]]
Act = Callable[[Billing], Awaitable[None]]


@pytest_asyncio.fixture(scope="module")
async def prices(system: System) -> AsyncIterator[Catalogue]:
    yield await catalogue(system)


async def home(tab: Billing) -> None:
    await expect(tab.page.locator(".plan, .empty").first).to_be_visible()


async def plans(tab: Billing) -> None:
    await tab.page.goto(await tab.subscription_path("change"))


async def preview(tab: Billing) -> None:
    await plans(tab)
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.press("See what it costs")
    await tab.sees("Your new plan")


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
    [(home, LOOKS), (preview, LOOKS), *((act, FEW) for act in (plans, cancel, pause, method, invoice, outside))],
)
async def test_subscribed(
    system: System, open_page: OpenPage, prices: Catalogue, act: Act, looks: list[tuple[str, bool]]
) -> None:
    user, _ = await customer(system, prices["small"])
    await pictures(system, open_page, user, act.__name__, act, looks)


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
    FOLDER.mkdir(parents=True, exist_ok=True)
    for size, dark in looks:
        tab = await Billing(system, await open_page(size, dark=dark), user).open(
            return_url="http://shop.test/account", **wanted
        )
        await act(tab)
        image = await tab.page.screenshot(full_page=True, animations="disabled", caret="hide")
        (FOLDER / f"billing-{name}-{size}-{'dark' if dark else 'light'}.png").write_bytes(smaller(image))
