"""Subscription schedules as rows, and as facts from Stripe; and the change that one holds."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from tallystick.core.clock import from_unix
from tallystick.stripe_gateway.objects_schedules import Schedule
from tallystick.stripe_gateway.ordering import Source

__all__ = ["RUNNING", "ScheduleFacts", "ScheduleRow", "ScheduledChange"]

RUNNING = frozenset({"active", "not_started"})
"""Statuses that can be left; the others are final."""


class ScheduledChange(Struct, frozen=True):
    """What a subscription becomes at `at`: prices (Stripe's ids), and how many of each."""

    at: datetime
    items: list[tuple[str, int | None]]


class ScheduleRow(Struct, frozen=True):
    """A row of `subscription_schedules`. `phases` are `{start, end, items: [[price, quantity]]}`, in Unix seconds."""

    id: UUID
    stripe_schedule_id: str
    stripe_subscription_id: str | None
    stripe_customer_id: str | None
    status: str
    end_behavior: str
    current_start: datetime | None
    phases: list[dict[str, Any]]
    metadata: dict[str, str]
    revision: int
    state_at: datetime
    created_at: datetime
    updated_at: datetime

    @property
    def next_change(self) -> ScheduledChange | None:
        """What the next phase brings, where there is one."""
        if self.status not in RUNNING or self.current_start is None:
            return None
        rest = [phase for phase in self.phases if from_unix(phase["start"]) > self.current_start]
        if not rest:
            return None
        return ScheduledChange(from_unix(rest[0]["start"]), [(price, quantity) for price, quantity in rest[0]["items"]])

    @property
    def in_last_phase(self) -> bool:
        """Whether all that it was made for has happened."""
        return self.status == "active" and len(self.phases) > 1 and self.next_change is None


class ScheduleFacts(Struct, frozen=True):
    """A schedule as it was at `source.at`."""

    value: Schedule
    source: Source
