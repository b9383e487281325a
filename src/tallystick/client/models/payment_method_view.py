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
  from ..models.card_view import CardView





T = TypeVar("T", bound="PaymentMethodView")



@_attrs_define
class PaymentMethodView:
    """ A payment method; `customer` is null once it is detached.

        Attributes:
            id (UUID):
            object_ (Literal['payment_method']):
            stripe_payment_method_id (str):
            customer (None | str):
            type_ (str):
            card (CardView | None):
            default (bool):
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            attempt (AttemptView | None | Unset): only with 202 """

    id: UUID
    object_: Literal['payment_method']
    stripe_payment_method_id: str
    customer: None | str
    type_: str
    card: CardView | None
    default: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime
    attempt: AttemptView | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.card_view import CardView # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_payment_method_id = self.stripe_payment_method_id

        customer: None | str
        customer = self.customer

        type_ = self.type_

        card: dict[str, Any] | None
        if isinstance(self.card, CardView):
            card = self.card.to_dict()
        else:
            card = self.card

        default = self.default

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        attempt: dict[str, Any] | None | Unset
        if isinstance(self.attempt, Unset):
            attempt = UNSET
        elif isinstance(self.attempt, AttemptView):
            attempt = self.attempt.to_dict()
        else:
            attempt = self.attempt


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "stripe_payment_method_id": stripe_payment_method_id,
            "customer": customer,
            "type": type_,
            "card": card,
            "default": default,
            "created_at": created_at,
            "updated_at": updated_at,
        })
        if attempt is not UNSET:
            field_dict["attempt"] = attempt

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.card_view import CardView # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['payment_method'] , d.pop("object"))
        if object_ != 'payment_method':
            raise ValueError(f"object must match const 'payment_method', got '{object_}'")

        stripe_payment_method_id = d.pop("stripe_payment_method_id")

        def _parse_customer(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        customer = _parse_customer(d.pop("customer"))


        type_ = d.pop("type")

        def _parse_card(data: object) -> CardView | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                card_type_0 = CardView.from_dict(data)



                return card_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CardView | None, data)

        card = _parse_card(d.pop("card"))


        default = d.pop("default")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




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


        payment_method_view = cls(
            id=id,
            object_=object_,
            stripe_payment_method_id=stripe_payment_method_id,
            customer=customer,
            type_=type_,
            card=card,
            default=default,
            created_at=created_at,
            updated_at=updated_at,
            attempt=attempt,
        )


        payment_method_view.additional_properties = d
        return payment_method_view

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
