"""Renewals that fail, trials and their ends, incomplete ones that expire; with the events of each."""

from typing import Any

import pytest

from contract.billing_flows import DAY, SLOW_CARD, Clock, customer, items, price, use_card
from contract.harness import VERSIONS, Box, Sdk
from contract.test_billing_subscriptions import error

START = 1_767_225_600
"""1 Jan 2026."""
FEBRUARY = START + 31 * DAY
HOUR = 3600


def settings(box: Box, **changes: Any) -> None:
    box.control("POST", "/settings", changes)


def kinds(box: Box, *prefixes: str) -> list[str]:
    """The types of the events so far, oldest first."""
    found = [event.type for event in box.client().v1.events.list({"limit": 100}).data]
    return [kind for kind in reversed(found) if kind.startswith(prefixes or ("",))]


@pytest.fixture(params=VERSIONS)
def clock(request: pytest.FixtureRequest, box: Box) -> Clock:
    return Clock(box, box.client(request.param), START)


@pytest.fixture
def failing(clock: Clock) -> Any:
    """A subscription whose renewal is about to fail."""
    made = clock.subscribe(price(clock.api))
    use_card(clock.api, clock.customer, SLOW_CARD)
    return made


class TestRenewal:
    def test_a_draft_for_an_hour(self, box: Box, clock: Clock) -> None:
        clock.subscribe(price(clock.api))
        clock.to(FEBRUARY)
        draft = clock.invoices()[-1]
        assert (draft.status, draft.billing_reason) == ("draft", "subscription_cycle")
        assert draft.next_payment_attempt == FEBRUARY + HOUR
        assert (draft.period_start, draft.period_end) == (START, FEBRUARY)
        assert draft.lines.data[0].period.to_dict() == {"start": FEBRUARY, "end": FEBRUARY + 28 * DAY}
        before = len(kinds(box))
        clock.by(2 * HOUR)
        assert clock.invoices()[-1].status == "paid"
        later = [kind for kind in kinds(box)[before:] if not kind.startswith("test_helpers")]
        extra = ["invoice_payment.paid"] if "invoice_payment.paid" in later else []
        assert later == [
            "invoice.finalized", "payment_intent.created", "charge.succeeded", "payment_intent.succeeded",
            "invoice.updated", "invoice.paid", "invoice.payment_succeeded", *extra,
        ]  # fmt: skip

    def test_upcoming(self, box: Box, clock: Clock) -> None:
        clock.subscribe(price(clock.api))
        clock.to(FEBRUARY - 7 * DAY + 1)
        (event,) = clock.api.v1.events.list({"type": "invoice.upcoming"}).data
        assert event.data.object["amount_due"] == 1000
        assert event.request.id is None
        settings(box, upcoming_days=0)
        clock.to(FEBRUARY + 27 * DAY)
        assert len(clock.api.v1.events.list({"type": "invoice.upcoming"}).data) == 1


