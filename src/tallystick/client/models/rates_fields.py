from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

if TYPE_CHECKING:
  from ..models.rates_fields_rates import RatesFieldsRates





T = TypeVar("T", bound="RatesFields")



@_attrs_define
class RatesFields:
    """ Exchange rates of a day.

        Attributes:
            rates (RatesFieldsRates): by currency, what one main unit of it is worth in main units of the base, as a decimal
                in text """

    rates: RatesFieldsRates





    def to_dict(self) -> dict[str, Any]:
        from ..models.rates_fields_rates import RatesFieldsRates # noqa: PLC0415
        rates = self.rates.to_dict()


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "rates": rates,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.rates_fields_rates import RatesFieldsRates # noqa: PLC0415
        d = dict(src_dict)
        rates = RatesFieldsRates.from_dict(d.pop("rates"))




        rates_fields = cls(
            rates=rates,
        )

        return rates_fields

