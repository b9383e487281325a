"""Drives the billing endpoints once, for the shapes of all they answer and emit; and helpers for their tests."""

from typing import Any

import stripe

from contract.harness import Box, Json, Sdk
from tallystick.sandbox.versions import NEWEST, OLDEST

DAY = 86400
SLOW_CARD = "pm_card_chargeCustomerFail"
"""Attaches, and declines when it is charged."""


def price(api: Sdk, amount: int = 1000, *, currency: str = "usd", name: str = "Gold", **more: Any) -> str:
    """A new product's monthly price."""
    product = api.v1.products.create({"name": name}).id
    params: Json = {"product": product, "currency": currency, "unit_amount": amount, "recurring": {"interval": "month"}}
    made: str = api.v1.prices.create({**params, **more}).id
    return made


def customer(api: Sdk, card: str | None = "pm_card_visa", **more: Any) -> str:
    """A customer with a default card, or without one."""
    made: str = api.v1.customers.create({"email": "a@example.com", **more}).id
    if card is not None:
        use_card(api, made, card)
    return made


def use_card(api: Sdk, customer_id: str, card: str) -> str:
    """Another default card."""
    method: str = api.v1.payment_methods.attach(card, {"customer": customer_id}).id
    api.v1.customers.update(customer_id, {"invoice_settings": {"default_payment_method": method}})
    return method


def items(subscription: Any) -> list[Any]:
    """A subscription's items: `items` of an SDK object is a method of dicts elsewhere."""
    found: list[Any] = subscription["items"]["data"]
    return found


def is_old(version: str) -> bool:
    return version == OLDEST


def preview(api: Sdk, version: str, subscription: str, **details: Any) -> Any:
    """The next invoice, as either version asks for it."""
    params: Json = {"subscription": subscription}
    if version == NEWEST:
        return api.v1.invoices.create_preview({**params, "subscription_details": details} if details else params)
    params |= {f"subscription_{key}": value for key, value in details.items()}
    return api.deserialize(api.raw_request("get", "/v1/invoices/upcoming", **params), api_mode="V1")


def refused(call: Any, *arguments: Any) -> None:
    try:
        call(*arguments)
    except stripe.StripeError:
        return
    raise AssertionError("expected a refusal")


def subscriptions(box: Box, api: Sdk, version: str) -> None:
    """From creation to cancellation, with every kind of outcome."""
    v1 = api.v1
    gold, silver = price(api), price(api, 500, name="Silver")
    buyer = customer(api)
    coupon = v1.coupons.create({"percent_off": 25, "duration": "repeating", "duration_in_months": 3}).id
    made = v1.subscriptions.create(
        {"customer": buyer, "items": [{"price": gold, "quantity": 2}], "discounts": [{"coupon": coupon}],
         "metadata": {"k": "v"}, "payment_settings": {"save_default_payment_method": "on_subscription"}}
    )  # fmt: skip
    paths = ["latest_invoice.payments", "latest_invoice.confirmation_secret", "discounts"]
    if is_old(version):
        paths = ["latest_invoice.payment_intent.latest_charge", "latest_invoice.charge", "discounts"]
    v1.subscriptions.retrieve(made.id, {"expand": [*paths, "customer", "default_payment_method"]})
    v1.subscriptions.update(made.id, {"items": [{"id": items(made)[0].id, "price": silver, "quantity": 3}]})
    preview(api, version, made.id)
    v1.invoice_items.list({"customer": buyer, "pending": True})
    added = v1.subscription_items.create({"subscription": made.id, "price": gold}).id
    v1.subscription_items.list({"subscription": made.id})
    v1.subscription_items.update(added, {"quantity": 5, "proration_behavior": "always_invoice"})
    v1.subscription_items.retrieve(added)
    v1.subscription_items.delete(added)
    v1.subscriptions.update(made.id, {"pause_collection": {"behavior": "void"}})
    v1.subscriptions.update(made.id, {"pause_collection": ""})
    v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    v1.subscriptions.update(made.id, {"cancel_at_period_end": False})
    schedule = v1.subscription_schedules.create({"from_subscription": made.id})
    v1.subscription_schedules.update(schedule.id, {"metadata": {"k": "v"}})
    v1.subscription_schedules.list({"customer": buyer})
    v1.subscription_schedules.release(schedule.id)
    box.advance("33d")
    v1.subscriptions.list({"customer": buyer, "status": "all"})
    v1.subscriptions.search({"query": "metadata['k']:'v'"})
    v1.invoices.list({"subscription": made.id, "expand": ["data.discounts"]})
    v1.invoices.search({"query": f"customer:'{buyer}'"})
    v1.customers.retrieve(buyer, {"expand": ["subscriptions"]})
    v1.subscriptions.delete_discount(made.id)
    v1.subscriptions.cancel(made.id, {"prorate": True, "invoice_now": True})
    refused(v1.subscriptions.cancel, made.id)


