"""Which state of a customer or payment method is the newer one, and what an attempt finds at Stripe."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallystick.core.ids import new_id
from tallystick.customers.models import CustomerFacts, CustomerRow, MethodFacts, MethodRow
from tallystick.customers.service_operations import _shows
from tallystick.customers.service_record import _judge_customer, _judge_method
from tallystick.stripe_gateway import translate
from tallystick.stripe_gateway.ordering import Source, Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)
STRIPE_CUSTOMER: dict[str, Any] = {
    "id": "cus_1",
    "object": "customer",
    "created": int(AT.timestamp()),
    "email": "a@example.com",
    "name": "A",
    "phone": None,
    "address": None,
    "metadata": {"k": "1"},
    "invoice_settings": {"default_payment_method": None},
}
STRIPE_METHOD: dict[str, Any] = {
    "id": "pm_1",
    "object": "payment_method",
    "type": "card",
    "created": int(AT.timestamp()),
    "customer": "cus_1",
    "card": {"brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2030, "country": "US"},
}


def customer_row(**changes: Any) -> CustomerRow:
    fields: dict[str, Any] = {
        "id": new_id(),
        "stripe_customer_id": "cus_1",
        "user_id": None,
        "email": "a@example.com",
        "name": "A",
        "phone": None,
        "address": None,
        "metadata": {"k": "1"},
        "default_payment_method": None,
        "deleted": False,
        "flagged": False,
        "revision": 3,
        "state_at": AT,
        "unsure": False,
        "created_at": AT,
        "updated_at": AT,
    }
    return CustomerRow(**{**fields, **changes})


def method_row(**changes: Any) -> MethodRow:
    fields: dict[str, Any] = {
        "id": new_id(),
        "stripe_payment_method_id": "pm_1",
        "user_id": None,
        "stripe_customer_id": "cus_1",
        "type": "card",
        "card_brand": "visa",
        "card_last4": "4242",
        "card_exp_month": 1,
        "card_exp_year": 2030,
        "card_funding": None,
        "card_country": "US",
        "card_fingerprint": None,
        "revision": 0,
        "state_at": AT,
        "unsure": False,
        "created_at": AT,
        "updated_at": AT,
    }
    return MethodRow(**{**fields, **changes})


def on_customer(
    row: CustomerRow, previous: Any = None, kind: str = "customer.updated", at: datetime = AT, **changes: Any
) -> Verdict:
    value = translate.customer({**STRIPE_CUSTOMER, **changes}, deleted=kind == "customer.deleted")
    return _judge_customer(row, CustomerFacts(value, Source("event", at, event_type=kind, previous=previous)))


def on_method(row: MethodRow, kind: str, previous: Any = None, **changes: Any) -> Verdict:
    value = translate.payment_method({**STRIPE_METHOD, **changes})
    source = Source("event", AT, event_type=f"payment_method.{kind}", previous=previous)
    return _judge_method(row, MethodFacts(value, source))


@pytest.mark.parametrize(
    ("previous", "changes"),
    [
        ({"name": "A"}, {"name": "B"}),
        ({"metadata": {"new": None}}, {"metadata": {"k": "1", "new": "2"}}),
        ({"metadata": {"k": "1"}}, {"metadata": {}}),
        ({"invoice_settings": {"default_payment_method": None}}, {"invoice_settings": {"default_payment_method": "p"}}),
        ({"address": None}, {"address": {"city": "Rome"}}),
    ],
)
def test_a_change_in_the_second_of_the_row_is_in_doubt_until_the_row_shows_it(previous: Any, changes: Any) -> None:
    assert on_customer(customer_row(), previous, **changes) is Verdict.UNSURE
    shown = {"default_payment_method": "p"} if "invoice_settings" in changes else changes
    assert on_customer(customer_row(**shown, phone="1"), previous, **changes) is Verdict.KEEP


def test_an_event_of_the_same_second_that_the_row_follows_is_old() -> None:
    assert on_customer(customer_row(name="C"), {"name": "A"}, name="B") is Verdict.UNSURE
    assert on_customer(customer_row(email="x@example.com"), {"name": "Z"}) is Verdict.KEEP
    assert on_customer(customer_row(name="B"), None, "customer.created") is Verdict.KEEP


def test_time_decides_first_and_deletion_is_final() -> None:
    assert on_customer(customer_row(), at=AT + timedelta(seconds=1), name="B") is Verdict.APPLY
    assert on_customer(customer_row(), at=AT - timedelta(seconds=1), name="B") is Verdict.KEEP
    assert on_customer(customer_row(), kind="customer.deleted", at=AT - timedelta(days=1)) is Verdict.APPLY
    assert on_customer(customer_row(deleted=True), at=AT + timedelta(days=1), name="B") is Verdict.KEEP


def test_absent_is_not_null() -> None:
    stub = translate.customer({"id": "cus_1", "object": "customer", "metadata": {"k": "1"}})
    assert _judge_customer(customer_row(), CustomerFacts(stub, Source("event", AT))) is Verdict.KEEP


def test_a_detachment_in_the_second_of_the_attachment() -> None:
    gone = method_row(stripe_customer_id=None)
    assert on_method(method_row(), "detached", {"customer": "cus_1"}, customer=None) is Verdict.UNSURE
    assert on_method(gone, "detached", {"customer": "cus_1"}, customer=None) is Verdict.KEEP
    # The attachment comes after it: nobody can tell, and Stripe is asked.
    assert on_method(gone, "attached") is Verdict.UNSURE


def test_a_card_that_was_renewed() -> None:
    renewed = {**STRIPE_METHOD["card"], "exp_year": 2034}
    old = {"card": {"exp_year": 2030}}
    assert on_method(method_row(), "automatically_updated", old, card=renewed) is Verdict.UNSURE
    assert on_method(method_row(card_exp_year=2034), "attached") is Verdict.UNSURE
    assert on_method(method_row(card_exp_year=2034), "automatically_updated", old, card=renewed) is Verdict.KEEP


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ({}, True),
        ({"name": "A", "phone": ""}, True),
        ({"name": "B"}, False),
        ({"metadata": {"k": "1", "gone": ""}}, True),
        ({"metadata": {"k": ""}}, False),
        ({"address": ""}, True),
        ({"address": {"city": "Rome", "line2": ""}}, False),
        ({"invoice_settings": {"default_payment_method": "pm_1"}}, False),
    ],
)
def test_whether_an_update_took_place(params: dict[str, Any], shown: bool) -> None:
    assert _shows(STRIPE_CUSTOMER, params) is shown
