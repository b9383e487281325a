from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.entry_view_kind import check_entry_view_kind
from ..models.entry_view_kind import EntryViewKind
from typing import cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.entry_view_details import EntryViewDetails





T = TypeVar("T", bound="EntryView")



@_attrs_define
class EntryView:
    """ Something that happened; times in UTC.

        Attributes:
            id (UUID):
            at (datetime.datetime): business time: of an event, when it happened at Stripe
            kind (EntryViewKind):
            title (str): an event's type, the kind of a call, what changed, the mail's template …
            object_ (None | str): what it is about; Stripe's id where it has one
            state (None | str):
            summary (str):
            details (EntryViewDetails): all of it; hangs on the kind """

    id: UUID
    at: datetime.datetime
    kind: EntryViewKind
    title: str
    object_: None | str
    state: None | str
    summary: str
    details: EntryViewDetails
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.entry_view_details import EntryViewDetails # noqa: PLC0415
        id = str(self.id)

        at = self.at.isoformat()

        kind: str = self.kind

        title = self.title

        object_: None | str
        object_ = self.object_

        state: None | str
        state = self.state

        summary = self.summary

        details = self.details.to_dict()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "at": at,
            "kind": kind,
            "title": title,
            "object": object_,
            "state": state,
            "summary": summary,
            "details": details,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.entry_view_details import EntryViewDetails # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        at = datetime.datetime.fromisoformat(d.pop("at"))




        kind = check_entry_view_kind(d.pop("kind"))




        title = d.pop("title")

        def _parse_object_(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        object_ = _parse_object_(d.pop("object"))


        def _parse_state(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        state = _parse_state(d.pop("state"))


        summary = d.pop("summary")

        details = EntryViewDetails.from_dict(d.pop("details"))




        entry_view = cls(
            id=id,
            at=at,
            kind=kind,
            title=title,
            object_=object_,
            state=state,
            summary=summary,
            details=details,
        )


        entry_view.additional_properties = d
        return entry_view

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
