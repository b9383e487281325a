"""Bodies of requests, read whole before anybody looks at them: bounded in size, in time, and in how JSON is nested.
Forms are of one kind."""

import asyncio
import re
from collections.abc import Mapping

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from tallystick.core.errors import DomainError, InvalidRequest

__all__ = [
    "BodyTooLarge",
    "BodyTooSlow",
    "Disconnected",
    "JsonTooComplex",
    "check_json",
    "read_body",
    "read_form",
    "replaying",
]

_DEPTH_MOST = 20
_ITEMS_MOST = 5000
_FORM = "application/x-www-form-urlencoded"
_NUL = "\x00"
_PART = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL)


class BodyTooLarge(DomainError):
    code, status = "BODY_TOO_LARGE", 413
    title = "The body is larger than this service takes"
    action = "Send less; see REQUEST_BODY_MAX_BYTES."


class BodyTooSlow(DomainError):
    code, status = "BODY_TIMEOUT", 408
    title = "The body did not arrive in time"
    action = "Send the same request again, with the same Idempotency-Key."


class JsonTooComplex(DomainError):
    code, status = "JSON_TOO_COMPLEX", 400
    title = "The body's JSON is nested too deep or has too many parts"
    action = f"Send at most {_DEPTH_MOST} levels, and {_ITEMS_MOST} keys and elements."


class Disconnected(Exception):
    """The caller hung up before its body was here; there is nobody to answer."""


async def read_body(receive: Receive, length: bytes | None, most: int, timeout_s: float) -> bytes:
    """The whole body; raises BodyTooLarge, BodyTooSlow, Disconnected.

    What a `Content-Length` promises is only used to refuse at once; the bytes that come are counted.
    """
    if length is not None and length.isdigit() and int(length[:20]) > most:
        raise BodyTooLarge(f"The body has more than {most} bytes.")
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(timeout_s):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise BodyTooLarge(f"The body has more than {most} bytes.")
                parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError as error:
        raise BodyTooSlow from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that tells of a body that was read already, and then of whatever comes."""
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def check_json(body: bytes, headers: Mapping[bytes, bytes]) -> None:
    """Raise JsonTooComplex for JSON that would take a parser, or what walks over its result, too far."""
    if b"json" not in headers.get(b"content-type", b"json").lower():
        return
    # Strings hold brackets and commas too, so that these are at most too many; nearly always they are few.
    if body.count(b"{") + body.count(b"[") <= _DEPTH_MOST and body.count(b",") + body.count(b":") <= _ITEMS_MOST:
        return
    depth = items = 0
    for found in _PART.finditer(body):
        part = found[0]
        if part in b"{[":
            depth += 1
        elif part in b"}]":
            depth -= 1
        elif part in b":,":
            items += 1
        if depth > _DEPTH_MOST or items > _ITEMS_MOST:
            raise JsonTooComplex


async def read_form(request: Request, fields_most: int) -> FormData:
    """What a page's form sent, texts by name; raises InvalidRequest for whatever else a body may be."""
    # Fields of multipart/form-data are decoded by the codec that the caller names: some take minutes, some raise.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequest("The form cannot be read.")
    try:
        form = await request.form(max_files=0, max_fields=fields_most)
    except HTTPException:
        raise InvalidRequest("The form cannot be read.") from None
    # PostgreSQL takes all of Unicode but this; names of fields are stored too.
    if any(_NUL in name or _NUL in str(value) for name, value in form.multi_items()):
        raise InvalidRequest("The form holds what is no text.")
    return form
