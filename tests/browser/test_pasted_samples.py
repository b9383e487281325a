"""What the pages tell a shop to paste works in a browser: their form and their scripts, word for word."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import FrameLocator, Page, Route, expect

from browser.shop import GOOD, Shop, fill, form, new_intent
from browser.watching import OpenPage, Watch
from contract.harness import Box, running_box
from documented import samples

DECLINED = "4000000000000002"
(FORM,) = samples("docs/sandbox.md", "html")
(IN_THE_PAGE,) = samples("docs/sandbox.md", "js")
(BY_REDIRECT,) = samples("docs/first-payment.md", "js")
PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Shop</title></head>
<body>{FORM}<script src="/shop.js" type="module"></script></body></html>"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running_box() as box:
        yield box


@asynccontextmanager
async def pasted(page: Page, sandbox: Box, script: str, secret: str) -> AsyncIterator[FrameLocator]:
    """The form and the script at a shop, with the secret that its server would give."""
    here = PAGE.replace("http://127.0.0.1:12111", sandbox.url)
    with Shop(sandbox.url, here, f"const clientSecret = '{secret}';\n{script}").serving() as shop:
        await page.goto(shop.url)
        await expect(form(page).get_by_label("Card number")).to_be_visible()
        yield form(page)


async def test_the_sample_of_the_sandbox_pays(open_page: OpenPage, sandbox: Box, watch: Watch) -> None:
    watch.expect("status of 402")
    page, api = await open_page(), sandbox.client()
    intent = new_intent(api)
    async with pasted(page, sandbox, IN_THE_PAGE, intent.client_secret) as fields:
        for number, outcome in ((DECLINED, "Your card was declined."), (GOOD, "succeeded")):
            await fill(fields, number)
            await page.get_by_role("button", name="Pay").click()
            await expect(page.get_by_role("status")).to_have_text(outcome)
    assert api.v1.payment_intents.retrieve(intent.id).status == "succeeded"


async def test_the_sample_of_the_first_payment_pays_and_comes_back(open_page: OpenPage, sandbox: Box) -> None:
    page, api = await open_page(), sandbox.client()
    intent = new_intent(api)

    async def thanks(route: Route) -> None:
        await route.fulfill(body="<!doctype html><title>Thanks</title>", content_type="text/html")

    await page.route("https://shop.example/**", thanks)
    script = BY_REDIRECT.replace("pk_test_…", "pk_test_shop")
    async with pasted(page, sandbox, script, intent.client_secret) as fields:
        await fill(fields, GOOD)
        await page.get_by_role("button", name="Pay").click()
        await page.wait_for_url("https://shop.example/thanks?*")
    told = parse_qs(urlsplit(page.url).query)
    assert (told["payment_intent"], told["redirect_status"]) == ([intent.id], ["succeeded"])
    assert api.v1.payment_intents.retrieve(intent.id).status == "succeeded"
