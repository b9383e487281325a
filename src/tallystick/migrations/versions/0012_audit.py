"""Who did what, and whose data was erased."""

from tallystick.migrations.sql import run

revision = "0012"
down_revision = "0011"

SQL = """
CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    actor text NOT NULL,
    roles text[] NOT NULL,
    user_id uuid,
    action text NOT NULL,
    object_kind text,
    object_id text,
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    status smallint,
    error_code text,
    request_id text,
    address text,
    details jsonb NOT NULL DEFAULT '{}' CHECK (length(details::text) <= 4000),
    happened_at timestamptz NOT NULL,
    business_at timestamptz NOT NULL
);
COMMENT ON TABLE audit_log IS 'who did what; rows are only added, but for retention and for names that are erased';
COMMENT ON COLUMN audit_log.actor IS 'admin:<subject>, support:<subject>, service:<subject>, or cli:<login name>';
COMMENT ON COLUMN audit_log.user_id IS 'the user for whom a service acted';
COMMENT ON COLUMN audit_log.status IS 'of the answer; null on the command line';
CREATE INDEX audit_log_by_time ON audit_log (happened_at);
CREATE INDEX audit_log_by_actor ON audit_log (actor, id DESC);
CREATE INDEX audit_log_by_action ON audit_log (action, id DESC);
CREATE INDEX audit_log_by_object ON audit_log (object_id, id DESC) WHERE object_id IS NOT NULL;
CREATE INDEX audit_log_by_user ON audit_log (user_id, id DESC) WHERE user_id IS NOT NULL;

CREATE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('tallystick.audit', true) = 'prune' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND current_setting('tallystick.audit', true) = 'erase' THEN
        -- A name gives way to a pseudonym; what was done, to what, when and with what outcome stands.
        IF to_jsonb(NEW) - ARRAY['actor', 'address', 'details'] = to_jsonb(OLD) - ARRAY['actor', 'address', 'details']
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_log only grows' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_only_grows();
CREATE TRIGGER audit_log_is_never_emptied BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();

ALTER TABLE users ADD erased_at timestamptz;
COMMENT ON COLUMN users.erased_at IS 'when what told who it was began to be removed; external_id is a pseudonym since';

CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL UNIQUE REFERENCES users (id),
    requested_by text NOT NULL,
    cancel_subscriptions boolean NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
    step text NOT NULL,
    place text,
    cursor text,
    known jsonb NOT NULL,
    removed jsonb NOT NULL DEFAULT '{}',
    kept jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz
);
COMMENT ON COLUMN erasures.place IS 'how far it has come: what is being walked, and after which row';
COMMENT ON COLUMN erasures.known IS 'what to look for, as long as it is being removed; empty once that is done';
CREATE INDEX erasures_open ON erasures (id) WHERE state = 'open';

CREATE TABLE erased_objects (
    stripe_id text PRIMARY KEY,
    erasure_id uuid NOT NULL REFERENCES erasures (id)
);
COMMENT ON TABLE erased_objects IS 'Stripe''s ids of what belonged to erased users: events about them are scrubbed';
CREATE INDEX erased_objects_by_erasure ON erased_objects (erasure_id, stripe_id);
"""


def upgrade() -> None:
    run(SQL)
