"""Figures are worked out anew where a price or coupon comes after what has it, and where a failure moves."""

from tallystick.migrations.sql import run

revision = "0018"
down_revision = "0017"

_FUNCTIONS = """
CREATE FUNCTION metrics_price_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    -- A history that is not committed yet is not found here, and its own mark must not be taken before the price can
    -- be read: held until this commits, the lock keeps figures from being worked out. It waits for nobody.
    PERFORM pg_try_advisory_xact_lock_shared(hashtext('metrics'));
    INSERT INTO metrics_stale (subscription_id)
    SELECT DISTINCT subscription_id FROM subscription_history
    WHERE new_values ? 'items'
        AND jsonb_path_query_array(new_values, '$.items[*].price') @> jsonb_build_array(NEW.stripe_price_id);
    RETURN NULL;
END $$;
CREATE FUNCTION metrics_coupon_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_try_advisory_xact_lock_shared(hashtext('metrics'));
    INSERT INTO metrics_stale (stripe_customer_id)
    SELECT DISTINCT stripe_customer_id FROM discounts
    WHERE stripe_coupon_id = NEW.stripe_coupon_id AND stripe_customer_id IS NOT NULL;
    RETURN NULL;
END $$;
CREATE FUNCTION metrics_failure_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO metrics_stale (at) VALUES (date_trunc('hour', OLD.first_failed_at));
    RETURN NULL;
END $$;
"""

# By row, for their WHEN: an update that moves nothing costs a comparison, and collects no rows.
_TRIGGERS = """
CREATE TRIGGER metrics_price_changed_by_insert AFTER INSERT ON prices
FOR EACH ROW EXECUTE FUNCTION metrics_price_changed();
CREATE TRIGGER metrics_price_changed_by_update AFTER UPDATE ON prices FOR EACH ROW WHEN (
    ROW(OLD.currency, OLD.unit_amount, OLD.unit_amount_decimal, OLD.recurring, OLD.tiers_mode, OLD.tiers,
        OLD.transform_quantity)
    IS DISTINCT FROM
    ROW(NEW.currency, NEW.unit_amount, NEW.unit_amount_decimal, NEW.recurring, NEW.tiers_mode, NEW.tiers,
        NEW.transform_quantity)
) EXECUTE FUNCTION metrics_price_changed();
CREATE TRIGGER metrics_coupon_changed_by_insert AFTER INSERT ON coupons
FOR EACH ROW EXECUTE FUNCTION metrics_coupon_changed();
CREATE TRIGGER metrics_coupon_changed_by_update AFTER UPDATE ON coupons FOR EACH ROW WHEN (
    ROW(OLD.percent_off, OLD.amount_off, OLD.currency, OLD.duration)
    IS DISTINCT FROM ROW(NEW.percent_off, NEW.amount_off, NEW.currency, NEW.duration)
) EXECUTE FUNCTION metrics_coupon_changed();
CREATE TRIGGER metrics_failure_moved_by_update AFTER UPDATE ON invoices FOR EACH ROW
WHEN (OLD.first_failed_at IS NOT NULL AND OLD.first_failed_at IS DISTINCT FROM NEW.first_failed_at)
EXECUTE FUNCTION metrics_failure_moved();
"""

SQL = _FUNCTIONS + _TRIGGERS

# A subscription's history names every price that it ever had; its row, only those of now.
_BY_PRICE = """
CREATE INDEX CONCURRENTLY subscription_history_by_price ON subscription_history
USING gin (jsonb_path_query_array(new_values, '$.items[*].price') jsonb_path_ops) WHERE new_values ? 'items'
"""

CONCURRENT = [
    _BY_PRICE.strip(),
    "CREATE INDEX CONCURRENTLY discounts_by_coupon ON discounts (stripe_coupon_id)",
]


def upgrade() -> None:
    run(SQL)
