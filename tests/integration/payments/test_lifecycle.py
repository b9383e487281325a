"""A payment's whole life over the API: failed and tried again, captured, canceled, refunded, disputed, listed."""

from typing import Any

import pytest

from system import EVERY_VERSION, Answer, System, unique

BASE = "/api/payments/payment-intent"

pytestmark = EVERY_VERSION


async def act(system: System, payment: Any, verb: str, body: Any = None, *, user: str, **more: Any) -> Answer:
    return await system.call("POST", f"{BASE}/{payment['id']}/{verb}", body, user=user, **more)


async def test_a_failed_payment_is_confirmed_again_on_the_same_intent(system: System) -> None:
    user = unique("again")
    failed = (await system.pay("pm_card_visa_chargeDeclined", user=user)).body["payment"]
    second = await act(system, failed, "confirm", {"payment_method": "pm_card_visa_chargeDeclinedLostCard"}, user=user)
    assert (second.status, second.code) == (402, "CARD_DECLINED")
    third = await act(system, failed, "confirm", {"payment_method": "pm_card_mastercard"}, user=user)
    assert (third.status, third.body["status"], third.body["last_error"]) == (200, "succeeded", None)
    await system.quiet()
    details = await system.get(failed["id"], user=user)
    assert sorted(charge["status"] for charge in details["charges"]) == ["failed", "failed", "succeeded"]
    keys = await system.fetch(
        "SELECT business_key, state FROM mails m JOIN users u ON u.id = m.user_id WHERE u.external_id = $1", user
    )
    assert sorted(key["business_key"].split(":")[0] for key in keys) == [
        "payment_confirmation",
        "payment_failed",
        "payment_failed",
    ]


async def test_confirm_twice_is_refused_and_changes_nothing(system: System) -> None:
    user = unique("twice")
    paid = (await system.pay(user=user)).body
    again = await act(system, paid, "confirm", {"payment_method": "pm_card_visa"}, user=user)
    assert (again.status, again.code) == (409, "PAYMENT_NOT_CONFIRMABLE")
    assert again.headers["Idempotency-Key"]
    intent = await system.stripe(f"/v1/payment_intents/{paid['stripe_payment_intent_id']}")
    assert intent["amount_received"] == paid["amount"]


@pytest.mark.parametrize(("amount", "received"), [(None, 5000), (1200, 1200)])
async def test_capture_later_whole_or_in_part(system: System, amount: int | None, received: int) -> None:
    user = unique("capture")
    held = (await system.pay(user=user, amount=5000, capture_method="manual")).body
    assert (held["status"], held["amount_capturable"], held["amount_received"]) == ("requires_capture", 5000, 0)
    refused = await act(system, held, "refund", user=user)
    assert (refused.status, refused.code) == (409, "PAYMENT_NOT_REFUNDABLE")
    done = await act(system, held, "capture", {} if amount is None else {"amount": amount}, user=user)
    assert (done.status, done.body["status"], done.body["amount_received"]) == (200, "succeeded", received)
    more = await act(system, held, "capture", user=user)
    assert (more.status, more.code) == (409, "PAYMENT_NOT_CAPTURABLE")
    await system.quiet()
    assert (await system.get(held["id"], user=user))["amount_capturable"] == 0
    # The default API version tells the letting go of the rest as a refund; to the customer it is none.
    back = await act(system, held, "refund", user=user)
    assert (back.status, back.body["amount"]) == (200, received)
    await system.quiet()
    details = await system.get(held["id"], user=user)
    assert (details["amount_refunded"], [refund["amount"] for refund in details["refunds"]]) == (received, [received])
    receipt = f"${received / 100:.2f}"
    assert sorted(mail.subject.split()[0] for mail in system.mails_to(user)) == ["Payment", "Refund"]
    assert all(receipt in mail.subject for mail in system.mails_to(user))


