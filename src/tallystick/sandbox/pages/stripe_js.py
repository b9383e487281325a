"""The stand-in for Stripe.js: the script that shops load, and the frame of its Payment Element."""

import hashlib
import re
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from tallystick.sandbox import banks, cards
from tallystick.sandbox.engine import Engine
from tallystick.ui.kit import page_environment, security_headers

__all__ = ["StripeJs", "framed_by", "script_url"]

_ASSETS = Path(__file__).parent.parent / "assets"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")
_SCRIPTS = {
    "stripe.js": ("request.js", "challenge.js", "elements.js", "stripe.js"),
    "element.js": ("request.js", "texts.js", "fields.js", "appearance.js", "element.js"),
    "challenge.js": ("challenge_page.js",),
    "invoice.js": ("invoice.js",),
}
"""What a browser loads, and the files of `assets` it is put together from."""
_STYLES = ("element.css", "pages.css")


class StripeJs:
    """`/v3/` and `/{train}/stripe.js`, and below `/elements` what that script loads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._templates = page_environment(Path(__file__).parent / "templates")
        self._templates.globals["script_url"] = script_url

    def routes(self) -> list[Route]:
        """Starlette routes, at the root: browsers anywhere may use them."""
        return [
            Route("/v3", _script),
            Route("/v3/", _script),
            Route("/{train}/stripe.js", _script),
            Route("/elements/payment", self._payment),
            Route("/elements/{name}", _asset),
        ]

    async def _payment(self, request: Request) -> Response:
        """The Payment Element's inside; only pages of `origin` can embed it."""
        origin = request.query_params.get("origin", "")
        headers = framed_by(origin, script_src="'self'", connect_src="'self'", form_action="'none'")
        if headers is None:
            return PlainTextResponse("`origin` must be the embedding page's scheme and host.\n", status_code=400)
        html = self._templates.get_template("element.html").render(
            origin=origin,
            now=self._engine.clock.unix(),
            cards=" ".join(cards.numbers()),
            accounts=" ".join(banks.numbers()),
        )
        return HTMLResponse(html, headers=headers)


def framed_by(origin: str, **directives: str) -> dict[str, str] | None:
    """The headers of a page that only pages of `origin` can embed; None if that is no origin."""
    if not _ORIGIN.fullmatch(origin):
        return None
    headers = security_headers(frame_ancestors=origin, **directives)
    # The older header knows no other origins; browsers follow the policy and would ignore it.
    del headers["x-frame-options"]
    return headers


def script_url(name: str) -> str:
    """The address of a script or style sheet of these pages; it bears the content's hash."""
    return f"/elements/{name}?v={_assets()[name][2]}"


async def _script(request: Request) -> Response:
    """Stripe.js itself: shops load it from other origins, always in its newest form."""
    body, kind, digest = _assets()["stripe.js"]
    return _file(request, body, kind, digest, "no-cache")


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _assets():
        return PlainTextResponse("There is no such file.\n", status_code=404)
    body, kind, digest = _assets()[name]
    current = request.query_params.get("v") == digest
    return _file(request, body, kind, digest, "public, max-age=31536000, immutable" if current else "no-cache")


def _file(request: Request, body: bytes, kind: str, digest: str, caching: str) -> Response:
    headers = {
        "access-control-allow-origin": "*",
        "cache-control": caching,
        "content-type": f"{kind}; charset=utf-8",
        "cross-origin-resource-policy": "cross-origin",
        "etag": f'"{digest}"',
        "x-content-type-options": "nosniff",
    }
    if digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers)


@cache
def _assets() -> dict[str, tuple[bytes, str, str]]:
    """Content, media type and short hash of each file, by name; a handful of small files, so read once."""
    found = {name: (_bundle(parts), "application/javascript") for name, parts in _SCRIPTS.items()}
    found |= {name: ((_ASSETS / name).read_bytes(), "text/css") for name in _STYLES}
    return {name: (body, kind, hashlib.sha256(body).hexdigest()[:12]) for name, (body, kind) in found.items()}


def _bundle(parts: tuple[str, ...]) -> bytes:
    """One script of several files, in a scope of its own."""
    code = "\n".join((_ASSETS / part).read_text() for part in parts)
    return f"(() => {{\n'use strict';\n{code}}})();\n".encode()
