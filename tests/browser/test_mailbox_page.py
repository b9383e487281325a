"""The mailbox of `dev` in a browser: a mail as its reader sees it, as text, with its headers; nothing of it runs."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from browser.watching import AT_EACH_WIDTH, OpenPage, Watch, check_at_each_width, check_page, weight_of
from system import free_port, serving
from tallystick.mailbox.app import create_mailbox
from tallystick.mailbox.store import MailStore

HOSTILE = (
    "<!doctype html><html lang='en'><head><title>R</title></head><body><p>You paid <b>12.50</b></p>"
    "<script>document.body.textContent = 'taken over'</script><img alt='' src='https://tracker.test/x.png'>"
    "<form action='https://evil.test/'><button>Log in</button></form>"
    "<a href='http://shop.test/order'>Your order</a></body></html>"
)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> MailStore:
    return MailStore(tmp_path / "mail")


@pytest_asyncio.fixture
async def url(store: MailStore) -> AsyncIterator[str]:
    port = free_port()
    async with serving(create_mailbox(store), port):
        yield f"http://127.0.0.1:{port}"


def send(store: MailStore, subject: str, to: str = "ada@example.com") -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Acme <billing@acme.test>", to, subject
    mail["Message-ID"] = "<receipt-1@acme.test>"
    mail.set_content("You paid 12.50, in words.\n")
    mail.add_alternative(HOSTILE, subtype="html")
    store.add("billing@acme.test", [to], mail.as_bytes())


@AT_EACH_WIDTH
async def test_a_mail_is_read_and_runs_nothing(
    url: str, open_page: OpenPage, watch: Watch, store: MailStore, size: str
) -> None:
    # What the mail tries is refused, and the browser says so.
    watch.expect("tracker.test|sandboxed|Content Security Policy")
    page = await open_page(size, dark=size == "phone")
    await page.goto(url)
    await expect(page.get_by_role("heading", name="No mails yet")).to_be_visible()
    await check_page(page)
    send(store, "Your receipt")
    # Nobody reloads: the page looks by itself.
    await page.get_by_role("link", name="Your receipt").click()
    frame = page.frame_locator("iframe")
    await expect(frame.locator("body")).to_contain_text("You paid 12.50")
    await expect(frame.locator("body")).not_to_contain_text("taken over")
    await expect(page.locator("pre")).to_have_text("You paid 12.50, in words.")
    await expect(page.get_by_text("<receipt-1@acme.test>")).to_be_visible()
    await check_page(page)
    await page.context.route("http://shop.test/**", lambda route: route.fulfill(body="The shop"))
    async with page.expect_popup() as opened:
        await frame.get_by_role("link", name="Your order").click()
    await expect((await opened.value).locator("body")).to_have_text("The shop")
    await page.get_by_role("link", name="All mails").click()
    await page.get_by_role("button", name="Delete all").click()
    await expect(page.get_by_role("heading", name="No mails yet")).to_be_visible()
    assert store.count() == 0


@pytest.mark.parametrize("script", [True, False])
async def test_mails_are_searched_and_paged(
    url: str, open_page: OpenPage, store: MailStore, script: bool, watch: Watch
) -> None:
    # The page asks on while the server is being stopped.
    watch.expect("ERR_CONNECTION_REFUSED")
    for number in range(30):
        send(store, f"Receipt {number}")
    send(store, "Refund", "grace@example.com")
    page = await open_page(script=script)
    await page.goto(url)
    if script:
        assert 20_000 < await weight_of(page) < 40_000
    rows = page.locator(".list li")
    await expect(rows).to_have_count(25)
    await page.get_by_role("link", name="Older mails").click()
    await expect(rows).to_have_count(6)
    await page.goto(url)
    await page.get_by_label("To", exact=True).fill("GRACE@")
    await page.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(1)
    await page.get_by_label("Subject").fill("Receipt")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_role("heading", name="No mail fits")).to_be_visible()
    if script:
        await check_at_each_width(page)
        await page.get_by_role("link", name="Show all").first.click()
        await check_at_each_width(page)
