from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.create_recurring_interval import check_create_recurring_interval
from ..models.create_recurring_interval import CreateRecurringInterval
from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="CreateRecurring")



@_attrs_define
class CreateRecurring:
    """ How often a new price is billed; at most every three years.

        Attributes:
            interval (CreateRecurringInterval):
            interval_count (int | Unset):  Default: 1. """

    interval: CreateRecurringInterval
    interval_count: int | Unset = 1





    def to_dict(self) -> dict[str, Any]:
        interval: str = self.interval

        interval_count = self.interval_count


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "interval": interval,
        })
        if interval_count is not UNSET:
            field_dict["interval_count"] = interval_count

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        interval = check_create_recurring_interval(d.pop("interval"))




        interval_count = d.pop("interval_count", UNSET)

        create_recurring = cls(
            interval=interval,
            interval_count=interval_count,
        )

        return create_recurring

