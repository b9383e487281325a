"""A year of one subscription, told by its events and invoices, on the global clock."""

import time
from typing import Any

import pytest

from contract.billing_flows import SLOW_CARD, Clock, customer, items, lines_of, price, use_card
from contract.harness import VERSIONS, Box, Receiver, Sdk
from tallystick.sandbox.versions import NEWEST

NEW_ONLY = "invoice_payment.paid"


class _Story:
    """Reads on in the webhooks from where it stopped."""

    def __init__(self, box: Box, api: Sdk, receiver: Receiver) -> None:
        self.box = box
        self.v1 = api.v1
        self.receiver = receiver
        self.read = 0

    def advance(self, days: int) -> list[str]:
        """The news of so many days, by steps within the 30 days that events are listed for."""
        found: list[str] = []
        while days > 0:
            self.box.advance(f"{min(days, 20)}d")
            found += self.news()
            days -= 20
        return found

    def news(self) -> list[str]:
        """What arrived since the last look, of billing only, in the order of the events."""
        self.box.quiet()
        fresh = [delivery.event for delivery in self.receiver.got[self.read :]]
        self.read = len(self.receiver.got)
        order = {event.id: place for place, event in enumerate(self._all())}
        fresh.sort(key=lambda event: -order[event["id"]])
        wanted = ("invoice.", "customer.subscription.", "invoiceitem.")
        return [event["type"] for event in fresh if event["type"].startswith(wanted)]

    def _all(self) -> list[Any]:
        return list(self.v1.events.list({"limit": 100}).auto_paging_iter())


RENEWED = [
    "invoice.created", "customer.subscription.updated", "invoice.finalized", "invoice.updated", "invoice.paid",
    "invoice.payment_succeeded",
]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_a_year(box: Box, receiver: Receiver, version: str) -> None:
    box.control("POST", "/settings", {"api_version": version})
    box.control("PUT", "/webhook_endpoints", {"url": receiver.url, "secret": "whsec_x", "api_version": version})
    api = box.client(version)
    v1 = api.v1
    basic, pro = price(api, 1500, name="Basic"), price(api, 4500, name="Pro")
    buyer = customer(api)
    story = _Story(box, api, receiver)
    story.news()

    made = v1.subscriptions.create({"customer": buyer, "items": [{"price": basic}], "trial_period_days": 14})
    assert made.status == "trialing"
    assert story.news() == [
        "customer.subscription.created", "invoice.created", "invoice.finalized", "invoice.updated", "invoice.paid",
        "invoice.payment_succeeded",
    ]  # fmt: skip
    # The trial's end is seven days away, so is the reminder; three days before it, the notice.
    assert story.advance(12) == ["invoice.upcoming", "customer.subscription.trial_will_end"]
    assert story.advance(3) == RENEWED
    assert v1.subscriptions.retrieve(made.id).status == "active"

    story.advance(10)
    changed = v1.subscriptions.update(
        made.id, {"items": [{"id": items(made)[0].id, "price": pro}], "proration_behavior": "always_invoice"}
    )
    assert story.news() == [
        "invoiceitem.created", "invoiceitem.created", "customer.subscription.updated", "invoice.created",
        "invoice.finalized", "invoice.updated", "invoice.paid", "invoice.payment_succeeded",
    ]  # fmt: skip
    upgrade = v1.invoices.retrieve(changed.latest_invoice)
    (unused, credit), (remaining, debit) = lines_of(upgrade)
    assert unused.startswith("Unused time on Basic after ")
    assert remaining.startswith("Remaining time on Pro after ")
    assert upgrade.amount_paid == credit + debit
    assert -1500 < credit < 0 < debit < 4500

    use_card(api, buyer, SLOW_CARD)
    story.news()
    assert story.advance(22) == [
        "invoice.upcoming", "invoice.created", "customer.subscription.updated", "invoice.finalized",
        "invoice.payment_failed", "invoice.updated", "customer.subscription.updated",
    ]  # fmt: skip
    late = v1.subscriptions.retrieve(made.id)
    assert late.status == "past_due"
    assert v1.customers.retrieve(buyer).delinquent is True
    assert story.advance(3) == ["invoice.payment_failed", "invoice.updated"]
    assert v1.invoices.retrieve(late.latest_invoice).attempt_count == 2

    use_card(api, buyer, "pm_card_mastercard")
    story.news()
    assert story.advance(5) == [
        "invoice.updated", "invoice.paid", "invoice.payment_succeeded", "customer.subscription.updated",
    ]  # fmt: skip
    assert v1.subscriptions.retrieve(made.id).status == "active"
    assert v1.customers.retrieve(buyer).delinquent is False

    v1.subscriptions.update(made.id, {"pause_collection": {"behavior": "void"}})
    story.news()
    paused = story.advance(60)
    assert paused.count("invoice.voided") == 2
    assert "invoice.upcoming" not in paused
    assert "invoice.paid" not in paused
    v1.subscriptions.update(made.id, {"pause_collection": ""})
    assert story.news() == ["customer.subscription.updated"]

    for _ in range(6):
        month = story.advance(30)
        assert month.count("invoice.paid") <= 1
    assert v1.subscriptions.retrieve(made.id).status == "active"

    v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    assert story.news() == ["customer.subscription.updated"]
    # It ends without another invoice.
    last = story.advance(32)
    assert last[-1] == "customer.subscription.deleted"
    assert "invoice.created" not in last
    ended = v1.subscriptions.retrieve(made.id)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "cancellation_requested")
    statuses = [invoice.status for invoice in v1.invoices.list({"customer": buyer, "limit": 100}).data]
    assert set(statuses) == {"paid", "void"}
    assert statuses.count("void") == 2
    bodies = [delivery.event for delivery in receiver.got]
    assert {event["api_version"] for event in bodies} == {version}
    assert (NEW_ONLY in {event["type"] for event in bodies}) is (version == NEWEST)


def test_time_has_no_request_and_calls_have(box: Box) -> None:
    api = box.client()
    made = api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
    api.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    assert api.v1.events.list({"type": "customer.subscription.updated"}).data[0].request.id is not None
    box.advance("32d")
    (event,) = api.v1.events.list({"type": "customer.subscription.deleted"}).data
    assert event.request.id is None


def test_a_year_costs_little(box: Box) -> None:
    api = box.client()
    clock = Clock(box, api, 1_767_225_600)
    clock.subscribe(price(api))
    api.v1.subscriptions.create({"customer": customer(api), "items": [{"price": price(api)}]})
    before = time.process_time()
    box.advance("365d")
    assert time.process_time() - before < 1.0
    assert len(api.v1.invoices.list({"limit": 100}).data) == 13
