"""`CustomerRefresher`: one customer or payment method from Stripe, where the mirror is in doubt or late."""

from msgspec import Struct

from tallystick.core.clock import Clock
from tallystick.core.errors import Unavailable
from tallystick.customers.models import CustomerFacts, CustomerRow, Facts, MethodFacts, MethodRow
from tallystick.customers.repository import CustomerRepository
from tallystick.customers.service_record import CustomerRecorder
from tallystick.platform.database import Database, Transaction
from tallystick.platform.work import Retry
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.fetching import fetching
from tallystick.stripe_gateway.objects import Answer, Customer
from tallystick.stripe_gateway.ordering import fetched
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["CustomerRefresher", "retrieve_customer"]


async def retrieve_customer(stripe: StripeService, customer_id: str) -> Answer[Customer]:
    """A customer as it is now; one that Stripe does not know at all counts as deleted."""
    try:
        return await stripe.retrieve_customer(customer_id)
    except GatewayRejected as error:
        if not error.missing:
            raise
        stub = {"id": customer_id, "object": "customer", "deleted": True}
        return Answer(Customer(id=customer_id, metadata={}, deleted=True), error.at, error.request_id, stub)


class _Fetched(Struct, frozen=True):
    kind: str
    raw: dict[str, object]
    fact: Facts


class CustomerRefresher:
    """Fetches customers and payment methods."""

    PREFIXES = ("cus_", "pm_")

    def __init__(
        self,
        database: Database,
        clock: Clock,
        stripe: StripeService,
        repository: CustomerRepository,
        recorder: CustomerRecorder,
        webhooks: StripeWebhookService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._stripe = stripe
        self._repository = repository
        self._recorder = recorder
        self._webhooks = webhooks

    async def fetch(self, object_id: str) -> None:
        """Fetch an object in the background; raises `Retry` where that must be done again."""
        async with fetching(self._stripe, object_id):
            await self._refresh(object_id)
            row = await self._find(object_id)
            if row is not None and row.unsure:
                raise Retry("still in doubt", counted=False)

    async def refresh(self, object_id: str) -> None:
        """Fetch one object while somebody waits; nothing changes where Stripe does not know it.

        Raises:
            Unavailable: Stripe is away.
        """
        try:
            await self._refresh(object_id)
        except GatewayRejected as error:
            if not error.missing:
                raise Unavailable(retry_after_s=1) from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error

    async def _refresh(self, object_id: str) -> None:
        # The revision is read before the call: the answer replaces the row only if nothing moved it meanwhile.
        row = await self._find(object_id)
        if object_id.startswith("cus_"):
            found = await self._customer(object_id, row)
        else:
            found = await self._method(object_id, row)

        async def record(tx: Transaction) -> None:
            await self._recorder.record(tx, await self._webhooks.redacted(tx, [found.fact]))
            await self._webhooks.record_applied(
                tx,
                event_type=f"{found.kind}.fetched",
                object_id=object_id,
                object_key=object_id,
                obj=found.raw,
                at=found.fact.source.at,
            )

        await self._database.run(record)

    async def _customer(self, customer_id: str, row: CustomerRow | MethodRow | None) -> _Fetched:
        answer = await retrieve_customer(self._stripe, customer_id)
        at = answer.at or answer.value.created or self._clock.now()
        return _Fetched("customer", answer.raw, CustomerFacts(answer.value, fetched(at, row)))

    async def _method(self, method_id: str, row: CustomerRow | MethodRow | None) -> _Fetched:
        answer = await self._stripe.retrieve_payment_method(method_id)
        source = fetched(answer.at or answer.value.created, row)
        return _Fetched("payment_method", answer.raw, MethodFacts(answer.value, source))

    async def _find(self, object_id: str) -> CustomerRow | MethodRow | None:
        async with self._database.connection() as connection:
            if object_id.startswith("cus_"):
                return await self._repository.find(connection, object_id)
            return await self._repository.find_method(connection, object_id)
