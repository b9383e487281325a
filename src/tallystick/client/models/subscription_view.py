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
  from ..models.cancellation_view import CancellationView
  from ..models.item_view import ItemView
  from ..models.pause_view import PauseView
  from ..models.pending_update import PendingUpdate
  from ..models.subscription_view_metadata import SubscriptionViewMetadata
  from ..models.subscription_view_next_action_type_0 import SubscriptionViewNextActionType0





T = TypeVar("T", bound="SubscriptionView")



@_attrs_define
class SubscriptionView:
    """ A subscription; times in UTC. `price`, `product` and `quantity` are those of its first item.

        Attributes:
            id (UUID):
            object_ (Literal['subscription']):
            stripe_subscription_id (None | str):
            status (str): incomplete, incomplete_expired, trialing, active, past_due, unpaid, paused, canceled
            price (None | str):
            product (None | str):
            quantity (int | None):
            currency (None | str):
            items (list[ItemView]):
            discounts (list[str]):
            current_period_start (datetime.datetime | None):
            current_period_end (datetime.datetime | None):
            trial_start (datetime.datetime | None):
            trial_end (datetime.datetime | None): null: it began without a trial
            cancel_at_period_end (bool):
            cancel_at (datetime.datetime | None):
            canceled_at (datetime.datetime | None):
            ended_at (datetime.datetime | None):
            cancellation (CancellationView): Why it was canceled.
            pause_collection (None | PauseView):
            pending_update (None | PendingUpdate):
            default_payment_method (None | str):
            latest_invoice_id (None | str):
            metadata (SubscriptionViewMetadata):
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            client_secret (None | str | Unset): to pay what waits for the customer, by Stripe.js; only in the answers of
                commands
            next_action (None | SubscriptionViewNextActionType0 | Unset): what the customer has to do
            setup_client_secret (None | str | Unset): to save a payment method before the trial ends, by Stripe.js
            attempt (AttemptView | None | Unset): only with 202
            user_id (None | Unset | UUID): staff only
            stripe_customer_id (None | str | Unset): staff only
            flagged (bool | None | Unset): staff only: made elsewhere beside another live one """

    id: UUID
    object_: Literal['subscription']
    stripe_subscription_id: None | str
    status: str
    price: None | str
    product: None | str
    quantity: int | None
    currency: None | str
    items: list[ItemView]
    discounts: list[str]
    current_period_start: datetime.datetime | None
    current_period_end: datetime.datetime | None
    trial_start: datetime.datetime | None
    trial_end: datetime.datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime.datetime | None
    canceled_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    cancellation: CancellationView
    pause_collection: None | PauseView
    pending_update: None | PendingUpdate
    default_payment_method: None | str
    latest_invoice_id: None | str
    metadata: SubscriptionViewMetadata
    created_at: datetime.datetime
    updated_at: datetime.datetime
    client_secret: None | str | Unset = UNSET
    next_action: None | SubscriptionViewNextActionType0 | Unset = UNSET
    setup_client_secret: None | str | Unset = UNSET
    attempt: AttemptView | None | Unset = UNSET
    user_id: None | Unset | UUID = UNSET
    stripe_customer_id: None | str | Unset = UNSET
    flagged: bool | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.cancellation_view import CancellationView # noqa: PLC0415
        from ..models.item_view import ItemView # noqa: PLC0415
        from ..models.pause_view import PauseView # noqa: PLC0415
        from ..models.pending_update import PendingUpdate # noqa: PLC0415
        from ..models.subscription_view_metadata import SubscriptionViewMetadata # noqa: PLC0415
        from ..models.subscription_view_next_action_type_0 import SubscriptionViewNextActionType0 # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_subscription_id: None | str
        stripe_subscription_id = self.stripe_subscription_id

        status = self.status

        price: None | str
        price = self.price

        product: None | str
        product = self.product

        quantity: int | None
        quantity = self.quantity

        currency: None | str
        currency = self.currency

        items = []
        for items_item_data in self.items:
            items_item = items_item_data.to_dict()
            items.append(items_item)



        discounts = self.discounts



        current_period_start: None | str
        if isinstance(self.current_period_start, datetime.datetime):
            current_period_start = self.current_period_start.isoformat()
        else:
            current_period_start = self.current_period_start

        current_period_end: None | str
        if isinstance(self.current_period_end, datetime.datetime):
            current_period_end = self.current_period_end.isoformat()
        else:
            current_period_end = self.current_period_end

        trial_start: None | str
        if isinstance(self.trial_start, datetime.datetime):
            trial_start = self.trial_start.isoformat()
        else:
            trial_start = self.trial_start

        trial_end: None | str
        if isinstance(self.trial_end, datetime.datetime):
            trial_end = self.trial_end.isoformat()
        else:
            trial_end = self.trial_end

        cancel_at_period_end = self.cancel_at_period_end

        cancel_at: None | str
        if isinstance(self.cancel_at, datetime.datetime):
            cancel_at = self.cancel_at.isoformat()
        else:
            cancel_at = self.cancel_at

        canceled_at: None | str
        if isinstance(self.canceled_at, datetime.datetime):
            canceled_at = self.canceled_at.isoformat()
        else:
            canceled_at = self.canceled_at

        ended_at: None | str
        if isinstance(self.ended_at, datetime.datetime):
            ended_at = self.ended_at.isoformat()
        else:
            ended_at = self.ended_at

        cancellation = self.cancellation.to_dict()

        pause_collection: dict[str, Any] | None
        if isinstance(self.pause_collection, PauseView):
            pause_collection = self.pause_collection.to_dict()
        else:
            pause_collection = self.pause_collection

        pending_update: dict[str, Any] | None
        if isinstance(self.pending_update, PendingUpdate):
            pending_update = self.pending_update.to_dict()
        else:
            pending_update = self.pending_update

        default_payment_method: None | str
        default_payment_method = self.default_payment_method

        latest_invoice_id: None | str
        latest_invoice_id = self.latest_invoice_id

        metadata = self.metadata.to_dict()

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        client_secret: None | str | Unset
        if isinstance(self.client_secret, Unset):
            client_secret = UNSET
        else:
            client_secret = self.client_secret

        next_action: dict[str, Any] | None | Unset
        if isinstance(self.next_action, Unset):
            next_action = UNSET
        elif isinstance(self.next_action, SubscriptionViewNextActionType0):
            next_action = self.next_action.to_dict()
        else:
            next_action = self.next_action

        setup_client_secret: None | str | Unset
        if isinstance(self.setup_client_secret, Unset):
            setup_client_secret = UNSET
        else:
            setup_client_secret = self.setup_client_secret

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

        flagged: bool | None | Unset
        if isinstance(self.flagged, Unset):
            flagged = UNSET
        else:
            flagged = self.flagged


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "stripe_subscription_id": stripe_subscription_id,
            "status": status,
            "price": price,
            "product": product,
            "quantity": quantity,
            "currency": currency,
            "items": items,
            "discounts": discounts,
            "current_period_start": current_period_start,
            "current_period_end": current_period_end,
            "trial_start": trial_start,
            "trial_end": trial_end,
            "cancel_at_period_end": cancel_at_period_end,
            "cancel_at": cancel_at,
            "canceled_at": canceled_at,
            "ended_at": ended_at,
            "cancellation": cancellation,
            "pause_collection": pause_collection,
            "pending_update": pending_update,
            "default_payment_method": default_payment_method,
            "latest_invoice_id": latest_invoice_id,
            "metadata": metadata,
            "created_at": created_at,
            "updated_at": updated_at,
        })
        if client_secret is not UNSET:
            field_dict["client_secret"] = client_secret
        if next_action is not UNSET:
            field_dict["next_action"] = next_action
        if setup_client_secret is not UNSET:
            field_dict["setup_client_secret"] = setup_client_secret
        if attempt is not UNSET:
            field_dict["attempt"] = attempt
        if user_id is not UNSET:
            field_dict["user_id"] = user_id
        if stripe_customer_id is not UNSET:
            field_dict["stripe_customer_id"] = stripe_customer_id
        if flagged is not UNSET:
            field_dict["flagged"] = flagged

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.cancellation_view import CancellationView # noqa: PLC0415
        from ..models.item_view import ItemView # noqa: PLC0415
        from ..models.pause_view import PauseView # noqa: PLC0415
        from ..models.pending_update import PendingUpdate # noqa: PLC0415
        from ..models.subscription_view_metadata import SubscriptionViewMetadata # noqa: PLC0415
        from ..models.subscription_view_next_action_type_0 import SubscriptionViewNextActionType0 # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['subscription'] , d.pop("object"))
        if object_ != 'subscription':
            raise ValueError(f"object must match const 'subscription', got '{object_}'")

        def _parse_stripe_subscription_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        stripe_subscription_id = _parse_stripe_subscription_id(d.pop("stripe_subscription_id"))


        status = d.pop("status")

        def _parse_price(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        price = _parse_price(d.pop("price"))


        def _parse_product(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        product = _parse_product(d.pop("product"))


        def _parse_quantity(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        quantity = _parse_quantity(d.pop("quantity"))


        def _parse_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        currency = _parse_currency(d.pop("currency"))


        items = []
        _items = d.pop("items")
        for items_item_data in (_items):
            items_item = ItemView.from_dict(items_item_data)



            items.append(items_item)


        discounts = cast(list[str], d.pop("discounts"))


        def _parse_current_period_start(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                current_period_start_type_0 = datetime.datetime.fromisoformat(data)



                return current_period_start_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        current_period_start = _parse_current_period_start(d.pop("current_period_start"))


        def _parse_current_period_end(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                current_period_end_type_0 = datetime.datetime.fromisoformat(data)



                return current_period_end_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        current_period_end = _parse_current_period_end(d.pop("current_period_end"))


        def _parse_trial_start(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                trial_start_type_0 = datetime.datetime.fromisoformat(data)



                return trial_start_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        trial_start = _parse_trial_start(d.pop("trial_start"))


        def _parse_trial_end(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                trial_end_type_0 = datetime.datetime.fromisoformat(data)



                return trial_end_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        trial_end = _parse_trial_end(d.pop("trial_end"))


        cancel_at_period_end = d.pop("cancel_at_period_end")

        def _parse_cancel_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                cancel_at_type_0 = datetime.datetime.fromisoformat(data)



                return cancel_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        cancel_at = _parse_cancel_at(d.pop("cancel_at"))


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


        def _parse_ended_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                ended_at_type_0 = datetime.datetime.fromisoformat(data)



                return ended_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        ended_at = _parse_ended_at(d.pop("ended_at"))


        cancellation = CancellationView.from_dict(d.pop("cancellation"))




        def _parse_pause_collection(data: object) -> None | PauseView:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                pause_collection_type_0 = PauseView.from_dict(data)



                return pause_collection_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PauseView, data)

        pause_collection = _parse_pause_collection(d.pop("pause_collection"))


        def _parse_pending_update(data: object) -> None | PendingUpdate:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                pending_update_type_0 = PendingUpdate.from_dict(data)



                return pending_update_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PendingUpdate, data)

        pending_update = _parse_pending_update(d.pop("pending_update"))


        def _parse_default_payment_method(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        default_payment_method = _parse_default_payment_method(d.pop("default_payment_method"))


        def _parse_latest_invoice_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        latest_invoice_id = _parse_latest_invoice_id(d.pop("latest_invoice_id"))


        metadata = SubscriptionViewMetadata.from_dict(d.pop("metadata"))




        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        def _parse_client_secret(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        client_secret = _parse_client_secret(d.pop("client_secret", UNSET))


        def _parse_next_action(data: object) -> None | SubscriptionViewNextActionType0 | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                next_action_type_0 = SubscriptionViewNextActionType0.from_dict(data)



                return next_action_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | SubscriptionViewNextActionType0 | Unset, data)

        next_action = _parse_next_action(d.pop("next_action", UNSET))


        def _parse_setup_client_secret(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        setup_client_secret = _parse_setup_client_secret(d.pop("setup_client_secret", UNSET))


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


        def _parse_flagged(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        flagged = _parse_flagged(d.pop("flagged", UNSET))


        subscription_view = cls(
            id=id,
            object_=object_,
            stripe_subscription_id=stripe_subscription_id,
            status=status,
            price=price,
            product=product,
            quantity=quantity,
            currency=currency,
            items=items,
            discounts=discounts,
            current_period_start=current_period_start,
            current_period_end=current_period_end,
            trial_start=trial_start,
            trial_end=trial_end,
            cancel_at_period_end=cancel_at_period_end,
            cancel_at=cancel_at,
            canceled_at=canceled_at,
            ended_at=ended_at,
            cancellation=cancellation,
            pause_collection=pause_collection,
            pending_update=pending_update,
            default_payment_method=default_payment_method,
            latest_invoice_id=latest_invoice_id,
            metadata=metadata,
            created_at=created_at,
            updated_at=updated_at,
            client_secret=client_secret,
            next_action=next_action,
            setup_client_secret=setup_client_secret,
            attempt=attempt,
            user_id=user_id,
            stripe_customer_id=stripe_customer_id,
            flagged=flagged,
        )


        subscription_view.additional_properties = d
        return subscription_view

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
