from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

if TYPE_CHECKING:
  from ..models.product_feature import ProductFeature





T = TypeVar("T", bound="ProductFeatureFields")



@_attrs_define
class ProductFeatureFields:
    """ All features that a product is to have.

        Attributes:
            features (list[ProductFeature]): """

    features: list[ProductFeature]





    def to_dict(self) -> dict[str, Any]:
        from ..models.product_feature import ProductFeature # noqa: PLC0415
        features = []
        for features_item_data in self.features:
            features_item = features_item_data.to_dict()
            features.append(features_item)




        field_dict: dict[str, Any] = {}

        field_dict.update({
            "features": features,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.product_feature import ProductFeature # noqa: PLC0415
        d = dict(src_dict)
        features = []
        _features = d.pop("features")
        for features_item_data in (_features):
            features_item = ProductFeature.from_dict(features_item_data)



            features.append(features_item)


        product_feature_fields = cls(
            features=features,
        )

        return product_feature_fields

