"""What is wrong with a request, in words that its sender can use."""

import json
from typing import Any, Self

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.types import Message

from tallystick.platform.http import install_error_handlers


class _Period(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    start: int
    end: int
    notes: dict[str, str] = {}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end should be after start")
        return self


async def post(body: bytes) -> tuple[int, dict[str, Any]]:
    """Answer of a small application to this body: status and JSON."""
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/")
    async def make(period: _Period) -> dict[str, int]:
        return {"days": period.end - period.start}

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize(
    ("body", "status", "code", "field", "detail"),
    [
        (b'{"start": 2, "end": 1}', 422, "INVALID_REQUEST", "body", "body: end should be after start"),
        (b'{"start": 2}', 422, "INVALID_REQUEST", "end", "end: Field required"),
        (b'{"start": 1, "end": 2, "x": 1}', 422, "INVALID_REQUEST", "x", "x: Extra inputs are not permitted"),
        (b'{"start": 1, "end": 2, "notes": "x"}', 422, "INVALID_REQUEST", "notes", None),
        (b"{", 400, "BODY_NOT_JSON", None, None),
        (b"", 400, "BODY_NOT_JSON", None, None),
        (b"null", 400, "BODY_NOT_JSON", None, None),
        (b"[1]", 400, "BODY_NOT_JSON", None, None),
        (b"5", 400, "BODY_NOT_JSON", None, None),
    ],
)
async def test_an_error_says_what_is_wrong(
    body: bytes, status: int, code: str, field: str | None, detail: str | None
) -> None:
    answered, told = await post(body)
    assert (answered, told["code"], told.get("field")) == (status, code, field)
    assert detail is None or told["detail"] == detail
