from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="DisputeView")



@_attrs_define
class DisputeView:
    """ A dispute; staff only.

        Attributes:
            stripe_dispute_id (str):
            status (str):
            reason (str):
            amount (int):
            currency (str):
            evidence_due_at (datetime.datetime | None):
            created_at (datetime.datetime): """

    stripe_dispute_id: str
    status: str
    reason: str
    amount: int
    currency: str
    evidence_due_at: datetime.datetime | None
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        stripe_dispute_id = self.stripe_dispute_id

        status = self.status

        reason = self.reason

        amount = self.amount

        currency = self.currency

        evidence_due_at: None | str
        if isinstance(self.evidence_due_at, datetime.datetime):
            evidence_due_at = self.evidence_due_at.isoformat()
        else:
            evidence_due_at = self.evidence_due_at

        created_at = self.created_at.isoformat()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "stripe_dispute_id": stripe_dispute_id,
            "status": status,
            "reason": reason,
            "amount": amount,
            "currency": currency,
            "evidence_due_at": evidence_due_at,
            "created_at": created_at,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        stripe_dispute_id = d.pop("stripe_dispute_id")

        status = d.pop("status")

        reason = d.pop("reason")

        amount = d.pop("amount")

        currency = d.pop("currency")

        def _parse_evidence_due_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                evidence_due_at_type_0 = datetime.datetime.fromisoformat(data)



                return evidence_due_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        evidence_due_at = _parse_evidence_due_at(d.pop("evidence_due_at"))


        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        dispute_view = cls(
            stripe_dispute_id=stripe_dispute_id,
            status=status,
            reason=reason,
            amount=amount,
            currency=currency,
            evidence_due_at=evidence_due_at,
            created_at=created_at,
        )


        dispute_view.additional_properties = d
        return dispute_view

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
