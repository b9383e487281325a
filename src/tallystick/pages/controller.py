"""`PageController`: the pages that customers see, and the two questions that the checkout page's script asks."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, NotFound
from tallystick.notifications.formats import Formats
from tallystick.pages.models import Changed, Look, Started
from tallystick.pages.rendering import Brand, PageRenderer
from tallystick.pages.service import CheckoutService
from tallystick.pages.views import next_url
from tallystick.pages.wording import section_of, subscription_words
from tallystick.platform.database import is_weather
from tallystick.platform.http import json_response
from tallystick.platform.settings import Settings
from tallystick.subscriptions.errors import SubscriptionExists

__all__ = ["PageController"]

Token = Annotated[str, Path(max_length=200)]
StripeCode = Annotated[str | None, Query(max_length=100)]
_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


class PageController:
    """Routes of the hosted pages. The link's token is all that a customer needs, and all that is asked for.

    What Stripe adds to the address when a customer comes back is a claim; none of it is believed.
    """

    def __init__(self, service: CheckoutService, settings: Settings, brand: Brand, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._settings = settings
        self._brand = brand
        self._pages = PageRenderer(settings, brand)
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/pay/{token}", self.checkout, methods=["GET"])
        self.router.add_api_route("/pay/{token}/start", self.start, methods=["POST"])
        self.router.add_api_route("/pay/{token}/state", self.state, methods=["GET"])
        self.router.add_api_route("/payments/return", self.returned, methods=["GET"])
        self.router.add_api_route("/brand/brand.css", self.stylesheet, methods=["GET"])
        self.router.add_api_route("/brand/logo", self.logo, methods=["GET"])

    async def checkout(self, request: Request, token: Token, back: bool = False, changed: bool = False) -> Response:
        """The page of a session, as it is now. `back`: its customer comes from paying, and goes on if that is done.

        `changed`: the button was pressed under terms that do not hold any more, and they are shown anew.
        """

        if any(name.endswith("_client_secret") for name in request.query_params):
            # Stripe brings the secret along; it stays neither in the address bar nor in the browser's history.
            return RedirectResponse(f"/pay/{token}?back=1", 303)

        async def draw() -> Response:
            look = await self._service.open(token, ask=back)
            if back and (target := next_url(look)):
                return RedirectResponse(target, 303, headers={"referrer-policy": "no-referrer"})
            return await self._session_page(request, look, changed=changed)

        return await self._drawn(request, draw)

    async def start(self, request: Request, token: Token, saved: bool = False) -> Response:
        """The button was pressed: what to confirm with Stripe, or where the session stands."""
        try:
            started = await self._service.start(token, saved=saved)
        except DomainError as error:
            if error.retry_after_s is not None or error.status >= 500 or isinstance(error, NotFound):
                raise
            return await self._refused(request, token, str(error.extra.get("reason", error.code)))
        if isinstance(started, Changed):
            return json_response({"changed": True})
        if isinstance(started, Started):
            return json_response({"client_secret": started.client_secret, "intent": started.intent})
        return json_response({"status": started.session.status, "next": next_url(started)})

    async def _refused(self, request: Request, token: str, code: str) -> Response:
        """What cannot be begun, in words."""
        session = (await self._service.open(token)).session
        locale = self._locale(request, await self._service.locale_of(session))
        t = self._pages.words("checkout", locale)
        known = self._pages.refusal(code, locale)
        problem: dict[str, Any] = known or {"reason": t("refused"), "action": t("refused_action")}
        if code == SubscriptionExists.code:
            problem = {**problem, "link": "/billing", "link_text": t("subscribe.billing")}
        return json_response({"problem": problem, "code": code}, 409)

    async def state(
        self,
        request: Request,
        token: Token,
        ask: bool = False,
        code: StripeCode = None,
        decline_code: StripeCode = None,
    ) -> Response:
        """Where the session stands, and the words for a failure: that of these codes, else that of the last try."""
        look = await self._service.open(token, ask=ask)
        failure = (code, decline_code) if code or decline_code else look.progress.failure
        problem = None
        if failure is not None:
            problem = self._pages.failure(*failure, self._locale(request, await self._service.locale_of(look.session)))
        return json_response({"status": look.session.status, "next": next_url(look), "problem": problem})

    async def returned(self, request: Request, redirect_status: str = "") -> Response:
        """Where a customer lands after 3D Secure when the application named no page of its own."""
        section = "returned_failed" if redirect_status == "failed" else "returned"
        return self._pages.page("message.html", section, self._locale(request, None), advice=False)

    async def stylesheet(self) -> Response:
        """The brand's colour."""
        return Response(self._brand.stylesheet or "", media_type="text/css", headers=_FOR_EVER)

    async def logo(self) -> Response:
        """The brand's logo, where that is a file of ours."""
        if self._brand.logo is None:
            raise NotFound("There is no logo.")
        body, media_type = self._brand.logo
        # A picture may hold scripts when it is opened by itself.
        headers = _FOR_EVER | {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(body, media_type=media_type, headers=headers)

    async def _session_page(self, request: Request, look: Look, *, changed: bool) -> Response:
        session = look.session
        locale = self._locale(request, await self._service.locale_of(session))
        values: dict[str, Any] = {"session": session, "next": next_url(look), "return_to": session.cancel_url}
        if session.status != "open":
            values["free_until"] = look.progress.free_until
            return self._pages.page("state.html", section_of(look), locale, **values)
        t, failure = self._pages.words("checkout", locale), look.progress.failure
        problem = self._pages.failure(*failure, locale) if failure else None
        if changed:
            problem = {"reason": t("subscribe.changed"), "action": t("subscribe.changed_action")}
        return self._pages.page(
            "checkout.html",
            "checkout",
            locale,
            stripe=True,
            stripe_js=self._settings.stripe_js,
            stripe_key=self._settings.stripe_publishable_key,
            manual_capture=not self._settings.auto_capture_payments,
            begun=look.progress.state != "none",
            problem=problem,
            plan=subscription_words(look, self._clock.now(), t, Formats(locale), self._pages.per(locale)),
            saved=await self._service.saved_method(look),
            **values,
        )

    async def _drawn(self, request: Request, draw: Callable[[], Awaitable[Response]]) -> Response:
        """What `draw` draws, or a page that says why it cannot."""
        locale = self._locale(request, None)
        try:
            return await draw()
        except NotFound:
            return self._pages.page("message.html", "missing", locale, status=404, advice=True)
        except Exception as error:
            if not isinstance(error, DomainError) and not is_weather(error):
                raise
            page = self._pages.page("message.html", "unavailable", locale, status=503, advice=True)
            page.headers["retry-after"] = "60"
            return page

    def _locale(self, request: Request, wanted: str | None) -> str:
        return self._pages.locale(wanted, request.headers.get("accept-language", ""))
