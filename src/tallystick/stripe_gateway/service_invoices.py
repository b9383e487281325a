"""`InvoiceCalls`: the calls about invoices, beside `StripeService` and over its wire."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from tallystick.stripe_gateway import translate_billing
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.service import StripeService

__all__ = ["InvoiceCalls"]

Json = Mapping[str, Any]

_PAGE = 100


class InvoiceCalls:
    """Reads and writes of invoices. All methods raise the four errors of `stripe_gateway.errors`."""

    def __init__(self, stripe: StripeService, dialect: Dialect) -> None:
        self._stripe = stripe
        self._dialect = dialect

    async def retrieve(self, invoice_id: str) -> Answer[Invoice]:
        """`GET /v1/invoices/{id}`, naming its payment intent, and with all of its lines."""
        params = {"expand": self._dialect.invoice_expand}
        answer = await self._stripe.read(f"/v1/invoices/{invoice_id}", params, translate_billing.invoice)
        return await self._whole(answer) if answer.value.more_lines else answer

    async def client_secret(self, invoice_id: str) -> str | None:
        """The client secret of the payment that an invoice waits for; None where it waits for none."""
        params = {"expand": self._dialect.invoice_secret_expand}
        answer = await self._stripe.read(f"/v1/invoices/{invoice_id}", params, translate_billing.invoice)
        return answer.value.client_secret

    async def pay(self, invoice_id: str, params: Json, key: str) -> Answer[Invoice]:
        """`POST /v1/invoices/{id}/pay`.

        A payment that the customer has to confirm is refused with `invoice_payment_intent_requires_action`.
        """
        sent = {**params, "expand": self._dialect.invoice_expand}
        return await self._stripe.write(f"/v1/invoices/{invoice_id}/pay", sent, key, translate_billing.invoice)

    async def _whole(self, answer: Answer[Invoice]) -> Answer[Invoice]:
        """The answer with the lines that did not fit into it; `raw` has them too."""
        lines, raw = list(answer.value.lines), dict(answer.raw)
        listed = {**raw["lines"], "data": list(raw["lines"]["data"]), "has_more": False}
        path, more = f"/v1/invoices/{answer.value.id}/lines", True
        while more:
            params = {"limit": _PAGE, "starting_after": lines[-1].id}
            page = await self._stripe.list_page(path, params, translate_billing.invoice_line)
            lines += page.value
            listed["data"] += page.raw["data"]
            more = bool(page.raw.get("has_more")) and bool(page.value)
        whole = replace(answer.value, lines=lines, more_lines=False)
        return Answer(whole, answer.at, answer.request_id, {**raw, "lines": listed})
