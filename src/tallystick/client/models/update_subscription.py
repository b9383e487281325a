from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.update_subscription_proration_behavior_type_0 import check_update_subscription_proration_behavior_type_0
from ..models.update_subscription_proration_behavior_type_0 import UpdateSubscriptionProrationBehaviorType0
from ..models.update_subscription_when import check_update_subscription_when
from ..models.update_subscription_when import UpdateSubscriptionWhen
from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.update_subscription_metadata_type_0 import UpdateSubscriptionMetadataType0





T = TypeVar("T", bound="UpdateSubscription")



@_attrs_define
class UpdateSubscription:
    """ A change; what is absent stays as it is.

        Attributes:
            price (None | str | Unset):
            quantity (int | None | Unset):
            payment_method (None | str | Unset): kept as the subscription's
            promotion_code (None | str | Unset): in place of what discount there is; null for none
            cancel_at_period_end (bool | None | Unset): false undoes a cancellation that is to come; DELETE makes one
            proration_behavior (None | Unset | UpdateSubscriptionProrationBehaviorType0): PRORATION_BEHAVIOR if absent.
                `always_invoice` bills now, `create_prorations` with the renewal
            when (UpdateSubscriptionWhen | Unset): `period_end`: price and quantity change with the renewal Default: 'now'.
            only_if_paid (bool | Unset): a change that is billed now is made only when its payment succeeds Default: True.
            preview_token (None | str | Unset): of a preview: makes that change, for exactly what was shown
            metadata (None | Unset | UpdateSubscriptionMetadataType0): merged into what is there; an empty text removes
            reason (None | str | Unset): kept in the history """

    price: None | str | Unset = UNSET
    quantity: int | None | Unset = UNSET
    payment_method: None | str | Unset = UNSET
    promotion_code: None | str | Unset = UNSET
    cancel_at_period_end: bool | None | Unset = UNSET
    proration_behavior: None | Unset | UpdateSubscriptionProrationBehaviorType0 = UNSET
    when: UpdateSubscriptionWhen | Unset = 'now'
    only_if_paid: bool | Unset = True
    preview_token: None | str | Unset = UNSET
    metadata: None | Unset | UpdateSubscriptionMetadataType0 = UNSET
    reason: None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.update_subscription_metadata_type_0 import UpdateSubscriptionMetadataType0 # noqa: PLC0415
        price: None | str | Unset
        if isinstance(self.price, Unset):
            price = UNSET
        else:
            price = self.price

        quantity: int | None | Unset
        if isinstance(self.quantity, Unset):
            quantity = UNSET
        else:
            quantity = self.quantity

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

        cancel_at_period_end: bool | None | Unset
        if isinstance(self.cancel_at_period_end, Unset):
            cancel_at_period_end = UNSET
        else:
            cancel_at_period_end = self.cancel_at_period_end

        proration_behavior: None | str | Unset
        if isinstance(self.proration_behavior, Unset):
            proration_behavior = UNSET
        elif isinstance(self.proration_behavior, str):
            proration_behavior = self.proration_behavior
        else:
            proration_behavior = self.proration_behavior

        when: str | Unset = UNSET
        if not isinstance(self.when, Unset):
            when = self.when


        only_if_paid = self.only_if_paid

        preview_token: None | str | Unset
        if isinstance(self.preview_token, Unset):
            preview_token = UNSET
        else:
            preview_token = self.preview_token

        metadata: dict[str, Any] | None | Unset
        if isinstance(self.metadata, Unset):
            metadata = UNSET
        elif isinstance(self.metadata, UpdateSubscriptionMetadataType0):
            metadata = self.metadata.to_dict()
        else:
            metadata = self.metadata

        reason: None | str | Unset
        if isinstance(self.reason, Unset):
            reason = UNSET
        else:
            reason = self.reason


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if price is not UNSET:
            field_dict["price"] = price
        if quantity is not UNSET:
            field_dict["quantity"] = quantity
        if payment_method is not UNSET:
            field_dict["payment_method"] = payment_method
        if promotion_code is not UNSET:
            field_dict["promotion_code"] = promotion_code
        if cancel_at_period_end is not UNSET:
            field_dict["cancel_at_period_end"] = cancel_at_period_end
        if proration_behavior is not UNSET:
            field_dict["proration_behavior"] = proration_behavior
        if when is not UNSET:
            field_dict["when"] = when
        if only_if_paid is not UNSET:
            field_dict["only_if_paid"] = only_if_paid
        if preview_token is not UNSET:
            field_dict["preview_token"] = preview_token
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if reason is not UNSET:
            field_dict["reason"] = reason

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.update_subscription_metadata_type_0 import UpdateSubscriptionMetadataType0 # noqa: PLC0415
        d = dict(src_dict)
        def _parse_price(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        price = _parse_price(d.pop("price", UNSET))


        def _parse_quantity(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        quantity = _parse_quantity(d.pop("quantity", UNSET))


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


        def _parse_cancel_at_period_end(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        cancel_at_period_end = _parse_cancel_at_period_end(d.pop("cancel_at_period_end", UNSET))


        def _parse_proration_behavior(data: object) -> None | Unset | UpdateSubscriptionProrationBehaviorType0:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                proration_behavior_type_0 = check_update_subscription_proration_behavior_type_0(data)



                return proration_behavior_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UpdateSubscriptionProrationBehaviorType0, data)

        proration_behavior = _parse_proration_behavior(d.pop("proration_behavior", UNSET))


        _when = d.pop("when", UNSET)
        when: UpdateSubscriptionWhen | Unset
        if isinstance(_when,  Unset):
            when = UNSET
        else:
            when = check_update_subscription_when(_when)




        only_if_paid = d.pop("only_if_paid", UNSET)

        def _parse_preview_token(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        preview_token = _parse_preview_token(d.pop("preview_token", UNSET))


        def _parse_metadata(data: object) -> None | Unset | UpdateSubscriptionMetadataType0:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                metadata_type_0 = UpdateSubscriptionMetadataType0.from_dict(data)



                return metadata_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UpdateSubscriptionMetadataType0, data)

        metadata = _parse_metadata(d.pop("metadata", UNSET))


        def _parse_reason(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        reason = _parse_reason(d.pop("reason", UNSET))


        update_subscription = cls(
            price=price,
            quantity=quantity,
            payment_method=payment_method,
            promotion_code=promotion_code,
            cancel_at_period_end=cancel_at_period_end,
            proration_behavior=proration_behavior,
            when=when,
            only_if_paid=only_if_paid,
            preview_token=preview_token,
            metadata=metadata,
            reason=reason,
        )

        return update_subscription

