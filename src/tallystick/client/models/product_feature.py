from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="ProductFeature")



@_attrs_define
class ProductFeature:
    """ A feature for a product.

        Attributes:
            key (str):
            value (bool | int | None | str | Unset): a limit, on or off, a level's name, or null: it is there """

    key: str
    value: bool | int | None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        key = self.key

        value: bool | int | None | str | Unset
        if isinstance(self.value, Unset):
            value = UNSET
        else:
            value = self.value


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "key": key,
        })
        if value is not UNSET:
            field_dict["value"] = value

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        key = d.pop("key")

        def _parse_value(data: object) -> bool | int | None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | int | None | str | Unset, data)

        value = _parse_value(d.pop("value", UNSET))


        product_feature = cls(
            key=key,
            value=value,
        )

        return product_feature

