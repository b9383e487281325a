from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.granted_feature_view_state import check_granted_feature_view_state
from ..models.granted_feature_view_state import GrantedFeatureViewState
from typing import cast
from uuid import UUID
import datetime






T = TypeVar("T", bound="GrantedFeatureView")



@_attrs_define
class GrantedFeatureView:
    """ A feature that a user may use: the best that one of the user's subscriptions gives.

        Attributes:
            feature (str):
            name (str):
            value (bool | int | None | str): a limit, on or off, a level's name, or null: it is there
            product (str): Stripe's id
            subscription (UUID):
            quantity (int | None):
            state (GrantedFeatureViewState): `grace`: an invoice is unpaid, access goes on for a while; `past_due`: which
                one is not known yet
            until (datetime.datetime | None): when it ends by itself; null: not by itself """

    feature: str
    name: str
    value: bool | int | None | str
    product: str
    subscription: UUID
    quantity: int | None
    state: GrantedFeatureViewState
    until: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        feature = self.feature

        name = self.name

        value: bool | int | None | str
        value = self.value

        product = self.product

        subscription = str(self.subscription)

        quantity: int | None
        quantity = self.quantity

        state: str = self.state

        until: None | str
        if isinstance(self.until, datetime.datetime):
            until = self.until.isoformat()
        else:
            until = self.until


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "feature": feature,
            "name": name,
            "value": value,
            "product": product,
            "subscription": subscription,
            "quantity": quantity,
            "state": state,
            "until": until,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        feature = d.pop("feature")

        name = d.pop("name")

        def _parse_value(data: object) -> bool | int | None | str:
            if data is None:
                return data
            return cast(bool | int | None | str, data)

        value = _parse_value(d.pop("value"))


        product = d.pop("product")

        subscription = UUID(d.pop("subscription"))




        def _parse_quantity(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        quantity = _parse_quantity(d.pop("quantity"))


        state = check_granted_feature_view_state(d.pop("state"))




        def _parse_until(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                until_type_0 = datetime.datetime.fromisoformat(data)



                return until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        until = _parse_until(d.pop("until"))


        granted_feature_view = cls(
            feature=feature,
            name=name,
            value=value,
            product=product,
            subscription=subscription,
            quantity=quantity,
            state=state,
            until=until,
        )


        granted_feature_view.additional_properties = d
        return granted_feature_view

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
