"""`LaterChanges`: a change of plan or quantity that waits for the end of the running period, and taking it back.

Stripe holds it, in a subscription schedule: it takes place whether we run at that moment or not.
"""

from typing import Any
from uuid import UUID

from msgspec import UNSET

from tallystick.attempts.models import Attempt, Settled
from tallystick.attempts.service import AttemptService, Prepare
from tallystick.core.checks import check_text
from tallystick.core.errors import InvalidRequest, NotFound
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest
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
from tallystick.subscriptions.repository_schedules import running_schedules
from tallystick.subscriptions.service_change import SubscriptionChanges
from tallystick.subscriptions.service_create import execute
from tallystick.subscriptions.service_operations_later import SCHEDULE, UNSCHEDULE
from tallystick.subscriptions.service_plan import Plan, Planner

__all__ = ["LaterChanges", "check_later"]

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
        attempts: AttemptService,
    ) -> None:
        self._database = database
        self._dialect = dialect
        self._planner = planner
        self._products = products
        self._repository = repository
        self._changes = changes
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
            stored = {**await self._stored(row, plan), "reason": wanted.reason}
            return self._prepare(actor, row, request, SCHEDULE, stored)

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
            return self._prepare(actor, row, request, UNSCHEDULE, {"schedule": row.schedule_id, "reason": None})

        return await execute(self._attempts, request, build)

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
        self, actor: Actor, row: SubscriptionRow, request: IdempotentRequest, kind: str, stored: dict[str, Any]
    ) -> Prepare:
        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            now = await self._repository.lock(tx, row.id)
            if now is None:
                raise NotFound("There is no such subscription.", field="id")
            if now.status in TERMINAL:
                raise SubscriptionEnded
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


def check_later(wanted: ChangeRequest) -> None:
    """Raise `InvalidRequest` for what cannot wait: the rest of a change is made at once, in a request of its own."""
    for field in _NOT_LATER:
        if getattr(wanted, field) not in (None, UNSET):
            raise InvalidRequest("Only price and quantity can change at the period's end.", field=field)
