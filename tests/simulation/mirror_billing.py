"""Are subscriptions and invoices Stripe's? The comparers of `tallystick simulate`."""

from tallystick.simulation.mirror_billing import (
    ends_of_history,
    history_leads_to_the_rows,
    invoice_rows,
    stripe_invoices,
    stripe_subscriptions,
    subscription_of,
    subscription_rows,
)

__all__ = [
    "ends_of_history",
    "history_leads_to_the_rows",
    "invoice_rows",
    "stripe_invoices",
    "stripe_subscriptions",
    "subscription_of",
    "subscription_rows",
]
