"""Disputes by test card: withdrawal, evidence, decision, closing; and early fraud warnings."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from contract.harness import NO_REDIRECTS, Box, Sdk, refusal
from tallystick.sandbox.versions import NEWEST


def disputed(box: Box, card: str, **more: Any) -> tuple[Sdk, Any, Any]:
    """The SDK, the intent, and the dispute that the card makes of it."""
    api = box.client(NEWEST)
    intent = api.v1.payment_intents.create(
        {"amount": 6000, "currency": "usd", "payment_method": card, "confirm": True, "description": "Socks",
         "automatic_payment_methods": NO_REDIRECTS, **more}
    )  # fmt: skip
    box.advance(3)
    found = api.v1.disputes.list({"charge": intent.latest_charge}).data
    return api, intent, found[0] if found else None


def test_chargeback(box: Box) -> None:
    api, intent, dispute = disputed(box, "pm_card_createDispute")
    assert dispute.id.startswith("du_")
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 6000)
    assert dispute.payment_method_details.card.network_reason_code == "10.4"
    assert not dispute.is_charge_refundable
    transaction = dispute.balance_transactions[0]
    assert (transaction.amount, transaction.fee, transaction.net) == (-6000, 1500, -7500)
    assert transaction.description == f"Chargeback withdrawal for {intent.latest_charge}"
    charge = api.v1.charges.retrieve(intent.latest_charge)
    assert charge.disputed
    assert charge["dispute"] == dispute.id
    due = datetime.fromtimestamp(dispute.evidence_details.due_by, UTC)
    assert (due.hour, due.minute, due.second) == (23, 59, 59)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.v1.refunds.create({"payment_intent": intent.id})
    assert refusal(caught.value)["code"] == "charge_disputed"
    assert refusal(caught.value)["message"] == f"Charge {charge.id} has been charged back; cannot issue a refund."
    assert dispute.evidence.product_description == "Socks"
    assert [kind for kind in box.event_types() if "dispute" in kind] == [
        "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.updated",
    ]  # fmt: skip


def test_winning(box: Box) -> None:
    api, intent, dispute = disputed(box, "pm_card_createDisputeProductNotReceived")
    assert dispute.reason == "product_not_received"
    sent = api.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    assert sent.status == "under_review"
    assert (sent.evidence_details.has_evidence, sent.evidence_details.submission_count) == (True, 1)
    box.advance(10)
    won = api.v1.disputes.retrieve(dispute.id)
    assert won.status == "won"
    assert [item.amount for item in won.balance_transactions] == [-6000, 6000]
    assert won.balance_transactions[1].fee == 0
    assert box.event_types()[-2:] == ["charge.dispute.closed", "charge.dispute.funds_reinstated"]
    assert api.v1.refunds.create({"payment_intent": intent.id}).amount == 6000


def test_losing_and_closing(box: Box) -> None:
    api, _, dispute = disputed(box, "pm_card_createDispute")
    api.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "losing_evidence"}})
    box.advance(10)
    assert api.v1.disputes.retrieve(dispute.id).status == "lost"
    _, _, other = disputed(box, "pm_card_createDispute")
    closed = api.v1.disputes.close(other.id)
    assert (closed.status, closed.evidence_details.submission_count) == ("lost", 0)
    for call in (api.v1.disputes.close, api.v1.disputes.update):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call(other.id)
        assert refusal(caught.value)["message"] == "This dispute is already closed"


def test_inquiry(box: Box) -> None:
    api, intent, dispute = disputed(box, "pm_card_createDisputeInquiry")
    assert dispute.status == "warning_needs_response"
    assert dispute.is_charge_refundable
    assert list(dispute.balance_transactions) == []
    sent = api.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "see the tracking"}})
    assert sent.status == "warning_under_review"
    assert api.v1.refunds.create({"payment_intent": intent.id}).status == "succeeded"


def test_no_answer_in_time(box: Box) -> None:
    api, _, dispute = disputed(box, "pm_card_createDispute")
    box.advance("10d")
    lost = api.v1.disputes.retrieve(dispute.id)
    assert (lost.status, lost.evidence_details.past_due) == ("lost", True)


def test_manual_capture_is_disputed_after_the_capture(box: Box) -> None:
    api, intent, dispute = disputed(box, "pm_card_createDispute", capture_method="manual")
    assert dispute is None
    api.v1.payment_intents.capture(intent.id, {"amount_to_capture": 4000})
    box.advance(3)
    assert api.v1.disputes.list({"payment_intent": intent.id}).data[0].amount == 4000


def test_early_fraud_warning(box: Box) -> None:
    api, intent, dispute = disputed(box, "pm_card_createIssuerFraudRecord")
    assert dispute is None
    warning = api.v1.radar.early_fraud_warnings.list({"charge": intent.latest_charge}).data[0]
    assert warning.actionable
    assert "radar.early_fraud_warning.created" in box.event_types()


def test_missing(box: Box) -> None:
    api = box.client(NEWEST)
    intent = api.v1.payment_intents.create(
        {"amount": 6000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
         "automatic_payment_methods": NO_REDIRECTS}
    )  # fmt: skip
    none = box.request("GET", f"/v1/charges/{intent.latest_charge}/dispute")
    assert (none.status, none.body["error"]["message"]) == (404, f"No dispute for charge: {intent.latest_charge}")
    assert "code" not in none.body["error"]
    reply = box.request("GET", "/v1/disputes/du_nope")
    assert (reply.status, reply.body["error"]["param"]) == (404, "dispute")