class TestDunning:
    def test_the_calendar(self, box: Box, clock: Clock, failing: Any) -> None:
        clock.to(FEBRUARY + 2 * HOUR)
        first = FEBRUARY + HOUR + 1
        seen = []
        for wait in (3, 5, 7):
            invoice = clock.invoices()[-1]
            seen.append((invoice.attempt_count, invoice.next_payment_attempt))
            clock.by(wait * DAY)
        days = [3, 8, 15]
        assert seen == [(number, first + day * DAY) for number, day in enumerate(days, 1)]
        last = clock.invoices()[-1]
        assert (last.attempt_count, last.next_payment_attempt, last.status) == (4, None, "open")
        ended = clock.api.v1.subscriptions.retrieve(failing.id)
        assert (ended.status, ended.cancellation_details.reason) == ("canceled", "payment_failed")
        assert ended.ended_at == first + 15 * DAY

    def test_the_events_of_a_failure(self, box: Box, clock: Clock, failing: Any) -> None:
        clock.to(FEBRUARY)
        before = len(kinds(box))
        clock.by(2 * HOUR)
        later = [kind for kind in kinds(box)[before:] if not kind.startswith("test_helpers")]
        assert later == [
            "invoice.finalized", "payment_intent.created", "charge.failed", "payment_intent.payment_failed",
            "invoice.payment_failed", "invoice.updated", "customer.updated", "customer.subscription.updated",
        ]  # fmt: skip
        assert clock.api.v1.customers.retrieve(clock.customer).delinquent is True
        event = clock.api.v1.events.list({"type": "customer.subscription.updated"}).data[0]
        assert event.data.previous_attributes["status"] == "active"
        assert event.data.object["status"] == "past_due"

    def test_recovery(self, box: Box, clock: Clock, failing: Any) -> None:
        clock.to(FEBRUARY + 2 * HOUR)
        use_card(clock.api, clock.customer, "pm_card_visa")
        # Another card does not pay by itself: the next retry does.
        assert clock.invoices()[-1].status == "open"
        clock.by(3 * DAY)
        assert clock.invoices()[-1].status == "paid"
        assert clock.api.v1.subscriptions.retrieve(failing.id).status == "active"
        assert clock.api.v1.customers.retrieve(clock.customer).delinquent is False

    def test_paying_by_hand(self, box: Box, clock: Clock, failing: Any) -> None:
        clock.to(FEBRUARY + 2 * HOUR)
        invoice = clock.invoices()[-1]
        found = error(clock.api.v1.invoices.pay, invoice.id)
        assert (found["status"], found["code"]) == (402, "card_declined")
        again = clock.invoices()[-1]
        assert (again.attempt_count, again.next_payment_attempt) == (1, invoice.next_payment_attempt)
        method = clock.api.v1.payment_methods.attach("pm_card_visa", {"customer": clock.customer}).id
        assert clock.api.v1.invoices.pay(invoice.id, {"payment_method": method}).status == "paid"
        assert clock.api.v1.subscriptions.retrieve(failing.id).status == "active"
        assert error(clock.api.v1.invoices.pay, invoice.id)["message"] == "Invoice is already paid"

    @pytest.mark.parametrize("ending", ["unpaid", "past_due"])
    def test_other_ends(self, box: Box, clock: Clock, failing: Any, ending: str) -> None:
        settings(box, after_last_retry=ending, retry_days=[1])
        clock.to(FEBRUARY + 3 * DAY)
        assert clock.api.v1.subscriptions.retrieve(failing.id).status == ending
        clock.to(FEBRUARY + 30 * DAY)
        newest = clock.invoices()[-1]
        assert newest.status == ("draft" if ending == "unpaid" else "open")
        use_card(clock.api, clock.customer, "pm_card_visa")
        clock.api.v1.invoices.pay(newest.id)
        assert clock.api.v1.subscriptions.retrieve(failing.id).status == "active"

    def test_no_retries(self, box: Box, clock: Clock, failing: Any) -> None:
        settings(box, retry_days=[])
        clock.to(FEBRUARY + 2 * HOUR)
        assert clock.api.v1.subscriptions.retrieve(failing.id).status == "canceled"

    def test_voiding_walks_back(self, box: Box, clock: Clock, failing: Any) -> None:
        clock.to(FEBRUARY + 2 * HOUR)
        clock.api.v1.invoices.void_invoice(clock.invoices()[-1].id)
        assert clock.api.v1.subscriptions.retrieve(failing.id).status == "active"
        assert clock.api.v1.customers.retrieve(clock.customer).delinquent is False

    def test_authentication_is_waited_for(self, box: Box, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api))
        use_card(clock.api, clock.customer, "pm_card_authenticationRequired")
        clock.to(FEBRUARY + 2 * HOUR)
        assert clock.api.v1.subscriptions.retrieve(made.id).status == "past_due"
        found = kinds(box, "invoice.payment")
        assert found[-2:] == ["invoice.payment_action_required", "invoice.payment_failed"]
        invoice = clock.invoices()[-1]
        assert error(clock.api.v1.invoices.pay, invoice.id)["code"] == "invoice_payment_intent_requires_action"
        intent = box.client(VERSIONS[0]).v1.invoices.retrieve(invoice.id)["payment_intent"]
        box.authenticate(intent, "complete")
        assert clock.api.v1.subscriptions.retrieve(made.id).status == "active"

    def test_a_hard_decline_is_not_tried_again(self, box: Box, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api))
        method = use_card(clock.api, clock.customer, SLOW_CARD)
        clock.to(FEBRUARY + 2 * HOUR)
        intent = box.client(VERSIONS[0]).v1.invoices.retrieve(clock.invoices()[-1].id)["payment_intent"]
        assert clock.api.v1.payment_intents.retrieve(intent).last_payment_error.payment_method.id == method
        failed = len(clock.api.v1.charges.list({"customer": clock.customer, "limit": 100}).data)
        clock.by(3 * DAY)
        assert len(clock.api.v1.charges.list({"customer": clock.customer, "limit": 100}).data) == failed + 1
        assert clock.api.v1.subscriptions.retrieve(made.id).status == "past_due"


