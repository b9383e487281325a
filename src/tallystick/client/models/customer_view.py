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
  from ..models.customer_view_address_type_0 import CustomerViewAddressType0
  from ..models.customer_view_metadata_type_0 import CustomerViewMetadataType0





T = TypeVar("T", bound="CustomerView")



@_attrs_define
class CustomerView:
    """ A customer; of a deleted one only its ids and times.

        Attributes:
            id (UUID):
            object_ (Literal['customer']):
            stripe_customer_id (str):
            deleted (bool):
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            email (None | str | Unset):
            name (None | str | Unset):
            phone (None | str | Unset):
            address (CustomerViewAddressType0 | None | Unset):
            metadata (CustomerViewMetadataType0 | None | Unset):
            default_payment_method (None | str | Unset): Stripe's id
            attempt (AttemptView | None | Unset): only with 202
            user_id (None | Unset | UUID): staff only, and only when read
            flagged (bool | None | Unset): made elsewhere for a user who has another customer; staff only, and only when
                read """

    id: UUID
    object_: Literal['customer']
    stripe_customer_id: str
    deleted: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime
    email: None | str | Unset = UNSET
    name: None | str | Unset = UNSET
    phone: None | str | Unset = UNSET
    address: CustomerViewAddressType0 | None | Unset = UNSET
    metadata: CustomerViewMetadataType0 | None | Unset = UNSET
    default_payment_method: None | str | Unset = UNSET
    attempt: AttemptView | None | Unset = UNSET
    user_id: None | Unset | UUID = UNSET
    flagged: bool | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.customer_view_address_type_0 import CustomerViewAddressType0 # noqa: PLC0415
        from ..models.customer_view_metadata_type_0 import CustomerViewMetadataType0 # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_customer_id = self.stripe_customer_id

        deleted = self.deleted

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        email: None | str | Unset
        if isinstance(self.email, Unset):
            email = UNSET
        else:
            email = self.email

        name: None | str | Unset
        if isinstance(self.name, Unset):
            name = UNSET
        else:
            name = self.name

        phone: None | str | Unset
        if isinstance(self.phone, Unset):
            phone = UNSET
        else:
            phone = self.phone

        address: dict[str, Any] | None | Unset
        if isinstance(self.address, Unset):
            address = UNSET
        elif isinstance(self.address, CustomerViewAddressType0):
            address = self.address.to_dict()
        else:
            address = self.address

        metadata: dict[str, Any] | None | Unset
        if isinstance(self.metadata, Unset):
            metadata = UNSET
        elif isinstance(self.metadata, CustomerViewMetadataType0):
            metadata = self.metadata.to_dict()
        else:
            metadata = self.metadata

        default_payment_method: None | str | Unset
        if isinstance(self.default_payment_method, Unset):
            default_payment_method = UNSET
        else:
            default_payment_method = self.default_payment_method

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
            "stripe_customer_id": stripe_customer_id,
            "deleted": deleted,
            "created_at": created_at,
            "updated_at": updated_at,
        })
        if email is not UNSET:
            field_dict["email"] = email
        if name is not UNSET:
            field_dict["name"] = name
        if phone is not UNSET:
            field_dict["phone"] = phone
        if address is not UNSET:
            field_dict["address"] = address
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if default_payment_method is not UNSET:
            field_dict["default_payment_method"] = default_payment_method
        if attempt is not UNSET:
            field_dict["attempt"] = attempt
        if user_id is not UNSET:
            field_dict["user_id"] = user_id
        if flagged is not UNSET:
            field_dict["flagged"] = flagged

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.customer_view_address_type_0 import CustomerViewAddressType0 # noqa: PLC0415
        from ..models.customer_view_metadata_type_0 import CustomerViewMetadataType0 # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['customer'] , d.pop("object"))
        if object_ != 'customer':
            raise ValueError(f"object must match const 'customer', got '{object_}'")

        stripe_customer_id = d.pop("stripe_customer_id")

        deleted = d.pop("deleted")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))




        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))




        def _parse_email(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        email = _parse_email(d.pop("email", UNSET))


        def _parse_name(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        name = _parse_name(d.pop("name", UNSET))


        def _parse_phone(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        phone = _parse_phone(d.pop("phone", UNSET))


        def _parse_address(data: object) -> CustomerViewAddressType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                address_type_0 = CustomerViewAddressType0.from_dict(data)



                return address_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CustomerViewAddressType0 | None | Unset, data)

        address = _parse_address(d.pop("address", UNSET))


        def _parse_metadata(data: object) -> CustomerViewMetadataType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                metadata_type_0 = CustomerViewMetadataType0.from_dict(data)



                return metadata_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CustomerViewMetadataType0 | None | Unset, data)

        metadata = _parse_metadata(d.pop("metadata", UNSET))


        def _parse_default_payment_method(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        default_payment_method = _parse_default_payment_method(d.pop("default_payment_method", UNSET))


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


        def _parse_flagged(data: object) -> bool | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(bool | None | Unset, data)

        flagged = _parse_flagged(d.pop("flagged", UNSET))


        customer_view = cls(
            id=id,
            object_=object_,
            stripe_customer_id=stripe_customer_id,
            deleted=deleted,
            created_at=created_at,
            updated_at=updated_at,
            email=email,
            name=name,
            phone=phone,
            address=address,
            metadata=metadata,
            default_payment_method=default_payment_method,
            attempt=attempt,
            user_id=user_id,
            flagged=flagged,
        )


        customer_view.additional_properties = d
        return customer_view

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
