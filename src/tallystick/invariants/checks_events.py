"""Invariants of the inbox and of what events leave behind.

Where a statement begins at `id >= $1` it reads one end of the primary key: its cost is that of what arrived since.
"""

from collections.abc import Sequence

from tallystick.invariants.models import FOUND_MOST, Invariant, Scope, by_sql
from tallystick.platform.database import Connection

__all__ = ["EVENT_INVARIANTS"]

_SAMPLE = 2000
_TELLTALE = (
    r"[a-z]+_[A-Za-z0-9]+_secret_[A-Za-z0-9]+"
    r"|whsec_[A-Za-z0-9]{8}"
    r"|[sr]k_(live|test)_[A-Za-z0-9]{8}"
    r"""|"client_secret"\s*:\s*"[^"]"""
    r"""|"cvc"\s*:\s*"?[0-9]{3}"""
)
_CARD_NUMBER = r"""'"(?:number|card_number)"\s*:\s*"?([0-9][0-9 -]{11,22}[0-9])"'"""

_UNREADABLE = """
    SELECT stripe_event_id || ' (' || state || ') has no payload'
    FROM webhook_events WHERE state IN ('pending', 'dead') AND payload IS NULL AND archived_at IS NULL
      AND (state = 'dead' OR (state = 'pending' AND not_before < 'infinity'))
"""

_MARKS = """
    SELECT stripe_event_id || ' is ' || state || ', processed=' || processed || ', processed_at='
        || coalesce(processed_at::text, 'none')
    FROM webhook_events
    WHERE id >= $1 AND (processed <> (state = 'processed')
        OR (state IN ('processed', 'unhandled')) <> (processed_at IS NOT NULL))
"""

_WAITING = """
    SELECT e.stripe_event_id || ' waits for ever: nothing holds up ' || e.object_key
    FROM webhook_events e
    WHERE e.state = 'pending' AND e.not_before = 'infinity'
      AND NOT EXISTS (SELECT FROM webhook_parked_objects p WHERE p.object_key = e.object_key)
    UNION ALL
    SELECT p.object_key || ' is held up by ' || e.stripe_event_id || ', which is ' || e.state
    FROM webhook_parked_objects p JOIN webhook_events e ON e.id = p.event_id WHERE e.state <> 'pending'
"""

_APPLIED = """
    WITH applied AS MATERIALIZED (
        SELECT stripe_event_id, event_type AS type, object_id AS id FROM webhook_events
        WHERE id >= $1 AND state = 'processed' AND object_id IS NOT NULL
    )
"""

_ROWS = f"""
    {_APPLIED}
    SELECT a.stripe_event_id || ' (' || a.type || ') left no row of ' || a.id FROM applied a
    WHERE NOT CASE
        WHEN a.type LIKE 'payment\\_intent.%' THEN
            EXISTS (SELECT FROM payments WHERE stripe_payment_intent_id = a.id)
        WHEN a.type IN ('charge.succeeded', 'charge.failed', 'charge.captured', 'charge.expired', 'charge.pending') THEN
            EXISTS (SELECT FROM charges WHERE stripe_charge_id = a.id)
        WHEN a.type IN ('customer.created', 'customer.updated') THEN
            EXISTS (SELECT FROM customers WHERE stripe_customer_id = a.id)
        WHEN a.type LIKE 'customer.subscription.%' THEN
            EXISTS (SELECT FROM subscriptions WHERE stripe_subscription_id = a.id)
        WHEN a.type IN ('invoice.created', 'invoice.updated', 'invoice.finalized', 'invoice.paid', 'invoice.voided',
                        'invoice.payment_failed', 'invoice.payment_succeeded') THEN
            EXISTS (SELECT FROM invoices WHERE stripe_invoice_id = a.id)
        WHEN a.type = 'payment_method.attached' THEN
            EXISTS (SELECT FROM payment_methods WHERE stripe_payment_method_id = a.id)
        WHEN a.type LIKE 'setup\\_intent.%' THEN
            EXISTS (SELECT FROM setup_intents WHERE stripe_setup_intent_id = a.id)
        WHEN a.type IN ('product.created', 'product.updated') THEN
            EXISTS (SELECT FROM products WHERE stripe_product_id = a.id)
        WHEN a.type IN ('price.created', 'price.updated') THEN
            EXISTS (SELECT FROM prices WHERE stripe_price_id = a.id)
        ELSE true END
"""

_FINAL = f"""
    {_APPLIED}
    SELECT a.id || ' shows an older state than ' || a.stripe_event_id || ' (' || a.type || ') told' FROM applied a
    WHERE CASE
        WHEN a.type = 'payment_intent.succeeded' THEN EXISTS (
            SELECT FROM payments WHERE stripe_payment_intent_id = a.id AND stripe_status <> 'succeeded')
        WHEN a.type = 'payment_intent.canceled' THEN EXISTS (
            SELECT FROM payments WHERE stripe_payment_intent_id = a.id AND stripe_status <> 'canceled')
        WHEN a.type = 'customer.subscription.deleted' THEN EXISTS (
            SELECT FROM subscriptions WHERE stripe_subscription_id = a.id
            AND status NOT IN ('canceled', 'incomplete_expired'))
        WHEN a.type = 'invoice.paid' THEN EXISTS (
            SELECT FROM invoices WHERE stripe_invoice_id = a.id AND status <> 'paid')
        WHEN a.type = 'invoice.voided' THEN EXISTS (
            SELECT FROM invoices WHERE stripe_invoice_id = a.id AND status <> 'void')
        WHEN a.type = 'setup_intent.succeeded' THEN EXISTS (
            SELECT FROM setup_intents WHERE stripe_setup_intent_id = a.id AND status <> 'succeeded')
        WHEN a.type = 'setup_intent.canceled' THEN EXISTS (
            SELECT FROM setup_intents WHERE stripe_setup_intent_id = a.id AND status <> 'canceled')
        WHEN a.type = 'customer.deleted' THEN EXISTS (
            SELECT FROM customers WHERE stripe_customer_id = a.id AND NOT deleted)
        WHEN a.type = 'product.deleted' THEN EXISTS (
            SELECT FROM products WHERE stripe_product_id = a.id AND NOT deleted)
        WHEN a.type = 'price.deleted' THEN EXISTS (
            SELECT FROM prices WHERE stripe_price_id = a.id AND NOT deleted)
        ELSE false END
"""

