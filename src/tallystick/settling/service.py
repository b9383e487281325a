"""`SettlingService`: whether everything that is due has been done."""

from collections.abc import Sequence

from tallystick.core.clock import Clock
from tallystick.platform.database import Database
from tallystick.settling.models import Standing
from tallystick.settling.repository import SettlingRepository

__all__ = ["SettlingService"]


class SettlingService:
    """`mails` is whether any mail can be sent; `hooks` are those that are installed."""

    def __init__(self, database: Database, clock: Clock, *, mails: bool, hooks: Sequence[str]) -> None:
        self._database = database
        self._clock = clock
        self._mails = mails
        self._hooks = hooks
        self._repository = SettlingRepository()

    async def standing(self) -> Standing:
        """Where we stand; whoever could be doing something about it is woken."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            found = await self._repository.backlog(
                connection, now=now, wall=self._clock.wall(), mails=self._mails, hooks=self._hooks
            )
            await self._repository.wake(connection, found.asleep)
        next_due = found.next_due.timestamp() if found.next_due else None
        return Standing(not found.waiting, now.timestamp(), next_due, found.waiting)
