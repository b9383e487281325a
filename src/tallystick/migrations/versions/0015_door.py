"""The door: what callers have used of their rate limits, and from where staff have signed in."""

from tallystick.migrations.sql import run

revision = "0015"
down_revision = "0014"

# `since` and `most_s` are of the last charge, and there so that ON CONFLICT can read them off `excluded`.
_LIMITS = """
CREATE UNLOGGED TABLE rate_buckets (
    key bytea PRIMARY KEY,
    since timestamptz NOT NULL,
    empty_at timestamptz NOT NULL,
    most_s double precision NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE rate_buckets IS
    'when each bucket is empty again, by the database''s clock; the key is a hash of policy and caller';
"""

_CONSOLE = """
COMMENT ON TABLE console_tries IS
    'how often somebody at this address, or who claimed this name (name:…, a hash), was turned away, by minute';

CREATE TABLE console_places (
    name text NOT NULL,
    address text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (name, address)
);
COMMENT ON TABLE console_places IS
    'where staff (name:…, a hash) have signed in: who tries there in their name cannot lock them out';
CREATE INDEX console_places_by_time ON console_places (seen_at);
"""

SQL = _LIMITS + _CONSOLE


def upgrade() -> None:
    run(SQL)
