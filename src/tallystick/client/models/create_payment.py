from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.create_payment_capture_method_type_0 import check_create_payment_capture_method_type_0
from ..models.create_payment_capture_method_type_0 import CreatePaymentCaptureMethodType0
from ..models.create_payment_setup_future_usage_type_0 import check_create_payment_setup_future_usage_type_0
from ..models.create_payment_setup_future_usage_type_0 import CreatePaymentSetupFutureUsageType0
from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.create_payment_metadata import CreatePaymentMetadata





T = TypeVar("T", bound="CreatePayment")



@_attrs_define
class CreatePayment:
    """ A new payment.

        Attributes:
            amount (int): minor units of the currency: 10.50 usd is 1050
            currency (None | str | Unset): lower-case ISO code; DEFAULT_CURRENCY if absent
            description (None | str | Unset):
            metadata (CreatePaymentMetadata | Unset):
            payment_method (None | str | Unset):
            capture_method (CreatePaymentCaptureMethodType0 | None | Unset): `manual` authorises now and captures later;
                AUTO_CAPTURE_PAYMENTS decides if absent
            setup_future_usage (CreatePaymentSetupFutureUsageType0 | None | Unset): save the payment method for later
            confirm (bool | Unset): charge `payment_method` at once Default: False.
            off_session (bool | Unset): the customer is not there to authenticate Default: False.
            return_url (None | str | Unset): where the customer comes back to after 3D Secure """

    amount: int
    currency: None | str | Unset = UNSET
    description: None | str | Unset = UNSET
    metadata: CreatePaymentMetadata | Unset = UNSET
    payment_method: None | str | Unset = UNSET
    capture_method: CreatePaymentCaptureMethodType0 | None | Unset = UNSET
    setup_future_usage: CreatePaymentSetupFutureUsageType0 | None | Unset = UNSET
    confirm: bool | Unset = False
    off_session: bool | Unset = False
    return_url: None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.create_payment_metadata import CreatePaymentMetadata # noqa: PLC0415
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

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()

        payment_method: None | str | Unset
        if isinstance(self.payment_method, Unset):
            payment_method = UNSET
        else:
            payment_method = self.payment_method

        capture_method: None | str | Unset
        if isinstance(self.capture_method, Unset):
            capture_method = UNSET
        elif isinstance(self.capture_method, str):
            capture_method = self.capture_method
        else:
            capture_method = self.capture_method

        setup_future_usage: None | str | Unset
        if isinstance(self.setup_future_usage, Unset):
            setup_future_usage = UNSET
        elif isinstance(self.setup_future_usage, str):
            setup_future_usage = self.setup_future_usage
        else:
            setup_future_usage = self.setup_future_usage

        confirm = self.confirm

        off_session = self.off_session

        return_url: None | str | Unset
        if isinstance(self.return_url, Unset):
            return_url = UNSET
        else:
            return_url = self.return_url


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "amount": amount,
        })
        if currency is not UNSET:
            field_dict["currency"] = currency
        if description is not UNSET:
            field_dict["description"] = description
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if payment_method is not UNSET:
            field_dict["payment_method"] = payment_method
        if capture_method is not UNSET:
            field_dict["capture_method"] = capture_method
        if setup_future_usage is not UNSET:
            field_dict["setup_future_usage"] = setup_future_usage
        if confirm is not UNSET:
            field_dict["confirm"] = confirm
        if off_session is not UNSET:
            field_dict["off_session"] = off_session
        if return_url is not UNSET:
            field_dict["return_url"] = return_url

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_payment_metadata import CreatePaymentMetadata # noqa: PLC0415
        d = dict(src_dict)
        amount = d.pop("amount")

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


        _metadata = d.pop("metadata", UNSET)
        metadata: CreatePaymentMetadata | Unset
        if isinstance(_metadata,  Unset):
            metadata = UNSET
        else:
            metadata = CreatePaymentMetadata.from_dict(_metadata)




        def _parse_payment_method(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        payment_method = _parse_payment_method(d.pop("payment_method", UNSET))


        def _parse_capture_method(data: object) -> CreatePaymentCaptureMethodType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                capture_method_type_0 = check_create_payment_capture_method_type_0(data)



                return capture_method_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CreatePaymentCaptureMethodType0 | None | Unset, data)

        capture_method = _parse_capture_method(d.pop("capture_method", UNSET))


        def _parse_setup_future_usage(data: object) -> CreatePaymentSetupFutureUsageType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                setup_future_usage_type_0 = check_create_payment_setup_future_usage_type_0(data)



                return setup_future_usage_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CreatePaymentSetupFutureUsageType0 | None | Unset, data)

        setup_future_usage = _parse_setup_future_usage(d.pop("setup_future_usage", UNSET))


        confirm = d.pop("confirm", UNSET)

        off_session = d.pop("off_session", UNSET)

        def _parse_return_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        return_url = _parse_return_url(d.pop("return_url", UNSET))


        create_payment = cls(
            amount=amount,
            currency=currency,
            description=description,
            metadata=metadata,
            payment_method=payment_method,
            capture_method=capture_method,
            setup_future_usage=setup_future_usage,
            confirm=confirm,
            off_session=off_session,
            return_url=return_url,
        )

        return create_payment

