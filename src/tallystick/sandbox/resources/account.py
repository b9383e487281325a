"""The one account of the sandbox."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, list_object

__all__ = ["ROUTES"]


def retrieve(ctx: Context, _params: Json) -> Json:
    """`GET /v1/account`."""
    settings = ctx.settings
    account_id = ctx.ids.account_id
    requirements: Json = {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
        "pending_verification": [],
    }
    return {
        "id": account_id,
        "object": "account",
        "business_profile": None,
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": settings.country,
        "created": ctx.now,
        "default_currency": settings.default_currency,
        "details_submitted": True,
        "email": settings.email,
        "external_accounts": list_object(f"/v1/accounts/{account_id}/external_accounts", []),
        "future_requirements": requirements,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": requirements,
        "settings": None,
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


def retrieve_by_id(ctx: Context, params: Json, account_id: str) -> Json:
    """`GET /v1/accounts/{id}`: there is no other."""
    if account_id != ctx.ids.account_id:
        raise ApiError(
            403,
            f"The provided key does not have access to account '{account_id}' (or that account does not exist). "
            "Application access may have been revoked.",
            code="account_invalid",
        )
    return retrieve(ctx, params)


ROUTES = (
    Route("GET", "account", retrieve, common.EXPAND),
    Route("GET", "accounts/*", retrieve_by_id, common.EXPAND),
)
