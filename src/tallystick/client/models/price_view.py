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
  from ..models.price_view_metadata import PriceViewMetadata
  from ..models.price_view_transform_quantity_type_0 import PriceViewTransformQuantityType0
  from ..models.recurring_view import RecurringView
  from ..models.tier_view import TierView





T = TypeVar("T", bound="PriceView")



@_attrs_define
class PriceView:
    """ A price; amounts in minor units of `currency`.

        Attributes:
            id (UUID):
            object_ (Literal['price']):
            stripe_price_id (str):
            product (str):
            active (bool):
            currency (str):
            type_ (str): one_time or recurring
            billing_scheme (str): per_unit or tiered
            unit_amount (int | None):
            unit_amount_decimal (None | str):
            recurring (None | RecurringView):
            tiers_mode (None | str): graduated or volume
            tiers (list[TierView] | None):
            transform_quantity (None | PriceViewTransformQuantityType0):
            nickname (None | str):
            lookup_key (None | str):
            tax_behavior (None | str):
            metadata (PriceViewMetadata):
            created_at (datetime.datetime):
            updated_at (datetime.datetime): """

    id: UUID
    object_: Literal['price']
    stripe_price_id: str
    product: str
    active: bool
    currency: str
    type_: str
    billing_scheme: str
    unit_amount: int | None
    unit_amount_decimal: None | str
    recurring: None | RecurringView
    tiers_mode: None | str
    tiers: list[TierView] | None
    transform_quantity: None | PriceViewTransformQuantityType0
    nickname: None | str
    lookup_key: None | str
    tax_behavior: None | str
    metadata: PriceViewMetadata
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.price_view_metadata import PriceViewMetadata # noqa: PLC0415
        from ..models.price_view_transform_quantity_type_0 import PriceViewTransformQuantityType0 # noqa: PLC0415
        from ..models.recurring_view import RecurringView # noqa: PLC0415
        from ..models.tier_view import TierView # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_price_id = self.stripe_price_id

        product = self.product

        active = self.active

        currency = self.currency

        type_ = self.type_

        billing_scheme = self.billing_scheme

        unit_amount: int | None
        unit_amount = self.unit_amount

        unit_amount_decimal: None | str
        unit_amount_decimal = self.unit_amount_decimal

        recurring: dict[str, Any] | None
        if isinstance(self.recurring, RecurringView):
            recurring = self.recurring.to_dict()
        else:
            recurring = self.recurring

        tiers_mode: None | str
        tiers_mode = self.tiers_mode

        tiers: list[dict[str, Any]] | None
        if isinstance(self.tiers, list):
            tiers = []
            for tiers_type_0_item_data in self.tiers:
                tiers_type_0_item = tiers_type_0_item_data.to_dict()
                tiers.append(tiers_type_0_item)


        else:
            tiers = self.tiers

        transform_quantity: dict[str, Any] | None
        if isinstance(self.transform_quantity, PriceViewTransformQuantityType0):
            transform_quantity = self.transform_quantity.to_dict()
        else:
            transform_quantity = self.transform_quantity

        nickname: None | str
        nickname = self.nickname

        lookup_key: None | str
        lookup_key = self.lookup_key

        tax_behavior: None | str
        tax_behavior = self.tax_behavior

        metadata = self.metadata.to_dict()

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "stripe_price_id": stripe_price_id,
            "product": product,
            "active": active,
            "currency": currency,
            "type": type_,
            "billing_scheme": billing_scheme,
            "unit_amount": unit_amount,
            "unit_amount_decimal": unit_amount_decimal,
            "recurring": recurring,
            "tiers_mode": tiers_mode,
            "tiers": tiers,
            "transform_quantity": transform_quantity,
            "nickname": nickname,
            "lookup_key": lookup_key,
            "tax_behavior": tax_behavior,
            "metadata": metadata,
            "created_at": created_at,
            "updated_at": updated_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.price_view_metadata import PriceViewMetadata # noqa: PLC0415
        from ..models.price_view_transform_quantity_type_0 import PriceViewTransformQuantityType0 # noqa: PLC0415
        from ..models.recurring_view import RecurringView # noqa: PLC0415
        from ..models.tier_view import TierView # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['price'] , d.pop("object"))
        if object_ != 'price':
            raise ValueError(f"object must match const 'price', got '{object_}'")

        stripe_price_id = d.pop("stripe_price_id")

        product = d.pop("product")

        active = d.pop("active")

        currency = d.pop("currency")

        type_ = d.pop("type")

        billing_scheme = d.pop("billing_scheme")

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


        def _parse_recurring(data: object) -> None | RecurringView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                recurring_type_0 = RecurringView.from_dict(data)



                return recurring_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RecurringView, data)

        recurring = _parse_recurring(d.pop("recurring"))


        def _parse_tiers_mode(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        tiers_mode = _parse_tiers_mode(d.pop("tiers_mode"))


        def _parse_tiers(data: object) -> list[TierView] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                tiers_type_0 = []
                _tiers_type_0 = data
                for tiers_type_0_item_data in (_tiers_type_0):
                    tiers_type_0_item = TierView.from_dict(tiers_type_0_item_data)



                    tiers_type_0.append(tiers_type_0_item)

                return tiers_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[TierView] | None, data)

        tiers = _parse_tiers(d.pop("tiers"))


        def _parse_transform_quantity(data: object) -> None | PriceViewTransformQuantityType0:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                transform_quantity_type_0 = PriceViewTransformQuantityType0.from_dict(data)



                return transform_quantity_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PriceViewTransformQuantityType0, data)

        transform_quantity = _parse_transform_quantity(d.pop("transform_quantity"))


        def _parse_nickname(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        nickname = _parse_nickname(d.pop("nickname"))


        def _parse_lookup_key(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        lookup_key = _parse_lookup_key(d.pop("lookup_key"))


        def _parse_tax_behavior(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        tax_behavior = _parse_tax_behavior(d.pop("tax_behavior"))


        metadata = PriceViewMetadata.from_dict(d.pop("metadata"))




        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        price_view = cls(
            id=id,
            object_=object_,
            stripe_price_id=stripe_price_id,
            product=product,
            active=active,
            currency=currency,
            type_=type_,
            billing_scheme=billing_scheme,
            unit_amount=unit_amount,
            unit_amount_decimal=unit_amount_decimal,
            recurring=recurring,
            tiers_mode=tiers_mode,
            tiers=tiers,
            transform_quantity=transform_quantity,
            nickname=nickname,
            lookup_key=lookup_key,
            tax_behavior=tax_behavior,
            metadata=metadata,
            created_at=created_at,
            updated_at=updated_at,
        )


        price_view.additional_properties = d
        return price_view

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
