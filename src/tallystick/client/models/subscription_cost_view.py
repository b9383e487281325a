from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast






T = TypeVar("T", bound="SubscriptionCostView")



@_attrs_define
class SubscriptionCostView:
    """ What a subscription costs: amounts of a whole period, in minor units.

        Attributes:
            interval (str):
            interval_count (int):
            trial_days (int): for how long it is free; 0: who has had a trial gets none
            metered (bool): billed by use
            subtotal (int):
            discount (int):
            tax (int):
            credit (int): what of the customer's is taken off what is due now
            discount_duration (None | str): once, repeating, forever
            discount_months (int | None): """

    interval: str
    interval_count: int
    trial_days: int
    metered: bool
    subtotal: int
    discount: int
    tax: int
    credit: int
    discount_duration: None | str
    discount_months: int | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        interval = self.interval

        interval_count = self.interval_count

        trial_days = self.trial_days

        metered = self.metered

        subtotal = self.subtotal

        discount = self.discount

        tax = self.tax

        credit = self.credit

        discount_duration: None | str
        discount_duration = self.discount_duration

        discount_months: int | None
        discount_months = self.discount_months


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "interval": interval,
            "interval_count": interval_count,
            "trial_days": trial_days,
            "metered": metered,
            "subtotal": subtotal,
            "discount": discount,
            "tax": tax,
            "credit": credit,
            "discount_duration": discount_duration,
            "discount_months": discount_months,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        interval = d.pop("interval")

        interval_count = d.pop("interval_count")

        trial_days = d.pop("trial_days")

        metered = d.pop("metered")

        subtotal = d.pop("subtotal")

        discount = d.pop("discount")

        tax = d.pop("tax")

        credit = d.pop("credit")

        def _parse_discount_duration(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        discount_duration = _parse_discount_duration(d.pop("discount_duration"))


        def _parse_discount_months(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        discount_months = _parse_discount_months(d.pop("discount_months"))


        subscription_cost_view = cls(
            interval=interval,
            interval_count=interval_count,
            trial_days=trial_days,
            metered=metered,
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            credit=credit,
            discount_duration=discount_duration,
            discount_months=discount_months,
        )


        subscription_cost_view.additional_properties = d
        return subscription_cost_view

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
