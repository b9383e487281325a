"""Checkout in subscription mode: when the subscription comes into being, trials, discounts, entitlements."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.flows_catalogue import complete, promotion_of
from contract.harness import VERSIONS, Box, Json, Sdk
from tallystick.sandbox.versions import NEWEST, OLDEST

CARD = "action=pay&email=a@example.com&expiry=12/34&cvc=123&number="


def subscribe(api: Sdk, amount: int = 2000, **more: Any) -> Any:
    monthly = {
        "currency": "usd", "unit_amount": amount, "recurring": {"interval": "month"}, "product_data": {"name": "Pro"},
    }  # fmt: skip
    given: Json = {
        "mode": "subscription",
        "success_url": "https://shop.example/ok",
        "line_items": [{"price_data": monthly, "quantity": 2}],
        **more,
    }
    return api.v1.checkout.sessions.create(given)


def authenticate(box: Box, url: str, outcome: str) -> None:
    """Answer the challenge that the page's form led to."""
    parts = urlsplit(url)
    secret = parse_qs(parts.query)["client_secret"][0]
    assert box.request("POST", f"{parts.path}/{outcome}", f"client_secret={secret}").status == 303


@pytest.mark.parametrize("version", VERSIONS)
class TestSubscribing:
    def test_paid_at_once(self, box: Box, version: str) -> None:
        api = box.client(version)
        sticker = {"currency": "usd", "unit_amount": 300, "product_data": {"name": "Sticker"}}
        once = {"price_data": sticker, "quantity": 1}
        recurring = {"interval": "month"}
        monthly = {"currency": "usd", "unit_amount": 2000, "recurring": recurring, "product_data": {"name": "Pro"}}
        made = subscribe(
            api, line_items=[{"price_data": monthly, "quantity": 2}, once],
            subscription_data={"metadata": {"user": "7"}, "description": "Pro for two"},
        )  # fmt: skip
        assert (made.amount_total, made.subscription, made.customer_creation) == (4300, None, "always")
        complete(box, made.url, email="sub@example.com")
        done = api.v1.checkout.sessions.retrieve(made.id, {"expand": ["subscription", "invoice", "customer"]})
        assert (done.status, done.payment_status, done.payment_intent) == ("complete", "paid", None)
        assert (done.subscription.status, done.customer.email) == ("active", "sub@example.com")
        assert done.subscription.metadata.to_dict() == {"user": "7"}
        assert (done.invoice.status, done.invoice.amount_paid) == ("paid", 4300)
        methods = api.v1.customers.payment_methods.list(done.customer.id).data
        assert [item.id for item in methods] == [done.subscription.default_payment_method]
        assert box.event_types().count("charge.succeeded") == 1

    def test_a_decline_and_then_3d_secure(self, box: Box, version: str) -> None:
        api = box.client(version)
        made = subscribe(api)
        path = made.url.removeprefix(box.url)
        assert box.request("POST", path, CARD + "4000000000000002").status == 402
        left = api.v1.subscriptions.list({"status": "all"}).data
        # Since basil a failed attempt leaves no incomplete subscription.
        assert [item.status for item in left] == (["incomplete"] if version == OLDEST else [])
        challenge = box.request("POST", path, CARD + "4000002500003155").headers["location"]
        assert api.v1.checkout.sessions.retrieve(made.id).status == "open"
        authenticate(box, challenge, "complete")
        done = api.v1.checkout.sessions.retrieve(made.id, {"expand": ["subscription", "invoice"]})
        assert (done.status, done.subscription.status, done.invoice.status) == ("complete", "active", "paid")
        types = box.event_types()
        assert types.count("charge.succeeded") == 1
        assert types.count("payment_intent.created") == 1
        # The card was set up by that: the renewal needs nobody.
        box.advance("32d")
        assert api.v1.subscriptions.retrieve(done.subscription.id).status == "active"
        charges = api.v1.charges.list({"customer": done.customer}).data
        assert [charge.paid for charge in charges] == [True, True, False]

    def test_trials(self, box: Box, version: str) -> None:
        api = box.client(version)
        trial = {"trial_period_days": 7, "trial_settings": {"end_behavior": {"missing_payment_method": "cancel"}}}
        with_card = subscribe(api, subscription_data=trial)
        assert (with_card.amount_total, with_card.payment_method_collection) == (0, "always")
        done = complete(box, with_card.url)
        assert (done["payment_status"], done["status"]) == ("no_payment_required", "complete")
        subscription = api.v1.subscriptions.retrieve(done["subscription"])
        assert (subscription.status, subscription.pending_setup_intent) == ("trialing", None)
        assert subscription.default_payment_method is not None
        without = subscribe(api, subscription_data=trial, payment_method_collection="if_required")
        free = api.v1.subscriptions.retrieve(complete(box, without.url)["subscription"])
        assert (free.status, free.default_payment_method) == ("trialing", None)
        box.advance("8d")
        assert api.v1.subscriptions.retrieve(subscription.id).status == "active"
        assert api.v1.subscriptions.retrieve(free.id).status == "canceled"

    def test_a_code_for_first_purchases(self, box: Box, version: str) -> None:
        api = box.client(version)
        coupon = api.v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
        code = api.v1.promotion_codes.create(
            {**promotion_of(version, coupon), "code": "HALF", "restrictions": {"first_time_transaction": True}}
        )
        made = subscribe(api, allow_promotion_codes=True)
        done = complete(box, made.url, promotion_code="half")
        assert done["amount_total"] == 2000
        invoice = api.v1.invoices.retrieve(done["invoice"])
        assert (invoice.amount_paid, invoice.subtotal) == (2000, 4000)
        assert api.v1.promotion_codes.retrieve(code.id).times_redeemed == 1
        assert "customer.discount.created" in box.event_types()


