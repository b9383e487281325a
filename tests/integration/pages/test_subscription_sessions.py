"""Checkout sessions of mode subscription by their routes: one session, one subscription, at the price shown."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from checking_out import BASE, Customer, show, subscribe
from subscribing import (
    SLOW_CARD,
    at_stripe,
    create,
    delete,
    get,
    history,
    plan,
    post,
    promotion_code,
    subscribed,
)
from system import A_VERSION, System, unique

pytestmark = A_VERSION


async def statuses(system: System, user: str) -> list[str]:
    """Those of the user's subscriptions at Stripe, newest first."""
    return [found["status"] for found in await at_stripe(system, user)]


async def paid(system: System, user: str) -> int:
    """How much of a user's money was taken, in minor units."""
    await system.quiet()
    taken: int = await system.value(
        """
        SELECT coalesce(sum(p.amount), 0)::bigint FROM payments p JOIN users u ON u.id = p.user_id
        WHERE u.external_id = $1 AND p.status = 'succeeded'
        """,
        user,
    )
    return taken


async def save_card(system: System, user: str, card: str = "pm_card_visa") -> None:
    assert (await system.call("POST", "/api/customers", {}, user=user)).status in (200, 201)
    body = {"payment_method": card, "default": True}
    assert (await system.call("POST", "/api/customers/me/payment-methods", body, user=user)).status in (200, 201)
    await system.quiet()


async def test_a_session_becomes_one_subscription(system: System) -> None:
    user, price = unique("subscriber"), await plan(system, 1500)
    urls = {"success_url": "http://localhost:3000/thanks"}
    session, customer = await subscribe(system, user, price, quantity=2, metadata={"team": "red"}, **urls)
    assert (session["amount"], session["currency"], session["description"]) == (3000, "usd", "Gold")
    assert (session["subscription_id"], session["payment_id"]) == (None, None)
    html = (await customer.page())[1]
    assert "$30.00 per month until you cancel" in html
    assert "Subscribe and pay $30.00" in html
    assert await at_stripe(system, user) == []
    assert await customer.confirm("pm_card_visa_chargeDeclined") == "generic_decline"
    await system.quiet()
    assert "declined" in (await customer.state())["problem"]["reason"]
    assert (await customer.start())[1]["intent"] == "payment"
    assert await customer.confirm() == "succeeded"
    await system.quiet()
    shown = await show(system, session, user)
    assert (shown["status"], shown["amount"]) == ("complete", 3000)
    subscription = await get(system, user, shown["subscription_id"])
    assert (subscription["status"], subscription["quantity"], subscription["metadata"]) == (
        "active",
        2,
        {"team": "red"},
    )
    assert subscription["default_payment_method"]
    assert await statuses(system, user) == ["active"]
    assert await paid(system, user) == 3000
    ids = f"checkout_session_id={session['id']}&subscription_id={shown['subscription_id']}"
    assert (await customer.state())["next"] == f"http://localhost:3000/thanks?{ids}"
    assert (await customer.start())[1]["status"] == "complete"
    assert "You are subscribed" in (await customer.page())[1]


async def test_a_trial_saves_the_card_and_charges_nothing(system: System) -> None:
    user, price = unique("trier"), await plan(system, 1500)
    session, customer = await subscribe(system, user, price, trial_period_days=10)
    assert (session["amount"], session["recurring"]["trial_days"]) == (0, 10)
    html = (await customer.page())[1]
    assert "10 days free" in html
    assert f"Then $15.00 per month, from {day(system, 10)}. Cancel before then" in html
    status, started = await customer.start()
    assert (status, started["intent"]) == (200, "setup")
    assert await customer.confirm_with(started["client_secret"], "pm_card_visa_chargeDeclined") == "generic_decline"
    await system.quiet()
    # It has begun at Stripe, but the customer has not done what was asked.
    assert (await show(system, session, user))["status"] == "open"
    assert "declined" in (await customer.state())["problem"]["reason"]
    assert await customer.confirm() == "succeeded"
    await system.quiet()
    shown = await show(system, session, user)
    assert shown["status"] == "complete"
    subscription = await get(system, user, shown["subscription_id"])
    assert (subscription["status"], subscription["default_payment_method"] is not None) == ("trialing", True)
    html = (await customer.page())[1]
    assert "Your free trial has begun" in html
    assert day(system, 10) in html
    assert await paid(system, user) == 0
    await system.advance("11d")
    assert await paid(system, user) == 1500


