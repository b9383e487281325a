"""Settings: the design document's variables and defaults, and one message that names every bad one."""

from pathlib import Path

import pytest

from tallystick.platform.settings import SettingsError, load_settings

GOOD = {
    "DATABASE_URL": "postgresql://tallystick@localhost/tallystick",
    "STRIPE_SECRET_KEY": "sk_test_123",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "JWT_SECRET": "x" * 32,
}
LIVE = {**GOOD, "STRIPE_SECRET_KEY": "sk_live_123", "PUBLIC_URL": "https://pay.example.com"}


def test_defaults_are_the_design_documents() -> None:
    settings = load_settings(GOOD)
    assert settings.stripe_api_version == "2023-10-16"
    assert settings.default_currency == "usd"
    assert (settings.min_payment_amount, settings.max_payment_amount) == (50, 100_000)
    assert settings.auto_capture_payments is True
    assert (settings.default_trial_days, settings.allow_multiple_subscriptions) == (14, False)
    assert settings.proration_behavior == "create_prorations"
    assert (settings.grace_period_days, settings.max_retry_attempts) == (3, 3)
    assert (settings.webhook_max_retries, settings.webhook_retry_delay) == (3, 1000)
    assert settings.database_schema == "public"
    assert (settings.keep_idempotency_keys_days, settings.keep_done_work_days) == (30, 7)
    assert settings.keep_deliveries_days == 30
    assert (settings.keep_payloads_days, settings.keep_archive_months) == (30, 0)


def test_every_bad_variable_is_named_at_once_and_no_value_is_repeated() -> None:
    bad = {
        "STRIPE_SECRET_KEY": "hunter2-not-a-key",
        "WEBHOOK_MAX_RETRIES": "-1",
        "AUTO_CAPTURE_PAYMENTS": "perhaps",
        "MAX_PAYMENT_AMOUNT_XYZ": "5",
        "DATABASE_URL": "mysql://secret-host/db",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(bad)
    message = str(caught.value)
    for name in ("WEBHOOK_MAX_RETRIES", "AUTO_CAPTURE_PAYMENTS", "MAX_PAYMENT_AMOUNT_XYZ", "STRIPE_WEBHOOK_SECRET"):
        assert name in message
    assert "hunter2" not in message
    assert "secret-host" not in message


def test_what_belongs_together_is_checked_together() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({**GOOD, "STRIPE_SECRET_KEY": "nope", "DATABASE_URL": "mysql://x", "JWT_SECRET": "short"})
    assert all(name in str(caught.value) for name in ("STRIPE_SECRET_KEY", "DATABASE_URL", "JWT_SECRET"))


@pytest.mark.parametrize(
    "changes",
    [
        {"STRIPE_API_BASE": "http://localhost:12111"},
        {"ENVIRONMENT": "development"},
        {"ENVIRONMENT": "test"},
        {"PUBLIC_URL": "http://pay.example.com"},
        {"PUBLIC_URL": ""},
        {"STRIPE_PUBLISHABLE_KEY": "pk_test_1"},
    ],
)
def test_a_live_key_refuses_what_is_not_production(changes: dict[str, str]) -> None:
    assert load_settings(LIVE).live
    with pytest.raises(SettingsError):
        load_settings({**LIVE, **changes})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"STRIPE_API_BASE": "", "ENVIRONMENT": "test"}, "the real one"),
        ({"STRIPE_API_BASE": "https://api.stripe.com", "ENVIRONMENT": "test"}, "the real one"),
        ({"STRIPE_SECRET_KEY": "sk_live_123", "PUBLIC_URL": "https://pay.example.com"}, "the real one"),
        ({"ENVIRONMENT": "production"}, "never moved in production"),
        ({"ENVIRONMENT": ""}, "never moved in production"),
    ],
)
def test_time_is_only_moved_beside_the_sandbox(changes: dict[str, str], complaint: str) -> None:
    good = {**GOOD, "CLOCK_FILE": "/data/clock", "STRIPE_API_BASE": "http://localhost:12111", "ENVIRONMENT": "test"}
    assert load_settings(good).clock_file == Path("/data/clock")
    assert load_settings(GOOD).clock_file is None
    with pytest.raises(SettingsError, match=f"CLOCK_FILE: .*{complaint}"):
        load_settings({**good, **changes})


def test_several_secrets_while_rolling_and_limits_by_currency() -> None:
    settings = load_settings(
        {**GOOD, "STRIPE_WEBHOOK_SECRET": "whsec_new, whsec_old", "MAX_PAYMENT_AMOUNT_JPY": "5000000"}
    )
    assert [secret.get_secret_value() for secret in settings.stripe_webhook_secret] == ["whsec_new", "whsec_old"]
    assert settings.amount_limits("jpy") == (50, 5_000_000)
    assert settings.amount_limits("eur") == (50, 100_000)


def test_secrets_from_files_and_never_in_a_repr(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_test_fromfile\n")
    settings = load_settings({**GOOD, "STRIPE_SECRET_KEY": "", "STRIPE_SECRET_KEY_FILE": str(tmp_path / "key")})
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_fromfile"
    assert "fromfile" not in repr(settings)
    with pytest.raises(SettingsError, match="JWT_SECRET_FILE"):
        load_settings({**GOOD, "JWT_SECRET_FILE": str(tmp_path / "missing")})


def test_what_the_door_is_told() -> None:
    production = load_settings({**LIVE, "ENVIRONMENT": "production"})
    assert production.secure
    assert production.hosts == frozenset({"pay.example.com", "localhost", "127.0.0.1", "[::1]"})
    assert production.rate_limits["money"] == (60, 60)
    assert [str(network) for network in production.trusted_proxies] == ["127.0.0.0/8", "::1/128"]
    elsewhere = load_settings({**GOOD, "ENVIRONMENT": "development", "PUBLIC_URL": "https://pay.example.com"})
    assert not elsewhere.secure
    assert all(quota / window_s >= 1000 for quota, window_s in elsewhere.rate_limits.values()), "1,000 a second"
    changed = {"RATE_LIMIT_MONEY": "5 / 10", "RATE_LIMIT_READS": "0", "TRUSTED_PROXIES": "none", "HTTPS_ONLY": "true"}
    settings = load_settings({**GOOD, **changed})
    assert (settings.rate_limits["money"], settings.rate_limits["reads"][0]) == ((5, 10), 0)
    assert (settings.trusted_proxies, settings.hosts, settings.secure) == ([], None, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATE_LIMIT_READS", "600"),
        ("RATE_LIMIT_READS", "600/0"),
        ("RATE_LIMIT_READS", "600/86400"),
        ("RATE_LIMIT_READS", "-1/60"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "*"),
        ("RATE_LIMIT_EXEMPT", "somebody"),
        ("ALLOWED_HOSTS", "https://pay.example.com"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://shop.example.com/path"),
    ],
)
def test_what_the_door_cannot_be_told(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings({**GOOD, name: value})
