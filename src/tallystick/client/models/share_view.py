from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="ShareView")



@_attrs_define
class ShareView:
    """ How many of the objects that were compared are equal to Stripe's; null until all were compared once.

        Attributes:
            equal (int | None):
            compared (int | None):
            share (float | None): from 0 to 1; 1 only where all are equal
            as_of (datetime.datetime | None): business time
            full_as_of (datetime.datetime | None): when all of them were compared the last time """

    equal: int | None
    compared: int | None
    share: float | None
    as_of: datetime.datetime | None
    full_as_of: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        equal: int | None
        equal = self.equal

        compared: int | None
        compared = self.compared

        share: float | None
        share = self.share

        as_of: None | str
        if isinstance(self.as_of, datetime.datetime):
            as_of = self.as_of.isoformat()
        else:
            as_of = self.as_of

        full_as_of: None | str
        if isinstance(self.full_as_of, datetime.datetime):
            full_as_of = self.full_as_of.isoformat()
        else:
            full_as_of = self.full_as_of


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "equal": equal,
            "compared": compared,
            "share": share,
            "as_of": as_of,
            "full_as_of": full_as_of,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        def _parse_equal(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        equal = _parse_equal(d.pop("equal"))


        def _parse_compared(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        compared = _parse_compared(d.pop("compared"))


        def _parse_share(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        share = _parse_share(d.pop("share"))


        def _parse_as_of(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                as_of_type_0 = datetime.datetime.fromisoformat(data)



                return as_of_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        as_of = _parse_as_of(d.pop("as_of"))


        def _parse_full_as_of(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                full_as_of_type_0 = datetime.datetime.fromisoformat(data)



                return full_as_of_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        full_as_of = _parse_full_as_of(d.pop("full_as_of"))


        share_view = cls(
            equal=equal,
            compared=compared,
            share=share,
            as_of=as_of,
            full_as_of=full_as_of,
        )


        share_view.additional_properties = d
        return share_view

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
