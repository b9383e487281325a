"""Money figures by day, what they are made of, and what of it is to be worked out anew."""

from tallystick.migrations.sql import run

revision = "0013"
down_revision = "0012"

_TABLES = """
CREATE TABLE metrics_stale (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id uuid,
    stripe_customer_id text,
    at timestamptz,
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE metrics_stale IS
    'what changed since the figures were worked out: a story, a customer''s discounts, or the money of an hour';

CREATE TABLE mrr_movements (
    stripe_customer_id text NOT NULL,
    at timestamptz NOT NULL,
    currency text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('new', 'reactivation', 'expansion', 'contraction', 'churn')),
    amount bigint NOT NULL,
    PRIMARY KEY (stripe_customer_id, at, currency)
);
COMMENT ON COLUMN mrr_movements.currency IS 'empty where only customers are counted, whatever they pay in';
CREATE INDEX mrr_movements_by_time ON mrr_movements (at, stripe_customer_id);

CREATE TABLE trials (
    subscription_id uuid PRIMARY KEY,
    stripe_customer_id text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    converted boolean NOT NULL
);
CREATE INDEX trials_by_customer ON trials (stripe_customer_id);

CREATE TABLE metrics_days (
    day date NOT NULL,
    kind text NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (day, kind, currency)
);
COMMENT ON TABLE metrics_days IS 'sums of a day (METRICS_TIME_ZONE); amounts are signed minor units';

CREATE TABLE metrics_declines (
    day date NOT NULL,
    code text NOT NULL,
    currency text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (day, code, currency)
);
COMMENT ON TABLE metrics_declines IS 'charges of a day that were declined, by the decline code, else the error code';

CREATE TABLE exchange_rates (
    day date NOT NULL,
    currency text NOT NULL,
    base text NOT NULL,
    rate numeric NOT NULL CHECK (rate > 0),
    PRIMARY KEY (base, currency, day)
);
COMMENT ON COLUMN exchange_rates.rate IS 'how many main units of base one main unit of the currency is worth';

CREATE TABLE telemetry_minutes (
    minute timestamptz NOT NULL,
    name text NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (minute, name)
);
COMMENT ON TABLE telemetry_minutes IS 'what all processes counted, by the minute of wall time; kept for two days';

CREATE TABLE alerts (
    name text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('pending', 'firing', 'over')),
    since timestamptz NOT NULL,
    value double precision,
    incident uuid,
    told_at timestamptz,
    over_at timestamptz
);
COMMENT ON TABLE alerts IS 'one row a rule that ever held; times are wall time, incident is new each time it fires';

CREATE TABLE watched (
    name text PRIMARY KEY,
    value double precision,
    read_at timestamptz NOT NULL
);
COMMENT ON TABLE watched IS 'what others were asked, by one process for all: NULL where they did not tell; wall time';

-- Money of a day is summed from these; almost free to keep, as rows come in the order of time.
CREATE INDEX charges_by_day ON charges USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX refunds_by_day ON refunds USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX disputes_by_day ON disputes USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX invoices_by_failure ON invoices (first_failed_at) WHERE first_failed_at IS NOT NULL;

-- What is dead is counted all the time, and there is little of it.
CREATE INDEX work_dead ON work (id) WHERE state = 'dead';
CREATE INDEX mails_dead ON mails (id) WHERE state = 'dead';
CREATE INDEX outbound_deliveries_dead ON outbound_deliveries (id) WHERE state = 'dead';

CREATE FUNCTION metrics_story_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO metrics_stale (subscription_id) SELECT DISTINCT subscription_id FROM changed;
    RETURN NULL;
END $$;
CREATE FUNCTION metrics_discount_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO metrics_stale (stripe_customer_id)
    SELECT DISTINCT stripe_customer_id FROM changed WHERE stripe_customer_id IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION metrics_money_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO metrics_stale (at) SELECT DISTINCT date_trunc('hour', created_at) FROM changed;
    RETURN NULL;
END $$;
CREATE FUNCTION metrics_failure_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO metrics_stale (at)
    SELECT DISTINCT date_trunc('hour', first_failed_at) FROM changed WHERE first_failed_at IS NOT NULL;
    RETURN NULL;
END $$;
"""

_TRIGGERS = [
    ("subscription_history", "metrics_story_changed", ("INSERT", "UPDATE", "DELETE")),
    ("discounts", "metrics_discount_changed", ("INSERT", "UPDATE")),
    ("charges", "metrics_money_changed", ("INSERT", "UPDATE")),
    ("refunds", "metrics_money_changed", ("INSERT", "UPDATE")),
    ("disputes", "metrics_money_changed", ("INSERT", "UPDATE")),
    ("invoices", "metrics_failure_changed", ("INSERT", "UPDATE")),
]


def _trigger(table: str, function: str, event: str) -> str:
    rows = "OLD" if event == "DELETE" else "NEW"
    return f"""
    CREATE TRIGGER {function}_by_{event.lower()} AFTER {event} ON {table}
    REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {function}();
    """


SQL = _TABLES + "".join(_trigger(table, function, event) for table, function, events in _TRIGGERS for event in events)


def upgrade() -> None:
    run(SQL)
