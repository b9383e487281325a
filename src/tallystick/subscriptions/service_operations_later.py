"""Changing a subscription at the end of its period, by a schedule at Stripe, and taking that back."""

from collections.abc import Mapping, Sequence
from typing import Any

from tallystick.attempts.models import Attempt, Operation, Refusal
from tallystick.core.clock import to_unix
from tallystick.core.errors import DomainError
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.errors import GatewayRejected
from tallystick.stripe_gateway.objects import Answer
from tallystick.stripe_gateway.objects_schedules import Phase, Schedule
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.service_schedules import ScheduleCalls
from tallystick.subscriptions.errors import NothingScheduled
from tallystick.subscriptions.models_schedules import RUNNING, ScheduleFacts
from tallystick.subscriptions.service_operations import SubscriptionOperation, something_happened
from tallystick.subscriptions.service_payment import Done
from tallystick.subscriptions.service_schedules import META_SCHEDULE, ScheduleRecorder

__all__ = ["SCHEDULE", "UNSCHEDULE", "later_operations", "phases"]

SCHEDULE, UNSCHEDULE = "subscription.schedule", "subscription.unschedule"


class Scheduled(Done, frozen=True):
    """A subscription after a write, and the schedule that it is, or was, under."""

    schedule: Answer[Schedule] | None = None


def later_operations(
    schedules: ScheduleCalls, schedule_recorder: ScheduleRecorder, installation_id: str, *parts: Any
) -> dict[str, Operation]:
    """The operations of both kinds; `parts` are those of every `SubscriptionOperation`."""
    made: dict[str, type[_Later]] = {SCHEDULE: _Schedule, UNSCHEDULE: _Unschedule}
    found: dict[str, Operation] = {}
    for kind, make in made.items():
        operation = make(*parts)
        operation.with_schedules(schedules, schedule_recorder, installation_id)
        found[kind] = operation
    return found


class _Later(SubscriptionOperation):
    """`request`: `subscription`, `schedule` (Stripe's id, or None)."""

    def with_schedules(self, calls: ScheduleCalls, recorder: ScheduleRecorder, installation_id: str) -> None:
        self._schedules = calls
        self._schedule_recorder = recorder
        self._installation = installation_id

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[Done]) -> None:
        done = answer.value
        if isinstance(done, Scheduled) and done.schedule is not None:
            shown = done.schedule
            source = Source("answer", shown.at or shown.value.created)
            await self._schedule_recorder.record(tx, [ScheduleFacts(shown.value, source)])
        await super().record(tx, attempt, answer)

    async def shown(self, attempt: Attempt, schedule: Answer[Schedule] | None) -> Answer[Done]:
        """What there is now."""
        answer = await self._calls.retrieve_with_secrets(attempt.request["subscription"])
        return Answer(Scheduled(answer.value, schedule=schedule), answer.at, answer.request_id, answer.raw)


class _Schedule(_Later):
    """`request`: `items` (`[price, quantity]`), `length` (of the new phase, as the API version asks for it), and what
    both phases keep (`kept`)."""

    async def send(self, attempt: Attempt) -> Answer[Done]:
        subscription_id, key = attempt.request["subscription"], attempt.stripe_idempotency_key
        known = attempt.request["schedule"]
        if known is None:
            made = (await self._schedules.create_from(subscription_id, f"{key}-schedule")).value.id
            async with something_happened():
                schedule = await self._plan(attempt, made, release=True)
                return await self.shown(attempt, schedule)
        schedule = await self._plan(attempt, known, release=False)
        async with something_happened():
            return await self.shown(attempt, schedule)

    async def _plan(self, attempt: Attempt, schedule_id: str, *, release: bool) -> Answer[Schedule]:
        """Give the schedule its next phase; one that was made for it does not stay where Stripe refuses that."""
        key = attempt.stripe_idempotency_key
        present = _present((await self._schedules.retrieve(schedule_id)).value)
        params = {
            "end_behavior": "release",
            "metadata": {META_SCHEDULE: self._installation},
            "phases": phases(present, attempt.request),
        }
        try:
            await self._schedules.update(schedule_id, params, key)
        except GatewayRejected:
            if release:
                await self._schedules.release(schedule_id, f"{key}-release")
            raise
        async with something_happened():
            return await self._schedules.retrieve(schedule_id)

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        answer = await self._calls.retrieve(attempt.request["subscription"])
        schedule_id = answer.value.schedule
        if not isinstance(schedule_id, str):
            return None
        schedule = await self._schedules.retrieve(schedule_id)
        wanted = [tuple(item) for item in attempt.request["items"]]
        if schedule.value.status not in RUNNING or not any(
            phase.items == wanted for phase in schedule.value.phases[1:]
        ):
            return None
        return await self.shown(attempt, schedule)


class _Unschedule(_Later):
    async def send(self, attempt: Attempt) -> Answer[Done]:
        schedule_id = attempt.request["schedule"]
        try:
            await self._schedules.release(schedule_id, attempt.stripe_idempotency_key)
        except GatewayRejected as error:
            # Released already, or over: what there is tells.
            if error.status == 400 and (found := await self.look(attempt)):
                return found
            raise
        async with something_happened():
            return await self.shown(attempt, await self._schedules.retrieve(schedule_id))

    async def look(self, attempt: Attempt) -> Answer[Done] | None:
        schedule = await self._schedules.retrieve(attempt.request["schedule"])
        return None if schedule.value.status in RUNNING else await self.shown(attempt, schedule)

    def error(self, refusal: Refusal) -> DomainError:
        if isinstance(refusal, GatewayRejected) and refusal.missing:
            return NothingScheduled()
        return super().error(refusal)


def _present(schedule: Schedule) -> Phase:
    """The phase that runs; Stripe wants it named again with every change of what comes after it."""
    return next((phase for phase in schedule.phases if phase.start == schedule.current_start), schedule.phases[0])


def phases(present: Phase, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of the running phase, and of the one that `request` wants after it.

    Stripe unsets what a phase had and is not given again, and the taxes of a phase become its subscription's.
    """
    kept = {**request["kept"], **({"default_tax_rates": present.tax_rates} if present.tax_rates else {})}
    items = [_item(*item, rates) for item, rates in zip(present.items, present.item_tax_rates, strict=True)]
    running = {"start_date": to_unix(present.start), "end_date": to_unix(present.end), "items": items, **kept}
    if present.trial_end is not None:
        running["trial_end"] = to_unix(present.trial_end)
    # Only a subscription with one item is changed: the new one is taxed as that.
    rates = present.item_tax_rates[0] if present.item_tax_rates else []
    following = [_item(price, quantity, rates) for price, quantity in request["items"]]
    return [running, {"items": following, "proration_behavior": "none", **kept, **request["length"]}]


def _item(price: str, quantity: int | None, tax_rates: Sequence[str]) -> dict[str, Any]:
    counted = {} if quantity is None else {"quantity": quantity}
    return {"price": price, **counted, **({"tax_rates": list(tax_rates)} if tax_rates else {})}
