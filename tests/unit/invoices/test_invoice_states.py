"""In whatever order, and however often, the events of an invoice come: the same row, mails and first failure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from contract.billing_flows import SLOW_CARD, customer, price, use_card
from contract.harness import VERSIONS, Box, Sdk, running_box
from tallystick.core.clock import SystemClock, from_unix
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.handlers import on_invoice
from tallystick.invoices.models import InvoiceChange, InvoiceFacts, InvoiceRow
from tallystick.invoices.repository import InvoiceRepository
from tallystick.invoices.service_record import InvoiceRecorder
from tallystick.invoices.states import FAILURES, judge_invoice
from tallystick.stripe_gateway import translate_billing
from tallystick.stripe_gateway.ordering import Source, Verdict
from tallystick.subscriptions.service_invoice_mails import invoice_mail
from tallystick.webhooks.models import StoredEvent

OURS = ("id", "revision", "updated_at", "unsure", "state_at")
"""What says nothing of Stripe's invoice."""


@dataclass(repr=False)
class Story:
    """An invoice's events as Stripe told them, and the invoice in the end."""

    name: str
    facts: list[InvoiceFacts]
    final: InvoiceFacts


@pytest.fixture(scope="module", params=VERSIONS)
def stories(request: pytest.FixtureRequest) -> Iterator[list[Story]]:
    """Real events of invoices that were paid at once, late, by hand, not at all; each at one API version."""
    with running_box(api_version=request.param) as box:
        api = box.client(request.param)
        yield [_late(box, api), _lost(box, api), _by_hand(api), _edited(api)]


def _late(box: Box, api: Sdk) -> Story:
    """A renewal: declined, tried again by Stripe, declined by hand, then paid with another card."""
    buyer = customer(api)
    subscription = api.v1.subscriptions.create({"customer": buyer, "items": [{"price": price(api)}]})
    use_card(api, buyer, SLOW_CARD)
    box.advance("32d")
    box.advance("4d")
    invoice = api.v1.subscriptions.retrieve(subscription.id).latest_invoice
    for card in (SLOW_CARD, "pm_card_visa"):
        use_card(api, buyer, card)
        box.request("POST", f"/v1/invoices/{invoice}/pay", "")
    return _story("late", api, invoice)


def _lost(box: Box, api: Sdk) -> Story:
    """A renewal that is never paid, and voided."""
    buyer = customer(api)
    subscription = api.v1.subscriptions.create({"customer": buyer, "items": [{"price": price(api)}]})
    use_card(api, buyer, SLOW_CARD)
    box.advance("32d")
    invoice = api.v1.subscriptions.retrieve(subscription.id).latest_invoice
    box.advance("25d")
    api.v1.invoices.mark_uncollectible(invoice)
    api.v1.invoices.void_invoice(invoice)
    return _story("lost", api, invoice)


def _by_hand(api: Sdk) -> Story:
    """All within a second: drawn up, finalised, paid."""
    buyer = customer(api)
    api.v1.invoice_items.create({"customer": buyer, "amount": 900, "currency": "usd"})
    drawn = api.v1.invoices.create({"customer": buyer, "pending_invoice_items_behavior": "include"}).id
    api.v1.invoices.finalize_invoice(drawn)
    api.v1.invoices.pay(drawn)
    return _story("by hand", api, drawn)


def _edited(api: Sdk) -> Story:
    """A draft whose metadata and lines change, and change back, within a second."""
    buyer = customer(api)
    drawn = api.v1.invoices.create({"customer": buyer}).id
    for text in ("a", "b", "a"):
        api.v1.invoices.update(drawn, {"metadata": {"note": text}})
        added = api.v1.invoice_items.create({"customer": buyer, "invoice": drawn, "amount": 500, "currency": "usd"}).id
        api.v1.invoice_items.delete(added)
    return _story("edited", api, drawn)


def _story(name: str, api: Sdk, invoice: str) -> Story:
    events = [event for event in _events(api) if event["data"]["object"].get("id") == invoice]
    assert len({event["type"] for event in events}) >= 2
    whole = api.v1.invoices.retrieve(invoice).to_dict()
    last = max(from_unix(event["created"]) for event in events)
    final = InvoiceFacts(translate_billing.invoice(whole), Source("fetch", last + timedelta(seconds=1)))
    return Story(name, [_fact(event) for event in events], final)


