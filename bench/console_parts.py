"""What `bench.console` fills a database with: so many rows of everything that the console lists, over three years."""

import asyncpg

__all__ = ["fill"]

_FUNCTIONS = """
CREATE FUNCTION pg_temp.at(n bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT '{now}'::timestamptz - ({rows} - n) * (interval '1095 days' / {rows}) $$;
CREATE FUNCTION pg_temp.id(n bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM pg_temp.at(n)) * 1000)::bigint), 12, '0') || '7'
        || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid
$$;
"""

# Neither triggers nor foreign keys: what the rows are worked out to is filled in below.
_TABLES = (
    """
    INSERT INTO users (id, external_id, email, stripe_customer_id, created_at, updated_at)
    SELECT pg_temp.id(n), 'user-' || n, 'user-' || n || '@example.com', 'cus_' || n, pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO customers (id, stripe_customer_id, user_id, email, name, state_at, created_at, updated_at)
    SELECT pg_temp.id(n), 'cus_' || n, pg_temp.id(n), 'user-' || n || '@example.com', 'User ' || n, pg_temp.at(n),
        pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO payments (id, stripe_payment_intent_id, user_id, stripe_customer_id, amount, currency, status,
        stripe_status, error_code, decline_code, amount_received, created_at, updated_at)
    SELECT pg_temp.id(n), 'pi_' || n, pg_temp.id(1 + n % ({rows} / 4)), 'cus_' || 1 + n % ({rows} / 4), 100 + n % 9900,
        'usd', status, status, CASE WHEN status = 'failed' THEN 'card_declined' END,
        CASE WHEN status = 'failed' THEN CASE WHEN n % 5000 = 2 THEN 'expired_card' ELSE 'insufficient_funds' END END,
        CASE WHEN status = 'succeeded' THEN 100 + n % 9900 ELSE 0 END, pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n, LATERAL (SELECT CASE
        WHEN n % 25 = 2 THEN 'failed' WHEN n % 5000 = 1 THEN 'canceled' WHEN n > {rows} - 20 THEN 'processing'
        ELSE 'succeeded' END AS status) s
    """,
    """
    INSERT INTO subscriptions (id, stripe_subscription_id, user_id, stripe_customer_id, product_id, price_id, status,
        quantity, current_period_start, current_period_end, state_at, created_at, updated_at)
    SELECT pg_temp.id(n), 'sub_' || n, pg_temp.id(n), 'cus_' || n, 'prod_' || n % 20, 'price_' || n % 60,
        CASE WHEN n % 5 = 1 THEN 'canceled' WHEN n % 1000 = 2 THEN 'past_due' ELSE 'active' END, 1, pg_temp.at(n),
        pg_temp.at(n) + interval '1 month', pg_temp.at(n), pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO invoices (id, stripe_invoice_id, user_id, stripe_customer_id, stripe_subscription_id, number, status,
        currency, subtotal, total, amount_due, first_failed_at, state_at, created_at, updated_at)
    SELECT pg_temp.id(n), 'in_' || n, pg_temp.id(1 + n % ({rows} / 4)), 'cus_' || 1 + n % ({rows} / 4),
        'sub_' || 1 + n % ({rows} / 4), 'A-' || n,
        CASE WHEN n % 1000 = 2 THEN 'open' WHEN n % 5000 = 1 THEN 'void' ELSE 'paid' END, 'usd', 900, 900, 900,
        CASE WHEN n % 100 = 2 THEN pg_temp.at(n) END, pg_temp.at(n), pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO webhook_events (id, stripe_event_id, event_type, processed, processed_at, payload, error_message,
        created_at, updated_at, state, source, lane, object_key, object_id, event_created_at, not_before)
    SELECT pg_temp.id(n), 'evt_' || n, (ARRAY['payment_intent.succeeded', 'charge.succeeded', 'invoice.paid',
        'invoice.finalized', 'customer.updated'])[1 + n % 5], state = 'processed', pg_temp.at(n), '{{"id": "evt"}}',
        CASE WHEN state = 'dead' THEN 'KeyError: amount' END, pg_temp.at(n), pg_temp.at(n), state,
        CASE WHEN n % 10000 = 3 THEN 'poll' ELSE 'webhook' END, n % 16, 'pi_' || n / 3, 'pi_' || n / 3, pg_temp.at(n),
        pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n, LATERAL (SELECT CASE
        WHEN n % 20000 = 2 THEN 'dead' WHEN n % 9 = 1 THEN 'unhandled' ELSE 'processed' END AS state) s
    """,
    """
    INSERT INTO mails (id, business_key, template, recipient, locale, context, user_id, state, due_at, attempts,
        subject, created_at, finished_at)
    SELECT pg_temp.id(n), 'mail:' || n, (ARRAY['receipt', 'receipt', 'renewal', 'refund'])[1 + n % 4],
        'user-' || 1 + n % ({rows} / 4) || '@example.com', 'en', '{{}}', pg_temp.id(1 + n % ({rows} / 4)),
        CASE WHEN n % 20000 = 2 THEN 'dead' WHEN n % 1000 = 1 THEN 'superseded' ELSE 'sent' END, pg_temp.at(n), 1,
        'Your receipt', pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO webhook_endpoints (id, url, events, secret, created_at, updated_at)
    VALUES (pg_temp.id(1), 'https://example.com/hook', '{{*}}', 'whsec_x', now(), now())
    """,
    """
    INSERT INTO outbound_facts (id, business_key, type, object_key, data, occurred_at, created_at)
    SELECT pg_temp.id(n), 'fact:' || n, (ARRAY['payment.succeeded', 'invoice.paid', 'subscription.updated'])[1 + n % 3],
        'pi_' || n / 2, '{{}}', pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO outbound_deliveries (id, fact_id, receiver, endpoint_id, object_key, state, due_at, not_before,
        attempts, created_at, finished_at)
    SELECT pg_temp.id(n), pg_temp.id(n), 'endpoint:1', pg_temp.id(1), 'pi_' || n / 2,
        CASE WHEN n % 20000 = 2 THEN 'dead' WHEN n % 30000 = 1 THEN 'discarded' ELSE 'delivered' END, pg_temp.at(n),
        pg_temp.at(n), 1, pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO reconcile_differences (id, object, stripe_id, field, ours, stripe, cause, state, found_at, seen_at)
    SELECT pg_temp.id(n), (ARRAY['payment_intent', 'invoice'])[1 + n % 2], 'pi_' || n, 'status', '"a"', '"b"',
        CASE WHEN n % 1000 = 1 THEN 'gone' ELSE 'missed_event' END,
        CASE WHEN n % 20000 = 2 THEN 'open' ELSE 'repaired' END, pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
    """
    INSERT INTO audit_log (id, actor, roles, action, object_kind, object_id, outcome, happened_at, business_at)
    SELECT pg_temp.id(n), 'admin:' || n % 20, '{{admin}}', 'console_payments_refund', 'payments', 'pi_' || n / 2,
        'done', pg_temp.at(n), pg_temp.at(n)
    FROM generate_series(1, {rows}::bigint) n
    """,
)

# As the refresher leaves it: movements of every customer, and the days' sums of them and of the money.
_FIGURES = (
    """
    INSERT INTO mrr_movements (stripe_customer_id, at, currency, kind, amount)
    SELECT 'cus_' || n, pg_temp.at(n), currency, 'new', CASE WHEN currency = '' THEN 0 ELSE 900 END
    FROM generate_series(1, {rows}::bigint) n, unnest(ARRAY['', (ARRAY['usd', 'eur', 'jpy'])[1 + n % 3]]) currency
    UNION ALL
    SELECT 'cus_' || n, pg_temp.at(n) + interval '1 day', currency, 'churn',
        CASE WHEN currency = '' THEN 0 ELSE -900 END
    FROM generate_series(1, {rows}::bigint, 5) n, unnest(ARRAY['', (ARRAY['usd', 'eur', 'jpy'])[1 + n % 3]]) currency
    """,
    """
    INSERT INTO metrics_days (day, kind, currency, amount, count)
    SELECT (at AT TIME ZONE 'UTC')::date, kind, currency, sum(amount), count(*) FROM mrr_movements GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO metrics_days (day, kind, currency, amount, count)
    SELECT (now() AT TIME ZONE 'UTC')::date - n, kind, currency, 90000 + n, 100
    FROM generate_series(0, 1095) n, unnest(ARRAY['charged', 'declined', 'refunded', 'failed', 'recovered']) kind,
        unnest(ARRAY['usd', 'eur', 'jpy']) currency
    """,
    """
    INSERT INTO exchange_rates (day, currency, base, rate)
    SELECT (now() AT TIME ZONE 'UTC')::date - n, currency, 'usd', 1.1
    FROM generate_series(0, 1095) n, unnest(ARRAY['eur', 'jpy']) currency
    """,
)


async def fill(url: str, rows: int) -> None:
    """So many users, customers, payments, subscriptions, invoices, events, mails, webhooks, differences, entries."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off; SET jit = off")
        now = await connection.fetchval("SELECT now()::text")
        await connection.execute(_FUNCTIONS.format(rows=rows, now=now))
        for statement in (*_TABLES, *_FIGURES):
            await connection.execute(statement.format(rows=rows))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
