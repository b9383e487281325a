"""Every test card of the design document, through the API: its documented result, code and mail."""

import pytest

from system import EVERY_VERSION, System, unique

pytestmark = EVERY_VERSION

SUCCEED = ["4242424242424242", "4000056655665556", "5555555555554444", "378282246310005"]

# number → our code, Stripe's decline code as staff see it, words for the customer
DECLINED = {
    "4000000000000002": ("CARD_DECLINED", "generic_decline", "Your card was declined."),
    "4000000000009995": ("INSUFFICIENT_FUNDS", "insufficient_funds", "Your card has insufficient funds."),
    "4000000000009987": ("CARD_DECLINED", "lost_card", "Your card was declined."),
    "4000000000009979": ("CARD_DECLINED", "stolen_card", "Your card was declined."),
    "4000000000000069": ("INVALID_CARD", "expired_card", "Your card has expired."),
    "4000000000000127": ("INVALID_CARD", "incorrect_cvc", "Your card's security code is incorrect."),
    "4000000000000119": ("PROCESSING_ERROR", "processing_error", "The payment could not be processed."),
}


@pytest.mark.parametrize("number", SUCCEED)
async def test_a_good_card_is_charged_and_receipted(system: System, number: str) -> None:
    user = unique("good")
    paid = await system.pay(await system.card(number), user=user, amount=2599, description="Order 7")
    assert (paid.status, paid.body["status"]) == (201, "succeeded")
    assert paid.body["amount_received"] == 2599
    await system.quiet()
    details = await system.get(paid.body["id"], user=user)
    assert details["charges"][0]["card_last4"] == number[-4:]
    assert [mail.subject for mail in system.mails_to(user)] == ["Payment received: $25.99 to Acme"]


@pytest.mark.parametrize("number", DECLINED)
async def test_a_declined_card_is_told_in_words_and_exactly_to_staff(system: System, number: str) -> None:
    code, decline_code, message = DECLINED[number]
    user = unique("declined")
    paid = await system.pay(await system.card(number), user=user)
    assert (paid.status, paid.code, paid.body["detail"]) == (402, code, message)
    assert paid.body["suggested_action"]
    assert paid.headers["Content-Type"] == "application/problem+json"
    payment = paid.body["payment"]
    assert (payment["status"], payment["stripe_status"]) == ("failed", "requires_payment_method")
    assert payment["last_error"]["code"] == code

    await system.quiet()
    seen = await system.get(payment["id"], user=user)
    assert decline_code not in str(seen).replace(code.lower(), "")
    staff = await system.get(payment["id"], user=unique("sue"), roles=("support",))
    assert staff["last_error"]["decline_code"] == decline_code
    assert staff["charges"][0]["decline_code"] == decline_code
    (mail,) = system.mails_to(user)
    assert "did not go through" in mail.subject


@pytest.mark.parametrize("number", ["4000002500003155", "4000002760003184"])
async def test_3d_secure_is_asked_for_and_completed(system: System, number: str) -> None:
    user = unique("challenge")
    asked = await system.pay(await system.card(number), user=user)
    assert (asked.status, asked.body["status"]) == (201, "requires_action")
    assert asked.body["next_action"]["redirect_to_url"]["url"].startswith(system.sandbox_url)
    await system.quiet()
    assert (await system.get(asked.body["id"], user=user))["status"] == "requires_action"
    assert system.mails_to(user) == []

    assert await system.authenticate(asked.body["stripe_payment_intent_id"]) == "succeeded"
    await system.quiet()
    assert (await system.get(asked.body["id"], user=user))["status"] == "succeeded"
    assert len(system.mails_to(user)) == 1


async def test_3d_secure_that_fails_leaves_the_payment_open_for_another_card(system: System) -> None:
    user = unique("failed-challenge")
    asked = await system.pay("pm_card_authenticationRequired", user=user)
    await system.authenticate(asked.body["stripe_payment_intent_id"], "fail")
    await system.quiet()
    failed = await system.get(asked.body["id"], user=user)
    assert (failed["status"], failed["last_error"]["code"]) == ("failed", "AUTHENTICATION_FAILED")
    assert ["did not go through" in mail.subject for mail in system.mails_to(user)] == [True]

    path = f"/api/payments/payment-intent/{asked.body['id']}/confirm"
    again = await system.call("POST", path, {"payment_method": "pm_card_visa"}, user=user)
    assert (again.status, again.body["status"]) == (200, "succeeded")
    assert again.body["stripe_payment_intent_id"] == asked.body["stripe_payment_intent_id"]
    await system.quiet()
    assert len(system.mails_to(user)) == 2


async def test_off_session_the_bank_can_ask_for_the_customer(system: System) -> None:
    user = unique("off-session")
    asked = await system.pay("pm_card_authenticationRequired", user=user, off_session=True)
    assert (asked.status, asked.code) == (402, "AUTHENTICATION_REQUIRED")
    await system.quiet()
    payment = asked.body["payment"]
    path = f"/api/payments/payment-intent/{payment['id']}/confirm"
    back = await system.call("POST", path, {"payment_method": "pm_card_authenticationRequired"}, user=user)
    assert (back.status, back.body["status"]) == (200, "requires_action")
    await system.authenticate(payment["stripe_payment_intent_id"])
    await system.quiet()
    assert (await system.get(payment["id"], user=user))["status"] == "succeeded"


async def test_a_delayed_method_is_on_its_way_and_then_done(system: System) -> None:
    user = unique("debit")
    sent = await system.pay("pm_usBankAccount_success", user=user)
    assert (sent.status, sent.body["status"]) == (201, "processing"), sent.body
    await system.quiet()
    assert (await system.get(sent.body["id"], user=user))["status"] == "processing"
    await system.sandbox("POST", "/_sandbox/clock/advance", {"by": "1h"})
    await system.quiet()
    assert (await system.get(sent.body["id"], user=user))["status"] == "succeeded"
    assert len(system.mails_to(user)) == 1
