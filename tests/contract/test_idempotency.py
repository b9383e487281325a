"""Idempotency keys: replay, mismatch, in flight, life."""

import threading
import time

from contract.harness import Box, Reply, Sdk, error_of

PAY = (
    "amount=1500&currency=usd&confirm=true&payment_method={}"
    "&automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never"
)


class TestIdempotency:
    def test_replay_and_mismatch(self, shared_box: Box) -> None:
        form = PAY.format("pm_card_visa")
        first = shared_box.post("/v1/payment_intents", form, Idempotency_Key="pay-1")
        again = shared_box.post("/v1/payment_intents", form, Idempotency_Key="pay-1")
        assert again.body == first.body
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["original-request"] == first.headers["request-id"]
        assert again.headers["request-id"] != first.headers["request-id"]
        error = error_of(shared_box.post("/v1/payment_intents", form + "0", Idempotency_Key="pay-1"), 400)
        assert error["type"] == "idempotency_error"
        assert {"code", "param", "doc_url"}.isdisjoint(error)
        assert error["message"] == (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
            "using a key other than 'pay-1' if you meant to execute a different request."
        )
        other = error_of(shared_box.post("/v1/customers", "", Idempotency_Key="pay-1"), 400)
        assert "same endpoint" in other["message"]

    def test_order_of_parameters_does_not_matter(self, shared_box: Box) -> None:
        one = shared_box.post("/v1/customers", "name=A&description=B", Idempotency_Key="order-1")
        two = shared_box.post("/v1/customers", "description=B&name=A", Idempotency_Key="order-1")
        assert one.body == two.body

    def test_a_decline_is_kept(self, shared_box: Box) -> None:
        form = PAY.format("pm_card_visa_chargeDeclined")
        first, again = (shared_box.post("/v1/payment_intents", form, Idempotency_Key="no-1") for _ in range(2))
        assert (first.status, again.status) == (402, 402)
        assert again.body == first.body
        assert again.headers["idempotent-replayed"] == "true"

    def test_a_validation_error_is_not(self, shared_box: Box) -> None:
        assert shared_box.post("/v1/payment_intents", "amount=5", Idempotency_Key="bad-1").status == 400
        assert shared_box.post("/v1/payment_intents", "amount=900&currency=usd", Idempotency_Key="bad-1").status == 200

    def test_in_flight(self, box: Box) -> None:
        box.fault(target="api", kind="slow", delay_s=0.5, method="POST")
        answers: list[Reply] = []

        def send() -> None:
            answers.append(box.post("/v1/customers", "name=A", Idempotency_Key="slow-1"))

        first = threading.Thread(target=send)
        first.start()
        time.sleep(0.15)
        second = box.post("/v1/customers", "name=A", Idempotency_Key="slow-1")
        first.join()
        error = error_of(second, 409)
        assert error["code"] == "idempotency_key_in_use"
        assert second.headers["stripe-should-retry"] == "true"
        third = box.post("/v1/customers", "name=A", Idempotency_Key="slow-1")
        assert third.body["id"] == answers[0].body["id"]

    def test_a_key_outlives_a_move_of_business_time(self, box: Box) -> None:
        first = box.post("/v1/customers", "name=A", Idempotency_Key="day-1").body["id"]
        box.advance("40d")
        assert box.post("/v1/customers", "name=A", Idempotency_Key="day-1").body["id"] == first

    def test_no_effect_on_get_and_delete(self, shared_box: Box, api: Sdk) -> None:
        customer = api.v1.customers.create({})
        for _ in range(2):
            reply = shared_box.request("GET", f"/v1/customers/{customer.id}", headers={"Idempotency-Key": "get-1"})
            assert "idempotent-replayed" not in reply.headers
