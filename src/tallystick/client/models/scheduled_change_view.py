from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime

if TYPE_CHECKING:
  from ..models.scheduled_item import ScheduledItem





T = TypeVar("T", bound="ScheduledChangeView")



@_attrs_define
class ScheduledChangeView:
    """ What the subscription becomes at the end of its period.

        Attributes:
            at (datetime.datetime):
            items (list[ScheduledItem]): """

    at: datetime.datetime
    items: list[ScheduledItem]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.scheduled_item import ScheduledItem # noqa: PLC0415
        at = self.at.isoformat()

        items = []
        for items_item_data in self.items:
            items_item = items_item_data.to_dict()
            items.append(items_item)




        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "at": at,
            "items": items,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.scheduled_item import ScheduledItem # noqa: PLC0415
        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at"))




        items = []
        _items = d.pop("items")
        for items_item_data in (_items):
            items_item = ScheduledItem.from_dict(items_item_data)



            items.append(items_item)


        scheduled_change_view = cls(
            at=at,
            items=items,
        )


        scheduled_change_view.additional_properties = d
        return scheduled_change_view

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
