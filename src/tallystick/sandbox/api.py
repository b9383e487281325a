"""`/v1`: one request in, one answer out. A bare ASGI application, because load tests run through it."""

import asyncio
import base64
import binascii
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote

from tallystick.sandbox import idempotency
from tallystick.sandbox.catalog import EXPANDABLE, INCLUDES, ROUTER, fresh
from tallystick.sandbox.context import Context
from tallystick.sandbox.delivery import Deliverer
from tallystick.sandbox.engine import Engine, generated_key
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.events import Cause
from tallystick.sandbox.expand import expand
from tallystick.sandbox.faults import ApiFault
from tallystick.sandbox.params import decode_form, validate
from tallystick.sandbox.resources.intents import check_expand, reduced
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, canonical, decode, encode
from tallystick.sandbox.versions import check_version, render

__all__ = ["Answer", "Api", "Call", "Receive", "Scope", "Send", "cut_connection", "read_body"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)
_DOCS = "See https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/."
_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"Request-Id, Stripe-Version, Stripe-Should-Retry"),
)
_PREFLIGHT = (
    *_CORS,
    (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Idempotency-Key, Stripe-Version, Stripe-Account, X-Stripe-Client-User-Agent",
    ),
    (b"access-control-max-age", b"300"),
)


@dataclass(slots=True)
class Call:
    """One request as it came."""

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes
    base_url: str
    request_id: str
    publishable: bool = False
    version: str = ""

    @property
    def key(self) -> str | None:
        """The idempotency key; only POSTs have one."""
        value = self.headers.get(b"idempotency-key") if self.method == "POST" else None
        return value.decode("latin-1") if value else None


@dataclass(slots=True)
class Answer:
    """Status, JSON and the headers beyond those that every answer has."""

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)


class Api:
    """The ASGI application under `/v1`."""

    def __init__(self, engine: Engine, deliverer: Deliverer) -> None:
        self._engine = engine
        self._deliverer = deliverer
        self._running: set[str] = set()
        self.requests: deque[Json] = deque(maxlen=1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(
            method=scope["method"],
            path=scope["path"],
            query=scope.get("query_string", b""),
            headers=dict(scope["headers"]),
            body=await read_body(receive),
            base_url=_base_url(scope),
            request_id=self._engine.ids.short("req_"),
        )
        if call.method == "OPTIONS":
            await _send(send, 204, _PREFLIGHT, b"")
            return
        fault = self._engine.faults.request(call.method, call.path)
        key = call.key
        if key is not None and key in self._running:
            answer = self._error(call, idempotency.in_use(key))
        elif fault is None:
            answer = self.handle(call)
        else:
            answer_or_none = await self._misbehave(fault, call, receive, send)
            if answer_or_none is None:
                return
            answer = answer_or_none
        await self._reply(call, answer, send)

    async def _misbehave(self, fault: ApiFault, call: Call, receive: Receive, send: Send) -> Answer | None:
        """What a fault makes of the call; None when it answered by itself or never will."""
        key = call.key
        if key is not None:
            self._running.add(key)
        try:
            answer = self.handle(call) if fault.when == "after" else None
            if fault.kind == "slow":
                await asyncio.sleep(fault.delay_s)
                return answer or self.handle(call)
            self._note(call, fault.status if fault.kind == "status" else 0, fault.kind)
            if fault.kind == "status":
                return self._error(call, _fault_error(fault))
            if fault.kind == "garbage":
                await _send(send, 200, [(b"content-type", b"text/html")], b"<html>upstream is taking a break</html>")
            elif fault.kind == "cut":
                await cut_connection(receive, send)
            else:
                await _until_gone(receive)
            return None
        finally:
            if key is not None:
                self._running.discard(key)

    def handle(self, call: Call) -> Answer:
        """Authenticate, find the route, run it, and shape the answer; never raises."""
        try:
            call.publishable = _authenticate(call.headers.get(b"authorization"))
            call.version = self._version(call)
            route, ids = _route(call)
            raw = decode_form(call.body if call.method == "POST" else call.query)
            answer = self._execute(call, route, [unquote(item) for item in ids], raw)
        except ApiError as error:
            answer = self._error(call, error)
        except Exception:
            _log.exception("request failed: %s %s", call.method, call.path)
            answer = self._error(
                call, ApiError(500, "Sorry, something went wrong in the sandbox.", error_type="api_error")
            )
        self._deliverer.add(self._engine.take_fresh())
        return answer

    def _execute(self, call: Call, route: Route, ids: list[str], raw: Json) -> Answer:
        key, request, now = call.key, "", int(self._engine.clock.wall_unix())
        if key is not None:
            idempotency.check_key(key)
            request = idempotency.fingerprint(call.path, raw)
            saved = idempotency.find(self._engine.store, key, request, now)
            if saved is not None:
                return Answer(
                    saved.status,
                    saved.body,
                    [("Idempotent-Replayed", "true"), ("Original-Request", saved.request_id)],
                )
        params = validate(raw, route.fields, required=route.required)
        cause = Cause(
            call.request_id,
            key or (generated_key() if call.method == "POST" else None),
        )
        with self._engine.unit(
            version=call.version, cause=cause, base_url=call.base_url, publishable=call.publishable
        ) as ctx:
            try:
                value = route.run(ctx, params, ids)
                answer = Answer(200, self._shape(ctx, call, value, params.get("expand", [])))
            except ApiError as error:
                # A decline is an outcome: what it changed is kept, and it is replayed like a success.
                if not error.executed:
                    raise
                answer = self._error(call, error)
            if key is not None:
                kept = idempotency.Saved(answer.status, answer.body, call.request_id)
                idempotency.keep(self._engine.store, key, request, kept, now)
        return answer

    def _shape(self, ctx: Context, call: Call, value: Json, paths: list[str]) -> bytes:
        stored = ctx.store.body(value)
        if stored is not None and not call.publishable and not paths:
            if value["object"] == "event":
                return stored
            return encode(render(decode(stored), call.version, ctx.store.last_form))
        # Events and lists of them stay as they were rendered when they happened.
        if value["object"] != "event" and not call.path.startswith("/v1/events"):
            value = render(value, call.version, ctx.store.last_form)
        if paths:
            if call.publishable:
                check_expand(paths)

            # What can be expanded is what the version prints.
            def shown(ctx: Context, found: Any) -> Any:
                found = fresh(ctx, found) if isinstance(found, dict) and "object" in found else found
                return render(found, call.version, ctx.store.last_form)

            value = expand(ctx, value, paths, EXPANDABLE, INCLUDES, shown)
        if call.publishable and value["object"] in ("payment_intent", "setup_intent"):
            value = reduced(value)
        return encode(value if value["object"] == "list" and not paths else canonical(value))

    def _error(self, call: Call, error: ApiError) -> Answer:
        version = call.version or self._engine.settings.api_version
        body = render(error.body(call.request_id), version, self._engine.store.last_form)
        if call.publishable:
            body = {
                "error": {
                    key: reduced(item) if key in ("payment_intent", "setup_intent") else item
                    for key, item in body["error"].items()
                }
            }
        headers = list(error.headers)
        if 400 <= error.status < 500 and error.status not in (409, 429):
            headers.append(("Stripe-Should-Retry", "false"))
        return Answer(error.status, encode(canonical(body)), headers)

    def _version(self, call: Call) -> str:
        asked = call.headers.get(b"stripe-version")
        if not asked:
            return self._engine.settings.api_version
        return check_version(asked.decode("latin-1").split(";")[0].strip())

    async def _reply(self, call: Call, answer: Answer, send: Send) -> None:
        version = call.version or self._engine.settings.api_version
        headers = [
            *_CORS,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer.body)).encode()),
            (b"date", self._engine.clock.http_date().encode()),
            (b"request-id", call.request_id.encode()),
            (b"stripe-version", version.encode()),
            (b"cache-control", b"no-cache, no-store"),
        ]
        if call.key is not None:
            headers.append((b"idempotency-key", call.key.encode("latin-1")))
        headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers]
        if not any(item[0] == "Original-Request" for item in answer.headers) and call.key is not None:
            headers.append((b"original-request", call.request_id.encode()))
        self._note(call, answer.status, None)
        if self._engine.recorder is not None and not call.publishable:
            self._engine.recorder.add(version, answer.body)
        await _send(send, answer.status, headers, answer.body)

    def _note(self, call: Call, status: int, fault: str | None) -> None:
        self.requests.appendleft(
            {
                "id": call.request_id,
                "at": self._engine.clock.unix(),
                "method": call.method,
                "path": call.path,
                "status": status,
                "idempotency_key": call.key,
                "fault": fault,
            }
        )


