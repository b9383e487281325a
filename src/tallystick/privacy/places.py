"""Every place where something about a person may stand, and what is done about it there.

`rows` finds a person's rows of a table `t`: $1 is our id of the user, $2 the erasure. A table that is new, or a column
that may bear a name, belongs here; the test that searches the whole database for an erased person's name says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["BY_STRIPE_ID", "PLACES", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Rows of one table: `json` columns are redacted, `texts` searched for what is known, `sets` overwritten.

    Rows that only mention the person keep the rest of what they say. `by` is the column of Stripe's id, by which late
    news finds its row, and `key` the columns (with their types) by which rows are told apart and walked.
    """

    table: str
    rows: str
    json: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    sets: Mapping[str, str] = field(default_factory=dict)
    delete: bool = False
    mentions: bool = False
    by: str | None = None
    key: Mapping[str, str] = field(default_factory=lambda: {"id": "uuid"})


_OF_USER = "t.user_id = $1"
_THEIRS = "(SELECT stripe_id FROM erased_objects WHERE erasure_id = $2)"
_OF_THEIRS = f"t.stripe_customer_id IN {_THEIRS}"
_HIS_PAYMENTS = "t.payment_id IN (SELECT id FROM payments WHERE user_id = $1)"
_HIS_SUBSCRIPTIONS = "t.subscription_id IN (SELECT id FROM subscriptions WHERE user_id = $1)"
_NAMED = "(SELECT known ->> 'external_id' FROM erasures WHERE id = $2)"
_SUBJECTS = """
    (SELECT id FROM payments WHERE user_id = $1 UNION ALL SELECT id FROM subscriptions WHERE user_id = $1
     UNION ALL SELECT id FROM customers WHERE user_id = $1 UNION ALL SELECT id FROM invoices WHERE user_id = $1
     UNION ALL SELECT id FROM checkout_sessions WHERE user_id = $1)
"""
_ATTEMPTED = f"(t.user_id = $1 OR t.subject_id IN {_SUBJECTS})"
# Whatever speaks of the person by a name that is known, in a queue without a column for whose it is.
_MENTIONED = """
    EXISTS (SELECT FROM erasures e, jsonb_array_elements_text(e.known -> 'mentions') AS said
            WHERE e.id = $2 AND position(said IN {column}::text) > 0)
"""

_MIRROR = (
    Place(
        "customers", _OF_USER, json=("metadata",), by="stripe_customer_id",
        sets={"email": "NULL", "name": "NULL", "phone": "NULL", "address": "NULL"},
    ),
    Place(
        "payment_methods", f"t.stripe_payment_method_id IN {_THEIRS}",
        by="stripe_payment_method_id",
        sets={
            "card_exp_month": "NULL", "card_exp_year": "NULL", "card_funding": "NULL", "card_country": "NULL",
            "card_fingerprint": "NULL",
        },
    ),
    Place(
        "payments", _OF_USER, json=("metadata",), sets={"description": "NULL"}, by="stripe_payment_intent_id",
    ),
    Place("refunds", _HIS_PAYMENTS, json=("metadata",), by="stripe_refund_id"),
    Place("setup_intents", _OF_USER, json=("metadata",), by="stripe_setup_intent_id"),
    Place(
        "subscriptions", _OF_USER, json=("metadata", "items", "pending_update"), by="stripe_subscription_id",
        sets={"cancellation_comment": "NULL"},
    ),
    Place("subscription_schedules", _OF_THEIRS, json=("metadata", "phases"), by="stripe_schedule_id"),
    Place("promotion_codes", _OF_THEIRS, json=("metadata",), by="stripe_promotion_code_id"),
    Place(
        "invoices", _OF_USER, json=("metadata",), by="stripe_invoice_id",
        sets={"hosted_invoice_url": "NULL", "invoice_pdf": "NULL"},
    ),
)  # fmt: skip

PLACES = (
    *_MIRROR,
    Place(
        "subscription_history", _HIS_SUBSCRIPTIONS, json=("old_values", "new_values"), texts=("actor",),
        sets={"reason": "NULL"},
    ),
    Place("subscription_history", f"t.actor IN ('user:' || {_NAMED}, 'admin:' || {_NAMED}, 'service:' || {_NAMED})",
          texts=("actor",)),
    Place(
        "checkout_sessions", _OF_USER, json=("metadata",),
        sets={"description": "NULL", "success_url": "NULL", "cancel_url": "NULL", "locale": "NULL"},
    ),
    Place("checkout_links", "t.session_id IN (SELECT id FROM checkout_sessions WHERE user_id = $1)", delete=True),
    Place("portal_links", _OF_USER, delete=True),
    # What is still to be sent is not sent any more.
    Place(
        "mails", _OF_USER,
        sets={
            "recipient": "''", "context": "'{}'", "subject": "NULL", "last_error": "NULL", "locale": "'en'",
            "state": "CASE state WHEN 'queued' THEN 'superseded' ELSE state END", "leased_until": "NULL",
            "finished_at": "coalesce(finished_at, due_at)",
        },
    ),
    Place("mails", f"t.user_id IS NULL AND {_MENTIONED.format(column='t.context')}",
          json=("context",), texts=("subject", "last_error"), mentions=True),
    Place(
        "outbound_facts", f"t.data <> '{{}}' AND t.data ->> 'user' IN ({_NAMED}, 'erased:' || $1::uuid::text)",
        json=("data",),
    ),
    Place(
        "outbound_deliveries",
        """t.fact_id IN (SELECT id FROM outbound_facts
                          WHERE data ->> 'user' = (SELECT 'erased:' || user_id FROM erasures WHERE id = $2))""",
        sets={"response_body": "NULL", "last_error": "NULL"},
    ),
    Place("work", _MENTIONED.format(column="t.payload"), json=("payload",), texts=("last_error",), mentions=True),
    # A repeat is refused by its attempt from then on, as after the end of retention.
    Place(
        "idempotency_keys",
        f"""t.state = 'done' AND (
            t.scope IN ('user:' || {_NAMED}, 'billing:' || $1::uuid::text)
            OR t.id IN (SELECT idempotency_key_id FROM attempts t WHERE {_ATTEMPTED}))""",
        delete=True,
    ),
    Place("attempts", _ATTEMPTED, json=("request",)),
    Place(
        "reconcile_differences", f"t.stripe_id IN {_THEIRS}",
        sets={"ours": "NULL", "stripe": "NULL", "history": "'[]'"},
    ),
    Place("import_refusals", f"t.object_id IN {_THEIRS}", delete=True),
    # What was sold stands; who typed a name into it, or an address, is taken out.
    Place(
        "invoice_lines", "t.invoice_id IN (SELECT id FROM invoices WHERE user_id = $1)", texts=("description",),
        key={"invoice_id": "uuid", "position": "integer"},
    ),
)  # fmt: skip
"""In this order: what leads to other rows comes after them."""

BY_STRIPE_ID = {place.by: place for place in _MIRROR if place.by}
"""The places of the mirror by their column of Stripe's id."""
