"""Subscribing: paid at once, by 3D Secure, in the browser, in a trial, with what was left over, and not twice."""

from typing import Any

import pytest

from subscribing import (
    CROSSED_VERSIONS,
    SECURE_CARD,
    SLOW_CARD,
    SUBSCRIPTIONS,
    at_stripe,
    create,
    delete,
    get,
    history,
    listed,
    plan,
    post,
    promotion_code,
    subscribed,
)
from system import System, unique
from tallystick.subscriptions.service_refresh import SubscriptionRefresher

pytestmark = CROSSED_VERSIONS


async def invoice_of(system: System, body: Any) -> Any:
    return await system.stripe(f"/v1/invoices/{body['latest_invoice_id']}")


async def intent_of(system: System, client_secret: str) -> Any:
    return await system.stripe(f"/v1/payment_intents/{client_secret.partition('_secret_')[0]}")


async def test_a_subscription_that_is_paid_at_once(system: System) -> None:
    user, price = unique("paid"), await plan(system, 1500)
    body = {"price": price, "quantity": 2, "trial_period_days": 0, "payment_method": "pm_card_visa"}
    answer = await system.call("POST", SUBSCRIPTIONS, {**body, "metadata": {"team": "red"}}, user=user, key="one")
    made = answer.body
    assert (answer.status, made["status"], made["quantity"], made["price"]) == (201, "active", 2, price), made
    assert (made["trial_end"], made["metadata"]) == (None, {"team": "red"})
    assert not {"client_secret", "next_action", "setup_client_secret", "_secret_of"} & made.keys()
    invoice = await invoice_of(system, made)
    assert (invoice["status"], invoice["amount_paid"]) == ("paid", 3000)
    (there,) = await at_stripe(system, user)
    assert there["default_payment_method"] == made["default_payment_method"] is not None
    assert there.get("billing_mode", {"type": "classic"})["type"] == "classic"
    again = await system.call("POST", SUBSCRIPTIONS, {**body, "metadata": {"team": "red"}}, user=user, key="one")
    assert (again.status, again.body) == (201, made)
    await system.quiet()
    for reference in (made["id"], made["stripe_subscription_id"]):
        shown = await get(system, user, reference)
        assert (shown["id"], shown["status"], shown["access"]["access"], shown["dunning"]) == (
            made["id"], "active", True, None,
        )  # fmt: skip
    assert [row["id"] for row in await listed(system, user, "?status=active")] == [made["id"]]
    assert await listed(system, user, "?status=canceled") == []
    told = await history(system, user, made["id"])
    assert {row["actor"] for row in told} == {f"user:{user}"}
    assert "created" in [row["action"] for row in told]


async def test_the_slot_is_taken(system: System) -> None:
    user, price = unique("slot"), await plan(system)
    made = await subscribed(system, user, price)
    for other in (price, await plan(system, 2000)):
        second = await create(system, user, other, payment_method="pm_card_visa")
        assert (second.status, second.code) == (409, "SUBSCRIPTION_EXISTS")
        assert second.body["subscription_id"] == made["id"]
    assert len(await at_stripe(system, user)) == 1


async def test_one_that_was_made_in_the_dashboard_takes_the_slot_at_once(system: System) -> None:
    """Its event has not come yet, or never will: Stripe is asked."""
    user, price = unique("dash"), await plan(system)
    customer = (await system.call("POST", "/api/customers", {}, user=user)).body["stripe_customer_id"]
    await system.call(
        "POST", "/api/customers/me/payment-methods", {"payment_method": "pm_card_visa", "default": True}, user=user
    )
    await system.fault(target="webhook", kind="drop", type="customer.subscription.created", times=1)
    elsewhere = await post(system, "/v1/subscriptions", customer=customer, **{"items[0][price]": price})
    answer = await create(system, user, price)
    assert (answer.status, answer.code) == (409, "SUBSCRIPTION_EXISTS"), answer.body
    assert answer.body["stripe_subscription_id"] == elsewhere["id"]
    assert (await get(system, user, elsewhere["id"]))["status"] == "active"


