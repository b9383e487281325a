"""What is counted, timed and traced of a call to Stripe."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlsplit

from tallystick.platform.settings import Settings
from tallystick.platform.telemetry import note_stripe, resource_of
from tallystick.platform.tracing import Span, Value, span, tracing
from tallystick.stripe_gateway.errors import (
    GatewayDeclined,
    GatewayError,
    GatewayKeyUsed,
    GatewayOutcomeUnknown,
    GatewayRejected,
    GatewayUnavailable,
)

__all__ = ["CallObserver", "seen"]

_OUTCOMES: Mapping[type[GatewayError], str] = {
    GatewayDeclined: "declined",
    GatewayRejected: "rejected",
    GatewayUnavailable: "unavailable",
    GatewayOutcomeUnknown: "unknown",
    GatewayKeyUsed: "unknown",
}


class CallObserver:
    """Watches the calls of one client."""

    def __init__(self, settings: Settings) -> None:
        address = urlsplit(settings.stripe_api_base)
        self._attributes: Mapping[str, Value] = {
            "server.address": address.hostname or "",
            "server.port": address.port or (443 if address.scheme == "https" else 80),
            "tallystick.stripe.api_version": settings.stripe_api_version,
        }

    @contextmanager
    def calling(self, method: str, path: str) -> Iterator[Span]:
        """Around one call, its tries together."""
        began, outcome = time.monotonic(), "done"
        with self._span(method, path) if tracing() else span("") as traced:
            try:
                yield traced
            except GatewayError as error:
                outcome = _OUTCOMES[type(error)]
                seen(traced, request_id=error.request_id)
                raise
            finally:
                note_stripe(path, method, outcome, time.monotonic() - began)
                traced.set("tallystick.stripe.outcome", outcome)

    def _span(self, method: str, path: str) -> AbstractContextManager[Span]:
        template, verb = resource_of(path), method.upper()
        attributes = {**self._attributes, "http.request.method": verb, "url.template": template}
        return span(f"{verb} {template}", "client", attributes)


def seen(traced: Span, *, status: int | None = None, request_id: str | None = None) -> None:
    """Note how Stripe answered: its status, and the id under which its dashboard shows the request."""
    if status:
        traced.set("http.response.status_code", status)
    if request_id:
        traced.set("tallystick.stripe.request_id", request_id)