def day(system: System, days: int) -> str:
    at = system.now() + timedelta(days=days)
    return f"{at:%B} {at.day}, {at.year}"


async def test_presses_at_the_same_time_are_one_subscription(system: System) -> None:
    user, price = unique("hasty"), await plan(system)
    _, customer = await subscribe(system, user, price)
    answers = await asyncio.gather(*(customer.start() for _ in range(4)))
    secrets = {body["client_secret"] for status, body in answers if status == 200}
    assert [status for status, _ in answers].count(200) == 4
    assert len(secrets) == 1
    await asyncio.gather(*(customer.confirm_with(next(iter(secrets))) for _ in range(2)))
    assert await paid(system, user) == 1000
    assert await statuses(system, user) == ["active"]


async def test_an_answer_of_stripe_that_is_lost_makes_no_second_subscription(system: System) -> None:
    user, price = unique("unlucky"), await plan(system)
    _, customer = await subscribe(system, user, price)
    await system.fault(target="api", kind="cut", when="after", method="POST", path="/v1/subscriptions", times=2)
    answers = [await customer.start()]
    while answers[-1][0] != 200:
        assert answers[-1][0] in (409, 503), answers[-1]
        assert len(answers) < 100
        await asyncio.sleep(0.2)
        answers.append(await customer.start())
    assert await customer.confirm_with(answers[-1][1]["client_secret"]) == "succeeded"
    await system.quiet()
    assert await statuses(system, user) == ["active"]


@pytest.mark.parametrize("days", [0, 7])
async def test_stripe_is_asked_where_a_webhook_is_late(system: System, days: int) -> None:
    user, price = unique("early"), await plan(system)
    session, customer = await subscribe(system, user, price, trial_period_days=days)
    _, started = await customer.start()
    await system.quiet()
    for type_ in ("customer.subscription.updated", "setup_intent.succeeded"):
        await system.fault(target="webhook", kind="drop", type=type_, times=2)
    assert await customer.confirm_with(started["client_secret"]) == "succeeded"
    await system.quiet()
    assert (await customer.state())["status"] == "open"
    assert (await customer.state("?ask=1"))["status"] == "complete"
    assert (await show(system, session, user))["status"] == "complete"
    await system.sandbox("DELETE", "/_sandbox/faults")


async def test_who_has_a_subscription_is_told_so(system: System) -> None:
    user, price = unique("member"), await plan(system)
    _, customer = await subscribe(system, user, price)
    made = await subscribed(system, user, price)
    status, body = await customer.start()
    assert (status, body["code"], body["problem"]["link"]) == (409, "SUBSCRIPTION_EXISTS", "/billing")
    assert "You have a subscription with Acme already" in body["problem"]["reason"]
    await delete(system, f"/v1/subscriptions/{made['stripe_subscription_id']}")
    assert (await customer.start())[0] == 200


async def test_what_is_not_on_offer_any_more(system: System) -> None:
    user, price = unique("slow"), await plan(system)
    code = await promotion_code(system, unique("ONCE"), max_redemptions=1)
    _, archived = await subscribe(system, user, price)
    _, coded = await subscribe(system, user, await plan(system, 2000), promotion_code=code)
    await subscribed(system, unique("quick"), await plan(system), promotion_code=code)
    await post(system, f"/v1/prices/{price}", active="false")
    await system.quiet()
    for customer, problem in ((archived, "PRICE_NOT_USABLE"), (coded, "PROMOTION_CODE_NOT_USABLE")):
        status, body = await customer.start()
        assert (status, body["code"]) == (409, problem)
        assert "any more" in body["problem"]["reason"]
    assert await at_stripe(system, user) == []


