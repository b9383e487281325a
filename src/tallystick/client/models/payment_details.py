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
  from ..models.attempt_view import AttemptView
  from ..models.charge_view import ChargeView
  from ..models.dispute_view import DisputeView
  from ..models.failure_view import FailureView
  from ..models.payment_details_metadata import PaymentDetailsMetadata
  from ..models.payment_details_next_action_type_0 import PaymentDetailsNextActionType0
  from ..models.refund_view import RefundView





T = TypeVar("T", bound="PaymentDetails")



@_attrs_define
class PaymentDetails:
    """ A payment with its charges and refunds; staff also see its disputes.

        Attributes:
            id (UUID):
            object_ (Literal['payment']):
            stripe_payment_intent_id (None | str):
            status (str): requested, requires_payment_method, requires_confirmation, requires_action, processing,
                requires_capture, succeeded, canceled, failed, abandoned
            stripe_status (None | str):
            amount (int):
            currency (str):
            amount_capturable (int):
            amount_received (int):
            amount_refunded (int):
            capture_method (str):
            setup_future_usage (None | str):
            payment_method (None | str):
            description (None | str):
            metadata (PaymentDetailsMetadata):
            cancellation_reason (None | str):
            canceled_at (datetime.datetime | None):
            last_error (FailureView | None):
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            charges (list[ChargeView]):
            refunds (list[RefundView]):
            client_secret (None | str | Unset): for Stripe.js in this customer's browser; only in the answers of create and
                confirm
            next_action (None | PaymentDetailsNextActionType0 | Unset): what the customer has to do, as Stripe has it
            attempt (AttemptView | None | Unset): only with 202
            user_id (None | Unset | UUID): staff only
            stripe_customer_id (None | str | Unset): staff only
            disputes (list[DisputeView] | None | Unset): """

    id: UUID
    object_: Literal['payment']
    stripe_payment_intent_id: None | str
    status: str
    stripe_status: None | str
    amount: int
    currency: str
    amount_capturable: int
    amount_received: int
    amount_refunded: int
    capture_method: str
    setup_future_usage: None | str
    payment_method: None | str
    description: None | str
    metadata: PaymentDetailsMetadata
    cancellation_reason: None | str
    canceled_at: datetime.datetime | None
    last_error: FailureView | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    charges: list[ChargeView]
    refunds: list[RefundView]
    client_secret: None | str | Unset = UNSET
    next_action: None | PaymentDetailsNextActionType0 | Unset = UNSET
    attempt: AttemptView | None | Unset = UNSET
    user_id: None | Unset | UUID = UNSET
    stripe_customer_id: None | str | Unset = UNSET
    disputes: list[DisputeView] | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.charge_view import ChargeView # noqa: PLC0415
        from ..models.dispute_view import DisputeView # noqa: PLC0415
        from ..models.failure_view import FailureView # noqa: PLC0415
        from ..models.payment_details_metadata import PaymentDetailsMetadata # noqa: PLC0415
        from ..models.payment_details_next_action_type_0 import PaymentDetailsNextActionType0 # noqa: PLC0415
        from ..models.refund_view import RefundView # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_payment_intent_id: None | str
        stripe_payment_intent_id = self.stripe_payment_intent_id

        status = self.status

        stripe_status: None | str
        stripe_status = self.stripe_status

        amount = self.amount

        currency = self.currency

        amount_capturable = self.amount_capturable

        amount_received = self.amount_received

        amount_refunded = self.amount_refunded

        capture_method = self.capture_method

        setup_future_usage: None | str
        setup_future_usage = self.setup_future_usage

        payment_method: None | str
        payment_method = self.payment_method

        description: None | str
        description = self.description

        metadata = self.metadata.to_dict()

        cancellation_reason: None | str
        cancellation_reason = self.cancellation_reason

        canceled_at: None | str
        if isinstance(self.canceled_at, datetime.datetime):
            canceled_at = self.canceled_at.isoformat()
        else:
            canceled_at = self.canceled_at

        last_error: dict[str, Any] | None
        if isinstance(self.last_error, FailureView):
            last_error = self.last_error.to_dict()
        else:
            last_error = self.last_error

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        charges = []
        for charges_item_data in self.charges:
            charges_item = charges_item_data.to_dict()
            charges.append(charges_item)



        refunds = []
        for refunds_item_data in self.refunds:
            refunds_item = refunds_item_data.to_dict()
            refunds.append(refunds_item)



        client_secret: None | str | Unset
        if isinstance(self.client_secret, Unset):
            client_secret = UNSET
        else:
            client_secret = self.client_secret

        next_action: dict[str, Any] | None | Unset
        if isinstance(self.next_action, Unset):
            next_action = UNSET
        elif isinstance(self.next_action, PaymentDetailsNextActionType0):
            next_action = self.next_action.to_dict()
        else:
            next_action = self.next_action

        attempt: dict[str, Any] | None | Unset
        if isinstance(self.attempt, Unset):
            attempt = UNSET
        elif isinstance(self.attempt, AttemptView):
            attempt = self.attempt.to_dict()
        else:
            attempt = self.attempt

        user_id: None | str | Unset
        if isinstance(self.user_id, Unset):
            user_id = UNSET
        elif isinstance(self.user_id, UUID):
            user_id = str(self.user_id)
        else:
            user_id = self.user_id

        stripe_customer_id: None | str | Unset
        if isinstance(self.stripe_customer_id, Unset):
            stripe_customer_id = UNSET
        else:
            stripe_customer_id = self.stripe_customer_id

        disputes: list[dict[str, Any]] | None | Unset
        if isinstance(self.disputes, Unset):
            disputes = UNSET
        elif isinstance(self.disputes, list):
            disputes = []
            for disputes_type_0_item_data in self.disputes:
                disputes_type_0_item = disputes_type_0_item_data.to_dict()
                disputes.append(disputes_type_0_item)


        else:
            disputes = self.disputes


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "stripe_payment_intent_id": stripe_payment_intent_id,
            "status": status,
            "stripe_status": stripe_status,
            "amount": amount,
            "currency": currency,
            "amount_capturable": amount_capturable,
            "amount_received": amount_received,
            "amount_refunded": amount_refunded,
            "capture_method": capture_method,
            "setup_future_usage": setup_future_usage,
            "payment_method": payment_method,
            "description": description,
            "metadata": metadata,
            "cancellation_reason": cancellation_reason,
            "canceled_at": canceled_at,
            "last_error": last_error,
            "created_at": created_at,
            "updated_at": updated_at,
            "charges": charges,
            "refunds": refunds,
        })
        if client_secret is not UNSET:
            field_dict["client_secret"] = client_secret
        if next_action is not UNSET:
            field_dict["next_action"] = next_action
        if attempt is not UNSET:
            field_dict["attempt"] = attempt
        if user_id is not UNSET:
            field_dict["user_id"] = user_id
        if stripe_customer_id is not UNSET:
            field_dict["stripe_customer_id"] = stripe_customer_id
        if disputes is not UNSET:
            field_dict["disputes"] = disputes

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.charge_view import ChargeView # noqa: PLC0415
        from ..models.dispute_view import DisputeView # noqa: PLC0415
        from ..models.failure_view import FailureView # noqa: PLC0415
        from ..models.payment_details_metadata import PaymentDetailsMetadata # noqa: PLC0415
        from ..models.payment_details_next_action_type_0 import PaymentDetailsNextActionType0 # noqa: PLC0415
        from ..models.refund_view import RefundView # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['payment'] , d.pop("object"))
        if object_ != 'payment':
            raise ValueError(f"object must match const 'payment', got '{object_}'")

        def _parse_stripe_payment_intent_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        stripe_payment_intent_id = _parse_stripe_payment_intent_id(d.pop("stripe_payment_intent_id"))


        status = d.pop("status")

        def _parse_stripe_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        stripe_status = _parse_stripe_status(d.pop("stripe_status"))


        amount = d.pop("amount")

        currency = d.pop("currency")

        amount_capturable = d.pop("amount_capturable")

        amount_received = d.pop("amount_received")

        amount_refunded = d.pop("amount_refunded")

        capture_method = d.pop("capture_method")

        def _parse_setup_future_usage(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        setup_future_usage = _parse_setup_future_usage(d.pop("setup_future_usage"))


        def _parse_payment_method(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        payment_method = _parse_payment_method(d.pop("payment_method"))


        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))


        metadata = PaymentDetailsMetadata.from_dict(d.pop("metadata"))




        def _parse_cancellation_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cancellation_reason = _parse_cancellation_reason(d.pop("cancellation_reason"))


        def _parse_canceled_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                canceled_at_type_0 = datetime.datetime.fromisoformat(data)



                return canceled_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        canceled_at = _parse_canceled_at(d.pop("canceled_at"))


        def _parse_last_error(data: object) -> FailureView | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                last_error_type_0 = FailureView.from_dict(data)



                return last_error_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(FailureView | None, data)

        last_error = _parse_last_error(d.pop("last_error"))


        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        charges = []
        _charges = d.pop("charges")
        for charges_item_data in (_charges):
            charges_item = ChargeView.from_dict(charges_item_data)



            charges.append(charges_item)


        refunds = []
        _refunds = d.pop("refunds")
        for refunds_item_data in (_refunds):
            refunds_item = RefundView.from_dict(refunds_item_data)



            refunds.append(refunds_item)


        def _parse_client_secret(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        client_secret = _parse_client_secret(d.pop("client_secret", UNSET))


        def _parse_next_action(data: object) -> None | PaymentDetailsNextActionType0 | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                next_action_type_0 = PaymentDetailsNextActionType0.from_dict(data)



                return next_action_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PaymentDetailsNextActionType0 | Unset, data)

        next_action = _parse_next_action(d.pop("next_action", UNSET))


        def _parse_attempt(data: object) -> AttemptView | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                attempt_type_0 = AttemptView.from_dict(data)



                return attempt_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AttemptView | None | Unset, data)

        attempt = _parse_attempt(d.pop("attempt", UNSET))


        def _parse_user_id(data: object) -> None | Unset | UUID:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                user_id_type_0 = UUID(data)



                return user_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | UUID, data)

        user_id = _parse_user_id(d.pop("user_id", UNSET))


        def _parse_stripe_customer_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        stripe_customer_id = _parse_stripe_customer_id(d.pop("stripe_customer_id", UNSET))


        def _parse_disputes(data: object) -> list[DisputeView] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                disputes_type_0 = []
                _disputes_type_0 = data
                for disputes_type_0_item_data in (_disputes_type_0):
                    disputes_type_0_item = DisputeView.from_dict(disputes_type_0_item_data)



                    disputes_type_0.append(disputes_type_0_item)

                return disputes_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[DisputeView] | None | Unset, data)

        disputes = _parse_disputes(d.pop("disputes", UNSET))


        payment_details = cls(
            id=id,
            object_=object_,
            stripe_payment_intent_id=stripe_payment_intent_id,
            status=status,
            stripe_status=stripe_status,
            amount=amount,
            currency=currency,
            amount_capturable=amount_capturable,
            amount_received=amount_received,
            amount_refunded=amount_refunded,
            capture_method=capture_method,
            setup_future_usage=setup_future_usage,
            payment_method=payment_method,
            description=description,
            metadata=metadata,
            cancellation_reason=cancellation_reason,
            canceled_at=canceled_at,
            last_error=last_error,
            created_at=created_at,
            updated_at=updated_at,
            charges=charges,
            refunds=refunds,
            client_secret=client_secret,
            next_action=next_action,
            attempt=attempt,
            user_id=user_id,
            stripe_customer_id=stripe_customer_id,
            disputes=disputes,
        )


        payment_details.additional_properties = d
        return payment_details

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
