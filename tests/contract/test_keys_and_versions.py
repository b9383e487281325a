"""Who may call what, and in which version it is answered."""

import base64

import pytest
import stripe

from contract.harness import KEY, Box, Json, Sdk, error_of
from tallystick.sandbox import versions
from tallystick.sandbox.versions import NEWEST, OLDEST


class TestKeys:
    @pytest.mark.parametrize("key", ["sk_test_1", "rk_test_abc", "sk_test_51Abc_def"])
    def test_any_test_key_is_the_account(self, shared_box: Box, key: str) -> None:
        reply = shared_box.request("GET", "/v1/account", headers={"Authorization": f"Bearer {key}"})
        assert reply.status == 200
        assert reply.body["id"].startswith("acct_1")

    def test_basic(self, shared_box: Box) -> None:
        value = base64.b64encode(f"{KEY}:".encode()).decode()
        assert shared_box.request("GET", "/v1/balance", headers={"Authorization": f"Basic {value}"}).status == 200

    @pytest.mark.parametrize("key", ["", "Bearer ", "Bearer nonsense", "Basic !!", "Bearer sk_live_123456789012"])
    def test_no_key_or_a_bad_one(self, shared_box: Box, key: str) -> None:
        reply = shared_box.request("GET", "/v1/customers", headers={"Authorization": key})
        error = error_of(reply, 401)
        assert error["type"] == "invalid_request_error"
        assert "123456789012" not in error["message"]
        assert "www-authenticate" in reply.headers

    def test_a_browser_may_make_methods_only(self, shared_box: Box) -> None:
        pk = {"Authorization": "Bearer pk_test_1"}
        form = "type=card&card[number]=4242424242424242&card[exp_month]=12&card[exp_year]=34&card[cvc]=123"
        made = shared_box.request("POST", "/v1/payment_methods", form, pk)
        assert made.status == 200
        assert made.headers["access-control-allow-origin"] == "*"
        error = error_of(shared_box.request("GET", "/v1/customers", headers=pk), 403)
        assert error["code"] == "secret_key_required"
        preflight = shared_box.request("OPTIONS", "/v1/payment_methods", headers={"Origin": "http://shop"})
        assert preflight.status == 204
        assert "Authorization" in preflight.headers["access-control-allow-headers"]

    def test_a_browser_confirms_with_the_client_secret(self, shared_box: Box, api: Sdk) -> None:
        pk = {"Authorization": "Bearer pk_test_1"}
        intent = api.v1.payment_intents.create({"amount": 900, "currency": "usd"})
        path = f"/v1/payment_intents/{intent.id}"
        assert error_of(shared_box.request("GET", path, headers=pk), 400)["param"] == "client_secret"
        assert shared_box.request("GET", path + "?client_secret=wrong", headers=pk).status == 404
        seen = shared_box.request("GET", f"{path}?client_secret={intent.client_secret}", headers=pk).body
        assert seen["status"] == "requires_payment_method"
        assert "metadata" not in seen
        assert "customer" not in seen
        form = (
            f"client_secret={intent.client_secret}&payment_method_data[type]=card&payment_method_data[card]"
            "[number]=4000000000000002&payment_method_data[card][exp_month]=12&payment_method_data[card]"
            "[exp_year]=34&payment_method_data[card][cvc]=123"
        )
        error = error_of(shared_box.request("POST", path + "/confirm", form, pk), 402)
        assert error["decline_code"] == "generic_decline"
        assert "metadata" not in error["payment_intent"]

    def test_tokens_are_used_once(self, shared_box: Box, api: Sdk) -> None:
        form = "card[number]=4242424242424242&card[exp_month]=12&card[exp_year]=34&card[cvc]=123"
        token = shared_box.request("POST", "/v1/tokens", form, {"Authorization": "Bearer pk_test_1"}).body["id"]
        make = {"type": "card", "card": {"token": token}}
        assert api.v1.payment_methods.create(make).card.last4 == "4242"
        with pytest.raises(stripe.InvalidRequestError) as caught:
            api.v1.payment_methods.create(make)
        assert caught.value.code == "token_already_used"


class TestVersions:
    def test_the_newest_is_what_the_sdk_pins(self) -> None:
        assert stripe.api_version == NEWEST

    def test_header_decides_else_the_account(self, shared_box: Box) -> None:
        assert shared_box.request("GET", "/v1/balance").headers["stripe-version"] == OLDEST
        asked = shared_box.request("GET", "/v1/balance", headers={"Stripe-Version": NEWEST})
        assert asked.headers["stripe-version"] == NEWEST
        assert "refund_and_dispute_prefunding" in asked.body

    def test_bad_version(self, shared_box: Box) -> None:
        reply = shared_box.request("GET", "/v1/balance", headers={"Stripe-Version": "not-a-real-version"})
        assert error_of(reply, 400) == {
            "message": "Invalid Stripe API version: not-a-real-version",
            "type": "invalid_request_error",
        }

    @pytest.mark.parametrize(
        ("version", "old"),
        [("2022-11-15", True), ("2024-06-20", True), ("2025-03-31.basil", False), ("2026-03-25.dahlia", False)],
    )
    def test_versions_between_go_by_their_date(self, shared_box: Box, version: str, old: bool) -> None:
        reply = shared_box.post("/v1/payment_intents", "amount=900&currency=usd", Stripe_Version=version)
        assert ("invoice" in reply.body) is old
        assert reply.body["capture_method"] == ("automatic" if old else "automatic_async")

    def test_rendering_leaves_the_stored_form_alone(self) -> None:
        stored: Json = {
            "id": "pi_1",
            "object": "payment_intent",
            "payment_record": None,
            "cancellation_reason": "expired",
        }
        lowered = versions.render(stored, OLDEST)
        assert stored["cancellation_reason"] == "expired"
        assert lowered["cancellation_reason"] == "automatic"
        assert "payment_record" not in lowered
