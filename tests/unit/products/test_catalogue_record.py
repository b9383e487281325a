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
        ({"metadata": {"k": "1"}}, {"metadata": {"k": "2", "other": "x"}}),
        ({"metadata": {"new": None}}, {"metadata": {"k": "1", "other": "x", "new": "3"}}),
        ({"metadata": {"k": "1"}}, {"metadata": {"other": "x"}}),
    ],
)
def test_a_change_of_metadata_in_the_same_second_is_in_doubt_until_the_row_shows_it(
    previous: Any, changes: Any
) -> None:
    assert on_product(product_row(), previous, **changes) is Verdict.UNSURE
    assert on_price(price_row(), previous, **changes) is Verdict.UNSURE
    assert on_product(product_row(**changes, name="Other"), previous, **changes) is Verdict.KEEP
    assert on_price(price_row(**changes, nickname="Other"), previous, **changes) is Verdict.KEEP


@pytest.mark.parametrize("name", ["marketing_features", "features"])
def test_a_change_of_features_is_seen_under_both_their_names(name: str) -> None:
    previous, new = {name: [{"name": "Fast"}]}, [{"name": "Faster"}]
    assert on_product(product_row(), previous, marketing_features=new) is Verdict.UNSURE
    shown = product_row(features=["Faster"], name="Other")
    assert on_product(shown, previous, marketing_features=new) is Verdict.KEEP


def test_what_a_payload_does_not_have_does_not_differ() -> None:
    assert on_product(product_row(), None, gone="default_price") is Verdict.KEEP
