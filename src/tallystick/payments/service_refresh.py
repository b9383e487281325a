"""`PaymentRefresher`: bring rows up to date by asking Stripe, where events left a doubt or are late.

The row's revision is read before the call, and the fetched state replaces the row's only if nothing moved it
meanwhile. What was fetched is kept in the inbox, so that the mirror can be rebuilt from there alone.
"""

from typing import TypeAlias, TypeVar

from tallystick.core.errors import Unavailable
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
from tallystick.payments.service_record import PaymentRecorder
from tallystick.platform.database import Database, Transaction
from tallystick.platform.work import Retry
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.fetching import fetching
from tallystick.stripe_gateway.objects import Answer, Charge, Dispute, PaymentIntent, Refund
from tallystick.stripe_gateway.ordering import Source, fetched
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["PaymentRefresher"]

Object = TypeVar("Object", PaymentIntent, Charge, Refund, Dispute)
_Row: TypeAlias = Payment | ChargeRow | RefundRow | DisputeRow


class PaymentRefresher:
    """Fetches payment intents, charges, refunds and disputes."""

    PREFIXES = ("pi_", "ch_", "py_", "re_", "pyr_", "du_", "dp_")

    def __init__(
        self,
        database: Database,
        stripe: StripeService,
        payments: PaymentRepository,
        recorder: PaymentRecorder,
        webhooks: StripeWebhookService,
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._payments = payments
        self._recorder = recorder
        self._webhooks = webhooks

    async def fetch(self, object_id: str) -> None:
        """Fetch an object in the background.

        Raises:
            Retry: Stripe is away, or the row was moved meanwhile and is still in doubt.
        """
        async with fetching(self._stripe, object_id):
            if not await self._refresh_whole(object_id):
                raise Retry("still in doubt", counted=False)

    async def refresh_intent(self, intent_id: str) -> None:
        """Fetch one payment intent while somebody waits; raises `Unavailable`."""
        try:
            await self._refresh(intent_id)
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error

    async def _refresh_whole(self, object_id: str) -> bool:
        """Refresh an object, after the payment intent that it hangs on if that is not here."""
        try:
            return await self._refresh(object_id)
        except ParentMissing as missing:
            await self._refresh(missing.parent_id)
        return await self._refresh(object_id)

    async def _refresh(self, object_id: str) -> bool:
        prefix = object_id.split("_", 1)[0]
        row = await self._find(object_id)
        if prefix == "pi":
            intent = await self._stripe.retrieve_payment_intent(object_id)
            await self._record(IntentFacts(intent.value, _source(intent, row)), intent)
        elif prefix in ("ch", "py"):
            charge = await self._stripe.retrieve_charge(object_id)
            await self._record(ChargeFacts(charge.value, _source(charge, row)), charge)
        elif prefix in ("re", "pyr"):
            refund = await self._stripe.retrieve_refund(object_id)
            await self._record(RefundFacts(refund.value, _source(refund, row)), refund)
        else:
            dispute = await self._stripe.retrieve_dispute(object_id)
            await self._record(DisputeFacts(dispute.value, _source(dispute, row)), dispute)
        row = await self._find(object_id)
        return row is not None and not row.unsure

    async def _record(self, fact: Facts, answer: Answer[Object]) -> None:
        kind, object_id = str(answer.raw.get("object", "object")), fact.value.id
        intent_id = fact.value.id if isinstance(fact, IntentFacts) else fact.value.payment_intent

        async def record(tx: Transaction) -> None:
            await self._recorder.record(tx, await self._webhooks.redacted(tx, [fact]))
            await self._webhooks.record_applied(
                tx,
                event_type=f"{kind}.fetched",
                object_id=object_id,
                object_key=intent_id if isinstance(intent_id, str) else object_id,
                obj=answer.raw,
                at=fact.source.at,
            )

        await self._database.run(record)

    async def _find(self, object_id: str) -> _Row | None:
        """The row that mirrors an object."""
        prefix = object_id.split("_", 1)[0]
        async with self._database.connection() as connection:
            if prefix == "pi":
                return await self._payments.find(connection, object_id, None)
            if prefix in ("ch", "py"):
                return await CHARGES.find(connection, object_id)
            if prefix in ("re", "pyr"):
                return await REFUNDS.find(connection, object_id)
            return await DISPUTES.find(connection, object_id)


def _source(answer: Answer[Object], row: _Row | None) -> Source:
    return fetched(answer.at or answer.value.created, row)
