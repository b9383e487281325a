"""Checkout sessions of mode subscription where a trial is over, or runs on without the page, or was never needed."""

import pytest

from checking_out import BASE, show, subscribe
from subscribing import at_stripe, create, delete, get, plan, post
from system import MakeDatabase, System, running_system, unique


@pytest.mark.parametrize("ended", ["expires", "is ended"])
async def test_a_trial_that_no_page_began_runs_on_without_it(system: System, ended: str) -> None:
    user, price = unique("trier"), await plan(system, 1500)
    made = await create(system, user, price, trial_period_days=14)
    await system.quiet()
    session, customer = await subscribe(system, user, price, expires_in_s=3600)
    assert (await customer.start())[1]["intent"] == "setup"
    assert (await show(system, session, user))["subscription_id"] == made.body["id"]
    if ended == "expires":
        await system.advance("61m")
    else:
        assert (await system.call("POST", f"{BASE}/{session['id']}/expire", user=user)).status == 200
    await system.quiet()
    assert (await show(system, session, user))["status"] == "expired"
    assert (await get(system, user, made.body["id"]))["status"] == "trialing"


async def test_a_trial_that_a_page_began_ends_with_the_last_page_that_has_it(system: System) -> None:
    user, price = unique("trier"), await plan(system, 1500)
    first, early = await subscribe(system, user, price, trial_period_days=14)
    second, late = await subscribe(system, user, price, trial_period_days=14)
    await early.start()
    await late.start()
    for session, left in ((first, "trialing"), (second, "canceled")):
        assert (await system.call("POST", f"{BASE}/{session['id']}/expire", user=user)).status == 200
        await system.quiet()
        assert [found["status"] for found in await at_stripe(system, user)] == [left]


@pytest.mark.parametrize(("days", "ended"), [(0, "incomplete_expired"), (7, "canceled")])
async def test_what_is_known_only_after_the_sessions_end_ends_too(system: System, days: int, ended: str) -> None:
    user, price = unique("unlucky"), await plan(system, 1500)
    session, customer = await subscribe(system, user, price, trial_period_days=days)
    other = await create(system, user, await plan(system), trial_period_days=3)
    assert (await customer.start())[0] == 409
    assert (await system.call("POST", f"{BASE}/{session['id']}/expire", user=user)).status == 200
    ended_since = await delete(system, f"/v1/subscriptions/{other.body['stripe_subscription_id']}")
    await system.advance("2m")
    await system.quiet()
    # As when Stripe did what it was asked for, and its answer was lost.
    subject = await system.value(
        "SELECT subject_id::text FROM checkout_sessions WHERE id = $1::text::uuid", session["id"]
    )
    asked = {
        "customer": ended_since["customer"],
        "items[0][price]": price,
        "payment_behavior": "default_incomplete",
        "metadata[tallystick_installation]": system.settings.installation_id,
        "metadata[tallystick_subscription]": subject,
        "metadata[tallystick_user]": user,
        **({"trial_period_days": days} if days else {}),
    }
    made = await post(system, "/v1/subscriptions", **asked)
    await system.quiet()
    assert (await show(system, session, user))["subscription_id"] == subject
    await system.advance("20m")
    await system.quiet()
    assert (await system.stripe(f"/v1/subscriptions/{made['id']}"))["status"] == ended


@pytest.mark.parametrize(("end", "status"), [("cancel", "canceled"), ("pause", "canceled"), ("create_invoice", "open")])
async def test_a_trial_that_is_over_without_a_card_is_not_complete(
    make_database: MakeDatabase, end: str, status: str
) -> None:
    async with running_system(await make_database(), TRIAL_END_WITHOUT_CARD=end) as system:
        user, price = unique("trier"), await plan(system, 1500)
        terms = {"trial_period_days": 2, "expires_in_s": 7 * 86400, "success_url": "http://localhost:3000/thanks"}
        session, customer = await subscribe(system, user, price, **terms)
        assert (await customer.start())[1]["intent"] == "setup"
        await system.advance("3d")
        await system.quiet()
        state = await customer.state("?ask=1")
        assert (state["status"], state["next"]) == (status, None)
        assert (await show(system, session, user))["status"] == status
        if status != "open":
            return
        # The page goes on with what is due now.
        assert (await customer.start())[1] == {"changed": True}
        assert "Subscribe and pay $15.00" in (await customer.page())[1]
        assert await customer.confirm() == "succeeded"
        await system.quiet()
        assert (await show(system, session, user))["status"] == "complete"


async def test_what_credit_has_paid_is_not_called_free(make_database: MakeDatabase) -> None:
    async with running_system(await make_database(), DEFAULT_TRIAL_DAYS="14") as system:
        user, price = unique("credited"), await plan(system, 1500)
        session, customer = await subscribe(system, user, price)
        made = await system.call("POST", "/api/customers", {}, user=user)
        balance = f"/v1/customers/{made.body['stripe_customer_id']}/balance_transactions"
        await post(system, balance, amount=-4000, currency="usd")
        assert (await customer.start())[1] == {"changed": True}
        shown = await show(system, session, user)
        assert (shown["amount"], shown["recurring"]["trial_days"], shown["recurring"]["credit"]) == (0, 0, 1500)
        assert "days free" not in (await customer.page())[1]
