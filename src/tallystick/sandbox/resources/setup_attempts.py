"""SetupAttempts: how each try to set up a method went."""

from tallystick.sandbox.context import Context
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, string
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json

__all__ = ["EXPANDABLE", "ROUTES", "record"]

EXPANDABLE = frozenset({"customer", "payment_method", "setup_intent"})


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/setup_attempts`."""
    ctx.require("setup_intent", params["setup_intent"], param="setup_intent", status=400)
    return page(ctx, "setup_attempt", "/v1/setup_attempts", params, {"setup_intent": params["setup_intent"]})


def record(ctx: Context, intent: Json, method: Json, status: str, error: Json | None, *, challenged: bool) -> None:
    """Store how a try to set up `method` went, and name it as the intent's latest."""
    attempt: Json = {
        "id": ctx.ids.long("setatt_"),
        "object": "setup_attempt",
        "application": None,
        "created": ctx.now,
        "customer": intent["customer"],
        "customer_account": None,
        "flow_directions": None,
        "livemode": False,
        "on_behalf_of": None,
        "payment_method": method["id"],
        "payment_method_details": _details(method, challenged=challenged),
        "setup_error": error,
        "setup_intent": intent["id"],
        "status": status,
        "usage": intent["usage"],
    }
    ctx.save(attempt)
    intent["latest_attempt"] = attempt["id"]


def _details(method: Json, *, challenged: bool) -> Json:
    if method["type"] != "card":
        return {method["type"]: {}, "type": method["type"]}
    card = method["card"]
    keep = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")
    secure = {
        "authentication_flow": "challenge", "electronic_commerce_indicator": "05", "result": "authenticated",
        "result_reason": None, "transaction_id": None, "version": "2.2.0",
    }  # fmt: skip
    details = {
        **{key: card[key] for key in keep},
        "network": card["networks"]["available"][0],
        "three_d_secure": secure if challenged else None,
    }
    return {"card": details, "type": "card"}


ROUTES = (Route("GET", "setup_attempts", list_all, {**LIST_FIELDS, "setup_intent": string()}, ("setup_intent",)),)
