from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.granted_product_view_state import check_granted_product_view_state
from ..models.granted_product_view_state import GrantedProductViewState
from typing import cast
from uuid import UUID
import datetime






T = TypeVar("T", bound="GrantedProductView")



@_attrs_define
class GrantedProductView:
    """ A product that a user may use, by one subscription.

        Attributes:
            product (str): Stripe's id
            name (None | str):
            subscription (UUID):
            price (None | str): Stripe's id
            quantity (int | None): null where it is metered
            state (GrantedProductViewState): `grace`: an invoice is unpaid, access goes on for a while; `past_due`: which
                one is not known yet
            until (datetime.datetime | None): when it ends by itself; null: not by itself
            since (datetime.datetime): """

    product: str
    name: None | str
    subscription: UUID
    price: None | str
    quantity: int | None
    state: GrantedProductViewState
    until: datetime.datetime | None
    since: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        product = self.product

        name: None | str
        name = self.name

        subscription = str(self.subscription)

        price: None | str
        price = self.price

        quantity: int | None
        quantity = self.quantity

        state: str = self.state

        until: None | str
        if isinstance(self.until, datetime.datetime):
            until = self.until.isoformat()
        else:
            until = self.until

        since = self.since.isoformat()


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "product": product,
            "name": name,
            "subscription": subscription,
            "price": price,
            "quantity": quantity,
            "state": state,
            "until": until,
            "since": since,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        product = d.pop("product")

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))


        subscription = UUID(d.pop("subscription"))




        def _parse_price(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        price = _parse_price(d.pop("price"))


        def _parse_quantity(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        quantity = _parse_quantity(d.pop("quantity"))


        state = check_granted_product_view_state(d.pop("state"))




        def _parse_until(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                until_type_0 = datetime.datetime.fromisoformat(data)



                return until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        until = _parse_until(d.pop("until"))


        since = datetime.datetime.fromisoformat(d.pop("since"))




        granted_product_view = cls(
            product=product,
            name=name,
            subscription=subscription,
            price=price,
            quantity=quantity,
            state=state,
            until=until,
            since=since,
        )


        granted_product_view.additional_properties = d
        return granted_product_view

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
