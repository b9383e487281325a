"""What the stand-in for Stripe.js stands on: its files and frame, and what publishable keys can do."""

from typing import Any
from urllib.parse import quote

import pytest
import stripe

from contract.harness import Box, Json, Reply, Sdk, error_of

BROWSER = {"Authorization": "Bearer pk_test_1"}
CARD = (
    "payment_method_data[type]=card&payment_method_data[card][number]=4242424242424242"
    "&payment_method_data[card][exp_month]=12&payment_method_data[card][exp_year]=34"
)
DEBIT = "payment_method_data[type]=sepa_debit&payment_method_data[sepa_debit][iban]=DE89370400440532013000"


def ask(box: Box, method: str, path: str, form: str | None = None, **headers: str) -> Reply:
    """A browser's call."""
    return box.request(method, path, form, BROWSER | headers)


def new_intent(api: Sdk, **more: Any) -> Any:
    return api.v1.payment_intents.create({"amount": 2500, "currency": "eur", **more})


class TestFiles:
    @pytest.mark.parametrize("path", ["/v3/", "/v3", "/endive/stripe.js"])
    def test_the_script(self, shared_box: Box, path: str) -> None:
        reply = shared_box.request("GET", path)
        assert reply.status == 200
        assert reply.headers["content-type"].startswith("application/javascript")
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
        assert len(reply.body) < 25_000
        again = shared_box.request("GET", path, headers={"If-None-Match": reply.headers["etag"]})
        assert (again.status, again.body) == (304, b"")

    def test_other_files(self, shared_box: Box) -> None:
        assert shared_box.request("GET", "/elements/element.js?v=old").headers["cache-control"] == "no-cache"
        for name in ("nothing.js", "request.js", "..%2Fapp.py"):
            assert shared_box.request("GET", f"/elements/{name}").status == 404

    def test_only_the_page_that_asked_can_embed_the_frame(self, shared_box: Box) -> None:
        reply = shared_box.request("GET", "/elements/payment?origin=https://shop.example")
        policy = reply.headers["content-security-policy"].split("; ")
        assert {"frame-ancestors https://shop.example", "script-src 'self'", "style-src 'self'"} <= set(policy)
        assert "x-frame-options" not in reply.headers
        wrong = ("", "*", "null", "https://a.example;script-src *", "javascript:alert(1)", "https://a.example/path")
        for origin in wrong:
            assert shared_box.request("GET", f"/elements/payment?origin={quote(origin)}").status == 400

    def test_the_bank_can_be_embedded_only_with_the_secret(self, shared_box: Box, api: Sdk) -> None:
        intent = new_intent(
            api, confirm=True, use_stripe_sdk=True, payment_method="pm_card_authenticationRequired",
            return_url="https://shop.example",
        )  # fmt: skip
        path = intent.next_action.use_stripe_sdk.stripe_js.removeprefix(shared_box.url)
        alone = shared_box.request("GET", path)
        assert "frame-ancestors 'none'" in alone.headers["content-security-policy"]
        framed = shared_box.request("GET", f"{path}&origin=https://shop.example")
        assert framed.status == 200
        assert "frame-ancestors https://shop.example" in framed.headers["content-security-policy"]
        assert shared_box.request("GET", f"{path.split('?')[0]}?origin=https://shop.example").status == 404

    def test_an_invoice_is_found_by_its_whole_address(self, shared_box: Box, api: Sdk) -> None:
        customer = api.v1.customers.create({"name": "<b>Jenny</b>"})
        api.v1.invoice_items.create({"customer": customer.id, "amount": 900, "currency": "eur"})
        draft = api.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
        assert draft.hosted_invoice_url is None
        invoice = api.v1.invoices.finalize_invoice(draft.id)
        path = invoice.hosted_invoice_url.removeprefix(shared_box.url)
        page = shared_box.request("GET", path)
        assert page.status == 200
        assert b"&lt;b&gt;Jenny" in page.body
        assert "unsafe" not in page.headers["content-security-policy"]
        _, _, account, code = path.split("/")
        assert shared_box.request("GET", f"/invoice/{account}/{code}x").status == 404
        assert shared_box.request("GET", f"/invoice/acct_other/{code}").status == 404
        api.v1.invoices.void_invoice(invoice.id)
        assert b"has been voided" in shared_box.request("GET", path).body
        assert b"client_secret" not in shared_box.request("GET", path).body


