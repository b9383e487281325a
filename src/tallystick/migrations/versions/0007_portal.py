"""Links to the billing pages, and the browsers that are signed in by them."""

from tallystick.migrations.sql import run

revision = "0007"
down_revision = "0006"

SQL = """
CREATE TABLE portal_links (
    token_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    flow text CHECK (flow IN ('cancel', 'change', 'payment_method', 'pay')),
    return_url text,
    locale text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    opened_at timestamptz
);
COMMENT ON TABLE portal_links IS 'SHA-256 of each link''s token; all times are wall time';
CREATE INDEX portal_links_expires ON portal_links (expires_at);

CREATE TABLE portal_sessions (
    token_hash bytea PRIMARY KEY,
    link_hash bytea NOT NULL UNIQUE REFERENCES portal_links (token_hash) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id),
    return_url text,
    locale text,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE portal_sessions IS 'SHA-256 of the token in the browser''s cookie; all times are wall time';
"""


def upgrade() -> None:
    run(SQL)
