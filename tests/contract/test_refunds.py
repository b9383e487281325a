"""Refunds, with the recorded rules and texts."""

from typing import Any

import pytest
import stripe

from contract.harness import NO_REDIRECTS, Box, Json, Sdk, refusal
from tallystick.sandbox.versions import NEWEST


def pay(api: Sdk, method: str = "pm_card_visa", amount: int = 5000) -> Any:
    return api.v1.payment_intents.create(
        {"amount": amount, "currency": "usd", "payment_method": method, "confirm": True,
         "automatic_payment_methods": NO_REDIRECTS}
    )  # fmt: skip


def refused(api: Sdk, **params: Any) -> tuple[int, Json]:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.v1.refunds.create(params)
    return caught.value.http_status or 0, refusal(caught.value)


def test_partial_then_the_rest_then_nothing(api: Sdk) -> None:
    charge_id = pay(api).latest_charge
    first = api.v1.refunds.create({"charge": charge_id, "amount": 1500, "reason": "requested_by_customer"})
    assert (first.status, first.amount) == ("succeeded", 1500)
    assert first.balance_transaction.startswith("txn_3")
    assert list(first.to_dict())[:3] == ["id", "object", "amount"]
    charge = api.v1.charges.retrieve(charge_id)
    assert (charge.amount_refunded, charge.refunded) == (1500, False)
    second = api.v1.refunds.create({"charge": charge_id})
    assert second.amount == 3500
    assert api.v1.charges.retrieve(charge_id).refunded
    status, error = refused(api, charge=charge_id)
    assert status == 400
    assert (error["code"], error["message"]) == (
        "charge_already_refunded",
        f"Charge {charge_id} has already been refunded.",
    )


def test_refusals(api: Sdk) -> None:
    charge_id = pay(api).latest_charge
    api.v1.refunds.create({"charge": charge_id, "amount": 2500})
    status, error = refused(api, charge=charge_id, amount=3000)
    assert (status, error["param"]) == (400, "amount")
    assert "code" not in error
    assert error["message"] == "Refund amount ($30.00) is greater than unrefunded amount on charge ($25.00)"
    status, error = refused(api)
    assert error["message"] == (
        "One of the following params should be provided for this request: payment_intent or charge."
    )
    status, error = refused(api, charge="ch_nope")
    assert (status, error["param"], error["code"]) == (404, "id", "resource_missing")
    assert error["message"] == "No such charge: 'ch_nope'"
    refund = api.v1.refunds.list({"charge": charge_id}).data[0]
    with pytest.raises(stripe.InvalidRequestError, match=r"Canceling this refund is unsupported\."):
        api.v1.refunds.cancel(refund.id)


def test_routes_below_a_charge(shared_box: Box, api: Sdk) -> None:
    charge_id = pay(api).latest_charge
    other = pay(api).latest_charge
    refund = shared_box.post(f"/v1/charges/{charge_id}/refunds", "amount=100").body
    assert refund["object"] == "refund"
    charge = shared_box.post(f"/v1/charges/{charge_id}/refund", "amount=200").body
    assert (charge["object"], charge["amount_refunded"]) == ("charge", 300)
    listed = shared_box.request("GET", f"/v1/charges/{charge_id}/refunds").body
    assert [item["amount"] for item in listed["data"]] == [200, 100]
    assert "count" not in listed
    counted = shared_box.request("GET", f"/v1/refunds?charge={charge_id}").body
    assert list(counted) == ["object", "count", "data", "has_more", "url"]
    assert counted["count"] == 2
    stranger = shared_box.request("GET", f"/v1/charges/{other}/refunds/{refund['id']}")
    assert (stranger.status, stranger.body["error"]["param"]) == (404, "refund")
    expanded = api.v1.charges.retrieve(charge_id, {"expand": ["refunds"]})
    assert (expanded.refunds.total_count, len(expanded.refunds.data)) == (2, 2)


def test_the_reference_arrives_later(box: Box) -> None:
    api = box.client(NEWEST)
    refund = api.v1.refunds.create({"payment_intent": pay(api).id})
    assert refund.destination_details.card.reference_status == "pending"
    box.advance(5)
    refund = api.v1.refunds.retrieve(refund.id)
    assert refund.destination_details.card.reference_status == "available"
    assert len(refund.destination_details.card.reference) == 16


def test_one_that_fails_later(box: Box) -> None:
    api = box.client(NEWEST)
    intent = pay(api, "pm_card_refundFail")
    refund = api.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"
    box.advance(5)
    refund = api.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    assert (refund.status, refund.failure_reason) == ("failed", "expired_or_canceled_card")
    assert refund.failure_balance_transaction.amount == 5000
    assert api.v1.charges.retrieve(intent.latest_charge).amount_refunded == 0
    assert box.event_types()[-3:] == ["refund.updated", "charge.refund.updated", "refund.failed"]
    assert api.v1.refunds.create({"payment_intent": intent.id}).amount == 5000


def test_one_that_is_pending_first(box: Box) -> None:
    api = box.client(NEWEST)
    intent = pay(api, "pm_card_pendingRefund")
    refund = api.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "pending"
    box.advance(5)
    assert api.v1.refunds.retrieve(refund.id).status == "succeeded"


def test_events(box: Box) -> None:
    api = box.client(NEWEST)
    intent = pay(api)
    box.advance(3)
    before = len(box.event_types())
    api.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    box.advance(5)
    assert box.event_types()[before:] == [
        "refund.created", "charge.refunded", "refund.updated", "charge.refund.updated",
    ]  # fmt: skip
    event = api.v1.events.list({"type": "charge.refunded"}).data[0]
    assert event.data.previous_attributes.to_dict() == {"amount_refunded": 0}


def test_balance(box: Box) -> None:
    api = box.client(NEWEST)
    intent = pay(api, "pm_card_bypassPending", amount=10_000)
    box.advance(3)
    api.v1.refunds.create({"payment_intent": intent.id, "amount": 1000})
    balance = api.v1.balance.retrieve()
    assert balance.available[0].amount == 10_000 - 290 - 30
    assert balance.pending[0].amount == -1000
    box.advance("8d")
    assert api.v1.balance.retrieve().available[0].amount == 8680
    listed = api.v1.balance_transactions.list({"type": "refund"})
    assert [(item.amount, item.status) for item in listed.data] == [(-1000, "available")]
    assert list(api.v1.balance_transactions.list({"type": "bogus"}).data) == []
