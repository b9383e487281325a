"""Every test card does what Stripe's testing page says, with the recorded messages."""

from typing import Any

import pytest
import stripe

from contract.harness import NO_REDIRECTS, Box, Json, Sdk, refusal
from tallystick.sandbox import cards

GOOD = ("4242424242424242", "4000056655665556", "5555555555554444", "378282246310005")
DECLINES = (
    ("4000000000000002", "card_declined", "generic_decline", "Your card was declined."),
    ("4000000000009995", "card_declined", "insufficient_funds", "Your card has insufficient funds."),
    ("4000000000009987", "card_declined", "lost_card", "Your card was declined."),
    ("4000000000009979", "card_declined", "stolen_card", "Your card was declined."),
    ("4000000000000069", "expired_card", "expired_card", "Your card has expired."),
    ("4000000000000127", "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
    (
        "4000000000000119",
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    (
        "4000000000006975",
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
    ("4100000000000019", "card_declined", "fraudulent", "Your card was declined."),
    ("4000008400001280", "card_declined", "generic_decline", "Your card was declined."),
)


def method_of(api: Sdk, number: str, **card: str) -> Any:
    details: Json = {"number": number, "exp_month": "12", "exp_year": "2034", **card}
    details.setdefault("cvc", "1234" if number.startswith("3") else "123")
    return api.v1.payment_methods.create({"type": "card", "card": details})


def pay(api: Sdk, method: str, **more: object) -> Any:
    params: Json = {
        "amount": 2000,
        "currency": "usd",
        "payment_method": method,
        "confirm": True,
        "automatic_payment_methods": NO_REDIRECTS,
        **more,
    }
    return api.v1.payment_intents.create(params)


@pytest.mark.parametrize("number", GOOD)
def test_good_card_pays(api: Sdk, number: str) -> None:
    method = method_of(api, number)
    intent = pay(api, method.id)
    assert intent.status == "succeeded"
    assert intent.amount_received == 2000
    charge = api.v1.charges.retrieve(str(intent.latest_charge))
    assert charge.paid
    assert charge.outcome is not None
    assert charge.outcome.seller_message == "Payment complete."
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == number[-4:]


@pytest.mark.parametrize(("number", "code", "decline_code", "message"), DECLINES)
def test_declining_card(api: Sdk, number: str, code: str, decline_code: str, message: str) -> None:
    method = method_of(api, number)
    with pytest.raises(stripe.CardError) as caught:
        pay(api, method.id)
    error = caught.value
    assert (error.http_status, error.code, error.user_message) == (402, code, message)
    body = refusal(error)
    assert body["decline_code"] == decline_code
    assert body["type"] == "card_error"
    intent = body["payment_intent"]
    assert intent["status"] == "requires_payment_method"
    assert intent["payment_method"] is None
    assert intent["last_payment_error"]["code"] == code
    assert intent["last_payment_error"]["payment_method"]["id"] == method.id
    assert intent["latest_charge"] == body["charge"]
    charge = api.v1.charges.retrieve(body["charge"])
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, code)


def test_recorded_keys_of_a_decline(api: Sdk) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay(api, "pm_card_visa_chargeDeclined")
    body = refusal(caught.value)
    assert list(body) == [
        "advice_code", "charge", "code", "decline_code", "doc_url", "message", "network_decline_code",
        "payment_intent", "payment_method", "request_log_url", "type",
    ]  # fmt: skip
    assert body["doc_url"] == "https://stripe.com/docs/error-codes/card-declined"
    assert (body["advice_code"], body["network_decline_code"]) == ("try_again_later", "01")


def test_incorrect_cvc_only_when_one_is_given(api: Sdk) -> None:
    method = api.v1.payment_methods.create(
        {"type": "card", "card": {"number": "4000000000000127", "exp_month": 12, "exp_year": 2034}}
    )
    assert pay(api, method.id).status == "succeeded"


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number"),
        ({"number": "4242424242424242", "exp_month": "13"}, "invalid_expiry_month"),
        ({"number": "4242424242424242", "exp_year": "1995"}, "invalid_expiry_year"),
        ({"number": "4242424242424242", "cvc": "99"}, "invalid_cvc"),
        ({"number": "4012888888881881"}, "card_declined"),
    ],
)
def test_wrong_card_data(api: Sdk, card: dict[str, str], code: str) -> None:
    with pytest.raises(stripe.CardError) as caught:
        method_of(api, **card)
    assert (caught.value.http_status, caught.value.code) == (402, code)


def test_a_number_is_never_answered(shared_box: Box) -> None:
    reply = shared_box.post(
        "/v1/payment_methods",
        "type=card&card[number]=4242424242424242&card[exp_month]=1&card[exp_year]=34&card[cvc]=123",
    )
    assert "424242424242" not in str(reply.body)
    assert reply.body["card"]["exp_year"] == 2034
    assert "424242424242" not in str(shared_box.control("GET", "/requests"))


def test_declining_cards_cannot_be_attached(api: Sdk) -> None:
    customer = api.v1.customers.create({})
    method = method_of(api, "4000000000000002")
    with pytest.raises(stripe.CardError) as caught:
        api.v1.payment_methods.attach(method.id, {"customer": customer.id})
    body = refusal(caught.value)
    assert (body["code"], body["decline_code"], body["param"]) == ("card_declined", "generic_decline", "")
    assert "charge" not in body
    assert "payment_method" not in body


def test_the_card_that_attaches_and_then_declines(api: Sdk) -> None:
    customer = api.v1.customers.create({"payment_method": "pm_card_chargeCustomerFail"})
    method = api.v1.customers.payment_methods.list(customer.id).data[0]
    with pytest.raises(stripe.CardError):
        pay(api, method.id, customer=customer.id)


def test_every_listed_token_makes_its_card(api: Sdk) -> None:
    for name in ("visa", "mastercard", "amex", "de", "jp", "createDispute", "authenticationRequired"):
        card = cards.by_token(f"pm_card_{name}")
        assert card is not None
        method = api.v1.payment_methods.retrieve(f"pm_card_{name}")
        assert method.card is not None
        assert (method.card.last4, method.card.brand) == (card.last4, card.brand)
        assert method.card.fingerprint == card.fingerprint


def test_all_numbers_pass_luhn_and_are_distinct() -> None:
    known = [card for card in cards._CARDS if card.number.isdigit()]
    assert len({card.number for card in known}) == len(known)
    assert [card.number for card in known if not cards.luhn_valid(card.number)] == []


@pytest.mark.parametrize(
    ("token", "field", "value"),
    [
        ("pm_card_riskLevelElevated", "risk_level", "elevated"),
        ("pm_card_visa", "risk_level", "normal"),
    ],
)
def test_risk(api: Sdk, token: str, field: str, value: str) -> None:
    intent = pay(api, token, expand=["latest_charge"])
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert charge.outcome is not None
    assert charge.outcome[field] == value


def test_blocked_by_radar(api: Sdk) -> None:
    with pytest.raises(stripe.CardError) as caught:
        pay(api, "pm_card_radarBlock")
    charge = api.v1.charges.retrieve(refusal(caught.value)["charge"])
    assert charge.outcome is not None
    assert (charge.outcome.type, charge.outcome.network_status) == ("blocked", "not_sent_to_network")
