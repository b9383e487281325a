"""Subscriptions at both versions: creation and its refusals, changes, pauses, cancellation, lists."""

from typing import Any

import pytest
import stripe

from contract.billing_flows import DAY, SLOW_CARD, Clock, customer, is_old, items, price, use_card
from contract.harness import VERSIONS, Box, Json, Sdk, refusal
from tallystick.sandbox.versions import NEWEST

START = 1_790_021_304
HOUR = 3600

FLEXIBLE: Json = {"billing_mode": {"type": "flexible"}}


@pytest.fixture(params=VERSIONS)
def v1(request: pytest.FixtureRequest, shared_box: Box) -> Any:
    return shared_box.client(request.param).v1


def error(call: Any, *arguments: Any) -> Json:
    with pytest.raises(stripe.StripeError) as caught:
        call(*arguments)
    return {**refusal(caught.value), "status": caught.value.http_status}


def moment(subscription: Any) -> tuple[int, int]:
    """The period, wherever the version prints it."""
    if "current_period_start" in subscription:
        return subscription.current_period_start, subscription.current_period_end
    item = items(subscription)[0]
    return item.current_period_start, item.current_period_end


class TestCreating:
    def test_a_fresh_one(self, shared_box: Box, api: Sdk) -> None:
        buyer = customer(api)
        gold = price(api)
        made = api.v1.subscriptions.create({"customer": buyer, "items": [{"price": gold}]})
        assert made.status == "active"
        assert made.billing_mode.to_dict() == {
            "flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": made.created,
        }  # fmt: skip
        assert made.billing_cycle_anchor == made.start_date == made.created
        assert made.trial_settings.to_dict() == {
            "end_behavior": {"billing_cycle_anchor": "now", "missing_payment_method": "create_invoice"}
        }
        assert made.payment_settings.save_default_payment_method == "off"
        assert made["plan"]["id"] == gold
        assert made["quantity"] == 1
        assert "current_period_start" not in made
        assert "discount" not in made
        assert items(made)[0].current_period_start == made.created
        invoice = api.v1.invoices.retrieve(made.latest_invoice, {"expand": ["payments"]})
        assert (invoice.status, invoice.billing_reason, invoice.attempt_count) == ("paid", "subscription_create", 1)
        assert invoice.period_start == invoice.period_end == invoice.created
        assert invoice.number.endswith("-0001")
        assert invoice.auto_advance is False
        assert invoice.effective_at == invoice.status_transitions.finalized_at == invoice.created
        assert invoice.parent.subscription_details.subscription == made.id
        (payment,) = invoice.payments.data
        assert (payment.status, payment.amount_paid, payment.is_default) == ("paid", 1000, True)
        intent = api.v1.payment_intents.retrieve(payment.payment.payment_intent)
        assert (intent.status, intent.setup_future_usage) == ("succeeded", "off_session")
        assert "invoice" not in intent
        assert api.v1.customers.retrieve(buyer).currency == "usd"
        assert api.v1.customers.retrieve(buyer).next_invoice_sequence == 2

    def test_the_same_of_old(self, shared_box: Box) -> None:
        api = shared_box.client(VERSIONS[0])
        made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
        assert "billing_mode" not in made
        assert made.current_period_start == made.created
        assert "current_period_start" not in items(made)[0]
        paths = ["payment_intent.latest_charge", "charge", "subscription"]
        invoice = api.v1.invoices.retrieve(made.latest_invoice, {"expand": paths})
        assert invoice["paid"] is True
        assert invoice["subscription"]["id"] == made.id
        assert invoice["payment_intent"]["latest_charge"]["id"] == invoice["charge"]["id"]
        assert invoice["payment_intent"]["invoice"] == invoice.id
        line = invoice.lines.data[0]
        assert line["price"]["unit_amount"] == line["plan"]["amount"] == 1000
        assert (line["type"], line["proration"]) == ("subscription", False)
        assert "parent" not in line
        with pytest.raises(stripe.InvalidRequestError, match="doesn't exist"):
            shared_box.client(NEWEST).v1.invoices.retrieve(invoice.id, {"expand": ["payment_intent"]})

    def test_without_a_method(self, v1: Any, api: Sdk) -> None:
        gold = price(api)
        buyer = v1.customers.create({}).id
        found = error(v1.subscriptions.create, {"customer": buyer, "items": [{"price": gold}]})
        assert (found["status"], found["code"]) == (400, "resource_missing")
        assert found["message"].startswith("This customer has no attached payment source or default payment method.")
        assert "param" not in found
        assert v1.subscriptions.list({"customer": buyer, "status": "all"}).data == []

    def test_three_d_secure(self, v1: Any, api: Sdk, shared_box: Box) -> None:
        buyer = customer(api, "pm_card_threeDSecure2Required")
        params = {"customer": buyer, "items": [{"price": price(api)}]}
        found = error(v1.subscriptions.create, {**params, "payment_behavior": "error_if_incomplete"})
        assert (found["status"], found["code"]) == (402, "subscription_payment_intent_requires_action")
        assert "doc_url" not in found
        assert "decline_code" not in found
        made = v1.subscriptions.create(params)
        assert made.status == "incomplete"
        assert moment(made)[0] == made.created
        intent = shared_box.client(VERSIONS[0]).v1.invoices.retrieve(made.latest_invoice)["payment_intent"]
        shared_box.authenticate(intent, "complete")
        assert v1.subscriptions.retrieve(made.id).status == "active"

    def test_a_card_that_declines(self, v1: Any, api: Sdk) -> None:
        params = {"customer": customer(api, SLOW_CARD), "items": [{"price": price(api)}]}
        found = error(v1.subscriptions.create, {**params, "payment_behavior": "error_if_incomplete"})
        assert (found["status"], found["code"], found["decline_code"]) == (402, "card_declined", "generic_decline")
        made = v1.subscriptions.create(params)
        assert made.status == "incomplete"
        invoice = v1.invoices.retrieve(made.latest_invoice)
        assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("open", 1, None)

    def test_refusals(self, v1: Any, api: Sdk) -> None:
        buyer, gold = customer(api), price(api)
        base = {"customer": buyer, "items": [{"price": gold}]}
        create = v1.subscriptions.create
        assert error(create, {"customer": buyer})["code"] == "parameter_missing"
        found = error(create, {**base, "payment_behavior": "pending_if_incomplete"})
        assert (found["param"], found["message"]) == (
            "payment_behavior",
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating a subscription.",
        )
        assert error(create, {**base, "payment_behavior": "nope"})["message"] == (
            "Invalid payment_behavior: must be one of allow_incomplete, error_if_incomplete, pending_if_incomplete, or "
            "default_incomplete"
        )
        assert error(create, {**base, "days_until_due": 3})["message"] == (
            "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'."
        )
        found = error(create, {"customer": buyer, "items": [{"price": gold}, {"price": gold}]})
        assert (found["param"], found["message"]) == (
            "plan", f"Cannot create a Subscription with multiple Subscription Items with the same Price: {gold}",
        )  # fmt: skip
        assert error(create, {**base, "trial_end": 1000})["message"] == (
            "The parameter `trial_end` expects a unix timestamp representing a date and time in the future. You "
            "specified the value `1000` which is in the past."
        )
        assert error(create, {**base, "trial_end": 2**33, "trial_from_plan": True})["message"] == (
            "You cannot set `trial_end` or `trial_period_days` when `trial_from_plan=true`."
        )
        assert error(create, {**base, "customer": "cus_nope"})["status"] == 400

    def test_prices_that_cannot_be_subscribed_to(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        once = api.v1.prices.create({"currency": "usd", "unit_amount": 5, "product_data": {"name": "x"}}).id
        archived = price(api)
        api.v1.prices.update(archived, {"active": False})
        for wrong, words in ((once, "type=one_time"), (archived, "inactive"), ("price_nope", "No such price")):
            found = error(v1.subscriptions.create, {"customer": buyer, "items": [{"price": wrong}]})
            assert words in found["message"]
            assert found["param"] == "items[0][price]"
        euros = price(api, currency="eur")
        found = error(v1.subscriptions.create, {"customer": buyer, "items": [{"price": price(api)}, {"price": euros}]})
        assert "expected currency: `usd`" in found["message"]
        v1.subscriptions.create({"customer": buyer, "items": [{"price": price(api)}]})
        found = error(v1.subscriptions.create, {"customer": buyer, "items": [{"price": euros}]})
        assert found["message"].startswith("You cannot combine currencies on a single customer.")

    def test_in_the_browser(self, v1: Any, api: Sdk, shared_box: Box) -> None:
        buyer = customer(api, None)
        made = v1.subscriptions.create(
            {"customer": buyer, "items": [{"price": price(api)}], "payment_behavior": "default_incomplete",
             "payment_settings": {"save_default_payment_method": "on_subscription"}}
        )  # fmt: skip
        assert made.status == "incomplete"
        invoice = api.v1.invoices.retrieve(made.latest_invoice, {"expand": ["confirmation_secret", "payments"]})
        secret = invoice.confirmation_secret.client_secret
        intent = invoice.payments.data[0].payment.payment_intent
        form = f"client_secret={secret}&payment_method=pm_card_visa"
        browser = {"Authorization": "Bearer pk_test_x"}
        paid = shared_box.request("POST", f"/v1/payment_intents/{intent}/confirm", form, browser)
        assert paid.body["status"] == "succeeded"
        after = v1.subscriptions.retrieve(made.id)
        assert after.status == "active"
        method = api.v1.payment_methods.retrieve(after.default_payment_method)
        assert method.customer == buyer
        assert v1.invoices.retrieve(made.latest_invoice).status == "paid"
        refused = error(api.v1.payment_intents.cancel, intent)
        assert refused["code"] == "payment_intent_unexpected_state"

    def test_its_intent_goes_only_with_the_invoice(self, api: Sdk) -> None:
        buyer, entries = customer(api, None), [{"price": price(api)}]
        made = api.v1.subscriptions.create(
            {"customer": buyer, "items": entries, "payment_behavior": "default_incomplete"}
        )
        payment = api.v1.invoice_payments.list({"invoice": made.latest_invoice}).data[0]
        intent = payment.payment.payment_intent
        assert "void" in error(api.v1.payment_intents.cancel, intent)["message"].lower()
        api.v1.invoices.void_invoice(made.latest_invoice)
        canceled = api.v1.payment_intents.retrieve(intent)
        assert (canceled.status, canceled.cancellation_reason) == ("canceled", "void_invoice")
        assert api.v1.subscriptions.retrieve(made.id).status == "incomplete_expired"
        assert api.v1.invoice_payments.retrieve(payment.id).status == "canceled"

    def test_sent_invoices(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START, card=None)
        made = clock.subscribe(price(api), collection_method="send_invoice", days_until_due=30)
        assert made.status == "active"
        assert clock.invoices()[0].status == "draft"
        clock.by(2 * HOUR)
        (sent,) = clock.invoices()
        assert (sent.status, sent.due_date, sent.amount_remaining) == ("open", START + HOUR + 1 + 30 * DAY, 1000)
        clock.to(sent.due_date + 1)
        assert api.v1.subscriptions.retrieve(made.id).status == "past_due"
        for invoice in clock.invoices(status="open"):
            api.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
        assert api.v1.subscriptions.retrieve(made.id).status == "active"

    def test_a_later_anchor_makes_a_shorter_first_period(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api), billing_cycle_anchor=START + 15 * DAY)
        period = START + 15 * DAY - items(made)[0].current_period_start
        assert period == 15 * DAY
        assert clock.invoices()[0].total == 500  # 15 of the 30 days that end at the anchor
        free = clock.subscribe(
            price(api, name="Other"), billing_cycle_anchor=START + 15 * DAY, proration_behavior="none"
        )
        assert api.v1.invoices.retrieve(free.latest_invoice).total == 0
        clock.to(START + 16 * DAY)
        assert clock.invoices()[-1].total == 1000

    def test_the_last_days_of_months(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, 1769853600)  # 31 Jan 2026 10:00
        clock.subscribe(price(api))
        clock.to(1769853600 + 100 * DAY)
        ends = [invoice.lines.data[0].period.end for invoice in clock.invoices()]
        assert ends == [1772272800, 1774951200, 1777543200, 1780221600]


