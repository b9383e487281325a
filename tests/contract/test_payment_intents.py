"""PaymentIntents: the state machine, with the recorded refusals."""

from typing import Any

import pytest
import stripe

from contract.harness import NO_REDIRECTS, Box, Json, Sdk, refusal
from tallystick.sandbox.versions import NEWEST, OLDEST

UNEXPECTED = "payment_intent_unexpected_state"


def make(api: Sdk, **more: Any) -> Any:
    return api.v1.payment_intents.create(
        {"amount": 6500, "currency": "usd", "automatic_payment_methods": NO_REDIRECTS, **more}
    )


def pay(api: Sdk, method: str = "pm_card_visa", **more: Any) -> Any:
    return make(api, payment_method=method, confirm=True, **more)


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    assert caught.value.http_status == 400
    return refusal(caught.value)


def test_a_fresh_intent(api: Sdk) -> None:
    intent = api.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    assert intent.status == "requires_payment_method"
    assert intent.automatic_payment_methods.to_dict() == {"allow_redirects": "always", "enabled": True}
    assert intent.capture_method == "automatic_async"
    assert intent.client_secret.startswith(f"{intent.id}_secret_")
    assert len(intent.client_secret) == len(intent.id) + len("_secret_") + 25
    assert intent.amount_details.to_dict() == {"tip": {}}
    assert intent.managed_payments.to_dict() == {"enabled": False}
    cards_only = make(api, automatic_payment_methods=None, payment_method_types=["card"])
    assert cards_only.automatic_payment_methods is None
    assert list(cards_only.payment_method_options.to_dict()) == ["card"]


def test_ids_of_one_payment_share_17_characters(api: Sdk) -> None:
    intent = pay(api)
    refund = api.v1.refunds.create({"payment_intent": intent.id})
    roots = {item.rpartition("_")[2][:17] for item in (intent.id, intent.latest_charge, refund.id)}
    assert len(roots) == 1
    assert len(intent.id) == 27
    assert intent.id.startswith("pi_3")


def test_steps_from_create_to_success(api: Sdk) -> None:
    intent = make(api)
    updated = api.v1.payment_intents.update(intent.id, {"payment_method": "pm_card_visa", "amount": 7000})
    assert (updated.status, updated.amount) == ("requires_confirmation", 7000)
    done = api.v1.payment_intents.confirm(intent.id)
    assert (done.status, done.amount_received) == ("succeeded", 7000)
    error = refused(api.v1.payment_intents.update, intent.id, {"amount": 1})
    assert (error["code"], error["param"]) == (UNEXPECTED, "amount")
    assert error["message"] == (
        "This PaymentIntent's amount could not be updated because it has a status of succeeded. You may only update "
        "the amount of a PaymentIntent with one of the following statuses: requires_payment_method, "
        "requires_confirmation, requires_action."
    )
    assert error["payment_intent"]["id"] == intent.id
    noted = api.v1.payment_intents.update(intent.id, {"description": "late", "metadata": {"a": "1"}})
    assert (noted.description, noted.metadata["a"]) == ("late", "1")


def test_async_capture_books_a_moment_later(shared_box: Box, api: Sdk) -> None:
    intent = pay(api)
    charge = api.v1.charges.retrieve(intent.latest_charge)
    assert charge.balance_transaction is None
    shared_box.quiet()
    charge = api.v1.charges.retrieve(intent.latest_charge, {"expand": ["balance_transaction"]})
    assert charge.balance_transaction.net == 6500 - (6500 * 29 + 500) // 1000 - 30
    assert charge.balance_transaction.status == "pending"


def test_old_version_captures_at_once(shared_box: Box) -> None:
    old = shared_box.client(OLDEST)
    intent = pay(old)
    assert intent.capture_method == "automatic"
    assert old.v1.charges.retrieve(intent.latest_charge).balance_transaction.startswith("txn_3")


def test_a_confirm_without_a_method(api: Sdk) -> None:
    intent = make(api)
    error = refused(api.v1.payment_intents.confirm, intent.id)
    assert error["code"] == UNEXPECTED
    assert error["message"] == (
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
        "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment "
        "method or ConfirmationToken."
    )
    customer = api.v1.customers.create({})
    intent = make(api, customer=customer.id)
    error = refused(api.v1.payment_intents.confirm, intent.id)
    assert f"To confirm the PaymentIntent with {customer.id}, specify a payment method" in error["message"]


def test_methods_of_customers(api: Sdk) -> None:
    one, two = (api.v1.customers.create({"payment_method": "pm_card_visa"}) for _ in range(2))
    method = api.v1.customers.payment_methods.list(one.id).data[0].id
    intent = make(api)
    error = refused(api.v1.payment_intents.confirm, intent.id, {"payment_method": method})
    assert (error["code"], error["param"]) == ("parameter_missing", "source")
    assert error["message"] == (
        f"The `payment_method` parameter supplied {method} belongs to the Customer {one.id}. Please include the "
        "Customer in the `customer` parameter on the PaymentIntent."
    )
    intent = make(api, customer=two.id)
    error = refused(api.v1.payment_intents.confirm, intent.id, {"payment_method": method})
    assert "code" not in error
    assert error["param"] == "payment_method"
    assert error["payment_intent"]["payment_method"] is None
    assert pay(api, method, customer=one.id).status == "succeeded"


