from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="PauseView")



@_attrs_define
class PauseView:
    """ What becomes of invoices while collection is paused.

        Attributes:
            behavior (str):
            resumes_at (datetime.datetime | None): """

    behavior: str
    resumes_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        behavior = self.behavior

        resumes_at: None | str
        if isinstance(self.resumes_at, datetime.datetime):
            resumes_at = self.resumes_at.isoformat()
        else:
            resumes_at = self.resumes_at


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "behavior": behavior,
            "resumes_at": resumes_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        behavior = d.pop("behavior")

        def _parse_resumes_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                resumes_at_type_0 = datetime.datetime.fromisoformat(data)



                return resumes_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        resumes_at = _parse_resumes_at(d.pop("resumes_at"))


        pause_view = cls(
            behavior=behavior,
            resumes_at=resumes_at,
        )


        pause_view.additional_properties = d
        return pause_view

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
