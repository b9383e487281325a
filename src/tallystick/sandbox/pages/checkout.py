"""The hosted Checkout page: `/_sandbox/checkout/{session}`, and `…/complete` for those without a browser."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tallystick.core.money import format_money
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, card_error, invalid
from tallystick.sandbox.pages.acting import Stage, card_of, in_words, interval, read, see_other, wants_json
from tallystick.sandbox.resources import checkout_complete, checkout_lines, checkout_sessions, promotion_codes
from tallystick.sandbox.resources.checkout_complete import Given
from tallystick.sandbox.shapes import Json, clone

__all__ = ["CheckoutPage"]


class CheckoutPage:
    """The page, its form, and the call that completes a session."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def routes(self) -> list[Route]:
        """Starlette routes, below `/_sandbox`; browsers anywhere may use them."""
        return [
            Route("/checkout/{session}", self._show),
            Route("/checkout/{session}", self._submit, methods=["POST"]),
            Route("/checkout/{session}/complete", self._complete, methods=["POST"]),
            Route("/checkout/{session}/return", self._back),
        ]

    async def _show(self, request: Request) -> Response:
        return self._page(request, {}, None)

    async def _submit(self, request: Request) -> Response:
        """The page's form: pay, or try a promotion code."""
        form = await read(request)
        if form.get("action") == "code":
            _, failure = self._act(request, lambda ctx, session: _apply(ctx, session, form.get("code", "")))
            return self._page(request, form, failure) if failure else see_other(request.url.path)
        _, failure = self._act(request, lambda ctx, session: _pay(ctx, session, form))
        if failure is not None:
            return self._page(request, form, failure)
        return self._onward(request)

    async def _complete(self, request: Request) -> Response:
        """`payment_method` or `card` (a working test card by default), `email`, `name`, `promotion_code`."""
        as_json = wants_json(request)
        try:
            asked = await read(request)
        except ApiError as error:
            return self._stage.refusal(request, error)
        next_url, failure = self._act(request, lambda ctx, session: _complete(ctx, session, asked))
        session = self._stage.read(_id(request))
        if session is None or session["object"] != "checkout.session":
            return JSONResponse({"error": "There is no such Checkout Session."}, status_code=404)
        if failure is not None:
            return self._stage.refusal(request, failure)
        if as_json:
            return self._stage.json(request, session, next_url=next_url or _target(session))
        return see_other(next_url or _target(session) or request.url.path.removesuffix("/complete"))

    async def _back(self, request: Request) -> Response:
        """The browser comes back from the challenge page."""
        session = self._stage.read(_id(request))
        if session is None:
            return self._missing()
        if session["status"] == "complete":
            # A form's answer may only redirect to where the form's page allowed; this page is left by itself.
            return self._stage.message(
                "Thank you", "All is done. We are taking you back to the shop.", 200,
                url=_target(session), label="Back to the shop", leave=True,
            )  # fmt: skip
        _, failure = self._act(request, _last_error)
        return self._page(request, {}, failure)

    def _act(self, request: Request, what: Any) -> tuple[Any, ApiError | None]:
        def run(ctx: Context) -> Any:
            session = ctx.require("checkout.session", _id(request), param="session")
            return what(ctx, session)

        return self._stage.act(request, _id(request), run)

    def _onward(self, request: Request) -> Response:
        """After a try that was not refused: the challenge, or the shop."""
        challenge, _ = self._act(request, _challenge_url)
        session = self._stage.read(_id(request)) or {}
        return see_other(challenge or _target(session) or request.url.path)

    def _missing(self) -> Response:
        return self._stage.message("There is no such page", "This Checkout Session does not exist.", 404)

    def _page(self, request: Request, form: Json, failure: ApiError | None) -> Response:
        view, missing = self._act(request, _view)
        if missing is not None:
            return self._missing()
        session = view["session"]
        if session["status"] != "open":
            done = session["status"] == "complete"
            return self._stage.message(
                "All done" if done else "This page has expired",
                "This checkout is complete." if done else "Nothing was charged. Go back to the shop to start again.",
                200 if done else 410,
                url=_target(session) if done else session["cancel_url"] or "", label="Back to the shop",
            )  # fmt: skip
        # Card data is never sent back, as on any page that takes it.
        kept = {key: str(form.get(key, "")) for key in ("email", "name", "code")}
        kept["email"] = kept["email"] or (session["customer_details"] or {}).get("email") or ""
        status = failure.status if failure else 200
        return self._stage.page(
            "checkout.html", status, _target(session), **view, form=kept,
            problem=in_words(failure) if failure else "", problem_with_code=form.get("action") == "code",
        )  # fmt: skip


