from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.difference_view_cause import check_difference_view_cause
from ..models.difference_view_cause import DifferenceViewCause
from ..models.difference_view_state import check_difference_view_state
from ..models.difference_view_state import DifferenceViewState
from ..types import UNSET, Unset
from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.happening import Happening





T = TypeVar("T", bound="DifferenceView")



@_attrs_define
class DifferenceView:
    """ A field of a row that differs, or did, from what Stripe says; `row`: there was a row too few or too many.

        Attributes:
            id (UUID):
            object_ (Literal['reconcile_difference']):
            of (str): Stripe's word for the kind of object
            stripe_id (str):
            field (str):
            cause (DifferenceViewCause):
            state (DifferenceViewState):
            times_seen (int):
            found_at (datetime.datetime):
            seen_at (datetime.datetime):
            closed_at (datetime.datetime | None):
            closed_by (None | str):
            run_id (None | UUID):
            history (list[Happening]):
            ours (Any | Unset):
            stripe (Any | Unset): """

    id: UUID
    object_: Literal['reconcile_difference']
    of: str
    stripe_id: str
    field: str
    cause: DifferenceViewCause
    state: DifferenceViewState
    times_seen: int
    found_at: datetime.datetime
    seen_at: datetime.datetime
    closed_at: datetime.datetime | None
    closed_by: None | str
    run_id: None | UUID
    history: list[Happening]
    ours: Any | Unset = UNSET
    stripe: Any | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.happening import Happening # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        of = self.of

        stripe_id = self.stripe_id

        field = self.field

        cause: str = self.cause

        state: str = self.state

        times_seen = self.times_seen

        found_at = self.found_at.isoformat()

        seen_at = self.seen_at.isoformat()

        closed_at: None | str
        if isinstance(self.closed_at, datetime.datetime):
            closed_at = self.closed_at.isoformat()
        else:
            closed_at = self.closed_at

        closed_by: None | str
        closed_by = self.closed_by

        run_id: None | str
        if isinstance(self.run_id, UUID):
            run_id = str(self.run_id)
        else:
            run_id = self.run_id

        history = []
        for history_item_data in self.history:
            history_item = history_item_data.to_dict()
            history.append(history_item)



        ours = self.ours

        stripe = self.stripe


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "of": of,
            "stripe_id": stripe_id,
            "field": field,
            "cause": cause,
            "state": state,
            "times_seen": times_seen,
            "found_at": found_at,
            "seen_at": seen_at,
            "closed_at": closed_at,
            "closed_by": closed_by,
            "run_id": run_id,
            "history": history,
        })
        if ours is not UNSET:
            field_dict["ours"] = ours
        if stripe is not UNSET:
            field_dict["stripe"] = stripe

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.happening import Happening # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['reconcile_difference'] , d.pop("object"))
        if object_ != 'reconcile_difference':
            raise ValueError(f"object must match const 'reconcile_difference', got '{object_}'")

        of = d.pop("of")

        stripe_id = d.pop("stripe_id")

        field = d.pop("field")

        cause = check_difference_view_cause(d.pop("cause"))




        state = check_difference_view_state(d.pop("state"))




        times_seen = d.pop("times_seen")

        found_at = datetime.datetime.fromisoformat(d.pop("found_at"))




        seen_at = datetime.datetime.fromisoformat(d.pop("seen_at"))




        def _parse_closed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                closed_at_type_0 = datetime.datetime.fromisoformat(data)



                return closed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        closed_at = _parse_closed_at(d.pop("closed_at"))


        def _parse_closed_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        closed_by = _parse_closed_by(d.pop("closed_by"))


        def _parse_run_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                run_id_type_0 = UUID(data)



                return run_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        run_id = _parse_run_id(d.pop("run_id"))


        history = []
        _history = d.pop("history")
        for history_item_data in (_history):
            history_item = Happening.from_dict(history_item_data)



            history.append(history_item)


        ours = d.pop("ours", UNSET)

        stripe = d.pop("stripe", UNSET)

        difference_view = cls(
            id=id,
            object_=object_,
            of=of,
            stripe_id=stripe_id,
            field=field,
            cause=cause,
            state=state,
            times_seen=times_seen,
            found_at=found_at,
            seen_at=seen_at,
            closed_at=closed_at,
            closed_by=closed_by,
            run_id=run_id,
            history=history,
            ours=ours,
            stripe=stripe,
        )


        difference_view.additional_properties = d
        return difference_view

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
