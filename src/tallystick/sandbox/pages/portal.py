"""The Billing Portal: `/_sandbox/portal/{session}`, and `POST …/{action}` for those without a browser."""

import hmac
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tallystick.core.money import format_money
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.pages.acting import Stage, card_of, day, in_words, interval, read, see_other, wants_json
from tallystick.sandbox.pages.portal_actions import ACTIONS, features
from tallystick.sandbox.resources import billing_portal_sessions, price_amounts
from tallystick.sandbox.shapes import Json

__all__ = ["PortalPage"]

_OVER = ("canceled", "incomplete_expired")
_TONE = {
    "active": "good", "trialing": "info", "past_due": "bad", "unpaid": "bad", "incomplete": "warn", "paused": "warn",
    "paid": "good", "open": "warn", "uncollectible": "bad",
}  # fmt: skip
_MOST = 24


class PortalPage:
    """The page, its forms, and the calls behind them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def routes(self) -> list[Route]:
        """Starlette routes, below `/_sandbox`; whoever has the address may use them."""
        return [
            Route("/portal/{session}", self._show),
            Route("/portal/{session}/{action}", self._do, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        return self._page(request, None)

    async def _do(self, request: Request) -> Response:
        action = request.path_params["action"]
        if action not in ACTIONS:
            return JSONResponse({"error": f"Actions are: {', '.join(sorted(ACTIONS))}."}, status_code=404)
        as_json = wants_json(request)
        try:
            asked = await read(request)
            if action == "add_payment_method" and "number" in asked:
                asked = {"card": card_of(asked), "name": asked.get("name")}
        except ApiError as error:
            return self._stage.refusal(request, error) if as_json else self._page(request, error)

        def run(ctx: Context) -> Any:
            session = _session(ctx, request)
            result = ACTIONS[action](ctx, session, asked)
            billing_portal_sessions.touch(ctx, session)
            return result

        result, failure = self._stage.act(request, _id(request), run)
        if failure is not None:
            return self._stage.refusal(request, failure) if as_json else self._page(request, failure)
        if as_json:
            return self._stage.json(request, result)
        return see_other(self._after(request))

    def _after(self, request: Request) -> str:
        """Back to the page, or where the flow leads."""
        session = self._stage.read(_id(request)) or {}
        after = (session.get("flow") or {}).get("after_completion") or {}
        if after.get("type") == "redirect":
            url: str = after["redirect"]["return_url"]
            return url
        return request.url.path.rpartition("/")[0]

    def _page(self, request: Request, failure: ApiError | None) -> Response:
        view, missing = self._stage.act(request, _id(request), lambda ctx: _view(ctx, _session(ctx, request)))
        if missing is not None:
            return self._stage.message("This link does not work any more", missing.message, missing.status)
        return self._stage.page(
            "portal.html", failure.status if failure else 200, view["leads_to"], **view,
            path=request.url.path if request.method == "GET" else request.url.path.rpartition("/")[0],
            problem=in_words(failure) if failure else "",
        )  # fmt: skip


def _id(request: Request) -> str:
    session_id: str = request.path_params["session"].partition(".")[0]
    return session_id


def _session(ctx: Context, request: Request) -> Json:
    """The session of the address, which must be the whole address. Raises 404, or 410 when it has expired."""
    session = ctx.find("billing_portal.session", _id(request))
    given: str = request.path_params["session"]
    if session is None or not hmac.compare_digest(session["url"].rpartition("/")[2].encode(), given.encode()):
        raise ApiError(404, "There is no such portal session.")
    if not billing_portal_sessions.is_open(ctx, session):
        raise ApiError(410, "This portal session has expired. Go back and open the portal again.")
    if ctx.find("customer", session["customer"]) is None:
        raise ApiError(404, "This customer does not exist any more.")
    return session


def _view(ctx: Context, session: Json) -> Json:
    """All that the page shows."""
    billing_portal_sessions.touch(ctx, session)
    customer = ctx.require("customer", session["customer"], param="customer")
    found = ctx.store.find("subscription", "customer", customer["id"])[::-1]
    allowed = features(ctx, session)
    flow = session["flow"] or {}
    return {
        "customer": {"email": customer["email"], "name": customer["name"]},
        "features": allowed,
        "flow": flow.get("type"),
        "leads_to": ((flow.get("after_completion") or {}).get("redirect") or {}).get("return_url", ""),
        "return_url": session["return_url"],
        "subscriptions": [_shown(ctx, item, allowed) for item in found if item["status"] not in _OVER],
        "methods": [_shown_method(customer, item) for item in _methods(ctx, customer)],
        "invoices": _shown_invoices(ctx, customer) if allowed["invoice_history"]["enabled"] else [],
    }


def _methods(ctx: Context, customer: Json) -> list[Json]:
    return ctx.store.find("payment_method", "customer", customer["id"])[::-1]


def _shown(ctx: Context, subscription: Json, allowed: Json) -> Json:
    items = subscription["items"]["data"]
    until = max(item["current_period_end"] for item in items)
    ends = subscription["cancel_at_period_end"] or subscription["cancel_at"] is not None
    single = items[0]["price"]["id"] if len(items) == 1 else None
    choices = [price for entry in allowed["subscription_update"]["products"] for price in entry["prices"]]
    return {
        "id": subscription["id"],
        "name": ", ".join(_product_name(ctx, item["price"]) for item in items),
        "prices": [_price_text(ctx, item["price"], item.get("quantity")) for item in items],
        "status": subscription["status"].replace("_", " "),
        "tone": "warn" if ends else _TONE.get(subscription["status"], ""),
        "ends": ends,
        "until": day(subscription["cancel_at"] or until),
        "choices": [
            {"id": price["id"], "text": f"{_product_name(ctx, price)}: {_price_text(ctx, price, 1)}"}
            for price_id in choices
            if single and price_id != single and (price := ctx.find("price", price_id)) and price["active"]
        ],
    }


def _product_name(ctx: Context, price: Json) -> str:
    product = ctx.store.last_form(price["product"]) or {}
    name: str = product.get("name") or "Subscription"
    return name


def _price_text(ctx: Context, price: Json, quantity: int | None) -> str:
    each = interval(price["recurring"])
    if quantity is None:
        return f"by use, {each}"
    amount = format_money(price_amounts.amount_of(ctx, price, quantity), price["currency"])
    return f"{amount} {each}" if quantity == 1 else f"{amount} {each} for {quantity}"


def _shown_method(customer: Json, method: Json) -> Json:
    details = method[method["type"]]
    name = details.get("brand") or method["type"].replace("_", " ")
    last4 = f" •••• {details['last4']}" if details.get("last4") else ""
    expires = f"{details['exp_month']:02d} / {details['exp_year']}" if "exp_month" in details else ""
    default = customer["invoice_settings"]["default_payment_method"] == method["id"]
    return {"id": method["id"], "text": f"{name.capitalize()}{last4}", "expires": expires, "default": default}


def _shown_invoices(ctx: Context, customer: Json) -> list[Json]:
    found = ctx.store.find("invoice", "customer", customer["id"])[::-1]
    return [
        {
            "date": day(invoice["created"]),
            "url": invoice["hosted_invoice_url"] or "",
            "number": invoice["number"] or "",
            "amount": format_money(invoice["total"], invoice["currency"]),
            "status": invoice["status"],
            "tone": _TONE.get(invoice["status"], ""),
        }
        for invoice in found
        if invoice["status"] not in ("draft", "void")
    ][:_MOST]
