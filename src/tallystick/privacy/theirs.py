"""Which of Stripe's objects are one user's, and by which names an event may speak of them.

An export shows the events about these objects, and an erasure redacts them: both read them from here.
"""

__all__ = ["CUSTOMERS", "NAMES", "OBJECTS", "THEIRS"]

NAMES = ("customer", "payment_intent", "charge", "payment_method", "setup_intent", "subscription", "invoice")
"""The fields by which an object of Stripe's names whose it is: an id, or the object itself."""

CUSTOMERS = """
    (SELECT stripe_customer_id FROM customers WHERE user_id = $1
     UNION SELECT stripe_customer_id FROM users WHERE id = $1 AND stripe_customer_id IS NOT NULL)
"""
"""Stripe's ids of the customers of the user `$1`."""

_OF_USER = "t.user_id = $1"
_OF_CUSTOMER = f"t.stripe_customer_id IN {CUSTOMERS}"
_OF_PAYMENT = "t.payment_id IN (SELECT id FROM payments WHERE user_id = $1)"
# Where the mirror has no row of a customer, its user still has the id.
_UNTOLD = """
    CASE WHEN NOT EXISTS (SELECT FROM customers c WHERE c.stripe_customer_id = t.stripe_customer_id)
         THEN t.stripe_customer_id END
"""

OBJECTS = (
    ("customers", "stripe_customer_id", _OF_USER),
    # Apart, so that either is read by its index.
    ("payment_methods", "stripe_payment_method_id", _OF_USER),
    ("payment_methods", "stripe_payment_method_id", f"{_OF_CUSTOMER} AND t.user_id IS DISTINCT FROM $1"),
    ("payments", "stripe_payment_intent_id", _OF_USER),
    ("charges", "stripe_charge_id", _OF_PAYMENT),
    ("refunds", "stripe_refund_id", _OF_PAYMENT),
    ("disputes", "stripe_dispute_id", _OF_PAYMENT),
    ("setup_intents", "stripe_setup_intent_id", _OF_USER),
    ("subscriptions", "stripe_subscription_id", _OF_USER),
    ("invoices", "stripe_invoice_id", _OF_USER),
    ("subscription_schedules", "stripe_schedule_id", _OF_CUSTOMER),
    ("promotion_codes", "stripe_promotion_code_id", _OF_CUSTOMER),
    ("users", _UNTOLD, "t.id = $1"),
)
"""Tables `t`, the column of Stripe's id, and which rows are the user's (`$1`); no two rows have the same id."""

# Cards that paid and were never kept have no row of their own.
_CARDS = (
    ("payments", "payment_method", _OF_USER),
    ("charges", "payment_method", _OF_PAYMENT),
    ("setup_intents", "payment_method", _OF_USER),
)

THEIRS = " UNION ".join(
    f"SELECT {column} AS stripe_id FROM {table} t WHERE {rows}" for table, column, rows in (*OBJECTS, *_CARDS)
)
"""A query of all of Stripe's ids of what is the user's (`$1`), nulls among them."""
