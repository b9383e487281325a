"""The checkout page as a customer uses it."""

from typing import Any

from playwright.async_api import Page, expect

from system import System

__all__ = ["CARDS", "Checkout", "make_session", "make_subscription_session", "payments_of", "shop", "taken"]

CARDS = {
    "visa": "4242424242424242",
    "declined": "4000000000000002",
    "insufficient funds": "4000000000009995",
    "lost": "4000000000009987",
    "stolen": "4000000000009979",
    "expired": "4000000000000069",
    "wrong code": "4000000000000127",
    "processing error": "4000000000000119",
    "3D Secure": "4000002500003155",
    "3D Secure, declined": "4000008400001629",
}
_FRAME = "#payment-element iframe"
_CHALLENGE = "dialog iframe"


async def make_session(system: System, *, user: str = "ann", **fields: Any) -> dict[str, Any]:
    """A checkout session, as the application makes it."""
    body = {"amount": 1050, "currency": "usd", "description": "A year of tea", **fields}
    answer = await system.call("POST", "/api/checkout-sessions", body, user=user)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.body
    return made


async def make_subscription_session(
    system: System, *, user: str, price: str, days: int = 0, **fields: Any
) -> dict[str, Any]:
    """A session of mode subscription, with a trial of so many days."""
    body = {"mode": "subscription", "price": price, "trial_period_days": days, **fields}
    answer = await system.call("POST", "/api/checkout-sessions", body, user=user)
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.body
    return made


async def shop(page: Page) -> None:
    """Let the application's own page be one that answers."""
    await page.route("http://shop.test/**", lambda route: route.fulfill(body="<h1>Shop</h1>", content_type="text/html"))


async def payments_of(system: System, user: str) -> list[str]:
    """The statuses of a user's payments, when all is quiet."""
    await system.quiet()
    rows = await system.fetch(
        "SELECT p.status FROM payments p JOIN users u ON u.id = p.user_id WHERE u.external_id = $1", user
    )
    return [row["status"] for row in rows]


async def taken(system: System, user: str) -> list[int]:
    """What was taken from a user, oldest first: by our own record, and just so at Stripe."""
    await system.quiet()
    rows = await system.fetch(
        """
        SELECT c.stripe_charge_id, c.amount, p.stripe_payment_intent_id
        FROM charges c JOIN payments p ON p.id = c.payment_id JOIN users u ON u.id = p.user_id
        WHERE u.external_id = $1 AND c.status = 'succeeded' AND p.status = 'succeeded' ORDER BY c.created_at, c.id
        """,
        user,
    )
    customer = await system.value(
        "SELECT c.stripe_customer_id FROM customers c JOIN users u ON u.id = c.user_id WHERE u.external_id = $1", user
    )
    if customer is None:
        assert not rows
        return []
    found = [
        [one["id"] for one in (await system.stripe(f"/v1/{kind}?customer={customer}&limit=100"))["data"]
         if one["status"] == "succeeded"]
        for kind in ("charges", "payment_intents")
    ]  # fmt: skip
    assert sorted(found[0]) == sorted(row["stripe_charge_id"] for row in rows)
    assert sorted(found[1]) == sorted(row["stripe_payment_intent_id"] for row in rows)
    return [row["amount"] for row in rows]


class Checkout:
    """One tab with a checkout page in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.frame = page.frame_locator(_FRAME)
        self.button = page.locator("#pay")
        self.problem = page.locator("#problem")
        self.title = page.locator("h1")

    async def open(self) -> "Checkout":
        """Open the page, and wait until its form can be used."""
        await self.page.goto(self.url)
        await expect(self.button).to_be_enabled()
        return self

    async def fill(self, card: str = "visa", code: str = "123") -> None:
        """Type a card into Stripe's form."""
        await self.frame.locator("[name=number]").fill(CARDS[card])
        await self.frame.locator("[name=expiry]").fill("12 / 34")
        await self.frame.locator("[name=cvc]").fill(code)
        postal = self.frame.locator("[name=postalCode]")
        if await postal.is_visible():
            await postal.fill("10001")

    async def pay(self, card: str = "visa") -> None:
        """Fill the form and press the button."""
        await self.fill(card)
        await self.button.click()

    async def pay_by_bank(self) -> None:
        """Have it taken from a bank account, which takes for ever."""
        panel = "#panel-us_bank_account"
        await self.frame.get_by_role("tab", name="US bank account").click()
        for name, value in (("name", "Ann"), ("email", "ann@example.com"), ("routingNumber", "110000000")):
            await self.frame.locator(f"{panel} [name={name}]").fill(value)
        await self.frame.locator(f"{panel} [name=accountNumber]").fill("000000000009")
        await self.button.click()

    async def answer_bank(self, button: str) -> None:
        """Press a button of the bank's page: Complete, Fail, Cancel."""
        await self.page.frame_locator(_CHALLENGE).get_by_role("button", name=button, exact=True).click()

    async def sees(self, title: str) -> None:
        """Wait until the page's heading is `title`."""
        await expect(self.title).to_have_text(title)

    async def is_told(self, words: str) -> None:
        """Wait until a problem is told in these words, and can be heard; the button can be pressed again."""
        await expect(self.problem).to_contain_text(words)
        await expect(self.button).to_be_enabled()
