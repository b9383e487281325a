"""The archive of the payloads of events that are over, by month; and what a timeline looks things up by."""

from tallystick.migrations.sql import run

revision = "0011"
down_revision = "0010"

SQL = """
CREATE TABLE webhook_payloads (
    event_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    payload jsonb,
    raw bytea,
    PRIMARY KEY (received_at, event_id)
) PARTITION BY RANGE (received_at);
COMMENT ON TABLE webhook_payloads IS
    'payloads of archived events, a partition a month (webhook_payloads_<year>_<month>, UTC), made by the worker';
COMMENT ON COLUMN webhook_payloads.received_at IS 'created_at of the event: it leads to the partition';
DO $$ BEGIN
    ALTER TABLE webhook_payloads ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;  -- a server built without lz4: its default compression does
END $$;

CREATE TABLE webhook_archive (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    passed uuid NOT NULL
);
COMMENT ON TABLE webhook_archive IS 'how far archiving has come; who holds its row archives';
COMMENT ON COLUMN webhook_archive.passed IS 'all events up to this id are archived, or marked archive_later';
INSERT INTO webhook_archive (passed) VALUES ('00000000-0000-0000-0000-000000000000');

ALTER TABLE webhook_events
    ADD archived_at timestamptz,
    ADD archive_later boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN webhook_events.archived_at IS
    'when the payload moved to webhook_payloads; no payload there either: its month has been dropped';
COMMENT ON COLUMN webhook_events.archive_later IS
    'archiving passed it while its payload was still needed; it is looked at again';
CREATE INDEX webhook_events_archive_later ON webhook_events (id) WHERE archive_later;

CREATE INDEX attempts_by_user ON attempts (user_id, created_at DESC) WHERE user_id IS NOT NULL;
CREATE INDEX outbound_facts_by_object ON outbound_facts (object_key, occurred_at DESC);
"""


def upgrade() -> None:
    run(SQL)
