"""`BillingPages`: what all billing pages share: who looks, in which language, and failures in words."""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import structlog
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tallystick.core.clock import from_unix
from tallystick.core.errors import DomainError, InvalidRequest, NotFound
from tallystick.notifications.formats import Formats
from tallystick.pages.billing.errors import FormStale, Refused, status_of
from tallystick.pages.billing.models import Price, Visitor
from tallystick.pages.billing.service import PortalService
from tallystick.pages.rendering import Brand, PageRenderer
from tallystick.platform.bodies import read_form
from tallystick.platform.database import is_weather
from tallystick.platform.http import json_response
from tallystick.platform.settings import Settings

__all__ = ["BillingPages", "Draw", "Send"]

log = structlog.get_logger()

Draw = Callable[[Request, Visitor], Awaitable[Response]]
Send = Callable[[Request, Visitor, FormData], Awaitable[Response]]

_COOKIE = "tallystick_billing"
_SECTION = "billing"
_FIELDS_MOST = 100


class BillingPages:
    """Draws billing pages for those who are signed in, and says to all others how to get in."""

    def __init__(self, portal: PortalService, settings: Settings, brand: Brand) -> None:
        self._portal = portal
        self._settings = settings
        self._renderer = PageRenderer(settings, brand)
        self._secure = (settings.public_url or "").startswith("https://")

    # Who looks

    async def visitor(self, request: Request) -> Visitor | None:
        """Who is signed in in this browser."""
        return await self._portal.visitor(request.cookies.get(_COOKIE))

    def sign_in(self, response: Response, token: str) -> Response:
        """Let the browser keep a session's token."""
        response.set_cookie(_COOKIE, token, path="/billing", secure=self._secure, httponly=True, samesite="lax")
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the browser's session."""
        if token := request.cookies.get(_COOKIE):
            await self._portal.log_out(token)
        response = RedirectResponse("/billing?out=1", 303)
        response.delete_cookie(_COOKIE, path="/billing", secure=self._secure, httponly=True, samesite="lax")
        return response

    # Routes

    def route(self, draw: Draw) -> Callable[[Request], Awaitable[Response]]:
        """A page for whoever is signed in."""

        async def run(request: Request) -> Response:
            async def drawn() -> Response:
                visitor = await self.visitor(request)
                return await draw(request, visitor) if visitor else self.outside(request, "none")

            return await self.guarded(request, drawn)

        return run

    def form(self, send: Send) -> Callable[[Request], Awaitable[Response]]:
        """What a form sends to; one that is not of this session does nothing."""

        async def run(request: Request) -> Response:
            async def sent() -> Response:
                visitor = await self.visitor(request)
                if visitor is None:
                    return self.outside(request, "none")
                form = await read_form(request, _FIELDS_MOST)
                if not _is_of(visitor, str(form.get("csrf", ""))):
                    return self._message(request, "stale", 403)
                return await send(request, visitor, form)

            return await self.guarded(request, sent)

        return run

    def call(self, answer: Callable[[Request, Visitor], Awaitable[Mapping[str, Any]]]) -> Callable[..., Any]:
        """What the pages' script asks; its problems are told in words."""

        async def run(request: Request) -> Response:
            visitor = await self.visitor(request)
            try:
                if visitor is None or (request.method == "POST" and not _is_of(visitor, _header(request))):
                    raise FormStale
                return json_response(await answer(request, visitor))
            except DomainError as error:
                if error.retry_after_s is not None or error.status >= 500:
                    raise
                return json_response({"problem": self.problem(request, visitor, error)}, status_of(error))

        return run

    async def guarded(self, request: Request, draw: Callable[[], Awaitable[Response]]) -> Response:
        """What `draw` draws, or a page that says why it cannot."""
        try:
            return await draw()
        except (NotFound, InvalidRequest):
            return self._message(request, "missing", 404)
        except Exception as error:
            if not isinstance(error, DomainError) and not is_weather(error):
                log.exception("billing.failed", path=request.url.path)
            page = self._message(request, "unavailable", 503)
            page.headers["retry-after"] = "60"
            return page

    # Pages

    def page(
        self,
        request: Request,
        who: Visitor,
        template: str,
        *,
        status: int = 200,
        stripe: bool = False,
        **values: Any,
    ) -> Response:
        """A page of somebody's; each drawing has its own `key`, which its forms bear."""
        locale = self._locale(request, who)
        return self._renderer.page(
            f"billing/{template}",
            _SECTION,
            locale,
            status=status,
            stripe=stripe,
            **self._words(locale),
            who=who,
            key=secrets.token_urlsafe(18),
            stripe_js=self._settings.stripe_js,
            stripe_key=self._settings.stripe_publishable_key,
            default_currency=self._settings.default_currency,
            **{"problem": None, **values},
        )

    def outside(self, request: Request, why: str, status: int = 200) -> Response:
        """For whoever is not signed in: how to get in. No mail and no address of ours signs anybody in."""
        locale = self._locale(request, None)
        login = self._settings.billing_login_url
        if login:
            base = (self._settings.public_url or str(request.base_url)).rstrip("/")
            login += ("&" if "?" in login else "?") + urlencode({"return_to": f"{base}/billing"})
        return self._renderer.page(
            "billing/outside.html", _SECTION, locale, status=status, why=why, login=login, **self._words(locale)
        )

    def problem(self, request: Request, who: Visitor | None, error: DomainError | str) -> dict[str, str]:
        """What went wrong, and what to do now."""
        code = error if isinstance(error, str) else error.code
        locale = self._locale(request, who)
        t = self._renderer.words(_SECTION, locale)
        if self._renderer.has(f"{_SECTION}.problem.{code}.reason", locale):
            return {"reason": t(f"problem.{code}.reason"), "action": t(f"problem.{code}.action")}
        declined = isinstance(error, str) or (isinstance(error, Refused) and status_of(error) == 402)
        if declined and (known := self._renderer.refusal(code, locale)):
            return known
        return {"reason": t("problem.OTHER.reason"), "action": t("problem.OTHER.action")}

    def failure(
        self, request: Request, who: Visitor, stripe_code: str | None, decline_code: str | None
    ) -> dict[str, str]:
        """What a failure that Stripe.js was told of is called."""
        return self._renderer.failure(stripe_code, decline_code, self._locale(request, who))

    def _message(self, request: Request, section: str, status: int) -> Response:
        section = section if section in ("missing", "unavailable") else f"{_SECTION}.{section}"
        return self._renderer.page("message.html", section, self._locale(request, None), status=status, advice=True)

    def _locale(self, request: Request, who: Visitor | None) -> str:
        return self._renderer.locale(who.locale if who else None, request.headers.get("accept-language", ""))

    def _words(self, locale: str) -> dict[str, Any]:
        """What templates write with: `day(time)`, `at(seconds)`, `per(price)`, `money(amount, currency)`, `card(…)`."""
        formats, t, write = Formats(locale), self._renderer.words(_SECTION, locale), self._renderer.per(locale)

        def day(at: datetime | None) -> str:
            return formats.date(at.isoformat()) if at else "–"

        def per(price: Price, quantity: int | None = 1) -> str:
            amount = None if quantity is None else price.of(quantity)
            if amount is None:
                return t("by_use")
            return write(price.interval, price.interval_count, formats.money(amount, price.currency))

        return {"day": day, "at": from_unix, "per": per, "money": formats.money, "card": formats.card}


def _is_of(visitor: Visitor, token: str) -> bool:
    return hmac.compare_digest(token.encode(), visitor.csrf.encode())


def _header(request: Request) -> str:
    return request.headers.get("x-form-token", "")
