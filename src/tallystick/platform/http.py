"""HTTP beneath the controllers: request ids, bounds, security headers, and errors as problem documents (RFC 9457)."""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import structlog
from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallystick.core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    InvalidRequest,
    NotFound,
    Unauthorized,
    Unavailable,
    problem,
)
from tallystick.core.ids import new_id
from tallystick.platform.bodies import BodyTooLarge, Disconnected, check_json, read_body, replaying
from tallystick.platform.database import UNSTORABLE, WEATHER, is_weather
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.rate_bucket import RatePolicy, Verdict
from tallystick.platform.rate_limit import RateLimited
from tallystick.platform.telemetry import note_request

__all__ = [
    "IdempotencyKey",
    "Json",
    "Moment",
    "Problem",
    "RequestFrame",
    "answer_error",
    "idempotent_request",
    "install_error_handlers",
    "json_response",
    "problem_response",
    "problems",
    "request_id_of",
]

log = structlog.get_logger()
Json = Mapping[str, Any]

_NOT_AN_OBJECT = ("missing", "model_type", "model_attributes_type", "dict_type")
# Whoever knows the address of a customer's page may use it, so the log does not.
_TOKEN_IN_PATH = re.compile(r"^/(pay|billing/open)/[^/]+")
_OF_BODIES = frozenset({b"content-length", b"content-type", b"transfer-encoding"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("should be a time of the years 1 to 9999 in UTC") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time that somebody sent; where no zone is named, UTC is meant."""


class MalformedBody(DomainError):
    code, status = "BODY_NOT_JSON", 400
    title = "The body is not a JSON object in UTF-8"
    action = "Send a JSON object, encoded in UTF-8, with Content-Type: application/json."


class AmountInvalid(DomainError):
    code, status = "AMOUNT_ERROR", 422
    title = "The amount cannot be charged"
    action = "Send a positive whole number of minor units (10.50 usd is 1050) and a lower-case currency code."


class MethodNotAllowed(DomainError):
    code, status = "METHOD_NOT_ALLOWED", 405
    title = "This address does not take that method"


class InternalError(DomainError):
    code, status = "INTERNAL_ERROR", 500
    title = "Something failed on our side"
    action = "Send the same request again with the same Idempotency-Key; if it persists, report the request id."


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content` (dicts, dataclasses, msgspec structs; times as RFC 3339) as JSON."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def problem_response(document: Json, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as it goes over the wire."""
    return Response(msgspec.json.encode(document), document["status"], headers, media_type="application/problem+json")


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=IdempotentRequest.KEY_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="repeat the request with the same key and get the same answer; one is made if absent",
    ),
]


def idempotent_request(request: Request, scope: str, key: str | None, body: BaseModel) -> IdempotentRequest:
    """The request as repeats are recognised; the key, made here if absent, is in the answer whatever it is."""
    key = key or str(new_id())
    request.state.idempotency_key = key
    return IdempotentRequest(scope, key, f"{request.method} {request.url.path}", body.model_dump(mode="json"))


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable; `detail` may be shown to the customer."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    suggested_action: str
    field: str | None = None
    request_id: str | None = None