async def test_a_session_takes_up_what_another_began(system: System) -> None:
    user, price = unique("returning"), await plan(system)
    first, early = await subscribe(system, user, price)
    _, begun = await early.start()
    second, late = await subscribe(system, user, price)
    _, again = await late.start()
    assert again == begun
    # The first page runs out while the customer is at the second.
    assert (await system.call("POST", f"{BASE}/{first['id']}/expire", user=user)).status == 200
    await system.quiet()
    assert await statuses(system, user) == ["incomplete"]
    assert await late.confirm() == "succeeded"
    await system.quiet()
    assert (await show(system, second, user))["status"] == "complete"
    assert await statuses(system, user) == ["active"]


async def test_two_sessions_pressed_at_once_are_one_subscription(system: System) -> None:
    user, (price, other) = unique("torn"), (await plan(system), await plan(system, 2000))
    pages = [(await subscribe(system, user, wanted))[1] for wanted in (price, price, other)]

    async def press(customer: Customer) -> Any:
        """As the page's script does: again, where it is told to come back."""
        for _ in range(50):
            status, body = await customer.start()
            if status == 200:
                return body
            assert status in (409, 503), body
            await asyncio.sleep(0.1)
        raise AssertionError("never let in")

    await asyncio.gather(*(press(customer) for customer in pages))
    # Whatever came last is what can be paid.
    assert sorted(await statuses(system, user)).count("incomplete") == 1
    await system.quiet()
    for customer in pages:
        await customer.state("?ask=1")
        body = await press(customer)
        if "client_secret" in body:
            await customer.confirm_with(body["client_secret"])
            await system.quiet()
    assert (await statuses(system, user)).count("active") == 1
    assert await paid(system, user) in (1000, 2000)


async def test_a_trial_that_waits_for_its_card_is_taken_up(system: System) -> None:
    user, price = unique("hesitant"), await plan(system)
    _, first = await subscribe(system, user, price, trial_period_days=14)
    await first.start()
    session, second = await subscribe(system, user, price, trial_period_days=14)
    assert (session["amount"], session["recurring"]["trial_days"]) == (0, 14)
    _, started = await second.start()
    assert started["intent"] == "setup"
    assert await second.confirm() == "succeeded"
    await system.quiet()
    assert await statuses(system, user) == ["trialing"]
    # The application's own request is told that there is one.
    assert (await create(system, user, price)).code == "SUBSCRIPTION_EXISTS"
    other, _ = await subscribe(system, user, await plan(system), trial_period_days=14)
    assert (other["amount"], other["recurring"]["trial_days"]) == (1000, 0)


async def test_what_a_session_began_ends_with_it(system: System) -> None:
    price, (payer, trier) = await plan(system), (unique("payer"), unique("trier"))
    for user, days, ended in ((payer, 0, "incomplete_expired"), (trier, 7, "canceled")):
        session, customer = await subscribe(system, user, price, trial_period_days=days, expires_in_s=3600)
        _, started = await customer.start()
        await system.quiet()
        await system.advance("61m")
        await system.quiet()
        assert (await show(system, session, user))["status"] == "expired"
        assert await statuses(system, user) == [ended]
        assert "This page has expired" in (await customer.page())[1]
        assert (await customer.start())[1] == {"status": "expired", "next": None}
        if not days:
            assert await customer.confirm_with(started["client_secret"]) == "payment_intent_unexpected_state"
        told = await history(system, user, (await show(system, session, user))["subscription_id"])
        assert (told[0]["actor"], told[0]["reason"]) == ("tallystick", "abandoned")


