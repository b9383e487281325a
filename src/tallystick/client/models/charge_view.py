from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast
import datetime






T = TypeVar("T", bound="ChargeView")



@_attrs_define
class ChargeView:
    """ One attempt on a payment that reached the card network.

        Attributes:
            stripe_charge_id (str):
            status (str):
            amount (int):
            amount_captured (int):
            card_brand (None | str):
            card_last4 (None | str):
            created_at (datetime.datetime):
            stripe_code (None | str | Unset): staff only
            decline_code (None | str | Unset): staff only """

    stripe_charge_id: str
    status: str
    amount: int
    amount_captured: int
    card_brand: None | str
    card_last4: None | str
    created_at: datetime.datetime
    stripe_code: None | str | Unset = UNSET
    decline_code: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        stripe_charge_id = self.stripe_charge_id

        status = self.status

        amount = self.amount

        amount_captured = self.amount_captured

        card_brand: None | str
        card_brand = self.card_brand

        card_last4: None | str
        card_last4 = self.card_last4

        created_at = self.created_at.isoformat()

        stripe_code: None | str | Unset
        if isinstance(self.stripe_code, Unset):
            stripe_code = UNSET
        else:
            stripe_code = self.stripe_code

        decline_code: None | str | Unset
        if isinstance(self.decline_code, Unset):
            decline_code = UNSET
        else:
            decline_code = self.decline_code


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "stripe_charge_id": stripe_charge_id,
            "status": status,
            "amount": amount,
            "amount_captured": amount_captured,
            "card_brand": card_brand,
            "card_last4": card_last4,
            "created_at": created_at,
        })
        if stripe_code is not UNSET:
            field_dict["stripe_code"] = stripe_code
        if decline_code is not UNSET:
            field_dict["decline_code"] = decline_code

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        stripe_charge_id = d.pop("stripe_charge_id")

        status = d.pop("status")

        amount = d.pop("amount")

        amount_captured = d.pop("amount_captured")

        def _parse_card_brand(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        card_brand = _parse_card_brand(d.pop("card_brand"))


        def _parse_card_last4(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        card_last4 = _parse_card_last4(d.pop("card_last4"))


        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        def _parse_stripe_code(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        stripe_code = _parse_stripe_code(d.pop("stripe_code", UNSET))


        def _parse_decline_code(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        decline_code = _parse_decline_code(d.pop("decline_code", UNSET))


        charge_view = cls(
            stripe_charge_id=stripe_charge_id,
            status=status,
            amount=amount,
            amount_captured=amount_captured,
            card_brand=card_brand,
            card_last4=card_last4,
            created_at=created_at,
            stripe_code=stripe_code,
            decline_code=decline_code,
        )


        charge_view.additional_properties = d
        return charge_view

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
