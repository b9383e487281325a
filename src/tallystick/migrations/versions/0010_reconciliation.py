"""Reconcile runs, and the differences that they found."""

from tallystick.migrations.sql import run

revision = "0010"
down_revision = "0009"

SQL = """
CREATE TABLE reconcile_runs (
    id uuid PRIMARY KEY,
    mode text NOT NULL CHECK (mode IN ('incremental', 'full')),
    state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    scope jsonb NOT NULL DEFAULT '{}',
    requested_by text NOT NULL,
    cursor jsonb NOT NULL DEFAULT '{}',
    from_at timestamptz,
    until_at timestamptz,
    objects bigint NOT NULL DEFAULT 0,
    fields bigint NOT NULL DEFAULT 0,
    added bigint NOT NULL DEFAULT 0,
    differences integer NOT NULL DEFAULT 0,
    repaired integer NOT NULL DEFAULT 0,
    left_open integer NOT NULL DEFAULT 0,
    in_flight integer NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    error text,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz
);
COMMENT ON COLUMN reconcile_runs.scope IS 'of a full run: the kinds it walks, and since when the objects were made';
COMMENT ON COLUMN reconcile_runs.cursor IS 'how far it has come; a run that was killed goes on from there';
COMMENT ON COLUMN reconcile_runs.until_at IS 'business time as of which its result is true';
COMMENT ON COLUMN reconcile_runs.added IS 'objects made at Stripe since the run before';
CREATE INDEX reconcile_runs_open ON reconcile_runs (created_at) WHERE state IN ('queued', 'running');
CREATE INDEX reconcile_runs_by_mode ON reconcile_runs (mode, id DESC);

CREATE TABLE reconcile_differences (
    id uuid PRIMARY KEY,
    object text NOT NULL,
    stripe_id text NOT NULL,
    field text NOT NULL,
    ours jsonb,
    stripe jsonb,
    cause text NOT NULL CHECK (cause IN ('in_flight', 'missed_event', 'ours', 'dashboard', 'foreign', 'gone')),
    state text NOT NULL CHECK (state IN ('open', 'repaired', 'passed')),
    times_seen integer NOT NULL DEFAULT 1,
    found_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_by text,
    run_id uuid,
    history jsonb NOT NULL DEFAULT '[]',
    UNIQUE (object, stripe_id, field)
);
COMMENT ON COLUMN reconcile_differences.field IS 'a column of the mirror, or row: there was one too few or too many';
COMMENT ON COLUMN reconcile_differences.state IS
    'passed: the two became equal without a repair; closed_at says when that or the repair was';
COMMENT ON COLUMN reconcile_differences.history IS
    'the last twenty things that became of it: {at, what, cause, ours, stripe, by}';
CREATE INDEX reconcile_differences_open ON reconcile_differences (object, stripe_id) WHERE state = 'open';
CREATE INDEX reconcile_differences_by_time ON reconcile_differences (seen_at DESC, id DESC);

CREATE TABLE reconcile_seen (
    run_id uuid NOT NULL,
    object text NOT NULL,
    stripe_id text NOT NULL,
    PRIMARY KEY (run_id, object, stripe_id)
);
COMMENT ON TABLE reconcile_seen IS 'what the lists of a full run have shown; emptied when it is over';
"""


def upgrade() -> None:
    run(SQL)
