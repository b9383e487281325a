"""Whatever the order in which a life's events arrive, the row ends at its last state, or knows that it is unsure."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.payments.models import (
    ChargeFacts,
    ChargeRow,
    DisputeFacts,
    DisputeRow,
    IntentFacts,
    Payment,
    RefundFacts,
    RefundRow,
)
from tallystick.payments.states import (
    FINAL,
    judge_charge,
    judge_dispute,
    judge_intent,
    judge_refund,
    payment_status,
)
from tallystick.stripe_gateway.objects import Charge, Dispute, Failure, PaymentIntent, Refund
from tallystick.stripe_gateway.ordering import Source, Verdict

START = datetime(2026, 1, 31, 12, tzinfo=UTC)

# Which states may follow one another (docs.stripe.com/payments/paymentintents/lifecycle), by event.
_OPEN = ("requires_payment_method", "requires_confirmation", "requires_action", "processing")
NEXT = {
    "requires_payment_method": ("failed", "requires_action", "processing", "requires_capture", "succeeded", "canceled"),
    "requires_confirmation": ("failed", "requires_action", "processing", "requires_capture", "succeeded", "canceled"),
    "failed": ("failed", "requires_action", "processing", "requires_capture", "succeeded", "canceled"),
    "requires_action": ("failed", "processing", "requires_capture", "succeeded", "canceled"),
    "processing": ("failed", "succeeded"),
    "requires_capture": ("succeeded", "canceled"),
    "succeeded": (),
    "canceled": (),
}
EVENT = {
    "failed": "payment_intent.payment_failed",
    "requires_capture": "payment_intent.amount_capturable_updated",
    **{state: f"payment_intent.{state}" for state in ("requires_action", "processing", "succeeded", "canceled")},
}


def intent(state: str, *, charge: str | None, failure: Failure | None) -> PaymentIntent:
    return PaymentIntent(
        id="pi_1",
        amount=1000,
        currency="usd",
        status="requires_payment_method" if state == "failed" else state,
        created=START,
        metadata={},
        amount_capturable=1000 if state == "requires_capture" else 0,
        amount_received=1000 if state == "succeeded" else 0,
        latest_charge=charge,
        payment_method=None,
        failure=failure if state == "failed" else None,
    )


@st.composite
def lives(draw: st.DrawFn) -> list[IntentFacts]:
    """The events of an intent's life, each some seconds (mostly none) after the one before."""
    state = draw(st.sampled_from(["requires_payment_method", "requires_confirmation"]))
    at, charge, failure = START, None, None
    created = Source("event", at, event_id="evt_0", event_type="payment_intent.created")
    life = [IntentFacts(intent(state, charge=None, failure=None), created)]
    for number in range(1, draw(st.integers(1, 6)) + 1):
        if not NEXT[state]:
            break
        state = draw(st.sampled_from(NEXT[state]))
        at += timedelta(seconds=draw(st.sampled_from([0, 0, 0, 1, 5])))
        if state in ("failed", "requires_capture", "succeeded"):
            charge = f"ch_{number}"
        if state == "failed":
            failure = Failure("card_declined", draw(st.sampled_from(["generic_decline", "insufficient_funds"])), charge)
        source = Source("event", at, event_id=f"evt_{number}", event_type=EVENT[state])
        life.append(IntentFacts(intent(state, charge=charge, failure=failure), source))
    return life


def blank() -> Payment:
    values: dict[str, Any] = dict.fromkeys(Payment.__struct_fields__)
    values |= {"id": UUID(int=1), "amount": 1000, "currency": "usd", "status": "requested", "metadata": {}}
    values |= {"amount_capturable": 0, "amount_received": 0, "amount_refunded": 0, "revision": 0, "unsure": False}
    return Payment(**values)


def apply(row: Payment, fact: IntentFacts) -> Payment:
    """As the recorder applies it, without a database."""
    verdict = judge_intent(row, fact)
    if verdict is Verdict.KEEP:
        return row
    value = fact.value
    failure = value.failure if isinstance(value.failure, Failure) else None
    return replace(
        row,
        status=payment_status(value),
        stripe_status=value.status,
        amount_capturable=value.amount_capturable,
        amount_received=value.amount_received,
        latest_charge_id=value.latest_charge,
        error_code=failure.code if failure else None,
        decline_code=failure.decline_code if failure else None,
        state_at=max(row.state_at or fact.source.at, fact.source.at),
        revision=row.revision + 1,
        unsure=verdict is Verdict.UNSURE,
    )


def shown(row: Payment) -> tuple[Any, ...]:
    return (row.status, row.stripe_status, row.amount_capturable, row.amount_received, row.decline_code)


@given(lives(), st.randoms(use_true_random=False))
def test_any_order_ends_at_the_last_state_or_unsure(life: list[IntentFacts], rng: random.Random) -> None:
    truth = blank()
    for fact in life:
        truth = replace(apply(blank(), fact), id=truth.id)
    delivered = life * 2
    rng.shuffle(delivered)
    row = blank()
    for fact in delivered:
        before = row.stripe_status
        row = apply(row, fact)
        if before in FINAL:
            assert row.stripe_status == before
    if not row.unsure:
        assert shown(row) == shown(truth)
    fetched = Source("fetch", life[-1].source.at + timedelta(seconds=1), base_revision=row.revision)
    after = apply(row, IntentFacts(life[-1].value, fetched))
    assert shown(after) == shown(truth)
    assert not after.unsure or shown(row) == shown(truth)


