from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.audit_entry_view_outcome import AuditEntryViewOutcome
from ..models.audit_entry_view_outcome import check_audit_entry_view_outcome
from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.audit_entry_view_details import AuditEntryViewDetails





T = TypeVar("T", bound="AuditEntryView")



@_attrs_define
class AuditEntryView:
    """ Who did what, to what, and how it ended.

        Attributes:
            id (UUID):
            object_ (Literal['audit_entry']):
            actor (str):
            roles (list[str]):
            user_id (None | UUID): the user for whom a service acted
            action (str):
            object_kind (None | str):
            object_id (None | str):
            outcome (AuditEntryViewOutcome):
            status (int | None): of the answer; null for a command
            error_code (None | str):
            request_id (None | str):
            address (None | str):
            details (AuditEntryViewDetails):
            happened_at (datetime.datetime):
            business_at (datetime.datetime): """

    id: UUID
    object_: Literal['audit_entry']
    actor: str
    roles: list[str]
    user_id: None | UUID
    action: str
    object_kind: None | str
    object_id: None | str
    outcome: AuditEntryViewOutcome
    status: int | None
    error_code: None | str
    request_id: None | str
    address: None | str
    details: AuditEntryViewDetails
    happened_at: datetime.datetime
    business_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.audit_entry_view_details import AuditEntryViewDetails # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        actor = self.actor

        roles = self.roles



        user_id: None | str
        if isinstance(self.user_id, UUID):
            user_id = str(self.user_id)
        else:
            user_id = self.user_id

        action = self.action

        object_kind: None | str
        object_kind = self.object_kind

        object_id: None | str
        object_id = self.object_id

        outcome: str = self.outcome

        status: int | None
        status = self.status

        error_code: None | str
        error_code = self.error_code

        request_id: None | str
        request_id = self.request_id

        address: None | str
        address = self.address

        details = self.details.to_dict()

        happened_at = self.happened_at.isoformat()

        business_at = self.business_at.isoformat()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "actor": actor,
            "roles": roles,
            "user_id": user_id,
            "action": action,
            "object_kind": object_kind,
            "object_id": object_id,
            "outcome": outcome,
            "status": status,
            "error_code": error_code,
            "request_id": request_id,
            "address": address,
            "details": details,
            "happened_at": happened_at,
            "business_at": business_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.audit_entry_view_details import AuditEntryViewDetails # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['audit_entry'] , d.pop("object"))
        if object_ != 'audit_entry':
            raise ValueError(f"object must match const 'audit_entry', got '{object_}'")

        actor = d.pop("actor")

        roles = cast(list[str], d.pop("roles"))


        def _parse_user_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                user_id_type_0 = UUID(data)



                return user_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        user_id = _parse_user_id(d.pop("user_id"))


        action = d.pop("action")

        def _parse_object_kind(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        object_kind = _parse_object_kind(d.pop("object_kind"))


        def _parse_object_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        object_id = _parse_object_id(d.pop("object_id"))


        outcome = check_audit_entry_view_outcome(d.pop("outcome"))




        def _parse_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        status = _parse_status(d.pop("status"))


        def _parse_error_code(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error_code = _parse_error_code(d.pop("error_code"))


        def _parse_request_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        request_id = _parse_request_id(d.pop("request_id"))


        def _parse_address(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        address = _parse_address(d.pop("address"))


        details = AuditEntryViewDetails.from_dict(d.pop("details"))




        happened_at = datetime.datetime.fromisoformat(d.pop("happened_at"))




        business_at = datetime.datetime.fromisoformat(d.pop("business_at"))




        audit_entry_view = cls(
            id=id,
            object_=object_,
            actor=actor,
            roles=roles,
            user_id=user_id,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            outcome=outcome,
            status=status,
            error_code=error_code,
            request_id=request_id,
            address=address,
            details=details,
            happened_at=happened_at,
            business_at=business_at,
        )


        audit_entry_view.additional_properties = d
        return audit_entry_view

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
