"""`BillingRecorder`: invoices into the mirror, and what their changes do to access, mails and outbound facts.

Whatever records invoices (webhooks, fetches, answers of commands) goes through it, in its own transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.invoices.models import InvoiceChange, InvoiceFacts, InvoicePaymentFacts
from tallystick.invoices.service_record import InvoiceRecorder
from tallystick.notifications.alerts import queue_alert
from tallystick.platform.database import Transaction
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_access import AccessKeeper
from tallystick.subscriptions.service_invoice_facts import InvoiceTeller
from tallystick.subscriptions.service_invoice_failures import InvoiceFailures
from tallystick.subscriptions.service_invoice_mails import InvoiceMails
from tallystick.webhooks.errors import ParentMissing

__all__ = ["BillingRecorder"]

_UPCOMING = "invoice.upcoming"
_NOT_FINALIZED = "invoice.finalization_failed"


class BillingRecorder:
    """Applies invoices with all that hangs on them."""

    def __init__(
        self,
        clock: Clock,
        invoices: InvoiceRecorder,
        subscriptions: SubscriptionRepository,
        access: AccessKeeper,
        failures: InvoiceFailures,
        mails: InvoiceMails,
        teller: InvoiceTeller,
    ) -> None:
        self._clock = clock
        self._invoices = invoices
        self._subscriptions = subscriptions
        self._access = access
        self._failures = failures
        self._mails = mails
        self._teller = teller

    async def record(self, tx: Transaction, facts: Sequence[InvoiceFacts | InvoicePaymentFacts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing.

        Raises:
            ParentMissing: a customer or subscription that is not here yet, or the invoice of a payment.
        """
        # Before the invoices, as everybody locks them.
        subscriptions = await self._lock(tx, [fact for fact in facts if isinstance(fact, InvoiceFacts)])
        # The preview of a renewal is no invoice: it only tells that one is near.
        upcoming = [fact for fact in facts if isinstance(fact, InvoiceFacts) and _previews(fact)]
        changes = await self._invoices.record(tx, [fact for fact in facts if not _previews(fact)])
        await self._settle(tx, changes, subscriptions)
        await self._tell(tx, await self._failures.put_off(tx, changes), subscriptions)
        if upcoming:
            await self._teller.record_upcoming(tx, upcoming, subscriptions)
        await self._alert(tx, changes)

    async def claim(self, tx: Transaction, stripe_customer_id: str, user_id: UUID) -> None:
        """Give a customer's subscriptions and invoices that were nobody's to a user, with the access they grant."""
        found = await self._subscriptions.of_customer(tx, stripe_customer_id)
        unclaimed = [str(row.stripe_subscription_id) for row in found if row.user_id is None]
        now = self._clock.now()
        locked = await self._subscriptions.lock_many(tx, unclaimed) if unclaimed else []
        rows = [replace(row, user_id=user_id, updated_at=now) for row in locked]
        await self._subscriptions.save(tx, rows)
        await self._invoices.claim(tx, stripe_customer_id, user_id)
        await self._access.settle(tx, rows, now)

    async def tell_failure(self, tx: Transaction, fact: InvoiceFacts) -> None:
        """Tell of a failure that was recorded before and put off until its reason was known."""
        subscriptions = await self._lock(tx, [fact])
        await self._tell(tx, await self._invoices.record(tx, [fact]), subscriptions)

    async def _tell(
        self, tx: Transaction, changes: Sequence[InvoiceChange], subscriptions: dict[str, SubscriptionRow]
    ) -> None:
        await self._mails.queue(tx, changes, subscriptions)
        await self._teller.record(tx, changes, subscriptions)

    async def _alert(self, tx: Transaction, changes: Sequence[InvoiceChange]) -> None:
        """An invoice that Stripe cannot finalise is money that nobody asks for, and no customer can mend it."""
        for change in changes:
            if change.fact.source.event_type == _NOT_FINALIZED:
                row = change.new
                payload = {
                    "invoice": row.stripe_invoice_id,
                    "customer": row.stripe_customer_id,
                    "subscription": row.stripe_subscription_id,
                    "amount": row.total,
                    "currency": row.currency,
                }
                about = row.stripe_invoice_id
                await queue_alert(tx, "invoice_not_finalized", about, payload, due_at=self._clock.now())

    async def _lock(self, tx: Transaction, facts: Sequence[InvoiceFacts]) -> dict[str, SubscriptionRow]:
        """The subscriptions of these invoices, by Stripe's id."""
        ids = sorted({fact.value.subscription for fact in facts if fact.value.subscription})
        rows = await self._subscriptions.lock_many(tx, ids) if ids else []
        found = {str(row.stripe_subscription_id): row for row in rows}
        for stripe_id in ids:
            if stripe_id not in found:
                raise ParentMissing(stripe_id)
        return found

    async def _settle(
        self, tx: Transaction, changes: Sequence[InvoiceChange], subscriptions: dict[str, SubscriptionRow]
    ) -> None:
        """Access follows what is unpaid, and since when."""
        moved: dict[str, datetime] = {}
        for change in changes:
            at, stripe_id = change.fact.source.at, change.fact.value.subscription
            if change.new != change.old and stripe_id is not None:
                moved[stripe_id] = max(moved.get(stripe_id, at), at)
        for stripe_id in sorted(moved):
            await self._access.settle(tx, [subscriptions[stripe_id]], moved[stripe_id])


def _previews(fact: InvoiceFacts | InvoicePaymentFacts) -> bool:
    return fact.source.event_type == _UPCOMING
