from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.erasure_view_state import check_erasure_view_state
from ..models.erasure_view_state import ErasureViewState
from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.erasure_view_ends import ErasureViewEnds
  from ..models.erasure_view_kept import ErasureViewKept
  from ..models.erasure_view_removed import ErasureViewRemoved





T = TypeVar("T", bound="ErasureView")



@_attrs_define
class ErasureView:
    """ An erasure, and how far it has come. A dry run has no id.

        Attributes:
            object_ (Literal['erasure']):
            id (None | UUID):
            user_id (UUID):
            state (ErasureViewState):
            removed (ErasureViewRemoved): rows that were redacted or deleted, by table
            kept (ErasureViewKept): what law and Stripe require
            ends (ErasureViewEnds): what is, or would be, canceled at Stripe
            created_at (datetime.datetime | None):
            finished_at (datetime.datetime | None): """

    object_: Literal['erasure']
    id: None | UUID
    user_id: UUID
    state: ErasureViewState
    removed: ErasureViewRemoved
    kept: ErasureViewKept
    ends: ErasureViewEnds
    created_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.erasure_view_ends import ErasureViewEnds # noqa: PLC0415
        from ..models.erasure_view_kept import ErasureViewKept # noqa: PLC0415
        from ..models.erasure_view_removed import ErasureViewRemoved # noqa: PLC0415
        object_ = self.object_

        id: None | str
        if isinstance(self.id, UUID):
            id = str(self.id)
        else:
            id = self.id

        user_id = str(self.user_id)

        state: str = self.state

        removed = self.removed.to_dict()

        kept = self.kept.to_dict()

        ends = self.ends.to_dict()

        created_at: None | str
        if isinstance(self.created_at, datetime.datetime):
            created_at = self.created_at.isoformat()
        else:
            created_at = self.created_at

        finished_at: None | str
        if isinstance(self.finished_at, datetime.datetime):
            finished_at = self.finished_at.isoformat()
        else:
            finished_at = self.finished_at


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "object": object_,
            "id": id,
            "user_id": user_id,
            "state": state,
            "removed": removed,
            "kept": kept,
            "ends": ends,
            "created_at": created_at,
            "finished_at": finished_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.erasure_view_ends import ErasureViewEnds # noqa: PLC0415
        from ..models.erasure_view_kept import ErasureViewKept # noqa: PLC0415
        from ..models.erasure_view_removed import ErasureViewRemoved # noqa: PLC0415
        d = dict(src_dict)
        object_ = cast(Literal['erasure'] , d.pop("object"))
        if object_ != 'erasure':
            raise ValueError(f"object must match const 'erasure', got '{object_}'")

        def _parse_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                id_type_0 = UUID(data)



                return id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        id = _parse_id(d.pop("id"))


        user_id = UUID(d.pop("user_id"))




        state = check_erasure_view_state(d.pop("state"))




        removed = ErasureViewRemoved.from_dict(d.pop("removed"))




        kept = ErasureViewKept.from_dict(d.pop("kept"))




        ends = ErasureViewEnds.from_dict(d.pop("ends"))




        def _parse_created_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                created_at_type_0 = datetime.datetime.fromisoformat(data)



                return created_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        created_at = _parse_created_at(d.pop("created_at"))


        def _parse_finished_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                finished_at_type_0 = datetime.datetime.fromisoformat(data)



                return finished_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        finished_at = _parse_finished_at(d.pop("finished_at"))


        erasure_view = cls(
            object_=object_,
            id=id,
            user_id=user_id,
            state=state,
            removed=removed,
            kept=kept,
            ends=ends,
            created_at=created_at,
            finished_at=finished_at,
        )


        erasure_view.additional_properties = d
        return erasure_view

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
