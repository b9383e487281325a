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
  from ..models.invoice_view_metadata import InvoiceViewMetadata
  from ..models.line_view import LineView





T = TypeVar("T", bound="InvoiceView")



@_attrs_define
class InvoiceView:
    """ An invoice; amounts in minor units, times in UTC.

        Attributes:
            id (UUID):
            object_ (Literal['invoice']):
            stripe_invoice_id (str):
            stripe_subscription_id (None | str):
            number (None | str):
            status (None | str): draft, open, paid, uncollectible, void
            billing_reason (None | str):
            currency (str):
            subtotal (int):
            discount (int):
            tax (int):
            total (int):
            starting_balance (int): the customer's balance before; negative is credit
            ending_balance (int | None):
            amount_due (int):
            amount_paid (int):
            amount_remaining (int):
            attempt_count (int):
            next_payment_attempt (datetime.datetime | None):
            first_failed_at (datetime.datetime | None):
            collection_method (None | str):
            due_date (datetime.datetime | None):
            period_start (datetime.datetime | None):
            period_end (datetime.datetime | None):
            finalized_at (datetime.datetime | None):
            paid_at (datetime.datetime | None):
            hosted_invoice_url (None | str):
            invoice_pdf (None | str):
            metadata (InvoiceViewMetadata):
            lines (list[LineView]):
            more_lines (bool): not all of the lines are here yet
            created_at (datetime.datetime):
            updated_at (datetime.datetime):
            attempt (AttemptView | None | Unset): only with 202
            user_id (None | Unset | UUID): staff only
            stripe_customer_id (None | str | Unset): staff only
            stripe_payment_intent_id (None | str | Unset): staff only """

    id: UUID
    object_: Literal['invoice']
    stripe_invoice_id: str
    stripe_subscription_id: None | str
    number: None | str
    status: None | str
    billing_reason: None | str
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    starting_balance: int
    ending_balance: int | None
    amount_due: int
    amount_paid: int
    amount_remaining: int
    attempt_count: int
    next_payment_attempt: datetime.datetime | None
    first_failed_at: datetime.datetime | None
    collection_method: None | str
    due_date: datetime.datetime | None
    period_start: datetime.datetime | None
    period_end: datetime.datetime | None
    finalized_at: datetime.datetime | None
    paid_at: datetime.datetime | None
    hosted_invoice_url: None | str
    invoice_pdf: None | str
    metadata: InvoiceViewMetadata
    lines: list[LineView]
    more_lines: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime
    attempt: AttemptView | None | Unset = UNSET
    user_id: None | Unset | UUID = UNSET
    stripe_customer_id: None | str | Unset = UNSET
    stripe_payment_intent_id: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)





    def to_dict(self) -> dict[str, Any]:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.invoice_view_metadata import InvoiceViewMetadata # noqa: PLC0415
        from ..models.line_view import LineView # noqa: PLC0415
        id = str(self.id)

        object_ = self.object_

        stripe_invoice_id = self.stripe_invoice_id

        stripe_subscription_id: None | str
        stripe_subscription_id = self.stripe_subscription_id

        number: None | str
        number = self.number

        status: None | str
        status = self.status

        billing_reason: None | str
        billing_reason = self.billing_reason

        currency = self.currency

        subtotal = self.subtotal

        discount = self.discount

        tax = self.tax

        total = self.total

        starting_balance = self.starting_balance

        ending_balance: int | None
        ending_balance = self.ending_balance

        amount_due = self.amount_due

        amount_paid = self.amount_paid

        amount_remaining = self.amount_remaining

        attempt_count = self.attempt_count

        next_payment_attempt: None | str
        if isinstance(self.next_payment_attempt, datetime.datetime):
            next_payment_attempt = self.next_payment_attempt.isoformat()
        else:
            next_payment_attempt = self.next_payment_attempt

        first_failed_at: None | str
        if isinstance(self.first_failed_at, datetime.datetime):
            first_failed_at = self.first_failed_at.isoformat()
        else:
            first_failed_at = self.first_failed_at

        collection_method: None | str
        collection_method = self.collection_method

        due_date: None | str
        if isinstance(self.due_date, datetime.datetime):
            due_date = self.due_date.isoformat()
        else:
            due_date = self.due_date

        period_start: None | str
        if isinstance(self.period_start, datetime.datetime):
            period_start = self.period_start.isoformat()
        else:
            period_start = self.period_start

        period_end: None | str
        if isinstance(self.period_end, datetime.datetime):
            period_end = self.period_end.isoformat()
        else:
            period_end = self.period_end

        finalized_at: None | str
        if isinstance(self.finalized_at, datetime.datetime):
            finalized_at = self.finalized_at.isoformat()
        else:
            finalized_at = self.finalized_at

        paid_at: None | str
        if isinstance(self.paid_at, datetime.datetime):
            paid_at = self.paid_at.isoformat()
        else:
            paid_at = self.paid_at

        hosted_invoice_url: None | str
        hosted_invoice_url = self.hosted_invoice_url

        invoice_pdf: None | str
        invoice_pdf = self.invoice_pdf

        metadata = self.metadata.to_dict()

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)



        more_lines = self.more_lines

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

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

        stripe_payment_intent_id: None | str | Unset
        if isinstance(self.stripe_payment_intent_id, Unset):
            stripe_payment_intent_id = UNSET
        else:
            stripe_payment_intent_id = self.stripe_payment_intent_id


        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({
            "id": id,
            "object": object_,
            "stripe_invoice_id": stripe_invoice_id,
            "stripe_subscription_id": stripe_subscription_id,
            "number": number,
            "status": status,
            "billing_reason": billing_reason,
            "currency": currency,
            "subtotal": subtotal,
            "discount": discount,
            "tax": tax,
            "total": total,
            "starting_balance": starting_balance,
            "ending_balance": ending_balance,
            "amount_due": amount_due,
            "amount_paid": amount_paid,
            "amount_remaining": amount_remaining,
            "attempt_count": attempt_count,
            "next_payment_attempt": next_payment_attempt,
            "first_failed_at": first_failed_at,
            "collection_method": collection_method,
            "due_date": due_date,
            "period_start": period_start,
            "period_end": period_end,
            "finalized_at": finalized_at,
            "paid_at": paid_at,
            "hosted_invoice_url": hosted_invoice_url,
            "invoice_pdf": invoice_pdf,
            "metadata": metadata,
            "lines": lines,
            "more_lines": more_lines,
            "created_at": created_at,
            "updated_at": updated_at,
        })
        if attempt is not UNSET:
            field_dict["attempt"] = attempt
        if user_id is not UNSET:
            field_dict["user_id"] = user_id
        if stripe_customer_id is not UNSET:
            field_dict["stripe_customer_id"] = stripe_customer_id
        if stripe_payment_intent_id is not UNSET:
            field_dict["stripe_payment_intent_id"] = stripe_payment_intent_id

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt_view import AttemptView # noqa: PLC0415
        from ..models.invoice_view_metadata import InvoiceViewMetadata # noqa: PLC0415
        from ..models.line_view import LineView # noqa: PLC0415
        d = dict(src_dict)
        id = UUID(d.pop("id"))




        object_ = cast(Literal['invoice'] , d.pop("object"))
        if object_ != 'invoice':
            raise ValueError(f"object must match const 'invoice', got '{object_}'")

        stripe_invoice_id = d.pop("stripe_invoice_id")

        def _parse_stripe_subscription_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        stripe_subscription_id = _parse_stripe_subscription_id(d.pop("stripe_subscription_id"))


        def _parse_number(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        number = _parse_number(d.pop("number"))


        def _parse_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        status = _parse_status(d.pop("status"))


        def _parse_billing_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        billing_reason = _parse_billing_reason(d.pop("billing_reason"))


        currency = d.pop("currency")

        subtotal = d.pop("subtotal")

        discount = d.pop("discount")

        tax = d.pop("tax")

        total = d.pop("total")

        starting_balance = d.pop("starting_balance")

        def _parse_ending_balance(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        ending_balance = _parse_ending_balance(d.pop("ending_balance"))


        amount_due = d.pop("amount_due")

        amount_paid = d.pop("amount_paid")

        amount_remaining = d.pop("amount_remaining")

        attempt_count = d.pop("attempt_count")

        def _parse_next_payment_attempt(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_payment_attempt_type_0 = datetime.datetime.fromisoformat(data)



                return next_payment_attempt_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_payment_attempt = _parse_next_payment_attempt(d.pop("next_payment_attempt"))


        def _parse_first_failed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                first_failed_at_type_0 = datetime.datetime.fromisoformat(data)



                return first_failed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        first_failed_at = _parse_first_failed_at(d.pop("first_failed_at"))


        def _parse_collection_method(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        collection_method = _parse_collection_method(d.pop("collection_method"))


        def _parse_due_date(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                due_date_type_0 = datetime.datetime.fromisoformat(data)



                return due_date_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        due_date = _parse_due_date(d.pop("due_date"))


        def _parse_period_start(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                period_start_type_0 = datetime.datetime.fromisoformat(data)



                return period_start_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        period_start = _parse_period_start(d.pop("period_start"))


        def _parse_period_end(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                period_end_type_0 = datetime.datetime.fromisoformat(data)



                return period_end_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        period_end = _parse_period_end(d.pop("period_end"))


        def _parse_finalized_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                finalized_at_type_0 = datetime.datetime.fromisoformat(data)



                return finalized_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        finalized_at = _parse_finalized_at(d.pop("finalized_at"))


        def _parse_paid_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                paid_at_type_0 = datetime.datetime.fromisoformat(data)



                return paid_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        paid_at = _parse_paid_at(d.pop("paid_at"))


        def _parse_hosted_invoice_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        hosted_invoice_url = _parse_hosted_invoice_url(d.pop("hosted_invoice_url"))


        def _parse_invoice_pdf(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        invoice_pdf = _parse_invoice_pdf(d.pop("invoice_pdf"))


        metadata = InvoiceViewMetadata.from_dict(d.pop("metadata"))




        lines = []
        _lines = d.pop("lines")
        for lines_item_data in (_lines):
            lines_item = LineView.from_dict(lines_item_data)



            lines.append(lines_item)


        more_lines = d.pop("more_lines")

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


        def _parse_stripe_payment_intent_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        stripe_payment_intent_id = _parse_stripe_payment_intent_id(d.pop("stripe_payment_intent_id", UNSET))


        invoice_view = cls(
            id=id,
            object_=object_,
            stripe_invoice_id=stripe_invoice_id,
            stripe_subscription_id=stripe_subscription_id,
            number=number,
            status=status,
            billing_reason=billing_reason,
            currency=currency,
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            total=total,
            starting_balance=starting_balance,
            ending_balance=ending_balance,
            amount_due=amount_due,
            amount_paid=amount_paid,
            amount_remaining=amount_remaining,
            attempt_count=attempt_count,
            next_payment_attempt=next_payment_attempt,
            first_failed_at=first_failed_at,
            collection_method=collection_method,
            due_date=due_date,
            period_start=period_start,
            period_end=period_end,
            finalized_at=finalized_at,
            paid_at=paid_at,
            hosted_invoice_url=hosted_invoice_url,
            invoice_pdf=invoice_pdf,
            metadata=metadata,
            lines=lines,
            more_lines=more_lines,
            created_at=created_at,
            updated_at=updated_at,
            attempt=attempt,
            user_id=user_id,
            stripe_customer_id=stripe_customer_id,
            stripe_payment_intent_id=stripe_payment_intent_id,
        )


        invoice_view.additional_properties = d
        return invoice_view

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
