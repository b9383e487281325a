from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.recurring_view_interval_type_0 import check_recurring_view_interval_type_0
from ..models.recurring_view_interval_type_0 import RecurringViewIntervalType0
from typing import cast






T = TypeVar("T", bound="RecurringView")



@_attrs_define
class RecurringView:
    """ How often a recurring price is billed.

        Attributes:
            interval (RecurringViewIntervalType0 | str):
            interval_count (int):
            usage_type (str): """

    interval: RecurringViewIntervalType0 | str
    interval_count: int
    usage_type: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        interval: str
        if isinstance(self.interval, str):
            interval = self.interval
        else:
            interval = self.interval

        interval_count = self.interval_count

        usage_type = self.usage_type


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "interval": interval,
            "interval_count": interval_count,
            "usage_type": usage_type,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        def _parse_interval(data: object) -> RecurringViewIntervalType0 | str:
            try:
                if not isinstance(data, str):
                    raise TypeError()
                interval_type_0 = check_recurring_view_interval_type_0(data)



                return interval_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(RecurringViewIntervalType0 | str, data)

        interval = _parse_interval(d.pop("interval"))


        interval_count = d.pop("interval_count")

        usage_type = d.pop("usage_type")

        recurring_view = cls(
            interval=interval,
            interval_count=interval_count,
            usage_type=usage_type,
        )


        recurring_view.additional_properties = d
        return recurring_view

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
