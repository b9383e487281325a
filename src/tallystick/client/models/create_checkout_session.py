from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.create_checkout_session_mode import check_create_checkout_session_mode
from ..models.create_checkout_session_mode import CreateCheckoutSessionMode
from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.create_checkout_session_metadata import CreateCheckoutSessionMetadata





T = TypeVar("T", bound="CreateCheckoutSession")



@_attrs_define
class CreateCheckoutSession:
    """ A new checkout session: an amount with its currency, or a price of the catalogue with a quantity.

    Mode `payment` takes one-time prices, mode `subscription` recurring ones.

        Attributes:
            mode (CreateCheckoutSessionMode | Unset):  Default: 'payment'.
            amount (int | None | Unset):
            currency (None | str | Unset): DEFAULT_CURRENCY if absent
            description (None | str | Unset): what is paid for; the customer sees it
            price (None | str | Unset): Stripe's id of a price, in place of amount and currency
            quantity (int | Unset): how many of `price` Default: 1.
            promotion_code (None | str | Unset): of a subscription; as customers type it
            trial_period_days (int | None | Unset): of a subscription; DEFAULT_TRIAL_DAYS if absent. Who has had a trial
                gets none.
            success_url (None | str | Unset): where a customer who has paid goes; `checkout_session_id` and `payment_id` or
                `subscription_id` are added. Its origin is one of CHECKOUT_RETURN_URLS.
            cancel_url (None | str | Unset): where a customer who does not pay goes
            locale (None | str | Unset): the page's language; else the user's, else the browser's
            expires_in_s (int | Unset): seconds until the link is dead Default: 86400.
            metadata (CreateCheckoutSessionMetadata | Unset): goes to the payment or subscription, too """

    mode: CreateCheckoutSessionMode | Unset = 'payment'
    amount: int | None | Unset = UNSET
    currency: None | str | Unset = UNSET
    description: None | str | Unset = UNSET
    price: None | str | Unset = UNSET
    quantity: int | Unset = 1
    promotion_code: None | str | Unset = UNSET
    trial_period_days: int | None | Unset = UNSET
    success_url: None | str | Unset = UNSET
    cancel_url: None | str | Unset = UNSET
    locale: None | str | Unset = UNSET
    expires_in_s: int | Unset = 86400
    metadata: CreateCheckoutSessionMetadata | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.create_checkout_session_metadata import CreateCheckoutSessionMetadata # noqa: PLC0415
        mode: str | Unset = UNSET
        if not isinstance(self.mode, Unset):
            mode = self.mode


        amount: int | None | Unset
        if isinstance(self.amount, Unset):
            amount = UNSET
        else:
            amount = self.amount

        currency: None | str | Unset
        if isinstance(self.currency, Unset):
            currency = UNSET
        else:
            currency = self.currency

        description: None | str | Unset
        if isinstance(self.description, Unset):
            description = UNSET
        else:
            description = self.description

        price: None | str | Unset
        if isinstance(self.price, Unset):
            price = UNSET
        else:
            price = self.price

        quantity = self.quantity

        promotion_code: None | str | Unset
        if isinstance(self.promotion_code, Unset):
            promotion_code = UNSET
        else:
            promotion_code = self.promotion_code

        trial_period_days: int | None | Unset
        if isinstance(self.trial_period_days, Unset):
            trial_period_days = UNSET
        else:
            trial_period_days = self.trial_period_days

        success_url: None | str | Unset
        if isinstance(self.success_url, Unset):
            success_url = UNSET
        else:
            success_url = self.success_url

        cancel_url: None | str | Unset
        if isinstance(self.cancel_url, Unset):
            cancel_url = UNSET
        else:
            cancel_url = self.cancel_url

        locale: None | str | Unset
        if isinstance(self.locale, Unset):
            locale = UNSET
        else:
            locale = self.locale

        expires_in_s = self.expires_in_s

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if mode is not UNSET:
            field_dict["mode"] = mode
        if amount is not UNSET:
            field_dict["amount"] = amount
        if currency is not UNSET:
            field_dict["currency"] = currency
        if description is not UNSET:
            field_dict["description"] = description
        if price is not UNSET:
            field_dict["price"] = price
        if quantity is not UNSET:
            field_dict["quantity"] = quantity
        if promotion_code is not UNSET:
            field_dict["promotion_code"] = promotion_code
        if trial_period_days is not UNSET:
            field_dict["trial_period_days"] = trial_period_days
        if success_url is not UNSET:
            field_dict["success_url"] = success_url
        if cancel_url is not UNSET:
            field_dict["cancel_url"] = cancel_url
        if locale is not UNSET:
            field_dict["locale"] = locale
        if expires_in_s is not UNSET:
            field_dict["expires_in_s"] = expires_in_s
        if metadata is not UNSET:
            field_dict["metadata"] = metadata

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_checkout_session_metadata import CreateCheckoutSessionMetadata # noqa: PLC0415
        d = dict(src_dict)
        _mode = d.pop("mode", UNSET)
        mode: CreateCheckoutSessionMode | Unset
        if isinstance(_mode,  Unset):
            mode = UNSET
        else:
            mode = check_create_checkout_session_mode(_mode)




        def _parse_amount(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        amount = _parse_amount(d.pop("amount", UNSET))


        def _parse_currency(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        currency = _parse_currency(d.pop("currency", UNSET))


        def _parse_description(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        description = _parse_description(d.pop("description", UNSET))


        def _parse_price(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        price = _parse_price(d.pop("price", UNSET))


        quantity = d.pop("quantity", UNSET)

        def _parse_promotion_code(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        promotion_code = _parse_promotion_code(d.pop("promotion_code", UNSET))


        def _parse_trial_period_days(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        trial_period_days = _parse_trial_period_days(d.pop("trial_period_days", UNSET))


        def _parse_success_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        success_url = _parse_success_url(d.pop("success_url", UNSET))


        def _parse_cancel_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        cancel_url = _parse_cancel_url(d.pop("cancel_url", UNSET))


        def _parse_locale(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        locale = _parse_locale(d.pop("locale", UNSET))


        expires_in_s = d.pop("expires_in_s", UNSET)

        _metadata = d.pop("metadata", UNSET)
        metadata: CreateCheckoutSessionMetadata | Unset
        if isinstance(_metadata,  Unset):
            metadata = UNSET
        else:
            metadata = CreateCheckoutSessionMetadata.from_dict(_metadata)




        create_checkout_session = cls(
            mode=mode,
            amount=amount,
            currency=currency,
            description=description,
            price=price,
            quantity=quantity,
            promotion_code=promotion_code,
            trial_period_days=trial_period_days,
            success_url=success_url,
            cancel_url=cancel_url,
            locale=locale,
            expires_in_s=expires_in_s,
            metadata=metadata,
        )

        return create_checkout_session

