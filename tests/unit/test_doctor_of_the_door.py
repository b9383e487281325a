"""The doctor sees what leaves the door open."""

import pytest

from tallystick.doctor.models import Status
from tallystick.doctor.service_settings import SettingsChecks
from tallystick.platform.settings import load_settings

PRODUCTION = {
    "ENVIRONMENT": "production",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
    "STRIPE_SECRET_KEY": "sk_test_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
    "JWT_SECRET": "x" * 32,
    "PUBLIC_URL": "https://pay.acme.test",
}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"TRUSTED_PROXIES": "10.0.0.0/8"}, None),
        ({"ENVIRONMENT": "development", "RATE_LIMIT_READS": "0", "PUBLIC_URL": "http://127.0.0.1:8000"}, None),
        ({"PUBLIC_URL": "http://pay.acme.test"}, "production takes plain HTTP"),
        ({"HTTPS_ONLY": "false"}, "production takes plain HTTP"),
        ({"TRUSTED_PROXIES": "none"}, "no request counts as HTTPS"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8, 0.0.0.0/0"}, "TRUSTED_PROXIES holds 0.0.0.0/0: whoever"),
        ({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES holds ::/0: whoever"),
        ({"HSTS_MAX_AGE_S": "0"}, "browsers are not told"),
        ({"RATE_LIMIT_READS": "0", "RATE_LIMIT_BAD_TOKENS": "0"}, "RATE_LIMIT_READS, RATE_LIMIT_BAD_TOKENS=0"),
        ({"CORS_ORIGINS": "http://shop.acme.test"}, "CORS_ORIGINS holds http://shop.acme.test"),
        ({"CORS_ORIGINS": "https://shop.acme.test"}, None),
        ({"CORS_ORIGINS": "https://shop.acme.test", "USER_TOKENS": "server"}, "trusts these with refunds"),
    ],
)
async def test_what_is_said_of_the_door(changes: dict[str, str], found: str | None) -> None:
    checks = SettingsChecks(load_settings(PRODUCTION | changes)).checks()
    [door] = [check for check in checks if check.name == "settings.door"]
    finding = await door.look()
    assert finding.status == (Status.WARN if found else Status.OK), finding
    assert found is None or found in finding.found
