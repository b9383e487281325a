"""SQL of subscription schedules."""

from collections.abc import Sequence

from tallystick.platform.database import Connection
from tallystick.platform.mirror_table import MirrorTable
from tallystick.subscriptions.models_schedules import ScheduleRow

__all__ = ["SCHEDULES", "running_schedules"]

SCHEDULES = MirrorTable("subscription_schedules", ScheduleRow, "stripe_schedule_id")


async def running_schedules(connection: Connection, stripe_subscription_ids: Sequence[str]) -> dict[str, ScheduleRow]:
    """The schedule that each of these subscriptions (Stripe's ids) is under, where it is under one."""
    rows = await connection.fetch(
        f"{SCHEDULES.select} WHERE stripe_subscription_id = ANY($1) AND status IN ('active', 'not_started')"
        " ORDER BY created_at",
        stripe_subscription_ids,
    )
    found = [SCHEDULES.read(row) for row in rows]
    return {str(row.stripe_subscription_id): row for row in found}