class TestChanging:
    def test_cancel_at_period_end_and_back(self, v1: Any, api: Sdk) -> None:
        made = v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
        ending = v1.subscriptions.update(
            made.id, {"cancel_at_period_end": True, "cancellation_details": {"feedback": "unused"}}
        )
        assert (ending.status, ending.cancel_at) == ("active", moment(made)[1])
        assert ending.canceled_at is not None
        assert ending.cancellation_details.reason == "cancellation_requested"
        back = v1.subscriptions.update(made.id, {"cancel_at_period_end": False})
        assert (back.cancel_at, back.canceled_at, back.cancellation_details.reason) == (None, None, None)

    def test_items(self, v1: Any, api: Sdk) -> None:
        made = v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
        first = items(made)[0].id
        silver = price(api, 500)
        added = v1.subscription_items.create({"subscription": made.id, "price": silver}).id
        listed = v1.subscription_items.list({"subscription": made.id})
        assert [item.id for item in listed.data] == [first, added]
        assert listed.url == "/v1/subscription_items"
        now = v1.subscriptions.retrieve(made.id)
        assert "plan" not in now
        assert now["items"]["url"] == f"/v1/subscription_items?subscription={made.id}"
        assert v1.subscription_items.update(added, {"quantity": 4}).quantity == 4
        assert v1.subscription_items.delete(added).to_dict() == {
            "id": added, "object": "subscription_item", "deleted": True,
        }  # fmt: skip
        assert "at least one" in error(v1.subscription_items.delete, first)["message"]
        assert error(v1.subscription_items.retrieve, added)["status"] == 404

    def test_only_if_it_is_paid(self, v1: Any, api: Sdk, box: Box) -> None:
        api = box.client(v1._requestor._options.stripe_version)
        v1 = api.v1
        buyer = customer(api)
        gold, platinum = price(api), price(api, 9000)
        made = v1.subscriptions.create({"customer": buyer, "items": [{"price": gold}]})
        change: Json = {
            "items": [{"id": items(made)[0].id, "price": platinum}], "payment_behavior": "pending_if_incomplete",
            "proration_behavior": "always_invoice",
        }  # fmt: skip
        found = error(v1.subscriptions.update, made.id, {**change, "metadata": {"a": "b"}})
        assert found["param"] == "metadata"
        use_card(api, buyer, SLOW_CARD)
        held = v1.subscriptions.update(made.id, change)
        assert held.status == "active"
        assert items(held)[0].price.id == gold
        assert held.pending_update.subscription_items[0].price.id == platinum
        assert held.pending_update.expires_at == made.created + 82_800 or held.pending_update.expires_at > held.created
        assert held.latest_invoice != made.latest_invoice
        box.advance("24h")
        lapsed = v1.subscriptions.retrieve(made.id)
        assert lapsed.pending_update is None
        assert v1.invoices.retrieve(held.latest_invoice).status == "void"
        assert "customer.subscription.pending_update_expired" in box.event_types()
        held = v1.subscriptions.update(made.id, change)
        v1.invoices.pay(held.latest_invoice, {"payment_method": v1.payment_methods.attach(
            "pm_card_visa", {"customer": buyer}).id})  # fmt: skip
        applied = v1.subscriptions.retrieve(made.id)
        assert (items(applied)[0].price.id, applied.pending_update) == (platinum, None)
        assert "customer.subscription.pending_update_applied" in box.event_types()
        use_card(api, buyer, "pm_card_visa")
        change["items"][0]["price"] = gold
        at_once = v1.subscriptions.update(made.id, change)
        assert (items(at_once)[0].price.id, at_once.pending_update) == (gold, None)

    def test_the_anchor_as_each_version_spells_it(self, shared_box: Box) -> None:
        for version in VERSIONS:
            api = shared_box.client(version)
            made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
            right, wrong = ("now", {"type": "now"}) if is_old(version) else ({"type": "now"}, "now")
            assert error(api.v1.subscriptions.update, made.id, {"billing_cycle_anchor": wrong})["status"] == 400
            assert api.v1.subscriptions.update(made.id, {"billing_cycle_anchor": right}).status == "active"

    def test_coupons_as_each_version_spells_them(self, shared_box: Box) -> None:
        old, new = (shared_box.client(version) for version in VERSIONS)
        coupon = new.v1.coupons.create({"percent_off": 50, "duration": "once"}).id
        params = {"customer": customer(new), "items": [{"price": price(new)}]}
        assert error(new.v1.subscriptions.create, {**params, "coupon": coupon})["code"] == "parameter_unknown"
        made = old.v1.subscriptions.create({**params, "coupon": coupon})
        assert old.v1.invoices.retrieve(made.latest_invoice).total == 500
        # Once is once.
        assert made["discount"] is None
        lasting = new.v1.coupons.create({"percent_off": 10, "duration": "forever"}).id
        given = new.v1.subscriptions.update(made.id, {"discounts": [{"coupon": lasting}]})
        assert len(given.discounts) == 1
        assert old.v1.subscriptions.retrieve(made.id)["discount"]["coupon"]["id"] == lasting

    def test_the_canceled(self, v1: Any, api: Sdk) -> None:
        made = v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
        ended = v1.subscriptions.cancel(made.id, {"cancellation_details": {"comment": "bye"}})
        assert (ended.status, ended.cancel_at, ended.cancel_at_period_end) == ("canceled", None, False)
        assert ended.canceled_at == ended.ended_at
        assert ended.cancellation_details.reason == "cancellation_requested"
        assert ended.latest_invoice == made.latest_invoice
        again = error(v1.subscriptions.cancel, made.id)
        assert (again["status"], again["param"]) == (404, "id")
        v1.subscriptions.update(made.id, {"metadata": {"a": "b"}})
        found = error(v1.subscriptions.update, made.id, {"cancel_at_period_end": True})
        assert found["code"] == "invalid_canceled_subscription_fields"
        assert error(v1.subscriptions.resume, made.id)["status"] == 404

    @pytest.mark.parametrize("behavior", ["void", "mark_uncollectible", "keep_as_draft"])
    def test_paused_collection(self, shared_box: Box, api: Sdk, behavior: str) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api))
        paused = api.v1.subscriptions.update(
            made.id, {"pause_collection": {"behavior": behavior, "resumes_at": START + 40 * DAY}}
        )
        assert paused.status == "active"
        clock.to(START + 31 * DAY)
        expected = {"void": "void", "mark_uncollectible": "uncollectible", "keep_as_draft": "draft"}
        assert clock.invoices()[-1].status == expected[behavior]
        clock.to(START + 41 * DAY)
        assert api.v1.subscriptions.retrieve(made.id).pause_collection is None
        clock.to(START + 62 * DAY)
        assert clock.invoices()[-1].status == "paid"

    def test_lists(self, v1: Any, api: Sdk) -> None:
        buyer, gold = customer(api), price(api)
        made = [v1.subscriptions.create({"customer": buyer, "items": [{"price": gold}]}).id for _ in range(2)]
        v1.subscriptions.cancel(made[0])

        def listed(**filters: Any) -> list[str]:
            return [one.id for one in v1.subscriptions.list({"customer": buyer, **filters}).data]

        assert listed() == listed(status="active") == [made[1]]
        assert listed(status="all") == made[::-1]
        assert listed(status="ended") == listed(status="canceled") == [made[0]]
        assert listed(price=gold, status="all") == made[::-1]
        assert listed(price="price_other") == []
        found = v1.customers.retrieve(buyer, {"expand": ["subscriptions"]})
        assert [one.id for one in found.subscriptions.data] == [made[1]]
        assert error(v1.subscriptions.list, {"status": "nope"})["message"] == (
            "Invalid status: must be one of active, past_due, unpaid, canceled, incomplete, incomplete_expired, "
            "trialing, paused, all, or ended"
        )

    def test_the_customer_goes(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        made = v1.subscriptions.create({"customer": buyer, "items": [{"price": price(api)}]})
        v1.customers.delete(buyer)
        assert v1.subscriptions.retrieve(made.id).status == "canceled"


class TestPausedStatus:
    def test_pause_and_resume(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START)
        made = clock.subscribe(price(api))
        clock.by(10 * DAY)
        paused = api.v1.subscriptions.pause(made.id, {"type": "subscription"})
        assert paused.status == "paused"
        assert paused.status_details.paused.subscription.type == "pause_requested"
        assert clock.pending()[0].amount == -667
        clock.by(60 * DAY)
        assert len(clock.invoices()) == 1
        resumed = api.v1.subscriptions.resume(made.id)
        assert resumed.status == "active"
        assert resumed.billing_cycle_anchor == clock.now
        assert clock.invoices()[-1].amount_paid == 333

    def test_a_resumption_that_is_not_paid(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START, card=None)
        made = clock.subscribe(
            price(api), trial_period_days=2, trial_settings={"end_behavior": {"missing_payment_method": "pause"}}
        )
        clock.by(3 * DAY)
        assert api.v1.subscriptions.retrieve(made.id).status == "paused"
        held = api.v1.subscriptions.resume(made.id)
        # Recorded: still paused, with an invoice and 23 hours to pay it.
        assert held.status == "paused"
        assert held.latest_invoice != made.latest_invoice
        assert held.pending_update.expires_at == clock.now + 82_800
        assert held.pending_update.subscription_items is None
        clock.by(DAY)
        lapsed = api.v1.subscriptions.retrieve(made.id)
        assert (lapsed.status, lapsed.pending_update) == ("paused", None)
        assert api.v1.invoices.retrieve(held.latest_invoice).status == "void"
        use_card(api, clock.customer, "pm_card_visa")
        assert api.v1.subscriptions.resume(made.id).status == "active"

    def test_a_resumption_that_is_paid_later(self, shared_box: Box, api: Sdk) -> None:
        clock = Clock(shared_box, api, START, card=None)
        made = clock.subscribe(
            price(api), trial_period_days=2, trial_settings={"end_behavior": {"missing_payment_method": "pause"}}
        )
        clock.by(3 * DAY)
        held = api.v1.subscriptions.resume(made.id)
        api.v1.invoices.pay(held.latest_invoice, {"payment_method": use_card(api, clock.customer, "pm_card_visa")})
        resumed = api.v1.subscriptions.retrieve(made.id)
        assert (resumed.status, resumed.pending_update) == ("active", None)
        # What changed is told by an event, all of it.
        told = api.v1.events.list({"type": "customer.subscription.updated"}).data[0]
        assert told.data.object["id"] == made.id
        before = told.data.previous_attributes.to_dict()
        assert before["status"] == "paused"
        assert before["pending_update"]["expires_at"] == clock.now + 82_800
        assert {"current_period_start", "current_period_end", "billing_cycle_anchor"} < set(before)
