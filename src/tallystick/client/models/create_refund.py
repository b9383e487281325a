from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.create_refund_reason_type_0 import check_create_refund_reason_type_0
from ..models.create_refund_reason_type_0 import CreateRefundReasonType0
from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.create_refund_metadata import CreateRefundMetadata





T = TypeVar("T", bound="CreateRefund")



@_attrs_define
class CreateRefund:
    """ Refund a payment.

        Attributes:
            amount (int | None | Unset): all that is left if absent
            reason (CreateRefundReasonType0 | None | Unset):
            metadata (CreateRefundMetadata | Unset): """

    amount: int | None | Unset = UNSET
    reason: CreateRefundReasonType0 | None | Unset = UNSET
    metadata: CreateRefundMetadata | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.create_refund_metadata import CreateRefundMetadata # noqa: PLC0415
        amount: int | None | Unset
        if isinstance(self.amount, Unset):
            amount = UNSET
        else:
            amount = self.amount

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        elif isinstance(self.reason, str):
            reason = self.reason
        else:
            reason = self.reason

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if amount is not UNSET:
            field_dict["amount"] = amount
        if reason is not UNSET:
            field_dict["reason"] = reason
        if metadata is not UNSET:
            field_dict["metadata"] = metadata

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_refund_metadata import CreateRefundMetadata # noqa: PLC0415
        d = dict(src_dict)
        def _parse_amount(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        amount = _parse_amount(d.pop("amount", UNSET))


        def _parse_reason(data: object) -> CreateRefundReasonType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                reason_type_0 = check_create_refund_reason_type_0(data)



                return reason_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CreateRefundReasonType0 | None | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))


        _metadata = d.pop("metadata", UNSET)
        metadata: CreateRefundMetadata | Unset
        if isinstance(_metadata,  Unset):
            metadata = UNSET
        else:
            metadata = CreateRefundMetadata.from_dict(_metadata)




        create_refund = cls(
            amount=amount,
            reason=reason,
            metadata=metadata,
        )

        return create_refund

