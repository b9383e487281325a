"""Which state of a subscription is the newer one, and how Stripe's object becomes a row, at both versions."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from tallystick.core.clock import from_unix
from tallystick.stripe_gateway import translate_billing
from tallystick.stripe_gateway.ordering import Source, Verdict, as_before
from tallystick.subscriptions.models import SubscriptionFacts, SubscriptionRow
from tallystick.subscriptions.service_history import Chronicle
from tallystick.subscriptions.states import CREATED, DELETED, UPDATED, blank, judge, with_state

T = 1_769_860_800
AT = from_unix(T)
PRICE: dict[str, Any] = {
    "id": "price_1", "object": "price", "product": "prod_1", "active": True, "currency": "usd", "type": "recurring",
    "billing_scheme": "per_unit", "metadata": {}, "created": T, "unit_amount": 1000, "unit_amount_decimal": "1000",
    "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
}  # fmt: skip
STRIPE: dict[str, Any] = {
    "id": "sub_1", "object": "subscription", "status": "active", "created": T, "metadata": {"k": "1"},
    "customer": "cus_1", "currency": "usd", "cancel_at_period_end": False, "cancel_at": None, "canceled_at": None,
    "cancellation_details": {"comment": None, "feedback": None, "reason": None}, "pause_collection": None,
    "default_payment_method": None, "latest_invoice": "in_1", "discounts": [],
    "items": {"object": "list", "data": [{"id": "si_1", "price": PRICE, "quantity": 1,
                                          "current_period_start": T, "current_period_end": T + 2_592_000}]},
}  # fmt: skip


def row_of(**changes: Any) -> SubscriptionRow:
    value = translate_billing.subscription({**STRIPE, **changes})
    row = with_state(blank(UUID(int=1), value, AT), value)
    return replace(row, state_at=AT, revision=3)


def event(
    previous: dict[str, Any] | None = None, kind: str = UPDATED, at: int = 0, **changes: Any
) -> SubscriptionFacts:
    obj = {**STRIPE, **changes}
    before = translate_billing.subscription(as_before(obj, previous)) if previous else None
    source = Source("event", AT + timedelta(seconds=at), event_id="evt_1", event_type=kind, previous=previous)
    return SubscriptionFacts(translate_billing.subscription(obj), source, before)


def on(row: SubscriptionRow, fact: SubscriptionFacts, *, left: bool = False) -> Verdict:
    return judge(row, fact, left=left)


def test_time_decides_first() -> None:
    assert on(row_of(), event(at=1, status="past_due")) is Verdict.APPLY
    assert on(row_of(), event(at=-1, status="past_due")) is Verdict.KEEP
    assert on(replace(row_of(), state_at=None), event(at=-1)) is Verdict.APPLY


def test_an_end_is_never_left_and_comes_through_late() -> None:
    assert on(row_of(status="canceled"), event(at=9)) is Verdict.KEEP
    assert on(row_of(status="incomplete_expired"), event(at=9)) is Verdict.KEEP
    assert on(row_of(), event(at=-9, kind=DELETED, status="canceled")) is Verdict.APPLY
    assert on(row_of(status="canceled"), event(at=9, status="canceled", metadata={})) is Verdict.APPLY


def test_the_beginning_overwrites_nothing() -> None:
    assert on(row_of(), event(at=1, kind=CREATED, status="incomplete")) is Verdict.KEEP
    assert on(row_of(status="past_due"), event(kind=CREATED)) is Verdict.KEEP


def test_a_fetch_counts_where_nothing_moved_the_row() -> None:
    value = translate_billing.subscription({**STRIPE, "status": "past_due"})
    early = AT - timedelta(seconds=5)
    assert on(row_of(), SubscriptionFacts(value, Source("fetch", early, base_revision=3))) is Verdict.APPLY
    assert on(row_of(), SubscriptionFacts(value, Source("fetch", early, base_revision=2))) is Verdict.KEEP
    assert on(row_of(), SubscriptionFacts(value, Source("fetch", AT, base_revision=2))) is Verdict.UNSURE


ITEMS_OF_TWO = {"object": "list", "data": [{**STRIPE["items"]["data"][0], "quantity": 2}]}


@pytest.mark.parametrize(
    ("previous", "changes"),
    [
        ({"status": "active"}, {"status": "past_due"}),
        ({"items": STRIPE["items"]}, {"items": ITEMS_OF_TWO}),
        ({"metadata": {"new": None}}, {"metadata": {"k": "1", "new": "2"}}),
        ({"metadata": {"k": "1"}}, {"metadata": {}}),
        ({"cancellation_details": {"reason": None}, "canceled_at": None},
         {"cancellation_details": {"comment": None, "feedback": None, "reason": "r"}, "canceled_at": T}),
        ({"pause_collection": None}, {"pause_collection": {"behavior": "void", "resumes_at": None}}),
        ({"latest_invoice": "in_1"}, {"latest_invoice": "in_2"}),
    ],
)  # fmt: skip
def test_within_a_second_an_event_that_follows_the_row_is_applied(previous: Any, changes: Any) -> None:
    fact = event(previous, **changes)
    assert on(row_of(), fact) is Verdict.APPLY
    # Once it is applied it is not news; nor is it where what came after it is here already.
    assert on(row_of(**changes), fact) is Verdict.KEEP
    # Another event of the second leads away from it: which of them came last?
    assert on(row_of(), fact, left=True) is Verdict.UNSURE
    assert on(row_of(**changes), fact, left=True) is Verdict.UNSURE
    # A doubt is not cleared by what follows it.
    assert on(replace(row_of(), unsure=True), fact) is Verdict.UNSURE


def test_within_a_second_an_event_that_fits_half_is_a_doubt() -> None:
    paused = {"pause_collection": {"behavior": "void", "resumes_at": None}}
    assert on(row_of(**paused), event({"status": "active"}, status="past_due")) is Verdict.UNSURE
    assert on(row_of(status="unpaid"), event({"status": "active"}, status="past_due")) is Verdict.UNSURE
    # But one whose change is there already came before what else the row shows.
    assert on(row_of(status="past_due", **paused), event({"status": "active"}, status="past_due")) is Verdict.KEEP
    assert on(row_of(), event(None, status="past_due")) is Verdict.UNSURE


def test_absent_is_not_null() -> None:
    row = row_of(cancel_at=T, default_payment_method="pm_1", discounts=["di_1"])
    stub = {name: STRIPE[name] for name in ("id", "object", "status", "created", "metadata", "customer", "items")}
    assert with_state(row, translate_billing.subscription(stub)) == row


def test_the_period_is_that_of_the_item_billed_next_at_every_version() -> None:
    first = STRIPE["items"]["data"][0]
    yearly = {**first, "id": "si_2", "current_period_end": T + 31_536_000}
    new = row_of(items={"data": [yearly, first]})
    assert (new.current_period_start, new.current_period_end) == (AT, from_unix(T + 2_592_000))
    old_item = {name: value for name, value in first.items() if not name.startswith("current_period")}
    old = row_of(items={"data": [old_item]}, current_period_start=T, current_period_end=T + 2_592_000)
    assert (old.current_period_start, old.current_period_end) == (AT, from_unix(T + 2_592_000))
    assert old.items == row_of().items
    assert old.items[0]["current_period_start"] == datetime(2026, 1, 31, 12, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_an_answer_that_may_have_been_overtaken() -> None:
    """Its time is that at which it left Stripe: what moved the row since it was asked for may be newer all the same."""
    value = translate_billing.subscription({**STRIPE, "status": "past_due"})

    def answer(revision: int) -> SubscriptionFacts:
        return SubscriptionFacts(value, Source("answer", AT + timedelta(seconds=5), base_revision=revision))

    assert on(row_of(), answer(3)) is Verdict.APPLY
    assert on(row_of(), answer(2)) is Verdict.UNSURE
    assert on(row_of(status="past_due"), answer(2)) is Verdict.APPLY


@pytest.mark.parametrize("applied", [True, False], ids=["as if it were news", "as old news"])
def test_who_asked_for_an_end_is_heard_though_its_event_was_here_first(applied: bool) -> None:
    ended = row_of(status="canceled")
    value = translate_billing.subscription({**STRIPE, "status": "canceled"})
    source = Source("answer", AT + timedelta(minutes=10), request_key="k", requested=True)
    chronicle = Chronicle({}, [])
    chronicle.note(ended, ended, SubscriptionFacts(value, source), applied=applied)
    [heard] = chronicle.fresh
    assert (heard.provisional, heard.new_values, heard.cause, heard.request_key) == (
        True, {"status": "canceled"}, "api", "k",
    )  # fmt: skip
