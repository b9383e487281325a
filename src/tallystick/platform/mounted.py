"""Under a prefix of another application: addresses come in without it, and go out with it.

Everything inside is written as if it were at the root. What leaves, leaves through here: redirects, the paths of
cookies, and the links, forms, scripts and images of pages.
"""

import re
from html import escape
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Mounted"]

# In pages every quote of a value is escaped, so that this is only ever an attribute of a template.
_LINKS = re.compile(rb'(?<=[\s])(href|src|action|formaction)="/(?!/)')
_COOKIE_PATH = re.compile(rb"(?<=; Path=)/", re.IGNORECASE)


class Mounted:
    """Pure ASGI around an application that knows nothing of the `root_path` that it is served under."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = scope.get("root_path", "").rstrip("/")
        if scope["type"] != "http" or not prefix:
            await self._app(scope, receive, send)
            return
        await self._app(_inside(scope, prefix), receive, _Outward(prefix, send))


def _inside(scope: Scope, prefix: str) -> Scope:
    inner = {**scope, "root_path": "", "app_root_path": prefix, "path": _without(scope["path"], prefix)}
    if scope.get("raw_path") is not None:
        inner["raw_path"] = _without(scope["raw_path"].decode("latin-1"), prefix).encode("latin-1")
    return inner


def _without(path: str, prefix: str) -> str:
    # Servers differ in whether `path` still has the prefix.
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


class _Outward:
    """The answer on its way out; a page is held until it is whole, as its length changes."""

    def __init__(self, prefix: str, send: Send) -> None:
        self._prefix = prefix.encode("latin-1")
        self._shown = escape(prefix).encode()
        self._send = send
        self._start: Message | None = None
        self._page = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [self._header(*header) for header in message["headers"]]}
            if _is_page(message["headers"]):
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._page += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page(self._start)
            return
        await self._send(message)

    async def _send_page(self, start: Message) -> None:
        page = _LINKS.sub(rb'\1="' + self._shown.replace(b"\\", rb"\\") + b"/", bytes(self._page))
        headers = [header for header in start["headers"] if header[0].lower() != b"content-length"]
        length = [(b"content-length", str(len(page)).encode())] if len(headers) < len(start["headers"]) else []
        # A HEAD has the length of the page that a GET would get, which is not known here.
        await self._send({**start, "headers": headers + (length if self._page else [])})
        await self._send({"type": "http.response.body", "body": page})

    def _header(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        lowered = name.lower()
        if lowered == b"location" and value.startswith(b"/") and not value.startswith(b"//"):
            return name, self._prefix + value
        if lowered == b"set-cookie":
            return name, _COOKIE_PATH.sub(lambda _: self._prefix + b"/", value, count=1)
        return name, value


def _is_page(headers: Any) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers)
