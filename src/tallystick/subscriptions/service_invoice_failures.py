"""`InvoiceFailures`: why the payment of an invoice failed, which the invoice's own events do not say.

The payment does, and its events come by another lane, before or after; from basil on an invoice's events do not even
name the payment. A failure whose reason is not here yet is told a moment later, when it has been looked up.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from tallystick.core.clock import Clock
from tallystick.invoices.models import InvoiceChange, InvoiceFacts
from tallystick.invoices.service import InvoiceService
from tallystick.invoices.states import FAILURES
from tallystick.notifications.silence import is_silent
from tallystick.payments.models import Payment
from tallystick.payments.service import StripePaymentService
from tallystick.platform.database import Database, Transaction
from tallystick.platform.work import WorkItem, enqueue

__all__ = ["FAILURE_WORK", "InvoiceFailures", "TellFailure"]

FAILURE_WORK = "invoice.failure"
TellFailure: TypeAlias = Callable[[Transaction, InvoiceFacts], Awaitable[None]]


class InvoiceFailures:
    """Puts failures off until their reason is known, and then has them told."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        invoices: InvoiceService,
        payments: StripePaymentService,
        fetch: Callable[[str], Awaitable[None]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._invoices = invoices
        self._payments = payments
        self._fetch = fetch

    async def put_off(self, tx: Transaction, changes: Sequence[InvoiceChange]) -> list[InvoiceChange]:
        """Queue the failures whose reason is not here, and return the other changes.

        In silence all of them: nobody reads the reason.
        """
        if is_silent():
            return list(changes)
        failures = [change for change in changes if change.fact.source.event_type in FAILURES and change.new.user_id]
        intents = [intent_id for change in failures if (intent_id := change.new.payment_intent_id)]
        payments = await self._payments.of_intents(tx, intents)
        later = [
            change
            for change in failures
            if not _explains(payments.get(change.new.payment_intent_id or ""), change.fact.source.at)
        ]
        for change in later:
            key = f"{FAILURE_WORK}:{change.fact.source.event_id}"
            payload = {"fact": msgspec.to_builtins(change.fact)}
            await enqueue(tx, FAILURE_WORK, key, payload, due_at=self._clock.now())
        return [change for change in changes if change not in later] if later else list(changes)

    async def due(self, item: WorkItem, tell: TellFailure) -> None:
        """Look a failure's reason up, and have it told, with or without one; raises `Retry` where Stripe is away."""
        fact = msgspec.convert(item.payload["fact"], InvoiceFacts)
        if await self._intent_of(fact.value.id) is None:
            await self._fetch(fact.value.id)
        intent_id = await self._intent_of(fact.value.id)
        if intent_id is not None and not _explains(await self._payment(intent_id), fact.source.at):
            await self._fetch(intent_id)

        async def record(tx: Transaction) -> None:
            await tell(tx, fact)

        await self._database.run(record)

    async def _intent_of(self, invoice_id: str) -> str | None:
        async with self._database.connection() as connection:
            row = await self._invoices.find(connection, invoice_id)
        return row.payment_intent_id if row else None

    async def _payment(self, intent_id: str) -> Payment | None:
        async with self._database.connection() as connection:
            return (await self._payments.of_intents(connection, [intent_id])).get(intent_id)


def _explains(payment: Payment | None, failed_at: datetime) -> bool:
    """Whether a payment is as new as the failure, and shows a reason."""
    if payment is None or payment.unsure or payment.state_at is None or payment.state_at < failed_at:
        return False
    return payment.error_code is not None or payment.stripe_status in ("requires_action", "succeeded", "canceled")
