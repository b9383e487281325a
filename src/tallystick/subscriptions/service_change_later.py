"""`LaterChanges`: a change of plan or quantity that waits for the end of the running period, and taking it back.

Stripe holds it, in a subscription schedule: it takes place whether we run at that moment or not.
"""

from typing import Any
from uuid import UUID

from msgspec import UNSET

from tallystick.attempts.errors import OperationInProgress
from tallystick.attempts.models import Attempt, Settled
from tallystick.attempts.service import AttemptService, Prepare
from tallystick.core.checks import check_text
from tallystick.core.errors import InvalidRequest, NotFound, Unavailable
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest, KeyInProgress
from tallystick.platform.work import Retry, WorkItem
from tallystick.products.service import ProductService
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.subscriptions.errors import (
    AlreadyCanceled,
    NothingScheduled,
    SubscriptionEnded,
    SubscriptionIncomplete,
)
from tallystick.subscriptions.models import TERMINAL, SubscriptionRow
from tallystick.subscriptions.models_requests import ChangeRequest
from tallystick.subscriptions.models_schedules import ScheduledChange
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.repository_schedules import SCHEDULES, running_schedules
from tallystick.subscriptions.service_change import SubscriptionChanges
from tallystick.subscriptions.service_create import execute
from tallystick.subscriptions.service_operations_later import SCHEDULE, UNSCHEDULE
from tallystick.subscriptions.service_plan import Plan, Planner, base_of
from tallystick.subscriptions.service_schedules import ScheduleKeeper

__all__ = ["LaterChanges", "check_later"]

_SYSTEM, _RELEASE = "system:schedules", "release"
_NOT_LATER = (
    "payment_method",
    "promotion_code",
    "cancel_at_period_end",
    "proration_behavior",
    "metadata",
    "preview_token",
)


