from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="SubscriberPeriodView")



@_attrs_define
class SubscriberPeriodView:
    """ Attributes:
            start (datetime.date):
            end (datetime.date):
            new (int):
            reactivated (int):
            churned (int):
            active (int):
            churn_rate (float | None): """

    start: datetime.date
    end: datetime.date
    new: int
    reactivated: int
    churned: int
    active: int
    churn_rate: float | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        start = self.start.isoformat()

        end = self.end.isoformat()

        new = self.new

        reactivated = self.reactivated

        churned = self.churned

        active = self.active

        churn_rate: float | None
        churn_rate = self.churn_rate


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "start": start,
            "end": end,
            "new": new,
            "reactivated": reactivated,
            "churned": churned,
            "active": active,
            "churn_rate": churn_rate,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        start = datetime.date.fromisoformat(d.pop("start"))




        end = datetime.date.fromisoformat(d.pop("end"))




        new = d.pop("new")

        reactivated = d.pop("reactivated")

        churned = d.pop("churned")

        active = d.pop("active")

        def _parse_churn_rate(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        churn_rate = _parse_churn_rate(d.pop("churn_rate"))


        subscriber_period_view = cls(
            start=start,
            end=end,
            new=new,
            reactivated=reactivated,
            churned=churned,
            active=active,
            churn_rate=churn_rate,
        )


        subscriber_period_view.additional_properties = d
        return subscriber_period_view

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
