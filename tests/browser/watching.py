"""What is looked at while a browser runs: its console, and every request that our server received."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import ConsoleMessage, Frame, Page
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from system import LONG
from tallystick.core.checks import holds_card_number

__all__ = [
    "AT_EACH_WIDTH",
    "SIZES",
    "OpenPage",
    "Recorder",
    "Watch",
    "accessibility_problems",
    "check_at_each_width",
    "check_page",
    "weight_of",
]

SIZES = {"desktop": (1200, 800), "phone": (390, 844)}
AT_EACH_WIDTH = pytest.mark.parametrize("size", list(SIZES))
AT_A_WIDTH = pytest.mark.parametrize("size", list(SIZES) if LONG else ["phone"])
"""A story that is not about how the page looks: a long run plays it in both."""

OpenPage = Callable[..., Awaitable[Page]]
"""Opens a page: `await open_page("phone", dark=True, locale="de")`; what it logs is watched until the test ends."""

_AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Watch:
    """Errors of pages: of the console (the content security policy speaks there), and of scripts."""

    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watch a page."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))

    def expect(self, pattern: str) -> None:
        """Let errors pass that match this regular expression."""
        self.expected.append(pattern)

    def check(self) -> None:
        """Fail for what nobody expected."""
        left = [found for found in self.problems if not any(re.search(known, found) for known in self.expected)]
        assert not left, "\n".join(left)

    def _heard(self, message: ConsoleMessage) -> None:
        # Stripe answers 402 to a declined card, and browsers log every answer from 400 on.
        if message.type in ("error", "warning") and "status of 402" not in message.text:
            self.problems.append(f"{message.type}: {message.text} ({message.location.get('url')})")


class Recorder:
    """An ASGI layer around the API that keeps what it receives: line, headers and body."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, recorded."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            headers = "\n".join(f"{name.decode()}: {value.decode('latin-1')}" for name, value in scope["headers"])
            place = len(self.requests)
            self.requests.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}\n{headers}\n\n")

            async def heard() -> Message:
                message = await receive()
                self.requests[place] += message.get("body", b"").decode("utf-8", "replace")
                return message

            await app(scope, heard, send)

        return recorded

    def check_no_card_number(self, known: Iterable[str]) -> None:
        """Fail for a request that holds one of the `known` numbers, however it is grouped, or another card's.

        Webhooks are Stripe's, and sign by random digits: in them only the known ones are looked for.
        """
        for request in self.requests:
            plain = re.sub(r"[ +-]|%20", "", request)
            found = [number for number in known if number in plain]
            if not request.startswith("POST /api/webhooks/") and holds_card_number(request):
                found.append("a card's number")
            assert not found, f"{found}: {request}"


async def accessibility_problems(page: Page | Frame, exclude: Sequence[str] = ("iframe",)) -> list[str]:
    """What axe finds wrong with a page: rule and place. Frames of another origin are their owner's."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE)
    outcome: dict[str, Any] = await page.evaluate(
        "(exclude) => axe.run({exclude}, {resultTypes: ['violations']})", [[part] for part in exclude]
    )
    return [
        f"{rule['id']}: {node['html']} ({node['failureSummary']})"
        for rule in outcome["violations"]
        for node in rule["nodes"]
    ]


async def check_page(page: Page) -> None:
    """The page as it stands is accessible, and nothing of it sticks out."""
    problems = await accessibility_problems(page)
    assert not problems, "\n".join([page.url, *problems])
    overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0, page.url


async def check_at_each_width(page: Page) -> None:
    """The same on a desktop and on a phone."""
    before = page.viewport_size
    for width, height in SIZES.values():
        await page.set_viewport_size({"width": width, "height": height})
        await check_page(page)
    if before is not None:
        await page.set_viewport_size(before)


async def weight_of(page: Page) -> int:
    """The bytes of the page that is open and of all that it loaded to be drawn, as they are unpacked."""
    weight: int = await page.evaluate(
        """() => performance.getEntries()
            .filter((entry) => ["navigation", "css", "img", "link", "script"].includes(entry.initiatorType))
            .reduce((sum, entry) => sum + (entry.decodedBodySize || 0), 0)"""
    )
    return weight
