from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="MrrPeriodView")



@_attrs_define
class MrrPeriodView:
    """ Attributes:
            start (datetime.date):
            end (datetime.date):
            new (int):
            reactivation (int):
            expansion (int):
            contraction (int):
            churn (int):
            currency_effect (int):
            mrr (int): """

    start: datetime.date
    end: datetime.date
    new: int
    reactivation: int
    expansion: int
    contraction: int
    churn: int
    currency_effect: int
    mrr: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        start = self.start.isoformat()

        end = self.end.isoformat()

        new = self.new

        reactivation = self.reactivation

        expansion = self.expansion

        contraction = self.contraction

        churn = self.churn

        currency_effect = self.currency_effect

        mrr = self.mrr


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "start": start,
            "end": end,
            "new": new,
            "reactivation": reactivation,
            "expansion": expansion,
            "contraction": contraction,
            "churn": churn,
            "currency_effect": currency_effect,
            "mrr": mrr,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        start = datetime.date.fromisoformat(d.pop("start"))




        end = datetime.date.fromisoformat(d.pop("end"))




        new = d.pop("new")

        reactivation = d.pop("reactivation")

        expansion = d.pop("expansion")

        contraction = d.pop("contraction")

        churn = d.pop("churn")

        currency_effect = d.pop("currency_effect")

        mrr = d.pop("mrr")

        mrr_period_view = cls(
            start=start,
            end=end,
            new=new,
            reactivation=reactivation,
            expansion=expansion,
            contraction=contraction,
            churn=churn,
            currency_effect=currency_effect,
            mrr=mrr,
        )


        mrr_period_view.additional_properties = d
        return mrr_period_view

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
