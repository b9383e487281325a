"""`InvoiceRecorder`: invoices with their lines from Stripe into the mirror, in whatever order they come.

What an invoice's change does to mails and to access is the business of who subscribed to it; see
`subscriptions/service_billing.py`, which everything that records invoices goes through.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.models import InvoiceChange, InvoiceFacts, InvoicePaymentFacts, InvoiceRow, LineRow
from tallystick.invoices.repository import InvoiceRepository
from tallystick.invoices.states import failed_at, judge_invoice, pick
from tallystick.platform.database import Transaction, await_makers
from tallystick.platform.work import enqueue
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.ordering import Verdict
from tallystick.webhooks.errors import ParentMissing

__all__ = ["InvoiceRecorder"]


class InvoiceRecorder:
    """Applies invoices and their payments to the mirror."""

    def __init__(self, clock: Clock, invoices: InvoiceRepository, customers: StripeCustomerService) -> None:
        self._clock = clock
        self._invoices = invoices
        self._customers = customers

    async def record(self, tx: Transaction, facts: Sequence[InvoiceFacts | InvoicePaymentFacts]) -> list[InvoiceChange]:
        """Apply `facts` in their order; doing it again changes nothing. A change for each invoice among them.

        Raises:
            ParentMissing: a customer that is not here yet, or the invoice of a payment.
        """
        of_invoices = [fact for fact in facts if isinstance(fact, InvoiceFacts)]
        payments = [fact for fact in facts if isinstance(fact, InvoicePaymentFacts)]
        owners = await self._owners(tx, of_invoices)
        ids = {fact.value.id for fact in of_invoices} | {str(fact.value.invoice) for fact in payments}
        rows = await self._invoices.lock_many(tx, ids)
        if await await_makers(tx, ids - rows.keys()):
            rows = await self._invoices.lock_many(tx, ids)
        before, changed = dict(rows), dict[str, InvoiceRow]()
        lines: dict[str, Invoice] = {}
        changes = []
        for fact in of_invoices:
            change = self._apply(rows.get(fact.value.id), fact, owners)
            if change.applied:
                lines[fact.value.id] = fact.value
            if change.new != change.old:
                rows[fact.value.id] = changed[fact.value.id] = change.new
            changes.append(change)
        for payment in payments:
            if row := self._paid_by(rows, payment):
                rows[row.stripe_invoice_id] = changed[row.stripe_invoice_id] = row
        await self._save(tx, before, changed, lines)
        # What hangs on a change wants the row as it is now, with the payment that was told of last.
        return [replace(change, new=rows[change.new.stripe_invoice_id]) for change in changes]

    async def _owners(self, tx: Transaction, facts: Sequence[InvoiceFacts]) -> Mapping[str, UUID | None]:
        wanted = {fact.value.customer for fact in facts if fact.value.customer}
        owners = await self._customers.owners(tx, sorted(wanted)) if wanted else {}
        for customer in sorted(wanted - owners.keys()):
            raise ParentMissing(customer)
        return owners

    def _apply(self, row: InvoiceRow | None, fact: InvoiceFacts, owners: Mapping[str, UUID | None]) -> InvoiceChange:
        verdict = judge_invoice(row, fact) if row else Verdict.APPLY
        failed = failed_at(row, fact)
        if row is not None and verdict is Verdict.KEEP:
            # That a payment failed stays true of an invoice that has moved on since.
            moved = failed != row.first_failed_at
            new = replace(row, first_failed_at=failed, updated_at=self._clock.now()) if moved else row
            return InvoiceChange(row, new, fact, applied=False)
        new = self._row(row, fact, verdict, owners.get(fact.value.customer or ""))
        return InvoiceChange(row, replace(new, first_failed_at=failed), fact, applied=True)

    def _row(self, row: InvoiceRow | None, fact: InvoiceFacts, verdict: Verdict, owner: UUID | None) -> InvoiceRow:
        invoice, source = fact.value, fact.source
        if row is not None and invoice.deleted:
            # The event of the end shows little more than the id.
            gone = replace(row, deleted=True, next_payment_attempt=None)
            return replace(gone, revision=row.revision + 1, state_at=max(row.state_at, source.at), unsure=False)
        old = row or _blank(invoice, fact)
        return replace(
            old,
            user_id=old.user_id or owner,
            stripe_customer_id=invoice.customer or old.stripe_customer_id,
            stripe_subscription_id=invoice.subscription or old.stripe_subscription_id,
            number=pick(invoice.number, old.number),
            status=invoice.status,
            billing_reason=invoice.billing_reason,
            currency=invoice.currency,
            subtotal=invoice.subtotal,
            discount=invoice.discount,
            tax=invoice.tax,
            total=invoice.total,
            amount_due=invoice.amount_due,
            amount_paid=invoice.amount_paid,
            amount_remaining=invoice.amount_remaining,
            starting_balance=invoice.starting_balance,
            ending_balance=invoice.ending_balance,
            attempted=invoice.attempted,
            attempt_count=invoice.attempt_count,
            next_payment_attempt=pick(invoice.next_payment_attempt, old.next_payment_attempt),
            auto_advance=pick(invoice.auto_advance, old.auto_advance),
            collection_method=pick(invoice.collection_method, old.collection_method),
            due_date=pick(invoice.due_date, old.due_date),
            period_start=pick(invoice.period_start, old.period_start),
            period_end=pick(invoice.period_end, old.period_end),
            finalized_at=pick(invoice.finalized_at, old.finalized_at),
            paid_at=pick(invoice.paid_at, old.paid_at),
            voided_at=pick(invoice.voided_at, old.voided_at),
            marked_uncollectible_at=pick(invoice.marked_uncollectible_at, old.marked_uncollectible_at),
            hosted_invoice_url=pick(invoice.hosted_invoice_url, old.hosted_invoice_url),
            invoice_pdf=pick(invoice.invoice_pdf, old.invoice_pdf),
            payment_intent_id=pick(invoice.payment_intent, old.payment_intent_id),
            default_payment_method=pick(invoice.default_payment_method, old.default_payment_method),
            metadata=invoice.metadata,
            deleted=invoice.deleted,
            revision=old.revision + 1,
            state_at=max(old.state_at, source.at),
            unsure=verdict is Verdict.UNSURE,
            updated_at=self._clock.now(),
        )

    def _paid_by(self, rows: Mapping[str, InvoiceRow], fact: InvoicePaymentFacts) -> InvoiceRow | None:
        """The invoice with the payment intent that paid it, where that is news."""
        payment = fact.value
        row = rows.get(payment.invoice or "")
        if row is None:
            raise ParentMissing(str(payment.invoice))
        if payment.payment_intent in (None, row.payment_intent_id):
            return None
        return replace(row, payment_intent_id=payment.payment_intent, updated_at=self._clock.now())

    async def _save(
        self,
        tx: Transaction,
        before: Mapping[str, InvoiceRow],
        changed: dict[str, InvoiceRow],
        applied: Mapping[str, Invoice],
    ) -> None:
        if not changed:
            return
        partial = [before[id_].id for id_, invoice in applied.items() if invoice.more_lines and id_ in before]
        known = await self._invoices.lines_of(tx, partial) if partial else {}
        lines: dict[UUID, list[LineRow]] = {}
        for stripe_id, invoice in applied.items():
            row = changed[stripe_id]
            if invoice.deleted or _still_whole(before.get(stripe_id), row, invoice, known.get(row.id, ())):
                continue
            changed[stripe_id] = replace(row, more_lines=invoice.more_lines)
            lines[row.id] = _lines(row.id, invoice)
        await self._invoices.save(tx, list(changed.values()))
        await self._invoices.save_lines(tx, lines)
        for stripe_id in sorted(id_ for id_, row in changed.items() if _incomplete(row)):
            payload = {"object": stripe_id}
            await enqueue(tx, "stripe.fetch", f"stripe.fetch:{stripe_id}", payload, due_at=self._clock.now())


def _blank(invoice: Invoice, fact: InvoiceFacts) -> InvoiceRow:
    """A row before its first state."""
    return InvoiceRow(
        id=new_id(),
        stripe_invoice_id=invoice.id,
        user_id=None,
        stripe_customer_id=None,
        stripe_subscription_id=None,
        number=None,
        status=None,
        billing_reason=None,
        currency=invoice.currency,
        subtotal=0,
        discount=0,
        tax=0,
        total=0,
        amount_due=0,
        amount_paid=0,
        amount_remaining=0,
        starting_balance=0,
        ending_balance=None,
        attempted=False,
        attempt_count=0,
        next_payment_attempt=None,
        auto_advance=None,
        collection_method=None,
        due_date=None,
        period_start=None,
        period_end=None,
        finalized_at=None,
        paid_at=None,
        voided_at=None,
        marked_uncollectible_at=None,
        hosted_invoice_url=None,
        invoice_pdf=None,
        payment_intent_id=None,
        default_payment_method=None,
        metadata={},
        more_lines=False,
        first_failed_at=None,
        deleted=False,
        revision=-1,
        state_at=fact.source.at,
        unsure=False,
        created_at=invoice.created,
        updated_at=fact.source.at,
    )


def _incomplete(row: InvoiceRow) -> bool:
    """Whether Stripe must be asked: in doubt, not all lines, or a failure whose payment no event names (from basil)."""
    failed = row.status == "open" and row.first_failed_at is not None
    return row.unsure or row.more_lines or (failed and row.payment_intent_id is None)


def _still_whole(before: InvoiceRow | None, row: InvoiceRow, invoice: Invoice, known: Sequence[LineRow]) -> bool:
    """Whether all lines are here, and a payload that shows the first of them says nothing against it."""
    if before is None or before.more_lines or not invoice.more_lines:
        return False
    same = (before.subtotal, before.total, before.discount) == (row.subtotal, row.total, row.discount)
    shown = [(line.id, line.amount) for line in invoice.lines]
    return same and shown == [(line.stripe_line_id, line.amount) for line in known[: len(shown)]]


def _lines(invoice_id: UUID, invoice: Invoice) -> list[LineRow]:
    return [
        LineRow(
            invoice_id=invoice_id,
            position=position,
            stripe_line_id=line.id,
            amount=line.amount,
            discount=line.discount,
            currency=line.currency,
            description=line.description,
            quantity=line.quantity,
            period_start=line.period_start,
            period_end=line.period_end,
            price_id=line.price,
            product_id=line.product,
            proration=line.proration,
            stripe_subscription_id=line.subscription,
            subscription_item=line.subscription_item,
        )
        for position, line in enumerate(invoice.lines)
    ]
