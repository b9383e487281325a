from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

if TYPE_CHECKING:
  from ..models.trial_period_view import TrialPeriodView





T = TypeVar("T", bound="TrialReport")



@_attrs_define
class TrialReport:
    """ Attributes:
            currency (str):
            by (str):
            without_rate (list[str]): currencies that were left out, as there is no exchange rate for them
            stale (int): how many changes are not in the figures yet
            data (list[TrialPeriodView]): """

    currency: str
    by: str
    without_rate: list[str]
    stale: int
    data: list[TrialPeriodView]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.trial_period_view import TrialPeriodView # noqa: PLC0415
        currency = self.currency

        by = self.by

        without_rate = self.without_rate



        stale = self.stale

        data = []
        for data_item_data in self.data:
            data_item = data_item_data.to_dict()
            data.append(data_item)




        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "currency": currency,
            "by": by,
            "without_rate": without_rate,
            "stale": stale,
            "data": data,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.trial_period_view import TrialPeriodView # noqa: PLC0415
        d = dict(src_dict)
        currency = d.pop("currency")

        by = d.pop("by")

        without_rate = cast(list[str], d.pop("without_rate"))


        stale = d.pop("stale")

        data = []
        _data = d.pop("data")
        for data_item_data in (_data):
            data_item = TrialPeriodView.from_dict(data_item_data)



            data.append(data_item)


        trial_report = cls(
            currency=currency,
            by=by,
            without_rate=without_rate,
            stale=stale,
            data=data,
        )


        trial_report.additional_properties = d
        return trial_report

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
