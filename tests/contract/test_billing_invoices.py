"""Invoices and invoice items that belong to no subscription, and the customer's balance."""

from typing import Any

import pytest

from contract.billing_flows import SLOW_CARD, customer, lines_of, price
from contract.harness import VERSIONS, Box, Sdk
from contract.test_billing_subscriptions import error


@pytest.fixture(params=VERSIONS)
def v1(request: pytest.FixtureRequest, shared_box: Box) -> Any:
    return shared_box.client(request.param).v1


def drawn(v1: Any, buyer: str, *amounts: int, **more: Any) -> Any:
    """A draft with these items."""
    for amount in amounts:
        v1.invoice_items.create({"customer": buyer, "amount": amount, "currency": "usd", "description": f"{amount}"})
    return v1.invoices.create({"customer": buyer, "pending_invoice_items_behavior": "include", **more})


class TestManualInvoices:
    def test_from_draft_to_paid(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        draft = drawn(v1, buyer, 700, 900)
        assert (draft.status, draft.number, draft.auto_advance, draft.ending_balance) == ("draft", None, False, None)
        # The newest item first.
        assert lines_of(draft) == [("900", 900), ("700", 700)]
        final = v1.invoices.finalize_invoice(draft.id)
        assert (final.status, final.amount_due, final.attempted) == ("open", 1600, False)
        assert (final.hosted_invoice_url + "/pdf", "/invoice/acct_" in final.invoice_pdf) == (final.invoice_pdf, True)
        assert error(v1.invoices.finalize_invoice, draft.id)["code"] == "invoice_not_editable"
        assert error(v1.invoices.update, draft.id, {"description": "x"})["code"] == "invoice_not_editable"
        v1.invoices.update(draft.id, {"metadata": {"a": "b"}})
        paid = v1.invoices.pay(draft.id)
        assert (paid.status, paid.amount_paid, paid.amount_remaining, paid.attempt_count) == ("paid", 1600, 0, 1)
        assert error(v1.invoices.void_invoice, draft.id)["status"] == 400

    def test_items_can_change_while_it_is_a_draft(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        draft = drawn(v1, buyer)
        added = v1.invoice_items.create({"customer": buyer, "invoice": draft.id, "amount": 500, "currency": "usd"})
        assert v1.invoices.retrieve(draft.id).total == 500
        v1.invoice_items.update(added.id, {"amount": 800})
        assert v1.invoices.retrieve(draft.id).total == 800
        v1.invoice_items.delete(added.id)
        assert v1.invoices.retrieve(draft.id).lines.data == []
        assert v1.invoices.delete(draft.id).deleted is True
        assert error(v1.invoices.retrieve, draft.id)["status"] == 404

    def test_void_and_uncollectible(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        for act, status in ((v1.invoices.void_invoice, "void"), (v1.invoices.mark_uncollectible, "uncollectible")):
            invoice = v1.invoices.finalize_invoice(drawn(v1, buyer, 600).id)
            assert act(invoice.id).status == status
        assert v1.invoices.pay(invoice.id).status == "paid"

    def test_a_refusal_is_kept(self, v1: Any, api: Sdk) -> None:
        invoice = drawn(v1, customer(api, SLOW_CARD), 600)
        found = error(v1.invoices.pay, invoice.id)
        assert (found["status"], found["code"], found["payment_intent"]["status"]) == (
            402, "card_declined", "requires_payment_method",
        )  # fmt: skip
        assert v1.invoices.retrieve(invoice.id).attempt_count == 1
        none = drawn(v1, customer(api, None), 600)
        assert error(v1.invoices.pay, none.id)["code"] == "resource_missing"

    def test_out_of_band(self, v1: Any, api: Sdk) -> None:
        invoice = drawn(v1, customer(api, None), 600)
        paid = v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
        assert paid.status == "paid"
        assert paid.to_dict().get("paid_out_of_band", True) is True

    def test_prices_and_discounts(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        once = api.v1.prices.create({"currency": "usd", "unit_amount": 500, "product_data": {"name": "Mug"}}).id
        coupon = api.v1.coupons.create({"amount_off": 300, "currency": "usd", "duration": "once"}).id
        item = v1.invoice_items.create({"customer": buyer, "price": once, "quantity": 3})
        assert (item.amount, item.description) == (1500, "Mug")
        found = error(v1.invoice_items.create, {"customer": buyer, "price": price(api)})
        assert "one_time" in found["message"]
        invoice = drawn(v1, buyer, discounts=[{"coupon": coupon}])
        assert (invoice.subtotal, invoice.total) == (1500, 1200)
        assert invoice.total_discount_amounts[0].amount == 300

    def test_advancing_by_itself(self, box: Box) -> None:
        api = box.client()
        invoice = drawn(api.v1, customer(api), 600, auto_advance=True)
        box.advance("2h")
        assert api.v1.invoices.retrieve(invoice.id).status == "paid"


class TestBalance:
    def test_credit_is_used_and_comes_back(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        v1.customers.update(buyer, {"balance": -1000})
        invoice = v1.invoices.finalize_invoice(drawn(v1, buyer, 1600).id)
        assert (invoice.starting_balance, invoice.ending_balance, invoice.amount_due) == (-1000, 0, 600)
        assert v1.customers.retrieve(buyer).balance == 0
        v1.invoices.void_invoice(invoice.id)
        assert v1.customers.retrieve(buyer).balance == -1000
        moved = v1.customers.balance_transactions.list(buyer).data
        assert [(one.type, one.amount, one.ending_balance) for one in moved] == [
            ("unapplied_from_invoice", -1000, -1000), ("applied_to_invoice", 1000, 0), ("adjustment", -1000, -1000),
        ]  # fmt: skip

    def test_all_of_it_covered(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api, None)
        v1.customers.balance_transactions.create(buyer, {"amount": -5000, "currency": "usd"})
        paid = v1.invoices.finalize_invoice(drawn(v1, buyer, 1600).id)
        assert (paid.status, paid.amount_due, paid.ending_balance) == ("paid", 0, -3400)

    def test_too_small_to_charge(self, v1: Any, api: Sdk) -> None:
        buyer = customer(api)
        small = v1.invoices.pay(drawn(v1, buyer, 49).id)
        assert (small.status, small.amount_due, small.ending_balance) == ("paid", 0, 49)
        assert v1.invoices.pay(drawn(v1, buyer, 51).id).amount_paid == 100