def troubles(box: Box, api: Sdk, version: str) -> None:
    """Payments that fail or wait."""
    v1 = api.v1
    gold, more = price(api), price(api, 9000, name="Platinum")
    waiting = v1.subscriptions.create(
        {"customer": customer(api, None), "items": [{"price": gold}], "payment_behavior": "default_incomplete"}
    )
    v1.invoices.void_invoice(waiting.latest_invoice)
    asked = v1.subscriptions.create(
        {"customer": customer(api, "pm_card_authenticationRequired"), "items": [{"price": gold}]}
    )
    assert asked.status == "incomplete"
    buyer = customer(api)
    poor = v1.subscriptions.create({"customer": buyer, "items": [{"price": gold}]})
    use_card(api, buyer, SLOW_CARD)
    v1.subscriptions.update(
        poor.id,
        {"items": [{"id": items(poor)[0].id, "price": more}], "payment_behavior": "pending_if_incomplete",
         "proration_behavior": "always_invoice"},
    )  # fmt: skip
    box.advance("25h")
    box.advance("32d")
    failed = v1.subscriptions.retrieve(poor.id)
    assert failed.status == "past_due"
    refused(v1.invoices.pay, failed.latest_invoice)
    box.advance("20d")
    assert v1.subscriptions.retrieve(poor.id).status == "canceled"
    v1.invoices.mark_uncollectible(failed.latest_invoice)
    sent = v1.subscriptions.create(
        {"customer": buyer, "items": [{"price": gold}], "collection_method": "send_invoice", "days_until_due": 3}
    )
    box.advance("5d")
    v1.invoices.pay(sent.latest_invoice, {"paid_out_of_band": True})
    v1.customers.delete(buyer)


