"""The installation: its account at Stripe, its mark, and the budget of calls that its processes share."""

from tallystick.migrations.sql import run

revision = "0008"
down_revision = "0007"

SQL = """
CREATE TABLE installation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    installation_id text NOT NULL,
    stripe_account_id text,
    livemode boolean NOT NULL,
    mark timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON COLUMN installation.mark IS
    'business time, whole seconds: events created before it are applied, and told to nobody';
COMMENT ON COLUMN installation.stripe_account_id IS 'null until a key was used that may read the account';

ALTER TABLE mails DROP CONSTRAINT mails_state_check;
ALTER TABLE mails ADD CONSTRAINT mails_state_check
    CHECK (state IN ('queued', 'sent', 'superseded', 'disabled', 'silent', 'dead'));
COMMENT ON COLUMN mails.state IS 'silent: of what happened before the mark, or was imported; the key is taken';

CREATE TABLE leases (
    name text PRIMARY KEY,
    holder uuid NOT NULL,
    leased_until timestamptz NOT NULL
);
COMMENT ON TABLE leases IS 'who does what one process does at a time; wall time';

ALTER TABLE event_cursors
    ADD COLUMN read_at timestamptz,
    ADD COLUMN recovered bigint NOT NULL DEFAULT 0,
    ADD COLUMN recovered_at timestamptz;
COMMENT ON COLUMN event_cursors.cursor_at IS 'Stripe''s time; every event created before it was read';
COMMENT ON COLUMN event_cursors.read_at IS 'when the list was last read to its end; wall time';
COMMENT ON COLUMN event_cursors.recovered IS 'how many events it has brought that no webhook had brought';

CREATE TABLE event_gaps (
    id uuid PRIMARY KEY,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    found_at timestamptz NOT NULL,
    walked_at timestamptz
);
COMMENT ON TABLE event_gaps IS
    'stretches of Stripe''s time whose events cannot be read any more; the lists are walked instead';
CREATE INDEX event_gaps_open ON event_gaps (found_at) WHERE walked_at IS NULL;

CREATE UNLOGGED TABLE stripe_calls (
    second bigint PRIMARY KEY,
    live integer NOT NULL DEFAULT 0,
    background integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE stripe_calls IS
    'calls to Stripe by the second of the database''s clock: live ones as made, background ones as granted';

CREATE TABLE stripe_slowdown (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    slow_until timestamptz NOT NULL,
    step_s integer NOT NULL
);
COMMENT ON TABLE stripe_slowdown IS 'until when nobody calls in the background, as Stripe said 429; wall time';

CREATE TABLE webhook_secrets (
    fingerprint text PRIMARY KEY,
    first_verified_at timestamptz NOT NULL,
    verified_at timestamptz NOT NULL,
    api_version text
);
COMMENT ON TABLE webhook_secrets IS
    'which secret of ours has proven an event to be Stripe''s, and when last (to the minute); wall time';
COMMENT ON COLUMN webhook_secrets.fingerprint IS 'of the secret: the beginning of its SHA-256';

CREATE TABLE invariant_checks (
    name text PRIMARY KEY,
    checked_at timestamptz NOT NULL,
    violated_since timestamptz,
    violations integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE invariant_checks IS 'what the worker''s hourly look has found; wall time';
COMMENT ON COLUMN invariant_checks.violated_since IS 'since when it does not hold; null: it does';

-- What waits for its object to be free is in no other index; the simulator and the doctor ask for it.
CREATE INDEX webhook_events_waiting ON webhook_events (object_key)
    WHERE state = 'pending' AND not_before = 'infinity';
"""


def upgrade() -> None:
    run(SQL)
