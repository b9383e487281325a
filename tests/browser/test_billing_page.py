"""The billing pages as such: who gets in, in which language, how heavy they are, and that all can be used."""

import re
from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Request, expect

from browser.billing import Billing, Catalogue, customer
from browser.watching import OpenPage, Watch, check_at_each_width
from system import System, unique

SETTINGS = {
    "CHECKOUT_RETURN_URLS": "http://shop.test",
    "BILLING_LOGIN_URL": "http://shop.test/login",
    "BRAND_LOGO_PATH": str(files("tallystick.ui") / "assets" / "tallystick.svg"),
}


async def test_who_has_no_session_is_told_how_to_get_in(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("status of 410")
    watch.expect("status of 404")
    watch.expect("status of 403")
    user, subscription = await customer(system, prices["small"])
    stranger = Billing(system, await open_page(), user)
    await stranger.home()
    await stranger.sees("Your billing page")
    login = stranger.page.get_by_role("link", name="Go to Acme")
    mail = "SELECT context FROM mails WHERE template = 'subscription_welcome' AND recipient = $1"
    assert f"{system.api_url}/billing" in str(await system.value(mail, f"{user}@example.com"))
    await expect(login).to_have_attribute("href", re.compile(r"^http://shop\.test/login\?return_to=.*%2Fbilling$"))
    await check_at_each_width(stranger.page)
    link = await stranger.link()
    mine = Billing(system, await open_page(), user)
    await mine.page.goto(link)
    await mine.shows("Active")
    # In this browser the same link leads on; in another it is used up.
    await mine.page.goto(link)
    await mine.shows("Active")
    await stranger.page.goto(link)
    await stranger.sees("This link has been used")
    await check_at_each_width(stranger.page)
    late = await stranger.link()
    await system.pool.execute(
        "UPDATE portal_links SET expires_at = now() - interval '1 second' WHERE opened_at IS NULL"
    )
    await stranger.page.goto(late)
    await stranger.sees("This link has expired")
    await stranger.page.goto(f"{link[:-1]}!")
    await stranger.sees("There is no such link")
    # Somebody else's subscription and invoices are not there.
    foreign = await Billing(system, stranger.page, unique("other")).open()
    for path in (f"subscriptions/{subscription}/change", f"subscriptions/{subscription}/cancel"):
        await foreign.page.goto(f"{system.api_url}/billing/{path}")
        await foreign.sees("There is no such page")
    # A form that is not of this session does nothing.
    await mine.page.goto(await mine.subscription_path("cancel"))
    await mine.page.evaluate("document.querySelectorAll('[name=csrf]').forEach((field) => { field.value = 'x'; })")
    await mine.press("Cancel my subscription")
    await mine.sees("Please open the page again")
    assert not (await mine.state())["cancel_at_period_end"]
    await mine.home()
    await mine.press("Log out")
    await mine.sees("Your billing page")
    await mine.page.goto(link)
    await mine.sees("This link has been used")


async def test_an_hour_without_activity_ends_the_session(
    system: System, open_page: OpenPage, prices: Catalogue
) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open()
    (cookie,) = await tab.page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/billing")
    stored = await system.fetch("SELECT s::text AS row FROM portal_sessions s")
    assert not any(cookie["value"] in row["row"] for row in stored)
    where = "WHERE user_id = (SELECT id FROM users WHERE external_id = $1)"
    # Used after half an hour, it lasts an hour from then.
    used = "seen_at = now() - interval '30 min', expires_at = now() + interval '30 min'"
    await system.pool.execute(f"UPDATE portal_sessions SET {used} {where}", user)
    await tab.home()
    left = await system.value(f"SELECT expires_at - now() FROM portal_sessions {where}", user)
    assert left.total_seconds() > 3500
    await system.pool.execute(f"UPDATE portal_sessions SET expires_at = now() {where}", user)
    await tab.home()
    await tab.sees("Your billing page")


async def test_the_pages_are_light_and_need_no_pictures(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect(r"ERR_BLOCKED_BY_CLIENT.*(\.svg|/brand/logo)")
    user, _ = await customer(system, prices["small"])
    page = await open_page(dark=True, pictures=False)
    weight: list[int] = []
    blocked: list[str] = []

    async def weigh(request: Request) -> None:
        if request.url.startswith(system.api_url):
            response = await request.response()
            assert response is not None
            if response.status == 200:
                weight.append(len(await response.body()))

    page.on("requestfinished", weigh)
    page.on("requestfailed", lambda request: blocked.append(request.url))
    tab = await Billing(system, page, user).open()
    await tab.shows("Active")
    await check_at_each_width(page)
    page.remove_listener("requestfinished", weigh)
    assert 0 < sum(weight) < 40_000, weight
    assert any("/brand/logo" in url for url in blocked)
    await expect(page.locator(".brand")).to_have_text("Acme")
    # Every page that is not seen in a story of its own.
    for path, title in (
        ("invoices", "Invoices"),
        ("methods/add", "Add a payment method"),
        ("subscriptions/none/change", "There is no such page"),
    ):
        watch.expect("status of 404")
        await page.goto(f"{system.api_url}/billing/{path}")
        await tab.sees(title)
        await check_at_each_width(page)
    # Stripe's form can do without, too.
    await tab.home()
    await tab.press("Add a payment method")
    await tab.type_card("visa")
    await tab.is_told("Your payment method has been saved")


@pytest.mark.parametrize("locale", ["de-DE", "ja-JP"])
async def test_other_languages(system: System, open_page: OpenPage, prices: Catalogue, locale: str) -> None:
    words: dict[str, Any] = {"de-DE": ("Aktiv", "Kündigen"), "ja-JP": ("有効", "解約")}
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page("phone", locale=locale), user).open()
    await tab.shows(words[locale][0])
    await check_at_each_width(tab.page)
    await tab.press(words[locale][1])
    await check_at_each_width(tab.page)
