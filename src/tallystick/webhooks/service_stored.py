"""`StoredEvents`: all events that were ever applied, from inbox and archive, in the order in which they arrived."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from tallystick.platform.database import Transaction
from tallystick.webhooks.models import ClaimedEvent
from tallystick.webhooks.repository_archive import ArchiveRepository

__all__ = ["StoredEvents"]


class StoredEvents:
    """Reads events in the transaction it is given; in a snapshot, as of its moment."""

    def __init__(self, repository: ArchiveRepository | None = None) -> None:
        self._repository = repository or ArchiveRepository()

    async def count(self, tx: Transaction) -> int:
        """How many there are."""
        return await self._repository.count_applied(tx)

    async def dropped(self, tx: Transaction) -> int:
        """How many events have lost their payload with a month of the archive."""
        return await self._repository.dropped(tx)

    async def batches(self, tx: Transaction, size: int) -> AsyncIterator[Sequence[ClaimedEvent]]:
        """All of them, `size` at a time; `data` is None where the payload was dropped."""
        cursor = await self._repository.applied_ids(tx)
        while rows := await cursor.fetch(size):
            yield await self._repository.read(tx, [row["id"] for row in rows])

    async def read(self, tx: Transaction, event_ids: Sequence[UUID]) -> Sequence[ClaimedEvent]:
        """These events."""
        return await self._repository.read(tx, event_ids)
