"""What a database is filled with: so many payments of so many users over two years, each with its charge.

Everything has a number, and its ids follow from it, so that a load knows them without asking. Some payments at the end
are still open: events about them have something to do.
"""

import hashlib
from uuid import UUID

import asyncpg

__all__ = ["cus", "fill", "our_id", "pi", "user"]

# In the order of the numbers, as ids of ours rise in time; ours is a version 7 in form.
_ID = "('018f' || lpad(to_hex({n} / 65536), 8, '0') || '7000' || '8000' || lpad(to_hex({n}), 12, '0'))::uuid"
_AT = "now() - ({rows} - n) * (interval '730 days' / {rows})"

_USERS = f"""
    INSERT INTO users (id, external_id, email, stripe_customer_id, created_at, updated_at)
    SELECT {_ID.format(n="n")}, 'user-' || n, 'user-' || n || '@example.com', 'cus_' || lpad(n::text, 14, '0'), now(),
        now()
    FROM generate_series(1, {{users}}::bigint) n
"""
_CUSTOMERS = f"""
    INSERT INTO customers (id, stripe_customer_id, user_id, email, state_at, created_at, updated_at)
    SELECT {_ID.format(n="n")}, 'cus_' || lpad(n::text, 14, '0'), {_ID.format(n="n")},
        'user-' || n || '@example.com', now(), now(), now()
    FROM generate_series(1, {{users}}::bigint) n
"""
_PAYMENTS = f"""
    INSERT INTO payments (id, stripe_payment_intent_id, user_id, stripe_customer_id, amount, currency, status,
        stripe_status, payment_method, description, metadata, amount_received, latest_charge_id, claimed, state_at,
        created_at, updated_at)
    SELECT {_ID.format(n="n")}, 'pi_3' || lpad(n::text, 23, '0'), {_ID.format(n="u")}, 'cus_' || lpad(u::text, 14, '0'),
        1050, 'usd', status, status, 'pm_1OPougJN5vQBdWEx8s2Dj0YR', 'An order of three things',
        jsonb_build_object('order', n::text), CASE WHEN status = 'succeeded' THEN 1050 ELSE 0 END,
        CASE WHEN status = 'succeeded' THEN 'ch_3' || lpad(n::text, 23, '0') END, true, at, at, at
    FROM generate_series(1, {{rows}}::bigint) n,
        LATERAL (SELECT 1 + n % {{users}} AS u, {_AT} AS at,
            CASE WHEN n > {{rows}} - {{open}} THEN 'processing' ELSE 'succeeded' END AS status) made
"""
_CHARGES = f"""
    INSERT INTO charges (id, stripe_charge_id, payment_id, stripe_payment_intent_id, amount, amount_captured, currency,
        status, captured, payment_method, card_brand, card_last4, state_at, created_at, updated_at)
    SELECT {_ID.format(n="n")}, 'ch_3' || lpad(n::text, 23, '0'), {_ID.format(n="n")}, 'pi_3' || lpad(n::text, 23, '0'),
        1050, 1050, 'usd', 'succeeded', true, 'pm_1OPougJN5vQBdWEx8s2Dj0YR', 'visa', '4242', at, at, at
    FROM generate_series(1, {{rows}}::bigint - {{open}}) n,
        LATERAL (SELECT {_AT} AS at) made
"""


async def fill(url: str, rows: int, *, users: int, still_open: int = 0) -> None:
    """Fill a database that has no payments; those of the numbers above `rows - still_open` are `processing`."""
    connection = await asyncpg.connect(url)
    try:
        # Neither triggers nor foreign keys, and no wait for the disk: it is not this that is measured.
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off; SET jit = off")
        for statement in (_USERS, _CUSTOMERS, _PAYMENTS, _CHARGES):
            await connection.execute(statement.format(rows=rows, users=users, open=still_open), timeout=7200)
        await connection.execute("VACUUM ANALYZE", timeout=7200)
    finally:
        await connection.close()


def our_id(number: int) -> UUID:
    return UUID(f"018f{number // 65536:08x}70008000{number:012x}")


def pi(number: int) -> str:
    return f"pi_3{number:023d}"


def cus(number: int) -> str:
    return f"cus_{number:014d}"


def user(number: int) -> str:
    return f"user-{number}"


def digest(*parts: object) -> str:
    """24 letters and digits that these parts always have, as Stripe's ids do."""
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:24]
