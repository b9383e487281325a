"""`AttemptService`: the three steps of a write to Stripe, and settling what nobody knows.

(1) One transaction claims the idempotency key and stores the attempt. (2) It is sent, with no transaction open.
(3) One transaction records its outcome and stores the answer. An attempt left behind by a crash, or whose outcome is
unknown, is repeated with the same key for ten minutes, and after that only looked for. It is given up by a look that
began when nothing could leave any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, TypeAlias, TypeGuard
from uuid import UUID

import asyncpg
import structlog

from tallystick.attempts.errors import AttemptAbandoned, IdempotencyKeyExpired, OperationInProgress
from tallystick.attempts.models import SECRET_OF, Attempt, Operation, Settled, attempt_view
from tallystick.attempts.repository import AttemptRepository
from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, Unavailable, problem
from tallystick.core.ids import new_id
from tallystick.platform import idempotency
from tallystick.platform.database import WEATHER, Database, Transaction, is_weather
from tallystick.platform.idempotency import Claimed, IdempotentRequest, InProgress, KeyInProgress, StoredAnswer
from tallystick.platform.tracing import here, span
from tallystick.platform.work import backoff, pause
from tallystick.stripe_gateway.errors import (
    GatewayDeclined,
    GatewayError,
    GatewayKeyUsed,
    GatewayOutcomeUnknown,
    GatewayRejected,
    GatewayUnavailable,
)
from tallystick.stripe_gateway.leaving import leaving_while
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.service import StripeService

__all__ = ["AttemptService", "Prepare"]

log = structlog.get_logger()

REPEAT_WITHIN = timedelta(minutes=10)
# With the tries of a call and its turn in the rate budget; far less than the day for which Stripe keeps a key.
_LEAVE_WITHIN = timedelta(minutes=11)
# Whoever stood still on the way to the line sends nothing any more, what is on the line has arrived, and clocks may
# differ. Less than the quarter of an hour for which reconcile takes an attempt for being under way.
GIVE_UP_AFTER = timedelta(minutes=14)
_STRIPE_KEY = "tallystick-"
_STRIPE_KEY_LENGTH = len(_STRIPE_KEY) + 64
_WAIT_S = 10.0
_WAIT_POLL_S = 0.1
# Less than the ten seconds by which a lease outlives the longest call.
_INSIST_S = 8.0
_INSIST_POLL_S = 0.2
_POLL_S = 2.0
_BATCH = 8

Prepare: TypeAlias = Callable[[Transaction, UUID], Awaitable[Attempt]]
"""Step 1 inside the claiming transaction: check, lock, and store an attempt for the key of this id."""
Outcome: TypeAlias = Answer[Any] | GatewayError


class AttemptService:
    """Executes attempts for requests, and settles those that requests left behind."""

    def __init__(self, database: Database, clock: Clock, stripe: StripeService, installation_id: str) -> None:
        self._database = database
        self._clock = clock
        self._stripe = stripe
        self._installation = installation_id
        self._repository = AttemptRepository()
        self._operations: dict[str, Operation] = {}

    def register(self, kinds: Mapping[str, Operation]) -> None:
        """Let attempts of these kinds be made; a second operation for a kind is a ValueError."""
        if taken := self._operations.keys() & kinds.keys():
            raise ValueError(f"there is an operation for {', '.join(sorted(taken))} already")
        self._operations.update(kinds)

    # For requests

    async def execute(self, request: IdempotentRequest, prepare: Prepare) -> Settled:
        """Do a request once: prepare, send and settle it, or tell what became of its first sending.

        Raises:
            Unavailable: nothing happened, and the key is free again.
            KeyInProgress: the first sending is still under way after ten seconds.
            OperationInProgress: another attempt holds the same lock.
            IdempotencyKeyExpired: it was done so long ago that its answer is not kept any more.
        """
        for _ in range(int(_WAIT_S / _WAIT_POLL_S)):
            claimed = await self._claim(request, prepare)
            if isinstance(claimed, Attempt):
                return await self.settle(claimed, await self.send(claimed))
            if isinstance(claimed, StoredAnswer):
                return Settled(claimed.status, claimed.body)
            standing = await self._standing(claimed)
            if standing is not None:
                return standing
            await asyncio.sleep(_WAIT_POLL_S)
        raise KeyInProgress(retry_after_s=2)

    async def store(
        self,
        tx: Transaction,
        request: IdempotentRequest,
        key_id: UUID,
        kind: str,
        stored: dict[str, Any],
        *,
        user_id: UUID | None,
        subject_id: UUID | None,
        part_id: UUID | None = None,
        lock_key: str | None = None,
    ) -> Attempt:
        """Store an attempt in step 1; its key at Stripe is the same for every repeat, whatever database remembers."""
        wall = self._clock.wall()
        attempt = Attempt(
            id=new_id(),
            kind=kind,
            user_id=user_id,
            subject_id=subject_id,
            part_id=part_id,
            lock_key=lock_key,
            idempotency_key_id=key_id,
            stripe_idempotency_key=self._stripe_key(request, kind),
            request=stored,
            state="requested",
            sent_at=wall,
            looks=0,
            trace=here(),
        )
        await self._repository.insert(tx, attempt, lease_until=wall + self._lease, now=self._clock.now())
        return attempt

    async def by_stripe_keys(self, tx: Transaction, keys: Collection[str]) -> dict[str, Attempt]:
        """The attempts behind these idempotency keys of requests to Stripe; requests that are not ours have none.

        An attempt of several calls sends the later ones under its key with a suffix.
        """
        whole = {key: key[:_STRIPE_KEY_LENGTH] for key in keys}
        rows = await self._repository.by_stripe_keys(tx, list(set(whole.values()))) if keys else []
        found = {attempt.stripe_idempotency_key: attempt for attempt in rows}
        return {key: found[start] for key, start in whole.items() if start in found}

    async def traces(self, tx: Transaction, keys: Collection[str]) -> dict[str, bytes]:
        """What was under way where the attempts behind these keys were stored (`platform/tracing.py`), if traced."""
        whole = {key: key[:_STRIPE_KEY_LENGTH] for key in keys}
        found = await self._repository.traces(tx, list(set(whole.values()))) if keys else {}
        return {key: found[start] for key, start in whole.items() if start in found}

    async def _claim(self, request: IdempotentRequest, prepare: Prepare) -> Attempt | StoredAnswer | InProgress:
        async def claim(tx: Transaction) -> Attempt | StoredAnswer | InProgress:
            claimed = await idempotency.claim(tx, request, self._clock.wall())
            return await prepare(tx, claimed.id) if isinstance(claimed, Claimed) else claimed

        try:
            return await self._database.run(claim)
        except asyncpg.UniqueViolationError as error:
            raise await self._refusal(request) from error

    def _stripe_key(self, request: IdempotentRequest, kind: str) -> str:
        return f"{_STRIPE_KEY}{request.derive(kind, self._installation, request.route)}"

    async def _refusal(self, request: IdempotentRequest) -> OperationInProgress | IdempotencyKeyExpired:
        """Why an attempt cannot be stored: another one holds its lock, or it is there already and its key is not."""
        keys = [self._stripe_key(request, kind) for kind in self._operations]
        async with self._database.transaction() as tx:
            attempts = await self._repository.by_stripe_keys(tx, keys)
            if not attempts or attempts[0].idempotency_key_id is not None:
                return OperationInProgress(retry_after_s=1)
            view = await self._operation(attempts[0]).view(tx, attempts[0])
        known: dict[str, Any] = {f"{view['object']}_id": str(view["id"])} if view else {}
        return IdempotencyKeyExpired(field="Idempotency-Key", **known)

    async def _standing(self, claimed: InProgress) -> Settled | None:
        """202 for a repeat of a request whose outcome nobody knows; None while its first sender is at work."""
        async with self._database.connection() as connection:
            found = await self._repository.find_by_key(connection, claimed.id)
        if found is None:
            return None
        attempt, lease_until = found
        if attempt.state == "unknown" or lease_until < self._clock.wall():
            return await self._stand(attempt)
        return None

    @property
    def _lease(self) -> timedelta:
        """How long an attempt belongs to whoever sends it."""
        return timedelta(seconds=self._stripe.longest_call_s + 10)

    def _operation(self, attempt: Attempt) -> Operation:
        return self._operations[attempt.kind]

    # Step 2

    async def send(self, attempt: Attempt) -> Outcome:
        """Send the attempt under its stored key. What goes wrong is an outcome, not an exception."""
        attributes = {"tallystick.attempt.id": str(attempt.id)}
        in_time = leaving_while(lambda: self._clock.wall() - attempt.sent_at <= _LEAVE_WITHIN)
        with in_time, span(f"attempt {attempt.kind}", attributes=attributes) as traced:
            try:
                return await self._operation(attempt).send(attempt)
            except GatewayError as error:
                traced.failed(type(error).__name__)
                return error

    # Step 3

    async def settle(self, attempt: Attempt, outcome: Outcome) -> Settled:
        """Record how the attempt ended, and store the answer under its key.

        Raises:
            Unavailable: nothing happened, and the key is free again.
        """
        if isinstance(outcome, GatewayOutcomeUnknown):
            return await self._stand(attempt, postpone=True)

        async def record(tx: Transaction) -> Settled | None:
            looks = await self._repository.lock_open(tx, attempt.id)
            # Whoever was overtaken knows of his own sending only: another's may have gone through.
            if looks is None or (looks != attempt.looks and _never_happened(outcome)):
                return None
            return await self._end(tx, attempt, outcome)

        settled = await self._insist(record)
        if settled is None:
            return await self._stand(attempt)
        if settled.status == Unavailable.status:
            raise Unavailable(retry_after_s=1)
        return settled

    async def _insist(self, work: Callable[[Transaction], Awaitable[Settled | None]]) -> Settled | None:
        """`work` in a transaction, again while the database is away for a moment: only we know what Stripe has done.

        The attempt's lease outlives this, so nobody else finds out at the same time.
        """
        ends = self._clock.monotonic() + _INSIST_S
        while True:
            try:
                return await self._database.run(work)
            except Exception as error:
                if not is_weather(error) or self._clock.monotonic() > ends:
                    raise
                log.warning("attempts.weather", error=type(error).__name__)
            await asyncio.sleep(_INSIST_POLL_S)

    async def _stand(self, attempt: Attempt, *, postpone: bool = False) -> Settled:
        """Where an attempt stands that this caller cannot settle: its stored answer, else 202 with what is known."""
        async with self._database.transaction() as tx:
            if postpone:
                await self._repository.postpone(tx, attempt.id, self._clock.wall() + timedelta(seconds=2))
            stored = None
            if attempt.idempotency_key_id:
                stored = await idempotency.stored(tx, attempt.idempotency_key_id)
            if stored is not None:
                return Settled(stored.status, stored.body)
            view = await self._operation(attempt).view(tx, attempt)
            return Settled(202, {**view, "attempt": {**attempt_view(attempt), "state": "unknown"}})

    async def _end(self, tx: Transaction, attempt: Attempt, outcome: Outcome) -> Settled:
        if _never_happened(outcome):
            return await self._end_unsent(tx, attempt, outcome)
        if isinstance(outcome, GatewayDeclined | GatewayRejected):
            return await self._end_refused(tx, attempt, outcome)
        if isinstance(outcome, GatewayError):
            raise TypeError("an unknown outcome is never settled") from outcome
        operation = self._operation(attempt)
        shown = await operation.record(tx, attempt, outcome)
        await self._repository.end(tx, attempt.id, "succeeded", self._clock.now(), request_id=outcome.request_id)
        body = shown or await operation.view(tx, attempt)
        secret = operation.secret_of(outcome)
        if secret is not None:
            body[SECRET_OF] = secret[0]
        return await self._complete(tx, attempt, Settled(operation.success_status, body, secret and secret[1]))

    async def _end_unsent(self, tx: Transaction, attempt: Attempt, outcome: Outcome) -> Settled:
        operation = self._operation(attempt)
        await operation.undo(tx, attempt)
        await self._repository.delete(tx, attempt.id)
        if attempt.idempotency_key_id:
            await idempotency.release(tx, attempt.idempotency_key_id)
        if not isinstance(outcome, GatewayRejected):
            return Settled(Unavailable.status, {})
        log.error("stripe.misconfigured", http_status=outcome.status, stripe_code=outcome.code)
        error = operation.error(outcome)
        return Settled(error.status, problem(error))

    async def _end_refused(
        self, tx: Transaction, attempt: Attempt, refusal: GatewayDeclined | GatewayRejected
    ) -> Settled:
        operation = self._operation(attempt)
        declined = isinstance(refusal, GatewayDeclined)
        await operation.record_refusal(tx, attempt, refusal)
        await self._repository.end(
            tx,
            attempt.id,
            "declined" if declined else "rejected",
            self._clock.now(),
            error_code=refusal.code,
            decline_code=refusal.decline_code if isinstance(refusal, GatewayDeclined) else None,
            request_id=refusal.request_id,
        )
        error = operation.error(refusal)
        body = problem(error)
        if declined and (view := await operation.view(tx, attempt)):
            body[str(view["object"])] = view
        return await self._complete(tx, attempt, Settled(error.status, body))

    async def _complete(self, tx: Transaction, attempt: Attempt, settled: Settled) -> Settled:
        if attempt.idempotency_key_id:
            await idempotency.complete(tx, attempt.idempotency_key_id, settled.status, settled.body)
        return settled

    # What nobody waits for any more

    async def run(self, stop: asyncio.Event) -> None:
        """Settle open attempts whose lease has run out, until `stop`."""
        wake = asyncio.Event()
        while not stop.is_set():
            try:
                if await self.settle_due() < _BATCH:
                    await pause(_POLL_S, stop, wake)
            except WEATHER as error:
                log.warning("attempts.weather", error=type(error).__name__)
                await pause(_POLL_S, stop, wake)

    async def settle_due(self) -> int:
        """One round over open attempts; how many there were."""
        wall = self._clock.wall()
        async with self._database.connection() as connection:
            due = await self._repository.take_due(connection, wall, wall + self._lease, _BATCH)
        for attempt in due:
            try:
                with span(f"settle {attempt.kind}", parent=attempt.trace, alone=True):
                    await self._settle_open(attempt)
            except (DomainError, GatewayError) as error:
                log.warning("attempt.postponed", attempt=str(attempt.id), error=type(error).__name__)
                await self._postpone(attempt)
            except WEATHER:
                raise
            except Exception:
                # One that this version of the program cannot settle must not keep it from all its other work.
                log.exception("attempt.failed", attempt=str(attempt.id), kind=attempt.kind)
                await self._postpone(attempt)
        return len(due)

    async def _settle_open(self, attempt: Attempt) -> None:
        age = self._clock.wall() - attempt.sent_at
        async with self._stripe.background():
            outcome = await self.send(attempt) if age <= REPEAT_WITHIN else None
            if outcome is None or isinstance(outcome, GatewayKeyUsed):
                outcome = await self._look(attempt)
        if outcome is None and age > GIVE_UP_AFTER:
            await self._abandon(attempt)
        elif outcome is None:
            await self._postpone(attempt)
        elif isinstance(outcome, GatewayOutcomeUnknown) or _never_happened(outcome):
            # That this try did not get through says nothing about the first.
            await self._postpone(attempt)
        else:
            settled = await self.settle(attempt, outcome)
            log.info("attempt.settled", attempt=str(attempt.id), kind=attempt.kind, status=settled.status)

    async def _look(self, attempt: Attempt) -> Outcome | None:
        try:
            return await self._operation(attempt).look(attempt)
        except GatewayError as error:
            return error

    async def _postpone(self, attempt: Attempt) -> None:
        delay = backoff(attempt.looks, timedelta(seconds=2), most=timedelta(minutes=5))
        async with self._database.connection() as connection:
            await self._repository.postpone(connection, attempt.id, self._clock.wall() + delay)

    async def _abandon(self, attempt: Attempt) -> None:
        async def record(tx: Transaction) -> None:
            if await self._repository.lock_open(tx, attempt.id) is None:
                return
            await self._repository.end(tx, attempt.id, "abandoned", self._clock.now())
            await self._operation(attempt).abandon(tx, attempt)
            error = AttemptAbandoned()
            await self._complete(tx, attempt, Settled(error.status, problem(error)))

        await self._database.run(record)
        log.warning("attempt.abandoned", attempt=str(attempt.id), kind=attempt.kind)


def _never_happened(outcome: Outcome) -> TypeGuard[GatewayUnavailable | GatewayRejected]:
    """Whether this sending did nothing, and the same may succeed later: Stripe was away, or the operator must mend keys
    or permissions."""
    return isinstance(outcome, GatewayUnavailable) or (
        isinstance(outcome, GatewayRejected) and outcome.status in (401, 403)
    )
