"""Invariants of money, of writes to Stripe, and of what is told about them.

Payments, refunds and subscriptions of ours have ids that do not sort by time. Those that changed are found by what
changed them: an attempt or an event that is newer than the scope's beginning, each at one end of its primary key.
"""

from tallystick.invariants.models import Invariant, by_sql
from tallystick.payments.service_record import META_REFUND
from tallystick.payments.states import REFUND_COUNTED, REFUND_RESERVED
from tallystick.subscriptions.models import LIVE

__all__ = ["MONEY_INVARIANTS"]

_OPEN = "('requested', 'unknown')"
_RESERVED = ", ".join(f"'{status}'" for status in REFUND_RESERVED)
_COUNTED = ", ".join(f"'{status}'" for status in REFUND_COUNTED)
_LIVE = ", ".join(f"'{status}'" for status in sorted(LIVE))

_TOUCHED = """
    WITH touched AS MATERIALIZED (
        SELECT id FROM payments WHERE created_at >= $2
        UNION SELECT subject_id FROM attempts WHERE id >= $1 AND subject_id IS NOT NULL
        UNION SELECT p.id FROM webhook_events e JOIN payments p ON p.stripe_payment_intent_id = e.object_key
            WHERE e.id >= $1
    )
"""

# Fenced in (OFFSET 0), so that few payments are looked up one by one and the table is not read as a whole.
_ITS_PAYMENT = "CROSS JOIN LATERAL (SELECT * FROM payments WHERE id = t.id OFFSET 0) AS p"

_ONE_OPERATION = f"""
    SELECT lock_key || ' is held by ' || count(*) || ' attempts' FROM attempts
    WHERE state IN {_OPEN} AND lock_key IS NOT NULL GROUP BY lock_key HAVING count(*) > 1
"""

_ANSWERED = f"""
    SELECT 'attempt ' || a.id || ' (' || a.kind || ') is ' || a.state || ', its key ' || k.state
    FROM idempotency_keys k JOIN attempts a ON a.idempotency_key_id = k.id
    WHERE k.id >= $1 AND (k.state = 'done') = (a.state IN {_OPEN})
    UNION ALL
    SELECT 'idempotency key ' || k.id || ' is in progress, and nothing is under way for it'
    FROM idempotency_keys k
    WHERE k.id >= $1 AND k.state = 'in_progress'
      AND NOT EXISTS (SELECT FROM attempts a WHERE a.idempotency_key_id = k.id)
"""

_ONE_ATTEMPT = """
    SELECT 'idempotency key ' || idempotency_key_id || ' has ' || count(*) || ' attempts' FROM attempts
    WHERE id >= $1 AND idempotency_key_id IS NOT NULL GROUP BY idempotency_key_id HAVING count(*) > 1
    UNION ALL
    SELECT count(*) || ' attempts were sent under ' || stripe_idempotency_key FROM attempts
    WHERE id >= $1 GROUP BY stripe_idempotency_key HAVING count(*) > 1
"""

_ONE_INTENT = f"""
    {_TOUCHED}
    SELECT 'payment ' || t.id || ' was charged by ' || c.names FROM touched t CROSS JOIN LATERAL (
        SELECT count(DISTINCT stripe_payment_intent_id) AS number,
            string_agg(DISTINCT stripe_payment_intent_id, ' and ') AS names
        FROM charges WHERE payment_id = t.id AND status = 'succeeded'
    ) AS c
    WHERE c.number > 1
"""

_ONE_CUSTOMER = """
    SELECT 'user ' || c.user_id || ' has ' || c.stripe_customer_id || ' and ' || other.stripe_customer_id
    FROM customers c JOIN customers other ON other.user_id = c.user_id AND other.id < c.id
    WHERE c.id >= $1 AND NOT (c.deleted OR c.flagged OR other.deleted OR other.flagged)
"""

_ONE_SUBSCRIPTION = f"""
    WITH touched AS MATERIALIZED (
        SELECT id FROM subscriptions WHERE created_at >= $2
        UNION SELECT subscription_id FROM subscription_history WHERE id >= $1
    )
    SELECT 'user ' || s.user_id || ' has ' || coalesce(s.stripe_subscription_id, s.id::text) || ' and '
        || coalesce(other.stripe_subscription_id, other.id::text)
    FROM touched t JOIN subscriptions s ON s.id = t.id
        JOIN subscriptions other ON other.user_id = s.user_id AND other.id <> s.id
    WHERE NOT $3::boolean AND s.status IN ({_LIVE}) AND other.status IN ({_LIVE}) AND NOT (s.flagged OR other.flagged)
"""

