"""The billing pages where money is owed: overdue invoices, cards, and the invoices themselves, in a real browser."""

from datetime import datetime, timedelta

from playwright.async_api import Route, expect

from browser.billing import Billing, Catalogue, customer, fail_renewal
from browser.checkout import taken
from browser.watching import AT_A_WIDTH, OpenPage, Watch, check_at_each_width, check_page
from subscribing import change, post
from system import System, unique

SETTINGS = {
    "CHECKOUT_RETURN_URLS": "http://shop.test",
    "BILLING_LOGIN_URL": "http://shop.test/login",
}


@AT_A_WIDTH
async def test_what_is_overdue_is_paid_with_another_card(
    system: System, open_page: OpenPage, prices: Catalogue, size: str
) -> None:
    user, _ = await customer(system, prices["small"])
    await fail_renewal(system, user)
    tab = await Billing(system, await open_page(size), user).open()
    await tab.shows("Payment overdue")
    await expect(tab.page.locator(".calendar li")).to_have_count(3)
    await check_page(tab.page)
    await tab.page.locator(".overdue").get_by_role("link", name="Pay $9.00").click()
    await expect(tab.page.get_by_role("radio").first).to_be_checked()
    await tab.press("Pay $9.00")
    await tab.is_warned("Your bank declined the payment")
    await check_page(tab.page)
    await tab.page.locator("#another summary").click()
    await tab.type_card("insufficient funds")
    await tab.is_warned("did not have enough funds")
    await tab.type_card("3D Secure")
    await tab.answer_bank("Complete")
    await tab.is_told("the payment has arrived")
    await tab.shows("Active")
    await expect(tab.page.locator(".overdue")).to_have_count(0)
    # The event of the card may come after that of the payment.
    await system.quiet()
    await tab.page.reload()
    await expect(tab.page.locator(".methods .method", has_text="3155")).to_contain_text("Default")
    assert await taken(system, user) == [900, 900]
    entitled = await system.call("GET", "/api/entitlements", user=user)
    assert [product["state"] for product in entitled.body["products"]] == ["active"]


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
    assert await taken(system, user) == [900, 900]


async def test_an_old_invoice_of_what_was_renewed_since_takes_no_access(
    system: System, open_page: OpenPage, prices: Catalogue
) -> None:
    user, subscription = await customer(system, prices["small"])
    await system.sandbox("POST", "/_sandbox/settings", {"retry_days": [], "after_last_retry": "past_due"})
    try:
        await fail_renewal(system, user)
        state = await change(system, user, subscription, {"payment_method": "pm_card_visa"})
        await system.advance(to=datetime.fromisoformat(state.body["current_period_end"]) + timedelta(hours=2))
    finally:
        await system.sandbox("POST", "/_sandbox/settings", {"retry_days": [3, 5, 7], "after_last_retry": "cancel"})
    tab = await Billing(system, await open_page(script=False), user).open()
    await tab.shows("Active")
    await expect(tab.page.locator(".overdue h2")).to_have_text("$9.00 is overdue")
    await expect(tab.page.locator(".overdue .calendar li")).to_have_count(1)
    await expect(tab.page.locator(".overdue")).not_to_contain_text("access")


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
    assert await taken(system, user) == [900, 900]


@AT_A_WIDTH
async def test_a_card_is_added_made_the_default_and_the_old_one_removed(
    system: System, open_page: OpenPage, prices: Catalogue, size: str
) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(size), user).open(flow="payment_method")
    await tab.sees("Add a payment method")
    await tab.type_card("declined")
    await tab.is_warned("Your bank declined the payment")
    await check_page(tab.page)
    await tab.page.get_by_label("Charge this one from now on").uncheck()
    await tab.type_card("3D Secure")
    await tab.answer_bank("Complete")
    await tab.is_told("Your payment method has been saved")
    rows = tab.page.locator(".methods .method")
    await expect(rows).to_have_count(2)
    await expect(rows.filter(has_text="4242")).to_contain_text("Default")
    await check_page(tab.page)
    await tab.page.get_by_role("button", name="Make default: Visa •••• 3155").click()
    await tab.is_told("will be charged from now on")
    await expect(rows.filter(has_text="3155")).to_contain_text("Default")
    row = await tab.state()
    methods = (await system.call("GET", "/api/customers/me/payment-methods", user=user)).body["data"]
    chosen = next(method for method in methods if method["card"]["last4"] == "3155")
    assert chosen["default"]
    assert row["default_payment_method"] == chosen["stripe_payment_method_id"]
    await tab.page.get_by_role("link", name="Remove: Visa •••• 4242").click()
    await check_page(tab.page)
    await tab.press("Remove")
    await tab.is_told("has been removed")
    await expect(rows).to_have_count(1)


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
    await check_at_each_width(tab.page)
    await tab.page.locator(".plan").get_by_role("link", name="Add a payment method").click()
    await tab.type_card("visa")
    await tab.is_told("Your payment method has been saved")
    await tab.press("Resume now")
    await tab.is_told("Your subscription goes on")
    await tab.shows("Active")
    assert await taken(system, user) == [900]


async def test_an_invoice_is_read_and_printed(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open()
    await tab.page.locator(".invoices a").click()
    await tab.sees("Invoice and receipt")
    await expect(tab.page.locator(".paper")).to_contain_text("Visa •••• 4242")
    await check_at_each_width(tab.page)
    await tab.page.emulate_media(media="print")
    await expect(tab.page.locator(".top")).to_be_hidden()
    await expect(tab.page.get_by_role("button", name="Print")).to_be_hidden()
    await expect(tab.page.locator(".paper")).to_be_visible()


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
