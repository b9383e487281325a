from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="TrialPeriodView")



@_attrs_define
class TrialPeriodView:
    """ Attributes:
            start (datetime.date):
            end (datetime.date):
            started (int):
            ended (int):
            converted (int):
            conversion_rate (float | None): """

    start: datetime.date
    end: datetime.date
    started: int
    ended: int
    converted: int
    conversion_rate: float | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        start = self.start.isoformat()

        end = self.end.isoformat()

        started = self.started

        ended = self.ended

        converted = self.converted

        conversion_rate: float | None
        conversion_rate = self.conversion_rate


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "start": start,
            "end": end,
            "started": started,
            "ended": ended,
            "converted": converted,
            "conversion_rate": conversion_rate,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        start = datetime.date.fromisoformat(d.pop("start"))




        end = datetime.date.fromisoformat(d.pop("end"))




        started = d.pop("started")

        ended = d.pop("ended")

        converted = d.pop("converted")

        def _parse_conversion_rate(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        conversion_rate = _parse_conversion_rate(d.pop("conversion_rate"))


        trial_period_view = cls(
            start=start,
            end=end,
            started=started,
            ended=ended,
            converted=converted,
            conversion_rate=conversion_rate,
        )


        trial_period_view.additional_properties = d
        return trial_period_view

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
