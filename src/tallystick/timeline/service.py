"""`TimelineService`: tells the story of a user or an object, page by page, the last thing first."""

import base64
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from tallystick.core.ids import parse_uuid
from tallystick.core.pages import LIMIT_DEFAULT
from tallystick.platform.database import Connection, Database
from tallystick.timeline.errors import BadCursor, NothingKnown
from tallystick.timeline.models import Entry, EntryKind, Place, Subject, Timeline
from tallystick.timeline.repository import TimelineRepository
from tallystick.timeline.repository_subjects import SubjectRepository
from tallystick.timeline.telling import tell

__all__ = ["TimelineService", "cursor_of"]

_USER = "user:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PACKED = struct.Struct(">qB16s")


class TimelineService:
    """Reads; whoever calls it has seen to it that they may."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subjects = SubjectRepository()
        self._repository = TimelineRepository()

    async def tell(self, reference: str, *, before: str | None = None, limit: int = LIMIT_DEFAULT) -> Timeline:
        """A page of the story of `user:<id of yours>`, or of an object by our id or Stripe's.

        `before` is a cursor (`cursor_of`) of an earlier page: what happened before it. Any text that is no object's
        id is taken for a user's.

        Raises:
            NothingKnown: there is no such user and no such object.
            BadCursor: `before` is no cursor.
        """
        place = _place_of(before) if before else None
        async with self._database.connection() as connection:
            subject = await self._find(connection, reference)
            if subject is None:
                raise NothingKnown("There is no such user and no such object.", field="id")
            found = await self._repository.order(connection, subject, place, limit + 1)
            page = found[:limit]
            entries: dict[UUID, Entry] = {}
            names = {str(member.id): member.stripe_id for member in subject.members if member.stripe_id}
            for kind in dict.fromkeys(kind for kind, _ in page):
                places = {place.id: place for each, place in page if each == kind}
                entries |= await self._entries(connection, kind, places, names)
        told = [entries[place.id] for _, place in page if place.id in entries]
        return Timeline(subject, told, page[-1][1] if len(found) > limit else None)

    async def _entries(
        self, connection: Connection, kind: EntryKind, places: dict[UUID, Place], names: dict[str, str]
    ) -> dict[UUID, Entry]:
        details = await self._repository.details(connection, kind, list(places))
        return {id_: tell(kind, places[id_], row, names) for id_, row in details.items()}

    async def _find(self, connection: Connection, reference: str) -> Subject | None:
        if reference.startswith(_USER):
            return await self._subjects.user(connection, reference.removeprefix(_USER))
        if our_id := parse_uuid(reference):
            found = await self._subjects.user_by_id(connection, our_id)
            return found or await self._subjects.object(connection, our_id)
        return (
            await self._subjects.object(connection, reference)
            or await self._subjects.user(connection, reference)
            or await self._subjects.heard_of(connection, reference)
        )


def cursor_of(place: Place) -> str:
    """A place as text, for a program to send back."""
    microseconds = (place.at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_PACKED.pack(microseconds, place.rank, place.id.bytes)).decode().rstrip("=")


def _place_of(cursor: str) -> Place:
    try:
        whole = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        microseconds, rank, id_ = _PACKED.unpack(whole)
        at = _EPOCH + timedelta(microseconds=microseconds)
    except (ValueError, OverflowError, struct.error) as error:
        raise BadCursor("This is no place in a timeline.", field="before") from error
    return Place(at.replace(microsecond=0), rank, at, UUID(bytes=id_))
