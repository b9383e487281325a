from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.granted_feature_view import GrantedFeatureView
  from ..models.granted_product_view import GrantedProductView





T = TypeVar("T", bound="EntitlementsView")



@_attrs_define
class EntitlementsView:
    """ What a user may use at `as_of`, and until when.

        Attributes:
            user (str): the host application's id
            as_of (datetime.datetime):
            data (list[GrantedFeatureView]):
            products (list[GrantedProductView]): """

    user: str
    as_of: datetime.datetime
    data: list[GrantedFeatureView]
    products: list[GrantedProductView]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.granted_feature_view import GrantedFeatureView # noqa: PLC0415
        from ..models.granted_product_view import GrantedProductView # noqa: PLC0415
        user = self.user

        as_of = self.as_of.isoformat()

        data = []
        for data_item_data in self.data:
            data_item = data_item_data.to_dict()
            data.append(data_item)



        products = []
        for products_item_data in self.products:
            products_item = products_item_data.to_dict()
            products.append(products_item)




        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "user": user,
            "as_of": as_of,
            "data": data,
            "products": products,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.granted_feature_view import GrantedFeatureView # noqa: PLC0415
        from ..models.granted_product_view import GrantedProductView # noqa: PLC0415
        d = dict(src_dict)
        user = d.pop("user")

        as_of = datetime.datetime.fromisoformat(d.pop("as_of"))




        data = []
        _data = d.pop("data")
        for data_item_data in (_data):
            data_item = GrantedFeatureView.from_dict(data_item_data)



            data.append(data_item)


        products = []
        _products = d.pop("products")
        for products_item_data in (_products):
            products_item = GrantedProductView.from_dict(products_item_data)



            products.append(products_item)


        entitlements_view = cls(
            user=user,
            as_of=as_of,
            data=data,
            products=products,
        )


        entitlements_view.additional_properties = d
        return entitlements_view

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
