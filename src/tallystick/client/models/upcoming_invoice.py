from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from typing import cast
from typing import Literal, cast
from uuid import UUID
import datetime

if TYPE_CHECKING:
  from ..models.amount_now import AmountNow
  from ..models.amount_then import AmountThen
  from ..models.preview_line import PreviewLine





T = TypeVar("T", bound="UpcomingInvoice")



@_attrs_define
class UpcomingInvoice:
    """ An invoice that does not exist yet; amounts in minor units.

        Attributes:
            object_ (Literal['upcoming_invoice']):
            subscription_id (UUID):
            currency (str):
            subtotal (int):
            discount (int):
            tax (int):
            total (int):
            starting_balance (int): what the customer has to their credit (negative), or owes
            amount_due (int):
            lines (list[PreviewLine]):
            more_lines (bool):
            due_now (AmountNow | None): null: nothing is billed before the renewal
            due_at_renewal (AmountThen | None):
            proration_date (datetime.datetime | None):
            preview_token (None | str): makes this change by PUT, for what is shown; holds for an hour """

    object_: Literal['upcoming_invoice']
    subscription_id: UUID
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    starting_balance: int
    amount_due: int
    lines: list[PreviewLine]
    more_lines: bool
    due_now: AmountNow | None
    due_at_renewal: AmountThen | None
    proration_date: datetime.datetime | None
    preview_token: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.amount_now import AmountNow # noqa: PLC0415
        from ..models.amount_then import AmountThen # noqa: PLC0415
        from ..models.preview_line import PreviewLine # noqa: PLC0415
        object_ = self.object_

        subscription_id = str(self.subscription_id)

        currency = self.currency

        subtotal = self.subtotal

        discount = self.discount

        tax = self.tax

        total = self.total

        starting_balance = self.starting_balance

        amount_due = self.amount_due

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)



        more_lines = self.more_lines

        due_now: dict[str, Any] | None
        if isinstance(self.due_now, AmountNow):
            due_now = self.due_now.to_dict()
        else:
            due_now = self.due_now

        due_at_renewal: dict[str, Any] | None
        if isinstance(self.due_at_renewal, AmountThen):
            due_at_renewal = self.due_at_renewal.to_dict()
        else:
            due_at_renewal = self.due_at_renewal

        proration_date: None | str
        if isinstance(self.proration_date, datetime.datetime):
            proration_date = self.proration_date.isoformat()
        else:
            proration_date = self.proration_date

        preview_token: None | str
        preview_token = self.preview_token


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "object": object_,
            "subscription_id": subscription_id,
            "currency": currency,
            "subtotal": subtotal,
            "discount": discount,
            "tax": tax,
            "total": total,
            "starting_balance": starting_balance,
            "amount_due": amount_due,
            "lines": lines,
            "more_lines": more_lines,
            "due_now": due_now,
            "due_at_renewal": due_at_renewal,
            "proration_date": proration_date,
            "preview_token": preview_token,
        })

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.amount_now import AmountNow # noqa: PLC0415
        from ..models.amount_then import AmountThen # noqa: PLC0415
        from ..models.preview_line import PreviewLine # noqa: PLC0415
        d = dict(src_dict)
        object_ = cast(Literal['upcoming_invoice'] , d.pop("object"))
        if object_ != 'upcoming_invoice':
            raise ValueError(f"object must match const 'upcoming_invoice', got '{object_}'")

        subscription_id = UUID(d.pop("subscription_id"))




        currency = d.pop("currency")

        subtotal = d.pop("subtotal")

        discount = d.pop("discount")

        tax = d.pop("tax")

        total = d.pop("total")

        starting_balance = d.pop("starting_balance")

        amount_due = d.pop("amount_due")

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in (_lines):
            lines_item = PreviewLine.from_dict(lines_item_data)



            lines.append(lines_item)


        more_lines = d.pop("more_lines")

        def _parse_due_now(data: object) -> AmountNow | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                due_now_type_0 = AmountNow.from_dict(data)



                return due_now_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AmountNow | None, data)

        due_now = _parse_due_now(d.pop("due_now"))


        def _parse_due_at_renewal(data: object) -> AmountThen | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                due_at_renewal_type_0 = AmountThen.from_dict(data)



                return due_at_renewal_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AmountThen | None, data)

        due_at_renewal = _parse_due_at_renewal(d.pop("due_at_renewal"))


        def _parse_proration_date(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                proration_date_type_0 = datetime.datetime.fromisoformat(data)



                return proration_date_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        proration_date = _parse_proration_date(d.pop("proration_date"))


        def _parse_preview_token(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        preview_token = _parse_preview_token(d.pop("preview_token"))


        upcoming_invoice = cls(
            object_=object_,
            subscription_id=subscription_id,
            currency=currency,
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            total=total,
            starting_balance=starting_balance,
            amount_due=amount_due,
            lines=lines,
            more_lines=more_lines,
            due_now=due_now,
            due_at_renewal=due_at_renewal,
            proration_date=proration_date,
            preview_token=preview_token,
        )


        upcoming_invoice.additional_properties = d
        return upcoming_invoice

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
