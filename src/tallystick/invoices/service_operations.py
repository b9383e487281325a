"""What paying an invoice does: how it is sent, recorded, and looked for when nobody knows."""

from typing import Any
from uuid import UUID

from tallystick.attempts.models import Attempt, Operation, Refusal
from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError
from tallystick.invoices.errors import refused
from tallystick.invoices.models import InvoiceFacts
from tallystick.invoices.repository import InvoiceRepository
from tallystick.invoices.service_refresh import RecordInvoices
from tallystick.invoices.states import FAILURES
from tallystick.invoices.views import invoice_view
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.errors import GatewayDeclined, GatewayError, GatewayRejected
from tallystick.stripe_gateway.objects import Answer, Failure
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_invoices import InvoiceCalls
from tallystick.webhooks.service import StripeWebhookService, queue_fetches

__all__ = ["PAY", "invoice_operations"]

PAY = "invoice.pay"
_AUTHENTICATE = "authentication_required"
_WAITS_FOR_CUSTOMER = "invoice_payment_intent_requires_action"


def invoice_operations(
    clock: Clock,
    stripe: StripeService,
    calls: InvoiceCalls,
    invoices: InvoiceRepository,
    record: RecordInvoices,
    webhooks: StripeWebhookService,
) -> dict[str, Operation]:
    """The operations of all kinds of attempts on invoices."""
    return {PAY: _PayOperation(clock, stripe, calls, invoices, record, webhooks)}


class _PayOperation:
    """Pay an invoice."""

    success_status = 200

    def __init__(
        self,
        clock: Clock,
        stripe: StripeService,
        calls: InvoiceCalls,
        invoices: InvoiceRepository,
        record: RecordInvoices,
        webhooks: StripeWebhookService,
    ) -> None:
        self._clock = clock
        self._stripe = stripe
        self._calls = calls
        self._invoices = invoices
        self._record = record
        self._webhooks = webhooks

    async def send(self, attempt: Attempt) -> Answer[Invoice]:
        invoice_id, params = attempt.request["invoice"], attempt.request["params"]
        try:
            return await self._calls.pay(invoice_id, params, attempt.stripe_idempotency_key)
        except (GatewayRejected, GatewayDeclined) as error:
            codes: tuple[str, str | None] = (_AUTHENTICATE, None)
            if error.code != _WAITS_FOR_CUSTOMER:
                if isinstance(error, GatewayRejected):
                    raise
                codes = (error.code, error.decline_code)
            raise _PaymentRefused(*codes, await self._after(invoice_id)) from error

    async def _after(self, invoice_id: str) -> Answer[Invoice] | None:
        """The invoice after a refusal, which does not show it; None where Stripe is away now: its events tell."""
        try:
            return await self._calls.retrieve(invoice_id)
        except GatewayError:
            return None

    async def look(self, attempt: Attempt) -> Answer[Invoice] | None:
        answer = await self._calls.retrieve(attempt.request["invoice"])
        if answer.value.status == "paid":
            return answer
        caused = {event.type for event in await self._webhooks.find_by_request_key(attempt.stripe_idempotency_key)}
        if not caused & FAILURES:
            return answer if "invoice.updated" in caused else None
        intent_id = answer.value.payment_intent
        failure = None
        if isinstance(intent_id, str):
            failure = (await self._stripe.retrieve_payment_intent(intent_id)).value.failure
        if isinstance(failure, Failure):
            raise _PaymentRefused(failure.code, failure.decline_code, answer)
        raise _PaymentRefused(_AUTHENTICATE, None, answer)

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[Invoice]) -> None:
        # A replayed answer bears no time: it is as old as the invoice, for all that anybody knows.
        source = Source(
            "answer",
            answer.at or answer.value.created,
            base_revision=attempt.request["revision"] if answer.at else None,
            request_key=attempt.stripe_idempotency_key,
            requested=True,
        )
        await self._record(tx, [InvoiceFacts(answer.value, source)])
        # Since basil no event of an invoice that stays unpaid names its payment.
        await self._webhooks.record_applied(
            tx,
            source="answer",
            event_type="invoice.answered",
            object_id=answer.value.id,
            object_key=answer.value.id,
            obj=answer.raw,
            at=source.at,
            request_key=source.request_key,
        )

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        if isinstance(refusal, _PaymentRefused) and refusal.invoice is not None:
            await self.record(tx, attempt, refusal.invoice)
            return
        # Our record was behind: Stripe knows why it is not payable.
        await queue_fetches(tx, [attempt.request["invoice"]], self._clock)

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        """Nothing was stored that paying would leave behind."""

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        """The invoice is as open as before."""

    def error(self, refusal: Refusal) -> DomainError:
        return refused(refusal)

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        row = await self._invoices.find(tx, attempt.subject_id or UUID(int=0))
        return invoice_view(row, (await self._invoices.lines_of(tx, [row.id]))[row.id]) if row else {}

    def secret_of(self, answer: Answer[Invoice]) -> tuple[str, dict[str, Any]] | None:
        return None


class _PaymentRefused(GatewayDeclined):
    """The payment failed, or waits for the customer; `invoice` is how that left it."""

    def __init__(self, code: str, decline_code: str | None, invoice: Answer[Invoice] | None) -> None:
        super().__init__(code, decline_code, request_id=invoice.request_id if invoice else None)
        self.invoice = invoice
