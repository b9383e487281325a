"""`PaymentRecorder`: facts from Stripe into rows, history and mails, whichever way and in whatever order they come.

The webhook's handler and a command's last step call the same `record`, in their own transaction.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id, parse_uuid
from tallystick.customers.service import StripeCustomerService
from tallystick.notifications.alerts import queue_alert
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.service import NotificationService
from tallystick.payments.models import (
    ChargeFacts,
    ChargeRow,
    DisputeFacts,
    DisputeRow,
    Facts,
    IntentFacts,
    Payment,
    RefundFacts,
    RefundRow,
)
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.repository_mirror import CHARGES, DISPUTES, REFUNDS
from tallystick.payments.service_facts import PaymentFacts, Told, dispute_told, intent_told, refund_told
from tallystick.payments.service_mails import Draft, PaymentMails, intent_mail, refund_mail
from tallystick.payments.states import (
    judge_charge,
    judge_dispute,
    judge_intent,
    judge_refund,
    payment_status,
)
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.objects import Failure, PaymentIntent, Refund, pick
from tallystick.stripe_gateway.ordering import Verdict, later
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.service import queue_fetches

__all__ = ["META_INSTALLATION", "META_PAYMENT", "META_REFUND", "META_USER", "PaymentRecorder"]

META_INSTALLATION = "tallystick_installation"
META_PAYMENT = "tallystick_payment"
META_REFUND = "tallystick_refund"
META_USER = "tallystick_user"


class PaymentRecorder:
    """Applies payment intents, charges, refunds and disputes to the mirror."""

    def __init__(
        self,
        clock: Clock,
        installation_id: str,
        payments: PaymentRepository,
        customers: StripeCustomerService,
        notifications: NotificationService,
        outbound: OutboundService,
    ) -> None:
        self._clock = clock
        self._installation = installation_id
        self._payments = payments
        self._customers = customers
        self._mails = PaymentMails(clock, notifications)
        self._facts = PaymentFacts(payments, outbound)

    async def record(self, tx: Transaction, facts: Sequence[Facts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing.

        Raises:
            ParentMissing: a charge, refund or dispute of a payment intent that is not here yet.
        """
        await self.record_and_show(tx, facts)

    async def record_and_show(self, tx: Transaction, facts: Sequence[Facts]) -> dict[str, Payment]:
        """The same; the payments by their intents as they are now, but for what refunds among the facts sum up to."""
        intents = [fact for fact in facts if isinstance(fact, IntentFacts)]
        payments = await self._lock(tx, facts, intents)
        await self._record_intents(tx, payments, intents)
        await self._record_charges(tx, payments, [fact for fact in facts if isinstance(fact, ChargeFacts)])
        refunds = [fact for fact in facts if isinstance(fact, RefundFacts)]
        drafts, told = await self._record_refunds(tx, payments, refunds)
        disputes = [fact for fact in facts if isinstance(fact, DisputeFacts)]
        told += await self._record_disputes(tx, payments, disputes)
        drafts += [draft for fact in intents if (draft := intent_mail(payments[fact.value.id], fact))]
        told = [each for fact in intents for each in intent_told(payments[fact.value.id], fact)] + told
        heard = [draft.payment for draft in drafts] + [payments[fact.intent_id] for fact in told]
        owners = {payment.user_id for payment in heard if payment.claimed and payment.user_id}
        users = await self._customers.find_many(tx, list(owners)) if owners else {}
        await self._mails.queue(tx, drafts, users)
        await self._facts.record(tx, payments, told, users)
        return payments

    async def _lock(
        self, tx: Transaction, facts: Iterable[Facts], intents: Sequence[IntentFacts]
    ) -> dict[str, Payment]:
        """The payments that these facts are about, by intent id; those of intents not seen before are made."""
        wanted = {_intent_id(fact) for fact in facts} - {None}
        ours = {intent.value.id: our_id for intent in intents if (our_id := self._our_id(intent.value, META_PAYMENT))}
        rows = await self._payments.lock_many(tx, [str(id_) for id_ in wanted], list(ours.values()))
        by_id = {row.id: row for row in rows}
        payments = {row.stripe_payment_intent_id: row for row in rows if row.stripe_payment_intent_id}
        for intent_id, our_id in ours.items():
            if intent_id not in payments and our_id in by_id:
                payments[intent_id] = by_id[our_id]
        new = {fact.value.id: fact.value for fact in intents if fact.value.id not in payments}
        if new:
            # In an order that all lanes share, as users whom nobody has seen are made with them.
            for intent in sorted(new.values(), key=lambda intent: intent.metadata.get(META_USER, "")):
                await self._payments.insert(tx, await self._fresh(tx, intent))
            # Another transaction may have made one of them meanwhile: what counts is the row that is there.
            rows = await self._payments.lock_many(tx, list(new), [])
            payments.update({str(row.stripe_payment_intent_id): row for row in rows})
        return {str(intent_id): row for intent_id, row in payments.items()}

    def _our_id(self, value: PaymentIntent | Refund, name: str) -> UUID | None:
        if value.metadata.get(META_INSTALLATION) != self._installation:
            return None
        return parse_uuid(value.metadata.get(name, ""))

    async def _fresh(self, tx: Transaction, intent: PaymentIntent) -> Payment:
        our_id = self._our_id(intent, META_PAYMENT)
        customer = pick(intent.customer, None)
        owner = await self._customers.record_owner(tx, intent.metadata.get(META_USER) if our_id else None, customer)
        return Payment(
            id=our_id or new_id(),
            stripe_payment_intent_id=intent.id,
            user_id=owner,
            stripe_customer_id=customer,
            amount=intent.amount,
            currency=intent.currency,
            status=payment_status(intent),
            stripe_status=None,
            payment_method=None,
            description=None,
            metadata=intent.metadata,
            capture_method="automatic",
            setup_future_usage=None,
            amount_capturable=0,
            amount_received=0,
            amount_refunded=0,
            latest_charge_id=None,
            error_code=None,
            decline_code=None,
            cancellation_reason=None,
            canceled_at=None,
            claimed=our_id is not None,
            revision=0,
            state_at=None,
            unsure=False,
            created_at=intent.created,
            updated_at=self._clock.now(),
        )

    async def _record_intents(
        self, tx: Transaction, payments: dict[str, Payment], facts: Sequence[IntentFacts]
    ) -> None:
        changed: dict[str, Payment] = {}
        now = self._clock.now()
        for fact in facts:
            row = payments[fact.value.id]
            verdict = judge_intent(row, fact)
            if verdict is Verdict.KEEP:
                continue
            payments[fact.value.id] = changed[fact.value.id] = self._apply(row, fact, verdict, now)
        if changed:
            await self._payments.update_many(tx, list(changed.values()))
        if repaired := [payments[fact.value.id].id for fact in facts if fact.source.repair]:
            await self._payments.sum_refunds(tx, repaired)
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)

    def _apply(self, row: Payment, fact: IntentFacts, verdict: Verdict, now: datetime) -> Payment:
        intent = fact.value
        failure = intent.failure if isinstance(intent.failure, Failure) else None
        keep_failure = intent.failure is UNSET
        return replace(
            row,
            stripe_payment_intent_id=intent.id,
            stripe_customer_id=pick(intent.customer, row.stripe_customer_id),
            amount=intent.amount,
            currency=intent.currency,
            status=payment_status(intent),
            stripe_status=intent.status,
            payment_method=pick(intent.payment_method, row.payment_method),
            description=pick(intent.description, row.description),
            metadata=intent.metadata,
            capture_method=pick(intent.capture_method, row.capture_method),
            setup_future_usage=pick(intent.setup_future_usage, row.setup_future_usage),
            amount_capturable=pick(intent.amount_capturable, row.amount_capturable),
            amount_received=pick(intent.amount_received, row.amount_received),
            latest_charge_id=pick(intent.latest_charge, row.latest_charge_id),
            error_code=row.error_code if keep_failure else failure and failure.code,
            decline_code=row.decline_code if keep_failure else failure and failure.decline_code,
            cancellation_reason=pick(intent.cancellation_reason, row.cancellation_reason),
            canceled_at=pick(intent.canceled_at, row.canceled_at),
            claimed=row.claimed or self._our_id(intent, META_PAYMENT) == row.id,
            revision=row.revision + 1,
            state_at=later(row.state_at, fact.source),
            unsure=verdict is Verdict.UNSURE,
            updated_at=now,
        )

    async def _record_charges(
        self, tx: Transaction, payments: dict[str, Payment], facts: Sequence[ChargeFacts]
    ) -> None:
        if not facts:
            return
        rows = await CHARGES.lock(tx, [fact.value.id for fact in facts])
        changed: dict[str, ChargeRow] = {}
        now = self._clock.now()
        for fact in facts:
            charge = fact.value
            row = rows.get(charge.id)
            verdict = judge_charge(row, fact) if row else Verdict.APPLY
            if verdict is Verdict.KEEP:
                continue
            intent_id = pick(charge.payment_intent, row.stripe_payment_intent_id if row else None)
            rows[charge.id] = changed[charge.id] = ChargeRow(
                id=row.id if row else new_id(),
                stripe_charge_id=charge.id,
                payment_id=_parent(payments, intent_id),
                stripe_payment_intent_id=intent_id,
                amount=charge.amount,
                amount_captured=pick(charge.amount_captured, row.amount_captured if row else 0),
                amount_refunded=pick(charge.amount_refunded, row.amount_refunded if row else 0),
                currency=charge.currency,
                status=charge.status,
                captured=charge.captured,
                disputed=pick(charge.disputed, row.disputed if row else False),
                payment_method=pick(charge.payment_method, row.payment_method if row else None),
                card_brand=pick(charge.card_brand, row.card_brand if row else None),
                card_last4=pick(charge.card_last4, row.card_last4 if row else None),
                error_code=pick(charge.failure_code, row.error_code if row else None),
                decline_code=pick(charge.decline_code, row.decline_code if row else None),
                revision=row.revision + 1 if row else 0,
                state_at=later(row.state_at if row else None, fact.source),
                unsure=verdict is Verdict.UNSURE,
                created_at=charge.created,
                updated_at=now,
            )
        await CHARGES.save(tx, list(changed.values()))
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)

    async def _record_refunds(
        self, tx: Transaction, payments: dict[str, Payment], facts: Sequence[RefundFacts]
    ) -> tuple[list[Draft], list[Told]]:
        # A refund of a charge without a payment intent is of a kind that this system never makes.
        facts = [fact for fact in facts if fact.value.payment_intent]
        if not facts:
            return [], []
        ours = [our_id for fact in facts if (our_id := self._our_id(fact.value, META_REFUND))]
        found = await REFUNDS.lock_ours(tx, [fact.value.id for fact in facts], ours)
        rows = {row.stripe_refund_id or str(row.id): row for row in found}
        changed: dict[str, RefundRow] = {}
        drafts: list[Draft] = []
        for fact in facts:
            refund, our_id = fact.value, self._our_id(fact.value, META_REFUND)
            payment = payments[_required(payments, refund.payment_intent)]
            row = rows.get(refund.id) or (rows.get(str(our_id)) if our_id else None)
            if draft := refund_mail(payment, fact, row.id if row else our_id):
                drafts.append(draft)
            verdict = judge_refund(row, fact) if row else Verdict.APPLY
            if verdict is Verdict.KEEP:
                continue
            if refund.status == "failed" and (row is None or row.status != "failed"):
                await self._alert_refund_failed(tx, payment, refund)
            if refund.status in ("failed", "canceled") and (row is None or row.status != refund.status):
                await self._charge_changed(tx, refund.charge)
            rows[refund.id] = changed[refund.id] = self._refund_row(row, fact, payment, our_id, verdict)
        await REFUNDS.save(tx, list(changed.values()))
        await self._payments.sum_refunds(tx, sorted({row.payment_id for row in changed.values()}))
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)
        return drafts, refund_told(facts, rows)

    def _refund_row(
        self, row: RefundRow | None, fact: RefundFacts, payment: Payment, our_id: UUID | None, verdict: Verdict
    ) -> RefundRow:
        refund = fact.value
        return RefundRow(
            id=row.id if row else our_id or new_id(),
            stripe_refund_id=refund.id,
            payment_id=payment.id,
            amount=refund.amount,
            currency=refund.currency,
            status=refund.status,
            release=refund.release,
            reason=pick(refund.reason, row.reason if row else None),
            failure_reason=pick(refund.failure_reason, row.failure_reason if row else None),
            metadata=refund.metadata,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            unsure=verdict is Verdict.UNSURE,
            created_at=row.created_at if row else refund.created,
            updated_at=self._clock.now(),
        )

    async def _record_disputes(
        self, tx: Transaction, payments: dict[str, Payment], facts: Sequence[DisputeFacts]
    ) -> list[Told]:
        if not facts:
            return []
        rows = await DISPUTES.lock(tx, [fact.value.id for fact in facts])
        changed: dict[str, DisputeRow] = {}
        for fact in facts:
            dispute = fact.value
            row = rows.get(dispute.id)
            verdict = judge_dispute(row, fact) if row else Verdict.APPLY
            if verdict is Verdict.KEEP:
                continue
            rows[dispute.id] = changed[dispute.id] = new = DisputeRow(
                id=row.id if row else new_id(),
                stripe_dispute_id=dispute.id,
                payment_id=_parent(payments, dispute.payment_intent),
                stripe_charge_id=dispute.charge,
                amount=dispute.amount,
                currency=dispute.currency,
                reason=dispute.reason,
                status=dispute.status,
                evidence_due_at=pick(dispute.evidence_due_at, row.evidence_due_at if row else None),
                revision=row.revision + 1 if row else 0,
                state_at=later(row.state_at if row else None, fact.source),
                unsure=verdict is Verdict.UNSURE,
                created_at=dispute.created,
                updated_at=self._clock.now(),
            )
            if row is None:
                await self._alert_dispute(tx, new)
                await self._charge_changed(tx, dispute.charge)
        await DISPUTES.save(tx, list(changed.values()))
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)
        return dispute_told(facts, rows)

    # What follows from facts

    async def _charge_changed(self, tx: Transaction, charge_id: str | None) -> None:
        """A refund that comes back and a dispute change the charge, too, and no event of the charge tells of it."""
        if charge_id:
            await queue_fetches(tx, [charge_id], self._clock)

    async def _alert_dispute(self, tx: Transaction, dispute: DisputeRow) -> None:
        payload = {
            "dispute": dispute.stripe_dispute_id,
            "amount": dispute.amount,
            "currency": dispute.currency,
            "reason": dispute.reason,
            "due_by": dispute.evidence_due_at.isoformat() if dispute.evidence_due_at else None,
            "payment_id": str(dispute.payment_id) if dispute.payment_id else None,
        }
        await queue_alert(tx, "dispute", dispute.stripe_dispute_id, payload, due_at=self._clock.now())

    async def _alert_refund_failed(self, tx: Transaction, payment: Payment, refund: Refund) -> None:
        payload = {
            "refund": refund.id,
            "amount": refund.amount,
            "currency": refund.currency,
            "reason": pick(refund.failure_reason, None),
            "payment_id": str(payment.id),
        }
        await queue_alert(tx, "refund_failed", refund.id, payload, due_at=self._clock.now())


def _intent_id(fact: Facts) -> str | None:
    if isinstance(fact, IntentFacts):
        return fact.value.id
    return pick(fact.value.payment_intent, None)


def _required(payments: dict[str, Payment], intent_id: str | None) -> str:
    if intent_id is None or intent_id not in payments:
        raise ParentMissing(intent_id or "")
    return intent_id


def _parent(payments: dict[str, Payment], intent_id: str | None) -> UUID | None:
    """The payment of an intent; a legacy charge has none."""
    return payments[_required(payments, intent_id)].id if intent_id else None
