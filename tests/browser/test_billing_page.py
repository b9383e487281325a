"""The billing pages in a real browser, against a real server and the sandbox's Stripe."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Request, Route, expect

from browser.billing import Billing, Catalogue, catalogue, customer, fail_renewal
from browser.conftest import SIZES
from browser.watching import OpenPage, Watch, accessibility_problems
from subscribing import SECURE_CARD, SLOW_CARD, post
from system import System, unique

SETTINGS = {
    "CHECKOUT_RETURN_URLS": "http://shop.test",
    "BILLING_LOGIN_URL": "http://shop.test/login",
    "DEFAULT_TRIAL_DAYS": "14",
}


@pytest_asyncio.fixture(scope="module")
async def prices(system: System) -> AsyncIterator[Catalogue]:
    yield await catalogue(system)


async def clean(page: Page) -> None:
    """The page is accessible, and nothing of it sticks out, on a desktop and on a phone."""
    for width, height in SIZES.values():
        await page.set_viewport_size({"width": width, "height": height})
        assert await accessibility_problems(page) == []
        overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow == 0, page.url


async def charges(system: System, user: str) -> list[int]:
    """What was taken from a user, oldest first."""
    await system.quiet()
    rows = await system.fetch(
        """
        SELECT c.amount FROM charges c JOIN payments p ON p.id = c.payment_id JOIN users u ON u.id = p.user_id
        WHERE u.external_id = $1 AND c.status = 'succeeded' ORDER BY c.created_at, c.id
        """,
        user,
    )
    return [row["amount"] for row in rows]


async def test_a_plan_is_changed_as_the_preview_showed(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open()
    await tab.shows("Active")
    await clean(tab.page)
    await tab.press("Change plan")
    # Only what is paid in the currency of this subscription.
    await expect(tab.page.get_by_text("€")).to_have_count(0)
    await clean(tab.page)
    await tab.page.get_by_role("radio", name="$290.00 per year").check()
    await tab.page.get_by_label("Quantity").fill("2")
    await tab.press("See what it costs")
    # Another interval begins a new period, which is billed at once: two years less the month that was paid.
    await expect(tab.page.locator(".preview__now")).to_contain_text("$571.00")
    await clean(tab.page)
    await tab.press("Change the plan and pay $571.00")
    await tab.is_told("Your plan has been changed")
    await expect(tab.page.locator(".plan h2")).to_have_text("More tea × 2")
    state = await tab.state()
    assert (state["price"], state["quantity"]) == (prices["yearly"], 2)
    assert await charges(system, user) == [900, 57100]


async def test_a_preview_that_no_longer_holds_is_shown_anew(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("status of (409|422)")
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open(flow="change")
    await tab.sees("Change your plan")
    await tab.press("See what it costs")
    await tab.is_warned("This is the plan you have")
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.press("See what it costs")
    await expect(tab.page.locator("h1")).to_have_text("Your new plan")
    row = await tab.state()
    item = {"items[0][id]": row["items"][0]["id"], "items[0][quantity]": 3, "proration_behavior": "none"}
    await post(system, f"/v1/subscriptions/{row['stripe_subscription_id']}", **item)
    await tab.press("Change the plan")
    await tab.is_warned("The amounts have changed")
    assert (await tab.state())["price"] == prices["small"]
    await tab.press("Change the plan")
    await tab.is_told("Your plan has been changed")
    assert (await tab.state())["price"] == prices["large"]


async def test_a_change_that_the_bank_asks_about(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    card = await system.call(
        "POST",
        "/api/customers/me/payment-methods",
        {"payment_method": SECURE_CARD, "default": True},
        user=user,
    )
    assert card.status == 200, card.body
    row = (await system.call("GET", "/api/subscriptions", user=user)).body["data"][0]
    answer = await system.call(
        "PUT", f"/api/subscriptions/{row['id']}", {"payment_method": card.body["stripe_payment_method_id"]}, user=user
    )
    assert answer.status == 200, answer.body
    tab = await Billing(system, await open_page("phone"), user).open(flow="change")
    await tab.page.get_by_role("radio", name="$290.00 per year").check()
    await tab.press("See what it costs")
    await tab.press("Change the plan and pay $281.00")
    await tab.answer_bank("Fail")
    await tab.is_warned("not confirmed with your bank")
    assert (await tab.state())["price"] == prices["small"]
    # Left, and taken up again from the first page; paid with another card then.
    await tab.home()
    await expect(tab.page.get_by_text("waits for its payment")).to_be_visible()
    await clean(tab.page)
    await tab.press("Pay $281.00")
    await tab.page.locator("#another summary").click()
    await tab.type_card("visa")
    await tab.is_told("the payment has arrived")
    assert (await tab.state())["price"] == prices["yearly"]
    assert await charges(system, user) == [900, 28100]


async def test_canceled_with_a_reason_and_taken_back(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open(flow="cancel")
    await tab.sees("Cancel your subscription")
    await expect(tab.page.get_by_text("You keep your access until")).to_be_visible()
    await clean(tab.page)
    await tab.page.get_by_label("It is too expensive").check()
    await tab.page.get_by_label("What should we have done better?").fill("Cheaper tea")
    await tab.press("Cancel my subscription")
    await tab.is_told("Your subscription is canceled")
    await tab.shows("Ends soon")
    await clean(tab.page)
    state = await tab.state()
    assert state["cancel_at_period_end"]
    assert state["cancellation"] == {
        "reason": "cancellation_requested",
        "feedback": "too_expensive",
        "comment": "Cheaper tea",
    }
    await tab.press("Keep my subscription")
    await tab.is_told("Your subscription goes on")
    await tab.shows("Active")
    assert not (await tab.state())["cancel_at_period_end"]
    # The back button, and the form once more as it was: the first answer stands.
    await tab.page.go_back()
    await tab.shows("Active")


async def test_paused_for_a_month_and_resumed(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page("phone"), user).open()
    await tab.press("Pause")
    await clean(tab.page)
    await tab.page.get_by_label("For one month").check()
    await tab.press("Pause my subscription")
    await tab.is_told("Your subscription is paused")
    await tab.shows("Paused")
    await expect(tab.page.get_by_text("You have no access while it is paused")).to_be_visible()
    assert (await tab.state())["pause_collection"]["resumes_at"]
    await tab.press("Resume now")
    await tab.is_told("Your subscription goes on")
    await tab.shows("Active")
    assert (await tab.state())["pause_collection"] is None


async def test_what_is_overdue_is_paid_with_another_card(
    system: System, open_page: OpenPage, prices: Catalogue
) -> None:
    user, _ = await customer(system, prices["small"])
    await fail_renewal(system, user)
    tab = await Billing(system, await open_page(), user).open()
    await tab.shows("Payment overdue")
    await expect(tab.page.locator(".calendar li")).to_have_count(3)
    await clean(tab.page)
    await tab.page.locator(".overdue").get_by_role("link", name="Pay $9.00").click()
    await expect(tab.page.get_by_role("radio").first).to_be_checked()
    await tab.press("Pay $9.00")
    await tab.is_warned("Your bank declined the payment")
    await clean(tab.page)
    await tab.page.locator("#another summary").click()
    await tab.type_card("insufficient funds")
    await tab.is_warned("did not have enough funds")
    await tab.type_card("3D Secure")
    await tab.answer_bank("Complete")
    await tab.is_told("the payment has arrived")
    await tab.shows("Active")
    await expect(tab.page.locator(".overdue")).to_have_count(0)
    await expect(tab.page.locator(".methods .method", has_text="3155")).to_contain_text("Default")
    assert await charges(system, user) == [900, 900]
    entitled = await system.call("GET", "/api/entitlements", user=user)
    assert [product["state"] for product in entitled.body["products"]] == ["active"]


async def test_a_card_is_added_made_the_default_and_the_old_one_removed(
    system: System, open_page: OpenPage, prices: Catalogue
) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open(flow="payment_method")
    await tab.sees("Add a payment method")
    await tab.type_card("declined")
    await tab.is_warned("Your bank declined the payment")
    await clean(tab.page)
    await tab.page.get_by_label("Charge this one from now on").uncheck()
    await tab.type_card("3D Secure")
    await tab.answer_bank("Complete")
    await tab.is_told("Your payment method has been saved")
    rows = tab.page.locator(".methods .method")
    await expect(rows).to_have_count(2)
    await expect(rows.filter(has_text="4242")).to_contain_text("Default")
    await clean(tab.page)
    await tab.page.get_by_role("button", name="Make default: Visa •••• 3155").click()
    await tab.is_told("will be charged from now on")
    await expect(rows.filter(has_text="3155")).to_contain_text("Default")
    row = await tab.state()
    methods = (await system.call("GET", "/api/customers/me/payment-methods", user=user)).body["data"]
    chosen = next(method for method in methods if method["card"]["last4"] == "3155")
    assert chosen["default"]
    assert row["default_payment_method"] == chosen["stripe_payment_method_id"]
    await tab.page.get_by_role("link", name="Remove: Visa •••• 4242").click()
    await clean(tab.page)
    await tab.press("Remove")
    await tab.is_told("has been removed")
    await expect(rows).to_have_count(1)


async def test_a_first_subscription_paid_on_the_spot(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user = unique("buyer")
    tab = await Billing(system, await open_page(), user).open(return_url="http://shop.test/account")
    await expect(tab.page.get_by_role("link", name="Return to Acme")).to_have_attribute(
        "href", "http://shop.test/account"
    )
    await expect(tab.page.get_by_text("You have no subscription")).to_be_visible()
    await expect(tab.page.get_by_text("You have no invoices yet")).to_be_visible()
    await clean(tab.page)
    await tab.press("See the plans")
    await clean(tab.page)
    await tab.page.get_by_role("radio", name="$9.00 per month").check()
    await tab.press("Continue")
    await expect(tab.page.locator(".preview__now")).to_contain_text("$0.00")
    await clean(tab.page)
    await tab.press("Start the trial")
    await tab.is_told("You are subscribed")
    await tab.shows("Trial")
    await expect(tab.page.get_by_text("If you add no payment method by then")).to_be_visible()
    await clean(tab.page)
    assert (await tab.state())["status"] == "trialing"


async def test_who_had_a_trial_pays_at_once(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, subscription = await customer(system, prices["small"], trial_period_days=7)
    gone = await system.call("DELETE", f"/api/subscriptions/{subscription}", {"when": "now"}, user=user)
    assert gone.status == 200, gone.body
    for method in (await system.call("GET", "/api/customers/me/payment-methods", user=user)).body["data"]:
        path = f"/api/customers/me/payment-methods/{method['id']}"
        assert (await system.call("DELETE", path, user=user)).status == 200
    tab = await Billing(system, await open_page(), user).open()
    await tab.shows("Ended")
    await clean(tab.page)
    await tab.press("Subscribe again")
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.press("Continue")
    await expect(tab.page.locator(".preview__now")).to_contain_text("$29.00")
    await tab.press("Subscribe")
    await tab.sees("Pay $29.00")
    await tab.home()
    await tab.shows("First payment missing")
    await clean(tab.page)
    await tab.press("Pay $29.00")
    await tab.type_card("3D Secure")
    await tab.answer_bank("Complete")
    await tab.is_told("the payment has arrived")
    await tab.shows("Active")
    assert await charges(system, user) == [2900]


async def test_a_card_that_is_declined_at_the_start(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, subscription = await customer(system, prices["small"], trial_period_days=7)
    gone = await system.call("DELETE", f"/api/subscriptions/{subscription}", {"when": "now"}, user=user)
    assert gone.status == 200, gone.body
    body = {"payment_method": SLOW_CARD, "default": True}
    kept = await system.call("POST", "/api/customers/me/payment-methods", body, user=user)
    assert kept.status == 200, kept.body
    tab = await Billing(system, await open_page("phone"), user).open()
    await tab.press("Subscribe again")
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.press("Continue")
    await tab.press("Subscribe and pay $29.00")
    await tab.is_warned("Your bank declined the payment")
    await tab.sees("Pay $29.00")
    await tab.page.get_by_role("radio", name="4242").check()
    await tab.press("Pay $29.00")
    await tab.is_told("the payment has arrived")
    await tab.shows("Active")
    assert await charges(system, user) == [2900]
    assert (await tab.state())["price"] == prices["large"]


async def test_a_double_click_a_reload_and_two_tabs_do_one_thing(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("status of (409|422)")
    user, _ = await customer(system, prices["small"])
    one = await Billing(system, await open_page(script=False), user).open()
    other = Billing(system, await open_page(beside=one.page), user)
    for tab in (one, other):
        await tab.page.goto(await tab.subscription_path("change"))
        await tab.page.get_by_role("radio", name="$290.00 per year").check()
        await tab.press("See what it costs")
    # Without any script of ours: the server makes it one.
    await one.page.get_by_role("button", name="Change the plan and pay").dblclick()
    await one.is_told("Your plan has been changed")
    await one.page.reload()
    await one.page.go_back()
    await other.press("Change the plan and pay $281.00")
    await expect(other.problem).to_contain_text(re.compile("This is the plan you have|The amounts have changed"))
    assert await charges(system, user) == [900, 28100]
    assert (await one.history()).count("plan_changed") == 1


async def test_what_is_overdue_is_paid_with_an_older_card_and_no_script(
    system: System, open_page: OpenPage, prices: Catalogue
) -> None:
    user, _ = await customer(system, prices["small"])
    await fail_renewal(system, user)
    # The last day of access is over by now.
    await system.advance("4d")
    tab = await Billing(system, await open_page(script=False), user).open()
    await expect(tab.page.locator(".calendar")).to_contain_text("Your access ended")
    await tab.page.locator(".overdue .button").click()
    await tab.page.get_by_role("radio", name="4242").check()
    # By the keyboard alone.
    await tab.page.get_by_role("button", name="Pay $9.00").focus()
    await tab.page.keyboard.press("Enter")
    await tab.is_told("Your access is in order")
    await tab.shows("Active")
    await expect(tab.page.locator(".methods .method", has_text="4242")).to_contain_text("Default")
    assert await charges(system, user) == [900, 900]


async def test_a_trial_that_ended_without_a_card_is_resumed_with_one(
    system: System, open_page: OpenPage, prices: Catalogue
) -> None:
    user = unique("buyer")
    made = await system.call("POST", "/api/customers", {}, user=user)
    trial = {"trial_period_days": 1, "trial_settings[end_behavior][missing_payment_method]": "pause"}
    price = {"items[0][price]": prices["small"]}
    await post(system, "/v1/subscriptions", customer=made.body["stripe_customer_id"], **trial, **price)
    await system.advance("2d")
    tab = await Billing(system, await open_page(), user).open()
    await tab.shows("Paused")
    await clean(tab.page)
    await tab.page.locator(".plan").get_by_role("link", name="Add a payment method").click()
    await tab.type_card("visa")
    await tab.is_told("Your payment method has been saved")
    await tab.press("Resume now")
    await tab.is_told("Your subscription goes on")
    await tab.shows("Active")
    assert await charges(system, user) == [900]


async def test_stripe_is_away(system: System, open_page: OpenPage, watch: Watch, prices: Catalogue) -> None:
    watch.expect("status of 503")
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open()
    await system.fault(target="api", kind="status", path="/v1/*", status=503, times=None)
    # What we know is shown; what only Stripe knows is not made up.
    await tab.home()
    await tab.shows("Active")
    await expect(tab.page.locator(".plan__next")).to_have_count(0)
    await tab.page.locator(".invoices a").click()
    await expect(tab.page.locator(".paper")).to_contain_text("$9.00")
    await tab.page.goto(await _path(tab, "change"))
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.press("See what it costs")
    await tab.sees("This page cannot be shown right now")
    await system.sandbox("DELETE", "/_sandbox/faults")
    await tab.page.reload()
    await tab.sees("Your new plan")


async def _path(tab: Billing, page: str) -> str:
    """The address of a page about the newest subscription, without asking whether all is quiet."""
    row = (await tab.system.call("GET", "/api/subscriptions", user=tab.user)).body["data"][0]
    return f"{tab.system.api_url}/billing/subscriptions/{row['id']}/{page}"


async def test_a_reload_in_the_middle_of_paying(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    await fail_renewal(system, user)
    tab = await Billing(system, await open_page("phone"), user).open(flow="pay")
    await tab.page.locator("#another summary").click()

    async def reload_instead(route: Route) -> None:
        """Stripe charges the card, and the page is loaded again before it hears of that."""
        await route.fetch()
        await tab.page.goto(f"{tab.page.url.partition('?')[0]}?back=1")

    await tab.page.route("**/confirm", reload_instead)
    await tab.type_card("visa")
    await tab.is_told("the payment has arrived")
    await tab.shows("Active")
    assert await charges(system, user) == [900, 900]


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
    await clean(stranger.page)
    link = await stranger.link()
    mine = Billing(system, await open_page(), user)
    await mine.page.goto(link)
    await mine.shows("Active")
    # In this browser the same link leads on; in another it is used up.
    await mine.page.goto(link)
    await mine.shows("Active")
    await stranger.page.goto(link)
    await stranger.sees("This link has been used")
    await clean(stranger.page)
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


async def test_an_invoice_is_read_and_printed(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open()
    await tab.page.locator(".invoices a").click()
    await tab.sees("Invoice and receipt")
    await expect(tab.page.locator(".paper")).to_contain_text("Visa •••• 4242")
    await clean(tab.page)
    await tab.page.emulate_media(media="print")
    await expect(tab.page.locator(".top")).to_be_hidden()
    await expect(tab.page.get_by_role("button", name="Print")).to_be_hidden()
    await expect(tab.page.locator(".paper")).to_be_visible()


async def test_the_pages_are_light_and_need_no_pictures(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    user, _ = await customer(system, prices["small"])
    page = await open_page(dark=True)
    weight: list[int] = []

    async def weigh(request: Request) -> None:
        if request.url.startswith(system.api_url):
            response = await request.response()
            assert response is not None
            if response.status == 200:
                weight.append(len(await response.body()))

    watch.expect(r"ERR_FAILED.*\.svg")
    page.on("requestfinished", weigh)
    await page.route(re.compile(r"\.(svg|png)\b|/logo"), lambda route: route.abort())
    tab = await Billing(system, page, user).open()
    await tab.shows("Active")
    await clean(page)
    assert sum(weight) < 40_000, weight


@pytest.mark.parametrize("locale", ["de-DE", "ja-JP"])
async def test_other_languages(system: System, open_page: OpenPage, prices: Catalogue, locale: str) -> None:
    words: dict[str, Any] = {"de-DE": ("Aktiv", "Kündigen"), "ja-JP": ("有効", "解約")}
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page("phone", locale=locale), user).open()
    await tab.shows(words[locale][0])
    await clean(tab.page)
    await tab.press(words[locale][1])
    await clean(tab.page)