def trials(box: Box, api: Sdk, version: str) -> None:
    """With and without a method."""
    v1 = api.v1
    gold = price(api)
    v1.subscriptions.create({"customer": customer(api), "items": [{"price": gold}], "trial_period_days": 5})
    paused = v1.subscriptions.create(
        {"customer": customer(api, None), "items": [{"price": gold}], "trial_period_days": 2,
         "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}
    )  # fmt: skip
    v1.subscriptions.retrieve(paused.id, {"expand": ["pending_setup_intent"]})
    box.advance("6d")
    v1.subscriptions.resume(paused.id)
    use_card(api, paused.customer, "pm_card_visa")
    box.advance("1d")
    v1.subscriptions.resume(paused.id)


def invoices(api: Sdk, version: str) -> None:
    """Invoices without a subscription."""
    v1 = api.v1
    buyer = customer(api)
    v1.customers.balance_transactions.create(buyer, {"amount": -300, "currency": "usd"})
    waiting = v1.invoice_items.create({"customer": buyer, "amount": 1500, "currency": "usd", "description": "Socks"})
    v1.invoice_items.retrieve(waiting.id)
    v1.invoice_items.update(waiting.id, {"metadata": {"a": "b"}})
    drawn = v1.invoices.create({"customer": buyer, "pending_invoice_items_behavior": "include"}).id
    v1.invoices.update(drawn, {"description": "d"})
    v1.invoices.finalize_invoice(drawn)
    v1.invoices.pay(drawn)
    v1.invoices.line_items.list(drawn)
    v1.customers.balance_transactions.list(buyer)
    v1.customers.retrieve(buyer)
    gone = v1.invoices.create({"customer": buyer}).id
    v1.invoices.delete(gone)
    sent = v1.invoices.create({"customer": buyer, "collection_method": "send_invoice", "days_until_due": 1}).id
    v1.invoice_items.create({"customer": buyer, "invoice": sent, "amount": 700, "currency": "usd"})
    v1.invoices.send_invoice(sent)
    v1.invoices.void_invoice(sent)
    spare = v1.invoice_items.create({"customer": buyer, "amount": 10, "currency": "usd"}).id
    v1.invoice_items.delete(spare)
    if not is_old(version):
        v1.invoice_payments.list({"invoice": drawn})
        found = v1.invoice_payments.list({"status": "paid"}).data[0].id
        v1.invoice_payments.retrieve(found, {"expand": ["payment.payment_intent", "invoice"]})


def clocks(box: Box, api: Sdk) -> None:
    """Test clocks."""
    v1 = api.v1
    clock = v1.test_helpers.test_clocks.create({"frozen_time": 1_767_225_600, "name": "c"}).id
    buyer = customer(api, test_clock=clock)
    v1.subscriptions.create({"customer": buyer, "items": [{"price": price(api)}]})
    v1.test_helpers.test_clocks.advance(clock, {"frozen_time": 1_767_225_600 + 40 * DAY})
    box.quiet()
    v1.test_helpers.test_clocks.retrieve(clock)
    v1.test_helpers.test_clocks.list()
    v1.subscriptions.list({"test_clock": clock, "expand": ["data.test_clock"]})
    v1.test_helpers.test_clocks.delete(clock)


def drive_billing(box: Box, api: Sdk, version: str) -> None:
    """All of it; business time moves by months."""
    invoices(api, version)
    clocks(box, api)
    subscriptions(box, api, version)
    trials(box, api, version)
    troubles(box, api, version)


class Clock:
    """A test clock with one customer."""

    def __init__(self, box: Box, api: Sdk, start: int, card: str | None = "pm_card_visa") -> None:
        self._box = box
        self.api = api
        self.now = start
        self.id: str = api.v1.test_helpers.test_clocks.create({"frozen_time": start}).id
        self.customer = customer(api, card, test_clock=self.id)

    def to(self, moment: int) -> None:
        """Advance to this moment, by steps that the clock allows."""
        while self.now < moment:
            self.now = min(moment, self.now + 28 * DAY)
            self.api.v1.test_helpers.test_clocks.advance(self.id, {"frozen_time": self.now})
            self._box.quiet()
            assert self.api.v1.test_helpers.test_clocks.retrieve(self.id).status == "ready"

    def by(self, seconds: int) -> None:
        self.to(self.now + seconds)

    def subscribe(self, *prices: str, **more: Any) -> Any:
        entries = [{"price": one} for one in prices]
        return self.api.v1.subscriptions.create({"customer": self.customer, "items": entries, **more})

    def invoices(self, **more: Any) -> list[Any]:
        """The customer's invoices, oldest first."""
        found = self.api.v1.invoices.list({"customer": self.customer, "limit": 100, **more}).data
        return list(reversed(found))

    def pending(self) -> list[Any]:
        """The invoice items that wait."""
        found: list[Any] = self.api.v1.invoice_items.list({"customer": self.customer, "pending": True}).data
        return found


def lines_of(invoice: Any) -> list[tuple[str, int]]:
    return [(line.description, line.amount) for line in invoice.lines.data]
