from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.create_subscription_metadata import CreateSubscriptionMetadata





T = TypeVar("T", bound="CreateSubscription")



@_attrs_define
class CreateSubscription:
    """ A new subscription.

        Attributes:
            price (str): ours or Stripe's id of a recurring price that is on offer
            quantity (int | Unset):  Default: 1.
            trial_period_days (int | None | Unset): DEFAULT_TRIAL_DAYS if absent, 0 for none; a user gets one trial in all
            payment_method (None | str | Unset): charged at once, and kept as the subscription's; the customer's default if
                absent
            promotion_code (None | str | Unset): as customers type it, or Stripe's `promo_…`
            metadata (CreateSubscriptionMetadata | Unset): """

    price: str
    quantity: int | Unset = 1
    trial_period_days: int | None | Unset = UNSET
    payment_method: None | str | Unset = UNSET
    promotion_code: None | str | Unset = UNSET
    metadata: CreateSubscriptionMetadata | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.create_subscription_metadata import CreateSubscriptionMetadata # noqa: PLC0415
        price = self.price

        quantity = self.quantity

        trial_period_days: int | None | Unset
        if isinstance(self.trial_period_days, Unset):
            trial_period_days = UNSET
        else:
            trial_period_days = self.trial_period_days

        payment_method: None | str | Unset
        if isinstance(self.payment_method, Unset):
            payment_method = UNSET
        else:
            payment_method = self.payment_method

        promotion_code: None | str | Unset
        if isinstance(self.promotion_code, Unset):
            promotion_code = UNSET
        else:
            promotion_code = self.promotion_code

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "price": price,
        })
        if quantity is not UNSET:
            field_dict["quantity"] = quantity
        if trial_period_days is not UNSET:
            field_dict["trial_period_days"] = trial_period_days
        if payment_method is not UNSET:
            field_dict["payment_method"] = payment_method
        if promotion_code is not UNSET:
            field_dict["promotion_code"] = promotion_code
        if metadata is not UNSET:
            field_dict["metadata"] = metadata

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_subscription_metadata import CreateSubscriptionMetadata # noqa: PLC0415
        d = dict(src_dict)
        price = d.pop("price")

        quantity = d.pop("quantity", UNSET)

        def _parse_trial_period_days(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        trial_period_days = _parse_trial_period_days(d.pop("trial_period_days", UNSET))


        def _parse_payment_method(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        payment_method = _parse_payment_method(d.pop("payment_method", UNSET))


        def _parse_promotion_code(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        promotion_code = _parse_promotion_code(d.pop("promotion_code", UNSET))


        _metadata = d.pop("metadata", UNSET)
        metadata: CreateSubscriptionMetadata | Unset
        if isinstance(_metadata,  Unset):
            metadata = UNSET
        else:
            metadata = CreateSubscriptionMetadata.from_dict(_metadata)




        create_subscription = cls(
            price=price,
            quantity=quantity,
            trial_period_days=trial_period_days,
            payment_method=payment_method,
            promotion_code=promotion_code,
            metadata=metadata,
        )

        return create_subscription

