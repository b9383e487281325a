"""The Billing Portal: configurations, sessions, the page, and what customers do there."""

import json
from typing import Any

import pytest
import stripe

from contract.harness import VERSIONS, Box, Json, Reply, error_of, refusal
from tallystick.sandbox.versions import NEWEST, OLDEST

BACK = "https://shop.example/account"


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    return refusal(caught.value)


class Shop:
    """A product with two prices, a customer with a card and a subscription, and a portal for both prices."""

    def __init__(self, box: Box, version: str = NEWEST) -> None:
        self.box = box
        self.v1 = box.client(version).v1
        self.product = self.v1.products.create({"name": "Pro"}).id
        self.monthly, self.yearly = (self.price(1500, "month"), self.price(15000, "year"))
        self.customer = self.v1.customers.create({"email": "a@example.com", "name": "Ada"}).id
        self.card = self.v1.payment_methods.attach("pm_card_visa", {"customer": self.customer}).id
        settings = {"default_payment_method": self.card}
        self.v1.customers.update(self.customer, {"invoice_settings": settings})
        self.subscription = self.v1.subscriptions.create(
            {"customer": self.customer, "items": [{"price": self.monthly}]}
        ).id

    def price(self, amount: int, interval: str) -> str:
        recurring = {"interval": interval}
        given = {"product": self.product, "currency": "usd", "unit_amount": amount, "recurring": recurring}
        price: str = self.v1.prices.create(given).id
        return price

    def configuration(self, **cancel: Any) -> str:
        """All features on, with these terms of canceling."""
        on = {"enabled": True}
        features = {
            "customer_update": {"enabled": True, "allowed_updates": ["name"]},
            "invoice_history": on,
            "payment_method_update": on,
            "subscription_cancel": {**on, **cancel},
            "subscription_update": {
                **on,
                "default_allowed_updates": ["price"],
                "proration_behavior": "always_invoice",
                "products": [{"product": self.product, "prices": [self.monthly, self.yearly]}],
            },
        }
        made: str = self.v1.billing_portal.configurations.create({"features": features}).id
        return made

    def open(self, **more: Any) -> Any:
        return self.v1.billing_portal.sessions.create({"customer": self.customer, "return_url": BACK, **more})

    def act(self, session: Any, action: str, **asked: Any) -> Reply:
        """What the customer does, as JSON."""
        path = session.url.removeprefix(self.box.url)
        return self.box.request("POST", f"{path}/{action}", json.dumps(asked), {"Content-Type": "application/json"})

    def page(self, session: Any) -> Reply:
        return self.box.request("GET", session.url.removeprefix(self.box.url))


class TestConfigurations:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_default_is_there(self, box: Box, version: str) -> None:
        v1 = box.client(version).v1
        found = v1.billing_portal.configurations.list({"is_default": True}).data
        assert [item.is_default for item in found] == [True]
        assert found[0].features.subscription_cancel.enabled
        error = refused(v1.billing_portal.configurations.update, found[0].id, {"active": False})
        assert error["param"] == "active"

    def test_create_and_update(self, box: Box) -> None:
        shop = Shop(box)
        billing = shop.v1.billing_portal
        made = billing.configurations.retrieve(shop.configuration())
        update = made.features.subscription_update
        assert (update.trial_update_behavior, update.proration_behavior) == ("end_trial", "always_invoice")
        assert list(made.features.subscription_cancel.cancellation_reason.options)
        billing.configurations.update(made.id, {"features": {"invoice_history": {"enabled": False}}, "active": False})
        changed = billing.configurations.retrieve(made.id)
        assert not changed.features.invoice_history.enabled
        assert changed.features.payment_method_update.enabled
        assert refused(lambda: shop.open(configuration=made.id))["param"] == "configuration"
        types = shop.box.event_types()
        assert types[-2:] == ["billing_portal.configuration.created", "billing_portal.configuration.updated"]

    def test_refusals(self, box: Box) -> None:
        shop = Shop(box)
        create = shop.v1.billing_portal.configurations.create
        assert error_of(box.post("/v1/billing_portal/configurations"), 400)["param"] == "features"
        bare = {"features": {"subscription_update": {"enabled": True, "default_allowed_updates": ["price"]}}}
        assert refused(create, bare)["param"] == "features[subscription_update][products]"
        bare["features"]["subscription_update"]["products"] = [{"product": shop.product, "prices": ["price_nope"]}]
        assert refused(create, bare)["param"] == "features[subscription_update][products][0][prices][0]"


