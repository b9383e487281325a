from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.run_view_mode import check_run_view_mode
from ..models.run_view_mode import RunViewMode
from ..models.run_view_state import check_run_view_state
from ..models.run_view_state import RunViewState
from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime






T = TypeVar("T", bound="RunView")



@_attrs_define
class RunView:
    """ A run: how far it has come, and what it has counted.

        Attributes:
            id (UUID):
            object_ (Literal['reconcile_run']):
            mode (RunViewMode):
            state (RunViewState):
            requested_by (str):
            objects (int): how many were compared
            fields (int): of all these objects
            differences (int): fields that differ
            repaired (int):
            left_open (int): differences that were neither repaired nor under way
            in_flight (int): differences that something under way will settle
            calls (int): calls to Stripe
            error (None | str):
            from_at (datetime.datetime | None):
            until_at (datetime.datetime | None):
            created_at (datetime.datetime):
            started_at (datetime.datetime | None):
            finished_at (datetime.datetime | None): """

    id: UUID
    object_: Literal['reconcile_run']
    mode: RunViewMode
    state: RunViewState
    requested_by: str
    objects: int
    fields: int
    differences: int
    repaired: int
    left_open: int
    in_flight: int
    calls: int
    error: None | str
    from_at: datetime.datetime | None
    until_at: datetime.datetime | None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        object_ = self.object_

        mode: str = self.mode

        state: str = self.state

        requested_by = self.requested_by

        objects = self.objects

        fields = self.fields

        differences = self.differences

        repaired = self.repaired

        left_open = self.left_open

        in_flight = self.in_flight

        calls = self.calls

        error: None | str
        error = self.error

        from_at: None | str
        if isinstance(self.from_at, datetime.datetime):
            from_at = self.from_at.isoformat()
        else:
            from_at = self.from_at

        until_at: None | str
        if isinstance(self.until_at, datetime.datetime):
            until_at = self.until_at.isoformat()
        else:
            until_at = self.until_at

        created_at = self.created_at.isoformat()

        started_at: None | str
        if isinstance(self.started_at, datetime.datetime):
            started_at = self.started_at.isoformat()
        else:
            started_at = self.started_at

        finished_at: None | str
        if isinstance(self.finished_at, datetime.datetime):
            finished_at = self.finished_at.isoformat()
        else:
            finished_at = self.finished_at


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "mode": mode,
            "state": state,
            "requested_by": requested_by,
            "objects": objects,
            "fields": fields,
            "differences": differences,
            "repaired": repaired,
            "left_open": left_open,
            "in_flight": in_flight,
            "calls": calls,
            "error": error,
            "from_at": from_at,
            "until_at": until_at,
            "created_at": created_at,
            "started_at": started_at,
            "finished_at": finished_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['reconcile_run'] , d.pop("object"))
        if object_ != 'reconcile_run':
            raise ValueError(f"object must match const 'reconcile_run', got '{object_}'")

        mode = check_run_view_mode(d.pop("mode"))




        state = check_run_view_state(d.pop("state"))




        requested_by = d.pop("requested_by")

        objects = d.pop("objects")

        fields = d.pop("fields")

        differences = d.pop("differences")

        repaired = d.pop("repaired")

        left_open = d.pop("left_open")

        in_flight = d.pop("in_flight")

        calls = d.pop("calls")

        def _parse_error(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error = _parse_error(d.pop("error"))


        def _parse_from_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                from_at_type_0 = datetime.datetime.fromisoformat(data)



                return from_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        from_at = _parse_from_at(d.pop("from_at"))


        def _parse_until_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                until_at_type_0 = datetime.datetime.fromisoformat(data)



                return until_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        until_at = _parse_until_at(d.pop("until_at"))


        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        def _parse_started_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                started_at_type_0 = datetime.datetime.fromisoformat(data)



                return started_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        started_at = _parse_started_at(d.pop("started_at"))


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


        run_view = cls(
            id=id,
            object_=object_,
            mode=mode,
            state=state,
            requested_by=requested_by,
            objects=objects,
            fields=fields,
            differences=differences,
            repaired=repaired,
            left_open=left_open,
            in_flight=in_flight,
            calls=calls,
            error=error,
            from_at=from_at,
            until_at=until_at,
            created_at=created_at,
            started_at=started_at,
            finished_at=finished_at,
        )


        run_view.additional_properties = d
        return run_view

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
