"""The keys of writes to webhook endpoints at Stripe, how far back-fills are, and since when an event waits."""

from tallystick.migrations.sql import run

revision = "0017"
down_revision = "0016"

_ENDPOINT_WRITES = """
CREATE TABLE webhook_endpoint_writes (
    purpose text PRIMARY KEY,
    stripe_idempotency_key text NOT NULL,
    fingerprint text NOT NULL,
    created_at timestamptz NOT NULL,
    done_at timestamptz
);
COMMENT ON TABLE webhook_endpoint_writes IS
    'writes to our webhook endpoints at Stripe, the last of each purpose, stored before it is sent; wall time';
COMMENT ON COLUMN webhook_endpoint_writes.purpose IS '`create`, or `update` with the id of the endpoint';
COMMENT ON COLUMN webhook_endpoint_writes.fingerprint IS 'SHA-256 of what is written: another write has another key';
COMMENT ON COLUMN webhook_endpoint_writes.done_at IS
    'NULL while its outcome is open, or the secret in it not told: a repeat sends the same key for 23 hours';
CREATE INDEX webhook_endpoint_writes_by_time ON webhook_endpoint_writes (created_at);
"""

_BACKFILLS = """
CREATE TABLE backfills (
    name text PRIMARY KEY,
    revision text NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);
COMMENT ON TABLE backfills IS
    'rows that `tallystick migrate` has filled in batches after a migration; by the database''s clock';
"""

_WAITING = """
ALTER TABLE webhook_parked_objects ADD COLUMN since timestamptz;
COMMENT ON COLUMN webhook_parked_objects.since IS
    'when the event failed first; wall time. NULL where a version before 0017 has written it: not known';
"""

SQL = _ENDPOINT_WRITES + _BACKFILLS + _WAITING


def upgrade() -> None:
    run(SQL)
