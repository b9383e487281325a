"""The hosted invoice: `/invoice/{account}/{code}`, to read, to print, and to pay while it is open."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tallystick.core.money import format_money
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.pages.acting import Stage, day
from tallystick.sandbox.pages.stripe_js import script_url
from tallystick.sandbox.resources import invoices_collect
from tallystick.sandbox.shapes import Json
from tallystick.ui.kit import security_headers

__all__ = ["InvoicePage"]

_BADGE = {
    "open": ("warn", "Open"), "paid": ("good", "Paid"), "void": ("", "Void"), "uncollectible": ("bad", "Uncollectible"),
}  # fmt: skip
_PAYABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_KEY = "pk_test_sandbox"


class InvoicePage:
    """What `hosted_invoice_url` and `invoice_pdf` of an invoice lead to."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def routes(self) -> list[Route]:
        """Starlette routes, at the root; whoever has the address may use them."""
        return [
            Route("/invoice/{account}/{code}", self._show),
            Route("/invoice/{account}/{code}/pdf", self._print),
        ]

    async def _show(self, request: Request) -> Response:
        return self._page(request, printing=False)

    async def _print(self, request: Request) -> Response:
        """In place of a PDF: the same page without anything to press, and the browser's own way to print it."""
        return self._page(request, printing=True)

    def _page(self, request: Request, *, printing: bool) -> Response:
        view, missing = self._stage.act(request, "", lambda ctx: _view(ctx, request))
        if missing is not None:
            return self._stage.message("There is no such invoice", "This link does not lead to an invoice.", 404)
        html = self._stage.html("invoice.html", **view, printing=printing, key=_KEY, script_url=script_url)
        headers = security_headers(script_src="'self'", frame_src="'self'", connect_src="'self'")
        return HTMLResponse(html, headers=headers)


def _view(ctx: Context, request: Request) -> Json:
    """All that the page shows. Raises 404."""
    invoice_id = ctx.store.note(request.path_params["code"], "invoice")
    invoice = ctx.find("invoice", invoice_id or "")
    if invoice is None or request.path_params["account"] != ctx.ids.account_id:
        raise ApiError(404, "There is no such invoice.")
    intent = invoices_collect.intent_of(ctx, invoice)
    owed = invoice["status"] in ("open", "uncollectible")
    tone, status = _BADGE[invoice["status"]]
    processing = owed and intent is not None and intent["status"] == "processing"

    def money(amount: int) -> str:
        return format_money(amount, invoice["currency"])

    return {
        "invoice": invoice,
        "tone": "info" if processing else tone,
        "status": "Processing" if processing else status,
        "processing": processing,
        "client_secret": intent["client_secret"] if owed and intent and intent["status"] in _PAYABLE else "",
        "address": _address(invoice["customer_address"] or {}),
        "seller": ctx.settings.email,
        "dates": _dates(invoice),
        "lines": [_shown(line, money) for line in invoice["lines"]["data"]],
        "totals": _totals(invoice, money),
        "amount": money(invoice["amount_remaining"] if owed else invoice["total"]),
        "url": invoice["hosted_invoice_url"],
        "pdf": invoice["invoice_pdf"],
    }


def _address(given: Json) -> list[str]:
    town = " ".join(given[key] for key in ("postal_code", "city") if given.get(key))
    found = [given.get("line1"), given.get("line2"), town, given.get("state"), given.get("country")]
    return [part for part in found if part]


def _dates(invoice: Json) -> list[tuple[str, str]]:
    moments = invoice["status_transitions"]
    found = [
        ("Issued", moments["finalized_at"]),
        ("Due", invoice["due_date"]),
        ("Paid", moments["paid_at"]),
        ("Voided", moments["voided_at"]),
    ]
    return [(label, day(moment)) for label, moment in found if moment]


def _shown(line: Json, money: Any) -> Json:
    period = line["period"]
    whole = period["end"] > period["start"]
    return {
        "description": line["description"] or "Item",
        "period": f"{day(period['start'])} – {day(period['end'])}" if whole else "",
        "quantity": "" if line["quantity"] is None else line["quantity"],
        "amount": money(line["amount"]),
    }


def _totals(invoice: Json, money: Any) -> list[tuple[str, str, bool]]:
    """Label, amount, and whether it is one of the sums that matter."""
    rows = [("Subtotal", money(invoice["subtotal"]), False)]
    discount = sum(entry["amount"] for entry in invoice["total_discount_amounts"] or [])
    tax = sum(entry["amount"] for entry in invoice["total_taxes"] or [])
    applied = invoice["total"] - invoice["amount_due"]
    for label, amount in (("Discount", -discount), ("Tax", tax)):
        if amount:
            rows.append((label, money(amount), False))
    rows.append(("Total", money(invoice["total"]), True))
    if applied:
        rows.append(("Applied balance", money(-applied), False))
    if invoice["amount_paid"]:
        rows.append(("Paid", money(invoice["amount_paid"]), False))
    if invoice["status"] != "void":
        rows.append(("Amount due", money(invoice["amount_remaining"]), True))
    return rows
