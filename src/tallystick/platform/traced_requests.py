"""A span around each request, named by the template of its route; a caller's `traceparent` is its parent."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallystick.platform.tracing import mark_of, span, tracing

__all__ = ["TracedRequests"]

# Who only looks whether we are there need not be followed.
_UNTRACED = frozenset({"/healthz", "/readyz"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class TracedRequests:
    """Pure ASGI; where nothing is traced it hands on. `route` is that of an application without routes of its own."""

    def __init__(self, app: ASGIApp, route: str | None = None) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not tracing() or scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        # Whoever hangs up is answered nothing.
        status: int | None = None

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        attributes = {"http.request.method": method, "url.scheme": scope.get("scheme", "http")}
        with span(method, "server", attributes, parent=_caller(scope), alone=True) as traced:
            try:
                await self._app(scope, receive, send_seen)
            finally:
                route = self._route or getattr(scope.get("route"), "path", None)
                if route is not None:
                    traced.rename(f"{method} {route}")
                    traced.set("http.route", route)
                if status is not None:
                    traced.set("http.response.status_code", status)
                if request_id := scope.get("state", {}).get("request_id"):
                    traced.set("tallystick.request_id", str(request_id))
                if status is None or status >= 500:
                    traced.failed(str(status or "no answer"))


def _caller(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return mark_of(value)
    return None
