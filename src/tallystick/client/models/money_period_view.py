from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="MoneyPeriodView")



@_attrs_define
class MoneyPeriodView:
    """ Attributes:
            start (datetime.date):
            end (datetime.date):
            charged (int):
            refunded (int):
            disputed (int):
            net (int):
            charges (int):
            declines (int):
            success_rate (float | None):
            failed (int):
            recovered (int):
            recovery_rate (float | None): """

    start: datetime.date
    end: datetime.date
    charged: int
    refunded: int
    disputed: int
    net: int
    charges: int
    declines: int
    success_rate: float | None
    failed: int
    recovered: int
    recovery_rate: float | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        start = self.start.isoformat()

        end = self.end.isoformat()

        charged = self.charged

        refunded = self.refunded

        disputed = self.disputed

        net = self.net

        charges = self.charges

        declines = self.declines

        success_rate: float | None
        success_rate = self.success_rate

        failed = self.failed

        recovered = self.recovered

        recovery_rate: float | None
        recovery_rate = self.recovery_rate


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "start": start,
            "end": end,
            "charged": charged,
            "refunded": refunded,
            "disputed": disputed,
            "net": net,
            "charges": charges,
            "declines": declines,
            "success_rate": success_rate,
            "failed": failed,
            "recovered": recovered,
            "recovery_rate": recovery_rate,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        start = datetime.date.fromisoformat(d.pop("start"))




        end = datetime.date.fromisoformat(d.pop("end"))




        charged = d.pop("charged")

        refunded = d.pop("refunded")

        disputed = d.pop("disputed")

        net = d.pop("net")

        charges = d.pop("charges")

        declines = d.pop("declines")

        def _parse_success_rate(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        success_rate = _parse_success_rate(d.pop("success_rate"))


        failed = d.pop("failed")

        recovered = d.pop("recovered")

        def _parse_recovery_rate(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        recovery_rate = _parse_recovery_rate(d.pop("recovery_rate"))


        money_period_view = cls(
            start=start,
            end=end,
            charged=charged,
            refunded=refunded,
            disputed=disputed,
            net=net,
            charges=charges,
            declines=declines,
            success_rate=success_rate,
            failed=failed,
            recovered=recovered,
            recovery_rate=recovery_rate,
        )


        money_period_view.additional_properties = d
        return money_period_view

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
