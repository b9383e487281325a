"""All the sandbox knows about Stripe's objects, gathered from the modules of `resources`."""

from collections.abc import Callable

from tallystick.sandbox.context import Context
from tallystick.sandbox.expand import Include
from tallystick.sandbox.resources import (
    account,
    balance_transactions,
    billing_portal_configurations,
    billing_portal_sessions,
    charges,
    checkout_sessions,
    confirmation_tokens,
    coupons,
    customer_balance,
    customers,
    discounts,
    disputes,
    elements_sessions,
    entitlements,
    events,
    invoice_items,
    invoice_payments,
    invoices,
    invoices_collect,
    invoices_preview,
    payment_flow,
    payment_intents,
    payment_methods,
    prices,
    products,
    promotion_codes,
    refunds,
    setup_attempts,
    setup_intents,
    subscription_items,
    subscription_schedules,
    subscriptions,
    subscriptions_cancel,
    subscriptions_cycle,
    test_clocks,
    tokens,
    webhook_endpoints,
)
from tallystick.sandbox.routing import Router
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "FOLLOW_UPS", "INCLUDES", "INDEXED", "JOBS", "ROUTER", "fresh"]

ROUTER = Router(
    route
    for module in (
        account,
        balance_transactions,
        billing_portal_configurations,
        billing_portal_sessions,
        charges,
        checkout_sessions,
        confirmation_tokens,
        coupons,
        customer_balance,
        customers,
        discounts,
        disputes,
        elements_sessions,
        entitlements,
        events,
        invoice_items,
        invoice_payments,
        invoices,
        invoices_preview,
        payment_intents,
        payment_methods,
        prices,
        products,
        promotion_codes,
        refunds,
        setup_attempts,
        setup_intents,
        subscription_items,
        subscription_schedules,
        subscriptions,
        test_clocks,
        tokens,
        webhook_endpoints,
    )
    for route in module.ROUTES
)

EXPANDABLE: dict[str, frozenset[str]] = {
    "balance_transaction": balance_transactions.EXPANDABLE,
    "billing_portal.session": billing_portal_sessions.EXPANDABLE,
    "charge": charges.EXPANDABLE,
    "checkout.session": checkout_sessions.EXPANDABLE,
    "customer": customers.EXPANDABLE,
    "customer_balance_transaction": customer_balance.EXPANDABLE,
    "discount": discounts.EXPANDABLE,
    "dispute": disputes.EXPANDABLE,
    "entitlements.active_entitlement": entitlements.EXPANDABLE,
    "invoice": invoices.EXPANDABLE,
    "invoice_payment": invoice_payments.EXPANDABLE,
    "invoiceitem": invoice_items.EXPANDABLE,
    "item": checkout_sessions.ITEM_EXPANDABLE,
    "line_item": invoices.LINE_EXPANDABLE,
    "payment_intent": payment_intents.EXPANDABLE,
    "payment_method": payment_methods.EXPANDABLE,
    "price": prices.EXPANDABLE,
    "product": products.EXPANDABLE,
    "promotion_code": promotion_codes.EXPANDABLE,
    "radar.early_fraud_warning": disputes.WARNING_EXPANDABLE,
    "refund": refunds.EXPANDABLE,
    "setup_attempt": setup_attempts.EXPANDABLE,
    "setup_intent": setup_intents.EXPANDABLE,
    "subscription": subscriptions.EXPANDABLE,
    "subscription_item": subscriptions.ITEM_EXPANDABLE,
    "subscription_schedule": subscription_schedules.EXPANDABLE,
}
"""The id fields that `expand` turns into objects."""

INCLUDES: dict[tuple[str, str], Include] = {
    **checkout_sessions.INCLUDES,
    **coupons.INCLUDES,
    **customers.INCLUDES,
    **invoice_payments.INCLUDES,
    **invoices.INCLUDES,
    **prices.INCLUDES,
    **refunds.INCLUDES,
    **subscriptions.INCLUDES,
}
"""What is printed only when expanded."""

INDEXED: dict[str, tuple[str, ...]] = {
    "balance_transaction": ("currency", "source", "type"),
    "billing_portal.configuration": ("active", "is_default"),
    "charge": ("customer", "payment_intent"),
    "checkout.session": (
        "customer", "customer_details.email", "payment_intent", "setup_intent", "status", "subscription",
    ),
    "customer": ("email", "test_clock"),
    "customer_balance_transaction": ("customer", "invoice"),
    "dispute": ("charge", "payment_intent", "status"),
    "entitlements.feature": ("active", "lookup_key"),
    "event": ("data.object.id", "type"),
    "invoice": (
        "collection_method", "customer", "parent.subscription_details.subscription", "status", "test_clock",
    ),
    "invoice_payment": ("invoice", "payment.payment_intent", "status"),
    "invoiceitem": ("customer", "invoice", "test_clock"),
    "payment_intent": ("customer", "status"),
    "payment_method": ("customer", "type"),
    "price": (
        "active", "currency", "lookup_key", "product", "recurring.interval", "recurring.meter",
        "recurring.usage_type", "type",
    ),
    "product": ("active", "shippable", "type", "url"),
    "promotion_code": ("active", "code", "customer", "promotion.coupon"),
    "radar.early_fraud_warning": ("charge", "payment_intent"),
    "refund": ("charge", "payment_intent", "status"),
    "setup_attempt": ("setup_intent",),
    "setup_intent": ("customer", "payment_method", "status"),
    "subscription": ("collection_method", "customer", "status", "test_clock"),
    "subscription_schedule": ("customer",),
}  # fmt: skip
"""The fields that lists filter by, Stripe's and the dashboard's."""

JOBS: dict[str, Callable[[Context, str, Json], None]] = {
    **checkout_sessions.JOBS,
    **coupons.JOBS,
    **discounts.JOBS,
    **disputes.JOBS,
    **payment_flow.JOBS,
    **promotion_codes.JOBS,
    **refunds.JOBS,
    **subscription_schedules.JOBS,
    **subscriptions_cycle.JOBS,
    **test_clocks.JOBS,
}
"""What happens at due moments, by the kind given to `Context.later`."""

FOLLOW_UPS: dict[str, Callable[[Context, Json], None]] = {
    **checkout_sessions.FOLLOW_UPS,
    **entitlements.FOLLOW_UPS,
}
"""What happens at the end of a transaction, by the type of an event that it made."""


def _delete_customer(ctx: Context, customer_id: str, _data: Json) -> None:
    customers.delete(ctx, {}, customer_id)


payment_flow.FOLLOWERS[:] = [invoices_collect.follow]
setup_intents.FOLLOWERS[:] = [subscriptions.follow_setup]
test_clocks.run_with({**JOBS, "delete_customer": _delete_customer})
customers.LEAVING[:] = [subscriptions_cancel.of_customer]

_FRESH: dict[str, Callable[[Context, Json], Json]] = {
    "balance_transaction": balance_transactions.fresh,
    "event": events.fresh,
}


def fresh(ctx: Context, value: Json) -> Json:
    """An object as it reads at this moment, for the kinds that change by themselves."""
    # `tiers` of a price and the like are no objects.
    change = _FRESH.get(value["object"]) if "object" in value else None
    return change(ctx, value) if change else value
