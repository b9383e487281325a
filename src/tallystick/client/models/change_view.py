from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.change_view_new_values_type_0 import ChangeViewNewValuesType0
  from ..models.change_view_old_values_type_0 import ChangeViewOldValuesType0





T = TypeVar("T", bound="ChangeView")



@_attrs_define
class ChangeView:
    """ One change: the fields that are different, before and after, who made it and why.

        Attributes:
            id (UUID):
            object_ (Literal['subscription_change']):
            subscription_id (UUID):
            action (str):
            old_values (ChangeViewOldValuesType0 | None):
            new_values (ChangeViewNewValuesType0 | None):
            actor (str):
            cause (str): api, dashboard, stripe (time), repair
            reason (None | str):
            performed_at (datetime.datetime):
            performed_by (None | Unset | UUID): staff only
            stripe_event_id (None | str | Unset): staff only """

    id: UUID
    object_: Literal['subscription_change']
    subscription_id: UUID
    action: str
    old_values: ChangeViewOldValuesType0 | None
    new_values: ChangeViewNewValuesType0 | None
    actor: str
    cause: str
    reason: None | str
    performed_at: datetime.datetime
    performed_by: None | Unset | UUID = UNSET
    stripe_event_id: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.change_view_new_values_type_0 import ChangeViewNewValuesType0 # noqa: PLC0415
        from ..models.change_view_old_values_type_0 import ChangeViewOldValuesType0 # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        subscription_id = str(self.subscription_id)

        action = self.action

        old_values: dict[str, Any] | None
        if isinstance(self.old_values, ChangeViewOldValuesType0):
            old_values = self.old_values.to_dict()
        else:
            old_values = self.old_values

        new_values: dict[str, Any] | None
        if isinstance(self.new_values, ChangeViewNewValuesType0):
            new_values = self.new_values.to_dict()
        else:
            new_values = self.new_values

        actor = self.actor

        cause = self.cause

        reason: None | str
        reason = self.reason

        performed_at = self.performed_at.isoformat()

        performed_by: None | str | Unset
        if isinstance(self.performed_by, Unset):
            performed_by = UNSET
        elif isinstance(self.performed_by, UUID):
            performed_by = str(self.performed_by)
        else:
            performed_by = self.performed_by

        stripe_event_id: None | str | Unset
        if isinstance(self.stripe_event_id, Unset):
            stripe_event_id = UNSET
        else:
            stripe_event_id = self.stripe_event_id


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "subscription_id": subscription_id,
            "action": action,
            "old_values": old_values,
            "new_values": new_values,
            "actor": actor,
            "cause": cause,
            "reason": reason,
            "performed_at": performed_at,
        })
        if performed_by is not UNSET:
            field_dict["performed_by"] = performed_by
        if stripe_event_id is not UNSET:
            field_dict["stripe_event_id"] = stripe_event_id

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.change_view_new_values_type_0 import ChangeViewNewValuesType0 # noqa: PLC0415
        from ..models.change_view_old_values_type_0 import ChangeViewOldValuesType0 # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['subscription_change'] , d.pop("object"))
        if object_ != 'subscription_change':
            raise ValueError(f"object must match const 'subscription_change', got '{object_}'")

        subscription_id = UUID(d.pop("subscription_id"))




        action = d.pop("action")

        def _parse_old_values(data: object) -> ChangeViewOldValuesType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                old_values_type_0 = ChangeViewOldValuesType0.from_dict(data)



                return old_values_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ChangeViewOldValuesType0 | None, data)

        old_values = _parse_old_values(d.pop("old_values"))


        def _parse_new_values(data: object) -> ChangeViewNewValuesType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                new_values_type_0 = ChangeViewNewValuesType0.from_dict(data)



                return new_values_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ChangeViewNewValuesType0 | None, data)

        new_values = _parse_new_values(d.pop("new_values"))


        actor = d.pop("actor")

        cause = d.pop("cause")

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))


        performed_at = datetime.datetime.fromisoformat(d.pop("performed_at"))




        def _parse_performed_by(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                performed_by_type_0 = UUID(data)



                return performed_by_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        performed_by = _parse_performed_by(d.pop("performed_by", UNSET))


        def _parse_stripe_event_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        stripe_event_id = _parse_stripe_event_id(d.pop("stripe_event_id", UNSET))


        change_view = cls(
            id=id,
            object_=object_,
            subscription_id=subscription_id,
            action=action,
            old_values=old_values,
            new_values=new_values,
            actor=actor,
            cause=cause,
            reason=reason,
            performed_at=performed_at,
            performed_by=performed_by,
            stripe_event_id=stripe_event_id,
        )


        change_view.additional_properties = d
        return change_view

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