def _id(request: Request) -> str:
    session_id: str = request.path_params["session"]
    return session_id


def _view(ctx: Context, session: Json) -> Json:
    """All that the page shows."""
    items = [_shown_item(ctx, item) for item in checkout_lines.stored(ctx, session["id"])]
    currency = session["currency"]

    def money(amount: int) -> str:
        return format_money(amount, currency)

    owner = ctx.find("customer", session["customer"]) if session["customer"] else None
    code = next((entry["promotion_code"] for entry in session["discounts"]), None)
    promotion_code = ctx.find("promotion_code", code) if code else None
    return {
        "session": clone(session),
        "items": items,
        "subtotal": money(session["amount_subtotal"]) if items else "",
        "discount": money(session["total_details"]["amount_discount"]) if items else "",
        "total": money(session["amount_total"]) if items else "",
        "code": promotion_code["code"] if promotion_code else "",
        "button": _button(session, money(session["amount_total"]) if items else ""),
        "needs_method": checkout_complete.needs_method(session),
        "fixed_email": bool(owner and owner["email"]),
    }


def _shown_item(ctx: Context, item: Json) -> Json:
    price = checkout_lines.price_of(ctx, item)
    return {
        "name": item["description"] or "Item",
        "quantity": item["quantity"],
        "amount": format_money(item["amount_subtotal"], item["currency"]),
        "every": interval(price["recurring"]),
    }


def _button(session: Json, total: str) -> str:
    if session["mode"] == "setup":
        return "Save card"
    if session["mode"] == "subscription":
        return "Start trial" if session["amount_total"] == 0 else "Subscribe"
    return f"Pay {total}" if session["amount_total"] else "Place order"


def _pay(ctx: Context, session: Json, form: Json) -> None:
    email = _email(ctx, session, form.get("email"))
    if not email:
        raise invalid("Please give your e-mail address.", param="email")
    card = card_of(form) if checkout_complete.needs_method(session) else None
    checkout_complete.complete(ctx, session, Given(email=email, name=form.get("name") or None, card=card))


def _complete(ctx: Context, session: Json, asked: Json) -> str | None:
    if asked.get("promotion_code"):
        _apply(ctx, session, asked["promotion_code"])
    method = asked.get("payment_method") or (None if asked.get("card") else "pm_card_visa")
    card = asked.get("card")
    if card:
        card = {**card, **{key: int(card[key]) for key in ("exp_month", "exp_year") if key in card}}
    email = _email(ctx, session, asked.get("email")) or "customer@example.com"
    given = Given(email=email, name=asked.get("name"), payment_method=method, card=card)
    checkout_complete.complete(ctx, session, given)
    return _challenge_url(ctx, session)


def _email(ctx: Context, session: Json, typed: str | None) -> str | None:
    """A customer's own address stays; else what was typed."""
    owner = ctx.find("customer", session["customer"]) if session["customer"] else None
    return (owner["email"] if owner else None) or typed or session["customer_email"]


def _apply(ctx: Context, session: Json, text: str) -> None:
    if not session["allow_promotion_codes"]:
        raise invalid("This Checkout Session takes no promotion codes.", param="promotion_code")
    found = promotion_codes.by_code(ctx, text.strip(), session["customer"])
    if found is None:
        raise invalid("This code is invalid.", code="resource_missing", param="promotion_code")
    checkout_sessions.apply_code(ctx, session, found)


def _challenge_url(ctx: Context, session: Json) -> str | None:
    intent = checkout_complete.waiting_intent(ctx, session)
    if intent is None:
        return None
    action = intent["next_action"]
    sdk = action.get("use_stripe_sdk") or {}
    url: str | None = action.get("redirect_to_url", {}).get("url") or sdk.get("stripe_js")
    return url


def _last_error(ctx: Context, session: Json) -> None:
    for kind, field in (("payment_intent", "last_payment_error"), ("setup_intent", "last_setup_error")):
        intent = ctx.find(kind, session[kind]) if session[kind] else None
        if intent is not None and intent[field]:
            raise card_error(intent[field]["message"], code=intent[field].get("code") or "card_declined")


def _target(session: Json) -> str:
    """Where the customer goes when all is done."""
    url: str = session.get("success_url") or session.get("return_url") or ""
    return url.replace("{CHECKOUT_SESSION_ID}", session.get("id", ""))
