"""`StripePaymentService`: what a caller can do with a payment. Every write is three steps, see `attempts.service`."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from tallystick.attempts.errors import IdempotencyKeyExpired, OperationInProgress
from tallystick.attempts.models import SECRET_OF, Attempt, Settled
from tallystick.attempts.service import AttemptService
from tallystick.core.clock import Clock
from tallystick.core.errors import InvalidRequest, NotFound, Unavailable
from tallystick.core.ids import is_stripe_id, parse_uuid
from tallystick.core.pages import Page
from tallystick.customers.service import StripeCustomerService
from tallystick.payments.checks import check_amount_allowed, check_metadata, check_text
from tallystick.payments.errors import (
    AmountError,
    PaymentNotCancelable,
    PaymentNotCapturable,
    PaymentNotConfirmable,
    PaymentNotRefundable,
    RefundExceedsRemaining,
)
from tallystick.payments.models import ChargeRow, DisputeRow, Payment, RefundRow
from tallystick.payments.models_requests import (
    CancelRequest,
    CaptureRequest,
    ConfirmRequest,
    HistoryRequest,
    PaymentRequest,
    RefundRequest,
)
from tallystick.payments.repository import HistoryFilter, PaymentRepository
from tallystick.payments.repository_mirror import REFUNDS, cards_of
from tallystick.payments.service_drafts import EXPAND, Drafts
from tallystick.payments.service_refresh import PaymentRefresher
from tallystick.payments.states import FINAL
from tallystick.platform.auth import Actor
from tallystick.platform.database import Connection, Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service import StripeService

__all__ = ["StripePaymentService"]


class StripePaymentService:
    """Commands on payments, and reads of them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        stripe: StripeService,
        customers: StripeCustomerService,
        payments: PaymentRepository,
        attempts: AttemptService,
        refresher: PaymentRefresher,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._stripe = stripe
        self._customers = customers
        self._payments = payments
        self._attempts = attempts
        self._refresher = refresher
        self._drafts = Drafts(settings)

    # Commands

    async def create(self, actor: Actor, request: IdempotentRequest, wanted: PaymentRequest) -> Settled:
        """Create a payment, and charge it at once where `wanted.confirm`.

        Raises:
            AmountError, InvalidRequest: bad input; nothing was stored.
            PaymentDeclined, PaymentRejected, Unavailable: how the call to Stripe ended.
        """
        actor.require_write()
        check_amount_allowed(wanted.amount, wanted.currency, self._settings)
        check_text("description", wanted.description)
        check_metadata(wanted.metadata)
        if wanted.confirm and wanted.payment_method is None:
            raise InvalidRequest("To confirm at once, name a payment method.", field="payment_method")
        if wanted.off_session and not wanted.confirm:
            raise InvalidRequest("off_session goes with confirm.", field="off_session")
        customer = await self._customer(actor)
        payment_id = request.derive_id("payment", self._settings.installation_id)
        params = self._drafts.create_params(actor, wanted, customer, payment_id)

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            payment = self._drafts.payment(actor, wanted, customer, payment_id, self._clock.now())
            stored: dict[str, Any] = {"params": params, "revision": 0}
            if not await self._payments.insert(tx, payment):
                # This database has lost the request (it was restored), and was told of its payment since.
                payment = await self._locked(tx, payment_id)
                stored |= {"intent": payment.stripe_payment_intent_id, "revision": payment.revision}
            return await self._attempts.store(
                tx, request, key_id, "payment.create", stored, user_id=actor.user_id, subject_id=payment_id
            )

        return await self._attempts.execute(request, prepare)

    async def confirm(
        self, actor: Actor, payment_id: str, request: IdempotentRequest, wanted: ConfirmRequest
    ) -> Settled:
        """Try to charge a payment; after a failure again on the same intent.

        Raises:
            NotFound, PaymentNotConfirmable, OperationInProgress: nothing was sent.
        """
        payment = await self._writable(actor, payment_id)
        params: dict[str, Any] = {"return_url": wanted.return_url or self._drafts.return_url, "expand": EXPAND}
        if wanted.payment_method:
            params["payment_method"] = wanted.payment_method
        if wanted.off_session:
            params["off_session"] = True

        def check(row: Payment) -> None:
            if _is_over(row) or row.stripe_status == "requires_capture":
                raise PaymentNotConfirmable(f"The payment's status is {row.status}.", payment_status=row.status)

        return await self._operate(actor, payment, request, "payment.confirm", params, check)

    async def capture(
        self, actor: Actor, payment_id: str, request: IdempotentRequest, wanted: CaptureRequest
    ) -> Settled:
        """Capture an authorised payment, whole or in part; a part releases the rest.

        Raises:
            NotFound, PaymentNotCapturable, AmountError, OperationInProgress: nothing was sent.
        """
        payment = await self._writable(actor, payment_id)
        params: dict[str, Any] = {"expand": EXPAND}
        if wanted.amount is not None:
            params["amount_to_capture"] = wanted.amount

        def check(row: Payment) -> None:
            if _is_over(row):
                raise PaymentNotCapturable(f"The payment's status is {row.status}.", payment_status=row.status)
            if wanted.amount is not None and wanted.amount > (row.amount_capturable or row.amount):
                raise AmountError("More than was authorised cannot be captured.", field="amount")

        return await self._operate(actor, payment, request, "payment.capture", params, check)

    async def cancel(self, actor: Actor, payment_id: str, request: IdempotentRequest, wanted: CancelRequest) -> Settled:
        """Cancel a payment that has not succeeded; what it held is released.

        Raises:
            NotFound, PaymentNotCancelable, OperationInProgress: nothing was sent.
            ShopOnly: a buyer would release what is held.
        """
        payment = await self._writable(actor, payment_id)
        params = {} if wanted.reason is None else {"cancellation_reason": wanted.reason}

        def check(row: Payment) -> None:
            if row.stripe_status == "requires_capture":
                actor.require_shop("What is held")
            if _is_over(row):
                raise PaymentNotCancelable(f"The payment's status is {row.status}.", payment_status=row.status)

        return await self._operate(actor, payment, request, "payment.cancel", params, check)

    async def refund(self, actor: Actor, payment_id: str, request: IdempotentRequest, wanted: RefundRequest) -> Settled:
        """Refund a payment, whole or in part, several times up to what was captured.

        Raises:
            NotFound, PaymentNotRefundable, RefundExceedsRemaining, IdempotencyKeyExpired: nothing was sent.
        """
        payment = await self._writable(actor, payment_id)
        check_metadata(wanted.metadata)
        if payment.stripe_status != "succeeded" and payment.stripe_payment_intent_id:
            # Our record may lag behind a payment that the customer has just made: ask once before refusing.
            await self._refresher.refresh_intent(payment.stripe_payment_intent_id)
        refund_id = request.derive_id("refund", self._settings.installation_id)

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            row = await self._locked(tx, payment.id)
            refund = await REFUNDS.find(tx, refund_id)
            if refund is not None and (refund.payment_id != row.id or refund.stripe_refund_id is None):
                # The key was forgotten here, and another refund was asked for under it.
                raise IdempotencyKeyExpired(field="Idempotency-Key", refund_id=str(refund.id))
            if refund is None:
                amount = await self._refundable(tx, row, wanted.amount)
                refund = self._drafts.refund(row, refund_id, amount, wanted, self._clock.now())
                await REFUNDS.save(tx, [refund])
            # A refund that is known at Stripe is one of a lost request, as in `create`.
            params = self._drafts.refund_params(row, refund_id, refund.amount, wanted)
            stored = {"params": params, "refund": refund.stripe_refund_id}
            return await self._attempts.store(
                tx,
                request,
                key_id,
                "refund.create",
                stored,
                user_id=actor.user_id,
                subject_id=row.id,
                part_id=refund_id,
            )

        return await self._attempts.execute(request, prepare)

    # Reads

    async def get(self, actor: Actor, payment_id: str) -> Payment:
        """A payment that the actor may see; raises `NotFound`."""
        async with self._database.connection() as connection:
            payment = await self._payments.find(connection, _reference(payment_id), actor.owner)
        if payment is None:
            raise NotFound("There is no such payment.", field="id")
        return payment

    async def get_whole(
        self, actor: Actor, payment_id: str
    ) -> tuple[Payment, list[ChargeRow], list[RefundRow], list[DisputeRow]]:
        """The same with its charges, refunds and disputes, newest first."""
        async with self._database.connection() as connection:
            found = await self._payments.find_whole(connection, _reference(payment_id), actor.owner)
        if found is None:
            raise NotFound("There is no such payment.", field="id")
        payment, charges, refunds, disputes = found
        return payment, charges, [refund for refund in refunds if not refund.release], disputes

    async def history(self, actor: Actor, wanted: HistoryRequest) -> Page[Payment]:
        """A page of the payments that the actor may see, newest first; raises `InvalidRequest` for a bad cursor."""
        if wanted.starting_after and wanted.ending_before:
            raise InvalidRequest("starting_after and ending_before exclude each other.", field="ending_before")
        filters = HistoryFilter(
            owner=actor.owner,
            status=wanted.status,
            currency=wanted.currency,
            created_from=wanted.created_from,
            created_until=wanted.created_until,
        )
        async with self._database.connection() as connection:
            edges = []
            for field in ("starting_after", "ending_before"):
                cursor = getattr(wanted, field)
                edge = await self._payments.find(connection, _reference(cursor), actor.owner) if cursor else None
                if cursor and edge is None:
                    raise InvalidRequest("There is no such payment.", field=field)
                edges.append(edge)
            return await self._payments.history(
                connection, filters, limit=wanted.limit, after=edges[0], before=edges[1]
            )

    async def of_intents(self, connection: Connection, intent_ids: Sequence[str]) -> dict[str, Payment]:
        """The payments of these intents that are here, by intent; for other areas, in their transaction."""
        found = await self._payments.of_intents(connection, intent_ids) if intent_ids else []
        return {str(payment.stripe_payment_intent_id): payment for payment in found}

    async def cards_of(
        self, connection: Connection, payments: Sequence[Payment]
    ) -> dict[str, tuple[str | None, str | None]]:
        """Brand and last four digits of the card that was charged last, by payment intent."""
        cards = await cards_of(connection, [row.latest_charge_id for row in payments if row.latest_charge_id])
        found = {row.stripe_payment_intent_id: cards.get(row.latest_charge_id or "") for row in payments}
        return {intent_id: card for intent_id, card in found.items() if intent_id and card}

    async def reveal(self, settled: Settled) -> dict[str, Any]:
        """The body to answer with: a client secret, which is never stored, joins it (fetched again for a repeat)."""
        body = dict(settled.body)
        intent_id = body.pop(SECRET_OF, None)
        if intent_id is None:
            return body
        secrets = settled.secrets
        if secrets is None:
            try:
                intent = (await self._stripe.retrieve_payment_intent(intent_id)).value
            except GatewayError as error:
                raise Unavailable(retry_after_s=1) from error
            secrets = {"client_secret": intent.client_secret, "next_action": intent.next_action}
        return {**body, **secrets}

    async def _operate(
        self,
        actor: Actor,
        payment: Payment,
        request: IdempotentRequest,
        kind: str,
        params: dict[str, Any],
        check: Callable[[Payment], None],
    ) -> Settled:
        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            row = await self._locked(tx, payment.id)
            check(row)
            stored = {"intent": row.stripe_payment_intent_id, "params": params, "revision": row.revision}
            # One open confirm, capture or cancel per payment.
            return await self._attempts.store(
                tx,
                request,
                key_id,
                kind,
                stored,
                user_id=actor.user_id,
                subject_id=row.id,
                lock_key=f"payment:{row.id}",
            )

        return await self._attempts.execute(request, prepare)

    async def _locked(self, tx: Transaction, payment_id: UUID) -> Payment:
        row = await self._payments.lock(tx, payment_id)
        if row is None:
            raise NotFound("There is no such payment.", field="id")
        # One that was given up is not in progress any more; its status says what can be done with it.
        if row.stripe_payment_intent_id is None and row.status != "abandoned":
            raise OperationInProgress("The payment is still being created.", retry_after_s=1)
        return row

    async def _writable(self, actor: Actor, payment_id: str) -> Payment:
        actor.require_write()
        return await self.get(actor, payment_id)

    async def _customer(self, actor: Actor) -> str:
        try:
            return await self._customers.ensure_customer(actor.user_id)
        except GatewayError as error:
            # The customer's key makes a repeat safe, so nothing of the payment has begun.
            raise Unavailable(retry_after_s=1) from error

    async def _refundable(self, tx: Transaction, row: Payment, wanted: int | None) -> int:
        if row.stripe_status != "succeeded":
            raise PaymentNotRefundable(f"The payment's status is {row.status}.", payment_status=row.status)
        remaining = row.amount_received - await self._payments.reserved(tx, row.id)
        amount = remaining if wanted is None else wanted
        if amount <= 0 or amount > remaining:
            raise RefundExceedsRemaining(field="amount", remaining=max(remaining, 0), currency=row.currency)
        return amount


def _is_over(payment: Payment) -> bool:
    """Whether nothing can be done with it: it has ended at Stripe, or was given up before Stripe knew it."""
    return payment.stripe_status in FINAL or payment.status == "abandoned"


def _reference(text: str) -> UUID | str:
    """Our id or Stripe's, from a path or a cursor; what is neither is simply not found."""
    our_id = parse_uuid(text)
    if our_id is None and not is_stripe_id(text, "pi_"):
        raise NotFound("There is no such payment.", field="id")
    return our_id or text
