"""The checkout page where it ends in a subscription: one session, one subscription, and a card that pays for it."""

import re
from typing import Any

import pytest
from playwright.async_api import Request, Route, expect

from browser.checkout import Checkout, make_subscription_session, shop, taken
from browser.watching import AT_A_WIDTH, OpenPage, Watch, check_at_each_width, check_page
from subscribing import at_stripe, plan, post, subscribed
from system import System, unique

SETTINGS = {"CHECKOUT_RETURN_URLS": "http://shop.test", "TERMS_URL": "http://shop.test/terms"}
SUCCESS = "http://shop.test/thanks?order=7"
End = tuple[list[str], list[int], bool]
"""What became of it: see `ended`."""
PAID: End = (["active"], [1500], True)
TRIED: End = (["trialing"], [], True)
DECLINED, UNCONFIRMED = "Your bank declined the payment", "The payment was not confirmed with your bank"


async def ready(
    system: System, open_page: OpenPage, size: str = "desktop", *, days: int = 0, **fields: Any
) -> tuple[Checkout, str]:
    """A customer of their own before the form of a new session."""
    user, price = unique("subscriber"), await plan(system, 1500)
    session = await make_subscription_session(system, user=user, price=price, days=days, **fields)
    return await Checkout(await open_page(size), session["url"]).open(), user


async def ended(system: System, user: str) -> End:
    """The statuses of a user's subscriptions at Stripe, the payments that went through, and whether a card is kept."""
    amounts = await taken(system, user)
    found = await at_stripe(system, user)
    kept = bool(found) and all(one["default_payment_method"] for one in found)
    return [one["status"] for one in found], amounts, kept


@AT_A_WIDTH
async def test_a_trial_saves_a_card_and_charges_nothing(system: System, open_page: OpenPage, size: str) -> None:
    urls = {"success_url": SUCCESS, "cancel_url": "http://shop.test/cart"}
    checkout, user = await ready(system, open_page, size, days=14, quantity=3, **urls)
    page = checkout.page
    await shop(page)
    await expect(page.locator("#then")).to_contain_text("Then $45.00 per month, from")
    await expect(page.get_by_text("Due today")).to_be_visible()
    await expect(page.get_by_role("link", name="accept the terms")).to_be_visible()
    await expect(checkout.button).to_have_text("Start your free trial")
    await check_page(page)
    await checkout.pay("declined")
    await checkout.is_told(DECLINED)
    await checkout.pay()
    await page.wait_for_url(re.compile(r"^http://shop\.test/thanks"))
    subscription = await system.value(
        "SELECT s.id FROM subscriptions s JOIN users u ON u.id = s.user_id WHERE external_id = $1", user
    )
    pattern = rf"{re.escape(SUCCESS)}&checkout_session_id=[0-9a-f-]{{36}}&subscription_id={subscription}"
    assert re.fullmatch(pattern, page.url)
    assert await ended(system, user) == TRIED
    await page.goto(checkout.url)
    await checkout.sees("Your free trial has begun")
    await check_page(page)


@AT_A_WIDTH
async def test_decline_after_decline_and_then_it_is_paid(system: System, open_page: OpenPage, size: str) -> None:
    checkout, user = await ready(system, open_page, size)
    await expect(checkout.button).to_have_text("Subscribe and pay $15.00")
    for card, words in (("declined", DECLINED), ("insufficient funds", "did not have enough funds")):
        await checkout.pay(card)
        await checkout.is_told(words)
        await expect(checkout.problem).to_be_focused()
    await check_page(checkout.page)
    # Whoever loads the page again is told what happened before.
    await checkout.open()
    await checkout.is_told("did not have enough funds")
    await checkout.pay()
    await checkout.sees("You are subscribed")
    await check_page(checkout.page)
    assert await ended(system, user) == PAID


@pytest.mark.parametrize(("days", "title", "end"), [(0, "You are subscribed", PAID), (7, "Your free trial", TRIED)])
async def test_the_bank_asks_and_is_answered_in_every_way(
    system: System, open_page: OpenPage, days: int, title: str, end: End
) -> None:
    checkout, user = await ready(system, open_page, "phone", days=days)
    await checkout.pay("3D Secure")
    await checkout.answer_bank("Fail")
    await checkout.is_told(UNCONFIRMED)
    await checkout.button.click()
    await checkout.answer_bank("Cancel")
    await checkout.is_told(UNCONFIRMED)
    # Abandoned: the page is closed over the bank's question, and opened again.
    await checkout.button.click()
    await expect(checkout.page.locator("dialog iframe")).to_be_visible()
    await checkout.open()
    await checkout.pay("3D Secure")
    await checkout.answer_bank("Complete")
    await expect(checkout.title).to_contain_text(title)
    assert await ended(system, user) == end


