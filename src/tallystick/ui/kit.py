"""The page kit: one template environment, one stylesheet, one set of security headers for every page.

A page is `{% extends "base.html" %}` with the blocks `title` and `main` (and, where wanted, `language`, `skip`,
`head`, `brand`, `nav` and `footer`). The application mounts `assets_app()` at `ASSETS_PATH` and sends
`SECURITY_HEADERS` with every page. Scripts and styles never stand inside a page: the policy forbids them.
"""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

__all__ = [
    "ASSETS_PATH",
    "SECURITY_HEADERS",
    "asset_url",
    "assets_app",
    "page_environment",
    "security_headers",
]

ASSETS_PATH = "/assets"
"""Where the application mounts `assets_app()`; templates link to it."""

_HERE = Path(__file__).parent
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


def security_headers(**directives: str) -> dict[str, str]:
    """The headers of a page; `directives` replace or add to the content security policy.

    Names are written with underscores: `security_headers(script_src="'self'", form_action="'self' https:")`.
    A form whose answer redirects to another site needs that site in `form_action`: browsers check redirects.
    """
    policy = _POLICY | {name.replace("_", "-"): value for name, value in directives.items()}
    framed = policy["frame-ancestors"] != "'none'"
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN" if framed else "DENY",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        # Pages show payments and mails: no proxy and no shared computer's back button may keep them.
        "cache-control": "no-store",
    }


SECURITY_HEADERS: dict[str, str] = security_headers()
"""What every page sends unless it needs more (then `security_headers`)."""


def page_environment(*template_dirs: Path) -> Environment:
    """A Jinja environment over these folders (the first wins) and the kit's own `base.html`.

    Everything is escaped and a name that is not given is an error. Templates have `asset_url(name)`.
    """
    environment = Environment(
        loader=FileSystemLoader([*template_dirs, _HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset_url"] = asset_url
    return environment


def asset_url(name: str) -> str:
    """The address of one of the kit's files; it bears the content's hash, so browsers may keep it for ever.

    Raises KeyError for a name that is not in `ui/assets`.
    """
    return f"{ASSETS_PATH}/{name}?v={_assets()[name][1]}"


def assets_app() -> Starlette:
    """The application to mount at `ASSETS_PATH`: the files of `ui/assets`, from memory, with caching."""
    return Starlette(routes=[Route("/{name}", _asset)])


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    """Content and short hash of each file, by name; a handful of small files, so read once."""
    files = {path.name: path.read_bytes() for path in (_HERE / "assets").iterdir() if path.suffix in _MEDIA_TYPES}
    return {name: (body, hashlib.sha256(body).hexdigest()[:12]) for name, body in files.items()}


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _assets():
        return Response("There is no such file.\n", status_code=404, media_type="text/plain")
    body, digest = _assets()[name]
    current = request.query_params.get("v") == digest
    headers = {
        "etag": f'"{digest}"',
        "cache-control": "public, max-age=31536000, immutable" if current else "no-cache",
        "x-content-type-options": "nosniff",
    }
    if digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers | {"content-type": _MEDIA_TYPES[Path(name).suffix]})
