"""`tallystick openapi`: the API as an OpenAPI document, without a configured installation."""

from tallystick.cli.stored import print_json

__all__ = ["PLACEHOLDERS", "openapi"]

PLACEHOLDERS = {
    "DATABASE_URL": "postgresql://localhost/none",
    "STRIPE_SECRET_KEY": "sk_test_none",
    "STRIPE_WEBHOOK_SECRET": "whsec_none",
    "JWT_SECRET": "none" * 8,
}
"""The document hangs on no setting, and nothing is connected to."""


def openapi() -> None:
    """Print the API's OpenAPI document (JSON); the same as a running one serves at /api/openapi.json."""
    from tallystick.app.api import create_app
    from tallystick.platform.settings import load_settings

    print_json(create_app(load_settings(PLACEHOLDERS), logs=False).openapi())
