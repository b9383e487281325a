"""Pictures of the sandbox's dashboard and of the mailbox for docs/images: part of `make screenshots`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from browser.pictures import FEW, LOOKS, shoot
from browser.watching import OpenPage
from subscribing import plan, subscribed
from system import System, free_port, serving
from tallystick.mailbox.app import create_mailbox
from tallystick.mailbox.server import serve_smtp
from tallystick.mailbox.store import MailStore

SMTP = free_port()
SETTINGS = {"BRAND_NAME": "Acme Tea", "SMTP_URL": f"smtp://127.0.0.1:{SMTP}?starttls=never"}
Act = Callable[[Page, str, dict[str, str]], Awaitable[None]]


@pytest_asyncio.fixture(scope="module")
async def mailbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a mailbox that catches what the system sends."""
    store = MailStore(Path(tmp_path_factory.mktemp("mail")))
    smtp, port = await serve_smtp(store, SMTP), free_port()
    async with serving(create_mailbox(store), port):
        yield f"http://127.0.0.1:{port}"
    smtp.close()


@pytest_asyncio.fixture(scope="module")
async def story(system: System, mailbox: str) -> AsyncIterator[dict[str, str]]:
    """Two customers and forty days: ids of what the pictures show, by name."""
    price = await plan(system, 1500)
    await subscribed(system, "ada", price)
    await subscribed(system, "grace", price)
    paid = await system.pay(amount=4200, user="ada", description="A tea pot")
    refund = f"/api/payments/payment-intent/{paid.body['id']}/refund"
    assert (await system.call("POST", refund, {"amount": 500}, user="ada")).status in (200, 201)
    assert (await system.pay("pm_card_visa_chargeDeclined", amount=900, currency="eur", user="grace")).status == 402
    await system.quiet()
    await system.advance("40d")
    await system.fault(target="webhook", kind="drop", type="charge.succeeded", times=1)
    await system.fault(
        target="api", kind="status", status=500, when="after", method="POST", path="/v1/refunds", times=2
    )
    await system.fault(target="webhook", kind="duplicate", type="invoice.*", times=None, probability=0.5)
    away = {"url": f"http://127.0.0.1:{free_port()}/hooks", "description": "A receiver that is away"}
    await system.sandbox("PUT", "/_sandbox/webhook_endpoints", away)
    paid = await system.pay(amount=2500, user="ada", description="Filters")
    stripe_id = paid.body["stripe_payment_intent_id"]
    events = await system.stripe("/v1/events?type=payment_intent.succeeded&limit=1")
    yield {"payment_intent": stripe_id, "event": events["data"][0]["id"]}


async def faults(page: Page, url: str, _story: dict[str, str]) -> None:
    await page.goto(f"{url}/faults")
    await page.get_by_label("What goes wrong").last.select_option("Events come late")


async def clock(page: Page, url: str, _story: dict[str, str]) -> None:
    await page.goto(f"{url}/clock")
    await page.get_by_role("button", name="7d", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("went by")


def at(path: str) -> Act:
    async def go(page: Page, url: str, story: dict[str, str]) -> None:
        await page.goto(url + path.format(**story))

    return go


# What goes on and on is shown as far as a screen goes.
LONG = ("object", "event", "requests")


@pytest.mark.parametrize(
    ("name", "act", "looks"),
    [
        ("overview", at(""), LOOKS),
        ("list", at("/kinds/invoice"), FEW),
        ("object", at("/objects/{payment_intent}"), FEW),
        ("event", at("/objects/{event}"), FEW),
        ("requests", at("/requests"), FEW),
        ("webhooks", at("/webhooks"), FEW),
        ("faults", faults, FEW),
        ("clock", clock, FEW),
        ("reset", at("/reset"), FEW),
    ],
)
async def test_dashboard(
    system: System, open_page: OpenPage, story: dict[str, str], name: str, act: Act, looks: list[tuple[str, bool]]
) -> None:
    for size, dark in looks:
        page = await open_page(size, dark=dark)
        await act(page, f"{system.sandbox_url}/dashboard", story)
        await shoot(page, f"dashboard-{name}", size, dark=dark, full_page=name not in LONG)


async def test_mailbox(open_page: OpenPage, story: dict[str, str], mailbox: str) -> None:
    for size, dark in FEW:
        page = await open_page(size, dark=dark)
        await page.goto(mailbox)
        await shoot(page, "mailbox-inbox", size, dark=dark)
        await page.get_by_role("link", name="Receipt").first.click()
        await expect(page.frame_locator("iframe").locator("body")).to_contain_text("$")
        await shoot(page, "mailbox-mail", size, dark=dark)