class TestSessions:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_fresh_one(self, box: Box, version: str) -> None:
        shop = Shop(box, version)
        made = shop.open()
        assert made.url.startswith(f"{box.url}/_sandbox/portal/{made.id}.")
        assert (made.customer, made.return_url, made.flow) == (shop.customer, BACK, None)
        assert box.event_types()[-1] == "billing_portal.session.created"

    def test_refusals(self, box: Box) -> None:
        shop = Shop(box)
        create = shop.v1.billing_portal.sessions.create
        assert refused(create, {"customer": shop.customer})["param"] == "return_url"
        assert refused(create, {"customer": "cus_nope", "return_url": BACK})["param"] == "customer"
        other = shop.v1.customers.create({}).id
        flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": shop.subscription}}
        error = refused(create, {"customer": other, "return_url": BACK, "flow_data": flow})
        assert error["param"] == "flow_data[subscription_cancel][subscription]"
        error = refused(create, {"customer": other, "return_url": BACK, "flow_data": {"type": "subscription_update"}})
        assert error["param"] == "flow_data[type]"

    def test_it_does_not_last(self, box: Box) -> None:
        shop = Shop(box)
        unopened, opened = shop.open(), shop.open()
        assert shop.page(opened).status == 200
        box.advance("6m")
        assert (shop.page(unopened).status, shop.page(opened).status) == (410, 200)
        box.advance("2h")
        assert shop.page(opened).status == 410
        assert shop.act(opened, "cancel", subscription=shop.subscription).status == 410
        path = opened.url.removeprefix(box.url).rpartition(".")[0]
        assert box.request("GET", f"{path}.{'x' * 40}").status == 404


class TestThePage:
    def test_it_is_shown(self, box: Box) -> None:
        shop = Shop(box)
        text = shop.page(shop.open(configuration=shop.configuration())).body.decode()
        for words in ("Pro", "$15.00 every month", "$150.00 every year", "Visa •••• 4242", "paid", BACK, "Cancel"):
            assert words in text, words
        assert "<script" not in text
        assert "style=" not in text

    def test_forms(self, box: Box) -> None:
        shop = Shop(box)
        path = shop.open().url.removeprefix(box.url)
        card = "number=4242424242424242&expiry=12/34&cvc=123"
        reply = box.request("POST", f"{path}/add_payment_method", card)
        assert (reply.status, reply.headers["location"]) == (303, path)
        wrong = box.request("POST", f"{path}/add_payment_method", card.replace("4242&", "4241&"))
        assert (wrong.status, b"number is incorrect" in wrong.body) == (402, True)
        assert box.request("POST", f"{path}/cancel", f"subscription={shop.subscription}").status == 303
        assert shop.v1.subscriptions.retrieve(shop.subscription).cancel_at_period_end
        assert b"Keep it" in box.request("GET", path).body
        assert box.request("POST", f"{path}/nonsense", "").status == 404


