from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.entitlement_check_state_type_0 import check_entitlement_check_state_type_0
from ..models.entitlement_check_state_type_0 import EntitlementCheckStateType0
from typing import cast
from uuid import UUID
import datetime






T = TypeVar("T", bound="EntitlementCheck")



@_attrs_define
class EntitlementCheck:
    """ Whether a user may use a feature; what is not null tells by what.

        Attributes:
            user (str):
            as_of (datetime.datetime):
            feature (str):
            entitled (bool):
            value (bool | int | None | str): a limit, on or off, a level's name, or null: it is there
            product (None | str):
            subscription (None | UUID):
            quantity (int | None):
            state (EntitlementCheckStateType0 | None):
            until (datetime.datetime | None): when it ends by itself; null: not by itself """

    user: str
    as_of: datetime.datetime
    feature: str
    entitled: bool
    value: bool | int | None | str
    product: None | str
    subscription: None | UUID
    quantity: int | None
    state: EntitlementCheckStateType0 | None
    until: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        user = self.user

        as_of = self.as_of.isoformat()

        feature = self.feature

        entitled = self.entitled

        value: bool | int | None | str
        value = self.value

        product: None | str
        product = self.product

        subscription: None | str
        if isinstance(self.subscription, UUID):
            subscription = str(self.subscription)
        else:
            subscription = self.subscription

        quantity: int | None
        quantity = self.quantity

        state: None | str
        if isinstance(self.state, str):
            state = self.state
        else:
            state = self.state

        until: None | str
        if isinstance(self.until, datetime.datetime):
            until = self.until.isoformat()
        else:
            until = self.until


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "user": user,
            "as_of": as_of,
            "feature": feature,
            "entitled": entitled,
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
        user = d.pop("user")

        as_of = datetime.datetime.fromisoformat(d.pop("as_of"))




        feature = d.pop("feature")

        entitled = d.pop("entitled")

        def _parse_value(data: object) -> bool | int | None | str:
            if data is None:
                return data
            return cast(bool | int | None | str, data)

        value = _parse_value(d.pop("value"))


        def _parse_product(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        product = _parse_product(d.pop("product"))


        def _parse_subscription(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                subscription_type_0 = UUID(data)



                return subscription_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        subscription = _parse_subscription(d.pop("subscription"))


        def _parse_quantity(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        quantity = _parse_quantity(d.pop("quantity"))


        def _parse_state(data: object) -> EntitlementCheckStateType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                state_type_0 = check_entitlement_check_state_type_0(data)



                return state_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(EntitlementCheckStateType0 | None, data)

        state = _parse_state(d.pop("state"))


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


        entitlement_check = cls(
            user=user,
            as_of=as_of,
            feature=feature,
            entitled=entitled,
            value=value,
            product=product,
            subscription=subscription,
            quantity=quantity,
            state=state,
            until=until,
        )


        entitlement_check.additional_properties = d
        return entitlement_check

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
