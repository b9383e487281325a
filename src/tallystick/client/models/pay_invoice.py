from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="PayInvoice")



@_attrs_define
class PayInvoice:
    """ Pay an invoice now.

        Attributes:
            payment_method (None | str | Unset): for this payment only; the subscription's or the customer's default if
                absent """

    payment_method: None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        payment_method: None | str | Unset
        if isinstance(self.payment_method, Unset):
            payment_method = UNSET
        else:
            payment_method = self.payment_method


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if payment_method is not UNSET:
            field_dict["payment_method"] = payment_method

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        def _parse_payment_method(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        payment_method = _parse_payment_method(d.pop("payment_method", UNSET))


        pay_invoice = cls(
            payment_method=payment_method,
        )

        return pay_invoice

