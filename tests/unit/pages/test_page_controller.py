"""A page that cannot be drawn says so as a page; a customer who has just paid is not shown a bug."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import Request

from tallystick.core.clock import clock_of
from tallystick.core.errors import GatewayConfigError, NotFound, Unavailable
from tallystick.pages.controller import PageController
from tallystick.pages.models import CheckoutRequest
from tallystick.pages.rendering import brand_of
from tallystick.pages.service import CheckoutService
from tallystick.platform.auth import Actor
from tallystick.platform.settings import load_settings

SETTINGS = load_settings(
    {
        "DATABASE_URL": "postgresql://localhost/x",
        "STRIPE_SECRET_KEY": "sk_test_1",
        "STRIPE_WEBHOOK_SECRET": "whsec_1",
        "JWT_SECRET": "x" * 32,
    }
)


class Broken:
    """A service that fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def open(self, token: str, *, ask: bool) -> Any:
        raise self._error


def page(error: Exception) -> Any:
    controller = PageController(Broken(error), SETTINGS, brand_of(SETTINGS), clock_of(None))  # type: ignore[arg-type]
    headers = [(b"accept-language", b"de")]
    return controller.checkout(Request({"type": "http", "headers": headers, "query_string": b""}), "token")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ConnectionRefusedError(), 503, "kann gerade nicht angezeigt werden"),
        (Unavailable(), 503, "kann gerade nicht angezeigt werden"),
        (NotFound(), 404, "Diese Seite gibt es nicht"),
    ],
)
async def test_what_goes_wrong_is_a_page_too(error: Exception, status: int, words: str) -> None:
    answer = await page(error)
    assert answer.status_code == status
    assert words in bytes(answer.body).decode()
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_brand_is_served(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes(b"png")
    settings = SETTINGS.model_copy(update={"brand_color": "#ff8800", "brand_logo_path": logo})
    nothing: Any = None
    branded = PageController(nothing, settings, brand_of(settings), clock_of(None))
    sheet, picture = await branded.stylesheet(), await branded.logo()
    assert b"--accent:" in bytes(sheet.body)
    assert sheet.headers["content-type"].startswith("text/css")
    assert (bytes(picture.body), picture.headers["content-type"]) == (b"png", "image/png")
    assert picture.headers["content-security-policy"].startswith("default-src 'none'")
    with pytest.raises(NotFound):
        await PageController(nothing, SETTINGS, brand_of(SETTINGS), clock_of(None)).logo()


async def test_no_session_is_made_that_nobody_can_pay() -> None:
    nothing: Any = None
    service = CheckoutService(nothing, nothing, SETTINGS, nothing, nothing, {})
    who = Actor(UUID(int=1), "ann", frozenset())
    with pytest.raises(GatewayConfigError, match="STRIPE_PUBLISHABLE_KEY"):
        await service.create(who, nothing, CheckoutRequest(mode="payment", expires_in_s=60))


async def test_a_bug_is_left_to_those_who_log_it() -> None:
    with pytest.raises(LookupError):
        await page(LookupError())
