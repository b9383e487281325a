"""The 3D Secure challenge: a page where the customer's bank asks, with *complete* and *fail*."""

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
from tallystick.sandbox.resources import payment_flow, setup_intents
from tallystick.sandbox.shapes import Json
from tallystick.ui.kit import page_environment, security_headers

__all__ = ["ChallengePage"]

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
        with self._engine.unit() as ctx:
            intent = self._find(ctx.store.get(request.path_params["intent"]))
            if intent is None or not _knows_secret(intent, request.query_params.get("client_secret", "")):
                return self._page("There is no such payment.", None, "", 404)
            waiting = intent["status"] == "requires_action"
            message = "" if waiting else "This payment is not waiting for a confirmation any more."
            target = _return_url(intent, ctx.store.note(intent["id"], "return_url"))
        return self._page(message, intent, target, 200 if waiting else 409)

    async def _decide(self, request: Request) -> Response:
        outcome = request.path_params["outcome"]
        as_json = "application/json" in request.headers.get("accept", "")
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        secret = form.get("client_secret") or request.query_params.get("client_secret", "")
        with self._engine.unit(base_url=f"{request.url.scheme}://{request.url.netloc}") as ctx:
            intent = self._find(ctx.store.get(request.path_params["intent"]))
            if intent is None or outcome not in ("complete", "fail"):
                return _answer_missing(as_json=as_json)
            # Tests act for the customer without the secret; a browser must have been sent here.
            if not as_json and not _knows_secret(intent, secret):
                return _answer_missing(as_json=False)
            if intent["status"] != "requires_action":
                return JSONResponse({"error": f"The intent has a status of {intent['status']}."}, status_code=409)
            target = _return_url(intent, ctx.store.note(intent["id"], "return_url"))
            act = payment_flow.authenticate if intent["object"] == "payment_intent" else setup_intents.authenticate
            act(ctx, intent, success=outcome == "complete")
            status, kind = intent["status"], intent["object"]
            intent_id, client_secret = intent["id"], intent["client_secret"]
        self._deliverer.add(self._engine.take_fresh())
        if as_json:
            return JSONResponse({"id": intent_id, "object": kind, "status": status})
        if not target:
            return self._page("Done. You can close this window.", None, "", 200)
        result = {
            kind: intent_id,
            f"{kind}_client_secret": client_secret,
            "redirect_status": _REDIRECT_STATUS.get(status, "failed"),
        }
        return RedirectResponse(_with_query(target, result), status_code=303)

    @staticmethod
    def _find(intent: Json | None) -> Json | None:
        return intent if intent and intent["object"] in ("payment_intent", "setup_intent") else None

    def _page(self, message: str, intent: Json | None, target: str, status: int) -> Response:
        if self._templates is None:
            self._templates = page_environment(Path(__file__).parent / "templates")
        amount = format_money(intent["amount"], intent["currency"]) if intent and "amount" in intent else None
        html = self._templates.get_template("challenge.html").render(
            message=message, intent=intent, amount=amount, client_secret=intent["client_secret"] if intent else ""
        )
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


def _return_url(intent: Json, noted: str | None) -> str:
    action = (intent["next_action"] or {}).get("redirect_to_url") or {}
    return action.get("return_url") or noted or ""


def _with_query(url: str, values: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(item for item in (parts.query, urlencode(values)) if item)
    return urlunsplit(parts._replace(query=query))
