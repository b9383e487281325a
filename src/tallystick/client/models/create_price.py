from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..types import UNSET, Unset
from typing import cast

if TYPE_CHECKING:
  from ..models.create_price_metadata import CreatePriceMetadata
  from ..models.create_recurring import CreateRecurring





T = TypeVar("T", bound="CreatePrice")



@_attrs_define
class CreatePrice:
    """ A price of a new product; without `recurring` it is paid once.

        Attributes:
            unit_amount (int): minor units of the currency
            currency (str):
            recurring (CreateRecurring | None | Unset):
            nickname (None | str | Unset):
            lookup_key (None | str | Unset):
            metadata (CreatePriceMetadata | Unset): """

    unit_amount: int
    currency: str
    recurring: CreateRecurring | None | Unset = UNSET
    nickname: None | str | Unset = UNSET
    lookup_key: None | str | Unset = UNSET
    metadata: CreatePriceMetadata | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        from ..models.create_price_metadata import CreatePriceMetadata # noqa: PLC0415
        from ..models.create_recurring import CreateRecurring # noqa: PLC0415
        unit_amount = self.unit_amount

        currency = self.currency

        recurring: dict[str, Any] | None | Unset
        if isinstance(self.recurring, Unset):
            recurring = UNSET
        elif isinstance(self.recurring, CreateRecurring):
            recurring = self.recurring.to_dict()
        else:
            recurring = self.recurring

        nickname: None | str | Unset
        if isinstance(self.nickname, Unset):
            nickname = UNSET
        else:
            nickname = self.nickname

        lookup_key: None | str | Unset
        if isinstance(self.lookup_key, Unset):
            lookup_key = UNSET
        else:
            lookup_key = self.lookup_key

        metadata: dict[str, Any] | Unset = UNSET
        if not isinstance(self.metadata, Unset):
            metadata = self.metadata.to_dict()


        field_dict: dict[str, Any] = {}

        field_dict.update({
            "unit_amount": unit_amount,
            "currency": currency,
        })
        if recurring is not UNSET:
            field_dict["recurring"] = recurring
        if nickname is not UNSET:
            field_dict["nickname"] = nickname
        if lookup_key is not UNSET:
            field_dict["lookup_key"] = lookup_key
        if metadata is not UNSET:
            field_dict["metadata"] = metadata

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.create_price_metadata import CreatePriceMetadata # noqa: PLC0415
        from ..models.create_recurring import CreateRecurring # noqa: PLC0415
        d = dict(src_dict)
        unit_amount = d.pop("unit_amount")

        currency = d.pop("currency")

        def _parse_recurring(data: object) -> CreateRecurring | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                recurring_type_0 = CreateRecurring.from_dict(data)



                return recurring_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CreateRecurring | None | Unset, data)

        recurring = _parse_recurring(d.pop("recurring", UNSET))


        def _parse_nickname(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        nickname = _parse_nickname(d.pop("nickname", UNSET))


        def _parse_lookup_key(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        lookup_key = _parse_lookup_key(d.pop("lookup_key", UNSET))


        _metadata = d.pop("metadata", UNSET)
        metadata: CreatePriceMetadata | Unset
        if isinstance(_metadata,  Unset):
            metadata = UNSET
        else:
            metadata = CreatePriceMetadata.from_dict(_metadata)




        create_price = cls(
            unit_amount=unit_amount,
            currency=currency,
            recurring=recurring,
            nickname=nickname,
            lookup_key=lookup_key,
            metadata=metadata,
        )

        return create_price

