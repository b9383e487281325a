"""3D Secure: which cards ask when, and what completing or failing the challenge does."""

import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import stripe

from contract.harness import NO_REDIRECTS, Box, Json, Sdk, refusal
from tallystick.sandbox.versions import NEWEST

SETUP_CARD = "pm_card_authenticationRequiredOnSetup"  # 4000002500003155
ALWAYS_CARD = "pm_card_authenticationRequired"  # 4000002760003184


def pay(api: Sdk, method: str, **more: Any) -> Any:
    params = {"amount": 2500, "currency": "eur", "payment_method": method, "confirm": True,
              "automatic_payment_methods": NO_REDIRECTS, **more}  # fmt: skip
    return api.v1.payment_intents.create(params)


@pytest.mark.parametrize("number", ["4000002500003155", "4000002760003184", "4000000000003220"])
def test_complete(shared_box: Box, api: Sdk, number: str) -> None:
    method = api.v1.payment_methods.create(
        {"type": "card", "card": {"number": number, "exp_month": 1, "exp_year": 2035, "cvc": "123"}}
    )
    intent = pay(api, method.id)
    assert intent.status == "requires_action"
    assert intent.latest_charge is None
    assert intent.next_action.type == "use_stripe_sdk"
    assert shared_box.authenticate(intent.id, "complete")["status"] == "succeeded"
    intent = api.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]})
    secure = intent.latest_charge.payment_method_details.card.three_d_secure
    assert (secure.result, secure.authentication_flow) == ("authenticated", "challenge")


def test_fail(shared_box: Box, api: Sdk) -> None:
    intent = pay(api, ALWAYS_CARD)
    assert shared_box.authenticate(intent.id, "fail")["status"] == "requires_payment_method"
    intent = api.v1.payment_intents.retrieve(intent.id)
    assert intent.last_payment_error.code == "payment_intent_authentication_failure"
    assert (intent.latest_charge, intent.payment_method, intent.next_action) == (None, None, None)
    paid = api.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"
    assert paid.last_payment_error is None


def test_authenticates_and_is_declined_all_the_same(shared_box: Box, api: Sdk) -> None:
    intent = pay(api, "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")
    assert shared_box.authenticate(intent.id, "complete")["status"] == "requires_payment_method"
    failed = api.v1.payment_intents.retrieve(intent.id)
    assert failed.last_payment_error.decline_code == "insufficient_funds"
    assert failed.latest_charge is not None


def test_off_session_needs_authentication(api: Sdk) -> None:
    customer = api.v1.customers.create({"payment_method": "pm_card_threeDSecure2Required"})
    method = api.v1.customers.payment_methods.list(customer.id).data[0].id
    with pytest.raises(stripe.CardError) as caught:
        pay(api, method, customer=customer.id, off_session=True)
    error = refusal(caught.value)
    assert (error["code"], error["decline_code"]) == ("authentication_required", "authentication_required")
    assert error["message"] == "Your card was declined. This transaction requires authentication."
    assert {"charge", "advice_code", "network_decline_code"}.isdisjoint(error)
    assert error["payment_method"]["card"]["checks"]["cvc_check"] == "pass"
    intent = error["payment_intent"]
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    assert intent["latest_charge"] is None


def test_error_on_requires_action(api: Sdk) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay(api, ALWAYS_CARD, error_on_requires_action=True)
    assert refusal(caught.value)["decline_code"] == "authentication_required"
    assert refusal(caught.value)["payment_intent"]["status"] == "requires_payment_method"


def test_a_card_that_was_set_up_passes_off_session(shared_box: Box, api: Sdk) -> None:
    customer = api.v1.customers.create({})
    setup = api.v1.setup_intents.create(
        {"customer": customer.id, "payment_method": SETUP_CARD, "confirm": True,
         "automatic_payment_methods": NO_REDIRECTS}
    )  # fmt: skip
    assert setup.status == "requires_action"
    assert shared_box.authenticate(setup.id, "complete")["status"] == "succeeded"
    method = api.v1.setup_intents.retrieve(setup.id).payment_method
    assert pay(api, method, customer=customer.id, off_session=True).status == "succeeded"
    assert pay(api, method, customer=customer.id).status == "requires_action"