async def test_a_double_click_and_another_tab_are_one_subscription(
    system: System, open_page: OpenPage, watch: Watch
) -> None:
    # The second try, if it comes after the first, is one that Stripe refuses.
    watch.expect("status of 400.*/confirm")
    one, user = await ready(system, open_page)
    other = await Checkout(await open_page(beside=one.page), one.url).open()
    await one.fill()
    await other.fill()
    await one.button.dblclick(force=True)
    await other.button.click()
    for tab in (one, other):
        await tab.sees("You are subscribed")
    assert await ended(system, user) == PAID


async def test_a_reload_in_the_middle_and_the_back_button(system: System, open_page: OpenPage) -> None:
    checkout, user = await ready(system, open_page, success_url=SUCCESS)
    page = checkout.page
    await shop(page)

    async def reload_instead(route: Route) -> None:
        """Stripe has done it, and the page is loaded again before it hears of that."""
        await route.fetch()
        await page.goto(checkout.url)

    await page.route("**/confirm", reload_instead)
    await checkout.pay()
    await checkout.sees("You are subscribed")
    await page.get_by_role("link", name="Return to Acme").click()
    await page.wait_for_url(re.compile(r"^http://shop\.test/thanks"))
    await page.go_back()
    await checkout.sees("You are subscribed")
    assert await ended(system, user) == PAID


async def test_a_line_that_breaks_makes_no_second_subscription(
    system: System, open_page: OpenPage, watch: Watch
) -> None:
    checkout, user = await ready(system, open_page)
    watch.expect("ERR_CONNECTION_REFUSED|ERR_FAILED")
    lost: list[str] = []

    async def lose(route: Route, request: Request) -> None:
        """The request arrives, its answer does not."""
        lost.append(request.url)
        if len(lost) <= 2:
            await route.fetch()
            await route.abort("connectionrefused")
        else:
            await route.continue_()

    await checkout.page.route(f"{checkout.url}/start", lose)
    await checkout.pay()
    await expect(checkout.page.locator("#progress")).to_contain_text("The connection was lost")
    await checkout.sees("You are subscribed")
    assert await ended(system, user) == PAID


async def test_a_late_webhook_keeps_nobody_waiting(system: System, open_page: OpenPage) -> None:
    checkout, user = await ready(system, open_page, days=7)
    for type_ in ("customer.subscription.updated", "setup_intent.succeeded"):
        await system.fault(target="webhook", kind="delay", delay_s=600, type=type_, times=2)
    await checkout.pay()
    await checkout.sees("Your free trial has begun")
    told = "SELECT count(*) FROM webhook_events WHERE event_type = 'customer.subscription.updated' AND object_id = $1"
    (found,) = await at_stripe(system, user)
    assert await system.value(told, found["id"]) == 0
    await system.sandbox("DELETE", "/_sandbox/faults")


async def test_who_is_subscribed_already_is_shown_the_way(system: System, open_page: OpenPage, watch: Watch) -> None:
    checkout, user = await ready(system, open_page, "phone")
    await subscribed(system, user, await plan(system))
    watch.expect("status of 409")
    await checkout.pay()
    await checkout.is_told("You have a subscription with Acme already")
    await check_at_each_width(checkout.page)
    link = checkout.page.get_by_role("link", name="Go to your billing page")
    await expect(link).to_have_attribute("href", "/billing")
    assert (await ended(system, user))[0] == ["active"]


async def test_what_has_changed_is_shown_before_it_is_paid(system: System, open_page: OpenPage) -> None:
    checkout, user = await ready(system, open_page, "phone")
    customer = (await system.call("POST", "/api/customers", {}, user=user)).body["stripe_customer_id"]
    await post(system, f"/v1/customers/{customer}/balance_transactions", amount=-500, currency="usd")
    await checkout.pay()
    await checkout.is_told("What is due has changed")
    await expect(checkout.button).to_have_text("Subscribe and pay $10.00")
    await check_at_each_width(checkout.page)
    await checkout.pay()
    await checkout.sees("You are subscribed")
    assert await ended(system, user) == (["active"], [1000], True)


async def test_a_card_that_is_saved_pays_later_without_a_form(system: System, open_page: OpenPage) -> None:
    user, price = unique("carded"), await plan(system, 1500)
    await system.call("POST", "/api/customers", {}, user=user)
    body = {"payment_method": "pm_card_visa", "default": True}
    await system.call("POST", "/api/customers/me/payment-methods", body, user=user)
    await system.quiet()
    session = await make_subscription_session(system, user=user, price=price, days=14)
    checkout = await Checkout(await open_page("phone"), session["url"]).open()
    await expect(checkout.page.get_by_text("Visa •••• 4242")).to_be_visible()
    await expect(checkout.page.locator("iframe")).to_have_count(0)
    await check_at_each_width(checkout.page)
    await checkout.button.click()
    await checkout.sees("Your free trial has begun")
    assert (await ended(system, user))[:2] == (["trialing"], [])
