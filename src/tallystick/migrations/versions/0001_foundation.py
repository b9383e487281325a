"""The foundation: users, payments and what hangs on them, the inbox, the queues."""

from tallystick.migrations.sql import run

revision = "0001"
down_revision = None

SQL = """
CREATE TABLE users (
    id uuid PRIMARY KEY,
    external_id text NOT NULL UNIQUE,
    email text,
    name text,
    locale text,
    stripe_customer_id text UNIQUE,
    customer_generation integer NOT NULL DEFAULT 0,
    customer_requested_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE payments (
    id uuid PRIMARY KEY,
    stripe_payment_intent_id text UNIQUE,
    user_id uuid REFERENCES users (id),
    stripe_customer_id text,
    amount numeric(20, 0) NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    status text NOT NULL,
    stripe_status text,
    payment_method text,
    description text,
    metadata jsonb NOT NULL DEFAULT '{}',
    capture_method text NOT NULL DEFAULT 'automatic',
    setup_future_usage text,
    amount_capturable numeric(20, 0) NOT NULL DEFAULT 0,
    amount_received numeric(20, 0) NOT NULL DEFAULT 0,
    amount_refunded numeric(20, 0) NOT NULL DEFAULT 0,
    latest_charge_id text,
    error_code text,
    decline_code text,
    cancellation_reason text,
    canceled_at timestamptz,
    claimed boolean NOT NULL DEFAULT false,
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN payments.claimed IS 'made by us: the intent bears our payment id in its metadata';
COMMENT ON COLUMN payments.state_at IS 'Stripe''s time of the state that the row shows';
COMMENT ON COLUMN payments.unsure IS 'two events of one second could not be ordered; a fetch is queued';
CREATE INDEX payments_by_user ON payments (user_id, created_at DESC, id DESC);
CREATE INDEX payments_by_time ON payments (created_at DESC, id DESC);
CREATE INDEX payments_by_status ON payments (status, created_at DESC, id DESC);

CREATE TABLE charges (
    id uuid PRIMARY KEY,
    stripe_charge_id text NOT NULL UNIQUE,
    payment_id uuid REFERENCES payments (id),
    stripe_payment_intent_id text,
    amount numeric(20, 0) NOT NULL,
    amount_captured numeric(20, 0) NOT NULL DEFAULT 0,
    amount_refunded numeric(20, 0) NOT NULL DEFAULT 0,
    currency text NOT NULL,
    status text NOT NULL,
    captured boolean NOT NULL,
    disputed boolean NOT NULL DEFAULT false,
    payment_method text,
    card_brand text,
    card_last4 text,
    error_code text,
    decline_code text,
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX charges_by_payment ON charges (payment_id, created_at);

CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    stripe_refund_id text UNIQUE,
    payment_id uuid NOT NULL REFERENCES payments (id),
    amount numeric(20, 0) NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    status text NOT NULL,
    release boolean NOT NULL DEFAULT false,
    reason text,
    failure_reason text,
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN refunds.release IS
    'no money went back: what was authorised and not captured was let go (API versions before 2025-03-31)';
CREATE INDEX refunds_by_payment ON refunds (payment_id, created_at);

CREATE TABLE disputes (
    id uuid PRIMARY KEY,
    stripe_dispute_id text NOT NULL UNIQUE,
    payment_id uuid REFERENCES payments (id),
    stripe_charge_id text,
    amount numeric(20, 0) NOT NULL,
    currency text NOT NULL,
    reason text NOT NULL,
    status text NOT NULL,
    evidence_due_at timestamptz,
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX disputes_by_payment ON disputes (payment_id);

CREATE TABLE payment_methods (
    id uuid PRIMARY KEY,
    stripe_payment_method_id text NOT NULL UNIQUE,
    user_id uuid REFERENCES users (id),
    stripe_customer_id text,
    type text NOT NULL,
    card_brand text,
    card_last4 text,
    card_exp_month smallint,
    card_exp_year smallint,
    card_funding text,
    card_country text,
    card_fingerprint text,
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX payment_methods_by_user ON payment_methods (user_id, created_at DESC);

CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    stripe_subscription_id text UNIQUE,
    user_id uuid REFERENCES users (id),
    stripe_customer_id text,
    product_id text,
    price_id text,
    status text NOT NULL,
    current_period_start timestamptz,
    current_period_end timestamptz,
    trial_start timestamptz,
    trial_end timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    canceled_at timestamptz,
    quantity integer,
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX subscriptions_by_user ON subscriptions (user_id, created_at DESC);

CREATE TABLE subscription_history (
    id uuid PRIMARY KEY,
    subscription_id uuid NOT NULL REFERENCES subscriptions (id),
    action text NOT NULL,
    old_values jsonb,
    new_values jsonb,
    performed_by uuid REFERENCES users (id),
    performed_at timestamptz NOT NULL
);
CREATE INDEX subscription_history_by_subscription ON subscription_history (subscription_id, performed_at);

CREATE TABLE idempotency_keys (
    id uuid PRIMARY KEY,
    scope text NOT NULL,
    key text NOT NULL,
    route text NOT NULL,
    fingerprint bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('in_progress', 'done')),
    status_code smallint,
    body text,
    created_at timestamptz NOT NULL,
    UNIQUE (scope, key)
);
COMMENT ON COLUMN idempotency_keys.body IS 'JSON as it was answered: text keeps its order, jsonb would not';
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

CREATE TABLE attempts (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    user_id uuid,
    subject_id uuid,
    part_id uuid,
    lock_key text,
    idempotency_key_id uuid REFERENCES idempotency_keys (id) ON DELETE SET NULL,
    stripe_idempotency_key text NOT NULL UNIQUE,
    request jsonb NOT NULL,
    state text NOT NULL CHECK (state IN
        ('requested', 'unknown', 'succeeded', 'declined', 'rejected', 'unavailable', 'abandoned')),
    sent_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    looks integer NOT NULL DEFAULT 0,
    error_code text,
    decline_code text,
    stripe_request_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN attempts.subject_id IS
    'the object of ours that it is about; the row may be gone if nothing came of it';
CREATE UNIQUE INDEX attempts_one_open_operation ON attempts (lock_key) WHERE state IN ('requested', 'unknown');
CREATE INDEX attempts_open ON attempts (lease_until) WHERE state IN ('requested', 'unknown');
CREATE INDEX attempts_by_subject ON attempts (subject_id);
CREATE INDEX attempts_by_key ON attempts (idempotency_key_id);

CREATE TABLE webhook_events (
    id uuid PRIMARY KEY,
    stripe_event_id text NOT NULL UNIQUE,
    event_type text NOT NULL,
    processed boolean NOT NULL DEFAULT false,
    processed_at timestamptz,
    payload jsonb,
    error_message text,
    retry_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'processed', 'unhandled', 'dead', 'discarded', 'parked')),
    source text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    lane smallint NOT NULL,
    object_key text NOT NULL,
    object_id text,
    api_version text,
    event_created_at timestamptz NOT NULL,
    request_idempotency_key text,
    not_before timestamptz NOT NULL,
    raw bytea
);
COMMENT ON COLUMN webhook_events.raw IS 'the body, where jsonb refused it';
CREATE INDEX webhook_events_pending ON webhook_events (lane, seq)
    WHERE state = 'pending' AND not_before < 'infinity';
CREATE INDEX webhook_events_by_state ON webhook_events (state, id DESC) WHERE state IN ('dead', 'parked', 'discarded');
CREATE INDEX webhook_events_by_object ON webhook_events (object_key, seq);
CREATE INDEX webhook_events_by_request ON webhook_events (request_idempotency_key)
    WHERE request_idempotency_key IS NOT NULL;
DO $$ BEGIN
    ALTER TABLE webhook_events ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;  -- a server built without lz4: its default compression does
END $$;

CREATE TABLE webhook_lanes (lane smallint PRIMARY KEY);
INSERT INTO webhook_lanes SELECT generate_series(0, 15);

CREATE TABLE webhook_parked_objects (
    object_key text PRIMARY KEY,
    event_id uuid NOT NULL REFERENCES webhook_events (id),
    waits_for text
);

CREATE TABLE work (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    business_key text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'dead')),
    due_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE UNIQUE INDEX work_queued_once ON work (business_key) WHERE state = 'queued';
CREATE INDEX work_due ON work (due_at) WHERE state = 'queued';
CREATE INDEX work_finished ON work (finished_at) WHERE state = 'done';

CREATE TABLE mails (
    id uuid PRIMARY KEY,
    business_key text NOT NULL UNIQUE,
    template text NOT NULL,
    recipient text NOT NULL,
    locale text NOT NULL,
    context jsonb NOT NULL,
    user_id uuid REFERENCES users (id),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'superseded', 'disabled', 'dead')),
    due_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    leased_until timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    message_id text,
    subject text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX mails_due ON mails (due_at) WHERE state = 'queued';
CREATE INDEX mails_by_user ON mails (user_id, created_at DESC);

CREATE TABLE event_cursors (
    name text PRIMARY KEY,
    cursor_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    run(SQL)
