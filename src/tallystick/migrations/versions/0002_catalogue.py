"""The catalogue: products and their prices."""

from tallystick.migrations.sql import run

revision = "0002"
down_revision = "0001"

SQL = """
CREATE TABLE products (
    id uuid PRIMARY KEY,
    stripe_product_id text NOT NULL UNIQUE,
    name text NOT NULL,
    active boolean NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    description text,
    unit_label text,
    default_price_id text,
    images jsonb NOT NULL DEFAULT '[]',
    features jsonb NOT NULL DEFAULT '[]',
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX products_listed ON products (created_at DESC, id DESC) WHERE active AND NOT deleted;

CREATE TABLE prices (
    id uuid PRIMARY KEY,
    stripe_price_id text NOT NULL UNIQUE,
    stripe_product_id text NOT NULL,
    active boolean NOT NULL,
    deleted boolean NOT NULL DEFAULT false,
    currency text NOT NULL,
    type text NOT NULL,
    billing_scheme text NOT NULL,
    unit_amount numeric(20, 0),
    unit_amount_decimal text,
    recurring jsonb,
    tiers_mode text,
    tiers jsonb,
    transform_quantity jsonb,
    nickname text,
    lookup_key text,
    tax_behavior text,
    metadata jsonb NOT NULL DEFAULT '{}',
    revision bigint NOT NULL DEFAULT 0,
    state_at timestamptz NOT NULL,
    unsure boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON COLUMN prices.tiers IS 'null where they are not known yet; Stripe prints them only when asked';
CREATE INDEX prices_by_product ON prices (stripe_product_id, created_at DESC, id DESC);
"""


def upgrade() -> None:
    run(SQL)
