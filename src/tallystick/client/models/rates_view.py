from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.rates_view_rates import RatesViewRates





T = TypeVar("T", bound="RatesView")



@_attrs_define
class RatesView:
    """ Attributes:
            day (datetime.date):
            base (str):
            rates (RatesViewRates): """

    day: datetime.date
    base: str
    rates: RatesViewRates
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.rates_view_rates import RatesViewRates # noqa: PLC0415
        day = self.day.isoformat()

        base = self.base

        rates = self.rates.to_dict()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "day": day,
            "base": base,
            "rates": rates,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.rates_view_rates import RatesViewRates # noqa: PLC0415
        d = dict(src_dict)
        day = datetime.date.fromisoformat(d.pop("day"))




        base = d.pop("base")

        rates = RatesViewRates.from_dict(d.pop("rates"))




        rates_view = cls(
            day=day,
            base=base,
            rates=rates,
        )


        rates_view.additional_properties = d
        return rates_view

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