class LaterChanges:
    """Commands that schedule."""

    def __init__(
        self,
        database: Database,
        dialect: Dialect,
        planner: Planner,
        products: ProductService,
        repository: SubscriptionRepository,
        changes: SubscriptionChanges,
        keeper: ScheduleKeeper,
        attempts: AttemptService,
    ) -> None:
        self._database = database
        self._dialect = dialect
        self._planner = planner
        self._products = products
        self._repository = repository
        self._changes = changes
        self._keeper = keeper
        self._attempts = attempts

    async def change(
        self, actor: Actor, subscription_id: str, request: IdempotentRequest, wanted: ChangeRequest
    ) -> Settled:
        """Change price or quantity when the running period ends; what was scheduled before is replaced.

        Raises:
            NotFound, SubscriptionEnded, SubscriptionIncomplete, AlreadyCanceled and errors of bad input: nothing was
                sent.
            Unavailable: nothing happened.
        """
        actor.require_write()
        check_text("reason", wanted.reason)
        check_later(wanted)

        async def build() -> Prepare:
            row = await self._changes.refreshed(await self._changes.find(actor, subscription_id))
            plan = await self.planned(row, wanted)
            stored = {**await self._stored(row, plan), "actor": actor.name, "reason": wanted.reason}
            return self._prepare(actor.user_id, row, request, SCHEDULE, stored)

        return await execute(self._attempts, request, build)

    async def planned(self, row: SubscriptionRow, wanted: ChangeRequest) -> Plan:
        """The change as it is planned; raises the errors of planning."""
        if row.status in TERMINAL:
            raise SubscriptionEnded
        if row.status == "incomplete":
            raise SubscriptionIncomplete
        if row.cancel_at is not None:
            raise AlreadyCanceled("It is to end; undo that first.", cancel_at=row.cancel_at)
        plan = await self._planner.plan(row, wanted)
        if not plan.items:
            raise InvalidRequest("There is nothing to change.", field="body")
        return plan

    async def take_back(self, actor: Actor, subscription_id: str, request: IdempotentRequest) -> Settled:
        """Let the subscription go on as it is.

        Raises:
            NotFound, NothingScheduled: nothing was sent.
        """
        actor.require_write()

        async def build() -> Prepare:
            row = await self._changes.find(actor, subscription_id)
            if row.schedule_id is None:
                row = await self._changes.refreshed(row)
            if row.schedule_id is None:
                raise NothingScheduled
            stored = {"schedule": row.schedule_id, "actor": actor.name, "reason": None}
            return self._prepare(actor.user_id, row, request, UNSCHEDULE, stored)

        return await execute(self._attempts, request, build)

    async def release_done(self, item: WorkItem) -> None:
        """The work `subscription.release`: let go of a schedule that has nothing left to do; raises `Retry`.

        It is an attempt as any change is, so that it never meets one that gives the schedule something to do again.
        """
        stripe_id = item.payload["object"]
        await self._keeper.fetch(stripe_id)
        async with self._database.connection() as connection:
            schedule = await SCHEDULES.find(connection, stripe_id)
            row = None
            if schedule is not None and schedule.stripe_subscription_id is not None:
                row = await self._repository.find(connection, schedule.stripe_subscription_id)
        if schedule is None or row is None or not schedule.in_last_phase:
            return
        request = IdempotentRequest(_SYSTEM, stripe_id, _RELEASE, {"schedule": stripe_id})
        stored = {"schedule": stripe_id, "actor": "tallystick", "reason": None}
        prepare = self._prepare(row.user_id, row, request, UNSCHEDULE, stored)

        async def prepare_if_done(tx: Transaction, key_id: UUID) -> Attempt:
            attempt = await prepare(tx, key_id)
            now = (await SCHEDULES.lock(tx, [stripe_id])).get(stripe_id)
            if now is None or not now.in_last_phase:
                raise NothingScheduled
            return attempt

        try:
            await self._attempts.execute(request, prepare_if_done)
        except (OperationInProgress, KeyInProgress, Unavailable) as error:
            raise Retry(error.code, counted=False) from error
        except (NothingScheduled, SubscriptionEnded):
            return

    async def scheduled(self, row: SubscriptionRow) -> ScheduledChange | None:
        """The change that waits for a subscription's period to end."""
        async with self._database.connection() as connection:
            found = await running_schedules(connection, [str(row.stripe_subscription_id)])
        schedule = found.get(str(row.stripe_subscription_id))
        return schedule.next_change if schedule else None

    async def _stored(self, row: SubscriptionRow, plan: Plan) -> dict[str, Any]:
        (change,) = plan.items
        (item,) = row.items
        price = change.get("price", item["price"])
        recurring = (await self._products.find_price(price))[0].recurring or {}
        return {
            "schedule": row.schedule_id,
            "items": [[price, change.get("quantity")]],
            "length": self._dialect.phase_length(recurring["interval"], recurring["interval_count"]),
            "kept": self._dialect.phase_discounts(row.discounts),
        }

    def _prepare(
        self, user_id: UUID | None, row: SubscriptionRow, request: IdempotentRequest, kind: str, stored: dict[str, Any]
    ) -> Prepare:
        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            now = await self._repository.lock(tx, row.id)
            if now is None:
                raise NotFound("There is no such subscription.", field="id")
            if now.status in TERMINAL:
                raise SubscriptionEnded
            if base_of(now) != base_of(row) or now.schedule_id != row.schedule_id:
                raise OperationInProgress(retry_after_s=1)
            known = {"subscription": now.stripe_subscription_id, "revision": now.revision}
            return await self._attempts.store(
                tx,
                request,
                key_id,
                kind,
                {**known, **stored},
                user_id=user_id,
                subject_id=now.id,
                lock_key=f"subscription:{now.id}",
            )

        return prepare


def check_later(wanted: ChangeRequest) -> None:
    """Raise `InvalidRequest` for what cannot wait: the rest of a change is made at once, in a request of its own."""
    for field in _NOT_LATER:
        if getattr(wanted, field) not in (None, UNSET):
            raise InvalidRequest("Only price and quantity can change at the period's end.", field=field)
