from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="FailureView")



@_attrs_define
class FailureView:
    """ Why the last attempt failed. `stripe_code` and `decline_code` are shown to staff only.

        Attributes:
            code (str):
            message (str):
            suggested_action (str):
            stripe_code (None | str | Unset):
            decline_code (None | str | Unset): """

    code: str
    message: str
    suggested_action: str
    stripe_code: None | str | Unset = UNSET
    decline_code: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        code = self.code

        message = self.message

        suggested_action = self.suggested_action

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
            "code": code,
            "message": message,
            "suggested_action": suggested_action,
        })
        if stripe_code is not UNSET:
            field_dict["stripe_code"] = stripe_code
        if decline_code is not UNSET:
            field_dict["decline_code"] = decline_code

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        code = d.pop("code")

        message = d.pop("message")

        suggested_action = d.pop("suggested_action")

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


        failure_view = cls(
            code=code,
            message=message,
            suggested_action=suggested_action,
            stripe_code=stripe_code,
            decline_code=decline_code,
        )


        failure_view.additional_properties = d
        return failure_view

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
