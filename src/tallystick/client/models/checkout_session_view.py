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
  from ..models.checkout_session_view_metadata import CheckoutSessionViewMetadata
  from ..models.subscription_cost_view import SubscriptionCostView





T = TypeVar("T", bound="CheckoutSessionView")



@_attrs_define
class CheckoutSessionView:
    """ A checkout session; amounts in minor units, times in UTC.

        Attributes:
            id (UUID):
            object_ (Literal['checkout_session']):
            mode (str):
            status (str): open, processing, complete, expired, canceled
            amount (int): what is due now
            currency (str):
            description (None | str):
            price (None | str):
            quantity (int):
            promotion_code (None | str):
            recurring (None | SubscriptionCostView): of a subscription: what it costs then
            payment_id (None | UUID): once the customer has begun to pay
            subscription_id (None | UUID): once the customer has begun to pay
            success_url (None | str):
            cancel_url (None | str):
            locale (None | str):
            metadata (CheckoutSessionViewMetadata):
            expires_at (datetime.datetime):
            completed_at (datetime.datetime | None):
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            url (None | str | Unset): the page, for this customer's eyes only; in the answer of create, where each repeat
                has its own """

    id: UUID
    object_: Literal['checkout_session']
    mode: str
    status: str
    amount: int
    currency: str
    description: None | str
    price: None | str
    quantity: int
    promotion_code: None | str
    recurring: None | SubscriptionCostView
    payment_id: None | UUID
    subscription_id: None | UUID
    success_url: None | str
    cancel_url: None | str
    locale: None | str
    metadata: CheckoutSessionViewMetadata
    expires_at: datetime.datetime
    completed_at: datetime.datetime | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    url: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.checkout_session_view_metadata import CheckoutSessionViewMetadata # noqa: PLC0415
        from ..models.subscription_cost_view import SubscriptionCostView # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        mode = self.mode

        status = self.status

        amount = self.amount

        currency = self.currency

        description: None | str
        description = self.description

        price: None | str
        price = self.price

        quantity = self.quantity

        promotion_code: None | str
        promotion_code = self.promotion_code

        recurring: dict[str, Any] | None
        if isinstance(self.recurring, SubscriptionCostView):
            recurring = self.recurring.to_dict()
        else:
            recurring = self.recurring

        payment_id: None | str
        if isinstance(self.payment_id, UUID):
            payment_id = str(self.payment_id)
        else:
            payment_id = self.payment_id

        subscription_id: None | str
        if isinstance(self.subscription_id, UUID):
            subscription_id = str(self.subscription_id)
        else:
            subscription_id = self.subscription_id

        success_url: None | str
        success_url = self.success_url

        cancel_url: None | str
        cancel_url = self.cancel_url

        locale: None | str
        locale = self.locale

        metadata = self.metadata.to_dict()

        expires_at = self.expires_at.isoformat()

        completed_at: None | str
        if isinstance(self.completed_at, datetime.datetime):
            completed_at = self.completed_at.isoformat()
        else:
            completed_at = self.completed_at

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        url: None | str | Unset
        if isinstance(self.url, Unset):
            url = UNSET
        else:
            url = self.url


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "mode": mode,
            "status": status,
            "amount": amount,
            "currency": currency,
            "description": description,
            "price": price,
            "quantity": quantity,
            "promotion_code": promotion_code,
            "recurring": recurring,
            "payment_id": payment_id,
            "subscription_id": subscription_id,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "locale": locale,
            "metadata": metadata,
            "expires_at": expires_at,
            "completed_at": completed_at,
            "created_at": created_at,
            "updated_at": updated_at,
        })
        if url is not UNSET:
            field_dict["url"] = url

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.checkout_session_view_metadata import CheckoutSessionViewMetadata # noqa: PLC0415
        from ..models.subscription_cost_view import SubscriptionCostView # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['checkout_session'] , d.pop("object"))
        if object_ != 'checkout_session':
            raise ValueError(f"object must match const 'checkout_session', got '{object_}'")

        mode = d.pop("mode")

        status = d.pop("status")

        amount = d.pop("amount")

        currency = d.pop("currency")

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))


        def _parse_price(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        price = _parse_price(d.pop("price"))


        quantity = d.pop("quantity")

        def _parse_promotion_code(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        promotion_code = _parse_promotion_code(d.pop("promotion_code"))


        def _parse_recurring(data: object) -> None | SubscriptionCostView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                recurring_type_0 = SubscriptionCostView.from_dict(data)



                return recurring_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | SubscriptionCostView, data)

        recurring = _parse_recurring(d.pop("recurring"))


        def _parse_payment_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                payment_id_type_0 = UUID(data)



                return payment_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        payment_id = _parse_payment_id(d.pop("payment_id"))


        def _parse_subscription_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                subscription_id_type_0 = UUID(data)



                return subscription_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        subscription_id = _parse_subscription_id(d.pop("subscription_id"))


        def _parse_success_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        success_url = _parse_success_url(d.pop("success_url"))


        def _parse_cancel_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cancel_url = _parse_cancel_url(d.pop("cancel_url"))


        def _parse_locale(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        locale = _parse_locale(d.pop("locale"))


        metadata = CheckoutSessionViewMetadata.from_dict(d.pop("metadata"))




        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))




        def _parse_completed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                completed_at_type_0 = datetime.datetime.fromisoformat(data)



                return completed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        completed_at = _parse_completed_at(d.pop("completed_at"))


        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        def _parse_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        url = _parse_url(d.pop("url", UNSET))


        checkout_session_view = cls(
            id=id,
            object_=object_,
            mode=mode,
            status=status,
            amount=amount,
            currency=currency,
            description=description,
            price=price,
            quantity=quantity,
            promotion_code=promotion_code,
            recurring=recurring,
            payment_id=payment_id,
            subscription_id=subscription_id,
            success_url=success_url,
            cancel_url=cancel_url,
            locale=locale,
            metadata=metadata,
            expires_at=expires_at,
            completed_at=completed_at,
            created_at=created_at,
            updated_at=updated_at,
            url=url,
        )


        checkout_session_view.additional_properties = d
        return checkout_session_view

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