def _events(api: Sdk) -> list[Any]:
    found: list[Any] = []
    while True:
        after = {"starting_after": found[-1]["id"]} if found else {}
        page = api.v1.events.list({"limit": 100, **after})
        found += [event.to_dict() for event in page.data]
        if not page.has_more:
            return [event for event in reversed(found) if event["data"]["object"]["object"] == "invoice"]


def _fact(event: Any) -> InvoiceFacts:
    stored = StoredEvent(
        id=None,  # type: ignore[arg-type]  # nobody asks for our id of it
        stripe_event_id=event["id"],
        type=event["type"],
        created=from_unix(event["created"]),
        api_version=event["api_version"],
        object_key="",
        object=event["data"]["object"],
        previous=event["data"].get("previous_attributes"),
        request_idempotency_key=(event["request"] or {}).get("idempotency_key"),
        source="webhook",
        retry_count=0,
        requested=bool((event["request"] or {}).get("id")),
    )
    return on_invoice(stored)[0]


class Mirror:
    """What the recorder makes of facts, without a database."""

    def __init__(self) -> None:
        none: Any = None
        customers: StripeCustomerService = none
        repository: InvoiceRepository = none
        self._recorder = InvoiceRecorder(SystemClock(), repository, customers)
        self.row: InvoiceRow | None = None
        self.mails: set[str] = set()
        self.fetches = 0

    def tell(self, fact: InvoiceFacts) -> InvoiceChange:
        change = self._recorder._apply(self.row, fact, {})
        self.row = change.new
        if draft := invoice_mail(change):
            self.mails.add(draft.business_key)
        return change

    def settle(self, final: InvoiceFacts) -> None:
        """As the worker does: what is in doubt is fetched."""
        if self.row is not None and self.row.unsure:
            self.fetches += 1
            self.tell(replace(final, source=replace(final.source, base_revision=self.row.revision)))

    def shown(self) -> dict[str, Any]:
        assert self.row is not None
        return {name: value for name, value in asdict(self.row).items() if name not in OURS}


def test_in_order_nothing_is_in_doubt(stories: list[Story]) -> None:
    for story in stories:
        mirror = Mirror()
        for fact in story.facts:
            mirror.tell(fact)
        told = mirror.shown()
        if story.name != "edited":
            assert not mirror.row.unsure, story.name  # type: ignore[union-attr]
        mirror.tell(story.final)
        # Only a fetch names the payment intent, from basil on.
        assert {**told, "payment_intent_id": None} == {**mirror.shown(), "payment_intent_id": None}, story.name


def test_what_is_mailed(stories: list[Story]) -> None:
    keys = {}
    for story in stories:
        mirror = Mirror()
        for fact in story.facts:
            mirror.tell(fact)
        keys[story.name] = [key.partition(":")[0] for key in mirror.mails]
    # Twice by Stripe, once by hand; four times in vain.
    assert sorted(keys["late"]) == ["invoice_receipt", *["invoice_unpaid"] * 3]
    assert set(keys["lost"]) == {"invoice_unpaid"}
    assert len(keys["lost"]) >= 3
    assert keys["by hand"] == ["invoice_receipt"]
    assert keys["edited"] == []


@given(data=st.data())
def test_in_any_order_and_doubled_it_ends_the_same(stories: list[Story], data: st.DataObject) -> None:
    story = stories[data.draw(st.sampled_from(range(len(stories))), label="story")]
    in_order = Mirror()
    for fact in story.facts:
        in_order.tell(fact)
    in_order.tell(story.final)
    again = data.draw(st.lists(st.sampled_from(range(len(story.facts))), max_size=6), label="doubled")
    order = data.draw(st.permutations([*range(len(story.facts)), *again]), label="order")
    mirror = Mirror()
    for index in order:
        mirror.tell(story.facts[index])
        if data.draw(st.booleans(), label="fetched now"):
            mirror.settle(story.final)
    mirror.settle(story.final)
    expected = in_order.shown()
    found = mirror.shown()
    if not mirror.fetches:
        found["payment_intent_id"] = expected["payment_intent_id"]
    assert found == expected
    assert mirror.mails == in_order.mails


def test_a_failure_that_is_put_off_is_told_as_it_was(stories: list[Story]) -> None:
    failures = [fact for story in stories for fact in story.facts if fact.source.event_type in FAILURES]
    assert failures
    for fact in failures:
        assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(fact)), InvoiceFacts) == fact


AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def _state(at: datetime, **changes: Any) -> InvoiceFacts:
    plain = {
        "id": "in_1",
        "object": "invoice",
        "status": "open",
        "currency": "usd",
        "created": int(AT.timestamp()),
        "customer": "cus_1",
        "subtotal": 1000,
        "total": 1000,
        "amount_due": 1000,
        "amount_paid": 0,
        "amount_remaining": 1000,
        "attempted": True,
        "attempt_count": 1,
        "next_payment_attempt": None,
        "metadata": {},
        "lines": {"data": [], "has_more": False},
    }
    previous = changes.pop("previous", None)
    invoice = translate_billing.invoice({**plain, **changes})
    return InvoiceFacts(invoice, Source("event", at, event_id="evt_1", event_type="invoice.updated", previous=previous))


@pytest.mark.parametrize(
    ("old", "new", "later_s", "verdict"),
    [
        # A status is never left backwards, whatever the time says.
        ({"status": "paid"}, {"status": "open"}, 60, Verdict.KEEP),
        ({"status": "void"}, {"status": "open"}, 60, Verdict.KEEP),
        ({"status": "open"}, {"status": "paid"}, -60, Verdict.APPLY),
        ({"status": "uncollectible"}, {"status": "paid"}, -1, Verdict.APPLY),
        ({"status": "uncollectible"}, {"status": "open"}, 0, Verdict.KEEP),
        # Within a second, what is counted decides.
        ({"attempt_count": 1}, {"attempt_count": 2}, 0, Verdict.APPLY),
        ({"attempt_count": 2}, {"attempt_count": 1}, 0, Verdict.KEEP),
        ({"attempt_count": 2, "amount_paid": 0}, {"attempt_count": 1, "amount_paid": 5}, 0, Verdict.UNSURE),
        # Then whether the row shows what the event changed.
        (
            {"metadata": {"a": "1"}},
            {"metadata": {"a": "2"}, "previous": {"metadata": {"a": "1"}}},
            0,
            Verdict.UNSURE,
        ),
        (
            {"metadata": {"a": "2"}, "total": 900},
            {"metadata": {"a": "2"}, "previous": {"metadata": {"a": "1"}}},
            0,
            Verdict.KEEP,
        ),
        ({"metadata": {"a": "2"}}, {"metadata": {"a": "1"}, "previous": {"metadata": {"a": "3"}}}, 0, Verdict.UNSURE),
        (
            {"next_payment_attempt": 1_800_000_000},
            {"next_payment_attempt": None, "previous": {"next_payment_attempt": 1_800_000_000}},
            0,
            Verdict.UNSURE,
        ),
        ({"status": "draft"}, {"status": "draft", "previous": {"lines": {}}}, 0, Verdict.UNSURE),
        ({"status": "draft", "total": 1}, {"status": "draft", "previous": {"total": 1}}, 0, Verdict.UNSURE),
        ({}, {}, 0, Verdict.KEEP),
        ({"total": 900}, {}, 1, Verdict.APPLY),
        ({"total": 900}, {}, -1, Verdict.KEEP),
    ],
)
def test_which_state_is_the_newer_one(old: dict[str, Any], new: dict[str, Any], later_s: int, verdict: Verdict) -> None:
    mirror = Mirror()
    mirror.tell(_state(AT, **old))
    assert mirror.row is not None
    assert judge_invoice(mirror.row, _state(AT + timedelta(seconds=later_s), **new)) is verdict


def test_an_answer_that_nothing_overtook_is_applied() -> None:
    mirror = Mirror()
    mirror.tell(_state(AT, total=900))
    assert mirror.row is not None
    fetched = _state(AT)
    unmoved = replace(fetched, source=Source("fetch", AT, base_revision=mirror.row.revision))
    assert judge_invoice(mirror.row, unmoved) is Verdict.APPLY
    moved = replace(fetched, source=Source("fetch", AT, base_revision=mirror.row.revision - 1))
    assert judge_invoice(mirror.row, moved) is Verdict.UNSURE


def test_a_failure_counts_from_the_first_even_if_told_last() -> None:
    mirror = Mirror()

    def failed(at: datetime, count: int) -> InvoiceFacts:
        fact = _state(at, attempt_count=count)
        return replace(fact, source=replace(fact.source, event_type="invoice.payment_failed"))

    mirror.tell(failed(AT + timedelta(days=3), 2))
    mirror.tell(_state(AT + timedelta(days=4), status="paid"))
    late = mirror.tell(failed(AT, 1))
    assert not late.applied
    assert mirror.row is not None
    assert (mirror.row.first_failed_at, mirror.row.status) == (AT, "paid")
