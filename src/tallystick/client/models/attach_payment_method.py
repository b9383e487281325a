from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset






T = TypeVar("T", bound="AttachPaymentMethod")



@_attrs_define
class AttachPaymentMethod:
    """ A payment method made with Stripe.js, to be kept for later.

        Attributes:
            payment_method (str):
            default (bool | Unset): make it the default for subscriptions and invoices Default: False. """

    payment_method: str
    default: bool | Unset = False





    def to_dict(self) -> dict[str, Any]:
        payment_method = self.payment_method

        default = self.default


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "payment_method": payment_method,
        })
        if default is not UNSET:
            field_dict["default"] = default

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        payment_method = d.pop("payment_method")

        default = d.pop("default", UNSET)

        attach_payment_method = cls(
            payment_method=payment_method,
            default=default,
        )

        return attach_payment_method

