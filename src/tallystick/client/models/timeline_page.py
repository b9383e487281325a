from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast

if TYPE_CHECKING:
  from ..models.entry_view import EntryView
  from ..models.subject_view import SubjectView





T = TypeVar("T", bound="TimelinePage")



@_attrs_define
class TimelinePage:
    """ A page of a story, the last thing first.

        Attributes:
            subject (SubjectView): Whom or what a timeline is about.
            data (list[EntryView]):
            has_more (bool):
            next_ (None | str): send it as `before` for what happened before this page """

    subject: SubjectView
    data: list[EntryView]
    has_more: bool
    next_: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.entry_view import EntryView # noqa: PLC0415
        from ..models.subject_view import SubjectView # noqa: PLC0415
        subject = self.subject.to_dict()

        data = []
        for data_item_data in self.data:
            data_item = data_item_data.to_dict()
            data.append(data_item)



        has_more = self.has_more

        next_: None | str
        next_ = self.next_


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "subject": subject,
            "data": data,
            "has_more": has_more,
            "next": next_,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.entry_view import EntryView # noqa: PLC0415
        from ..models.subject_view import SubjectView # noqa: PLC0415
        d = dict(src_dict)
        subject = SubjectView.from_dict(d.pop("subject"))




        data = []
        _data = d.pop("data")
        for data_item_data in (_data):
            data_item = EntryView.from_dict(data_item_data)



            data.append(data_item)


        has_more = d.pop("has_more")

        def _parse_next_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        next_ = _parse_next_(d.pop("next"))


        timeline_page = cls(
            subject=subject,
            data=data,
            has_more=has_more,
            next_=next_,
        )


        timeline_page.additional_properties = d
        return timeline_page

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