_MAILS = """
    SELECT count(*) || ' mails ' || business_key FROM mails
    WHERE id >= $1 GROUP BY business_key HAVING count(*) > 1
    UNION ALL
    SELECT count(*) || ' facts ' || business_key FROM outbound_facts
    WHERE id >= $1 GROUP BY business_key HAVING count(*) > 1
    UNION ALL
    SELECT count(*) || ' deliveries of fact ' || fact_id || ' to ' || receiver FROM outbound_deliveries
    WHERE id >= $1 GROUP BY fact_id, receiver HAVING count(*) > 1
"""

_CAPTURED = f"""
    {_TOUCHED}
    SELECT 'payment ' || p.id || ': captured ' || p.amount_received || ' and capturable ' || p.amount_capturable
        || ' of ' || p.amount || ' ' || p.currency
    FROM touched t {_ITS_PAYMENT}
    WHERE p.amount_received > p.amount OR p.amount_capturable > p.amount
"""

# What is captured is certain only once the payment has succeeded: a refund's event may arrive before that one's.
# What staff give back in the dashboard knows nothing of what is asked for here: Stripe refuses one of the two.
_REFUNDED = f"""
    {_TOUCHED}
    SELECT 'payment ' || p.id || ': refunds of ' || r.refunded || ' of ' || p.amount_received || ' captured, '
        || p.amount || ' ' || p.currency || ' in all'
    FROM touched t CROSS JOIN LATERAL (
        SELECT sum(amount) AS refunded FROM refunds
        WHERE payment_id = t.id AND status IN ({_RESERVED}) AND NOT release
            AND (status IN ({_COUNTED}) OR NOT EXISTS (
                SELECT 1 FROM refunds elsewhere WHERE elsewhere.payment_id = t.id
                    AND elsewhere.status IN ({_COUNTED}) AND NOT elsewhere.metadata ? '{META_REFUND}'
            ))
    ) AS r {_ITS_PAYMENT}
    WHERE r.refunded > p.amount OR (p.stripe_status = 'succeeded' AND r.refunded > p.amount_received)
"""

MONEY_INVARIANTS = (
    Invariant(
        "one_open_operation",
        4,
        "Of all writes that exclude each other, one is under way.",
        "The unique index attempts_one_open_operation is missing: run `tallystick migrate`, and look at both attempts.",
        by_sql(_ONE_OPERATION),
    ),
    Invariant(
        "ended_attempts_are_answered",
        4,
        "A request has its answer if, and only if, its write to Stripe has ended.",
        "Somebody has changed attempts or idempotency_keys by hand: a repeat of that request would not be answered.",
        by_sql(_ANSWERED),
    ),
    Invariant(
        "one_attempt_per_key",
        4,
        "A request with an Idempotency-Key is one write to Stripe.",
        "Look at both attempts and at what Stripe shows for their keys; money may have moved twice.",
        by_sql(_ONE_ATTEMPT),
    ),
    Invariant(
        "one_charge_per_payment",
        4,
        "A payment is charged by one payment intent.",
        "The customer has paid twice. Refund one of the two in the Stripe dashboard, and report it.",
        by_sql(_ONE_INTENT),
    ),
    Invariant(
        "one_customer_per_user",
        5,
        "A user has one Stripe customer; others, made elsewhere, are flagged.",
        "Decide which customer stays, and delete the other one in the Stripe dashboard.",
        by_sql(_ONE_CUSTOMER),
    ),
    Invariant(
        "one_live_subscription_per_user",
        5,
        "A user has one live subscription, unless several are allowed; others, made elsewhere, are flagged.",
        "Cancel one of the two and refund what was paid twice, or set ALLOW_MULTIPLE_SUBSCRIPTIONS=true.",
        by_sql(_ONE_SUBSCRIPTION),
    ),
    Invariant(
        "each_fact_is_told_once",
        6,
        "Each mail and each outbound webhook about a fact is queued once.",
        "A unique index is missing: run `tallystick migrate`. What was sent twice cannot be called back.",
        by_sql(_MAILS),
    ),
    Invariant(
        "captured_within_amount",
        7,
        "No more is captured, or can be, than the amount of the payment.",
        "Run `tallystick reconcile` for the payment, and compare it with the Stripe dashboard.",
        by_sql(_CAPTURED),
    ),
    Invariant(
        "refunds_within_captured",
        7,
        "Refunds that are asked for, under way or done are at most what was captured, per payment.",
        "Run `tallystick reconcile` for the payment, and compare its refunds with the Stripe dashboard.",
        by_sql(_REFUNDED),
    ),
)
