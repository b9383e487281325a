"""The mailbox in the browser and as JSON. It has no login: it belongs on the loopback of a developer's machine."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from tallystick.mailbox.store import Mail, MailStore
from tallystick.ui.kit import ASSETS_PATH, SECURITY_HEADERS, assets_app, page_environment, security_headers

__all__ = ["create_mailbox"]

_PAGE = 50
_ON_PAGE = 25
_LIMIT_MAX = 500
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
# A mail's HTML is a stranger's: no script, no form, nothing fetched from anywhere; its own styles only.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


def create_mailbox(store: MailStore) -> Starlette:
    """The web application over `store`."""
    pages = _Pages(store)
    return Starlette(
        routes=[
            Route("/", pages.inbox),
            Route("/clear", pages.clear, methods=["POST"]),
            Route("/messages/{id}", pages.message),
            Route("/messages/{id}/html", pages.html_part),
            Route("/messages/{id}/raw", pages.raw),
            Route("/api/messages", pages.api_list),
            Route("/api/messages", pages.api_clear, methods=["DELETE"]),
            Route("/api/messages/{id}", pages.api_message),
            Route("/healthz", pages.health),
            Mount(ASSETS_PATH, assets_app()),
        ],
        # Without this, a page of any site could read the mails by pointing its own name at 127.0.0.1.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
    )


class _Pages:
    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._templates = page_environment(Path(__file__).parent / "templates")

    async def inbox(self, request: Request) -> Response:
        query = request.query_params
        asked = {name: query.get(name, "") for name in ("to", "subject", "before")}
        mails, more = await run_in_threadpool(self._store.find, **asked, limit=_ON_PAGE)
        headers = security_headers(script_src="'self'", connect_src="'self'")
        return self._page("inbox.html", {"mails": mails, "more": more, **asked}, headers=headers)

    async def message(self, request: Request) -> Response:
        mail = await self._mail(request)
        if mail is None:
            return self._page("missing.html", {}, status=404)
        return self._page("message.html", {"mail": mail}, headers=security_headers(frame_src="'self'"))

    async def html_part(self, request: Request) -> Response:
        mail = await self._mail(request)
        if mail is None or mail.html is None:
            return PlainTextResponse("This mail has no HTML part.\n", status_code=404)
        headers = SECURITY_HEADERS | {"content-security-policy": _MAIL_POLICY, "x-frame-options": "SAMEORIGIN"}
        return HTMLResponse(_links_open_outside(mail.html), headers=headers)

    async def raw(self, request: Request) -> Response:
        content = await run_in_threadpool(self._store.raw, request.path_params["id"])
        if content is None:
            return PlainTextResponse("There is no such mail.\n", status_code=404)
        return Response(content, media_type="text/plain; charset=utf-8", headers=SECURITY_HEADERS)

    async def clear(self, request: Request) -> Response:
        # A browser says where a form stands; a form on another site may not empty the mailbox.
        if urlsplit(request.headers.get("origin", "")).netloc != request.headers.get("host"):
            return PlainTextResponse("This form must be sent from the mailbox page.\n", status_code=403)
        await run_in_threadpool(self._store.clear)
        return RedirectResponse("/", status_code=303)

    async def api_list(self, request: Request) -> Response:
        query = request.query_params
        limit = query.get("limit", str(_PAGE))
        if not limit.isdecimal() or not 1 <= int(limit) <= _LIMIT_MAX:
            return JSONResponse({"detail": f"limit: should be 1 to {_LIMIT_MAX}"}, status_code=422)
        asked = {name: query.get(name, "") for name in ("to", "subject", "after", "before")}
        mails, more = await run_in_threadpool(self._store.find, **asked, limit=int(limit))
        return JSONResponse({"data": [_as_json(mail) for mail in mails], "has_more": more})

    async def api_message(self, request: Request) -> Response:
        mail = await self._mail(request)
        if mail is None:
            return JSONResponse({"detail": "There is no such mail"}, status_code=404)
        return JSONResponse(_as_json(mail))

    async def api_clear(self, _request: Request) -> Response:
        return JSONResponse({"deleted": await run_in_threadpool(self._store.clear)})

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _mail(self, request: Request) -> Mail | None:
        return await run_in_threadpool(self._store.get, request.path_params["id"])

    def _page(
        self,
        name: str,
        values: dict[str, Any],
        *,
        status: int = 200,
        headers: dict[str, str] = SECURITY_HEADERS,
    ) -> Response:
        html = self._templates.get_template(name).render(values)
        return HTMLResponse(html, status_code=status, headers=headers)


def _as_json(mail: Mail) -> dict[str, Any]:
    return {
        "id": mail.id,
        "message_id": mail.message_id,
        "from": mail.sender,
        "to": list(mail.to),
        "subject": mail.subject,
        "date": mail.date.isoformat().replace("+00:00", "Z"),
        "size": mail.size,
        "text": mail.text,
        "html": mail.html,
    }


def _links_open_outside(html: str) -> str:
    """Links of a mail open in a new tab: inside the frame they would be refused, and nobody would see why."""
    head = _HEAD.search(html)
    at = head.end() if head else 0
    return f'{html[:at]}<base target="_blank">{html[at:]}' if head or "<!doctype" not in html.lower() else html
