"""`SubscriptionRefresher`: subscriptions from Stripe, where the mirror is in doubt or late.

Stripe answers for a canceled subscription for ever. One that it does not know at all was of a test account that was
emptied, or of another account: its row stays as it is, and the log says so.
"""

import structlog

from tallystick.core.errors import Unavailable
from tallystick.customers.service_refresh import CustomerRefresher
from tallystick.platform.database import Database, Transaction
from tallystick.platform.work import Retry, WorkItem
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.fetching import fetching
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_billing import Subscription
from tallystick.stripe_gateway.ordering import fetched
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.models import TERMINAL, SubscriptionFacts, SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_record import SubscriptionRecorder
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["SubscriptionRefresher"]

log = structlog.get_logger()


class SubscriptionRefresher:
    """Fetches subscriptions, one by its id or all of a customer."""

    PREFIX = "sub_"

    def __init__(
        self,
        database: Database,
        stripe: StripeService,
        calls: SubscriptionCalls,
        subscriptions: SubscriptionRepository,
        recorder: SubscriptionRecorder,
        customers: CustomerRefresher,
        webhooks: StripeWebhookService,
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._calls = calls
        self._subscriptions = subscriptions
        self._recorder = recorder
        self._customers = customers
        self._webhooks = webhooks

    async def fetch(self, stripe_id: str) -> None:
        """Fetch a subscription in the background; raises `Retry` where that must be done again."""
        async with fetching(self._stripe, stripe_id):
            await self._refresh(stripe_id)
            row = await self._find(stripe_id)
            if row is not None and row.unsure:
                raise Retry("still in doubt", counted=False)

    async def refresh(self, stripe_id: str) -> None:
        """Fetch one while somebody waits; nothing changes where Stripe does not know it.

        Raises:
            Unavailable: Stripe is away.
        """
        try:
            await self._refresh(stripe_id)
        except GatewayRejected as error:
            if not error.missing:
                raise Unavailable(retry_after_s=1) from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error

    async def refresh_customer(self, customer_id: str) -> None:
        """Fetch all subscriptions of a customer while somebody waits, made elsewhere or not.

        Raises:
            Unavailable: Stripe is away.
        """
        async with self._database.connection() as connection:
            rows = await self._subscriptions.of_customer(connection, customer_id)
        known = {row.stripe_subscription_id: row for row in rows}
        try:
            for answer in await self._calls.of_customer(customer_id):
                row = known.get(answer.value.id)
                if row is None or row.status not in TERMINAL:
                    await self._record_with_customer(answer, row)
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error

    async def fetch_of_customer(self, item: WorkItem) -> None:
        """Fetch those subscriptions of a customer that are not over for us; raises `Retry`."""
        async with self._database.connection() as connection:
            rows = await self._subscriptions.of_customer(connection, item.payload["customer"])
        for row in rows:
            if row.status not in TERMINAL and row.stripe_subscription_id:
                await self.fetch(row.stripe_subscription_id)

    async def _refresh(self, stripe_id: str) -> None:
        # The revision is read before the call: the answer replaces the row only if nothing moved it meanwhile.
        row = await self._find(stripe_id)
        await self._record_with_customer(await self._calls.retrieve(stripe_id), row)

    async def _record_with_customer(self, answer: Answer[Subscription], row: SubscriptionRow | None) -> None:
        try:
            await self._record(answer, row)
        except ParentMissing as missing:
            await self._customers.refresh(missing.parent_id)
            await self._record(answer, row)

    async def _record(self, answer: Answer[Subscription], row: SubscriptionRow | None) -> None:
        value = answer.value
        source = fetched(answer.at or value.created, row)

        async def record(tx: Transaction) -> None:
            facts = await self._webhooks.redacted(tx, [SubscriptionFacts(value, source)])
            await self._recorder.record(tx, facts)
            await self._webhooks.record_applied(
                tx,
                event_type="subscription.fetched",
                object_id=value.id,
                object_key=value.id,
                obj=answer.raw,
                at=source.at,
            )

        await self._database.run(record)

    async def _find(self, stripe_id: str) -> SubscriptionRow | None:
        async with self._database.connection() as connection:
            return await self._subscriptions.find(connection, stripe_id)
