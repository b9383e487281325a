"""Customers, their payment methods, and saving methods by SetupIntents."""

from typing import Any

import pytest
import stripe

from contract.harness import NO_REDIRECTS, Box, Sdk, error_of, refusal
from tallystick.sandbox.versions import NEWEST


class TestCustomersAndMethods:
    def test_updated_and_deleted(self, box: Box) -> None:
        api = box.client(NEWEST)
        customer = api.v1.customers.create({"name": "Old", "metadata": {"a": "1"}})
        api.v1.customers.update(customer.id, {"name": "New", "metadata": {"a": "2", "b": "3"}})
        api.v1.customers.update(customer.id, {"name": "New"})
        gone = api.v1.customers.delete(customer.id)
        assert gone.to_dict() == {"id": customer.id, "object": "customer", "deleted": True}
        assert api.v1.customers.retrieve(customer.id).deleted
        assert box.event_types() == ["customer.created", "customer.updated", "customer.deleted"]
        deleted, updated, created = api.v1.events.list().data
        assert updated.data.previous_attributes.to_dict() == {"metadata": {"a": "1", "b": None}, "name": "Old"}
        assert created.data.object["name"] == "Old"
        assert deleted.data.object["name"] == "New"
        assert "deleted" not in deleted.data.object.to_dict()

    def test_attach_and_detach(self, box: Box) -> None:
        api = box.client(NEWEST)
        customer = api.v1.customers.create({})
        method = api.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
        assert (method.customer, method.card.checks.cvc_check) == (None, "unchecked")
        for _ in range(2):
            attached = api.v1.payment_methods.attach(method.id, {"customer": customer.id})
            assert (attached.customer, attached.card.checks.cvc_check) == (customer.id, "pass")
        assert api.v1.payment_methods.list({"customer": customer.id, "type": "card"}).data[0].id == method.id
        assert list(api.v1.payment_methods.list({"customer": customer.id, "type": "klarna"}).data) == []
        assert api.v1.payment_methods.detach(method.id).customer is None
        with pytest.raises(stripe.InvalidRequestError) as caught:
            api.v1.payment_methods.detach(method.id)
        assert refusal(caught.value)["message"] == (
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
        with pytest.raises(stripe.InvalidRequestError):
            api.v1.payment_methods.attach(method.id, {"customer": customer.id})
        types = box.event_types()
        assert types == ["customer.created", "payment_method.attached", "payment_method.detached"]
        newest = api.v1.events.list({"limit": 1}).data[0]
        assert newest.data.previous_attributes.to_dict() == {"customer": customer.id}

    def test_recorded_refusals(self, shared_box: Box, api: Sdk) -> None:
        error = error_of(shared_box.request("GET", "/v1/payment_methods?customer=cus_nope"), 400)
        assert error["param"] == "customer"
        customer = api.v1.customers.create({})
        loose = api.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
        error = error_of(shared_box.request("GET", f"/v1/customers/{customer.id}/payment_methods/{loose.id}"), 404)
        assert (error["message"], error["param"]) == ("Invalid request", "customer")
        api.v1.customers.delete(customer.id)
        error = error_of(shared_box.post(f"/v1/payment_methods/{loose.id}/attach", f"customer={customer.id}"), 400)
        assert (error["code"], error["param"]) == ("resource_missing", "customer")

    def test_klarna(self, api: Sdk) -> None:
        method = api.v1.payment_methods.create({"type": "klarna"}).to_dict()
        assert method["klarna"] == {}
        assert "card" not in method


class TestSetupIntents:
    def make(self, api: Sdk, **more: Any) -> Any:
        return api.v1.setup_intents.create({"automatic_payment_methods": NO_REDIRECTS, **more})

    def test_saves_the_method(self, box: Box) -> None:
        api = box.client(NEWEST)
        customer = api.v1.customers.create({})
        setup = self.make(api, customer=customer.id)
        assert setup.status == "requires_payment_method"
        done = api.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa"})
        assert (done.status, done.usage) == ("succeeded", "off_session")
        assert api.v1.customers.payment_methods.list(customer.id).data[0].id == done.payment_method
        assert box.event_types() == [
            "customer.created", "setup_intent.created", "setup_intent.succeeded", "payment_method.attached",
        ]  # fmt: skip
        attempts = api.v1.setup_attempts.list({"setup_intent": setup.id})
        assert [attempt.id for attempt in attempts.data] == [done.latest_attempt]

    def test_decline(self, api: Sdk) -> None:
        with pytest.raises(stripe.CardError) as caught:
            self.make(api, payment_method="pm_card_visa_chargeDeclined", confirm=True)
        setup = refusal(caught.value)["setup_intent"]
        assert (setup["status"], setup["last_setup_error"]["code"]) == ("requires_payment_method", "card_declined")

    def test_failed_challenge_and_cancel(self, shared_box: Box, api: Sdk) -> None:
        setup = self.make(api, payment_method="pm_card_authenticationRequired", confirm=True)
        assert setup.status == "requires_action"
        assert shared_box.authenticate(setup.id, "fail")["status"] == "requires_payment_method"
        failed = api.v1.setup_intents.retrieve(setup.id)
        assert failed.last_setup_error.code == "setup_intent_authentication_failure"
        assert api.v1.setup_intents.cancel(setup.id).status == "canceled"
        with pytest.raises(stripe.InvalidRequestError) as caught:
            api.v1.setup_intents.confirm(setup.id)
        assert caught.value.code == "setup_intent_unexpected_state"
