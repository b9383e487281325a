"""The billing pages where plans are chosen, changed, canceled and paused, in a real browser."""

import re
from datetime import datetime, timedelta

from playwright.async_api import expect

from browser.billing import Billing, Catalogue, customer, fail_renewal
from browser.checkout import taken
from browser.watching import AT_A_WIDTH, OpenPage, Watch, check_at_each_width, check_page
from subscribing import SECURE_CARD, SLOW_CARD, post, promotion_code
from system import System, unique

SETTINGS = {
    "CHECKOUT_RETURN_URLS": "http://shop.test",
    "BILLING_LOGIN_URL": "http://shop.test/login",
    "DEFAULT_TRIAL_DAYS": "14",
}


@AT_A_WIDTH
async def test_a_plan_is_changed_as_the_preview_showed(
    system: System, open_page: OpenPage, prices: Catalogue, size: str
) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(size), user).open()
    await tab.shows("Active")
    await check_page(tab.page)
    await tab.press("Change plan")
    # Only what is paid in the currency of this subscription.
    await expect(tab.page.get_by_text("€")).to_have_count(0)
    await check_page(tab.page)
    await tab.page.get_by_role("radio", name="$290.00 per year").check()
    await tab.page.get_by_label("Quantity").fill("2")
    await tab.press("See what it costs")
    # Another interval begins a new period, which is billed at once: two years less the month that was paid.
    await expect(tab.page.locator(".preview__now")).to_contain_text("$571.00")
    await check_page(tab.page)
    await tab.press("Change the plan and pay $571.00")
    await tab.is_told("Your plan has been changed")
    await expect(tab.page.locator(".plan h2")).to_have_text("More tea × 2")
    state = await tab.state()
    assert (state["price"], state["quantity"]) == (prices["yearly"], 2)
    assert await taken(system, user) == [900, 57100]


