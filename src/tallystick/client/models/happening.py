from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.happening_cause import check_happening_cause
from ..models.happening_cause import HappeningCause
from ..models.happening_what import check_happening_what
from ..models.happening_what import HappeningWhat
from ..types import UNSET, Unset
from typing import cast
import datetime






T = TypeVar("T", bound="Happening")



@_attrs_define
class Happening:
    """ One thing that became of a difference.

        Attributes:
            at (datetime.datetime):
            what (HappeningWhat):
            cause (HappeningCause):
            by (str):
            ours (Any | Unset):
            stripe (Any | Unset): """

    at: datetime.datetime
    what: HappeningWhat
    cause: HappeningCause
    by: str
    ours: Any | Unset = UNSET
    stripe: Any | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        at = self.at.isoformat()

        what: str = self.what

        cause: str = self.cause

        by = self.by

        ours = self.ours

        stripe = self.stripe


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "at": at,
            "what": what,
            "cause": cause,
            "by": by,
        })
        if ours is not UNSET:
            field_dict["ours"] = ours
        if stripe is not UNSET:
            field_dict["stripe"] = stripe

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        at = datetime.datetime.fromisoformat(d.pop("at"))




        what = check_happening_what(d.pop("what"))




        cause = check_happening_cause(d.pop("cause"))




        by = d.pop("by")

        ours = d.pop("ours", UNSET)

        stripe = d.pop("stripe", UNSET)

        happening = cls(
            at=at,
            what=what,
            cause=cause,
            by=by,
            ours=ours,
            stripe=stripe,
        )


        happening.additional_properties = d
        return happening

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
