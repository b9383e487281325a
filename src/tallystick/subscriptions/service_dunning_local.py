"""`LocalDunning`: unpaid renewals collected by us, where DUNNING_MODE=local.

A step moves its run on, in a transaction, before it pays: whatever becomes of the payment, the next step is planned,
and asks anew. A paid invoice cannot be paid again, and the key of a step is the same however often the step is run.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace

from tallystick.attempts.errors import AttemptAbandoned, OperationInProgress
from tallystick.attempts.models import Settled
from tallystick.core.clock import Clock
from tallystick.core.declines import worth_retrying
from tallystick.core.errors import DomainError, Unavailable
from tallystick.customers.models import User
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.errors import InvoiceNotPayable
from tallystick.invoices.models import InvoiceRow
from tallystick.invoices.service import InvoiceService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Connection, Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest, KeyInProgress
from tallystick.platform.settings import Settings
from tallystick.platform.work import Retry, WorkItem, enqueue
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.objects import Failure, PaymentIntent
from tallystick.stripe_gateway.service import StripeService
from tallystick.subscriptions.access import failing_since
from tallystick.subscriptions.errors import AlreadyCanceled
from tallystick.subscriptions.models import DunningRow, SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.repository_dunning import DunningRepository
from tallystick.subscriptions.service_dunning import DUNNING_WORK, DunningKeeper, is_ours

__all__ = ["DUNNING_TIMER", "CancelUnpaid", "LocalDunning"]

log = structlog.get_logger()

DUNNING_TIMER = "dunning.take_up"
_STUCK = "alert.dunning_stuck"
_ROUTE = "dunning"
_AFTER_STRIPE = timedelta(hours=1)
_BATCH = 50
# Money is on its way, or there and not told yet.
_UNDER_WAY = frozenset({"processing", "succeeded"})
# Nothing happened, or somebody is at it this moment.
_BUSY = (Unavailable, KeyInProgress, OperationInProgress)


class CancelUnpaid(Protocol):
    """Cancels a subscription at once because its renewal stays unpaid; a request like a user's, once for its key."""

    async def __call__(self, row: SubscriptionRow, user: User, request: IdempotentRequest) -> Settled: ...


class _Case(Struct, frozen=True):
    """An invoice that is to be collected, as the mirror shows it."""

    row: SubscriptionRow
    invoice: InvoiceRow
    run: DunningRow
    method: str | None