@pytest.mark.parametrize(("days", "left"), [(0, "active"), (7, "trialing")])
async def test_what_is_done_in_the_last_second_is_not_ended(system: System, days: int, left: str) -> None:
    user, price = unique("late"), await plan(system)
    session, customer = await subscribe(system, user, price, trial_period_days=days)
    _, started = await customer.start()
    await system.quiet()
    await system.fault(target="webhook", kind="drop", type="*", times=20)
    assert await customer.confirm_with(started["client_secret"]) == "succeeded"
    assert (await system.call("POST", f"{BASE}/{session['id']}/expire", user=user)).status == 200
    await system.quiet()
    await system.sandbox("DELETE", "/_sandbox/faults")
    assert await statuses(system, user) == [left]
    assert (await show(system, session, user))["status"] == "complete"


async def test_nobody_pays_what_was_not_shown(system: System) -> None:
    user, price = unique("changed"), await plan(system, 1500)
    session, customer = await subscribe(system, user, price, trial_period_days=14)
    assert session["amount"] == 0
    # The one trial is used up elsewhere in between.
    used = await create(system, user, await plan(system), trial_period_days=3)
    await delete(system, f"/v1/subscriptions/{used.body['stripe_subscription_id']}")
    await system.quiet()
    assert (await customer.start()) == (200, {"changed": True})
    assert "What is due has changed" in (await customer.page("?changed=1"))[1]
    assert "Subscribe and pay $15.00" in (await customer.page())[1]
    shown = await show(system, session, user)
    assert (shown["amount"], shown["recurring"]["trial_days"]) == (1500, 0)
    assert await customer.confirm() == "succeeded"
    assert await paid(system, user) == 1500


async def test_credit_is_taken_off(system: System) -> None:
    user, price = unique("credited"), await plan(system, 1500)
    _, before = await subscribe(system, user, price)
    customer_id = (await system.call("POST", "/api/customers", {}, user=user)).body["stripe_customer_id"]
    await post(system, f"/v1/customers/{customer_id}/balance_transactions", amount=-400, currency="usd")
    session, after = await subscribe(system, user, price)
    assert (session["amount"], session["recurring"]["credit"]) == (1100, 400)
    assert "-$4.00" in (await after.page())[1].replace("\u2212", "-")
    assert (await before.start())[1] == {"changed": True}
    assert "Subscribe and pay $11.00" in (await before.page())[1]
    assert await before.confirm() == "succeeded"
    assert await paid(system, user) == 1100


async def test_a_saved_card_pays_after_the_trial_without_a_form(system: System) -> None:
    user, price = unique("carded"), await plan(system)
    session, customer = await subscribe(system, user, price, trial_period_days=14)
    assert 'id="payment-element"' in (await customer.page())[1]
    await save_card(system, user)
    # The page with its form is of before: the card typed there would not be the one that pays.
    assert (await customer.start())[1] == {"changed": True}
    html = (await customer.page())[1]
    assert "Visa •••• 4242" in html
    assert "payment-element" not in html
    assert (await customer.start("?saved=1"))[1]["status"] == "complete"
    assert (await show(system, session, user))["status"] == "complete"
    assert await statuses(system, user) == ["trialing"]


async def test_a_saved_card_is_not_charged_by_whoever_has_the_link(system: System) -> None:
    user, price = unique("carded"), await plan(system)
    await save_card(system, user, SLOW_CARD)
    _, customer = await subscribe(system, user, price)
    assert "••••" not in (await customer.page())[1]
    assert (await customer.start())[1]["intent"] == "payment"
    assert await statuses(system, user) == ["incomplete"]
    assert await customer.confirm() == "succeeded"
    assert await paid(system, user) == 1000


@pytest.mark.parametrize(
    ("account", "end"), [("pm_usBankAccount_success", "complete"), ("pm_usBankAccount_accountClosed", "expired")]
)
async def test_a_first_payment_that_takes_days_is_on_its_way(system: System, account: str, end: str) -> None:
    user, price = unique("debtor"), await plan(system)
    session, customer = await subscribe(system, user, price)
    _, started = await customer.start()
    secret = started["client_secret"]
    path = f"/v1/payment_intents/{secret.partition('_secret_')[0]}"
    await post(system, path, **{"payment_method_types[0]": "us_bank_account"})
    assert await customer.confirm_with(secret, account) == "processing"
    await system.quiet()
    assert (await show(system, session, user))["status"] == "processing"
    assert "Your payment is on its way" in (await customer.page())[1]
    assert (await customer.start())[1]["status"] == "processing"
    await system.advance("6d")
    assert (await show(system, session, user))["status"] == end


