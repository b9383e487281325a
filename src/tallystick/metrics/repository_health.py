"""SQL of how the system does: queues, what is stuck, what was not told. Each statement reads an index, or few rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from tallystick.core.ids import first_id
from tallystick.platform.database import Connection

__all__ = ["QUANTILES", "Health", "HealthRepository", "Queue", "Window"]


class Queue(Struct, frozen=True):
    """What waits in a queue and is due, and for how many seconds the oldest of it has been."""

    due: int
    oldest_s: float
    dead: int


class Health(Struct, frozen=True):
    """How the system does at one moment. Ages are seconds.

    `endpoint_enabled`: whether Stripe still sends webhooks to us; None where nobody knows. `stripe_paused_s`: for how
    long background calls to Stripe still pause after a 429. `connections`: of all clients of the server;
    `own_connections`: ours, by program and state.
    """

    events: Queue
    parked: int
    work: Queue
    mails: Queue
    outbound: Queue
    endpoints_disabled: int
    attempts_open: int
    attempts_oldest_s: float
    processing_payments: int
    differences_open: int
    catch_up_age_s: float | None
    last_event_age_s: float | None
    violations: int
    connections: int
    connections_max: int
    stripe_live_calls: int
    stripe_background_calls: int
    stripe_paused_s: float
    endpoint_enabled: bool | None
    own_connections: Mapping[tuple[str, str], int]


class Window(Struct, frozen=True):
    """What happened within a span of time, as the database tells it.

    `payment_seconds`: what half, 95 % and 99 % of the charges that succeeded took, from their payment's creation;
    None where there were none.
    """

    charges: int
    declines: int
    events: int
    events_retried: int
    dunning_mails_dead: int
    payment_seconds: Sequence[float] | None


QUANTILES = (0.5, 0.95, 0.99)
"""Those of `Window.payment_seconds`."""

# The inbox also holds what was fetched, imported and repaired; that is no sign of Stripe's reaching us.
_OF_STRIPE = "source IN ('webhook', 'poll', 'reconcile')"

_EVENTS = """
    SELECT count(*) AS due, coalesce(extract(epoch FROM $1 - min(created_at)), 0)::float8 AS oldest_s
    FROM webhook_events WHERE state = 'pending' AND not_before < 'infinity' AND not_before <= $1
"""
_STUCK = f"""
    SELECT (SELECT count(*) FROM webhook_events WHERE state IN ('dead', 'parked')) AS dead,
        (SELECT count(*) FROM webhook_parked_objects) AS parked,
        (SELECT count(*) FROM webhook_endpoints WHERE NOT deleted AND disabled_reason IN ('failing', 'gone'))
            AS endpoints_disabled,
        (SELECT count(*) FROM attempts WHERE state IN ('requested', 'unknown')) AS attempts_open,
        (SELECT coalesce(extract(epoch FROM $1 - min(sent_at)), 0)::float8 FROM attempts
         WHERE state IN ('requested', 'unknown')) AS attempts_oldest_s,
        (SELECT count(*) FROM payments WHERE status = 'processing') AS processing_payments,
        (SELECT count(DISTINCT (object, stripe_id)) FROM reconcile_differences WHERE state = 'open')
            AS differences_open,
        (SELECT extract(epoch FROM $1 - read_at)::float8 FROM event_cursors WHERE name = 'events') AS catch_up_age_s,
        (SELECT extract(epoch FROM $1 - max(created_at))::float8
         FROM (SELECT created_at, source FROM webhook_events ORDER BY id DESC LIMIT 1000) AS latest
         WHERE {_OF_STRIPE}) AS last_event_age_s,
        (SELECT coalesce(sum(violations), 0) FROM invariant_checks) AS violations,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
        current_setting('max_connections')::int AS connections_max,
        (SELECT coalesce(sum(live), 0)::bigint FROM stripe_calls
         WHERE second >= extract(epoch FROM clock_timestamp()) - 60) AS stripe_live_calls,
        (SELECT coalesce(sum(background), 0)::bigint FROM stripe_calls
         WHERE second >= extract(epoch FROM clock_timestamp()) - 60) AS stripe_background_calls,
        (SELECT coalesce(max(greatest(extract(epoch FROM slow_until - clock_timestamp()), 0)), 0)::float8
         FROM stripe_slowdown) AS stripe_paused_s,
        (SELECT value = 1 FROM watched WHERE name = 'stripe_endpoint_enabled' AND read_at > $1 - interval '1 hour')
            AS endpoint_enabled
