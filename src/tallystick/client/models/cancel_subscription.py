from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.cancel_subscription_reason_type_0 import CancelSubscriptionReasonType0
from ..models.cancel_subscription_reason_type_0 import check_cancel_subscription_reason_type_0
from ..models.cancel_subscription_when import CancelSubscriptionWhen
from ..models.cancel_subscription_when import check_cancel_subscription_when
from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="CancelSubscription")



@_attrs_define
class CancelSubscription:
    """ Cancel.

        Attributes:
            when (CancelSubscriptionWhen | Unset):  Default: 'period_end'.
            reason (CancelSubscriptionReasonType0 | None | Unset):
            comment (None | str | Unset): """

    when: CancelSubscriptionWhen | Unset = 'period_end'
    reason: CancelSubscriptionReasonType0 | None | Unset = UNSET
    comment: None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        when: str | Unset = UNSET
        if not isinstance(self.when, Unset):
            when = self.when


        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        elif isinstance(self.reason, str):
            reason = self.reason
        else:
            reason = self.reason

        comment: None | str | Unset
        if isinstance(self.comment, Unset):
            comment = UNSET
        else:
            comment = self.comment


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if when is not UNSET:
            field_dict["when"] = when
        if reason is not UNSET:
            field_dict["reason"] = reason
        if comment is not UNSET:
            field_dict["comment"] = comment

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _when = d.pop("when", UNSET)
        when: CancelSubscriptionWhen | Unset
        if isinstance(_when,  Unset):
            when = UNSET
        else:
            when = check_cancel_subscription_when(_when)




        def _parse_reason(data: object) -> CancelSubscriptionReasonType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                reason_type_0 = check_cancel_subscription_reason_type_0(data)



                return reason_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CancelSubscriptionReasonType0 | None | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))


        def _parse_comment(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        comment = _parse_comment(d.pop("comment", UNSET))


        cancel_subscription = cls(
            when=when,
            reason=reason,
            comment=comment,
        )

        return cancel_subscription

