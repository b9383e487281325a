from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.delivery_view_state import check_delivery_view_state
from ..models.delivery_view_state import DeliveryViewState
from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.delivery_view_payload import DeliveryViewPayload





T = TypeVar("T", bound="DeliveryView")



@_attrs_define
class DeliveryView:
    """ One event for one endpoint; `payload` is the body that is sent.

        Attributes:
            id (UUID):
            object_ (Literal['webhook_delivery']):
            webhook_id (str): the header webhook-id: the same in every delivery of this event
            type_ (str):
            state (DeliveryViewState):
            attempts (int):
            next_attempt_at (datetime.datetime | None):
            response_status (int | None):
            response_body (None | str): its beginning, without what looks like a secret
            error (None | str):
            payload (DeliveryViewPayload):
            created_at (datetime.datetime):
            finished_at (datetime.datetime | None): """

    id: UUID
    object_: Literal['webhook_delivery']
    webhook_id: str
    type_: str
    state: DeliveryViewState
    attempts: int
    next_attempt_at: datetime.datetime | None
    response_status: int | None
    response_body: None | str
    error: None | str
    payload: DeliveryViewPayload
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.delivery_view_payload import DeliveryViewPayload # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        webhook_id = self.webhook_id

        type_ = self.type_

        state: str = self.state

        attempts = self.attempts

        next_attempt_at: None | str
        if isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at

        response_status: int | None
        response_status = self.response_status

        response_body: None | str
        response_body = self.response_body

        error: None | str
        error = self.error

        payload = self.payload.to_dict()

        created_at = self.created_at.isoformat()

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
            "webhook_id": webhook_id,
            "type": type_,
            "state": state,
            "attempts": attempts,
            "next_attempt_at": next_attempt_at,
            "response_status": response_status,
            "response_body": response_body,
            "error": error,
            "payload": payload,
            "created_at": created_at,
            "finished_at": finished_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.delivery_view_payload import DeliveryViewPayload # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['webhook_delivery'] , d.pop("object"))
        if object_ != 'webhook_delivery':
            raise ValueError(f"object must match const 'webhook_delivery', got '{object_}'")

        webhook_id = d.pop("webhook_id")

        type_ = d.pop("type")

        state = check_delivery_view_state(d.pop("state"))




        attempts = d.pop("attempts")

        def _parse_next_attempt_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_attempt_at_type_0 = datetime.datetime.fromisoformat(data)



                return next_attempt_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_attempt_at = _parse_next_attempt_at(d.pop("next_attempt_at"))


        def _parse_response_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        response_status = _parse_response_status(d.pop("response_status"))


        def _parse_response_body(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        response_body = _parse_response_body(d.pop("response_body"))


        def _parse_error(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error = _parse_error(d.pop("error"))


        payload = DeliveryViewPayload.from_dict(d.pop("payload"))




        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




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


        delivery_view = cls(
            id=id,
            object_=object_,
            webhook_id=webhook_id,
            type_=type_,
            state=state,
            attempts=attempts,
            next_attempt_at=next_attempt_at,
            response_status=response_status,
            response_body=response_body,
            error=error,
            payload=payload,
            created_at=created_at,
            finished_at=finished_at,
        )


        delivery_view.additional_properties = d
        return delivery_view

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
