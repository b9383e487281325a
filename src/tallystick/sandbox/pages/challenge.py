"""The 3D Secure challenge: a page where the customer's bank asks, with *complete* and *fail*.

Alone it is a stop between two pages of the shop; with `origin` it is the inside of Stripe.js's modal dialog, and
tells the page of that origin how it went.
"""

import hmac
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tallystick.core.money import format_money
from tallystick.sandbox.delivery import Deliverer
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.pages.stripe_js import framed_by, script_url
from tallystick.sandbox.resources import payment_flow, setup_intents
from tallystick.sandbox.shapes import Json
from tallystick.ui.kit import page_environment, security_headers

__all__ = ["ChallengePage"]

_OUTCOMES = ("complete", "fail")
_REDIRECT_STATUS = {
    "succeeded": "succeeded",
    "requires_capture": "succeeded",
    "processing": "pending",
    "requires_confirmation": "succeeded",
}


class ChallengePage:
    """`/_sandbox/authenticate/{intent}`, for PaymentIntents and SetupIntents."""

    def __init__(self, engine: Engine, deliverer: Deliverer) -> None:
        self._engine = engine
        self._deliverer = deliverer
        self._templates: Environment | None = None

    def routes(self) -> list[Route]:
        """Starlette routes, below `/_sandbox`; browsers anywhere may use them."""
        return [
            Route("/authenticate/{intent}", self._show),
            Route("/authenticate/{intent}/{outcome}", self._decide, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:
        origin = request.query_params.get("origin", "")
        with self._engine.unit() as ctx:
            intent = self._find(ctx.store.get(request.path_params["intent"]))
            if intent is None or not _knows_secret(intent, request.query_params.get("client_secret", "")):
                return self._page("There is no such payment.", None, "", 404, origin)
            waiting = intent["status"] == "requires_action"
            message = "" if waiting else "This payment is not waiting for a confirmation any more."
            target = ctx.store.note(intent["id"], "return_url") or ""
        return self._page(message, intent, target, 200 if waiting else 409, origin)

    async def _decide(self, request: Request) -> Response:
        as_json = "application/json" in request.headers.get("accept", "")
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        secret = form.get("client_secret") or request.query_params.get("client_secret", "")
        with self._engine.unit(base_url=f"{request.url.scheme}://{request.url.netloc}") as ctx:
            intent = self._find(ctx.store.get(request.path_params["intent"]))
            # Tests act for the customer without the secret; a browser must have been sent here.
            if (
                intent is None
                or request.path_params["outcome"] not in _OUTCOMES
                or not (as_json or _knows_secret(intent, secret))
            ):
                return _answer_missing(as_json=as_json)
            waiting = intent["status"] == "requires_action"
            if as_json and not waiting:
                return JSONResponse({"error": f"The intent has a status of {intent['status']}."}, status_code=409)
            target = ctx.store.note(intent["id"], "return_url") or ""
            # The second click of two finds it decided, and leads to the same end.
            if waiting:
                act = payment_flow.authenticate if intent["object"] == "payment_intent" else setup_intents.authenticate
                act(ctx, intent, success=request.path_params["outcome"] == "complete")
            decided = {key: intent[key] for key in ("id", "object", "status", "client_secret")}
        self._deliverer.add(self._engine.take_fresh())
        if as_json:
            return JSONResponse({key: decided[key] for key in ("id", "object", "status")})
        if form.get("origin") or not target:
            return self._page("Done. You can close this window.", None, "", 200, form.get("origin", ""))
        return RedirectResponse(_with_query(target, _result(decided)), status_code=303)

    @staticmethod
    def _find(intent: Json | None) -> Json | None:
        return intent if intent and intent["object"] in ("payment_intent", "setup_intent") else None

    def _page(self, message: str, intent: Json | None, target: str, status: int, origin: str) -> Response:
        if self._templates is None:
            self._templates = page_environment(Path(__file__).parent / "templates")
        amount = format_money(intent["amount"], intent["currency"]) if intent and "amount" in intent else None
        framed = framed_by(origin, script_src="'self'")
        html = self._templates.get_template("challenge.html").render(
            message=message, intent=intent, amount=amount, client_secret=intent["client_secret"] if intent else "",
            origin=origin if framed else "", script=script_url("challenge.js"), style=script_url("pages.css"),
        )  # fmt: skip
        if framed:
            return HTMLResponse(html, status, headers=framed)
        # The answer to the form redirects to the shop; browsers check that against the policy too.
        parts = urlsplit(target)
        shop = f" {parts.scheme}://{parts.netloc}" if parts.netloc else ""
        return HTMLResponse(html, status, headers=security_headers(form_action=f"'self'{shop}"))


def _answer_missing(*, as_json: bool) -> Response:
    if as_json:
        return JSONResponse({"error": "There is no such intent."}, status_code=404)
    return HTMLResponse("There is no such payment.", status_code=404, headers=security_headers())


def _knows_secret(intent: Json, secret: str) -> bool:
    return hmac.compare_digest(secret.encode(), intent["client_secret"].encode())


def _result(decided: Json) -> dict[str, str]:
    """What Stripe adds to the return_url."""
    kind: str = decided["object"]
    return {
        kind: decided["id"],
        f"{kind}_client_secret": decided["client_secret"],
        "redirect_status": _REDIRECT_STATUS.get(decided["status"], "failed"),
    }


def _with_query(url: str, values: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(item for item in (parts.query, urlencode(values)) if item)
    return urlunsplit(parts._replace(query=query))
