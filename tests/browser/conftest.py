"""One browser for the run, one running system for a module, and pages that are watched: whatever the console or the
content security policy complains of fails the test, and what the API received holds no card number.
"""

import os
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, async_playwright, expect

import system as system_module
from browser.billing import Catalogue, catalogue
from browser.checkout import CARDS
from browser.watching import SIZES, OpenPage, Recorder, Watch
from system import MakeDatabase, System, running_system

_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium where it is installed (or CHROMIUM's), else Playwright's own."""
    expect.set_options(timeout=15_000)
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield started
        await started.close()


@pytest_asyncio.fixture(scope="module", name="recorder")
async def recorder_of_the_module() -> Recorder:
    """Every request that the module's API received."""
    return Recorder()


@pytest_asyncio.fixture(scope="module", name="system")
async def recorded_system(
    make_database: MakeDatabase, recorder: Recorder, request: pytest.FixtureRequest
) -> AsyncIterator[System]:
    """A running system whose API's requests are recorded; a module's `SETTINGS` are changes of its settings."""
    create_app = vars(system_module)["create_app"]

    def create_recorded(*given: Any, **named: Any) -> Any:
        return recorder.around(create_app(*given, **named))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(system_module, "create_app", create_recorded)
        async with running_system(await make_database(), **getattr(request.module, "SETTINGS", {})) as running:
            yield running
    assert recorder.requests, "no browser came by"
    recorder.check_no_card_number(CARDS.values())


@pytest_asyncio.fixture(scope="module")
async def prices(system: System) -> Catalogue:
    """Plans of the module's system."""
    return await catalogue(system)


@pytest_asyncio.fixture
async def watch() -> AsyncIterator[Watch]:
    """What the test's pages complained of; `watch.expect("…")` takes what has to come."""
    found = Watch()
    yield found
    found.check()


async def without_pictures(route: Route) -> None:
    """As a browser whose user has switched pictures off."""
    await (route.abort("blockedbyclient") if route.request.resource_type == "image" else route.fallback())


@pytest_asyncio.fixture
async def open_page(browser: Browser, watch: Watch) -> AsyncIterator[OpenPage]:
    contexts = []

    async def open_one(
        size: str = "desktop",
        *,
        dark: bool = False,
        locale: str = "en-US",
        script: bool = True,
        pictures: bool = True,
        beside: Page | None = None,
    ) -> Page:
        if beside is not None:
            page = await beside.context.new_page()
        else:
            width, height = SIZES[size]
            context = await browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if dark else "light",
                locale=locale,
                java_script_enabled=script,
                has_touch=size == "phone",
                reduced_motion="reduce",
            )
            context.set_default_timeout(15_000)
            contexts.append(context)
            page = await context.new_page()
        watch.over(page)
        if not pictures:
            await page.route("**/*", without_pictures)
        return page

    yield open_one
    for context in contexts:
        await context.close()