_PROBLEM_EXAMPLES: dict[int, DomainError] = {
    400: MalformedBody(),
    401: Unauthorized(),
    403: Forbidden(),
    404: NotFound(),
    405: MethodNotAllowed(),
    409: Conflict(),
    413: BodyTooLarge(),
    422: InvalidRequest(),
    429: RateLimited(Verdict(RatePolicy("writes", 120, 60), remaining=0, reset_s=60, wait_s=3)),
    500: InternalError(),
    503: Unavailable(),
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for these error statuses.

    429 comes with every route, 400 with every one that takes a body; 403 and 422 with every one that asks for a token,
    which may name a user that it must not act for, or none.
    """
    answers: dict[int | str, dict[str, Any]] = {}
    more = {400} if 422 in statuses else set()
    for status in sorted({*statuses, 429, *more, *((403, 422) if 401 in statuses else ())}):
        kind = _PROBLEM_EXAMPLES.get(status)
        content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
        if kind is not None:
            content["example"] = {**problem(kind), "request_id": "0193f0c2-…"}
        title = kind.title if kind else {402: "The payment failed", 502: "Payments are not set up"}.get(status, "Error")
        answers[status] = {"description": title, "content": {"application/problem+json": content}}
    return answers


def request_id_of(scope: Scope) -> str:
    """The id of the request that `scope` belongs to."""
    return str(scope.get("state", {}).get("request_id", ""))


class RequestFrame:
    """Pure ASGI around the API and its pages: an id, a bounded body, one log line, no leaked trace."""

    def __init__(self, app: ASGIApp, body_max_bytes: int, body_timeout_s: float = 15.0) -> None:
        self._app = app
        self._body_max_bytes = body_max_bytes
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _incoming_id(scope) or str(new_id())
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, status = time.monotonic(), 500
        begun = False

        async def send_framed(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, await self._received(scope, receive), send_framed)
        except Disconnected:
            status = 499
        except Exception as error:
            # The framework raises what our handler has logged and answered, for servers that would log it.
            if scope["state"].get("answered") is error:
                return
            failure = as_domain_error(error)
            if begun:
                raise
            # The rest of a body that is too large or too slow is still on its way; nobody reads it.
            headers = {"Connection": "close"} if failure.status in (408, 413) else {}
            await problem_response(problem(failure, request_id), headers)(scope, receive, send_framed)
        finally:
            took_s = time.monotonic() - started
            note_request(getattr(scope.get("route"), "path", "unknown"), scope["method"], status, took_s)
            log.info(
                "request",
                method=scope["method"],
                path=_TOKEN_IN_PATH.sub(r"/\1/…", scope["path"]),
                status=status,
                ms=round(took_s * 1000, 1),
            )
            structlog.contextvars.unbind_contextvars("request_id")

    async def _received(self, scope: Scope, receive: Receive) -> Receive:
        """The request's body, read and looked at; raises BodyTooLarge, BodyTooSlow, JsonTooComplex, Disconnected."""
        headers = {name: value for name, value in scope["headers"] if name in _OF_BODIES}
        length = headers.get(b"content-length")
        if length in (None, b"0") and b"transfer-encoding" not in headers:
            return receive
        body = await read_body(receive, length, self._body_max_bytes, self._body_timeout_s)
        check_json(body, headers)
        return replaying(body, receive)


def _incoming_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _REQUEST_ID.match(text) else None
    return None


def as_domain_error(error: BaseException) -> DomainError:
    """What the caller may know of an exception; the unexpected is logged here, and answered without its words."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, UNSTORABLE):
        return InvalidRequest("A text in the request has characters that cannot be stored.")
    if is_weather(error):
        log.warning("request.weather", error=type(error).__name__)
        return Unavailable(retry_after_s=1)
    log.error("request.failed", exc_info=error)
    return InternalError()


def install_error_handlers(app: FastAPI) -> None:
    """Every error of every route becomes a problem document."""
    for kind in (DomainError, RequestValidationError, HTTPException, *WEATHER, Exception):
        app.add_exception_handler(kind, answer_error)


async def answer_error(request: Request, error: Exception) -> Response:
    """The problem document that an error of a route becomes."""
    failure = _translate(error)
    request.state.answered = error
    headers = {}
    if failure.retry_after_s is not None:
        headers["Retry-After"] = str(failure.retry_after_s)
    if failure.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if key := getattr(request.state, "idempotency_key", None):
        headers["Idempotency-Key"] = key
    return problem_response(problem(failure, request_id_of(request.scope)), headers)


def _translate(error: Exception) -> DomainError:
    if isinstance(error, RequestValidationError):
        return _from_validation(error.errors())
    if isinstance(error, HTTPException):
        if isinstance(error.__cause__, DomainError):
            return error.__cause__  # FastAPI wraps what reading the body raised
        if error.status_code == 404:
            return NotFound("There is nothing at this address.", action="Check the path.")
        if error.status_code == 405:
            return MethodNotAllowed()
        return MalformedBody() if error.status_code == 400 else InvalidRequest(str(error.detail))
    return as_domain_error(error)


def _from_validation(errors: Sequence[Any]) -> DomainError:
    if any(_no_object(found) for found in errors):
        return MalformedBody()
    fields = [
        {
            "field": ".".join(str(part) for part in found["loc"][1:]) or str(found["loc"][0]),
            "message": str(found["msg"]).removeprefix("Value error, "),
        }
        for found in errors[:20]
    ]
    first = fields[0]
    of_amount = errors[0]["loc"][0] == "body" and first["field"] in ("amount", "currency")
    kind = AmountInvalid if of_amount else InvalidRequest
    return kind(f"{first['field']}: {first['message']}", field=first["field"], errors=fields)


def _no_object(found: Any) -> bool:
    return found["type"] == "json_invalid" or (tuple(found["loc"]) == ("body",) and found["type"] in _NOT_AN_OBJECT)
