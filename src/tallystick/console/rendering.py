"""`ConsolePages`: what all pages of the console share: who looks, forms that are of this session, failures in words."""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import structlog
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tallystick.console.errors import FormStale, NotStaff
from tallystick.console.models import Visitor
from tallystick.console.service import ConsoleService
from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, InvalidRequest, Unavailable
from tallystick.core.ids import new_id
from tallystick.core.money import format_money
from tallystick.platform.bodies import read_form
from tallystick.platform.database import is_weather
from tallystick.platform.http import InternalError
from tallystick.platform.settings import Settings
from tallystick.ui.kit import page_environment, security_headers

__all__ = ["READ", "ConsolePages", "Draw", "Send", "is_live"]

log = structlog.get_logger()

Draw = Callable[[Request, Visitor], Awaitable[Response]]
Send = Callable[[Request, Visitor, FormData], Awaitable[Response]]

READ = ["GET", "HEAD"]
"""Methods of a page."""
_COOKIE = "tallystick_console"
_LIVE = "x-tallystick-live"
"""A page that keeps itself up to date asks with this header: nobody need be there to see it."""
_OURS = ("same-origin", "none")
_MARK = 16
_NUL = "\x00"
_FIELDS_MOST = 200
_HERE = Path(__file__).parent
_PATH = re.compile(r"(/console(?:/[a-z]+)*(?:\?[a-z_=&]+)?)")
_GOOD = frozenset(
    {"succeeded", "active", "paid", "processed", "sent", "delivered", "repaired", "done", "passed", "enabled"}
)
_BAD = frozenset(
    {
        "failed",
        "dead",
        "unpaid",
        "past_due",
        "uncollectible",
        "parked",
        "foreign",
        "ours",
        "firing",
        "switched_off",
        "failing",
    }
)
_WARN = frozenset(
    {"pending", "queued", "open", "requires_action", "processing", "trialing", "incomplete", "paused", "refused",
     "missed_event", "requires_capture", "running"}
)  # fmt: skip
_HEADERS = security_headers(script_src="'self'", connect_src="'self'")


