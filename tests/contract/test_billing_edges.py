"""What is rare: bank debits, mixed intervals, other currencies, behaviours of updates, and events equal to state."""

from typing import Any

import pytest
import stripe

from contract.billing_flows import (
    DAY,
    SLOW_CARD,
    Clock,
    customer,
    drive_billing,
    items,
    lines_of,
    price,
    use_card,
)
from contract.harness import VERSIONS, Box, Json, Receiver, Sdk, refusal

START = 1_767_225_600


class TestMethodsAndPrices:
    @pytest.mark.parametrize(
        ("account", "invoice", "status"),
        [("pm_usBankAccount_success", "paid", "active"), ("pm_usBankAccount_insufficientFunds", "open", "past_due")],
    )
    def test_a_bank_debit_is_trusted_at_first(self, box: Box, account: str, invoice: str, status: str) -> None:
        api = box.client()
        buyer = customer(api, None)
        method = use_card(api, buyer, account)
        made = api.v1.subscriptions.create(
            {"customer": buyer, "items": [{"price": price(api)}], "default_payment_method": method}
        )
        assert made.status == "active"
        assert api.v1.invoices.retrieve(made.latest_invoice).status == "open"
        box.advance(10)
        assert api.v1.invoices.retrieve(made.latest_invoice).status == invoice
        assert api.v1.subscriptions.retrieve(made.id).status == status

    def test_months_and_years_together(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        yearly = price(api, 9000, name="Storage", recurring={"interval": "year"})
        monthly = price(api)
        clock.subscribe(monthly, yearly)
        assert clock.invoices()[0].total == 10000
        clock.to(START + 40 * DAY)
        assert lines_of(clock.invoices()[-1]) == [("1 × Gold (at $10.00 / month)", 1000)]
        with pytest.raises(stripe.InvalidRequestError, match="mismatch in interval"):
            clock.subscribe(monthly, yearly, billing_mode={"type": "classic"})

    def test_metered(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        usage = price(api, 5, recurring={"interval": "month", "usage_type": "metered", "meter": "mtr_1"})
        made = clock.subscribe(usage, billing_mode={"type": "classic"})
        assert "quantity" not in items(made)[0]
        assert lines_of(clock.invoices()[0]) == [("0 × Gold (at $0.05 / month)", 0)]
        clock.subscribe(usage, billing_mode={"type": "flexible"})
        assert lines_of(clock.invoices()[-1]) == []

    def test_another_currency_of_the_price(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        both = price(api, 500, currency_options={"eur": {"unit_amount": 450}})
        made = clock.subscribe(both, currency="eur")
        assert made.currency == "eur"
        assert clock.invoices()[0].amount_paid == 450

    def test_one_off_items(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        once = api.v1.prices.create({"currency": "usd", "unit_amount": 5000, "product_data": {"name": "Set-up"}}).id
        clock.subscribe(price(api), add_invoice_items=[{"price": once}])
        assert lines_of(clock.invoices()[0]) == [("Set-up", 5000), ("1 × Gold (at $10.00 / month)", 1000)]

    def test_a_trial_that_ends_before_the_anchor(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        clock.subscribe(price(api), trial_end=START + 16 * DAY, billing_cycle_anchor=START + 31 * DAY)
        clock.to(START + 33 * DAY)
        assert [invoice.total for invoice in clock.invoices()] == [0, 484, 1000]


class TestPaymentBehaviours:
    def change(self, subscription: Any, price_id: str, behavior: str) -> Json:
        return {
            "items": [{"id": items(subscription)[0].id, "price": price_id}],
            "proration_behavior": "always_invoice",
            "payment_behavior": behavior,
        }

    def test_default_incomplete(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api))
        changed = api.v1.subscriptions.update(made.id, self.change(made, price(api, 8000), "default_incomplete"))
        assert changed.status == "past_due"
        api.v1.invoices.pay(changed.latest_invoice)
        assert api.v1.subscriptions.retrieve(made.id).status == "active"

    def test_error_if_incomplete_changes_nothing(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        gold = price(api)
        made = clock.subscribe(gold)
        use_card(api, clock.customer, SLOW_CARD)
        before = api.v1.subscriptions.retrieve(made.id).to_dict()
        with pytest.raises(stripe.CardError) as caught:
            api.v1.subscriptions.update(made.id, self.change(made, price(api, 8000), "error_if_incomplete"))
        assert refusal(caught.value)["code"] == "card_declined"
        assert api.v1.subscriptions.retrieve(made.id).to_dict() == before
        assert len(clock.invoices()) == 1
        assert clock.pending() == []

    def test_allow_incomplete_is_retried(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api))
        use_card(api, clock.customer, SLOW_CARD)
        platinum = price(api, 8000)
        changed = api.v1.subscriptions.update(made.id, self.change(made, platinum, "allow_incomplete"))
        assert changed.status == "past_due"
        assert items(changed)[0].price.id == platinum
        invoice = clock.invoices()[-1]
        assert (invoice.attempt_count, invoice.next_payment_attempt) == (1, START + 3 * DAY)

    def test_three_d_secure_on_an_update(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api))
        use_card(api, clock.customer, "pm_card_authenticationRequired")
        platinum = price(api, 8000)
        held = api.v1.subscriptions.update(made.id, self.change(made, platinum, "pending_if_incomplete"))
        assert held.pending_update is not None
        payment = api.v1.invoice_payments.list({"invoice": held.latest_invoice}).data[0]
        shared_box.authenticate(payment.payment.payment_intent, "complete")
        applied = api.v1.subscriptions.retrieve(made.id)
        assert (applied.pending_update, items(applied)[0].price.id) == (None, platinum)


@pytest.mark.parametrize("version", VERSIONS)
def test_events_tell_all(box: Box, receiver: Receiver, version: str) -> None:
    """The last event of every object is its state: nothing changes in silence."""
    box.control("POST", "/settings", {"api_version": version, "search_lag_s": 0, "webhook_in_flight": 1})
    box.control("PUT", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_x", "api_version": version})
    drive_billing(box, box.client(version), version)
    box.quiet()
    order = {delivery.event["id"]: number for number, delivery in enumerate(receiver.got)}
    assert len(order) == len(receiver.got)
    last: dict[str, Json] = {}
    for delivery in receiver.got:
        found = delivery.event["data"]["object"]
        if "id" in found:
            last[found["id"]] = found
    paths = {"charge": "charges", "customer": "customers", "invoice": "invoices", "payment_intent": "payment_intents",
             "setup_intent": "setup_intents", "subscription": "subscriptions"}  # fmt: skip
    compared = 0
    for object_id, told in last.items():
        path = paths.get(told["object"])
        reply = box.request("GET", f"/v1/{path}/{object_id}") if path else None
        if reply is None or reply.status != 200 or reply.body.get("deleted"):
            continue
        now = reply.body
        # The counter of invoices moves without news.
        now["next_invoice_sequence"] = told.get("next_invoice_sequence")
        assert {**told, "next_invoice_sequence": now["next_invoice_sequence"]} == now
        compared += 1
    assert compared > 50
