"""`InvoiceRefresher`: one invoice from Stripe with all its lines, where the mirror is in doubt, late, or not whole."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from tallystick.invoices.models import InvoiceFacts, InvoiceRow
from tallystick.invoices.repository import InvoiceRepository
from tallystick.platform.database import Database, Transaction
from tallystick.platform.work import Retry
from tallystick.stripe_gateway.fetching import fetching
from tallystick.stripe_gateway.ordering import fetched
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_invoices import InvoiceCalls
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["InvoiceRefresher", "RecordInvoices"]

RecordInvoices: TypeAlias = Callable[[Transaction, Sequence[InvoiceFacts]], Awaitable[Any]]
"""What records invoices whole: with the mails and the access that hang on them."""


class InvoiceRefresher:
    """Fetches invoices."""

    PREFIXES = ("in_",)

    def __init__(
        self,
        database: Database,
        stripe: StripeService,
        calls: InvoiceCalls,
        invoices: InvoiceRepository,
        record: RecordInvoices,
        fetch_parent: Callable[[str], Awaitable[None]],
        webhooks: StripeWebhookService,
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._calls = calls
        self._invoices = invoices
        self._record = record
        self._fetch_parent = fetch_parent
        self._webhooks = webhooks

    async def fetch(self, invoice_id: str) -> None:
        """Fetch an invoice in the background; raises `Retry` where that must be done again."""
        async with fetching(self._stripe, invoice_id):
            await self._refresh(invoice_id)
            row = await self._find(invoice_id)
            if row is not None and row.unsure:
                raise Retry("still in doubt", counted=False)

    async def _refresh(self, invoice_id: str) -> None:
        """Refresh an invoice, after the customer and the subscription that it hangs on if they are not here."""
        for _ in range(2):
            try:
                return await self._refresh_once(invoice_id)
            except ParentMissing as missing:
                await self._fetch_parent(missing.parent_id)
        return await self._refresh_once(invoice_id)

    async def _refresh_once(self, invoice_id: str) -> None:
        before = await self._find(invoice_id)
        answer = await self._calls.retrieve(invoice_id)
        source = fetched(answer.at or answer.value.created, before)

        async def record(tx: Transaction) -> None:
            await self._record(tx, await self._webhooks.redacted(tx, [InvoiceFacts(answer.value, source)]))
            await self._webhooks.record_applied(
                tx,
                event_type="invoice.fetched",
                object_id=invoice_id,
                object_key=invoice_id,
                obj=answer.raw,
                at=source.at,
            )

        await self._database.run(record)

    async def _find(self, invoice_id: str) -> InvoiceRow | None:
        async with self._database.connection() as connection:
            return await self._invoices.find(connection, invoice_id)
