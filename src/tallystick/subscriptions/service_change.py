"""`SubscriptionChanges`: a plan changed, a subscription canceled, paused and resumed. Every write is an attempt."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from tallystick.attempts.errors import OperationInProgress
from tallystick.attempts.models import Attempt, Settled
from tallystick.attempts.service import AttemptService, Prepare
from tallystick.core.checks import check_metadata, check_text
from tallystick.core.clock import Clock, to_unix
from tallystick.core.errors import Conflict, InvalidRequest, NotFound
from tallystick.core.ids import is_stripe_id, parse_uuid
from tallystick.customers.models import User
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.subscriptions.errors import (
    AlreadyCanceled,
    AlreadyPaused,
    ChangeScheduled,
    NotCancelable,
    NotPaused,
    PreviewStale,
    SubscriptionBegun,
    SubscriptionEnded,
    SubscriptionIncomplete,
)
from tallystick.subscriptions.models import TERMINAL, UNPAID_COMMENT, SubscriptionRow
from tallystick.subscriptions.models_requests import CancelRequest, ChangeRequest, PauseRequest, ResumeRequest
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_create import execute
from tallystick.subscriptions.service_operations_change import (
    CANCEL,
    CANCEL_LATER,
    CHANGE,
    GIVE_UP,
    PAUSE,
    RESUME,
    UNPAUSE,
)
from tallystick.subscriptions.service_plan import base_of
from tallystick.subscriptions.service_preview import SubscriptionPreviews
from tallystick.subscriptions.service_refresh import SubscriptionRefresher
from tallystick.subscriptions.service_terms import Terms

__all__ = ["SubscriptionChanges", "reference"]

Check = Callable[[SubscriptionRow], None]


class SubscriptionChanges:
    """Commands on a subscription that is there."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        terms: Terms,
        previews: SubscriptionPreviews,
        repository: SubscriptionRepository,
        refresher: SubscriptionRefresher,
        attempts: AttemptService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._terms = terms
        self._previews = previews
        self._repository = repository
        self._refresher = refresher
        self._attempts = attempts

    async def change(
        self, actor: Actor, subscription_id: str, request: IdempotentRequest, wanted: ChangeRequest
    ) -> Settled:
        """Change price, quantity, payment method, discount or metadata, or undo a cancellation that is to come.

        The subscription is read from Stripe first: what was changed there meanwhile is what the change is made on, or,
        where a preview's token says what it should be, what the change is refused for.

        Raises:
            NotFound, SubscriptionEnded, SubscriptionOverdue, ChangeScheduled, PreviewStale, OperationInProgress and
                errors of bad input: nothing was sent.
            Unavailable: nothing happened.
        """
        actor.require_write()
        check_metadata(wanted.metadata or {})
        check_text("reason", wanted.reason)

        async def build() -> Prepare:
            row = await self.refreshed(await self.find(actor, subscription_id))
            if row.status in TERMINAL:
                raise SubscriptionEnded
            plan = await self._previews.planned(row, wanted)
            if row.schedule_id is not None and (not plan.empty or wanted.cancel_at_period_end is not None):
                raise ChangeScheduled
            settings, more = await self._settings(row, wanted)
            params = plan.update(self._previews.dialect)
            if plan.bills_now and row.collection_method != "send_invoice":
                params["payment_behavior"] = "pending_if_incomplete" if wanted.only_if_paid else "allow_incomplete"
            elif params:
                params, settings = {**settings, **params}, {}
            if not params and not settings:
                raise InvalidRequest("There is nothing to change.", field="body")

            def check(now: SubscriptionRow) -> None:
                if base_of(now) != base_of(row) or now.schedule_id != row.schedule_id:
                    raise PreviewStale if wanted.preview_token else OperationInProgress(retry_after_s=1)

            stored = {"settings": settings, "params": params, "bills": plan.bills_now, "reason": wanted.reason, **more}
            return self._prepare(actor, row, request, CHANGE, stored, check)

        return await execute(self._attempts, request, build)

    async def cancel(
        self, actor: Actor, subscription_id: str, request: IdempotentRequest, wanted: CancelRequest
    ) -> Settled:
        """Cancel now, or at the end of the running period.

        Raises:
            NotFound, AlreadyCanceled, NotCancelable, ChangeScheduled, OperationInProgress: nothing was sent.
        """
        actor.require_write()
        check_text("comment", wanted.comment)
        now = wanted.when == "now"
        details = {"feedback": wanted.reason, "comment": wanted.comment}
        given = {"cancellation_details": {name: value for name, value in details.items() if value is not None}}
        params: dict[str, Any] = given if given["cancellation_details"] else {}
        if not now:
            params = {**params, "cancel_at_period_end": True}

        def check(row: SubscriptionRow) -> None:
            if row.status in TERMINAL:
                raise AlreadyCanceled(f"The subscription's status is {row.status}.", ended_at=row.ended_at)
            if not now and row.status == "incomplete":
                raise NotCancelable
            if not now and row.schedule_id is not None:
                raise ChangeScheduled
            if not now and row.cancel_at_period_end:
                raise AlreadyCanceled("It is to end with the running period.", cancel_at=row.cancel_at)

        stored = {"params": params, "reason": wanted.comment or wanted.reason}
        kind = CANCEL if now else CANCEL_LATER
        return await self._operate(actor, subscription_id, request, lambda _: kind, stored, check)

    async def cancel_unpaid(self, row: SubscriptionRow, user: User, request: IdempotentRequest) -> Settled:
        """Cancel at once what stays unpaid, in nobody's name; raises as `cancel` does."""
        actor = Actor(user.id, user.external_id, frozenset({"service"}))

        def check(now: SubscriptionRow) -> None:
            if now.status in TERMINAL:
                raise AlreadyCanceled

        params = {"cancellation_details": {"comment": UNPAID_COMMENT}}
        stored = {"params": params, "reason": "payment_failed", "actor": "tallystick"}
        return await self._operate(actor, str(row.id), request, lambda _: CANCEL, stored, check)

    async def give_up(self, actor: Actor, subscription_id: str, request: IdempotentRequest) -> Settled:
        """End what its customer began on a page and left: not paid for, or without the card that it waits for.

        Raises:
            NotFound, AlreadyCanceled, SubscriptionBegun, OperationInProgress: nothing was sent.
        """

        def check(row: SubscriptionRow) -> None:
            if row.status in TERMINAL:
                raise AlreadyCanceled
            if row.status != "incomplete" and not row.waits_for_card:
                raise SubscriptionBegun

        def kind(row: SubscriptionRow) -> str:
            return GIVE_UP if row.status == "incomplete" else CANCEL

        stored = {"params": {}, "reason": "abandoned", "actor": "tallystick"}
        return await self._operate(actor, subscription_id, request, kind, stored, check)

    async def pause(
        self, actor: Actor, subscription_id: str, request: IdempotentRequest, wanted: PauseRequest
    ) -> Settled:
        """Stop collecting: invoices that come meanwhile are void. Ends at `resumes_at`, or by `resume`.

        Raises:
            NotFound, SubscriptionEnded, SubscriptionIncomplete, AlreadyPaused, OperationInProgress: nothing was sent.
        """
        actor.require_write()
        check_text("reason", wanted.reason)
        pause: dict[str, Any] = {"behavior": "void"}
        if wanted.resumes_at is not None:
            if wanted.resumes_at <= self._clock.now():
                raise InvalidRequest("This is not in the future.", field="resumes_at")
            pause["resumes_at"] = to_unix(wanted.resumes_at)

        def check(row: SubscriptionRow) -> None:
            if row.status in TERMINAL:
                raise SubscriptionEnded
            if row.status == "incomplete":
                raise SubscriptionIncomplete
            if row.status == "paused" or row.pause_collection is not None:
                raise AlreadyPaused

        stored = {"params": {"pause_collection": pause}, "reason": wanted.reason}
        return await self._operate(actor, subscription_id, request, lambda _: PAUSE, stored, check)

    async def resume(
        self, actor: Actor, subscription_id: str, request: IdempotentRequest, wanted: ResumeRequest
    ) -> Settled:
        """Undo `pause`; out of Stripe's own status `paused`, a new period begins and is paid.

        Raises:
            NotFound, SubscriptionEnded, NotPaused, OperationInProgress: nothing was sent.
        """
        actor.require_write()
        check_text("reason", wanted.reason)

        def check(row: SubscriptionRow) -> None:
            if row.status in TERMINAL:
                raise SubscriptionEnded
            if row.status != "paused" and row.pause_collection is None:
                raise NotPaused

        def kind(row: SubscriptionRow) -> str:
            return RESUME if row.status == "paused" else UNPAUSE

        stored = {"params": {"pause_collection": ""}, "reason": wanted.reason}
        return await self._operate(actor, subscription_id, request, kind, stored, check)

    # Steps

    async def find(self, actor: Actor, subscription_id: str) -> SubscriptionRow:
        """A subscription that the actor may see, by our id or Stripe's; raises `NotFound`."""
        async with self._database.connection() as connection:
            row = await self._repository.find(connection, reference(subscription_id))
        if row is None or (actor.owner is not None and row.user_id != actor.owner):
            raise _missing()
        return row

    async def refreshed(self, row: SubscriptionRow) -> SubscriptionRow:
        """The subscription as Stripe shows it now; raises `Unavailable`."""
        await self._refresher.refresh(str(row.stripe_subscription_id))
        async with self._database.connection() as connection:
            return await self._repository.find(connection, row.id) or row

    async def _operate(
        self,
        actor: Actor,
        subscription_id: str,
        request: IdempotentRequest,
        kind: Callable[[SubscriptionRow], str],
        stored: Mapping[str, Any],
        check: Check,
    ) -> Settled:
        async def build() -> Prepare:
            row = await self.find(actor, subscription_id)
            try:
                check(row)
            except Conflict:
                # Our record may lag behind: ask once before refusing.
                row = await self.refreshed(row)
            return self._prepare(actor, row, request, kind(row), stored, check)

        return await execute(self._attempts, request, build)

    def _prepare(
        self,
        actor: Actor,
        row: SubscriptionRow,
        request: IdempotentRequest,
        kind: str,
        stored: Mapping[str, Any],
        check: Check,
    ) -> Prepare:
        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            now = await self._repository.lock(tx, row.id)
            if now is None:
                raise _missing()
            check(now)
            known = {"subscription": now.stripe_subscription_id, "revision": now.revision, "actor": actor.name}
            return await self._attempts.store(
                tx,
                request,
                key_id,
                kind,
                {**known, **stored},
                user_id=actor.user_id,
                subject_id=now.id,
                lock_key=f"subscription:{now.id}",
            )

        return prepare

    async def _settings(self, row: SubscriptionRow, wanted: ChangeRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters that bill nothing, and what the attempt needs to attach a payment method."""
        params: dict[str, Any] = {}
        more: dict[str, Any] = {}
        if wanted.payment_method is not None:
            customer = row.stripe_customer_id or ""
            method, attach = await self._terms.method(wanted.payment_method, customer)
            params["default_payment_method"] = method
            more = {"customer": customer, "payment_method": method, "attach": attach}
        if wanted.cancel_at_period_end is not None:
            by_date = row.cancel_at is not None and not row.cancel_at_period_end
            params |= {"cancel_at": ""} if by_date else {"cancel_at_period_end": False}
        if wanted.metadata:
            params["metadata"] = wanted.metadata
        return params, more


def reference(text: str) -> UUID | str:
    """Our id or Stripe's, from a path or a cursor; what is neither is simply not found."""
    our_id = parse_uuid(text)
    if our_id is None and not is_stripe_id(text, "sub_"):
        raise _missing()
    return our_id or text


def _missing() -> NotFound:
    return NotFound("There is no such subscription.", field="id")
