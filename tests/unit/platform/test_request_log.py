"""What the log says of a request: never what lets somebody in."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from tallystick.platform.http import RequestFrame


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("path", "logged"),
    [("/pay/s3cret", "/pay/…"), ("/pay/s3cret/state", "/pay/…/state"), ("/payments/return", "/payments/return")],
)
async def test_the_address_of_a_customers_page_is_not_logged(path: str, logged: str) -> None:
    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        assert message

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "query_string": b"code=1", "headers": []}
    with capture_logs() as logs:
        await RequestFrame(app, 1024)(scope, receive, send)
    assert [entry["path"] for entry in logs] == [logged]
    assert "s3cret" not in str(logs)
