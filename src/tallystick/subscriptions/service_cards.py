"""`CardKeeper`: customers whose card runs out before their subscription does are told, thirty days before.

A work item waits for each card and expiry, queued when the subscription is recorded or the customer's way to pay has
changed; whether it still holds is looked at when it is due, and again when the mail is sent.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tallystick.core.clock import Clock
from tallystick.customers.models import MethodRow
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.models import InvoiceRow
from tallystick.notifications.silence import is_silent
from tallystick.platform.database import Connection, Database, Transaction
from tallystick.platform.work import WorkItem, enqueue
from tallystick.subscriptions.models import SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_mails import Draft, SubscriptionMails

__all__ = ["CARD_EXPIRING", "CARD_WORK", "CardKeeper", "expiry_of"]

CARD_WORK = "card.expiring"
CARD_EXPIRING = "card_expiring"
_NOTICE = timedelta(days=30)
_METHOD_COMES = timedelta(hours=1)
_RENEWS = frozenset({"trialing", "active", "past_due"})


class CardKeeper:
    """Plans the mails about cards that expire, and queues them when they are due."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        repository: SubscriptionRepository,
        customers: StripeCustomerService,
        mails: SubscriptionMails,
    ) -> None:
        self._database = database
        self._clock = clock
        self._repository = repository
        self._customers = customers
        self._mails = mails

    async def plan(self, tx: Transaction, row: SubscriptionRow, unpaid: Sequence[InvoiceRow]) -> None:
        """Look at a subscription's card thirty days before it expires, or soon where the card is not here yet."""
        planned = await self._planned(tx, row)
        # The moment at which the customer should have been told was not ours; the next renewal looks again.
        missed = planned is not None and planned[1] <= self._clock.now() and is_silent()
        if planned is not None and not missed:
            await self._queue(tx, row, *planned)

    async def _planned(self, tx: Transaction, row: SubscriptionRow) -> tuple[str, datetime] | None:
        """Under which business key a subscription's card is to be looked at, and when."""
        if row.user_id is None or row.status not in _RENEWS:
            return None
        method = await self._customers.method_of(tx, row.stripe_customer_id, row.default_payment_method)
        now = self._clock.now()
        if method is None:
            missing = row.default_payment_method
            return (_key(row, missing), now + _METHOD_COMES) if missing else None
        expiry = expiry_of(method)
        if expiry is None or now >= expiry or not _renews_after(row, expiry):
            return None
        return _key(row, f"{method.stripe_payment_method_id}:{expiry:%Y-%m}"), expiry - _NOTICE

    async def _queue(self, tx: Transaction, row: SubscriptionRow, key: str, due_at: datetime) -> None:
        await enqueue(tx, CARD_WORK, key, {"subscription": str(row.id)}, due_at=due_at)

    async def due(self, item: WorkItem) -> datetime | None:
        """Queue the mail, unless the card was replaced or renewed meanwhile, or the subscription ends before.

        Answers when to look again where this was too early.
        """

        async def look(tx: Transaction) -> datetime | None:
            row = await self._repository.lock(tx, UUID(item.payload["subscription"]))
            if row is None:
                return None
            method = await self._expiring(tx, row)
            if method is not None:
                await self._mails.queue(tx, [_draft(row, method)])
                return None
            planned = await self._planned(tx, row)
            if planned is None:
                return None
            key, due_at = planned
            if key != item.business_key:
                await self._queue(tx, row, key, due_at)
                return None
            # A card that is not here an hour later is not waited for.
            return due_at if key != _key(row, row.default_payment_method) else None

        return await self._database.run(look)

    async def _expiring(self, connection: Connection, row: SubscriptionRow) -> MethodRow | None:
        """The card that a subscription is paid with, where it expires within thirty days and a renewal comes after."""
        if row.status not in _RENEWS:
            return None
        method = await self._customers.method_of(connection, row.stripe_customer_id, row.default_payment_method)
        expiry = expiry_of(method) if method else None
        if expiry is None or not _renews_after(row, expiry):
            return None
        return method if expiry - _NOTICE <= self._clock.now() < expiry else None

    async def still_expires(self, context: Mapping[str, Any]) -> bool:
        """The mail is pointless once another card is charged, or the same one lives longer."""
        async with self._database.connection() as connection:
            row = await self._repository.find(connection, UUID(context["subscription_id"]))
            method = await self._expiring(connection, row) if row else None
        if method is None or method.stripe_payment_method_id != context["payment_method"]:
            return False
        return (method.card_exp_month, method.card_exp_year) == (context["exp_month"], context["exp_year"])


def _key(row: SubscriptionRow, what: str | None) -> str:
    return f"{CARD_WORK}:{row.id}:{what}"


def _draft(row: SubscriptionRow, method: MethodRow) -> Draft:
    context = {
        "card_brand": method.card_brand,
        "card_last4": method.card_last4,
        "exp_month": method.card_exp_month,
        "exp_year": method.card_exp_year,
        "payment_method": method.stripe_payment_method_id,
    }
    key = f"{CARD_EXPIRING}:{method.stripe_payment_method_id}:{method.card_exp_year}-{method.card_exp_month}"
    return Draft(row, key, CARD_EXPIRING, context, None)


def expiry_of(method: MethodRow) -> datetime | None:
    """The first moment at which a card is not valid any more: the month after the one that is printed on it."""
    if not method.card_exp_month or not method.card_exp_year:
        return None
    years, month = divmod(method.card_exp_month, 12)
    return datetime(method.card_exp_year + years, month + 1, 1, tzinfo=UTC)


def _renews_after(row: SubscriptionRow, expiry: datetime) -> bool:
    """Whether a subscription will be charged once the card has expired: it does not end before."""
    if row.cancel_at is not None:
        return row.cancel_at > expiry
    return not row.cancel_at_period_end
