"""Which state of a product or price is the newer one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tallystick.core.ids import new_id
from tallystick.products.models import PriceFacts, PriceRow, ProductFacts, ProductRow
from tallystick.products.service_record import _judge_price, _judge_product
from tallystick.stripe_gateway import translate
from tallystick.stripe_gateway.ordering import Source, Verdict

AT = datetime(2026, 1, 1, tzinfo=UTC)
STRIPE_PRODUCT: dict[str, Any] = {
    "id": "prod_1",
    "object": "product",
    "name": "Team",
    "active": True,
    "created": int(AT.timestamp()),
    "description": None,
    "unit_label": None,
    "default_price": "price_1",
    "images": [],
    "marketing_features": [{"name": "Fast"}],
    "metadata": {"k": "1", "other": "x"},
}
STRIPE_PRICE: dict[str, Any] = {
    "id": "price_1",
    "object": "price",
    "product": "prod_1",
    "active": True,
    "created": int(AT.timestamp()),
    "currency": "usd",
    "type": "one_time",
    "billing_scheme": "per_unit",
    "unit_amount": 100,
    "unit_amount_decimal": "100",
    "recurring": None,
    "nickname": None,
    "lookup_key": None,
    "tax_behavior": "exclusive",
    "metadata": {"k": "1", "other": "x"},
}
_OURS = {"id": new_id(), "revision": 3, "state_at": AT, "unsure": False, "created_at": AT, "updated_at": AT}


def product_row(**changes: Any) -> ProductRow:
    fields: dict[str, Any] = {
        "stripe_product_id": "prod_1",
        "name": "Team",
        "active": True,
        "deleted": False,
        "description": None,
        "unit_label": None,
        "default_price_id": "price_1",
        "images": [],
        "features": ["Fast"],
        "metadata": {"k": "1", "other": "x"},
    }
    return ProductRow(**{**_OURS, **fields, **changes})


def price_row(**changes: Any) -> PriceRow:
    fields: dict[str, Any] = {
        "stripe_price_id": "price_1",
        "stripe_product_id": "prod_1",
        "active": True,
        "deleted": False,
        "currency": "usd",
        "type": "one_time",
        "billing_scheme": "per_unit",
        "unit_amount": 100,
        "unit_amount_decimal": "100",
        "recurring": None,
        "tiers_mode": None,
        "tiers": None,
        "transform_quantity": None,
        "nickname": None,
        "lookup_key": None,
        "tax_behavior": "exclusive",
        "metadata": {"k": "1", "other": "x"},
    }
    return PriceRow(**{**_OURS, **fields, **changes})


def on_product(row: ProductRow, previous: Any, gone: str = "", **changes: Any) -> Verdict:
    shown = {name: value for name, value in {**STRIPE_PRODUCT, **changes}.items() if name != gone}
    source = Source("event", AT, event_type="product.updated", previous=previous)
    return _judge_product(row, ProductFacts(translate.product(shown), source))


def on_price(row: PriceRow, previous: Any, **changes: Any) -> Verdict:
    source = Source("event", AT, event_type="price.updated", previous=previous)
    return _judge_price(row, PriceFacts(translate.price({**STRIPE_PRICE, **changes}), source))


@pytest.mark.parametrize(
    ("previous", "changes"),
    [
        # Of a hash only the changed keys are told; one that was not there is null.
        ({"metadata": {"k": "1"}}, {"metadata": {"k": "2", "other": "x"}}),
        ({"metadata": {"new": None}}, {"metadata": {"k": "1", "other": "x", "new": "3"}}),
        ({"metadata": {"k": "1"}}, {"metadata": {"other": "x"}}),
    ],
)
def test_a_change_of_metadata_in_the_same_second_needs_no_fetch(previous: Any, changes: Any) -> None:
    assert on_product(product_row(), previous, **changes) is Verdict.APPLY
    assert on_price(price_row(), previous, **changes) is Verdict.APPLY


def test_metadata_that_is_not_what_the_event_followed() -> None:
    row = product_row(metadata={"k": "9", "other": "x"})
    assert on_product(row, {"metadata": {"k": "1"}}, metadata={"k": "2", "other": "x"}) is Verdict.UNSURE


def test_changes_of_lists_in_the_same_second_are_seen() -> None:
    assert on_product(product_row(), {"images": []}, images=["https://example.com/a.png"]) is Verdict.APPLY
    features: Any = {"marketing_features": [{"name": "Fast"}]}
    assert on_product(product_row(), features, marketing_features=[{"name": "Faster"}]) is Verdict.APPLY
    assert on_product(product_row(features=["Slow"]), features, marketing_features=[]) is Verdict.UNSURE
    named_before = {"features": [{"name": "Fast"}]}
    assert on_product(product_row(), named_before, marketing_features=[]) is Verdict.APPLY


def test_what_a_payload_does_not_have_does_not_differ() -> None:
    assert on_product(product_row(), None, gone="default_price") is Verdict.KEEP