class TestWhatFollows:
    @pytest.mark.parametrize("credit", [1500, 9000])
    def test_credit_pays_first(self, box: Box, credit: int) -> None:
        api = box.client(NEWEST)
        customer = api.v1.customers.create({"email": "a@example.com", "balance": -credit}).id
        done = complete(box, subscribe(api, customer=customer).url)
        invoice = api.v1.invoices.retrieve(done["invoice"])
        assert (invoice.status, invoice.total, invoice.amount_paid) == ("paid", 4000, max(4000 - credit, 0))
        charges = api.v1.charges.list({"customer": customer}).data
        assert [charge.amount for charge in charges] == ([2500] if credit == 1500 else [])
        assert api.v1.subscriptions.retrieve(done["subscription"]).status == "active"

    def test_bank_debits(self, box: Box) -> None:
        api = box.client(NEWEST)
        made = subscribe(api)
        done = complete(box, made.url, payment_method="pm_usBankAccount_success")
        assert (done["status"], done["payment_status"]) == ("complete", "unpaid")
        box.advance(10)
        after = api.v1.checkout.sessions.retrieve(made.id, {"expand": ["subscription", "invoice"]})
        assert (after.payment_status, after.subscription.status, after.invoice.status) == ("paid", "active", "paid")
        assert "checkout.session.async_payment_succeeded" in box.event_types()

    def test_entitlements_follow_the_subscription(self, box: Box) -> None:
        v1 = box.client(NEWEST).v1
        product = v1.products.create({"name": "Pro"}).id
        feature = v1.entitlements.features.create({"name": "Export", "lookup_key": "export"}).id
        v1.products.features.create(product, {"entitlement_feature": feature})
        recurring = {"interval": "month"}
        price = v1.prices.create({"product": product, "currency": "usd", "unit_amount": 900, "recurring": recurring})
        made = subscribe(box.client(NEWEST), line_items=[{"price": price.id, "quantity": 1}])
        done = complete(box, made.url)
        found = v1.entitlements.active_entitlements.list({"customer": done["customer"]}).data
        assert [(item.lookup_key, item.feature) for item in found] == [("export", feature)]
        assert v1.entitlements.active_entitlements.retrieve(found[0].id).id == found[0].id
        v1.subscriptions.cancel(done["subscription"])
        assert list(v1.entitlements.active_entitlements.list({"customer": done["customer"]}).data) == []
        events = v1.events.list({"type": "entitlements.active_entitlement_summary.updated"}).data
        assert [len(event.data.object["entitlements"]["data"]) for event in events] == [0, 1]
