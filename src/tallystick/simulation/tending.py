"""The operator of a simulation: has the host application hear of facts, and looks after its webhook endpoint."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tallystick.simulation.world import Answer, World

__all__ = ["register_endpoint", "tend_endpoint"]

_PATH = "/api/webhook-endpoints"


async def register_endpoint(world: "World") -> None:
    """Register the receiver for all there is. Raises RuntimeError where that is refused."""
    answer = await _call(world, "POST", _PATH, {"url": world.receiver.url, "events": ["*"]})
    if answer.status != 201:
        raise RuntimeError(f"the endpoint was not registered: {answer}")
    world.receiver.secret = answer.body["secret"]


async def tend_endpoint(world: "World") -> int:
    """Switch it on where it was switched off, and have delivered again what was given up; how much there was to do.

    What a process in trouble does not answer is done the next time.
    """
    row = await world.pool.fetchrow(_NEGLECTED)
    if row is None:
        return 0
    path = f"{_PATH}/{row['id']}"
    with suppress(aiohttp.ClientError, OSError, TimeoutError):
        if not row["enabled"]:
            await _call(world, "PUT", path, {"enabled": True})
        for delivery, named in row["dead"] or []:
            world.replayed.add(named)
            await _call(world, "POST", f"{path}/deliveries/{delivery}/replay")
    return 1 + len(row["dead"] or [])


async def _call(world: "World", method: str, path: str, body: Any = None) -> "Answer":
    return await world.call(method, path, body, user="operator", roles=("admin",))


_NEGLECTED = """
    SELECT e.id, e.enabled, dead.found AS dead FROM webhook_endpoints e CROSS JOIN LATERAL (
        SELECT array_agg(ARRAY[d.id::text, 'fact_' || replace(d.fact_id::text, '-', '')] ORDER BY d.seq) AS found
        FROM outbound_deliveries d WHERE d.endpoint_id = e.id AND d.state = 'dead'
    ) dead
    WHERE NOT e.deleted AND (NOT e.enabled OR dead.found IS NOT NULL)
"""