@given(lives())
def test_in_order_there_is_a_doubt_only_within_one_second(life: list[IntentFacts]) -> None:
    row = blank()
    for fact in life:
        same_second = row.state_at == fact.source.at
        row = apply(row, fact)
        assert not row.unsure or same_second
    assert row.unsure or shown(row) == shown(apply(blank(), life[-1]))


def test_a_fetch_that_was_overtaken_does_not_overwrite() -> None:
    newer = Source("event", START + timedelta(seconds=9), event_type=EVENT["requires_action"])
    row = apply(blank(), IntentFacts(intent("requires_action", charge=None, failure=None), newer))
    stale = Source("fetch", START + timedelta(seconds=3), base_revision=row.revision - 1)
    fact = IntentFacts(intent("requires_payment_method", charge=None, failure=None), stale)
    assert judge_intent(row, fact) is Verdict.KEEP


def refund_row(status: str, at: int = 0) -> RefundRow:
    values: dict[str, Any] = dict.fromkeys(RefundRow.__struct_fields__)
    return RefundRow(
        **{
            **values,
            "status": status,
            "stripe_refund_id": "re_1",
            "revision": 3,
            "state_at": START + timedelta(seconds=at),
        }
    )


def refund(status: str, at: int = 0) -> RefundFacts:
    value = Refund(
        id="re_1",
        amount=1,
        currency="usd",
        status=status,
        created=START,
        metadata={},
        payment_intent="pi_1",
        charge=None,
    )
    return RefundFacts(value, Source("event", START + timedelta(seconds=at)))


def test_a_refund_never_goes_back() -> None:
    assert judge_refund(refund_row("failed"), refund("succeeded", at=60)) is Verdict.KEEP
    assert judge_refund(refund_row("succeeded", at=60), refund("failed")) is Verdict.APPLY
    assert judge_refund(refund_row("pending"), refund("succeeded")) is Verdict.APPLY
    assert judge_refund(refund_row("pending"), refund("requires_action")) is Verdict.UNSURE
    assert judge_refund(refund_row("pending"), refund("requires_action", at=1)) is Verdict.APPLY


def test_a_dispute_follows_time_and_within_a_second_its_stages() -> None:
    def row(status: str) -> DisputeRow:
        values: dict[str, Any] = dict.fromkeys(DisputeRow.__struct_fields__)
        return DisputeRow(**{**values, "status": status, "revision": 0, "state_at": START})

    def fact(status: str, at: int) -> DisputeFacts:
        value = Dispute(
            id="du_1",
            amount=1,
            currency="usd",
            status=status,
            reason="general",
            created=START,
            payment_intent=None,
            charge=None,
        )
        return DisputeFacts(value, Source("event", START + timedelta(seconds=at)))

    assert judge_dispute(row("needs_response"), fact("under_review", 0)) is Verdict.APPLY
    assert judge_dispute(row("lost"), fact("needs_response", 0)) is Verdict.KEEP
    assert judge_dispute(row("lost"), fact("appeal_under_review", 5)) is Verdict.APPLY
    assert judge_dispute(row("won"), fact("lost", 0)) is Verdict.UNSURE
    assert judge_dispute(row("under_review"), fact("needs_response", -5)) is Verdict.KEEP


def test_a_charge_within_a_second_is_the_one_that_went_further() -> None:
    def row(**fields: Any) -> ChargeRow:
        values: dict[str, Any] = dict.fromkeys(ChargeRow.__struct_fields__)
        base = {"status": "succeeded", "captured": False, "amount_captured": 0, "amount_refunded": 0, "disputed": False}
        return ChargeRow(**{**values, **base, "revision": 0, "state_at": START, **fields})

    def fact(**fields: Any) -> ChargeFacts:
        base = {"captured": False, "amount_captured": 0, "amount_refunded": 0, "disputed": False, **fields}
        value = Charge(id="ch_1", amount=9, currency="usd", status="succeeded", created=START, **base)
        return ChargeFacts(value, source)

    source = Source("event", START)
    assert judge_charge(row(), fact(captured=True, amount_captured=9)) is Verdict.APPLY
    assert judge_charge(row(captured=True, amount_captured=9), fact()) is Verdict.KEEP
    assert judge_charge(row(amount_refunded=5), fact(captured=True)) is Verdict.UNSURE
    assert judge_charge(row(), fact()) is Verdict.KEEP

    # A fetch that a refund has overtaken left Stripe after it, and shows the charge as it was before.
    source = Source("fetch", START + timedelta(seconds=3), base_revision=7)
    assert judge_charge(row(revision=8, amount_refunded=5), fact()) is Verdict.UNSURE
    assert judge_charge(row(revision=7, amount_refunded=5), fact()) is Verdict.APPLY
    assert judge_charge(row(revision=8), fact(amount_refunded=5)) is Verdict.APPLY
