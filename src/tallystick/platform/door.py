"""`Door`: pure ASGI in front of everything: from where a request comes, whether it may come in, and what every answer,
be it a refusal, says to browsers.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import structlog
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallystick.core.errors import DomainError, problem
from tallystick.core.ids import new_id
from tallystick.platform.cors import Cors
from tallystick.platform.http import problem_response
from tallystick.platform.limits import RATE, Limits
from tallystick.platform.proxies import Proxies
from tallystick.platform.rate_limit import RateLimited
from tallystick.platform.security_headers import RawHeaders, dressed, hsts
from tallystick.platform.settings_door import DoorSettings
from tallystick.platform.telemetry import note_request

__all__ = ["Door", "Place"]

log = structlog.get_logger()

_HEADERS_MOST, _HEADER_BYTES_MOST = 100, 32 * 1024
_PATH_MOST, _QUERY_MOST, _PARAMETERS_MOST = 2048, 8192, 200
_READ = frozenset(
    {b"accept", b"access-control-request-method", b"authorization", b"forwarded", b"host", b"origin",
     b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
)  # fmt: skip


class HeadersTooLarge(DomainError):
    code, status = "HEADERS_TOO_LARGE", 431
    title = "The request's headers are too many or too large"
    action = f"Send at most {_HEADERS_MOST} headers of {_HEADER_BYTES_MOST // 1024} KiB together."


class AddressTooLong(DomainError):
    code, status = "URI_TOO_LONG", 414
    title = "The request's address is too long"
    action = (
        f"Send at most {_PATH_MOST} bytes of path, and {_QUERY_MOST} bytes and {_PARAMETERS_MOST} parameters of query."
    )


class HostUnknown(DomainError):
    code, status = "HOST_UNKNOWN", 421
    title = "This service does not answer for that host"
    action = "Use the host of PUBLIC_URL; others are named by ALLOWED_HOSTS."


class HttpsRequired(DomainError):
    code, status = "HTTPS_REQUIRED", 403
    title = "This service answers by HTTPS only"
    action = (
        "Use https://, and make tokens that were sent without it invalid. Behind a proxy that ends TLS, name its "
        "address in TRUSTED_PROXIES, and let it send X-Forwarded-Proto."
    )


@dataclass(frozen=True, slots=True)
class Place:
    """What the door has to know of an address: `policy` counts by the caller's address, `user_policy` by its token."""

    headers: RawHeaders
    policy: str | None = None
    user_policy: str | None = None
    page: bool = False
    """Whether people look at it: they are sent on to HTTPS, and told in plain text what is wrong."""
    inner: bool = False
    """Whether machines beside us ask for it, by whatever host and scheme."""
    cors: bool = False
    guessable: bool = False
    """Whether the path holds a secret: whoever finds nothing there may be guessing."""