def test_a_method_used_without_a_customer_is_spent(api: Sdk) -> None:
    method = api.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    assert pay(api, method.id).status == "succeeded"
    assert "may not be used again" in refused(pay, api, method.id)["message"]


def test_setup_future_usage_attaches(api: Sdk) -> None:
    customer = api.v1.customers.create({})
    intent = pay(api, customer=customer.id, setup_future_usage="off_session")
    methods = api.v1.customers.payment_methods.list(customer.id).data
    assert [method.id for method in methods] == [intent.payment_method]
    again = pay(api, intent.payment_method, customer=customer.id, off_session=True)
    assert again.status == "succeeded"


def test_return_url_is_needed_for_redirecting_methods(api: Sdk) -> None:
    params: Json = {"amount": 900, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    assert "you must provide a `return_url`" in refused(api.v1.payment_intents.create, params)["message"]
    assert api.v1.payment_intents.create({**params, "return_url": "https://shop.example"}).status == "succeeded"
    assert api.v1.payment_intents.create({**params, "off_session": True}).status == "succeeded"


@pytest.mark.parametrize(
    ("params", "code", "param", "start"),
    [
        ({"amount": 0, "currency": "usd"}, "parameter_invalid_integer", "amount", "The amount must be greater"),
        ({"amount": 20, "currency": "usd"}, "amount_too_small", "amount", "Amount must be at least $0.50 usd"),
        ({"amount": 100_000_000, "currency": "usd"}, "amount_too_large", "amount", "Amount must be no more than"),
        ({"amount": 500, "currency": "xxd"}, None, "currency", "Invalid currency: xxd. Stripe currently supports"),
        ({"currency": "usd"}, "parameter_missing", "amount", "Missing required param: amount."),
        (
            {"amount": 500, "currency": "usd", "wat": 1},
            "parameter_unknown",
            "wat",
            "Received unknown parameter: wat",
        ),
        ({"amount": 500, "currency": "usd", "capture_method": "x"}, None, "capture_method", "Invalid capture_method"),
        ({"amount": 500, "currency": "usd", "off_session": True}, None, "off_session", "`off_session` can only"),
    ],
)
def test_refused_parameters(api: Sdk, params: Json, code: str | None, param: str, start: str) -> None:
    error = refused(api.v1.payment_intents.create, params)
    assert (error.get("code"), error["param"]) == (code, param)
    assert error["message"].startswith(start)
    assert "payment_intent" not in error


class TestManualCapture:
    def test_partial_capture(self, shared_box: Box, api: Sdk) -> None:
        intent = pay(api, capture_method="manual")
        assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 6500, 0)
        charge = api.v1.charges.retrieve(intent.latest_charge)
        assert (charge.status, charge.paid, charge.captured) == ("succeeded", True, False)
        assert charge.payment_method_details.card.capture_before == charge.created + 604_800
        done = api.v1.payment_intents.capture(intent.id, {"amount_to_capture": 5000})
        assert (done.status, done.amount, done.amount_capturable, done.amount_received) == ("succeeded", 6500, 0, 5000)
        charge = api.v1.charges.retrieve(intent.latest_charge)
        assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (5000, 0, False)
        assert charge.balance_transaction is not None
        error = refused(api.v1.payment_intents.capture, intent.id)
        assert error["message"] == (
            "The remaining amount on this PaymentIntent could not be captured because the remainder of the authorized "
            "amount has been released."
        )
        refund = api.v1.refunds.create({"payment_intent": intent.id})
        assert refund.amount == 5000
        assert api.v1.charges.retrieve(intent.latest_charge).refunded

    def test_before_basil_the_rest_is_a_refund(self, shared_box: Box) -> None:
        old = shared_box.client(OLDEST)
        intent = pay(old, capture_method="manual")
        old.v1.payment_intents.capture(intent.id, {"amount_to_capture": 5000})
        charge = old.v1.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
        assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (5000, 1500, False)
        assert [refund.amount for refund in charge.refunds.data] == [1500]
        assert old.v1.refunds.create({"charge": charge.id}).amount == 5000
        canceled = pay(old, capture_method="manual")
        old.v1.payment_intents.cancel(canceled.id)
        assert old.v1.charges.retrieve(canceled.latest_charge).refunded

    def test_refusals(self, api: Sdk) -> None:
        intent = pay(api, capture_method="manual")
        capture = api.v1.payment_intents.capture
        error = refused(capture, intent.id, {"amount_to_capture": 6501})
        assert (error["code"], error["payment_intent"]["id"]) == ("amount_too_large", intent.id)
        error = refused(capture, intent.id, {"amount_to_capture": -100})
        assert (error["message"], error["param"]) == ("Invalid non-negative integer", "amount_to_capture")
        assert "code" not in error
        error = refused(capture, intent.id, {"amount_to_capture": 0})
        assert (error["code"], error["param"]) == ("parameter_invalid_integer", "amount")
        error = refused(capture, make(api).id)
        assert error["message"] == (
            "This PaymentIntent could not be captured because it has a status of requires_payment_method. Only a "
            "PaymentIntent with one of the following statuses may be captured: requires_capture."
        )
        error = refused(api.v1.refunds.create, {"payment_intent": intent.id})
        assert error["message"].startswith(f"This uncaptured Charge was created by a PaymentIntent ({intent.id}).")

    def test_cancel_releases(self, api: Sdk) -> None:
        intent = pay(api, capture_method="manual")
        canceled = api.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
        assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
        assert canceled.amount_capturable == 0
        charge = api.v1.charges.retrieve(intent.latest_charge)
        assert (charge.amount_captured, charge.refunded) == (0, False)
        error = refused(api.v1.payment_intents.cancel, intent.id)
        assert error["message"] == (
            "You cannot cancel this PaymentIntent because it has a status of canceled. Only a PaymentIntent with one "
            "of the following statuses may be canceled: requires_payment_method, requires_capture, "
            "requires_reauthorization, requires_confirmation, requires_action, expired, processing."
        )

    def test_the_authorisation_expires(self, box: Box) -> None:
        api, old = box.client(NEWEST), box.client(OLDEST)
        intent = pay(api, capture_method="manual")
        box.advance("6d")
        assert api.v1.payment_intents.retrieve(intent.id).status == "requires_capture"
        box.advance("25h")
        ended = api.v1.payment_intents.retrieve(intent.id)
        assert (ended.status, ended.cancellation_reason) == ("canceled", "expired")
        assert old.v1.payment_intents.retrieve(intent.id).cancellation_reason == "automatic"
        assert ended.canceled_at == intent.created + 604_800
        assert box.event_types()[-2:] == ["charge.expired", "payment_intent.canceled"]

    def test_old_capture_route(self, api: Sdk) -> None:
        intent = pay(api, capture_method="manual")
        charge = api.v1.charges.capture(intent.latest_charge)
        assert charge.captured
        error = refused(api.v1.charges.capture, charge.id)
        assert (error["code"], error["message"]) == (
            "charge_already_captured",
            f"Charge {charge.id} has already been captured.",
        )