class TestIncomplete:
    def test_it_expires_after_23_hours(self, box: Box, clock: Clock) -> None:
        use_card(clock.api, clock.customer, SLOW_CARD)
        made = clock.subscribe(price(clock.api))
        clock.by(22 * HOUR)
        assert clock.api.v1.subscriptions.retrieve(made.id).status == "incomplete"
        clock.by(HOUR)
        expired = clock.api.v1.subscriptions.retrieve(made.id)
        assert (expired.status, expired.ended_at) == ("incomplete_expired", START + 23 * HOUR)
        assert clock.invoices()[-1].status == "void"
        later = kinds(box, "invoice.voided", "payment_intent.canceled", "customer.subscription.updated")
        assert later == ["invoice.voided", "payment_intent.canceled", "customer.subscription.updated"]

    def test_its_items_cannot_change(self, box: Box, clock: Clock) -> None:
        use_card(clock.api, clock.customer, SLOW_CARD)
        made = clock.subscribe(price(clock.api))
        found = error(clock.api.v1.subscriptions.update, made.id, {"items": [{"id": items(made)[0].id, "quantity": 2}]})
        assert found["status"] == 400
        clock.api.v1.subscriptions.update(made.id, {"metadata": {"a": "b"}})


class TestTrials:
    def test_with_a_method(self, box: Box, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api), trial_period_days=14)
        end = START + 14 * DAY
        assert (made.status, made.trial_start, made.trial_end) == ("trialing", START, end)
        assert made.billing_cycle_anchor == end
        assert made.pending_setup_intent is None
        first = clock.invoices()[0]
        assert (first.status, first.total, first.attempt_count, first.attempted) == ("paid", 0, 0, True)
        clock.to(end - 3 * DAY)
        assert kinds(box, "customer.subscription.trial") == ["customer.subscription.trial_will_end"]
        clock.to(end)
        running = clock.api.v1.subscriptions.retrieve(made.id)
        # Active at once; charged an hour later.
        assert (running.status, running.trial_end) == ("active", end)
        assert clock.invoices()[-1].status == "draft"
        clock.by(2 * HOUR)
        assert clock.invoices()[-1].amount_paid == 1000

    def test_a_short_one_is_announced_at_once(self, box: Box, clock: Clock) -> None:
        clock.subscribe(price(clock.api), trial_period_days=1)
        clock.by(1)
        assert "customer.subscription.trial_will_end" in kinds(box)

    @pytest.mark.parametrize(
        ("behavior", "status"), [("create_invoice", "past_due"), ("cancel", "canceled"), ("pause", "paused")]
    )
    def test_without_a_method(self, box: Box, behavior: str, status: str) -> None:
        clock = Clock(box, box.client(), START, card=None)
        made = clock.subscribe(
            price(clock.api), trial_period_days=7, trial_settings={"end_behavior": {"missing_payment_method": behavior}}
        )
        assert made.pending_setup_intent is not None
        clock.by(7 * DAY + 2 * HOUR)
        assert clock.api.v1.subscriptions.retrieve(made.id).status == status
        assert (behavior == "pause") == ("customer.subscription.paused" in kinds(box))

    def test_the_setup_intent_gives_it_a_method(self, box: Box, clock: Clock) -> None:
        without = Clock(box, clock.api, START, card=None)
        made = without.subscribe(price(clock.api), trial_period_days=7)
        clock.api.v1.setup_intents.confirm(made.pending_setup_intent, {"payment_method": "pm_card_visa"})
        after = clock.api.v1.subscriptions.retrieve(made.id)
        assert after.pending_setup_intent is None
        assert clock.api.v1.payment_methods.retrieve(after.default_payment_method).customer == without.customer
        without.by(8 * DAY)
        assert without.invoices()[-1].amount_paid == 1000

    def test_ending_it_now(self, box: Box, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api), trial_period_days=14)
        clock.by(5 * DAY)
        now = clock.api.v1.subscriptions.update(made.id, {"trial_end": "now"})
        assert (now.status, now.billing_cycle_anchor) == ("active", START + 5 * DAY)
        assert (now.trial_start, now.trial_end) == (START, START + 5 * DAY - 1)
        assert now.latest_invoice != made.latest_invoice
        assert clock.invoices()[-1].status == "paid"

    def test_extending_it(self, box: Box, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api), trial_period_days=14)
        longer = clock.api.v1.subscriptions.update(made.id, {"trial_end": START + 21 * DAY})
        assert (longer.status, longer.trial_end, longer.latest_invoice) == (
            "trialing", START + 21 * DAY, made.latest_invoice,
        )  # fmt: skip
        clock.to(START + 15 * DAY)
        assert clock.api.v1.subscriptions.retrieve(made.id).status == "trialing"

    def test_changes_in_a_trial_cost_nothing(self, box: Box, clock: Clock) -> None:
        made = clock.subscribe(price(clock.api), trial_period_days=14)
        clock.api.v1.subscriptions.update(made.id, {"items": [{"id": items(made)[0].id, "quantity": 4}]})
        assert clock.pending() == []
        clock.by(15 * DAY)
        assert clock.invoices()[-1].total == 4000


