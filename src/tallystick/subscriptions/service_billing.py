"""`BillingRecorder`: invoices into the mirror, and what their changes do to access, mails and outbound facts.

Whatever records invoices (webhooks, fetches, answers of commands) goes through it, in its own transaction.
"""

from collections.abc import Sequence
from datetime import datetime

from tallystick.invoices.models import InvoiceChange, InvoiceFacts, InvoicePaymentFacts
from tallystick.invoices.service_record import InvoiceRecorder
from tallystick.platform.database import Transaction
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_access import AccessKeeper
from tallystick.subscriptions.service_invoice_facts import InvoiceTeller
from tallystick.subscriptions.service_invoice_mails import InvoiceMails
from tallystick.webhooks.errors import ParentMissing

__all__ = ["BillingRecorder"]

_UPCOMING = "invoice.upcoming"


class BillingRecorder:
    """Applies invoices with all that hangs on them."""

    def __init__(
        self,
        invoices: InvoiceRecorder,
        subscriptions: SubscriptionRepository,
        access: AccessKeeper,
        mails: InvoiceMails,
        teller: InvoiceTeller,
    ) -> None:
        self._invoices = invoices
        self._subscriptions = subscriptions
        self._access = access
        self._mails = mails
        self._teller = teller

    async def record(self, tx: Transaction, facts: Sequence[InvoiceFacts | InvoicePaymentFacts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing.

        Raises:
            ParentMissing: a customer or subscription that is not here yet, or the invoice of a payment.
        """
        # The preview of a renewal is no invoice: it only tells that one is near.
        upcoming = [f for f in facts if isinstance(f, InvoiceFacts) and f.source.event_type == _UPCOMING]
        changes = await self._invoices.record(tx, [fact for fact in facts if fact not in upcoming])
        subscriptions = await self._lock(tx, changes, upcoming)
        await self._settle(tx, changes, subscriptions)
        await self._mails.queue(tx, changes, subscriptions)
        await self._teller.record(tx, changes, subscriptions)
        if upcoming:
            await self._teller.record_upcoming(tx, upcoming, subscriptions)

    async def _lock(
        self, tx: Transaction, changes: Sequence[InvoiceChange], upcoming: Sequence[InvoiceFacts]
    ) -> dict[str, SubscriptionRow]:
        """The subscriptions of these invoices, by Stripe's id."""
        wanted = {change.new.stripe_subscription_id for change in changes}
        ids = sorted({id_ for id_ in wanted | {fact.value.subscription for fact in upcoming} if id_})
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
            if change.new == change.old or change.new.stripe_subscription_id is None:
                continue
            at, stripe_id = change.fact.source.at, change.new.stripe_subscription_id
            moved[stripe_id] = max(moved.get(stripe_id, at), at)
        for stripe_id in sorted(moved):
            await self._access.settle(tx, [subscriptions[stripe_id]], moved[stripe_id])