@pytest.mark.parametrize("version", VERSIONS)
class TestDoing:
    def test_cancel_and_resume(self, box: Box, version: str) -> None:
        shop = Shop(box, version)
        session = shop.open()
        done = shop.act(session, "cancel", subscription=shop.subscription, feedback="unused", comment="Bye")
        assert (done.status, done.body["cancel_at_period_end"]) == (200, True)
        details = shop.v1.subscriptions.retrieve(shop.subscription).cancellation_details
        assert (details.feedback, details.comment, details.reason) == ("unused", "Bye", "cancellation_requested")
        assert shop.act(session, "resume", subscription=shop.subscription).body["cancel_at_period_end"] is False
        assert box.event_types()[-2:] == ["customer.subscription.updated"] * 2

    def test_cancel_at_once(self, box: Box, version: str) -> None:
        shop = Shop(box, version)
        session = shop.open(configuration=shop.configuration(mode="immediately"))
        assert shop.act(session, "cancel", subscription=shop.subscription).body["status"] == "canceled"
        assert "customer.subscription.deleted" in box.event_types()

    def test_change_of_plan(self, box: Box, version: str) -> None:
        shop = Shop(box, version)
        session = shop.open(configuration=shop.configuration())
        done = shop.act(session, "update", subscription=shop.subscription, price=shop.yearly)
        assert done.body["items"]["data"][0]["price"]["id"] == shop.yearly
        assert shop.v1.invoices.list({"customer": shop.customer}).data[0].amount_paid == 13500
        assert error_of(shop.act(session, "update", subscription=shop.subscription, price="price_x"), 400)["param"] == (
            "price"
        )
        assert shop.act(shop.open(), "update", subscription=shop.subscription, price=shop.monthly).status == 400

    def test_payment_methods(self, box: Box, version: str) -> None:
        shop = Shop(box, version)
        session = shop.open()
        added = shop.act(session, "add_payment_method", payment_method="pm_card_mastercard").body["id"]
        assert shop.act(session, "default_payment_method", payment_method=added).status == 200
        customer = shop.v1.customers.retrieve(shop.customer)
        assert customer.invoice_settings.default_payment_method == added
        assert shop.act(session, "remove_payment_method", payment_method=shop.card).body["customer"] is None
        other = shop.v1.payment_methods.attach("pm_card_visa", {"customer": shop.v1.customers.create({}).id}).id
        assert shop.act(session, "remove_payment_method", payment_method=other).status == 404
        declined = shop.act(session, "add_payment_method", payment_method="pm_card_visa_chargeDeclined")
        assert error_of(declined, 402)["code"] == "card_declined"

    def test_flows(self, box: Box, version: str) -> None:
        shop = Shop(box, version)
        item = shop.v1.subscriptions.retrieve(shop.subscription)["items"].data[0].id
        details = {"subscription": shop.subscription, "items": [{"id": item, "price": shop.yearly}]}
        after = {"type": "redirect", "redirect": {"return_url": "https://shop.example/done"}}
        flow = {
            "type": "subscription_update_confirm", "subscription_update_confirm": details, "after_completion": after,
        }  # fmt: skip
        session = shop.open(configuration=shop.configuration(), flow_data=flow)
        assert session.flow.subscription_update_confirm["items"][0].price == shop.yearly
        assert b"Please confirm" in shop.page(session).body
        path = session.url.removeprefix(box.url)
        reply = box.request("POST", f"{path}/confirm", "")
        assert (reply.status, reply.headers["location"]) == (303, "https://shop.example/done")
        subscription = shop.v1.subscriptions.retrieve(shop.subscription)
        assert subscription["items"].data[0].price.id == shop.yearly
        leave = {"type": "subscription_cancel", "subscription_cancel": {"subscription": shop.subscription}}
        assert shop.act(shop.open(flow_data=leave), "confirm").body["cancel_at_period_end"]

    def test_own_data(self, box: Box, version: str) -> None:
        shop = Shop(box, version)
        session = shop.open(configuration=shop.configuration())
        assert shop.act(session, "customer", name="Ada L.").body["name"] == "Ada L."
        assert shop.act(session, "customer", email="b@example.com").status == 400


def test_pause_is_printed_by_version(box: Box) -> None:
    for version in (OLDEST, NEWEST):
        found = box.client(version).v1.billing_portal.configurations.list({}).data[0].to_dict()
        assert ("duration" in found["features"]["subscription_pause"]) == (version == NEWEST)