async def test_the_browser_makes_the_first_payment(system: System) -> None:
    user, price = unique("browser"), await plan(system)
    answer = await create(system, user, price, key="first")
    made = answer.body
    assert (answer.status, made["status"]) == (201, "incomplete"), made
    assert made["client_secret"].startswith("pi_")
    kept = await system.value("SELECT body FROM idempotency_keys WHERE key = 'first' AND scope = $1", f"user:{user}")
    assert made["client_secret"] not in kept
    repeated = await create(system, user, price, key="first")
    assert (repeated.status, repeated.body) == (201, made)
    # Another tab, another key: the same subscription, the same payment.
    again = await create(system, user, price)
    assert (again.status, again.body["id"], again.body["client_secret"]) == (200, made["id"], made["client_secret"])
    intent = await intent_of(system, made["client_secret"])
    card = await system.card("4242424242424242")
    await post(system, f"/v1/payment_intents/{intent['id']}/confirm", payment_method=card)
    await system.quiet()
    shown = await get(system, user, made["id"])
    assert (shown["status"], shown["default_payment_method"]) == ("active", card)
    assert len(await at_stripe(system, user)) == 1


async def test_a_card_that_wants_3d_secure(system: System) -> None:
    user, price = unique("secure"), await plan(system)
    answer = await create(system, user, price, payment_method=SECURE_CARD, key="secure")
    made = answer.body
    assert (answer.status, made["status"], made["next_action"]["type"]) == (201, "incomplete", "use_stripe_sdk"), made
    repeated = await create(system, user, price, payment_method=SECURE_CARD, key="secure")
    assert repeated.body == made
    intent = await intent_of(system, made["client_secret"])
    assert await system.authenticate(intent["id"]) == "succeeded"
    await system.quiet()
    assert (await get(system, user, made["id"]))["status"] == "active"


async def test_a_decline_leaves_one_that_another_card_pays(system: System) -> None:
    user, price = unique("decline"), await plan(system)
    answer = await create(system, user, price, payment_method=SLOW_CARD, key="slow")
    assert (answer.status, answer.code) == (402, "CARD_DECLINED"), answer.body
    left = answer.body["subscription"]
    assert left["status"] == "incomplete"
    repeated = await create(system, user, price, payment_method=SLOW_CARD, key="slow")
    assert (repeated.status, repeated.body["subscription"]) == (402, left)
    assert (await get(system, user, left["id"]))["access"]["access"] is False
    second = await create(system, user, price, payment_method=SLOW_CARD)
    assert (second.status, second.body["subscription"]["id"]) == (402, left["id"]), second.body
    secure = await create(system, user, price, payment_method=SECURE_CARD)
    assert (secure.status, secure.body["status"]) == (200, "incomplete"), secure.body
    assert secure.body["next_action"] is not None
    paid = await create(system, user, price, payment_method="pm_card_mastercard")
    assert (paid.status, paid.body["id"], paid.body["status"]) == (200, left["id"], "active"), paid.body
    (there,) = await at_stripe(system, user)
    assert (there["status"], there["default_payment_method"]) == ("active", paid.body["default_payment_method"])
    await system.quiet()
    assert (await get(system, user, left["id"]))["access"]["access"] is True


