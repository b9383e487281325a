"""The page on which Stripe itself lets an invoice be paid, as the sandbox stands in for it."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Locator, Page, expect

from browser.shop import ALWAYS_3DS, challenge, fill, form
from browser.watching import OpenPage, accessibility_problems
from contract.harness import Box, Sdk, running_box


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running_box() as box:
        yield box


@pytest.fixture(scope="module")
def api(sandbox: Box) -> Sdk:
    return sandbox.client()


def pay_form(page: Page) -> Locator:
    return page.get_by_role("button", name="Pay ")


async def test_the_hosted_invoice(open_page: OpenPage, api: Sdk, sandbox: Box) -> None:
    customer = api.v1.customers.create({"name": "Jenny Rosen", "email": "jenny@example.com"})
    api.v1.invoice_items.create({"customer": customer.id, "amount": 1900, "currency": "eur", "description": "Workshop"})
    draft = api.v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 14,
         "pending_invoice_items_behavior": "include"}
    )  # fmt: skip
    invoice = api.v1.invoices.finalize_invoice(draft.id)
    page = await open_page()
    await page.goto(invoice.hosted_invoice_url)
    await expect(page.get_by_role("heading", name=invoice.number)).to_be_visible()
    await expect(page.get_by_role("cell", name="Workshop")).to_be_visible()
    await expect(page.get_by_text("Open", exact=True)).to_be_visible()
    await expect(pay_form(page)).to_be_enabled()
    await fill(form(page), "4000000000000002")
    await pay_form(page).click()
    await expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
    await fill(form(page), ALWAYS_3DS)
    await pay_form(page).click()
    await challenge(page).get_by_role("button", name="Complete").click()
    await expect(page.get_by_text("This invoice is paid. Thank you.")).to_be_visible()
    assert api.v1.invoices.retrieve(invoice.id).status == "paid"
    await page.get_by_role("link", name="Print view").click()
    assert page.url == invoice.invoice_pdf
    await expect(page.get_by_text("The sandbox makes no PDF files.")).to_be_visible()


async def test_an_invoice_by_bank_debit(open_page: OpenPage, api: Sdk, sandbox: Box) -> None:
    customer = api.v1.customers.create({"email": "jenny@example.com"})
    api.v1.invoice_items.create({"customer": customer.id, "amount": 1900, "currency": "usd"})
    draft = api.v1.invoices.create(
        {"customer": customer.id, "pending_invoice_items_behavior": "include", "auto_advance": False,
         "payment_settings": {"payment_method_types": ["us_bank_account"]}}
    )  # fmt: skip
    invoice = api.v1.invoices.finalize_invoice(draft.id)
    page = await open_page("phone", dark=True)
    await page.goto(invoice.hosted_invoice_url)
    await expect(pay_form(page)).to_be_enabled()
    assert await accessibility_problems(page) == []
    frame = form(page)
    await frame.get_by_label("Full name").fill("Jenny Rosen")
    await frame.get_by_label("Email").fill("jenny@example.com")
    await frame.get_by_label("Routing number").fill("110000000")
    await frame.get_by_label("Account number").fill("000123456789")
    await pay_form(page).click()
    await expect(page.get_by_text("Your bank has been asked for the payment.")).to_be_visible()
    sandbox.advance(60)
    await page.reload()
    await expect(page.get_by_text("This invoice is paid. Thank you.")).to_be_visible()