def _route(call: Call) -> tuple[Route, list[str]]:
    """The route and the ids in its path. Raises 404 without one, 403 for a browser on a secret-key route."""
    found = ROUTER.find(call.method, call.path[4:].rstrip("/"))
    if found is None:
        raise ApiError(
            404,
            f"Unrecognized request URL ({call.method}: {call.path}). Please see https://stripe.com/docs "
            "or we can help at https://support.stripe.com/.",
        )
    if call.publishable and not found[0].publishable:
        raise ApiError(
            403,
            "This API call cannot be made with a publishable API key. Please use a secret API key. You "
            "can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.",
            code="secret_key_required",
        )
    return found


def _authenticate(header: bytes | None) -> bool:
    """Whether the key is publishable. Raises 401 unless it is a test key."""
    scheme, _, value = (header or b"").decode("latin-1").partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode("latin-1").split(":", 1)[0]
        except binascii.Error:
            key = ""
    elif scheme.lower() != "bearer":
        key = ""
    challenge = (("WWW-Authenticate", 'Basic realm="Stripe"'),)
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            f"Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). {_DOCS}"
        )
        raise ApiError(401, message, headers=challenge)
    if key.startswith(("sk_live_", "rk_live_", "pk_live_")):
        raise ApiError(401, "This is a sandbox: it takes test keys (sk_test_…), never live ones.", headers=challenge)
    kind, _, rest = key.partition("_test_")
    if kind not in ("sk", "rk", "pk") or not rest:
        shown = f"{key[:8]}{'*' * max(len(key) - 12, 4)}{key[-4:]}"
        raise ApiError(401, f"Invalid API Key provided: {shown}", headers=challenge)
    return kind == "pk"


def _fault_error(fault: ApiFault) -> ApiError:
    if fault.status == 429:
        return ApiError(
            429,
            "Request rate limit exceeded. You can learn more about rate limits here "
            "https://stripe.com/docs/rate-limits.",
            code="rate_limit",
            headers=(("Stripe-Rate-Limited-Reason", "global-rate"),),
        )
    if fault.status >= 500:
        return ApiError(fault.status, "An unknown error occurred (fault on request).", error_type="api_error")
    return ApiError(fault.status, "Refused on request.")


def _base_url(scope: Scope) -> str:
    host = next((value for name, value in scope["headers"] if name == b"host"), b"127.0.0.1")
    return f"{scope.get('scheme', 'http')}://{host.decode('latin-1')}"


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def cut_connection(receive: Receive, send: Send) -> None:
    """Close the caller's connection without an answer.

    ASGI has no word for that. uvicorn's `receive` belongs to the object that owns the transport; a server
    without one gets a body cut short of its announced length.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()
        await _until_gone(receive)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionAbortedError("cut on request")


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
