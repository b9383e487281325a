from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.create_price import CreatePrice
  from ..models.create_product_metadata import CreateProductMetadata





T = TypeVar("T", bound="CreateProduct")



@_attrs_define
class CreateProduct:
    """ A new product with its prices.

        Attributes:
            name (str):
            description (None | str | Unset):
            unit_label (None | str | Unset):
            metadata (CreateProductMetadata | Unset):
            prices (list[CreatePrice] | Unset): """

    name: str
    description: None | str | Unset = UNSET
    unit_label: None | str | Unset = UNSET
    metadata: CreateProductMetadata | Unset = UNSET
    prices: list[CreatePrice] | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.create_price import CreatePrice # noqa: PLC0415
        from ..models.create_product_metadata import CreateProductMetadata # noqa: PLC0415
        name = self.name

        description: None | str | Unset
        if isinstance(self.description, Unset):
            description = UNSET
        else:
            description = self.description

        unit_label: None | str | Unset
        if isinstance(self.unit_label, Unset):
            unit_label = UNSET
        else:
            unit_label = self.unit_label

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        prices: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.prices, Unset):
            prices = []
            for prices_item_data in self.prices:
                prices_item = prices_item_data.to_dict()
                prices.append(prices_item)




        field_dict: dict[str, Any] = {}

        field_dict.update({
            "name": name,
        })
        if description is not UNSET:
            field_dict["description"] = description
        if unit_label is not UNSET:
            field_dict["unit_label"] = unit_label
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if prices is not UNSET:
            field_dict["prices"] = prices

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_price import CreatePrice # noqa: PLC0415
        from ..models.create_product_metadata import CreateProductMetadata # noqa: PLC0415
        d = dict(src_dict)
        name = d.pop("name")

        def _parse_description(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        description = _parse_description(d.pop("description", UNSET))


        def _parse_unit_label(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        unit_label = _parse_unit_label(d.pop("unit_label", UNSET))


        _metadata = d.pop("metadata", UNSET)
        metadata: CreateProductMetadata | Unset
        if isinstance(_metadata,  Unset):
            metadata = UNSET
        else:
            metadata = CreateProductMetadata.from_dict(_metadata)




        _prices = d.pop("prices", UNSET)
        prices: list[CreatePrice] | Unset = UNSET
        if _prices is not UNSET:
            prices = []
            for prices_item_data in _prices:
                prices_item = CreatePrice.from_dict(prices_item_data)



                prices.append(prices_item)


        create_product = cls(
            name=name,
            description=description,
            unit_label=unit_label,
            metadata=metadata,
            prices=prices,
        )

        return create_product

