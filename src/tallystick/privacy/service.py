"""`ErasureService`: removes what tells who a user was, and keeps what law and Stripe require.

(1) One transaction notes the erasure and all ids of the person, and gives the person a pseudonym: who comes back under
the old id is somebody new. (2) At Stripe, by the same commands and attempts as ever: what is unpaid is canceled, and
the customer is marked and deleted. (3) Row by row, in small transactions that each note how far they came, the rest is
redacted. A process that dies leaves the next one to go on; the work item that step 1 queued sees to it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from tallystick.attempts.models import Settled
from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, NotFound, Unavailable
from tallystick.core.ids import parse_uuid
from tallystick.customers.service import StripeCustomerService
from tallystick.customers.service_commands import CustomerCommands
from tallystick.notifications.alerts import queue_alert
from tallystick.payments.models_requests import CancelRequest as CancelPayment
from tallystick.payments.service import StripePaymentService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.platform.work import Retry, WorkItem, enqueue
from tallystick.privacy.errors import ErasureRefused, UserNotFound
from tallystick.privacy.models import Erasure, Person, Standing
from tallystick.privacy.redaction import META_ERASED
from tallystick.privacy.repository import ErasureRepository
from tallystick.privacy.service_walk import ErasureWalk
from tallystick.subscriptions.models_requests import CancelRequest as CancelSubscription
from tallystick.subscriptions.service import StripeSubscriptionService

__all__ = ["ERASE_WORK", "RESTORED_WORK", "ErasureService", "pseudonym_of"]

log = structlog.get_logger()

ERASE_WORK = "privacy.erase"
RESTORED_WORK = "privacy.restored"
"""A customer at Stripe bears the mark of an erasure that this database knows nothing of. The payload: `customer`."""

_AGAIN = timedelta(seconds=5)


class ErasureService:
    """Erases users, each once; any number of processes may be at it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        customers: StripeCustomerService,
        commands: CustomerCommands,
        payments: StripePaymentService,
        subscriptions: StripeSubscriptionService,
        walk: ErasureWalk,
    ) -> None:
        self._database = database
        self._clock = clock
        self._customers = customers
        self._commands = commands
        self._payments = payments
        self._subscriptions = subscriptions
        self._walk = walk
        self._repository = ErasureRepository()

    # Reads

    async def person(self, user: str, *, ours: bool = True) -> Person:
        """A user by the host application's id or, with `ours`, by our own; raises `UserNotFound`."""
        async with self._database.connection() as connection:
            found = await self._repository.person(connection, user)
            if found is None and ours and (user_id := parse_uuid(user)):
                found = await self._repository.person(connection, user_id)
        if found is None:
            raise UserNotFound(field="id")
        return found

    async def erasure_of(self, person: Person) -> Erasure:
        """How far the erasure of a person has come; raises `NotFound` where there is none."""
        async with self._database.connection() as connection:
            found = await self._repository.of_user(connection, person.id)
        if found is None:
            raise NotFound("This user has not been erased.", field="id")
        return found

    async def preview(self, person: Person, *, cancel_subscriptions: bool) -> tuple[Standing, dict[str, int]]:
        """What of a person would be ended, and what kept; raises `ErasureRefused` where something stands in the way."""
        async with self._database.connection() as connection:
            standing = await self._repository.standing(connection, person.id)
            kept = await self._repository.kept(connection, person.id, None)
        _refuse(standing, cancel=cancel_subscriptions)
        return standing, kept

    # Commands

    async def begin(self, person: Person, by: str, *, cancel_subscriptions: bool) -> Erasure:
        """Begin to erase a person, or tell how far that has come; the worker does the rest.

        `by` is who asks, as the audit log names them. Raises `ErasureRefused`; nothing has changed then.
        """

        async def begin(tx: Transaction) -> Erasure:
            known = await self._repository.lock_person(tx, person.id)
            if erasure := await self._repository.of_user(tx, person.id):
                if erasure.state == "open":
                    await self._queue(tx, person.id)
                return erasure
            _refuse(await self._repository.standing(tx, person.id), cancel=cancel_subscriptions)
            erasure = await self._repository.begin(
                tx,
                known,
                by,
                cancel=cancel_subscriptions,
                pseudonym=pseudonym_of(person.id),
                wall=self._clock.wall(),
            )
            await self._queue(tx, person.id)
            return erasure

        erasure = await self._database.run(begin)
        self._customers.forget(person.external_id)
        log.info("erasure.begun", erasure=str(erasure.id))
        return erasure

    async def carry_out(self, erasure: Erasure) -> Erasure:
        """Do what is left of an erasure; raises `Retry` where Stripe has to be asked again later."""
        if erasure.step == "stripe":
            await self._end_at_stripe(erasure)
            async with self._database.transaction() as tx:
                await self._repository.wait_for_events(tx)
                erasure = await self._repository.lock(tx, erasure.id)
                if erasure.step == "stripe":
                    await self._repository.advance(tx, erasure, step="places", wall=self._clock.wall())
        await self._walk.run(erasure.id)
        async with self._database.transaction() as tx:
            return await self._repository.lock(tx, erasure.id)

    async def erase_due(self, item: WorkItem) -> None:
        """A work item of an erasure; raises `Retry`. Staff are told when it is given up: nobody else looks after it."""
        async with self._database.connection() as connection:
            erasure = await self._repository.of_user(connection, UUID(item.payload["user_id"]))
        if erasure is None or erasure.state != "open":
            return
        try:
            await self.carry_out(erasure)
        except Retry as retry:
            if retry.counted and item.last_try:
                user = str(erasure.user_id)
                async with self._database.transaction() as tx:
                    facts = {"user": user, "error": str(retry)}
                    await queue_alert(tx, "erasure_stuck", user, facts, due_at=self._clock.now())
            raise

    async def restored(self, item: WorkItem) -> None:
        """Erase again whom an older database does not know to be erased; raises `Retry` while something is open."""
        async with self._database.connection() as connection:
            user_id = await self._repository.person_of(connection, item.payload["customer"])
            person = await self._repository.person(connection, user_id) if user_id else None
        if person is None or person.erased_at is not None:
            return
        try:
            await self.begin(person, "system:restored", cancel_subscriptions=True)
        except ErasureRefused as error:
            raise Retry(error.code, after=timedelta(minutes=1), counted=False) from error

    async def _queue(self, tx: Transaction, user_id: UUID) -> None:
        key = f"{ERASE_WORK}:{user_id}"
        await enqueue(tx, ERASE_WORK, key, {"user_id": str(user_id)}, due_at=self._clock.now())

    # At Stripe

    async def _end_at_stripe(self, erasure: Erasure) -> None:
        actor = Actor(erasure.user_id, erasure.requested_by.partition(":")[2], frozenset({"admin"}))
        async with self._database.connection() as connection:
            standing = await self._repository.standing(connection, erasure.user_id)
        for subscription_id in standing.subscriptions if erasure.cancel_subscriptions else ():
            request = _request(erasure, "end", subscription_id)
            wanted_end = CancelSubscription(when="now")
            await _settle(self._subscriptions.cancel(actor, str(subscription_id), request, wanted_end))
        for payment_id in standing.unpaid:
            request = _request(erasure, "cancel", payment_id)
            wanted = CancelPayment(reason="requested_by_customer")
            await _settle(self._payments.cancel(actor, str(payment_id), request, wanted))
        async with self._database.connection() as connection:
            customers = await self._repository.customers(connection, erasure.user_id)
        for customer in customers:
            marked = _request(erasure, "mark", customer)
            await _settle(self._commands.mark_erased(actor, customer, marked, META_ERASED))
            await _settle(self._commands.delete(actor, customer, _request(erasure, "delete", customer)))


