"""What tests of the console do in a browser."""

from playwright.async_api import Page, expect

from system import System, token_for

__all__ = ["sign_in"]


async def sign_in(page: Page, system: System, role: str = "admin") -> None:
    """Through the console's door."""
    if not page.url.endswith("/console/login"):
        await page.goto(f"{system.api_url}/console/login")
    token = token_for("root", email="root@example.com", roles=(role,))
    await page.get_by_label("Access token").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
