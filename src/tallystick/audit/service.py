"""`AuditService`: writes down who did what, and shows it; `audited` does so for commands."""

import getpass
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog

from tallystick.audit.models import AuditEntry, AuditFilter, NewEntry, Outcome
from tallystick.audit.repository import AuditRepository
from tallystick.core.clock import Clock, SystemClock
from tallystick.core.errors import DomainError, InvalidRequest
from tallystick.core.ids import parse_uuid
from tallystick.core.pages import Page
from tallystick.platform.database import Connection, Database
from tallystick.platform.logging import scrub

__all__ = ["AuditService", "audited", "bounded", "machine_actor"]

log = structlog.get_logger()

_TEXT_MAX = 200
_DETAILS_MAX = 20
_BYTES_MAX = 3000


class AuditService:
    """The audit log of an installation."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._repository = AuditRepository()

    async def record(self, entry: NewEntry, *, soon: bool = False) -> None:
        """Write down what was done. Where that fails, the log tells it: what was done cannot be taken back."""
        try:
            async with self._database.connection() as connection:
                await self.record_in(connection, entry, soon=soon)
        except Exception:
            log.exception(
                "audit.not_written",
                actor=entry.actor,
                action=entry.action,
                object=entry.object_id,
                outcome=entry.outcome,
            )

    async def record_in(self, connection: Connection, entry: NewEntry, *, soon: bool = False) -> None:
        """Write down what is done in the caller's transaction."""
        await self._repository.add(connection, entry, wall=self._clock.wall(), now=self._clock.now(), soon=soon)

    async def listed(self, wanted: AuditFilter, *, limit: int, starting_after: str | None = None) -> Page[AuditEntry]:
        """Entries, the last first; `starting_after` is the id of the last one seen. Raises InvalidRequest."""
        async with self._database.connection() as connection:
            before = None
            if starting_after is not None:
                key = parse_uuid(starting_after)
                last = await self._repository.find(connection, key) if key else None
                if last is None:
                    raise InvalidRequest("There is no such entry.", field="starting_after")
                before = last.id
            found = await self._repository.page(connection, wanted, before=before, limit=limit + 1)
        return Page(found[:limit], has_more=len(found) > limit)


@asynccontextmanager
async def audited(
    database: Database,
    action: str,
    *,
    kind: str | None = None,
    object_id: str | None = None,
    clock: Clock | None = None,
    **details: Any,
) -> AsyncIterator[None]:
    """Around what a command changes: `async with audited(database, "events.replay", kind="event", object_id=…)`.

    One entry by `cli:<user of the machine>`, when the block ends: done, refused (a DomainError), or failed.
    """
    service = AuditService(database, clock or SystemClock())

    async def write(outcome: Outcome, code: str | None = None) -> None:
        entry = NewEntry(
            actor=machine_actor(),
            action=action,
            outcome=outcome,
            roles=frozenset({"cli"}),
            object_kind=kind,
            object_id=object_id,
            error_code=code,
            details=bounded(details),
        )
        await service.record(entry)

    try:
        yield
    except DomainError as error:
        await write("refused", error.code)
        raise
    except BaseException as error:
        await write("failed", type(error).__name__)
        raise
    await write("done")


def bounded(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details short enough to be kept, without keys, tokens, e-mail addresses and card numbers."""
    kept: dict[str, Any] = {}
    for name, value in list(details.items())[:_DETAILS_MAX]:
        if value is None:
            continue
        shown = value if isinstance(value, bool | int) else scrub(str(value))[:_TEXT_MAX]
        if len(msgspec.json.encode({**kept, name: shown})) > _BYTES_MAX:
            break
        kept[name] = shown
    return kept


def machine_actor() -> str:
    """Who runs a command, as the log names them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"
