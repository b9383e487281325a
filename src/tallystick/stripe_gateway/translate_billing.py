"""Stripe's subscriptions, invoices and setup intents into our objects, for every API version, by the fields present.

Where basil (2025-03-31) moved a field, both places are read; FACTS of what moved: Stripe's changelog of that version.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from tallystick.core.clock import from_unix
from tallystick.stripe_gateway.objects_billing import (
    Invoice,
    InvoiceLine,
    InvoicePayment,
    PromotionCode,
    SetupIntent,
    Subscription,
    SubscriptionItem,
)
from tallystick.stripe_gateway.translate import metadata, optional_reference, optional_time, price, reference

__all__ = ["invoice", "invoice_line", "invoice_payment", "promotion_code", "setup_intent", "subscription"]

Json = Mapping[str, Any]


def subscription(obj: Json) -> Subscription:
    """A subscription, with what was expanded in it."""
    details = obj.get("cancellation_details")
    ending = (obj.get("trial_settings") or {}).get("end_behavior") or {}
    latest, setup = obj.get("latest_invoice"), obj.get("pending_setup_intent")
    expanded = invoice(latest) if isinstance(latest, Mapping) else None
    return Subscription(
        id=obj["id"],
        status=obj["status"],
        created=from_unix(obj["created"]),
        metadata=metadata(obj),
        items=[_item(item, obj) for item in (obj.get("items") or {}).get("data") or ()],
        customer=reference(obj.get("customer")),
        currency=obj.get("currency", UNSET),
        start_date=optional_time(obj, "start_date"),
        billing_cycle_anchor=optional_time(obj, "billing_cycle_anchor"),
        trial_start=optional_time(obj, "trial_start"),
        trial_end=optional_time(obj, "trial_end"),
        trial_without_method=ending.get("missing_payment_method", UNSET),
        cancel_at=optional_time(obj, "cancel_at"),
        cancel_at_period_end=obj.get("cancel_at_period_end", UNSET),
        canceled_at=optional_time(obj, "canceled_at"),
        ended_at=optional_time(obj, "ended_at"),
        cancellation_reason=UNSET if details is None else details.get("reason"),
        cancellation_feedback=UNSET if details is None else details.get("feedback"),
        cancellation_comment=UNSET if details is None else details.get("comment"),
        collection_method=obj.get("collection_method", UNSET),
        days_until_due=obj.get("days_until_due", UNSET),
        default_payment_method=optional_reference(obj, "default_payment_method"),
        latest_invoice=optional_reference(obj, "latest_invoice"),
        pending_setup_intent=optional_reference(obj, "pending_setup_intent"),
        pause_collection=_kept(obj, "pause_collection", ("behavior", "resumes_at")),
        pending_update=obj.get("pending_update", UNSET),
        discounts=_discounts(obj),
        schedule=optional_reference(obj, "schedule"),
        test_clock=optional_reference(obj, "test_clock"),
        client_secret=expanded.client_secret if expanded else None,
        setup_secret=setup.get("client_secret") if isinstance(setup, Mapping) else None,
        expanded_invoice=expanded,
    )


def _item(item: Json, parent: Json) -> SubscriptionItem:
    start = item.get("current_period_start", parent.get("current_period_start"))
    end = item.get("current_period_end", parent.get("current_period_end"))
    return SubscriptionItem(
        id=item["id"],
        price=price(item["price"]),
        quantity=item.get("quantity"),
        current_period_start=_time(start),
        current_period_end=_time(end),
    )


def _time(value: int | None) -> datetime | None:
    return None if value is None else from_unix(int(value))


def _kept(obj: Json, name: str, fields: Sequence[str]) -> dict[str, Any] | None | UnsetType:
    if name not in obj:
        return UNSET
    value = obj[name]
    return {field: value.get(field) for field in fields} if value else None


def _discounts(obj: Json) -> list[str] | UnsetType:
    """Ids; before basil there may be only the one `discount`, in full."""
    if obj.get("discounts") is not None:
        return [found for item in obj["discounts"] if (found := reference(item))]
    if "discount" in obj:
        found = reference(obj["discount"])
        return [found] if found else []
    return UNSET


def invoice(obj: Json, *, deleted: bool = False) -> Invoice:
    """An invoice, or the preview of one."""
    listed = obj.get("lines") or {}
    moments = obj.get("status_transitions") or {}
    parent = (obj.get("parent") or {}).get("subscription_details") or {}
    confirmation, intent = obj.get("confirmation_secret"), obj.get("payment_intent")
    secret = confirmation.get("client_secret") if isinstance(confirmation, Mapping) else None
    if isinstance(intent, Mapping):
        secret = intent.get("client_secret")
    proration_date = parent.get("subscription_proration_date", obj.get("subscription_proration_date"))
    return Invoice(
        id=obj.get("id") or "",
        status=obj.get("status"),
        currency=obj["currency"],
        created=from_unix(obj["created"]),
        customer=reference(obj.get("customer")),
        subscription=reference(obj.get("subscription", parent.get("subscription"))),
        billing_reason=obj.get("billing_reason"),
        metadata=metadata(obj),
        subtotal=int(obj["subtotal"]),
        total=int(obj["total"]),
        amount_due=int(obj["amount_due"]),
        amount_paid=int(obj.get("amount_paid") or 0),
        amount_remaining=int(obj.get("amount_remaining") or 0),
        discount=_sum(obj.get("total_discount_amounts")),
        tax=_sum(obj.get("total_taxes", obj.get("total_tax_amounts"))),
        starting_balance=int(obj.get("starting_balance") or 0),
        ending_balance=obj.get("ending_balance"),
        attempted=bool(obj.get("attempted")),
        attempt_count=int(obj.get("attempt_count") or 0),
        lines=[invoice_line(line) for line in listed.get("data") or ()],
        more_lines=bool(listed.get("has_more")),
        number=obj.get("number", UNSET),
        next_payment_attempt=optional_time(obj, "next_payment_attempt"),
        auto_advance=obj.get("auto_advance", UNSET),
        collection_method=obj.get("collection_method", UNSET),
        due_date=optional_time(obj, "due_date"),
        period_start=optional_time(obj, "period_start"),
        period_end=optional_time(obj, "period_end"),
        finalized_at=optional_time(moments, "finalized_at"),
        paid_at=optional_time(moments, "paid_at"),
        voided_at=optional_time(moments, "voided_at"),
        marked_uncollectible_at=optional_time(moments, "marked_uncollectible_at"),
        hosted_invoice_url=obj.get("hosted_invoice_url", UNSET),
        invoice_pdf=obj.get("invoice_pdf", UNSET),
        payment_intent=_intent_of(obj),
        default_payment_method=optional_reference(obj, "default_payment_method"),
        proration_date=UNSET if proration_date is None else from_unix(int(proration_date)),
        deleted=deleted or bool(obj.get("deleted")),
        client_secret=secret,
    )


def _sum(amounts: Sequence[Json] | None) -> int:
    return sum(int(item["amount"]) for item in amounts or ())


def _intent_of(obj: Json) -> str | None | UnsetType:
    if "payment_intent" in obj:
        return reference(obj["payment_intent"])
    payments = obj.get("payments")
    if not isinstance(payments, Mapping):
        return UNSET
    of_intents = [
        item for item in payments.get("data") or () if reference((item.get("payment") or {}).get("payment_intent"))
    ]
    chosen = [item for item in of_intents if item.get("is_default")] or of_intents
    return reference(chosen[0]["payment"]["payment_intent"]) if chosen else None


def invoice_line(line: Json) -> InvoiceLine:
    """A line of an invoice or of a preview."""
    parent = line.get("parent") or {}
    details = parent.get(parent.get("type") or "") or {}
    pricing = (line.get("pricing") or {}).get("price_details") or {}
    period, old_price = line.get("period") or {}, line.get("price")
    product = pricing.get("product", old_price.get("product") if isinstance(old_price, Mapping) else None)
    return InvoiceLine(
        id=line["id"],
        amount=int(line["amount"]),
        currency=line["currency"],
        description=line.get("description"),
        quantity=line.get("quantity"),
        period_start=_time(period.get("start")),
        period_end=_time(period.get("end")),
        price=reference(pricing.get("price", old_price)),
        product=reference(product),
        proration=bool(line.get("proration", details.get("proration"))),
        subscription=reference(line.get("subscription") or details.get("subscription")),
        subscription_item=reference(line.get("subscription_item", details.get("subscription_item"))),
        discount=_sum(line.get("discount_amounts")),
    )


def invoice_payment(obj: Json) -> InvoicePayment:
    """A payment of an invoice."""
    return InvoicePayment(
        id=obj["id"],
        invoice=reference(obj.get("invoice")),
        payment_intent=reference((obj.get("payment") or {}).get("payment_intent")),
        status=obj["status"],
        amount_paid=obj.get("amount_paid"),
        currency=obj["currency"],
        created=from_unix(obj["created"]),
    )


def setup_intent(obj: Json) -> SetupIntent:
    """A setup intent."""
    error = obj.get("last_setup_error")
    return SetupIntent(
        id=obj["id"],
        status=obj["status"],
        created=from_unix(obj["created"]),
        metadata=metadata(obj),
        customer=optional_reference(obj, "customer"),
        payment_method=optional_reference(obj, "payment_method"),
        usage=obj.get("usage", UNSET),
        error_code=UNSET if "last_setup_error" not in obj else (error or {}).get("code"),
        decline_code=UNSET if "last_setup_error" not in obj else (error or {}).get("decline_code"),
        client_secret=obj.get("client_secret"),
        next_action=obj.get("next_action"),
    )


def promotion_code(obj: Json) -> PromotionCode:
    """A promotion code; of its coupon nothing."""
    return PromotionCode(
        id=obj["id"], code=obj["code"], active=bool(obj["active"]), customer=reference(obj.get("customer"))
    )