class TestPublishableKeys:
    def test_reading(self, shared_box: Box, api: Sdk) -> None:
        intent = new_intent(api, customer=api.v1.customers.create({}).id, payment_method="pm_card_visa")
        path, secret = f"/v1/payment_intents/{intent.id}", f"client_secret={intent.client_secret}"
        seen = ask(shared_box, "GET", f"{path}?{secret}&expand[]=payment_method").body
        assert seen["payment_method"]["card"]["last4"] == "4242"
        assert {"customer", "metadata", "latest_charge"}.isdisjoint(seen)
        guess = f"client_secret={intent.id}_secret_guess"
        assert error_of(ask(shared_box, "GET", f"{path}?{guess}"), 404)["code"] == "resource_missing"
        for hidden in ("customer", "payment_method.customer", "latest_charge"):
            refused = ask(shared_box, "GET", f"{path}?{secret}&expand[]={hidden}")
            assert error_of(refused, 403)["code"] == "secret_key_required"

    def test_confirming(self, shared_box: Box, api: Sdk) -> None:
        intent = new_intent(api)
        path, secret = f"/v1/payment_intents/{intent.id}", f"client_secret={intent.client_secret}"
        for action in ("", "/cancel", "/capture"):
            refused = ask(shared_box, "POST", path + action, secret)
            assert error_of(refused, 403)["code"] == "secret_key_required"
        for more in ("capture_method=manual", "off_session=true", "metadata[a]=b", "amount_to_confirm=1"):
            refused = ask(shared_box, "POST", f"{path}/confirm", f"{secret}&payment_method=pm_card_visa&{more}")
            assert error_of(refused, 400)["code"] == "parameter_unknown"
        assert api.v1.payment_intents.retrieve(intent.id).status == "requires_payment_method"

    def test_closing_the_challenge(self, shared_box: Box, api: Sdk) -> None:
        intent = new_intent(api, confirm=True, use_stripe_sdk=True, payment_method="pm_card_authenticationRequired",
                            return_url="https://shop.example")  # fmt: skip
        path, secret = f"/v1/payment_intents/{intent.id}/source_cancel", f"client_secret={intent.client_secret}"
        assert error_of(ask(shared_box, "POST", path), 400)["param"] == "client_secret"
        closed = ask(shared_box, "POST", path, secret).body
        assert closed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
        assert error_of(ask(shared_box, "POST", path, secret), 400)["code"] == "payment_intent_unexpected_state"

    def test_what_a_form_asks_for(self, shared_box: Box, api: Sdk) -> None:
        def types(query: str) -> list[str]:
            session: Json = ask(shared_box, "GET", f"/v1/elements/sessions?{query}").body
            found: list[str] = session["payment_method_preference"]["ordered_payment_method_types"]
            return found

        deferred = "type=deferred_intent&deferred_intent[mode]"
        assert "sepa_debit" in types(f"{deferred}=payment&deferred_intent[currency]=eur&deferred_intent[amount]=100")
        assert "sepa_debit" not in types(f"{deferred}=subscription&deferred_intent[currency]=eur")
        intent = new_intent(api, payment_method_types=["card"], customer=api.v1.customers.create({}).id)
        query = f"type=payment_intent&client_secret={intent.client_secret}"
        assert types(query) == ["card"]
        session = ask(shared_box, "GET", f"/v1/elements/sessions?{query}").body
        assert (session["payment_intent"]["amount"], "customer" in session["payment_intent"]) == (2500, False)
        api.v1.payment_intents.cancel(intent.id)
        refused = ask(shared_box, "GET", f"/v1/elements/sessions?{query}")
        assert error_of(refused, 400)["code"] == "payment_intent_unexpected_state"
        guess = ask(shared_box, "GET", f"/v1/elements/sessions?type=payment_intent&client_secret={intent.id}_secret_x")
        assert error_of(guess, 404)["code"] == "resource_missing"


class TestConfirmationTokens:
    def make(self, box: Box, form: str = CARD) -> str:
        reply = ask(box, "POST", "/v1/confirmation_tokens", f"{form}&return_url=https://shop.example/done")
        assert reply.status == 200, reply.body
        token: str = reply.body["id"]
        return token

    def test_it_confirms_once(self, shared_box: Box, api: Sdk) -> None:
        token = self.make(shared_box)
        assert ask(shared_box, "GET", f"/v1/confirmation_tokens/{token}").status == 403
        intent = new_intent(api, confirm=True, confirmation_token=token)
        assert intent.status == "succeeded"
        kept = api.v1.confirmation_tokens.retrieve(token)
        assert (kept.payment_intent, kept.payment_method_preview.card.last4) == (intent.id, "4242")
        other = new_intent(api)
        with pytest.raises(stripe.InvalidRequestError, match="already been used"):
            api.v1.payment_intents.confirm(other.id, {"confirmation_token": token})
        with pytest.raises(stripe.InvalidRequestError, match="No such"):
            api.v1.payment_intents.confirm(other.id, {"confirmation_token": "ctoken_none"})

    def test_a_debit_for_later(self, shared_box: Box, api: Sdk) -> None:
        customer = api.v1.customers.create({})
        setup = api.v1.setup_intents.create(
            {"customer": customer.id, "confirm": True, "payment_method_types": ["card", "sepa_debit"],
             "confirmation_token": self.make(shared_box, DEBIT)}
        )  # fmt: skip
        assert setup.status == "succeeded"
        assert [method.type for method in api.v1.customers.payment_methods.list(customer.id)] == ["sepa_debit"]

    def test_it_lives_twelve_hours(self, box: Box) -> None:
        token, api = self.make(box), box.client()
        box.advance("13h")
        with pytest.raises(stripe.InvalidRequestError, match="expired"):
            new_intent(api, confirm=True, confirmation_token=token)

    def test_what_is_no_test_card_makes_none(self, shared_box: Box) -> None:
        real = CARD.replace("4242424242424242", "4539578763621486")
        refused = ask(shared_box, "POST", "/v1/confirmation_tokens", real)
        assert error_of(refused, 402)["decline_code"] == "live_mode_test_card"
