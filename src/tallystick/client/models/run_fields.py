from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.run_fields_mode import check_run_fields_mode
from ..models.run_fields_mode import RunFieldsMode
from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="RunFields")



@_attrs_define
class RunFields:
    """ What to run.

        Attributes:
            mode (RunFieldsMode | Unset): what has changed since the last run, or all there is Default: 'incremental'. """

    mode: RunFieldsMode | Unset = 'incremental'





    def to_dict(self) -> dict[str, Any]:
        mode: str | Unset = UNSET
        if not isinstance(self.mode, Unset):
            mode = self.mode



        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if mode is not UNSET:
            field_dict["mode"] = mode

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _mode = d.pop("mode", UNSET)
        mode: RunFieldsMode | Unset
        if isinstance(_mode,  Unset):
            mode = UNSET
        else:
            mode = check_run_fields_mode(_mode)




        run_fields = cls(
            mode=mode,
        )

        return run_fields

