"""Checkout sessions: what a customer is asked to pay on a page of ours, and the links that lead there."""

from tallystick.migrations.sql import run

revision = "0006"
down_revision = "0005"

SQL = """
CREATE TABLE checkout_sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    mode text NOT NULL CHECK (mode IN ('payment', 'subscription')),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'processing', 'complete', 'expired', 'canceled')),
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text NOT NULL,
    description text,
    price_id text,
    quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
    promotion_code text,
    recurring jsonb,
    success_url text,
    cancel_url text,
    locale text,
    metadata jsonb NOT NULL DEFAULT '{}',
    subject_id uuid NOT NULL,
    intent_id text,
    started_at timestamptz,
    asked_at timestamptz,
    expires_at timestamptz NOT NULL,
    completed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN checkout_sessions.subject_id IS
    'the id of its payment or subscription, known before that exists; sessions may share a subscription not yet paid';
COMMENT ON COLUMN checkout_sessions.recurring IS
    'what a subscription costs as it was shown: interval, trial_days, amounts of a period in minor units';
COMMENT ON COLUMN checkout_sessions.intent_id IS
    'the payment intent or setup intent at Stripe that the browser was last given to confirm';
CREATE INDEX checkout_sessions_subject ON checkout_sessions (subject_id);
COMMENT ON COLUMN checkout_sessions.asked_at IS 'wall time at which Stripe was last asked while a customer waited';
CREATE INDEX checkout_sessions_user ON checkout_sessions (user_id, created_at DESC);

CREATE TABLE checkout_links (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES checkout_sessions (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE checkout_links IS
    'SHA-256 of each link''s token; a repeat of the request that made a session gets a link of its own';
CREATE INDEX checkout_links_session ON checkout_links (session_id);
"""


def upgrade() -> None:
    run(SQL)