class TestTheWholeClock:
    def test_global_time_does_the_same(self, box: Box) -> None:
        api = box.client()
        made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
        first, second = items(made)[0], box.advance("40d")
        assert second["steps"] >= 3
        paid = api.v1.invoices.list({"subscription": made.id}).data
        assert [invoice.status for invoice in paid] == ["paid", "paid"]
        renewed = api.v1.subscriptions.retrieve(made.id)
        assert items(renewed)[0].current_period_start == first.current_period_end
        # At the very second, however the clock was moved.
        assert paid[0].created == first.current_period_end

    def test_clocks_of_their_own(self, box: Box) -> None:
        api: Sdk = box.client()
        clock = Clock(box, api, START)
        made = clock.subscribe(price(api))
        assert made.id not in [one.id for one in api.v1.subscriptions.list().data]
        assert [one.id for one in api.v1.subscriptions.list({"test_clock": clock.id}).data] == [made.id]
        assert api.v1.invoices.list().data == []
        advance = api.v1.test_helpers.test_clocks.advance
        assert "forward" in error(advance, clock.id, {"frozen_time": START})["message"]
        assert "two intervals" in error(advance, clock.id, {"frozen_time": START + 100 * DAY})["message"]
        box.advance("29d")
        assert len(clock.invoices()) == 1
        api.v1.test_helpers.test_clocks.delete(clock.id)
        assert api.v1.subscriptions.retrieve(made.id).status == "canceled"
        assert api.v1.customers.retrieve(clock.customer).deleted is True
        assert kinds(box, "test_helpers.test_clock")[-1] == "test_helpers.test_clock.deleted"