_LEFT = """
    SELECT stripe_event_id || ' is pending' FROM webhook_events WHERE state = 'pending'
    UNION ALL
    SELECT stripe_event_id || ' is ' || state FROM webhook_events WHERE state IN ('dead', 'parked')
"""

_UNSURE = " UNION ALL ".join(
    f"SELECT coalesce({stripe_id}, id::text) || ' is marked unsure' FROM {table} WHERE unsure"
    for table, stripe_id in (
        ("payments", "stripe_payment_intent_id"),
        ("charges", "stripe_charge_id"),
        ("refunds", "stripe_refund_id"),
        ("disputes", "stripe_dispute_id"),
        ("payment_methods", "stripe_payment_method_id"),
        ("customers", "stripe_customer_id"),
        ("subscriptions", "stripe_subscription_id"),
        ("invoices", "stripe_invoice_id"),
        ("setup_intents", "stripe_setup_intent_id"),
        ("products", "stripe_product_id"),
        ("prices", "stripe_price_id"),
    )
)

_STORED = (
    ("webhook_events", "stripe_event_id", "payload::text"),
    ("idempotency_keys", "id::text", "body"),
    ("attempts", "id::text", "request::text"),
    ("mails", "id::text", "context::text"),
    ("outbound_facts", "id::text", "data::text"),
)


async def _secrets(connection: Connection, scope: Scope) -> Sequence[str]:
    """The newest rows of what is stored as it came. A number of a card has to pass the check that all of them do."""
    found: list[str] = []
    for table, name, content in _STORED:
        rows = await connection.fetch(
            f"""
            SELECT name, content ~ $3 AS secret, substring(content FROM {_CARD_NUMBER}) AS number FROM (
                SELECT {name} AS name, {content} AS content FROM {table}
                WHERE id >= $1 ORDER BY id DESC LIMIT $2
            ) AS newest WHERE content ~ $3 OR content ~ {_CARD_NUMBER}
            """,
            scope.first_id,
            _SAMPLE,
            _TELLTALE,
        )
        found += [
            f"{table} {row['name']} holds {'a secret' if row['secret'] else 'the number of a card'}"
            for row in rows
            if row["secret"] or _is_card_number(row["number"])
        ]
    return found[:FOUND_MOST]


def _is_card_number(text: str) -> bool:
    digits = [int(digit) for digit in reversed(text) if digit.isdecimal()]
    doubled = sum(digit // 5 + digit * 2 % 10 for digit in digits[1::2])
    return 13 <= len(digits) <= 19 and (sum(digits[::2]) + doubled) % 10 == 0


EVENT_INVARIANTS = (
    Invariant(
        "events_keep_their_payload",
        1,
        "Whatever was acknowledged and is not applied yet is stored whole.",
        "Discard the event with `tallystick events discard`, and run `tallystick reconcile` for its object.",
        by_sql(_UNREADABLE),
    ),
    Invariant(
        "events_bear_their_marks",
        2,
        "An event that is applied says when, and one that is not does not say so.",
        "Somebody has changed webhook_events by hand; `tallystick events replay` sets an event right.",
        by_sql(_MARKS),
    ),
    Invariant(
        "waiting_events_wait_for_something",
        2,
        "An event that waits for its object is let go when the object is free.",
        "`tallystick events replay` puts the event back into the line.",
        by_sql(_WAITING),
    ),
    Invariant(
        "applied_events_left_their_row",
        2,
        "An event that is applied has its effect: the object that it is about has a row.",
        "`tallystick events replay` applies the event again; its effect stays single.",
        by_sql(_ROWS),
    ),
    Invariant(
        "final_states_stay",
        3,
        "An older state never takes the place of a newer one: what is final stays.",
        "Run `tallystick reconcile` for the object, and report it: this is a fault of the program.",
        by_sql(_FINAL),
    ),
    Invariant(
        "no_event_is_left",
        9,
        "When all is quiet, every event is applied.",
        "See `tallystick events list --state dead`; replay or discard what is there.",
        by_sql(_LEFT),
        quiet=True,
    ),
    Invariant(
        "nothing_is_unsure",
        9,
        "When all is quiet, no row waits to be fetched because two events could not be ordered.",
        "Look at the work of the kind stripe.fetch: it should have fetched the object.",
        by_sql(_UNSURE),
        quiet=True,
    ),
    Invariant(
        "no_secret_is_stored",
        10,
        "No card number, secret or client_secret is in what is stored of events, answers, requests, mails and facts.",
        "Remove it from the row, change the secret at Stripe, and report it: this is a fault of the program.",
        _secrets,
    ),
)
