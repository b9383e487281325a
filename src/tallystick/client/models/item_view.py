from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast






T = TypeVar("T", bound="ItemView")



@_attrs_define
class ItemView:
    """ One price of a subscription; `unit_amount` in minor units.

        Attributes:
            id (str):
            price (str):
            product (None | str):
            quantity (int | None):
            unit_amount (int | None):
            unit_amount_decimal (None | str):
            currency (None | str):
            interval (None | str):
            interval_count (int | None): """

    id: str
    price: str
    product: None | str
    quantity: int | None
    unit_amount: int | None
    unit_amount_decimal: None | str
    currency: None | str
    interval: None | str
    interval_count: int | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        id = self.id

        price = self.price

        product: None | str
        product = self.product

        quantity: int | None
        quantity = self.quantity

        unit_amount: int | None
        unit_amount = self.unit_amount

        unit_amount_decimal: None | str
        unit_amount_decimal = self.unit_amount_decimal

        currency: None | str
        currency = self.currency

        interval: None | str
        interval = self.interval

        interval_count: int | None
        interval_count = self.interval_count


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "price": price,
            "product": product,
            "quantity": quantity,
            "unit_amount": unit_amount,
            "unit_amount_decimal": unit_amount_decimal,
            "currency": currency,
            "interval": interval,
            "interval_count": interval_count,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        price = d.pop("price")

        def _parse_product(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        product = _parse_product(d.pop("product"))


        def _parse_quantity(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        quantity = _parse_quantity(d.pop("quantity"))


        def _parse_unit_amount(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        unit_amount = _parse_unit_amount(d.pop("unit_amount"))


        def _parse_unit_amount_decimal(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        unit_amount_decimal = _parse_unit_amount_decimal(d.pop("unit_amount_decimal"))


        def _parse_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        currency = _parse_currency(d.pop("currency"))


        def _parse_interval(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        interval = _parse_interval(d.pop("interval"))


        def _parse_interval_count(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        interval_count = _parse_interval_count(d.pop("interval_count"))


        item_view = cls(
            id=id,
            price=price,
            product=product,
            quantity=quantity,
            unit_amount=unit_amount,
            unit_amount_decimal=unit_amount_decimal,
            currency=currency,
            interval=interval,
            interval_count=interval_count,
        )


        item_view.additional_properties = d
        return item_view

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
