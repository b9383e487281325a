"""The sandbox's dashboard in a browser: something is found, followed, sent again; time moves; faults come and go."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Request, expect

from browser.watching import AT_A_WIDTH, OpenPage, Watch, check_at_each_width, check_page, weight_of
from contract.harness import NO_REDIRECTS, Box, Receiver, running_box, running_receiver
from tallystick.sandbox.pages import dashboard_clock


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def box(receiver: Receiver) -> Iterator[Box]:
    with running_box() as running:
        running.control("PUT", "/webhook_endpoints", {"url": receiver.url, "description": "The shop"})
        yield running


@pytest_asyncio.fixture
async def orderly(box: Box, receiver: Receiver) -> AsyncIterator[None]:
    """Whatever a test breaks is whole again after it."""
    yield
    receiver.delay_s = 0
    box.control("DELETE", "/faults")
    box.quiet()


class Dashboard:
    """One tab with the dashboard in it."""

    def __init__(self, page: Page, box: Box) -> None:
        self.page = page
        self.box = box

    async def open(self, path: str = "") -> "Dashboard":
        await self.page.goto(f"{self.box.url}/dashboard{path}")
        return self

    async def press(self, name: str, *, within: Locator | None = None) -> None:
        await (within or self.page).get_by_role("button", name=name, exact=True).first.click()

    async def sees(self, title: str) -> None:
        await expect(self.page.locator("h1")).to_have_text(title)

    async def is_told(self, words: str) -> None:
        await expect(self.page.get_by_role("status")).to_contain_text(words)

    async def is_warned(self, words: str) -> None:
        await expect(self.page.get_by_role("alert")).to_contain_text(words)


def pay(box: Box, card: str = "pm_card_visa") -> str:
    """A payment of $42; its payment intent."""
    params = {"amount": 4200, "currency": "usd", "confirm": True, "automatic_payment_methods": NO_REDIRECTS}
    paid = box.client().v1.payment_intents.create({**params, "payment_method": card})
    box.quiet()
    return str(paid.id)


@AT_A_WIDTH
async def test_a_payment_is_found_followed_to_its_event_and_that_sent_again(
    open_page: OpenPage, box: Box, receiver: Receiver, size: str
) -> None:
    intent = pay(box)
    tab = await Dashboard(await open_page(size, dark=size == "phone"), box).open()
    await tab.page.get_by_label("Find by id or e-mail").fill(intent)
    await tab.press("Find")
    await tab.sees("$42.00")
    await expect(tab.page.locator(".json")).to_contain_text('"amount_received": 4200')
    await expect(tab.page.locator(".json")).not_to_contain_text("client_secret")
    await check_page(tab.page)
    await tab.page.get_by_role("link", name="payment_intent.succeeded").click()
    await tab.sees("payment_intent.succeeded")
    await expect(tab.page.locator(".delivery")).to_have_count(1)
    await expect(tab.page.locator(".delivery")).to_contain_text(receiver.url)
    await check_page(tab.page)
    before = len(receiver.got)
    await tab.press("Send again")
    await tab.is_told("on its way again")
    await expect(tab.page.locator(".delivery .badge--good")).to_have_count(2)
    sent = [item.event["id"] for item in receiver.got[before:]]
    assert sent == [tab.page.url.partition("?")[0].rpartition("/")[2]]
    await tab.page.get_by_role("link", name="To the payment intent").click()
    await tab.page.get_by_role("link", name=re.compile("^Charges")).click()
    await tab.page.get_by_role("link", name=re.compile("ch_")).click()
    await tab.sees("$42.00")


@AT_A_WIDTH
async def test_the_clock_is_moved(open_page: OpenPage, box: Box, size: str) -> None:
    tab = await Dashboard(await open_page(size, dark=size == "phone"), box).open("/clock")
    before = box.control("GET", "/clock")["offset_s"]
    await tab.page.get_by_label("By", exact=True).fill("36h")
    await tab.press("Move", within=tab.page.locator("form", has=tab.page.get_by_label("By", exact=True)))
    await tab.is_told("1 d 12 h went by")
    await check_page(tab.page)
    await tab.press("7d")
    await tab.is_told("7 d went by")
    assert round((box.control("GET", "/clock")["offset_s"] - before) / 3600) == 36 + 7 * 24


async def test_what_is_no_time_is_told_at_the_form(open_page: OpenPage, watch: Watch, box: Box) -> None:
    watch.expect("status of 400")
    tab = await Dashboard(await open_page(), box).open("/clock")
    await tab.page.get_by_label("By", exact=True).fill("soon")
    await tab.press("Move", within=tab.page.locator("form", has=tab.page.get_by_label("By", exact=True)))
    await tab.is_warned("is no span of time")
    await expect(tab.page.get_by_label("By", exact=True)).to_have_value("soon")
    await tab.page.get_by_label("To a moment (UTC)").fill("2001-01-01T00:00")
    await tab.press("Move", within=tab.page.locator("form", has=tab.page.get_by_label("To a moment")))
    await tab.is_warned("only moves forward")
    await check_at_each_width(tab.page)


@pytest.mark.usefixtures("orderly")
async def test_a_long_way_shows_how_far_it_is_and_what_stopped_it(
    open_page: OpenPage, box: Box, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_clock, "_SOON_S", 0.0)
    monkeypatch.setattr(dashboard_clock, "_PATIENCE_S", 1.5)
    receiver.delay_s = 60
    box.client().v1.customers.create({"name": "Ada"})
    tab = await Dashboard(await open_page(), box).open("/clock")
    await tab.press("1d")
    await tab.is_told("On the way to")
    await check_page(tab.page)
    # Nobody presses anything: the page itself looks again.
    await tab.is_warned("Stopped at")
    await tab.is_warned(f"webhook customer.created to {receiver.url}")
    await check_page(tab.page)


@AT_A_WIDTH
@pytest.mark.usefixtures("orderly")
async def test_a_fault_is_added_strikes_and_is_lifted(open_page: OpenPage, watch: Watch, box: Box, size: str) -> None:
    watch.expect("status of 400")
    tab = await Dashboard(await open_page(size, dark=size == "phone"), box).open("/faults")
    await expect(tab.page.get_by_role("heading", name="All is well")).to_be_visible()
    form = tab.page.locator("form", has=tab.page.locator("#path"))
    await expect(form.get_by_label("Seconds")).to_be_hidden()
    await form.get_by_label("What goes wrong").select_option("The answer comes late")
    await form.get_by_label("Seconds").fill("never")
    await tab.press("Add it", within=form)
    await tab.is_warned("a number of seconds")
    await expect(form.get_by_label("What goes wrong")).to_have_value("slow")
    await form.get_by_label("What goes wrong").select_option("429, too many requests")
    await form.get_by_label("Path").fill("/v1/customers")
    await tab.press("Add it", within=form)
    await tab.is_told("in force")
    rules = tab.page.locator("#rules")
    await expect(rules).to_contain_text("Requests to /v1/customers are answered 429 before they do anything")
    assert box.post("/v1/customers", "name=Ada").status == 429
    assert box.post("/v1/customers", "name=Ada").status == 200
    await expect(rules).to_contain_text("Met 1 of 1 times")
    await expect(rules.get_by_text("used up")).to_be_visible()
    webhooks = tab.page.locator("form", has=tab.page.locator("#type"))
    await webhooks.get_by_label("What goes wrong").select_option("Events come several times")
    await webhooks.get_by_label("How many of each").fill("3")
    await webhooks.get_by_label("How many times").fill("")
    await tab.press("Add it", within=webhooks)
    await expect(rules).to_contain_text("All events are sent 3 times")
    await check_page(tab.page)
    await tab.press("Lift: All events are sent 3 times", within=rules)
    await tab.is_told("is lifted")
    await tab.press("Lift all")
    await expect(tab.page.get_by_role("heading", name="All is well")).to_be_visible()
    assert box.control("GET", "/faults")["data"] == []


async def test_all_of_it_works_without_javascript(open_page: OpenPage, box: Box, receiver: Receiver) -> None:
    pay(box)
    tab = await Dashboard(await open_page("phone", script=False), box).open("/kinds/event")
    await tab.page.get_by_label("Type").select_option("payment_intent.succeeded")
    await tab.press("Filter")
    await tab.page.get_by_role("link", name="payment_intent.succeeded").first.click()
    await tab.press("Send to all again")
    await tab.is_told("on its way again")
    await tab.page.get_by_role("link", name="Clock", exact=True).click()
    await tab.press("1h")
    await tab.is_told("1 h went by")
    await tab.page.get_by_role("link", name="Faults", exact=True).click()
    await tab.press("Add it")
    await tab.is_told("in force")
    await tab.press("Lift all")
    await expect(tab.page.get_by_role("button", name="Live")).to_be_hidden()


async def test_the_page_lives_until_it_is_told_to_stand_still(open_page: OpenPage, box: Box) -> None:
    page = await open_page()
    await page.clock.install()
    tab = await Dashboard(page, box).open("/kinds/customer")
    customer = box.client().v1.customers.create({"name": "Lovelace"})
    await page.clock.run_for(3000)
    await expect(page.get_by_text("Lovelace")).to_be_visible()
    await tab.press("Live")
    await expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")
    asked: list[Request] = []

    def note(request: Request) -> None:
        asked.append(request)

    page.on("request", note)
    box.client().v1.customers.update(customer.id, {"name": "Byron"})
    await page.clock.run_for(20_000)
    assert asked == []
    await tab.press("Live")
    await expect(page.get_by_text("Byron")).to_be_visible()


async def test_every_page_is_light_accessible_and_whole_on_a_phone(open_page: OpenPage, box: Box) -> None:
    intent = pay(box, "pm_card_createDispute")
    for path in ("", "/kinds/event", "/requests", "/webhooks", f"/objects/{intent}"):
        page = await open_page(dark=path == "")
        await page.goto(f"{box.url}/dashboard{path}")
        weight = await weight_of(page)
        assert 20_000 < weight < 40_000, (path, weight)
        if "/objects/" not in path:
            await check_at_each_width(page)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()


async def test_a_reset_is_asked_twice(open_page: OpenPage) -> None:
    with running_box() as box:
        box.client().v1.customers.create({"name": "Ada"})
        tab = await Dashboard(await open_page("phone"), box).open()
        await tab.page.get_by_role("link", name="Reset the sandbox").click()
        await check_page(tab.page)
        await tab.page.get_by_role("link", name="Leave it").click()
        await expect(tab.page.get_by_role("link", name=re.compile("^Customers"))).to_be_visible()
        await tab.page.get_by_role("link", name="Reset the sandbox").click()
        await tab.press("Reset it")
        await tab.is_told("Everything is forgotten")
        await expect(tab.page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
        await check_at_each_width(tab.page)
        assert box.client().v1.customers.list().data == []