class ConsolePages:
    """Draws pages for staff who are signed in, and sends all others to the door."""

    def __init__(self, service: ConsoleService, clock: Clock, settings: Settings) -> None:
        self._service = service
        self._clock = clock
        self._secure = (settings.public_url or "").startswith("https://")
        self._live = settings.live
        self._sandboxed = settings.sandboxed
        self._templates = page_environment(_HERE / "templates")
        self._templates.filters |= {
            "money": _money,
            "moment": _moment,
            "tone": _tone,
            "paths": _paths,
            "pretty": _pretty,
            "words": _words,
        }
        self._templates.globals["query"] = _query

    # Pages

    def page(
        self, request: Request, who: Visitor | None, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A page; `key` is for the forms on it: whoever sends one twice sends it once."""
        html = self._templates.get_template(f"console/{template}").render(
            who=who,
            path=request.url.path,
            told=_told(request, who),
            key=str(new_id()),
            now=self._clock.now(),
            live=self._live,
            sandboxed=self._sandboxed,
            **values,
        )
        return HTMLResponse(html, status, headers=_HEADERS)

    def route(self, draw: Draw) -> Callable[[Request], Awaitable[Response]]:
        """A page for whoever is signed in."""

        async def run(request: Request) -> Response:
            async def drawn() -> Response:
                visitor = await self.visitor(request)
                return await draw(request, visitor) if visitor else self._door(request)

            return await self.guarded(request, drawn)

        return run

    def form(self, send: Send, *, admin: bool = True) -> Callable[[Request], Awaitable[Response]]:
        """What a form sends to. One that is not of this session does nothing, nor one of whoever may only look."""

        async def run(request: Request) -> Response:
            async def sent() -> Response:
                visitor = await self.visitor(request)
                if visitor is None:
                    return self._door(request)
                form = await self.sent_form(request)
                if not hmac.compare_digest(str(form.get("csrf", "")).encode(), visitor.csrf.encode()):
                    raise FormStale
                if admin and not visitor.admin:
                    raise NotStaff
                request.state.form_key = str(form.get("key") or new_id())
                return await send(request, visitor, form)

            return await self.guarded(request, sent)

        return run

    async def sent_form(self, request: Request) -> FormData:
        """What was sent. Raises FormStale for what a page of somebody else's sent, InvalidRequest."""
        if request.headers.get("sec-fetch-site", "none") not in _OURS:
            raise FormStale
        return await read_form(request, _FIELDS_MOST)

    def done(self, who: Visitor, path: str, said: str, *, tone: str = "good", **query: str) -> Response:
        """On to a page that says what was done. Only the words of this session are said: a link cannot make any up."""
        text = f"{tone}:{said}"
        return RedirectResponse(f"{path}?{urlencode({**query, 'done': text, 'mark': _mark(who, text)})}", 303)

    async def guarded(self, request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
        """A response, be it a page about what failed."""
        try:
            _check_address(request)
            return await work()
        except DomainError as error:
            return await self.failure(request, error)
        except Exception as error:
            if is_weather(error):
                return await self.failure(request, Unavailable())
            log.exception("console.failed", path=request.url.path)
            return await self.failure(request, InternalError())

    async def failure(self, request: Request, error: DomainError) -> Response:
        """What is wrong, and what to do about it."""
        visitor = None
        if error.status < 500:
            visitor = await self.visitor(request)
        return self.page(request, visitor, "problem.html", status=error.status, error=error)

    # Who looks

    async def visitor(self, request: Request) -> Visitor | None:
        """Who is signed in in this browser."""
        return await self._service.visitor(request.cookies.get(_COOKIE), active=not is_live(request))

    def token(self, request: Request) -> str | None:
        """The session that the browser has, be it over."""
        return request.cookies.get(_COOKIE)

    def signed_in(self, target: str, token: str) -> Response:
        """On to a page, with the session's cookie. It is lax: what alerts and mails link to opens at once, as reading
        changes nothing; whatever does bears the session's secret."""
        response = RedirectResponse(_inside(target), 303)
        response.set_cookie(_COOKIE, token, path="/console", secure=self._secure, httponly=True, samesite="lax")
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the browser's session."""
        if token := request.cookies.get(_COOKIE):
            await self._service.sign_out(token)
        response = RedirectResponse("/console/login", 303)
        response.delete_cookie(_COOKIE, path="/console", secure=self._secure, httponly=True, samesite="lax")
        return response

    def _door(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return RedirectResponse("/console/login", 303)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/console/login?{urlencode({'then': target})}", 303)


def _inside(target: str) -> str:
    """A page of the console; anything else is its first page."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/console"
    safe = not parts.scheme and not parts.netloc and (parts.path == "/console" or parts.path.startswith("/console/"))
    return target if safe and "\\" not in target else "/console"


def _check_address(request: Request) -> None:
    # PostgreSQL takes all of Unicode but this.
    if any(_NUL in text for text in (request.scope["path"], *request.query_params.values())):
        raise InvalidRequest("The address holds what is no text.")


def is_live(request: Request) -> bool:
    """Whether a page asks for itself, to be up to date."""
    return _LIVE in request.headers


def _mark(who: Visitor, text: str) -> str:
    return hmac.digest(who.csrf.encode(), text.encode(), "sha256").hex()[:_MARK]


def _told(request: Request, who: Visitor | None) -> tuple[str, str] | None:
    """Tone and words of what was done a moment ago, if this session did it."""
    text = request.query_params.get("done", "")
    if who is None or not text:
        return None
    marked = request.query_params.get("mark", "").encode()
    tone, _, said = text.partition(":")
    return (tone, said) if hmac.compare_digest(marked, _mark(who, text).encode()) else None


def _paths(text: str) -> Markup:
    """A text in which the console's addresses are links."""
    return Markup("").join(
        Markup('<a href="{0}">{0}</a>').format(part) if part.startswith("/console") else part
        for part in _PATH.split(text)
    )


def _money(amount: int | None, currency: str) -> str:
    return "–" if amount is None else format_money(int(amount), currency)


def _moment(at: datetime | None) -> str:
    return "–" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _tone(state: object) -> str:
    text = str(state)
    return "good" if text in _GOOD else "bad" if text in _BAD else "warn" if text in _WARN else "plain"


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str, sort_keys=False)


def _words(text: object) -> str:
    found = str(text)
    # The type of an event, or a kind of call, is a name that people search for.
    return found if "." in found else found.replace("_", " ")


def _query(values: Mapping[str, str | None], **others: str | None) -> str:
    """An address's query of what is not empty."""
    return urlencode({name: value for name, value in {**values, **others}.items() if value})