class LocalDunning:
    """The work `dunning.retry`: one step of collecting one invoice; and `dunning.take_up`, at each start."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        stripe: StripeService,
        repository: SubscriptionRepository,
        runs: DunningRepository,
        keeper: DunningKeeper,
        invoices: InvoiceService,
        customers: StripeCustomerService,
        cancel: CancelUnpaid,
        fetch: Callable[[str], Awaitable[None]],
    ) -> None:
        """`fetch` brings our record of one of Stripe's objects up to date; it raises `Retry` where it cannot."""
        self._database = database
        self._clock = clock
        self._ends = settings.dunning_end == "cancel"
        self._stripe = stripe
        self._repository = repository
        self._runs = runs
        self._keeper = keeper
        self._invoices = invoices
        self._customers = customers
        self._cancel = cancel
        self._fetch = fetch

    async def take_up(self, item: WorkItem) -> None:
        """At each start: plan for what is past due, as the mode may have been another one until now."""
        if self._keeper.rules.mode != "local":
            return
        after: tuple[datetime, UUID] | None = None
        while True:
            async with self._database.connection() as connection:
                found = await self._runs.past_due(connection, after, _BATCH)
            for _, _, stripe_id in found:

                async def plan(tx: Transaction, stripe_id: str = stripe_id) -> None:
                    unpaid = await self._invoices.unpaid_of(tx, [stripe_id])
                    for row in await self._repository.lock_many(tx, [stripe_id]):
                        await self._keeper.plan(tx, row, unpaid.get(stripe_id, []), resume=True)

                await self._database.run(plan)
            if len(found) < _BATCH:
                return
            after = found[-1][:2]

    async def due(self, item: WorkItem) -> None:
        """One step: pay, pass over a card that is of no use, or end it. Raises `Retry` where Stripe is away."""
        if self._keeper.rules.mode != "local":
            return  # `take_up` sees to it when the mode is local again
        invoice_id, step, method = item.payload["invoice"], item.payload["step"], item.payload.get("method")
        case = await self._case(invoice_id, step, method)
        if case is not None:
            await self._ask(case)
            case = await self._case(invoice_id, step, method)
        if case is None:
            await self._hold(invoice_id, step, method)
        elif case.invoice.next_payment_attempt is not None:
            await self._stand_back(case, case.invoice.next_payment_attempt)
        elif method is not None:
            await self._try_method(case, method)
        elif step >= len(self._keeper.rules.days):
            await self._end(case)
        else:
            await self._retry(case, step)

    async def _ask(self, case: _Case) -> None:
        """Ask Stripe how things stand. While it refuses to tell, nothing is done, and staff should look."""
        try:
            for object_id in (str(case.row.stripe_subscription_id), case.invoice.stripe_invoice_id):
                await self._fetch(object_id)
        except Retry as retry:
            if retry.counted:
                await self._alert(case, "ask", str(retry))
            raise Retry(str(retry), after=retry.after, counted=False) from retry

    async def _hold(self, invoice_id: str, step: int, method: str | None) -> None:
        """Of an invoice that is unpaid, but not ours to collect now (a pause, say), the step waits until it is."""

        async def hold(tx: Transaction) -> None:
            run = (await self._runs.runs_of(tx, [invoice_id])).get(invoice_id)
            if run is None or run.step != step or method is not None:
                return
            if run.next_at is None or self._clock.now() < run.next_at:
                return  # it was put off, and is queued for then
            await self._repository.lock(tx, run.subscription_id)
            if await self._case_of(tx, invoice_id, step, method) is not None:
                raise Retry("it is ours again", counted=False)
            run = (await self._runs.runs_of(tx, [invoice_id]))[invoice_id]
            await self._keeper.save(tx, replace(run, next_at=None))

        await self._database.run(hold)

    async def _case(self, invoice_id: str, step: int, method: str | None) -> _Case | None:
        """The case, where there is still something to do; None where this step is over, or nothing is owed."""
        async with self._database.connection() as connection:
            return await self._case_of(connection, invoice_id, step, method)

    async def _case_of(self, connection: Connection, invoice_id: str, step: int, method: str | None) -> _Case | None:
        run = (await self._runs.runs_of(connection, [invoice_id])).get(invoice_id)
        row = await self._repository.find(connection, run.subscription_id) if run else None
        if run is None or row is None or not self._is_current(run, step, method):
            return None
        unpaid = (await self._invoices.unpaid_of(connection, [str(row.stripe_subscription_id)])).values()
        for invoice in (invoice for found in unpaid for invoice in found if invoice.stripe_invoice_id == invoice_id):
            if is_ours(row, invoice):
                return _Case(row, invoice, run, await self._keeper.method_of(connection, row))
        return None

    def _is_current(self, run: DunningRow, step: int, method: str | None) -> bool:
        if method is not None:
            return run.seen_method == method
        if run.next_at is None:
            return False
        now = self._clock.now()
        if run.step == step:
            return now >= run.next_at
        # The step after ours being planned, ours was begun: it may have died before it paid. The end waits for it.
        return run.step == step + 1 and (now < run.next_at or run.step >= len(self._keeper.rules.days))

    async def _stand_back(self, case: _Case, until: datetime) -> None:
        """Stripe itself will try then, or has a payment under way: look again after that."""
        at = max(until, self._clock.now()) + _AFTER_STRIPE

        async def postpone(tx: Transaction) -> None:
            run = replace(await self._locked(tx, case), next_at=at)
            await self._keeper.save(tx, run)
            await self._keeper.queue(tx, run, at)

        await self._database.run(postpone)

    async def _retry(self, case: _Case, step: int) -> None:
        pointless = case.method is None or await self._is_pointless(case)
        if case.run.step == step:
            await self._move_on(case, tried=not pointless)
        if not pointless:
            await self._pay(case, str(step))

    async def _move_on(self, case: _Case, *, tried: bool) -> None:
        """Plan the next step, from now on; a retry that is passed over counts as a step, but not as an attempt."""
        now = self._clock.now()

        async def move(tx: Transaction) -> None:
            run = await self._locked(tx, case)
            if run.step != case.run.step:
                return
            at = self._keeper.next_at(run.step + 1, now, failing_since([case.invoice]) or now)
            run = replace(run, step=run.step + 1, attempts=run.attempts + tried, next_at=at, seen_method=case.method)
            if tried:
                run = replace(run, tried_method=case.method)
            await self._keeper.save(tx, run)
            await self._keeper.queue(tx, run, at)

        await self._database.run(move)

    async def _try_method(self, case: _Case, method: str) -> None:
        """A new method, at once and beside the plan."""

        async def note(tx: Transaction) -> None:
            run = await self._locked(tx, case)
            if run.tried_method != method:
                await self._keeper.save(tx, replace(run, tried_method=method, attempts=run.attempts + 1))

        await self._database.run(note)
        await self._pay(case, f"method:{method}")

    async def _is_pointless(self, case: _Case) -> bool:
        """Whether the payment is under way, or waits for the customer; or this card failed for good."""
        intent = await self._intent(case)
        if intent is None:
            return False
        if intent.status in _UNDER_WAY:
            return True
        if intent.status == "requires_action":
            return intent.payment_method == case.method
        failure = intent.failure
        if not isinstance(failure, Failure) or failure.payment_method != case.method:
            return False
        return not worth_retrying(failure.code, failure.decline_code)

    async def _intent(self, case: _Case) -> PaymentIntent | None:
        """By which Stripe collects the invoice, as it is now; raises `Retry` where Stripe is away."""
        if case.invoice.payment_intent_id is None:
            return None
        try:
            async with self._stripe.background():
                return (await self._stripe.retrieve_payment_intent(case.invoice.payment_intent_id)).value
        except GatewayError as error:
            raise Retry(type(error).__name__, counted=False) from error

    async def _pay(self, case: _Case, what: str) -> None:
        user = await self._user(case)
        request = self._request(case, what)
        try:
            settled = await self._invoices.pay(_actor(user), str(case.invoice.id), request, off_session=True)
        except InvoiceNotPayable:
            return  # paid, or not asked for any more, since we looked
        except _BUSY as error:
            raise Retry(type(error).__name__, counted=False) from error
        except DomainError as error:
            await self._alert(case, what, error.code)
            return
        log.info("dunning.tried", invoice=case.invoice.stripe_invoice_id, step=what, status=settled.status)
        # What nobody could find is not sent again: the next step asks anew.
        if settled.status not in (200, 202, 402) and settled.body.get("code") != AttemptAbandoned.code:
            await self._alert(case, what, settled.body.get("code"))

    async def _end(self, case: _Case) -> None:
        """After the last retry: cancel, or leave it past due for staff. What may still be paid is waited for."""
        await self._settled(case)
        # Asked last: what our own attempts have set under way is seen. A bank debit takes days, and cannot be called
        # back: it would pay for what was ended.
        intent = await self._intent(case)
        if intent is not None and intent.status in _UNDER_WAY:
            await self._stand_back(case, self._clock.now())
            return
        if self._ends:
            try:
                settled = await self._cancel(case.row, await self._user(case), self._request(case, "end"))
                if settled.status not in (200, 202):
                    await self._alert(case, "end", settled.body.get("code"))
            except AlreadyCanceled:
                pass  # somebody was faster
            except _BUSY as error:
                raise Retry(type(error).__name__, counted=False) from error
            except DomainError as error:
                await self._alert(case, "end", error.code)

        async def finish(tx: Transaction) -> None:
            run = await self._locked(tx, case)
            await self._keeper.save(tx, replace(run, step=case.run.step + 1, next_at=None))

        await self._database.run(finish)

    async def _settled(self, case: _Case) -> None:
        """Raise `Retry` while a payment is to be made yet, is being sent, or came while we asked Stripe."""
        invoice_id, step = case.run.stripe_invoice_id, case.run.step
        async with self._database.connection() as connection:
            if await self._runs.has_earlier(connection, DUNNING_WORK, invoice_id, step, self._clock.now()):
                raise Retry("the last retry comes first", counted=False)
            if await self._invoices.is_being_paid(connection, case.invoice.id):
                raise Retry("a payment is under way", counted=False)
            if await self._case_of(connection, invoice_id, step, None) is None:
                raise Retry("it is not ours any more", counted=False)

    async def _locked(self, tx: Transaction, case: _Case) -> DunningRow:
        await self._repository.lock(tx, case.row.id)
        return (await self._runs.runs_of(tx, [case.run.stripe_invoice_id]))[case.run.stripe_invoice_id]

    async def _alert(self, case: _Case, what: str, error: str | None) -> None:
        """Neither paid nor declined: what is planned stays planned, but staff should look."""
        invoice = case.invoice
        payload: dict[str, Any] = {
            "subscription": case.row.stripe_subscription_id,
            "invoice": invoice.stripe_invoice_id,
            "amount": invoice.amount_remaining,
            "currency": invoice.currency,
            "step": what,
            "error": error,
        }
        async with self._database.transaction() as tx:
            key = f"{_STUCK}:{invoice.stripe_invoice_id}:{what}"
            await enqueue(tx, _STUCK, key, payload, due_at=self._clock.now())

    async def _user(self, case: _Case) -> User:
        assert case.row.user_id is not None
        async with self._database.connection() as connection:
            return (await self._customers.find_many(connection, [case.row.user_id]))[case.row.user_id]

    def _request(self, case: _Case, what: str) -> IdempotentRequest:
        """The request as its repeats are recognised: one for each step of each invoice."""
        body = {"invoice": case.invoice.stripe_invoice_id, "step": what}
        return IdempotentRequest(f"system:{_ROUTE}", f"{case.invoice.stripe_invoice_id}:{what}", _ROUTE, body)


def _actor(user: User) -> Actor:
    return Actor(user.id, user.external_id, frozenset({"service"}))
