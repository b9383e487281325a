"""The SQL over all queues at once: one statement, so that nothing slips from one to the next unseen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tallystick.platform.database import Connection
from tallystick.platform.work import MAIL_CHANNEL, WORK_CHANNEL

__all__ = ["Backlog", "SettlingRepository"]

_SOON = timedelta(seconds=3)
"""A retry this close is waited for; what is put off for longer has its reasons elsewhere and holds nobody up."""

# $1 business time, $2 wall time, $3 wall time soon, $4 whether mails are sent, $5 the hooks there are.
#
# Outbound deliveries only count until the first failure of their receiver, and mails while their server is there:
# neither is ours to mend, and each try may take as long as its time-out.
_BACKLOG = f"""
    WITH waiting AS (
        (SELECT 'event ' || event_type AS what, error_message AS why, NULL AS channel
         FROM webhook_events WHERE state = 'pending' AND not_before <= $3 AND not_before < 'infinity' LIMIT 20)
        UNION ALL
        (SELECT 'work ' || business_key, last_error,
                CASE WHEN not_before <= $2 AND (leased_until IS NULL OR leased_until < $2) THEN '{WORK_CHANNEL}' END
         FROM work WHERE state = 'queued' AND due_at <= $1 AND not_before <= $3 LIMIT 20)
        UNION ALL
        (SELECT 'mail ' || business_key, last_error,
                CASE WHEN leased_until IS NULL OR leased_until < $2 THEN '{MAIL_CHANNEL}' END
         FROM mails WHERE $4 AND state = 'queued' AND due_at <= $1 AND not_before <= $2
              AND NOT EXISTS (SELECT FROM mails away WHERE away.state = 'queued' AND away.attempts = 0
                              AND away.last_error IS NOT NULL AND away.not_before > $2) LIMIT 20)
        UNION ALL
        (SELECT 'delivery of ' || f.type || ' to ' || coalesce(e.url, d.receiver), d.last_error, NULL
         FROM outbound_deliveries d JOIN outbound_facts f ON f.id = d.fact_id
              LEFT JOIN webhook_endpoints e ON e.id = d.endpoint_id
         WHERE d.state = 'queued' AND d.due_at <= $1 AND d.not_before <= $2
               AND CASE WHEN e.id IS NULL THEN d.receiver = ANY ($5)
                        ELSE e.enabled AND NOT e.deleted AND e.failing_since IS NULL END
               AND NOT EXISTS (SELECT FROM outbound_deliveries failed WHERE failed.receiver = d.receiver
                               AND failed.state = 'queued' AND failed.attempts > 0) LIMIT 20)
        UNION ALL
        (SELECT 'attempt ' || kind, error_code, NULL
         FROM attempts WHERE state = 'requested' OR (state = 'unknown' AND lease_until <= $3) LIMIT 20)
    )
    SELECT coalesce((SELECT array_agg(what || coalesce(' (' || why || ')', ''))
                     FROM (SELECT * FROM waiting LIMIT 20) named), '{{}}') AS waiting,
           coalesce((SELECT array_agg(DISTINCT channel) FROM waiting WHERE channel IS NOT NULL), '{{}}') AS asleep,
           least((SELECT min(due_at) FROM work WHERE state = 'queued' AND due_at > $1),
                 (SELECT min(due_at) FROM mails WHERE state = 'queued' AND due_at > $1),
                 (SELECT min(due_at) FROM outbound_deliveries WHERE state = 'queued' AND due_at > $1)) AS next_due
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is due, by name; the channels of queues where something is and nobody is at it; what will be due."""

    waiting: Sequence[str]
    asleep: Sequence[str]
    next_due: datetime | None


class SettlingRepository:
    """Reads all queues; writes none."""

    async def backlog(
        self, connection: Connection, *, now: datetime, wall: datetime, mails: bool, hooks: Sequence[str]
    ) -> Backlog:
        """`mails` is whether any mail can be sent; `hooks` are those that are installed."""
        receivers = [f"hook:{name}" for name in hooks]
        row = await connection.fetchrow(_BACKLOG, now, wall, wall + _SOON, mails, receivers)
        assert row is not None
        return Backlog(*row)

    async def wake(self, connection: Connection, channels: Sequence[str]) -> None:
        """Tell the workers that wait on these channels to look: what they wait for fell due by a move of the clock."""
        if channels:
            await connection.execute("SELECT pg_notify(channel, '') FROM unnest($1::text[]) AS channel", channels)
