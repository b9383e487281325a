"""The billing pages as a customer uses them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from playwright.async_api import Page, expect

from browser.checkout import CARDS
from subscribing import post, subscribed
from system import System, unique

__all__ = ["Billing", "Catalogue", "catalogue", "customer", "fail_renewal"]

_FRAME = "#payment-element iframe"
Catalogue = Mapping[str, str]
"""Prices by name: small, large, yearly."""


async def catalogue(system: System) -> Catalogue:
    """Three plans in dollars, and one that nobody who pays in dollars may see."""
    made = {}
    for name, words in (("Tea", "Ten bags a month"), ("More tea", "As many bags as you like")):
        product = await post(system, "/v1/products", name=name, description=words)
        made[name] = product["id"]
    recurring = {"recurring[interval]": "month"}
    prices = {
        "small": await post(system, "/v1/prices", product=made["Tea"], currency="usd", unit_amount=900, **recurring),
        "large": await post(
            system, "/v1/prices", product=made["More tea"], currency="usd", unit_amount=2900, **recurring
        ),
        "yearly": await post(
            system,
            "/v1/prices",
            product=made["More tea"],
            currency="usd",
            unit_amount=29000,
            **{"recurring[interval]": "year"},
        ),
        "euro": await post(system, "/v1/prices", product=made["Tea"], currency="eur", unit_amount=800, **recurring),
    }
    await system.quiet()
    return {name: price["id"] for name, price in prices.items()}


async def customer(system: System, price: str | None, card: str = "pm_card_visa", **body: Any) -> tuple[str, str]:
    """A user of whom nobody has heard, and the id of their subscription ("" where there is no price)."""
    user = unique("buyer")
    if price is None:
        return user, ""
    made = await subscribed(system, user, price, card, **body)
    await system.quiet()
    return user, made["id"]


async def fail_renewal(system: System, user: str) -> None:
    """Let the user's card be declined, and the first renewal fail by it (it stays a draft for an hour)."""
    row = (
        await system.fetch(
            """
            SELECT c.stripe_customer_id, s.stripe_subscription_id, s.current_period_end FROM customers c
            JOIN users u ON u.id = c.user_id JOIN subscriptions s ON s.user_id = u.id WHERE u.external_id = $1
            """,
            user,
        )
    )[0]
    method = await post(
        system, "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=row["stripe_customer_id"]
    )
    await post(system, f"/v1/subscriptions/{row['stripe_subscription_id']}", default_payment_method=method["id"])
    await system.advance(to=row["current_period_end"] + timedelta(hours=2))


class Billing:
    """One tab with billing pages in it."""

    def __init__(self, system: System, page: Page, user: str) -> None:
        self.system = system
        self.page = page
        self.user = user
        self.frame = page.frame_locator(_FRAME)
        self.go = page.locator("#go")
        self.problem = page.locator("[role=alert]:visible")

    async def link(self, **wanted: Any) -> str:
        """A new link, as the application asks for it."""
        answer = await self.system.call("POST", "/api/portal-sessions", wanted, user=self.user)
        assert answer.status == 201, answer.body
        return str(answer.body["url"])

    async def open(self, **wanted: Any) -> "Billing":
        """Sign in by a new link."""
        await self.page.goto(await self.link(**wanted))
        return self

    async def home(self) -> None:
        await self.page.goto(f"{self.system.api_url}/billing")

    async def press(self, name: str) -> None:
        """Press a button, or follow a link that looks like one."""
        found = self.page.get_by_role("button", name=name, exact=True)
        await found.or_(self.page.get_by_role("link", name=name, exact=True)).first.click()

    async def code(self, code: str, button: str) -> None:
        """Type a promotion code, and see what it takes off."""
        await self.page.get_by_label("Promotion code").fill(code)
        await self.press(button)

    async def sees(self, title: str) -> None:
        """Wait until the page's heading is `title`."""
        await expect(self.page.locator("h1")).to_have_text(title)

    async def is_told(self, words: str) -> None:
        """Wait until what was done is told in these words."""
        await expect(self.page.locator("[role=status].notice")).to_contain_text(words)

    async def is_warned(self, words: str) -> None:
        """Wait until what is wrong is told in these words, and can be heard."""
        await expect(self.problem).to_contain_text(words)
        await expect(self.problem).to_be_focused()

    async def shows(self, badge: str) -> None:
        """Wait until the plan's state is called `badge`."""
        await expect(self.page.locator(".plan .badge").first).to_have_text(badge)

    async def type_card(self, card: str) -> None:
        """Type a card into Stripe's form, and press the button."""
        await expect(self.go).to_be_enabled()
        await self.frame.locator("[name=number]").fill(CARDS[card])
        await self.frame.locator("[name=expiry]").fill("12 / 39")
        await self.frame.locator("[name=cvc]").fill("123")
        postal = self.frame.locator("[name=postalCode]")
        if await postal.is_visible():
            await postal.fill("10001")
        await self.go.click()

    async def answer_bank(self, button: str) -> None:
        """Press a button of the bank's page: Complete, Fail, Cancel."""
        challenge = self.page.frame_locator("dialog iframe")
        await challenge.get_by_role("button", name=button, exact=True).click()

    async def state(self) -> dict[str, Any]:
        """The user's newest subscription by our own record, when all is quiet."""
        await self.system.quiet()
        rows = (await self.system.call("GET", "/api/subscriptions", user=self.user)).body["data"]
        return dict(rows[0])

    async def scheduled(self) -> list[dict[str, Any]]:
        """What it becomes when its period ends: prices, and how many of each."""
        answer = await self.system.call("GET", f"/api/subscriptions/{(await self.state())['id']}", user=self.user)
        return list((answer.body["scheduled_change"] or {"items": []})["items"])

    async def history(self) -> list[str]:
        """What happened to it, oldest first."""
        row = await self.state()
        answer = await self.system.call("GET", f"/api/subscriptions/{row['id']}/history", user=self.user)
        return [change["action"] for change in reversed(answer.body["data"])]

    async def subscription_path(self, page: str) -> str:
        return f"{self.system.api_url}/billing/subscriptions/{(await self.state())['id']}/{page}"
