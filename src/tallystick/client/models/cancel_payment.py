from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.cancel_payment_reason_type_0 import CancelPaymentReasonType0
from ..models.cancel_payment_reason_type_0 import check_cancel_payment_reason_type_0
from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="CancelPayment")



@_attrs_define
class CancelPayment:
    """ Cancel a payment that has not succeeded.

        Attributes:
            reason (CancelPaymentReasonType0 | None | Unset): """

    reason: CancelPaymentReasonType0 | None | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        elif isinstance(self.reason, str):
            reason = self.reason
        else:
            reason = self.reason


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if reason is not UNSET:
            field_dict["reason"] = reason

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        def _parse_reason(data: object) -> CancelPaymentReasonType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                reason_type_0 = check_cancel_payment_reason_type_0(data)



                return reason_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CancelPaymentReasonType0 | None | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))


        cancel_payment = cls(
            reason=reason,
        )

        return cancel_payment

