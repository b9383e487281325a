from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset






T = TypeVar("T", bound="EraseUser")



@_attrs_define
class EraseUser:
    """ How a user is erased.

        Attributes:
            cancel_subscriptions (bool | Unset): end what is running, now, without a refund Default: False.
            dry_run (bool | Unset): only tell what would happen Default: False. """

    cancel_subscriptions: bool | Unset = False
    dry_run: bool | Unset = False





    def to_dict(self) -> dict[str, Any]:
        cancel_subscriptions = self.cancel_subscriptions

        dry_run = self.dry_run


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if cancel_subscriptions is not UNSET:
            field_dict["cancel_subscriptions"] = cancel_subscriptions
        if dry_run is not UNSET:
            field_dict["dry_run"] = dry_run

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        cancel_subscriptions = d.pop("cancel_subscriptions", UNSET)

        dry_run = d.pop("dry_run", UNSET)

        erase_user = cls(
            cancel_subscriptions=cancel_subscriptions,
            dry_run=dry_run,
        )

        return erase_user

