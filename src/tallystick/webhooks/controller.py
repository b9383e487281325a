"""`POST /api/webhooks/stripe`: read, check, store, acknowledge, and nothing else.

A raw ASGI application, mounted in front of the API and its middleware: routing, validation and middleware of a
framework would halve what the inbox can take.
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from tallystick.core.clock import Clock, to_unix
from tallystick.core.errors import DomainError, problem
from tallystick.core.ids import new_id
from tallystick.platform.settings import Settings
from tallystick.platform.telemetry import note_webhook
from tallystick.platform.tracing import note
from tallystick.stripe_gateway.signatures import SignatureInvalid, verify
from tallystick.webhooks.envelope import read_envelope
from tallystick.webhooks.errors import BodyTooLarge, BodyTooSlow, MethodNotAllowed, NotAnEvent, SignatureRejected
from tallystick.webhooks.group_commit import GroupCommitter
from tallystick.webhooks.service_secrets import SecretSightings

__all__ = ["WebhookController"]

log = structlog.get_logger()

# Stripe sends an event in one go; whoever drips one in is holding a connection open.
_BODY_TIMEOUT_S = 10.0
_RECEIVED = b'{"received": true}'
_JSON = b"application/json"


class _Disconnected(Exception):
    """The caller hung up before its body was here; there is nobody to answer."""


class WebhookController:
    """The ASGI application; answers 200 only for an event that is committed."""

    def __init__(
        self,
        settings: Settings,
        committer: GroupCommitter,
        clock: Clock,
        sightings: SecretSightings | None = None,
        *,
        body_timeout_s: float = _BODY_TIMEOUT_S,
    ) -> None:
        self._secrets: Sequence[bytes] = [
            secret.get_secret_value().encode() for secret in settings.stripe_webhook_secret
        ]
        self._tolerance_s = settings.webhook_tolerance_s
        self._body_max_bytes = settings.webhook_body_max_bytes
        self._body_timeout_s = body_timeout_s
        self._committer = committer
        self._clock = clock
        self._sightings = sightings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = perf_counter()
        try:
            await self._accept(scope, receive)
        except DomainError as error:
            note_webhook(_outcome(error), perf_counter() - began)
            await _send_problem(send, error)
        except _Disconnected:
            return
        else:
            note_webhook("accepted", perf_counter() - began)
            await _send(send, 200, _JSON, _RECEIVED)

    async def _accept(self, scope: Scope, receive: Receive) -> None:
        """Return when the event is stored; raises the DomainError to answer with otherwise."""
        if scope["method"] != "POST":
            raise MethodNotAllowed
        signature = b""
        for name, value in scope["headers"]:
            if name == b"stripe-signature":
                signature = value
            elif name == b"content-length" and value.isdigit() and int(value[:20]) > self._body_max_bytes:
                raise BodyTooLarge
        body = await self._read(receive)
        try:
            place = verify(
                body,
                signature.decode("latin-1"),
                self._secrets,
                tolerance_s=self._tolerance_s,
                now=to_unix(self._clock.wall()),
            )
        except SignatureInvalid as error:
            # The reason stays with us: it would help whoever tries to forge one.
            log.warning("webhook.rejected", reason=error.reason)
            raise SignatureRejected from error
        try:
            envelope = read_envelope(body, "webhook")
        except NotAnEvent:
            log.warning("webhook.rejected", reason="signed, but no event object")
            raise
        note("tallystick.event.id", envelope.stripe_event_id)
        await self._committer.submit(envelope)
        if self._sightings is not None:
            self._sightings.saw(place, envelope.api_version)

    async def _read(self, receive: Receive) -> bytes:
        """The whole body. What a `Content-Length` promised does not matter: the bytes that come are counted."""
        parts: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(self._body_timeout_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Disconnected
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self._body_max_bytes:
                        raise BodyTooLarge
                    parts.append(part)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            raise BodyTooSlow from error
        return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send_problem(send: Send, error: DomainError) -> None:
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", b"POST"))
    if isinstance(error, BodyTooLarge | BodyTooSlow):
        # The rest of that body is still on its way; without this the server would have to read it all.
        headers.append((b"connection", b"close"))
    document = msgspec.json.encode(problem(error, str(new_id())))
    await _send(send, error.status, b"application/problem+json", document, headers)


async def _send(
    send: Send, status: int, content_type: bytes, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    fixed = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


def _outcome(error: DomainError) -> str:
    """How a webhook that is not taken is counted."""
    if error.status >= 500:
        return "unavailable"
    return "unsigned" if isinstance(error, SignatureRejected) else "invalid"