class Door:
    """Lets requests in to `app`. `place_of` tells of a method and a path which place that is."""

    def __init__(
        self, app: ASGIApp, settings: DoorSettings, limits: Limits, place_of: Callable[[str, str], Place]
    ) -> None:
        self._app = app
        self._limits = limits
        self._place_of = place_of
        self._proxies = Proxies(settings.trusted_proxies, settings.proxy_headers)
        self._secure = settings.secure
        self._public_url = (settings.public_url or "").rstrip("/")
        self._hosts = settings.hosts
        self._cors = Cors(settings.cors_origins)
        self._hsts = hsts(settings.hsts_max_age_s) if self._secure else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        place = self._place_of(scope["method"], scope["path"])
        asked = _read(scope)
        state = scope.setdefault("state", {})
        status = 0

        async def send_dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*dressed(message["headers"], place.headers), *self._more(scope, place, asked)]
            await send(message)

        answer = await self._refusal(scope, place, asked)
        if answer is not None:
            await answer(scope, receive, send_dressed)
            return
        await self._app(scope, receive, send_dressed)
        if place.guessable and status == 404:
            await self._count(scope, "bad_tokens")
        elif place.user_policy and RATE not in state:
            # A token came along that nobody looked at.
            await self._count(scope, "address")

    async def _refusal(self, scope: Scope, place: Place, asked: Mapping[bytes, bytes]) -> Response | None:
        """What whoever may not come in is answered, and a browser that asks whether its page may."""
        began = time.monotonic()
        try:
            _bound(scope)
            if (redirect := self._arrive(scope, place, asked)) is not None:
                return redirect
            if place.cors and (answer := self._cors.preflight(scope["method"], asked)) is not None:
                return answer
            await self._admit(scope, place, asked)
        except DomainError as error:
            note_request("refused", scope["method"], error.status, time.monotonic() - began)
            client = scope["client"][0] if scope.get("client") else None
            log.info("request.refused", code=error.code, method=scope["method"], address=client)
            return _told(error, place, asked)
        return None

    def _arrive(self, scope: Scope, place: Place, asked: Mapping[bytes, bytes]) -> Response | None:
        """Find out where the request is from and what for; raises HostUnknown, HttpsRequired."""
        peer = scope["client"][0] if scope.get("client") else ""
        origin = self._proxies.origin(peer, asked)
        scope["client"] = (origin.address, scope["client"][1]) if origin.address else None
        self._limits.came_from(scope, origin.address)
        scope["scheme"] = origin.scheme if origin.scheme in ("http", "https") else scope.get("scheme", "http")
        if place.inner:
            return None
        if (
            self._hosts is not None
            and _host(origin.host or asked.get(b"host", b"").decode("latin-1")) not in self._hosts
        ):
            raise HostUnknown
        if self._secure and scope["scheme"] != "https":
            if place.page and scope["method"] in ("GET", "HEAD") and self._public_url.startswith("https://"):
                query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
                return RedirectResponse(f"{self._public_url}{quote(scope['path'])}{query}", 308)
            raise HttpsRequired
        return None

    async def _admit(self, scope: Scope, place: Place, asked: Mapping[bytes, bytes]) -> None:
        """Count the request by its address; one with a token is counted once that was looked at."""
        if place.guessable:
            self._limits.check("bad_tokens", scope)
        if place.user_policy and b"authorization" in asked:
            scope["state"]["policy"] = place.user_policy
            self._limits.check("address", scope)
        elif place.policy:
            await self._limits.take(place.policy, scope)

    async def _count(self, scope: Scope, policy: str) -> None:
        try:
            await self._limits.take(policy, scope)
        except RateLimited:
            log.info("request.over_limit", policy=policy)

    def _more(self, scope: Scope, place: Place, asked: Mapping[bytes, bytes]) -> RawHeaders:
        """What an answer bears of this very request."""
        more: list[tuple[bytes, bytes]] = []
        if verdict := scope["state"].get(RATE):
            more += [(b"ratelimit-policy", verdict.policy.header), (b"ratelimit", verdict.header)]
        if place.cors:
            more += self._cors.headers(asked)
        if scope.get("scheme") == "https":
            more += self._hsts
        return more


def _read(scope: Scope) -> dict[bytes, bytes]:
    """The headers that the door looks at; several of one name are joined by commas."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            found[name] = found[name] + b"," + value if name in found else value
    return found


def _bound(scope: Scope) -> None:
    headers = scope["headers"]
    if len(headers) > _HEADERS_MOST or sum(len(name) + len(value) for name, value in headers) > _HEADER_BYTES_MOST:
        raise HeadersTooLarge
    query = scope["query_string"]
    if len(query) > _QUERY_MOST or query.count(b"&") >= _PARAMETERS_MOST:
        raise AddressTooLong
    if len(scope["path"]) > _PATH_MOST or len(scope.get("raw_path") or b"") > 3 * _PATH_MOST:
        raise AddressTooLong


def _host(named: str) -> str:
    """The name of a host without its port."""
    if named.startswith("["):
        return named.partition("]")[0].lower() + "]"
    return named.partition(":")[0].lower().rstrip(".")


def _told(error: DomainError, place: Place, asked: Mapping[bytes, bytes]) -> Response:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if place.page and b"text/html" in asked.get(b"accept", b""):
        return PlainTextResponse(f"{error.title}. {error.detail}\n({error.code})\n", error.status, headers)
    request_id = str(new_id())
    return problem_response(problem(error, request_id), {**headers, "X-Request-Id": request_id})