async def test_a_card_that_cannot_even_be_attached(system: System) -> None:
    user, price = unique("bad"), await plan(system)
    answer = await create(system, user, price, payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
    assert (answer.status, answer.code) == (402, "INSUFFICIENT_FUNDS"), answer.body
    assert await at_stripe(system, user) == []
    assert (await create(system, user, price, payment_method="pm_card_visa")).body["status"] == "active"


async def test_what_is_left_of_another_wish_is_ended_first(system: System) -> None:
    user, price, other = unique("other"), await plan(system), await plan(system, 2500)
    left = (await create(system, user, price)).body
    more = (await create(system, user, price, quantity=3)).body
    assert (more["status"], more["quantity"], more["id"] != left["id"]) == ("incomplete", 3, True)
    paid = await subscribed(system, user, other)
    await system.quiet()
    states = {row["id"]: row["status"] for row in await listed(system, user)}
    assert states == {left["id"]: "incomplete_expired", more["id"]: "incomplete_expired", paid["id"]: "active"}
    assert (await invoice_of(system, left))["status"] == "void"


async def test_what_is_paid_this_second_is_not_ended_for_another_wish(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paid after Stripe was asked: the void is refused, and nothing second comes into being."""
    user, price, other = unique("race"), await plan(system), await plan(system, 2500)
    left = (await create(system, user, price)).body
    intent, card = await intent_of(system, left["client_secret"]), await system.card("4242424242424242")
    refresh = SubscriptionRefresher.refresh_customer

    async def refreshed_and_paid(refresher: SubscriptionRefresher, customer_id: str) -> None:
        await refresh(refresher, customer_id)
        await post(system, f"/v1/payment_intents/{intent['id']}/confirm", payment_method=card)

    # No event tells of it meanwhile.
    await system.stop_workers()
    with monkeypatch.context() as patch:
        patch.setattr(SubscriptionRefresher, "refresh_customer", refreshed_and_paid)
        answer = await create(system, user, other, payment_method="pm_card_visa")
    system.start_worker()
    assert (answer.status, answer.code) == (409, "SUBSCRIPTION_EXISTS"), answer.body
    assert answer.body["stripe_subscription_id"] == left["stripe_subscription_id"]
    assert [row["status"] for row in await at_stripe(system, user)] == ["active"]
    assert (await get(system, user, left["id"]))["status"] == "active"


async def test_a_trial_with_a_card_and_then_no_second_one(system: System) -> None:
    user, price = unique("trial"), await plan(system)
    answer = await system.call("POST", SUBSCRIPTIONS, {"price": price, "payment_method": "pm_card_visa"}, user=user)
    made = answer.body
    assert (answer.status, made["status"]) == (201, "trialing"), made
    assert made["trial_end"] == made["current_period_end"]
    assert "setup_client_secret" not in made
    (there,) = await at_stripe(system, user)
    assert there["trial_end"] - there["trial_start"] == system.settings.default_trial_days * 86400
    ended = await system.call("DELETE", f"{SUBSCRIPTIONS}/{made['id']}", {"when": "now"}, user=user)
    assert ended.body["status"] == "canceled", ended.body
    second = await create(system, user, price, trial_period_days=30, payment_method="pm_card_visa")
    assert (second.status, second.body["status"], second.body["trial_end"]) == (201, "active", None), second.body


async def test_a_trial_without_a_card(system: System) -> None:
    user, price = unique("cardless"), await plan(system)
    made = (await create(system, user, price, trial_period_days=10, key="trial")).body
    assert made["status"] == "trialing", made
    assert made["setup_client_secret"].startswith("seti_")
    assert (await create(system, user, price, trial_period_days=10, key="trial")).body == made
    (there,) = await at_stripe(system, user)
    assert there["trial_settings"]["end_behavior"]["missing_payment_method"] == "cancel"


async def test_a_promotion_code_as_customers_type_it(system: System) -> None:
    user, price = unique("code"), await plan(system, 1000)
    code = unique("SPRING")
    promo = await promotion_code(system, code, max_redemptions=2)
    made = await subscribed(system, user, price, promotion_code=code.lower())
    assert (await invoice_of(system, made))["total"] == 750
    assert len(made["discounts"]) == 1
    other = await subscribed(system, unique("code"), price, promotion_code=promo)
    assert (await invoice_of(system, other))["total"] == 750
    used_up = await create(system, unique("late"), price, promotion_code=code, payment_method="pm_card_visa")
    assert (used_up.status, used_up.code, used_up.body["field"]) == (
        422, "PROMOTION_CODE_NOT_USABLE", "promotion_code",
    )  # fmt: skip
    assert "used up" in used_up.body["detail"]
    unknown = await create(system, unique("late"), price, promotion_code="NOSUCHCODE", payment_method="pm_card_visa")
    assert (unknown.code, "used up" in unknown.body["detail"]) == ("PROMOTION_CODE_NOT_USABLE", False)


async def test_a_left_over_with_another_code_is_another_wish(system: System) -> None:
    user, price, code = unique("codes"), await plan(system, 1000), unique("HALF")
    await promotion_code(system, code)
    plain = (await create(system, user, price)).body
    cheap = (await create(system, user, price, promotion_code=code)).body
    assert cheap["id"] != plain["id"]
    assert (await create(system, user, price, promotion_code=code)).body["id"] == cheap["id"]
    assert (await intent_of(system, cheap["client_secret"]))["amount"] == 750


async def test_a_free_plan_needs_no_card(system: System) -> None:
    user, price = unique("free"), await plan(system, 0)
    made = await create(system, user, price)
    assert (made.status, made.body["status"]) == (201, "active"), made.body


async def test_a_customer_that_was_deleted_in_the_dashboard(system: System) -> None:
    user, price = unique("gone"), await plan(system)
    customer = (await system.call("POST", "/api/customers", {}, user=user)).body["stripe_customer_id"]
    await system.fault(target="webhook", kind="delay", delay_s=1, type="customer.deleted", times=1)
    await delete(system, f"/v1/customers/{customer}")
    first = await create(system, user, price)
    assert (first.status, first.code) == (409, "CUSTOMER_DELETED"), first.body
    await system.quiet()
    assert (await create(system, user, price)).status == 201


async def test_the_default_method_went_away_unheard(system: System) -> None:
    """The mirror says there is a card: Stripe finds none to charge, and the browser has to bring one."""
    user, price = unique("uncarded"), await plan(system)
    customer = (await system.call("POST", "/api/customers", {}, user=user)).body["stripe_customer_id"]
    body = {"payment_method": "pm_card_visa", "default": True}
    method = (await system.call("POST", "/api/customers/me/payment-methods", body, user=user)).body
    await system.quiet()
    await system.fault(target="webhook", kind="drop", type="customer.updated", times=1)
    await system.fault(target="webhook", kind="drop", type="payment_method.detached", times=1)
    await post(system, f"/v1/payment_methods/{method['stripe_payment_method_id']}/detach")
    answer = await create(system, user, price)
    assert (answer.status, answer.body["status"]) == (201, "incomplete"), answer.body
    assert answer.body["client_secret"]
    assert [row["customer"] for row in await at_stripe(system, user)] == [customer]


async def test_only_who_may(system: System) -> None:
    user, price = unique("own"), await plan(system)
    made = await subscribed(system, user, price)
    path = f"{SUBSCRIPTIONS}/{made['id']}"
    assert (await system.call("GET", path, user=unique("other"))).status == 404
    assert (await system.call("PUT", path, {"quantity": 2}, user=unique("other"))).status == 404
    assert (await system.call("DELETE", path, user=unique("other"))).status == 404
    helper = unique("help")
    shown = await system.call("GET", path, user=helper, roles=("support",))
    assert (shown.status, shown.body["stripe_customer_id"][:4]) == (200, "cus_")
    assert (await system.call("POST", f"{path}/pause", {}, user=helper, roles=("support",))).status == 403
    assert (await system.call("POST", SUBSCRIPTIONS, {"price": price}, user=helper, roles=("support",))).status == 403
    body, shop = {"quantity": 4, "reason": "ordered by phone"}, {"Tallystick-User": user}
    changed = await system.call("PUT", path, body, user="shop", roles=("service",), headers=shop)
    assert (changed.status, changed.body["quantity"]) == (200, 4), changed.body
    boss = unique("boss")
    ended = await system.call("DELETE", path, {"comment": "fraud"}, user=boss, roles=("admin",))
    assert ended.body["cancel_at_period_end"] is True, ended.body
    await system.quiet()
    told = {(row["action"], row["actor"], row["reason"]) for row in await history(system, user, made["id"])}
    assert {
        ("quantity_changed", f"service:{user}", "ordered by phone"),
        ("cancel_scheduled", f"admin:{boss}", "fraud"),
    } <= told