class TestBankDebits:
    def test_success(self, box: Box) -> None:
        api = box.client(NEWEST)
        intent = pay(api, "pm_usBankAccount_success", payment_method_types=["us_bank_account"],
                     automatic_payment_methods=None)  # fmt: skip
        assert intent.status == "processing"
        assert api.v1.charges.retrieve(intent.latest_charge).status == "pending"
        box.advance(10)
        assert api.v1.payment_intents.retrieve(intent.id).status == "succeeded"
        assert box.event_types() == [
            "payment_intent.created", "charge.pending", "payment_intent.processing", "charge.succeeded",
            "payment_intent.succeeded",
        ]  # fmt: skip

    def test_failure(self, box: Box) -> None:
        api = box.client(NEWEST)
        intent = pay(api, "pm_usBankAccount_accountClosed")
        box.advance(10)
        failed = api.v1.payment_intents.retrieve(intent.id)
        assert (failed.status, failed.last_payment_error.code) == ("requires_payment_method", "account_closed")
        assert api.v1.charges.retrieve(intent.latest_charge).failure_code == "account_closed"

    def test_sepa_and_one_that_stays(self, box: Box) -> None:
        api = box.client(NEWEST)
        sepa = pay(api, "pm_sepaDebit_successDelayed_de", currency="eur")
        stays = pay(api, "pm_usBankAccount_processing")
        box.advance(60)
        assert api.v1.payment_intents.retrieve(sepa.id).status == "processing"
        box.advance(180)
        assert api.v1.payment_intents.retrieve(sepa.id).status == "succeeded"
        assert api.v1.payment_intents.cancel(stays.id).status == "canceled"


def test_charges_api_is_at_its_end(api: Sdk) -> None:
    customer = api.v1.customers.create({})
    with pytest.raises(stripe.CardError) as caught:
        api.v1.charges.create({"amount": 500, "currency": "usd", "customer": customer.id})
    assert (refusal(caught.value)["code"], refusal(caught.value)["param"]) == ("missing", "card")
    error = refused(api.v1.charges.create, {"amount": 500, "currency": "usd"})
    assert error["message"] == "Must provide source or customer."
    error = refused(api.v1.charges.create, {"amount": 500, "currency": "usd", "source": "tok_visa"})
    assert "has reached end of life" in error["message"]


def test_charge_metadata_is_its_own(api: Sdk) -> None:
    intent = pay(api, metadata={"order": "1"}, description="first")
    charge = api.v1.charges.retrieve(intent.latest_charge)
    assert (charge.description, charge.metadata["order"]) == ("first", "1")
    api.v1.charges.update(charge.id, {"description": "second", "metadata": {"order": ""}})
    assert api.v1.payment_intents.retrieve(intent.id).description == "first"
    assert "order" not in api.v1.charges.retrieve(charge.id).metadata
    assert "transfer_group" in refused(api.v1.charges.update, charge.id, {"transfer_group": "x"})["message"]
