from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
import datetime






T = TypeVar("T", bound="DunningView")



@_attrs_define
class DunningView:
    """ The calendar of a renewal that was not paid.

        Attributes:
            first_failed_at (datetime.datetime):
            attempts (int):
            attempts_left (int):
            next_payment_attempt (datetime.datetime | None):
            access_until (datetime.datetime):
            amount_due (int):
            currency (str):
            stripe_invoice_id (str):
            pay_url (None | str): """

    first_failed_at: datetime.datetime
    attempts: int
    attempts_left: int
    next_payment_attempt: datetime.datetime | None
    access_until: datetime.datetime
    amount_due: int
    currency: str
    stripe_invoice_id: str
    pay_url: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        first_failed_at = self.first_failed_at.isoformat()

        attempts = self.attempts

        attempts_left = self.attempts_left

        next_payment_attempt: None | str
        if isinstance(self.next_payment_attempt, datetime.datetime):
            next_payment_attempt = self.next_payment_attempt.isoformat()
        else:
            next_payment_attempt = self.next_payment_attempt

        access_until = self.access_until.isoformat()

        amount_due = self.amount_due

        currency = self.currency

        stripe_invoice_id = self.stripe_invoice_id

        pay_url: None | str
        pay_url = self.pay_url


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "first_failed_at": first_failed_at,
            "attempts": attempts,
            "attempts_left": attempts_left,
            "next_payment_attempt": next_payment_attempt,
            "access_until": access_until,
            "amount_due": amount_due,
            "currency": currency,
            "stripe_invoice_id": stripe_invoice_id,
            "pay_url": pay_url,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        first_failed_at = datetime.datetime.fromisoformat(d.pop("first_failed_at"))




        attempts = d.pop("attempts")

        attempts_left = d.pop("attempts_left")

        def _parse_next_payment_attempt(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_payment_attempt_type_0 = datetime.datetime.fromisoformat(data)



                return next_payment_attempt_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_payment_attempt = _parse_next_payment_attempt(d.pop("next_payment_attempt"))


        access_until = datetime.datetime.fromisoformat(d.pop("access_until"))




        amount_due = d.pop("amount_due")

        currency = d.pop("currency")

        stripe_invoice_id = d.pop("stripe_invoice_id")

        def _parse_pay_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        pay_url = _parse_pay_url(d.pop("pay_url"))


        dunning_view = cls(
            first_failed_at=first_failed_at,
            attempts=attempts,
            attempts_left=attempts_left,
            next_payment_attempt=next_payment_attempt,
            access_until=access_until,
            amount_due=amount_due,
            currency=currency,
            stripe_invoice_id=stripe_invoice_id,
            pay_url=pay_url,
        )


        dunning_view.additional_properties = d
        return dunning_view

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
