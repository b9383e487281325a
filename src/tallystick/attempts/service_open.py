"""Whether something is under way, for whoever must not act before it is known how that ended."""

from tallystick.attempts.repository import AttemptRepository
from tallystick.platform.database import Connection

__all__ = ["is_open"]


async def is_open(connection: Connection, lock_key: str) -> bool:
    """Whether an attempt holds this lock: it is being sent, or nobody knows yet what became of it."""
    return await AttemptRepository().is_open(connection, lock_key)