def pseudonym_of(user_id: UUID) -> str:
    """What stands for the host application's id of an erased user."""
    return f"erased:{user_id}"


def _request(erasure: Erasure, what: str, about: UUID | str) -> IdempotentRequest:
    return IdempotentRequest(f"erasure:{erasure.id}", f"{what}:{about}", f"erase {what}", {})


async def _settle(work: Any) -> None:
    """Wait for a command's outcome; one that is not known yet, and Stripe's absence, are asked again later."""
    try:
        settled: Settled = await work
    except NotFound:
        return
    except Unavailable as error:
        raise Retry("Stripe is away", after=_AGAIN, counted=False) from error
    except DomainError as error:
        raise Retry(error.code, after=_AGAIN) from error
    if settled.status == 202:
        raise Retry("the outcome is not known yet", after=_AGAIN, counted=False)
    code = settled.body.get("code")
    if settled.status >= 400 and code not in ("CUSTOMER_DELETED", "NOT_FOUND"):
        # Its answer is stored under its key: what refuses has to be looked at by a person.
        raise Retry(str(code), after=_AGAIN)


def _refuse(standing: Standing, *, cancel: bool) -> None:
    """Raise `ErasureRefused`, naming what to do first."""
    steps: list[tuple[Sequence[UUID], str, str]] = [
        ([] if cancel else standing.subscriptions, "subscriptions", "End it, or erase with cancel_subscriptions."),
        (standing.open, "payments", "Capture or cancel the payment, or wait until it is through."),
        (standing.disputes, "disputes", "Wait until the dispute is decided: what it turns on is needed as evidence."),
        (standing.attempts, "attempts", "A request of this user is still under way; try again in a minute."),
    ]  # fmt: skip
    for found, name, action in steps:
        if found:
            ids: dict[str, Any] = {name: [str(one) for one in found[:10]]}
            raise ErasureRefused(
                f"{len(found)} of this user's {name} {'is' if len(found) == 1 else 'are'} not over.",
                action=action,
                **ids,
            )
