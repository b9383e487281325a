from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.price_view import PriceView
  from ..models.product_view_metadata import ProductViewMetadata





T = TypeVar("T", bound="ProductView")



@_attrs_define
class ProductView:
    """ A product with its prices on offer.

        Attributes:
            id (UUID):
            object_ (Literal['product']):
            stripe_product_id (str):
            name (str):
            description (None | str):
            active (bool):
            unit_label (None | str):
            images (list[str]):
            features (list[str]):
            default_price (None | str):
            metadata (ProductViewMetadata):
            prices (list[PriceView]):
            created_at (datetime.datetime):
            updated_at (datetime.datetime): """

    id: UUID
    object_: Literal['product']
    stripe_product_id: str
    name: str
    description: None | str
    active: bool
    unit_label: None | str
    images: list[str]
    features: list[str]
    default_price: None | str
    metadata: ProductViewMetadata
    prices: list[PriceView]
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.price_view import PriceView # noqa: PLC0415
        from ..models.product_view_metadata import ProductViewMetadata # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_product_id = self.stripe_product_id

        name = self.name

        description: None | str
        description = self.description

        active = self.active

        unit_label: None | str
        unit_label = self.unit_label

        images = self.images



        features = self.features



        default_price: None | str
        default_price = self.default_price

        metadata = self.metadata.to_dict()

        prices = []
        for prices_item_data in self.prices:
            prices_item = prices_item_data.to_dict()
            prices.append(prices_item)



        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "stripe_product_id": stripe_product_id,
            "name": name,
            "description": description,
            "active": active,
            "unit_label": unit_label,
            "images": images,
            "features": features,
            "default_price": default_price,
            "metadata": metadata,
            "prices": prices,
            "created_at": created_at,
            "updated_at": updated_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.price_view import PriceView # noqa: PLC0415
        from ..models.product_view_metadata import ProductViewMetadata # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['product'] , d.pop("object"))
        if object_ != 'product':
            raise ValueError(f"object must match const 'product', got '{object_}'")

        stripe_product_id = d.pop("stripe_product_id")

        name = d.pop("name")

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))


        active = d.pop("active")

        def _parse_unit_label(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        unit_label = _parse_unit_label(d.pop("unit_label"))


        images = cast(list[str], d.pop("images"))


        features = cast(list[str], d.pop("features"))


        def _parse_default_price(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        default_price = _parse_default_price(d.pop("default_price"))


        metadata = ProductViewMetadata.from_dict(d.pop("metadata"))




        prices = []
        _prices = d.pop("prices")
        for prices_item_data in (_prices):
            prices_item = PriceView.from_dict(prices_item_data)



            prices.append(prices_item)


        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        product_view = cls(
            id=id,
            object_=object_,
            stripe_product_id=stripe_product_id,
            name=name,
            description=description,
            active=active,
            unit_label=unit_label,
            images=images,
            features=features,
            default_price=default_price,
            metadata=metadata,
            prices=prices,
            created_at=created_at,
            updated_at=updated_at,
        )


        product_view.additional_properties = d
        return product_view

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
