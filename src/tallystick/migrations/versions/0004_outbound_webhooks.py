"""Outbound webhooks: facts, who hears of them, and what is to be delivered."""

from tallystick.migrations.sql import run

revision = "0004"
down_revision = "0003"

SQL = """
CREATE TABLE outbound_facts (
    id uuid PRIMARY KEY,
    business_key text NOT NULL UNIQUE,
    type text NOT NULL,
    object_key text NOT NULL,
    data jsonb NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    events text[] NOT NULL,
    description text,
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason text CHECK (disabled_reason IN ('manual', 'failing', 'gone')),
    deleted boolean NOT NULL DEFAULT false,
    secret text NOT NULL,
    previous_secret text,
    previous_secret_until timestamptz,
    failing_since timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN webhook_endpoints.failing_since IS
    'wall time of the first failure since the last success; previous_secret_until is wall time, too';

CREATE TABLE outbound_deliveries (
    id uuid PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    fact_id uuid NOT NULL REFERENCES outbound_facts (id),
    receiver text NOT NULL,
    endpoint_id uuid REFERENCES webhook_endpoints (id),
    object_key text NOT NULL,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'delivered', 'dead', 'discarded')),
    due_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    leased_until timestamptz,
    first_tried_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    response_status smallint,
    response_body text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    UNIQUE (fact_id, receiver)
);
COMMENT ON COLUMN outbound_deliveries.receiver IS 'endpoint:<id> or hook:<name>';
CREATE INDEX outbound_deliveries_due ON outbound_deliveries (receiver, not_before, seq) WHERE state = 'queued';
CREATE INDEX outbound_deliveries_order ON outbound_deliveries (receiver, object_key, seq) WHERE state = 'queued';
CREATE INDEX outbound_deliveries_finished ON outbound_deliveries (finished_at) WHERE state <> 'queued';
CREATE INDEX outbound_facts_told ON outbound_facts (created_at) WHERE data <> '{}';
CREATE UNIQUE INDEX outbound_deliveries_listed ON outbound_deliveries (endpoint_id, seq DESC);
"""


def upgrade() -> None:
    run(SQL)