async def test_capture_of_more_or_of_what_is_not_authorised_is_refused(system: System) -> None:
    user = unique("overcapture")
    held = (await system.pay(user=user, amount=5000, capture_method="manual")).body
    assert (await act(system, held, "capture", {"amount": 5001}, user=user)).code == "AMOUNT_ERROR"
    fresh = (await system.call("POST", BASE, {"amount": 900}, user=user)).body
    refused = await act(system, fresh, "capture", user=user)
    assert (refused.status, refused.code) == (409, "PAYMENT_NOT_CAPTURABLE")


async def test_cancel_releases_what_was_held_and_is_final(system: System) -> None:
    user = unique("cancel")
    held = (await system.pay(user=user, capture_method="manual")).body
    gone = await act(system, held, "cancel", {"reason": "requested_by_customer"}, user=user)
    assert (gone.status, gone.body["status"]) == (200, "canceled")
    assert gone.body["cancellation_reason"] == "requested_by_customer"
    await system.quiet()
    intent = await system.stripe(f"/v1/payment_intents/{held['stripe_payment_intent_id']}")
    assert (intent["status"], intent["amount_capturable"]) == ("canceled", 0)
    assert (await act(system, held, "cancel", user=user)).code == "PAYMENT_NOT_CANCELABLE"
    assert (await act(system, held, "confirm", user=user)).code == "PAYMENT_NOT_CONFIRMABLE"
    assert system.mails_to(user) == []


async def test_refunds_add_up_to_what_was_captured_and_no_further(system: System) -> None:
    user = unique("refund")
    paid = (await system.pay(user=user, amount=5000)).body
    first = await act(system, paid, "refund", {"amount": 1500, "reason": "requested_by_customer"}, user=user)
    assert (first.status, first.body["status"], first.body["amount"]) == (200, "succeeded", 1500)
    over = await act(system, paid, "refund", {"amount": 3501}, user=user)
    assert (over.status, over.code, over.body["remaining"]) == (409, "REFUND_EXCEEDS_REMAINING", 3500)
    rest = await act(system, paid, "refund", user=user)
    assert (rest.status, rest.body["amount"]) == (200, 3500)
    nothing = await act(system, paid, "refund", user=user)
    assert (nothing.status, nothing.code, nothing.body["remaining"]) == (409, "REFUND_EXCEEDS_REMAINING", 0)
    await system.quiet()
    details = await system.get(paid["id"], user=user)
    assert (details["amount_refunded"], details["status"]) == (5000, "succeeded")
    assert [refund["amount"] for refund in details["refunds"]] == [3500, 1500]
    assert sum("refund" in mail.subject.lower() for mail in system.mails_to(user)) == 2


async def test_a_refund_that_fails_later_frees_its_amount_and_tells_staff(system: System) -> None:
    user = unique("refund-fails")
    paid = (await system.pay("pm_card_refundFail", user=user, amount=2000)).body
    assert (await act(system, paid, "refund", user=user)).body["status"] == "succeeded"
    await system.sandbox("POST", "/_sandbox/clock/advance", {"by": "1d"})
    await system.quiet()
    details = await system.get(paid["id"], user=user)
    assert (details["refunds"][0]["status"], details["amount_refunded"]) == ("failed", 0)
    assert any(mail.to == "ops@acme.test" and "refund" in mail.subject.lower() for mail in system.mails)
    assert len(system.mails_to(user)) == 3


async def test_a_dispute_is_mirrored_staff_are_told_and_refunds_refused(system: System) -> None:
    user = unique("dispute")
    paid = (await system.pay("pm_card_createDispute", user=user)).body
    await system.sandbox("POST", "/_sandbox/clock/advance", {"by": "1h"})
    await system.quiet()
    assert "disputes" not in await system.get(paid["id"], user=user)
    staff = await system.get(paid["id"], user=unique("sue"), roles=("support",))
    assert [(d["status"], d["reason"]) for d in staff["disputes"]] == [("needs_response", "fraudulent")]
    assert any(mail.to == "ops@acme.test" and "dispute" in mail.subject.lower() for mail in system.mails)
    refused = await act(system, paid, "refund", user=user)
    assert (refused.status, refused.code) == (409, "CHARGE_DISPUTED")
    assert (await system.get(paid["id"], user=user))["amount_refunded"] == 0


