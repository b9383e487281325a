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
  from ..models.attempt_view import AttemptView
  from ..models.refund_view_metadata import RefundViewMetadata





T = TypeVar("T", bound="RefundView")



@_attrs_define
class RefundView:
    """ A refund.

        Attributes:
            id (UUID):
            object_ (Literal['refund']):
            stripe_refund_id (None | str):
            payment_id (UUID):
            status (str):
            amount (int):
            currency (str):
            reason (None | str):
            failure_reason (None | str):
            metadata (RefundViewMetadata):
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            attempt (AttemptView | None | Unset): """

    id: UUID
    object_: Literal['refund']
    stripe_refund_id: None | str
    payment_id: UUID
    status: str
    amount: int
    currency: str
    reason: None | str
    failure_reason: None | str
    metadata: RefundViewMetadata
    created_at: datetime.datetime
    updated_at: datetime.datetime
    attempt: AttemptView | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.refund_view_metadata import RefundViewMetadata # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_refund_id: None | str
        stripe_refund_id = self.stripe_refund_id

        payment_id = str(self.payment_id)

        status = self.status

        amount = self.amount

        currency = self.currency

        reason: None | str
        reason = self.reason

        failure_reason: None | str
        failure_reason = self.failure_reason

        metadata = self.metadata.to_dict()

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        attempt: dict[str, Any] | None | Unset
        if isinstance(self.attempt, Unset):
            attempt = UNSET
        elif isinstance(self.attempt, AttemptView):
            attempt = self.attempt.to_dict()
        else:
            attempt = self.attempt


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "stripe_refund_id": stripe_refund_id,
            "payment_id": payment_id,
            "status": status,
            "amount": amount,
            "currency": currency,
            "reason": reason,
            "failure_reason": failure_reason,
            "metadata": metadata,
            "created_at": created_at,
            "updated_at": updated_at,
        })
        if attempt is not UNSET:
            field_dict["attempt"] = attempt

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.refund_view_metadata import RefundViewMetadata # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['refund'] , d.pop("object"))
        if object_ != 'refund':
            raise ValueError(f"object must match const 'refund', got '{object_}'")

        def _parse_stripe_refund_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        stripe_refund_id = _parse_stripe_refund_id(d.pop("stripe_refund_id"))


        payment_id = UUID(d.pop("payment_id"))




        status = d.pop("status")

        amount = d.pop("amount")

        currency = d.pop("currency")

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))


        def _parse_failure_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        failure_reason = _parse_failure_reason(d.pop("failure_reason"))


        metadata = RefundViewMetadata.from_dict(d.pop("metadata"))




        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        def _parse_attempt(data: object) -> AttemptView | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                attempt_type_0 = AttemptView.from_dict(data)



                return attempt_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AttemptView | None | Unset, data)

        attempt = _parse_attempt(d.pop("attempt", UNSET))


        refund_view = cls(
            id=id,
            object_=object_,
            stripe_refund_id=stripe_refund_id,
            payment_id=payment_id,
            status=status,
            amount=amount,
            currency=currency,
            reason=reason,
            failure_reason=failure_reason,
            metadata=metadata,
            created_at=created_at,
            updated_at=updated_at,
            attempt=attempt,
        )


        refund_view.additional_properties = d
        return refund_view

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
