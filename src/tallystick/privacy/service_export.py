"""`ExportService`: all that is held about a user, as one JSON document that is made while it is read."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC
from uuid import UUID

import msgspec

from tallystick.core.clock import Clock
from tallystick.core.ids import lane_of
from tallystick.platform.database import Connection, Database
from tallystick.privacy.models import Person
from tallystick.privacy.repository_events import ErasedEventRepository, names_in
from tallystick.privacy.repository_export import SECTIONS, ExportRepository, Section
from tallystick.webhooks.models import LANES

__all__ = ["ExportService"]

FORMAT = 1

_LOOKED_AT = 2000
_START = UUID(int=0)


class ExportService:
    """Reads page by page: neither memory nor a transaction grows with how much somebody has paid."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._repository = ExportRepository()
        self._stored = ErasedEventRepository()

    async def export(self, person: Person, *, payloads: bool = False) -> AsyncIterator[bytes]:
        """The document in pieces. It ends with `"complete": true`; one that does not was broken off.

        `payloads`: events with all that Stripe told.
        """
        async with self._database.connection() as connection:
            user = await self._repository.user(connection, person.id)
        made_at = self._clock.wall().astimezone(UTC).isoformat()
        head = {"object": "user_export", "format": FORMAT, "exported_at": made_at, "erased": bool(person.erased_at)}
        yield msgspec.json.encode(head)[:-1] + f',\n"user": {user}'.encode()
        for section in SECTIONS:
            async for piece in _listed(section.name, self._rows(section, person.id)):
                yield piece
        async for piece in _listed("events", self._events(person.id, payloads=payloads)):
            yield piece
        async for piece in _listed("audit", self._audit(person.id)):
            yield piece
        yield b',\n"complete": true}\n'

    async def _rows(self, section: Section, user_id: UUID) -> AsyncIterator[list[str]]:
        after: UUID | None = None
        while True:
            async with self._database.connection() as connection:
                rows, after = await self._repository.page(connection, section, user_id, after)
            yield list(rows)
            if after is None:
                return

    async def _events(self, user_id: UUID, *, payloads: bool) -> AsyncIterator[list[str]]:
        async with (
            self._database.connection() as connection,
            aclosing(self._repository.theirs(connection, user_id)) as pages,
        ):
            async for theirs in pages:
                yield list(await self._repository.events(connection, theirs.stripe_ids, payloads=payloads))
        after: UUID | None = _START
        async with self._database.connection() as connection:
            customers = await self._repository.customers(connection, user_id)
        lanes = sorted({lane_of(customer, LANES) for customer in customers})
        while after is not None:
            async with self._database.connection() as connection:
                ids, after = await self._unmirrored(connection, user_id, lanes, after)
                yield list(await self._repository.events_by_id(connection, ids, payloads=payloads))

    async def _unmirrored(
        self, connection: Connection, user_id: UUID, lanes: Sequence[int], after: UUID
    ) -> tuple[list[UUID], UUID | None]:
        """Events that name something of the user's and are about nothing that the mirror has; where to go on."""
        looked_at, last = await self._stored.next_unmirrored(connection, lanes, after, _LOOKED_AT)
        theirs, shown = await self._repository.named(connection, user_id, names_in(looked_at))
        return [event.id for event in looked_at if theirs & event.names and event.object_key not in shown], last

    async def _audit(self, user_id: UUID) -> AsyncIterator[list[str]]:
        async with (
            self._database.connection() as connection,
            aclosing(self._repository.theirs(connection, user_id)) as pages,
        ):
            async for theirs in pages:
                yield list(await self._repository.audit(connection, theirs))


async def _listed(name: str, pages: AsyncIterator[list[str]]) -> AsyncIterator[bytes]:
    """A list of rows that are JSON already, a row a line."""
    yield f',\n"{name}": ['.encode()
    begun = False
    async for rows in pages:
        if rows:
            yield ((",\n " if begun else "\n ") + ",\n ".join(rows)).encode()
            begun = True
    yield b"]"