async def test_save_for_later_attaches_the_method_to_the_one_customer(system: System) -> None:
    user = unique("save")
    first = (await system.pay(user=user, setup_future_usage="off_session")).body
    await system.quiet()
    customer = await system.value("SELECT stripe_customer_id FROM users WHERE external_id = $1", user)
    saved = await system.stripe(f"/v1/customers/{customer}/payment_methods")
    assert [method["id"] for method in saved["data"]] == [first["payment_method"]]
    later = await system.pay(first["payment_method"], user=user, off_session=True)
    assert (later.status, later.body["status"]) == (201, "succeeded")
    assert (await system.stripe(f"/v1/customers/{customer}"))["email"] == f"{user}@example.com"


async def test_the_browser_confirms_with_the_client_secret_and_the_webhook_tells_us(system: System) -> None:
    user = unique("browser")
    made = (await system.call("POST", BASE, {"amount": 1999, "currency": "eur"}, user=user)).body
    assert made["status"] == "requires_payment_method"
    data = {"payment_method": await system.card("4242424242424242"), "client_secret": made["client_secret"]}
    auth = {"Authorization": "Bearer pk_test_system"}
    url = f"{system.sandbox_url}/v1/payment_intents/{made['stripe_payment_intent_id']}/confirm"
    data["return_url"] = "https://shop.test/back"
    async with system.http.post(url, data=data, headers=auth) as response:
        assert response.status == 200, await response.text()
    await system.quiet()
    assert (await system.get(made["id"], user=user))["status"] == "succeeded"
    assert [mail.subject for mail in system.mails_to(user)] == ["Payment received: €19.99 to Acme"]


async def test_history_pages_both_ways_and_filters(system: System) -> None:
    user = unique("history")
    made = [(await system.pay(user=user, amount=1000 + n)).body["id"] for n in range(5)]
    euro = (await system.call("POST", BASE, {"amount": 700, "currency": "eur"}, user=user)).body["id"]
    newest_first = [euro, *reversed(made)]

    async def page(query: str) -> Any:
        return (await system.call("GET", f"/api/payments/history?{query}", user=user)).body

    first = await page("limit=4")
    assert ([row["id"] for row in first["data"]], first["has_more"]) == (newest_first[:4], True)
    second = await page(f"limit=4&starting_after={newest_first[3]}")
    assert ([row["id"] for row in second["data"]], second["has_more"]) == (newest_first[4:], False)
    back = await page(f"limit=2&ending_before={newest_first[3]}")
    assert ([row["id"] for row in back["data"]], back["has_more"]) == (newest_first[1:3], True)
    assert [row["id"] for row in (await page("currency=eur"))["data"]] == [euro]
    assert [row["id"] for row in (await page("status=succeeded"))["data"]] == newest_first[1:]
    assert (await page("created_from=2100-01-01T00:00:00Z"))["data"] == []
    by_stripe_id = await system.value("SELECT stripe_payment_intent_id FROM payments WHERE id = $1", made[4])
    assert (await page(f"limit=1&starting_after={by_stripe_id}"))["data"][0]["id"] == made[3]


async def test_an_unknown_intent_is_stored_for_nobody_and_gets_no_mail(system: System) -> None:
    await system.quiet()
    before = len(system.mails)
    intent = await system.stripe(
        "/v1/payment_intents",
        {
            "amount": "4200",
            "currency": "usd",
            "confirm": "true",
            "payment_method": "pm_card_visa",
            "payment_method_types[]": "card",
        },
    )
    assert intent["status"] == "succeeded"
    await system.quiet()
    (row,) = await system.fetch(
        "SELECT status, user_id, claimed FROM payments WHERE stripe_payment_intent_id = $1", intent["id"]
    )
    assert (row["status"], row["user_id"], row["claimed"]) == ("succeeded", None, False)
    assert len(system.mails) == before
