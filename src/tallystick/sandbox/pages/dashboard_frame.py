"""What all pages of the dashboard share: who may see them, how they look, and how a form's answer leads on."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tallystick.sandbox.control import Control, is_local
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.pages import dashboard_words as words
from tallystick.sandbox.params import decode_form
from tallystick.sandbox.shapes import Json
from tallystick.ui.kit import page_environment, security_headers

__all__ = ["HOME", "DashboardFrame", "form_of", "path_of"]

HOME = "/dashboard"
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_HEADERS = security_headers(script_src="'self'", connect_src="'self'")
_DONE = {
    "resent": "The event is on its way again.",
    "nobody": "There is no enabled webhook endpoint that it could be sent to.",
    "added": "The fault is in force.",
    "removed": "The fault is lifted.",
    "all-removed": "All faults are lifted.",
    "reset": "Everything is forgotten: this is a new, empty account.",
}


def path_of(object_id: str) -> str:
    """The address of an object's page."""
    return f"{HOME}/objects/{quote(object_id, safe='')}"


class DashboardFrame:
    """Draws pages, and keeps those out who are not at this machine."""

    def __init__(self, engine: Engine, control: Control) -> None:
        self._engine = engine
        self._control = control
        self._templates = page_environment(Path(__file__).parent / "templates" / "dashboard")
        self._templates.globals |= {
            "breakable": words.breakable,
            "brief": words.brief,
            "describe": words.describe,
            "field_name": words.field_name,
            "home": HOME,
            "kind_name": words.kind_name,
            "moment": words.moment,
            "path_of": path_of,
            "span": words.span,
            "standing": words.standing,
            "tone": words.tone,
        }

    def guarded(self, handler: Endpoint) -> Endpoint:
        """The handler for callers at this machine; a form only where it stands on a page of ours."""

        async def guarded(request: Request) -> Response:
            refusal = self._refusal(request)
            if refusal:
                return self.message(request, "Not from here", refusal, 403)
            try:
                return await handler(request)
            except ApiError as problem:
                return self.message(request, "That did not work", problem.message, problem.status)

        return guarded

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page; `?done=…` tells what a form has just done."""
        clock = self._engine.clock
        html = self._templates.get_template(template).render(
            path=request.url.path,
            now=clock.unix(),
            ahead=clock.offset.total_seconds(),
            progress=self._control.progress(),
            done=_DONE.get(request.query_params.get("done", ""), ""),
            **values,
        )
        return HTMLResponse(html, status, headers=_HEADERS)

    def message(self, request: Request, title: str, text: str, status: int) -> Response:
        """A page that only says something."""
        return self.page(request, "message.html", status=status, title=title, text=text)

    def lead(self, path: str, done: str = "") -> Response:
        """Where a form leads that was carried out; `path` begins below the dashboard's."""
        return RedirectResponse(f"{HOME}{path}{f'?done={done}' if done else ''}", status_code=303)

    def _refusal(self, request: Request) -> str:
        caller = request.client.host if request.client else "127.0.0.1"
        host = request.headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if not self._engine.config.open_control:
            if not is_local(caller):
                return "The dashboard is open to this machine only."
            # Else a page of any site could read it by pointing its own name at 127.0.0.1.
            if not is_local(name) and name != urlsplit(self._engine.config.public_url).hostname:
                return "The dashboard is not known by this name: call it by localhost or 127.0.0.1."
        if request.method not in ("GET", "HEAD") and not _from_here(request, host):
            return "This form must be sent from the dashboard itself."
        return ""


def _from_here(request: Request, host: str) -> bool:
    """Whether the browser says that the form stands on a page of this very host."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site") == "same-origin"
    return urlsplit(origin).netloc == host


async def form_of(request: Request) -> Json:
    """The fields of a form, each a string without space around it."""
    return {name: str(value).strip() for name, value in decode_form(await request.body()).items()}
