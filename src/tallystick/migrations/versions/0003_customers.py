"""The mirror of Stripe's customers."""

from tallystick.migrations.sql import run

revision = "0003"
down_revision = "0002"

SQL = """
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    stripe_customer_id text NOT NULL UNIQUE,
    user_id uuid REFERENCES users (id),
    email text,
    name text,
    phone text,
    address jsonb,
    metadata jsonb NOT NULL DEFAULT '{}',
    default_payment_method text,
    deleted boolean NOT NULL DEFAULT false,
    flagged boolean NOT NULL DEFAULT false,
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN customers.flagged IS 'made elsewhere for a user who has another customer; staff were told once';
CREATE INDEX customers_by_user ON customers (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX payment_methods_by_customer ON payment_methods (stripe_customer_id, created_at DESC, id DESC)
    WHERE stripe_customer_id IS NOT NULL;
"""


def upgrade() -> None:
    run(SQL)
