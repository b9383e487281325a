"""The console: who is signed in, and the orders and filters of its lists."""

from tallystick.migrations.sql import run

revision = "0014"
down_revision = "0013"

_SESSIONS = """
CREATE TABLE console_sessions (
    token_hash bytea PRIMARY KEY,
    subject text NOT NULL,
    email text,
    roles text[] NOT NULL,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE console_sessions IS 'SHA-256 of the token in the browser''s cookie; all times are wall time';
CREATE INDEX console_sessions_expires ON console_sessions (expires_at);

CREATE TABLE console_tries (
    address text NOT NULL,
    minute timestamptz NOT NULL,
    failed integer NOT NULL,
    PRIMARY KEY (address, minute)
);
COMMENT ON TABLE console_tries IS 'how often somebody at this address was turned away at the door, by minute';
CREATE INDEX console_tries_by_time ON console_tries (minute);
"""

# `make bench ARGS=console` reads every list by every filter. Where most rows bear a value the order's index finds a
# page of them at once, so an index is only of those that few have: it costs the others nothing.
_LISTS = """
CREATE INDEX payments_by_customer ON payments (stripe_customer_id, created_at DESC, id DESC)
    WHERE stripe_customer_id IS NOT NULL;
CREATE INDEX payments_by_code ON payments (coalesce(decline_code, error_code), created_at DESC, id DESC)
    WHERE coalesce(decline_code, error_code) IS NOT NULL;

CREATE INDEX customers_by_time ON customers (created_at DESC, id DESC);

CREATE INDEX subscriptions_by_price ON subscriptions (price_id, created_at DESC, id DESC) WHERE price_id IS NOT NULL;

CREATE INDEX invoices_by_status ON invoices (status, created_at DESC, id DESC);
CREATE INDEX invoices_that_failed ON invoices (created_at DESC, id DESC) WHERE first_failed_at IS NOT NULL;

CREATE INDEX webhook_events_by_type ON webhook_events (event_type, id DESC);
CREATE INDEX webhook_events_unhandled ON webhook_events (id) WHERE state = 'unhandled';
CREATE INDEX webhook_events_elsewhere ON webhook_events (source, id DESC) WHERE source <> 'webhook';

CREATE INDEX mails_by_template ON mails (template, id DESC);
CREATE INDEX mails_by_recipient ON mails (lower(recipient), id DESC);
CREATE INDEX mails_not_sent ON mails (state, id DESC) WHERE state IN ('superseded', 'disabled', 'silent');

CREATE INDEX outbound_deliveries_discarded ON outbound_deliveries (id) WHERE state = 'discarded';

CREATE INDEX reconcile_differences_by_state ON reconcile_differences (state, seen_at DESC, id DESC);
CREATE INDEX reconcile_differences_by_cause ON reconcile_differences (cause, seen_at DESC, id DESC);
CREATE INDEX reconcile_differences_by_object ON reconcile_differences (object, seen_at DESC, id DESC);
CREATE INDEX reconcile_differences_by_id ON reconcile_differences (stripe_id);
"""

SQL = _SESSIONS + _LISTS


def upgrade() -> None:
    run(SQL)