async def test_a_change_waits_for_the_end_of_the_period_and_is_taken_back(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("status of 409")
    user, _ = await customer(system, prices["large"])
    tab = await Billing(system, await open_page(), user).open(flow="change")
    page, other = tab.page, Billing(system, await open_page(beside=tab.page), user)
    await page.get_by_role("radio", name="$9.00 per month").check()
    await page.get_by_label("Quantity").fill("2")
    await page.get_by_role("radio", name="when this period ends").check()
    await tab.press("See what it costs")
    await expect(page.locator(".preview__now")).to_contain_text("$0.00")
    await expect(page.locator(".preview__due")).to_contain_text("$18.00")
    await expect(page.get_by_text("everything stays as it is")).to_be_visible()
    await check_at_each_width(page)
    # The other moment is one click away, and back.
    await page.get_by_role("link", name="Change it now instead").click()
    await expect(page.get_by_role("button", name="Change the plan", exact=True)).to_be_visible()
    await page.get_by_role("link", name="when this period ends").click()
    await page.get_by_role("button", name="Change the plan on").dblclick()
    await tab.is_told("Your change is set")
    await expect(page.locator(".plan__later")).to_contain_text(re.compile(r"Tea × 2.*\$18.00 per month"))
    await expect(page.locator(".plan__next")).to_contain_text("$18.00")
    await check_at_each_width(page)
    assert (await tab.scheduled()) == [{"price": prices["small"], "quantity": 2}]
    # As long as it waits there is no other: neither by a button, nor in a tab that was open before.
    await expect(page.get_by_role("link", name="Change plan")).to_have_count(0)
    await page.goto(f"{await tab.subscription_path('preview')}?price={prices['yearly']}&quantity=1&when=period_end")
    await expect(page.locator(".plan__later")).to_be_visible()
    # Taken back, in one tab and then in another that was open all the time.
    await other.home()
    await tab.press("Keep my present plan")
    await tab.is_told("Your plan stays as it is")
    await expect(page.locator(".plan__later")).to_have_count(0)
    await other.press("Keep my present plan")
    await other.is_warned("No change waits any more")
    assert await tab.scheduled() == []
    assert (await tab.state())["price"] == prices["large"]
    assert await taken(system, user) == [2900]


async def test_what_is_overdue_changes_with_the_renewal_only(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("status of 409")
    user, _ = await customer(system, prices["large"])
    tab = await Billing(system, await open_page("phone"), user).open()
    now = f"{await tab.subscription_path('preview')}?price={prices['small']}&quantity=1"
    await fail_renewal(system, user)
    await tab.home()
    await tab.page.get_by_role("link", name="Change plan").click()
    await expect(tab.page.get_by_text("A payment is overdue")).to_contain_text("only with the next renewal")
    await expect(tab.page.get_by_role("link", name="Pay $29.00")).to_be_visible()
    await expect(tab.page.get_by_label("Now")).to_have_count(0)
    await check_at_each_width(tab.page)
    await tab.page.get_by_role("radio", name="$9.00 per month").check()
    await tab.press("See what it costs")
    await expect(tab.page.get_by_role("button", name="Change the plan on")).to_be_visible()
    await expect(tab.page.get_by_role("link", name="Change it now instead")).to_have_count(0)
    # By an address that was kept from before.
    await tab.page.goto(now)
    await tab.is_warned("A payment for this plan is overdue")
    await tab.page.get_by_role("link", name="Pay $29.00").click()
    await expect(tab.page.get_by_role("button", name="Pay $29.00")).to_be_visible()
    assert (await tab.state())["price"] == prices["large"]


async def test_a_change_that_waited_takes_place_and_a_cancellation_drops_one(
    system: System, open_page: OpenPage, prices: Catalogue
) -> None:
    user, _ = await customer(system, prices["large"])
    tab = await Billing(system, await open_page("phone"), user).open()
    choice = f"?price={prices['small']}&quantity=3&when=period_end"
    await tab.page.goto(await tab.subscription_path("preview") + choice)
    await tab.page.get_by_role("button", name="Change the plan on").click()
    await tab.is_told("Your change is set")
    await system.advance(to=datetime.fromisoformat((await tab.state())["current_period_end"]) + timedelta(hours=2))
    await tab.home()
    await expect(tab.page.locator(".plan h2")).to_have_text("Tea × 3")
    await expect(tab.page.locator(".plan__later")).to_have_count(0)
    assert await taken(system, user) == [2900, 2700]
    await tab.page.goto(await tab.subscription_path("preview") + choice.replace("=3", "=1"))
    await tab.page.get_by_role("button", name="Change the plan on").click()
    await tab.is_told("Your change is set")
    await tab.press("Cancel subscription")
    await expect(tab.page.get_by_text("The change of your plan that is set for")).to_be_visible()
    await check_at_each_width(tab.page)
    await tab.page.get_by_role("button", name="Cancel my subscription").dblclick()
    await tab.is_told("Your subscription is canceled")
    await tab.shows("Ends soon")
    assert await tab.scheduled() == []
    assert (await tab.state())["cancel_at_period_end"]


async def test_a_promotion_code_is_seen_before_it_counts(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("status of 422")
    code = unique("TEA")
    await promotion_code(system, code)
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(), user).open()
    await tab.press("Use a promotion code")
    await tab.code("NOT-A-CODE", "See what it takes off")
    await tab.is_warned("This promotion code cannot be used")
    await check_at_each_width(tab.page)
    await tab.code(code, "See what it takes off")
    await expect(tab.page.locator(".lines")).to_contain_text(re.compile(r"-\$2.25.*\$6.75", re.DOTALL))
    await check_at_each_width(tab.page)
    await tab.page.get_by_role("button", name="Use this code").dblclick()
    await tab.is_told("Your promotion code counts")
    await expect(tab.page.locator(".plan__next")).to_contain_text("$6.75")
    assert len((await tab.state())["discounts"]) == 1
    assert await taken(system, user) == [900]


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
    await check_at_each_width(tab.page)
    await tab.press("Pay $281.00")
    await tab.page.locator("#another summary").click()
    await tab.type_card("visa")
    await tab.is_told("the payment has arrived")
    assert (await tab.state())["price"] == prices["yearly"]
    assert await taken(system, user) == [900, 28100]


@AT_A_WIDTH
async def test_canceled_with_a_reason_and_taken_back(
    system: System, open_page: OpenPage, prices: Catalogue, size: str
) -> None:
    user, _ = await customer(system, prices["small"])
    tab = await Billing(system, await open_page(size), user).open(flow="cancel")
    await tab.sees("Cancel your subscription")
    await expect(tab.page.get_by_text("You keep your access until")).to_be_visible()
    await check_page(tab.page)
    await tab.page.get_by_label("It is too expensive").check()
    await tab.page.get_by_label("What should we have done better?").fill("Cheaper tea")
    await tab.press("Cancel my subscription")
    await tab.is_told("Your subscription is canceled")
    await tab.shows("Ends soon")
    await check_page(tab.page)
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
    await check_at_each_width(tab.page)
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


async def test_a_first_subscription_paid_on_the_spot(system: System, open_page: OpenPage, prices: Catalogue) -> None:
    user = unique("buyer")
    tab = await Billing(system, await open_page(), user).open(return_url="http://shop.test/account")
    await expect(tab.page.get_by_role("link", name="Return to Acme")).to_have_attribute(
        "href", "http://shop.test/account"
    )
    await expect(tab.page.get_by_text("You have no subscription")).to_be_visible()
    await expect(tab.page.get_by_text("You have no invoices yet")).to_be_visible()
    await check_at_each_width(tab.page)
    await tab.press("See the plans")
    await check_at_each_width(tab.page)
    await tab.page.get_by_role("radio", name="$9.00 per month").check()
    await tab.press("Continue")
    await expect(tab.page.locator(".preview__now")).to_contain_text("$0.00")
    await check_at_each_width(tab.page)
    await tab.press("Start the trial")
    await tab.is_told("You are subscribed")
    await tab.shows("Trial")
    await expect(tab.page.get_by_text("If you add no payment method by then")).to_be_visible()
    await check_at_each_width(tab.page)
    assert (await tab.state())["status"] == "trialing"


async def test_who_had_a_trial_pays_at_once_and_less_by_a_code(
    system: System, open_page: OpenPage, watch: Watch, prices: Catalogue
) -> None:
    watch.expect("status of 422")
    user, subscription = await customer(system, prices["small"], trial_period_days=7)
    gone = await system.call("DELETE", f"/api/subscriptions/{subscription}", {"when": "now"}, user=user)
    assert gone.status == 200, gone.body
    for method in (await system.call("GET", "/api/customers/me/payment-methods", user=user)).body["data"]:
        path = f"/api/customers/me/payment-methods/{method['id']}"
        assert (await system.call("DELETE", path, user=user)).status == 200
    tab = await Billing(system, await open_page(), user).open()
    await tab.shows("Ended")
    await check_at_each_width(tab.page)
    await tab.press("Subscribe again")
    await tab.page.get_by_role("radio", name="$29.00 per month").check()
    await tab.press("Continue")
    await expect(tab.page.locator(".preview__now")).to_contain_text("$29.00")
    await tab.page.get_by_text("Use a promotion code").click()
    await tab.code("NOT-A-CODE", "Apply")
    await tab.is_warned("This promotion code cannot be used")
    await check_at_each_width(tab.page)
    await promotion_code(system, code := unique("TEA"))
    await tab.code(code, "Apply")
    await expect(tab.page.locator(".preview__now")).to_contain_text("$21.75")
    await expect(tab.page.get_by_text(f"$7.25 is taken off by the code {code}.")).to_be_visible()
    await check_at_each_width(tab.page)
    await tab.press("Subscribe")
    await tab.sees("Pay $21.75")
    await tab.home()
    await tab.shows("First payment missing")
    await check_at_each_width(tab.page)
    await tab.press("Pay $21.75")
    await tab.type_card("3D Secure")
    await tab.answer_bank("Complete")
    await tab.is_told("the payment has arrived")
    await tab.shows("Active")
    assert await taken(system, user) == [2175]


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
    assert await taken(system, user) == [2900]
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
    assert await taken(system, user) == [900, 28100]
    assert (await one.history()).count("plan_changed") == 1
