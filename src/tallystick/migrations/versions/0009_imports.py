"""Imports of an existing account: how far each range of each list has come."""

from tallystick.migrations.sql import run

revision = "0009"
down_revision = "0008"

SQL = """
CREATE TABLE imports (
    id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('running', 'done', 'abandoned')),
    until timestamptz NOT NULL,
    options jsonb NOT NULL,
    owner text,
    lease_until timestamptz,
    took_ms bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    finished_at timestamptz
);
COMMENT ON COLUMN imports.until IS 'Stripe''s time up to which it lists what was made; events tell the rest';
COMMENT ON COLUMN imports.owner IS 'the process that is at it, for as long as its lease (wall time) lasts';
CREATE UNIQUE INDEX imports_one_running ON imports ((state)) WHERE state = 'running';

CREATE TABLE import_ranges (
    id uuid PRIMARY KEY,
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    object text NOT NULL,
    scope text,
    created_from bigint,
    created_until bigint,
    expected bigint NOT NULL,
    cursor text,
    cursor_created bigint,
    done boolean NOT NULL DEFAULT false,
    listed bigint NOT NULL DEFAULT 0,
    added bigint NOT NULL DEFAULT 0,
    same bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    left_out bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE import_ranges IS 'parts of a list, each walked page by page by one task; times are Unix seconds';
COMMENT ON COLUMN import_ranges.scope IS 'parameter=value: the list of one parent or of one test clock';
COMMENT ON COLUMN import_ranges.cursor IS 'the last object of the last page whose rows are stored';
CREATE INDEX import_ranges_of_import ON import_ranges (import_id, object);

CREATE TABLE import_refusals (
    import_id uuid NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    object text NOT NULL,
    object_id text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (import_id, object, object_id)
);
COMMENT ON TABLE import_refusals IS 'objects that could not be stored, and why; the rest of their page was';

CREATE INDEX customers_by_email ON customers (lower(email)) WHERE NOT deleted AND email IS NOT NULL;
CREATE INDEX payments_unclaimed ON payments (stripe_customer_id)
    WHERE user_id IS NULL AND stripe_customer_id IS NOT NULL;
CREATE INDEX setup_intents_unclaimed ON setup_intents (stripe_customer_id)
    WHERE user_id IS NULL AND stripe_customer_id IS NOT NULL;
CREATE INDEX users_by_email ON users (lower(email)) WHERE email IS NOT NULL;
"""


def upgrade() -> None:
    run(SQL)
