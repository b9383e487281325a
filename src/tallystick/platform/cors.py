"""Which pages of other origins may call the API from a browser: exactly those that are set; none, if none are.

Tokens travel in a header, never in a cookie, so no answer allows credentials.
"""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from tallystick.platform.security_headers import RawHeaders

__all__ = ["Cors"]

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_TAKEN = b"Authorization, Content-Type, Idempotency-Key, Tallystick-User, Tallystick-User-Email, X-Request-Id"
_SHOWN = b"Idempotency-Key, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_MAX_AGE_S = b"600"


class Cors:
    """Answers preflights, and says on answers who may read them."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, asked: Mapping[bytes, bytes]) -> RawHeaders:
        """What an answer to a request with these headers bears."""
        if not self._origins:
            return ()
        origin = asked.get(b"origin")
        if origin not in self._origins:
            return ((b"vary", b"Origin"),)
        return (
            (b"vary", b"Origin"),
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _SHOWN),
        )

    def preflight(self, method: str, asked: Mapping[bytes, bytes]) -> Response | None:
        """The answer to a browser that asks whether it may ask; None for all other requests, and where it may not."""
        if method != "OPTIONS" or b"access-control-request-method" not in asked:
            return None
        if asked.get(b"origin") not in self._origins:
            return None
        answer = Response(status_code=204)
        answer.raw_headers += [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _TAKEN),
            (b"access-control-max-age", _MAX_AGE_S),
        ]
        return answer
