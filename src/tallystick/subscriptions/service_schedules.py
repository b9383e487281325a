"""Subscription schedules in the mirror; one that has done what it was made for is queued to be let go of.

What has an order of its own decides first: a final status, then the phase that runs. Of two states of one second that
agree in both, the later to come stands, and is fetched.
"""

from collections.abc import Sequence

from tallystick.core.clock import Clock, to_unix
from tallystick.core.ids import new_id
from tallystick.platform.database import Database, Transaction, await_makers
from tallystick.platform.work import enqueue
from tallystick.stripe_gateway.fetching import fetching
from tallystick.stripe_gateway.ordering import fetched, later
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_schedules import ScheduleCalls
from tallystick.subscriptions.models_schedules import RUNNING, ScheduleFacts, ScheduleRow
from tallystick.subscriptions.repository_schedules import SCHEDULES
from tallystick.webhooks.service import StripeWebhookService, queue_fetches

__all__ = ["META_SCHEDULE", "RELEASE_WORK", "ScheduleKeeper", "ScheduleRecorder"]

RELEASE_WORK = "subscription.release"
META_SCHEDULE = "tallystick_schedule"
"""Marks the schedules that we made, by this installation's id."""


class ScheduleRecorder:
    """Applies schedules to the mirror."""

    def __init__(self, clock: Clock, installation_id: str) -> None:
        self._clock = clock
        self._installation = installation_id

    async def record(self, tx: Transaction, facts: Sequence[ScheduleFacts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing."""
        ids = [fact.value.id for fact in facts]
        rows = await SCHEDULES.lock(tx, ids)
        if await await_makers(tx, set(ids) - rows.keys()):
            rows = await SCHEDULES.lock(tx, ids)
        changed: dict[str, ScheduleRow] = {}
        done_before = {stripe_id for stripe_id, row in rows.items() if row.in_last_phase}
        for fact in facts:
            row = rows.get(fact.value.id)
            if row is None or _newer(row, fact):
                changed[fact.value.id] = rows[fact.value.id] = self._row(row, fact)
                if row is not None and fact.source.at == row.state_at and fact.source.origin == "event":
                    await queue_fetches(tx, [fact.value.id], self._clock)
        await SCHEDULES.save(tx, list(changed.values()))
        for row in changed.values():
            ours = row.metadata.get(META_SCHEDULE) == self._installation
            # Once: the work fetches the schedule, and must not be queued anew by what it finds.
            if ours and row.in_last_phase and row.stripe_schedule_id not in done_before:
                payload = {"object": row.stripe_schedule_id}
                key = f"{RELEASE_WORK}:{row.stripe_schedule_id}"
                await enqueue(tx, RELEASE_WORK, key, payload, due_at=self._clock.now())

    def _row(self, row: ScheduleRow | None, fact: ScheduleFacts) -> ScheduleRow:
        schedule = fact.value
        return ScheduleRow(
            id=row.id if row else new_id(),
            stripe_schedule_id=schedule.id,
            stripe_subscription_id=schedule.subscription or (row.stripe_subscription_id if row else None),
            stripe_customer_id=schedule.customer,
            status=schedule.status,
            end_behavior=schedule.end_behavior,
            current_start=schedule.current_start,
            phases=[
                {
                    "start": to_unix(phase.start),
                    "end": to_unix(phase.end),
                    "items": [list(item) for item in phase.items],
                }
                for phase in schedule.phases
            ],
            metadata=schedule.metadata,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            created_at=schedule.created,
            updated_at=self._clock.now(),
        )


def _newer(row: ScheduleRow, fact: ScheduleFacts) -> bool:
    schedule, source = fact.value, fact.source
    if source.mends(row.revision):
        return True
    if row.status not in RUNNING:
        return False
    if schedule.status not in RUNNING or source.unmoved(row.revision):
        return True
    if schedule.current_start != row.current_start:
        return row.current_start is None or (
            schedule.current_start is not None and schedule.current_start > row.current_start
        )
    if source.at != row.state_at:
        return source.at > row.state_at
    created = (source.event_type or "").endswith(".created")
    same = [(to_unix(p.start), [list(i) for i in p.items]) for p in schedule.phases] == [
        (phase["start"], phase["items"]) for phase in row.phases
    ]
    return not created and not (same and schedule.metadata == row.metadata)


class ScheduleKeeper:
    """Fetches schedules."""

    PREFIX = "sub_sched_"

    def __init__(
        self, database: Database, stripe: StripeService, recorder: ScheduleRecorder, webhooks: StripeWebhookService
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._calls = ScheduleCalls(stripe)
        self._recorder = recorder
        self._webhooks = webhooks

    async def fetch(self, stripe_id: str) -> None:
        """Fetch one in the background; raises `Retry` where that must be done again."""
        async with fetching(self._stripe, stripe_id):
            async with self._database.connection() as connection:
                row = await SCHEDULES.find(connection, stripe_id)
            answer = await self._calls.retrieve(stripe_id)
            fact = ScheduleFacts(answer.value, fetched(answer.at or answer.value.created, row))

            async def record(tx: Transaction) -> None:
                await self._recorder.record(tx, await self._webhooks.redacted(tx, [fact]))
                await self._webhooks.record_applied(
                    tx,
                    event_type="subscription_schedule.fetched",
                    object_id=stripe_id,
                    object_key=stripe_id,
                    obj=answer.raw,
                    at=fact.source.at,
                )

            await self._database.run(record)
