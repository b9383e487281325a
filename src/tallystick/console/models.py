"""Who is signed in to the console, a page of a list, and what a page about one object shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from tallystick.platform.auth import Identity
from tallystick.timeline.models import Entry

__all__ = ["Act", "ConsoleSession", "Detail", "Listed", "Table", "Visitor"]


class ConsoleSession(Struct, frozen=True):
    """A row of `console_sessions`; all times are wall time."""

    token_hash: bytes
    subject: str
    email: str | None
    roles: list[str]
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class Visitor(Struct, frozen=True):
    """A member of staff in front of a browser. `csrf` is what this session's forms bear."""

    session: ConsoleSession
    identity: Identity
    csrf: str

    @property
    def admin(self) -> bool:
        """Whether the visitor may change anything; support only looks."""
        return "admin" in self.identity.roles


class Listed(Struct, frozen=True):
    """A page of a list: rows by the names of their columns, and the cursors to the pages beside it."""

    rows: list[Mapping[str, Any]]
    next: str | None
    previous: str | None


class Act(Struct, frozen=True):
    """Something that may be done about the object: a form, behind a button that opens it.

    `fields` are (name, label, kind, value): kind `text`, `number`, or a choice of values divided by `|`.
    """

    name: str
    label: str
    says: str
    fields: Sequence[tuple[str, str, str, str]] = ()
    bad: bool = False


class Table(Struct, frozen=True):
    """A table on a page; a cell is text, a time, or (text, address). `more` is the address of the whole list."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str
    more: str | None = None


class Detail(Struct, frozen=True):
    """A page about one object. `said` explains its state in words; `raw` is shown as it is stored."""

    name: str
    title: str
    state: str
    back: str
    facts: Sequence[tuple[str, Any]]
    said: str | None = None
    tables: Sequence[Table] = ()
    acts: Sequence[Act] = ()
    story: Sequence[Entry] = ()
    story_next: str | None = None
    raw: Any = None