"""
_QUEUE = """
    SELECT count(*) AS due, coalesce(extract(epoch FROM $1 - min(due_at)), 0)::float8 AS oldest_s,
        (SELECT count(*) FROM {table} WHERE state = 'dead') AS dead
    FROM {table} WHERE state = 'queued' AND due_at <= $1
"""
_OUTBOUND = """
    SELECT count(*) AS due, coalesce(extract(epoch FROM $1 - min(created_at)), 0)::float8 AS oldest_s,
        (SELECT count(*) FROM outbound_deliveries WHERE state = 'dead') AS dead
    FROM outbound_deliveries WHERE state = 'queued' AND not_before <= $2
"""
_WINDOW = f"""
    SELECT
        (SELECT count(*) FROM charges WHERE created_at > $1 AND status = 'succeeded') AS charges,
        (SELECT count(*) FROM charges WHERE created_at > $1 AND status = 'failed') AS declines,
        (SELECT count(*) FROM webhook_events WHERE id > $2 AND {_OF_STRIPE}) AS events,
        (SELECT count(*) FROM webhook_events WHERE id > $2 AND {_OF_STRIPE} AND retry_count > 0) AS events_retried,
        (SELECT count(*) FROM mails WHERE state = 'dead' AND template = ANY($3) AND finished_at > $1)
            AS dunning_mails_dead,
        (SELECT percentile_cont($4::float8[]) WITHIN GROUP (
            ORDER BY greatest(extract(epoch FROM c.created_at - p.created_at)::float8, 0))
         FROM charges c JOIN payments p ON p.id = c.payment_id
         WHERE c.created_at > $1 AND c.status = 'succeeded') AS payment_seconds
"""
_CONNECTIONS = """
    SELECT application_name AS program, coalesce(state, 'unknown') AS state, count(*) AS count FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'tallystick %' GROUP BY 1, 2
"""


class HealthRepository:
    """Reads; writes nothing."""

    async def health(self, connection: Connection, *, now: datetime, wall: datetime) -> Health:
        """How the system does; `now` is business time."""
        stuck = dict(await _one(connection, _STUCK, wall))
        events = await _one(connection, _EVENTS, wall)
        work, mails = [await _one(connection, _QUEUE.format(table=table), now) for table in ("work", "mails")]
        outbound = await _one(connection, _OUTBOUND, now, wall)
        own = await connection.fetch(_CONNECTIONS)
        dead = stuck.pop("dead")
        return Health(
            events=Queue(**events, dead=dead),
            work=Queue(**work),
            mails=Queue(**mails),
            outbound=Queue(**outbound),
            own_connections={(row["program"].split()[1], row["state"]): row["count"] for row in own},
            **stuck,
        )

    async def window(
        self, connection: Connection, *, now: datetime, wall: datetime, span: timedelta, dunning: Sequence[str]
    ) -> Window:
        """What happened in the last `span`; `dunning` are the templates of the mails that ask for money."""
        since = first_id(wall - span)
        return Window(**await _one(connection, _WINDOW, now - span, since, [*dunning], [*QUANTILES]))


async def _one(connection: Connection, sql: str, *values: Any) -> dict[str, Any]:
    row = await connection.fetchrow(sql, *values)
    assert row is not None
    return dict(row)
