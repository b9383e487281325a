"""What the log says of a request: never what lets somebody in."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from tallystick.platform.http import RequestFrame


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def log_of_info() -> Iterator[None]:
    """Logging as it is by default, whatever system ran in this process before, and at which level."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("log_of_info")
@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/pay/s3cret", "/pay/…"),
        ("/pay/s3cret/state", "/pay/…/state"),
        ("/payments/return", "/payments/return"),
        ("/billing/open/s3cret", "/billing/open/…"),
    ],
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
