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
from tallystick.invoices.states import failed_at, judge_invoice
from tallystick.platform.database import Transaction, await_makers
from tallystick.stripe_gateway.objects import pick
from tallystick.stripe_gateway.objects_billing import Invoice
from tallystick.stripe_gateway.ordering import Verdict, later
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.service import queue_fetches

__all__ = ["InvoiceRecorder"]

_STATE = tuple(
    name
    for name in Invoice.__struct_fields__
    if name in InvoiceRow.__struct_fields__ and name not in ("id", "more_lines")
)
"""What a row shows of an invoice under the same name."""


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

    async def claim(self, tx: Transaction, stripe_customer_id: str, user_id: UUID) -> None:
        """Give the invoices of a customer that were nobody's to a user."""
        await self._invoices.claim(tx, stripe_customer_id, user_id)

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
        invoice, source, now = fact.value, fact.source, self._clock.now()
        if row is not None and invoice.deleted:
            # The event of the end shows little more than the id.
            gone = replace(row, deleted=True, next_payment_attempt=None, unsure=False, updated_at=now)
            return replace(gone, revision=row.revision + 1, state_at=later(row.state_at, source))
        known = None if row is None or source.mends(row.revision) else row
        state = {name: pick(getattr(invoice, name), getattr(row, name) if row else None) for name in _STATE}
        return InvoiceRow(
            id=row.id if row else new_id(),
            stripe_invoice_id=invoice.id,
            user_id=(row.user_id if row else None) or owner,
            stripe_customer_id=invoice.customer or (known.stripe_customer_id if known else None),
            stripe_subscription_id=invoice.subscription or (known.stripe_subscription_id if known else None),
            payment_intent_id=pick(invoice.payment_intent, row.payment_intent_id if row else None),
            more_lines=row.more_lines if row else invoice.more_lines,
            first_failed_at=row.first_failed_at if row else None,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, source),
            unsure=verdict is Verdict.UNSURE,
            created_at=invoice.created,
            updated_at=now,
            **state,
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
        wanting = [id_ for id_, row in changed.items() if row.unsure or row.more_lines]
        await queue_fetches(tx, wanting, self._clock)


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