def test_one_that_always_asks_fails_off_session_even_then(shared_box: Box, api: Sdk) -> None:
    customer = api.v1.customers.create({})
    intent = pay(api, ALWAYS_CARD, customer=customer.id, setup_future_usage="off_session")
    shared_box.authenticate(intent.id, "complete")
    method = api.v1.payment_intents.retrieve(intent.id).payment_method
    with pytest.raises(stripe.CardError):
        pay(api, method, customer=customer.id, off_session=True)


def test_already_set_up_card(api: Sdk) -> None:
    customer = api.v1.customers.create({"payment_method": "pm_card_authenticationRequiredSetupForOffSession"})
    method = api.v1.customers.payment_methods.list(customer.id).data[0].id
    assert pay(api, method, customer=customer.id, off_session=True).status == "succeeded"
    assert pay(api, method, customer=customer.id).status == "requires_action"


def test_asked_for(api: Sdk) -> None:
    asked: Json = {"payment_method_options": {"card": {"request_three_d_secure": "any"}}}
    assert pay(api, "pm_card_threeDSecureOptional").status == "succeeded"
    assert pay(api, "pm_card_threeDSecureOptional", **asked).status == "requires_action"
    assert pay(api, "pm_card_visa", **asked).status == "succeeded"


def test_manual_confirmation_asks_for_a_second_confirm(shared_box: Box, api: Sdk) -> None:
    intent = pay(api, ALWAYS_CARD, confirmation_method="manual")
    assert shared_box.authenticate(intent.id, "complete")["status"] == "requires_confirmation"
    assert api.v1.payment_intents.confirm(intent.id).status == "succeeded"


def test_the_page(shared_box: Box, api: Sdk) -> None:
    intent = pay(api, ALWAYS_CARD, return_url="https://shop.example/back?order=7")
    action = intent.next_action
    assert action.type == "redirect_to_url"
    assert action.redirect_to_url.return_url == "https://shop.example/back?order=7"
    path = action.redirect_to_url.url.removeprefix(shared_box.url)
    page = shared_box.request("GET", path)
    html = page.body.decode()
    assert page.status == 200
    assert "€25.00" in html
    assert re.findall(r'<form method="post" action="[^"]+/(\w+)"', html) == ["complete", "fail"]
    assert "<script" not in html
    assert "style=" not in html
    assert "https://shop.example" in page.headers["content-security-policy"]
    assert shared_box.request("GET", path.split("?")[0]).status == 404
    form = urlencode({"client_secret": intent.client_secret})
    done = shared_box.post(f"/_sandbox/authenticate/{intent.id}/complete", form)
    assert done.status == 303
    back = urlsplit(done.headers["location"])
    assert parse_qs(back.query) == {
        "order": ["7"],
        "payment_intent": [intent.id],
        "payment_intent_client_secret": [intent.client_secret],
        "redirect_status": ["succeeded"],
    }
    assert shared_box.request("GET", path).status == 409
    twice = shared_box.post(f"/_sandbox/authenticate/{intent.id}/fail", form)
    assert (twice.status, twice.headers["location"]) == (303, done.headers["location"])


def test_events_of_a_challenge(box: Box) -> None:
    api = box.client(NEWEST)
    intent = pay(api, ALWAYS_CARD)
    box.authenticate(intent.id, "complete")
    assert box.event_types() == [
        "payment_intent.created", "payment_intent.requires_action", "charge.succeeded", "payment_intent.succeeded",
    ]  # fmt: skip
    newest = api.v1.events.list({"limit": 1}).data[0]
    assert newest.request.id is None
