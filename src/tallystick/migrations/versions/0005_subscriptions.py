"""Subscriptions whole, their history, invoices with lines, setup intents, and what a user may use."""

from tallystick.migrations.sql import run

revision = "0005"
down_revision = "0004"

SQL = """
ALTER TABLE subscriptions
    ADD claimed boolean NOT NULL DEFAULT false,
    ADD flagged boolean NOT NULL DEFAULT false,
    ADD currency text,
    ADD items jsonb NOT NULL DEFAULT '[]',
    ADD discounts jsonb NOT NULL DEFAULT '[]',
    ADD start_date timestamptz,
    ADD billing_cycle_anchor timestamptz,
    ADD trial_without_method text,
    ADD cancel_at timestamptz,
    ADD ended_at timestamptz,
    ADD cancellation_reason text,
    ADD cancellation_feedback text,
    ADD cancellation_comment text,
    ADD collection_method text,
    ADD days_until_due integer,
    ADD default_payment_method text,
    ADD latest_invoice_id text,
    ADD pending_setup_intent_id text,
    ADD schedule_id text,
    ADD pause_collection jsonb,
    ADD pending_update jsonb,
    ADD activated_at timestamptz;
COMMENT ON COLUMN subscriptions.claimed IS 'made by us: it bears our subscription id in its metadata';
COMMENT ON COLUMN subscriptions.flagged IS 'made elsewhere beside another live one; staff were told once';
COMMENT ON COLUMN subscriptions.product_id IS 'of the first item, as price_id and quantity; all of them are in items';
COMMENT ON COLUMN subscriptions.activated_at IS 'when it was first active or trialing';
CREATE INDEX subscriptions_by_customer ON subscriptions (stripe_customer_id) WHERE stripe_customer_id IS NOT NULL;
CREATE INDEX subscriptions_by_time ON subscriptions (created_at DESC, id DESC);
CREATE INDEX subscriptions_by_status ON subscriptions (status, created_at DESC, id DESC);
DROP INDEX subscriptions_by_user;
CREATE INDEX subscriptions_by_user ON subscriptions (user_id, created_at DESC, id DESC);

ALTER TABLE subscription_history
    ADD business_key text NOT NULL UNIQUE,
    ADD actor text NOT NULL,
    ADD cause text NOT NULL CHECK (cause IN ('api', 'dashboard', 'stripe', 'repair')),
    ADD reason text,
    ADD stripe_event_id text,
    ADD request_key text,
    ADD provisional boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN subscription_history.actor IS
    'user:<external id>, admin:<external id>, service:<external id>, stripe, or dashboard';
COMMENT ON COLUMN subscription_history.cause IS
    'api: a request to us; dashboard: another request to Stripe; stripe: time; repair: seen without an event';
COMMENT ON COLUMN subscription_history.request_key IS 'the idempotency key, at Stripe, of the request that caused it';
COMMENT ON COLUMN subscription_history.provisional IS
    'seen in an answer or a fetch, and not told by an event yet; it gives way to the rows of the events that tell it';
CREATE INDEX subscription_history_provisional ON subscription_history (subscription_id) WHERE provisional;

CREATE TABLE subscription_schedules (
    id uuid PRIMARY KEY,
    stripe_schedule_id text NOT NULL UNIQUE,
    stripe_subscription_id text,
    stripe_customer_id text,
    status text NOT NULL,
    end_behavior text NOT NULL,
    current_start timestamptz,
    phases jsonb NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX subscription_schedules_running ON subscription_schedules (stripe_subscription_id)
    WHERE status IN ('active', 'not_started');

CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    stripe_invoice_id text NOT NULL UNIQUE,
    user_id uuid REFERENCES users (id),
    stripe_customer_id text,
    stripe_subscription_id text,
    number text,
    status text,
    billing_reason text,
    currency text NOT NULL,
    subtotal numeric(20, 0) NOT NULL,
    discount numeric(20, 0) NOT NULL DEFAULT 0,
    tax numeric(20, 0) NOT NULL DEFAULT 0,
    total numeric(20, 0) NOT NULL,
    amount_due numeric(20, 0) NOT NULL,
    amount_paid numeric(20, 0) NOT NULL DEFAULT 0,
    amount_remaining numeric(20, 0) NOT NULL DEFAULT 0,
    starting_balance numeric(20, 0) NOT NULL DEFAULT 0,
    ending_balance numeric(20, 0),
    attempted boolean NOT NULL DEFAULT false,
    attempt_count integer NOT NULL DEFAULT 0,
    next_payment_attempt timestamptz,
    auto_advance boolean,
    collection_method text,
    due_date timestamptz,
    period_start timestamptz,
    period_end timestamptz,
    finalized_at timestamptz,
    paid_at timestamptz,
    voided_at timestamptz,
    marked_uncollectible_at timestamptz,
    hosted_invoice_url text,
    invoice_pdf text,
    payment_intent_id text,
    default_payment_method text,
    metadata jsonb NOT NULL DEFAULT '{}',
    more_lines boolean NOT NULL DEFAULT false,
    first_failed_at timestamptz,
    deleted boolean NOT NULL DEFAULT false,
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN invoices.first_failed_at IS 'when a payment of it failed, or needed the customer, for the first time';
COMMENT ON COLUMN invoices.more_lines IS 'not all of its lines are here yet; a fetch is queued';
CREATE INDEX invoices_by_user ON invoices (user_id, created_at DESC, id DESC);
CREATE INDEX invoices_by_time ON invoices (created_at DESC, id DESC);
CREATE INDEX invoices_by_subscription ON invoices (stripe_subscription_id, created_at DESC, id DESC);
CREATE INDEX invoices_by_customer ON invoices (stripe_customer_id, created_at DESC, id DESC);
CREATE INDEX invoices_by_payment_intent ON invoices (payment_intent_id) WHERE payment_intent_id IS NOT NULL;
CREATE INDEX invoices_open ON invoices (stripe_subscription_id, first_failed_at) WHERE status = 'open';

CREATE TABLE invoice_lines (
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    position integer NOT NULL,
    stripe_line_id text NOT NULL,
    amount numeric(20, 0) NOT NULL,
    discount numeric(20, 0) NOT NULL DEFAULT 0,
    currency text NOT NULL,
    description text,
    quantity integer,
    period_start timestamptz,
    period_end timestamptz,
    price_id text,
    product_id text,
    proration boolean NOT NULL DEFAULT false,
    stripe_subscription_id text,
    subscription_item text,
    PRIMARY KEY (invoice_id, position)
);

CREATE TABLE setup_intents (
    id uuid PRIMARY KEY,
    stripe_setup_intent_id text NOT NULL UNIQUE,
    user_id uuid REFERENCES users (id),
    stripe_customer_id text,
    payment_method text,
    status text NOT NULL,
    usage text,
    error_code text,
    decline_code text,
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX setup_intents_by_user ON setup_intents (user_id, created_at DESC);

CREATE TABLE coupons (
    id uuid PRIMARY KEY,
    stripe_coupon_id text NOT NULL UNIQUE,
    name text,
    amount_off numeric(20, 0),
    currency text,
    percent_off text,
    duration text,
    duration_in_months integer,
    max_redemptions integer,
    times_redeemed integer NOT NULL DEFAULT 0,
    redeem_by timestamptz,
    valid boolean NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE promotion_codes (
    id uuid PRIMARY KEY,
    stripe_promotion_code_id text NOT NULL UNIQUE,
    code text NOT NULL,
    stripe_coupon_id text,
    stripe_customer_id text,
    active boolean NOT NULL,
    expires_at timestamptz,
    max_redemptions integer,
    times_redeemed integer NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX promotion_codes_by_code ON promotion_codes (lower(code)) WHERE active;

CREATE TABLE discounts (
    id uuid PRIMARY KEY,
    stripe_discount_id text NOT NULL UNIQUE,
    stripe_coupon_id text,
    stripe_promotion_code_id text,
    stripe_customer_id text,
    stripe_subscription_id text,
    start_at timestamptz NOT NULL,
    end_at timestamptz,
    deleted boolean NOT NULL DEFAULT false,
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX discounts_by_subscription ON discounts (stripe_subscription_id) WHERE NOT deleted;
CREATE INDEX discounts_by_customer ON discounts (stripe_customer_id) WHERE NOT deleted;

CREATE TABLE features (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE product_features (
    stripe_product_id text NOT NULL,
    feature_id uuid NOT NULL REFERENCES features (id),
    value jsonb,
    PRIMARY KEY (stripe_product_id, feature_id)
);

CREATE TABLE access_grants (
    subscription_id uuid NOT NULL REFERENCES subscriptions (id),
    stripe_product_id text NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id),
    price_id text,
    quantity integer,
    state text NOT NULL,
    access boolean NOT NULL,
    access_until timestamptz,
    asked_at timestamptz,
    since timestamptz NOT NULL,
    changes integer NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (subscription_id, stripe_product_id)
);
COMMENT ON COLUMN access_grants.access_until IS 'when access ends by itself; null: not by itself';
COMMENT ON COLUMN access_grants.changes IS 'how often access began or ended; since is the last time';
COMMENT ON COLUMN access_grants.asked_at IS 'when Stripe was asked, after access_until had passed, whether it is so';
CREATE INDEX access_grants_by_user ON access_grants (user_id) WHERE access;

CREATE TABLE dunning_runs (
    stripe_invoice_id text PRIMARY KEY,
    subscription_id uuid NOT NULL REFERENCES subscriptions (id),
    step integer NOT NULL,
    attempts integer NOT NULL,
    next_at timestamptz,
    tried_method text,
    seen_method text,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE dunning_runs IS 'DUNNING_MODE=local: how far collecting has come, a row for each invoice that failed';
COMMENT ON COLUMN dunning_runs.step IS 'how many of the planned retries were made, or left out for want of hope';
COMMENT ON COLUMN dunning_runs.attempts IS 'how often it was tried, the renewal included';
COMMENT ON COLUMN dunning_runs.next_at IS 'when the next step is due; null: after the last';
COMMENT ON COLUMN dunning_runs.tried_method IS 'the payment method that was tried last';
COMMENT ON COLUMN dunning_runs.seen_method IS 'the default method when we last looked; a new one is tried at once';
"""


def upgrade() -> None:
    run(SQL)
