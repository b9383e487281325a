from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
from typing import Literal, cast

if TYPE_CHECKING:
  from ..models.reconciliation_view_open_by_cause import ReconciliationViewOpenByCause
  from ..models.run_view import RunView
  from ..models.share_view import ShareView





T = TypeVar("T", bound="ReconciliationView")



@_attrs_define
class ReconciliationView:
    """ How the mirror stands against Stripe.

        Attributes:
            object_ (Literal['reconciliation']):
            equal_share (ShareView): How many of the objects that were compared are equal to Stripe's; null until all were
                compared once.
            open_by_cause (ReconciliationViewOpenByCause):
            runs (list[RunView]): queued and running
            last_full (None | RunView):
            last_incremental (None | RunView): """

    object_: Literal['reconciliation']
    equal_share: ShareView
    open_by_cause: ReconciliationViewOpenByCause
    runs: list[RunView]
    last_full: None | RunView
    last_incremental: None | RunView
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.reconciliation_view_open_by_cause import ReconciliationViewOpenByCause # noqa: PLC0415
        from ..models.run_view import RunView # noqa: PLC0415
        from ..models.share_view import ShareView # noqa: PLC0415
        object_ = self.object_

        equal_share = self.equal_share.to_dict()

        open_by_cause = self.open_by_cause.to_dict()

        runs = []
        for runs_item_data in self.runs:
            runs_item = runs_item_data.to_dict()
            runs.append(runs_item)



        last_full: dict[str, Any] | None
        if isinstance(self.last_full, RunView):
            last_full = self.last_full.to_dict()
        else:
            last_full = self.last_full

        last_incremental: dict[str, Any] | None
        if isinstance(self.last_incremental, RunView):
            last_incremental = self.last_incremental.to_dict()
        else:
            last_incremental = self.last_incremental


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "object": object_,
            "equal_share": equal_share,
            "open_by_cause": open_by_cause,
            "runs": runs,
            "last_full": last_full,
            "last_incremental": last_incremental,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.reconciliation_view_open_by_cause import ReconciliationViewOpenByCause # noqa: PLC0415
        from ..models.run_view import RunView # noqa: PLC0415
        from ..models.share_view import ShareView # noqa: PLC0415
        d = dict(src_dict)
        object_ = cast(Literal['reconciliation'] , d.pop("object"))
        if object_ != 'reconciliation':
            raise ValueError(f"object must match const 'reconciliation', got '{object_}'")

        equal_share = ShareView.from_dict(d.pop("equal_share"))




        open_by_cause = ReconciliationViewOpenByCause.from_dict(d.pop("open_by_cause"))




        runs = []
        _runs = d.pop("runs")
        for runs_item_data in (_runs):
            runs_item = RunView.from_dict(runs_item_data)



            runs.append(runs_item)


        def _parse_last_full(data: object) -> None | RunView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                last_full_type_0 = RunView.from_dict(data)



                return last_full_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RunView, data)

        last_full = _parse_last_full(d.pop("last_full"))


        def _parse_last_incremental(data: object) -> None | RunView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                last_incremental_type_0 = RunView.from_dict(data)



                return last_incremental_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | RunView, data)

        last_incremental = _parse_last_incremental(d.pop("last_incremental"))


        reconciliation_view = cls(
            object_=object_,
            equal_share=equal_share,
            open_by_cause=open_by_cause,
            runs=runs,
            last_full=last_full,
            last_incremental=last_incremental,
        )


        reconciliation_view.additional_properties = d
        return reconciliation_view

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
