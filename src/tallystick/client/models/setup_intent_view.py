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





T = TypeVar("T", bound="SetupIntentView")



@_attrs_define
class SetupIntentView:
    """ A setup intent. The browser confirms it with the client secret and the customer's card (`confirmSetup`).

        Attributes:
            id (UUID):
            object_ (Literal['setup_intent']):
            stripe_setup_intent_id (str):
            status (str):
            payment_method (None | str): Stripe's id, once there is one
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            client_secret (None | str | Unset): only in the answer to the request that made it
            attempt (AttemptView | None | Unset): only with 202 """

    id: UUID
    object_: Literal['setup_intent']
    stripe_setup_intent_id: str
    status: str
    payment_method: None | str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    client_secret: None | str | Unset = UNSET
    attempt: AttemptView | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_setup_intent_id = self.stripe_setup_intent_id

        status = self.status

        payment_method: None | str
        payment_method = self.payment_method

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        client_secret: None | str | Unset
        if isinstance(self.client_secret, Unset):
            client_secret = UNSET
        else:
            client_secret = self.client_secret

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
            "stripe_setup_intent_id": stripe_setup_intent_id,
            "status": status,
            "payment_method": payment_method,
            "created_at": created_at,
            "updated_at": updated_at,
        })
        if client_secret is not UNSET:
            field_dict["client_secret"] = client_secret
        if attempt is not UNSET:
            field_dict["attempt"] = attempt

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['setup_intent'] , d.pop("object"))
        if object_ != 'setup_intent':
            raise ValueError(f"object must match const 'setup_intent', got '{object_}'")

        stripe_setup_intent_id = d.pop("stripe_setup_intent_id")

        status = d.pop("status")

        def _parse_payment_method(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        payment_method = _parse_payment_method(d.pop("payment_method"))


        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        def _parse_client_secret(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        client_secret = _parse_client_secret(d.pop("client_secret", UNSET))


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


        setup_intent_view = cls(
            id=id,
            object_=object_,
            stripe_setup_intent_id=stripe_setup_intent_id,
            status=status,
            payment_method=payment_method,
            created_at=created_at,
            updated_at=updated_at,
            client_secret=client_secret,
            attempt=attempt,
        )


        setup_intent_view.additional_properties = d
        return setup_intent_view

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