@pytest.mark.parametrize(
    ("coupon", "days", "words"),
    [
        ({"percent_off": 25, "duration": "forever"}, 0, "Today, and then $7.50 per month until you cancel."),
        ({"percent_off": 25, "duration": "once"}, 0, "Today, and then $10.00 per month until you cancel."),
        (
            {"percent_off": 25, "duration": "repeating", "duration_in_months": 3},
            0,
            "Today, and then $7.50 per month while the discount lasts: 3 months in all. After that it is $10.00 per",
        ),
        ({"percent_off": 25, "duration": "forever"}, 3, "Then $7.50 per month, from "),
        ({"amount_off": 300, "currency": "usd", "duration": "once"}, 1, "Then $7.00 on "),
    ],
)
async def test_a_discount_is_told(system: System, coupon: dict[str, Any], days: int, words: str) -> None:
    user, price = unique("saver"), await plan(system)
    made = await post(system, "/v1/coupons", **coupon)
    newest = system.settings.stripe_api_version >= "2025-09-30"
    named = {"promotion[type]": "coupon", "promotion[coupon]": made["id"]} if newest else {"coupon": made["id"]}
    spelt = unique("TEA")
    await post(system, "/v1/promotion_codes", code=spelt, **named)
    session, customer = await subscribe(system, user, price, promotion_code=spelt, trial_period_days=days)
    due = 0 if days else 750
    assert (session["amount"], session["recurring"]["subtotal"]) == (due, 1000)
    html = (await customer.page())[1]
    assert words in html
    assert f"Discount {spelt}" in html
    assert await customer.confirm() == "succeeded"
    assert await paid(system, user) == due


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"price": None}, "INVALID_REQUEST", "price"),
        ({"amount": 100}, "INVALID_REQUEST", "amount"),
        ({"price": "price_missing"}, "PRICE_NOT_USABLE", "price"),
        ({"trial_period_days": -1}, "INVALID_REQUEST", "trial_period_days"),
        ({"quantity": 0}, "INVALID_REQUEST", "quantity"),
        ({"quantity": 1000}, "INVALID_REQUEST", "quantity"),
    ],
)
async def test_bad_input_is_told_with_its_field(system: System, change: Any, code: str, field: str) -> None:
    body = {"mode": "subscription", "price": "price_missing", **change}
    answer = await system.call("POST", BASE, body, user=unique("clumsy"))
    assert (answer.status, answer.code, answer.body["field"]) == (422, code, field), answer.body


async def test_a_single_payments_price_and_a_missing_stripe(system: System) -> None:
    user = unique("odd")
    product = await post(system, "/v1/products", name="Cup")
    single = await post(system, "/v1/prices", product=product["id"], unit_amount=700, currency="usd")
    body = {"mode": "subscription", "price": single["id"]}
    answer = await system.call("POST", BASE, body, user=user)
    assert (answer.status, answer.code) == (422, "PRICE_NOT_USABLE")
    price, key = await plan(system), unique("order")
    answer = await system.call("POST", BASE, {**body, "price": price, "promotion_code": "NOTHING"}, user=user)
    assert (answer.status, answer.code) == (422, "PROMOTION_CODE_NOT_USABLE")
    made = await system.call("POST", BASE, {**body, "price": price}, user=user, key=key)
    await system.fault(target="api", kind="status", status=500, method="*", path="/v1/*", times=None)
    try:
        answer = await system.call("POST", BASE, {**body, "price": price}, user=user)
        assert answer.status == 503
        # What was answered once is answered again.
        again = await system.call("POST", BASE, {**body, "price": price}, user=user, key=key)
        assert (again.status, again.body["id"]) == (201, made.body["id"])
    finally:
        await system.sandbox("DELETE", "/_sandbox/faults")
