"""What a timeline is about, and what happened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

__all__ = ["RANKS", "Entry", "EntryKind", "Member", "Place", "Subject", "Timeline"]

EntryKind = Literal["staff", "call", "event", "change", "access", "webhook", "mail", "difference"]

RANKS: Mapping[EntryKind, int] = {
    "staff": 0, "call": 10, "event": 20, "change": 30, "access": 40, "webhook": 50, "mail": 60, "difference": 70,
}  # fmt: skip
"""What comes first of what happened in the same second: Stripe tells no more, and a cause is before what it causes.

Events have ten ranks: something is made, charged, changed, and then it is over.
"""


class Member(Struct, frozen=True):
    """An object that a story is about. `id` is ours, None for what only Stripe's events tell of."""

    kind: str
    id: UUID | None
    stripe_id: str | None


class Subject(Struct, frozen=True):
    """Whom or what a timeline is about: `user_id` the owner if there is one, `whole` all that is the user's."""

    kind: str
    name: str
    user_id: UUID | None
    whole: bool
    members: Sequence[Member]

    @property
    def ids(self) -> list[UUID]:
        """Our ids of what it is about."""
        return [member.id for member in self.members if member.id]

    @property
    def names(self) -> list[str]:
        """Every id by which something may name a part of it; of a user also your own."""
        whole = [str(self.user_id), self.name] if self.whole else []
        return [*(str(id_) for id_ in self.ids), *self.stripe_ids, *whole]

    @property
    def stripe_ids(self) -> list[str]:
        """Stripe's ids of what it is about."""
        return [member.stripe_id for member in self.members if member.stripe_id]


class Place(Struct, frozen=True):
    """Where in a story something is; everything about it that decides the order."""

    second: datetime
    rank: int
    at: datetime
    id: UUID


class Entry(Struct, frozen=True):
    """Something that happened. `at` is business time, `title` Stripe's or our word for it, `object` the id of what it
    is about (Stripe's, where it has one), and `summary` the rest in a few words; `details` has all of it."""

    at: datetime
    kind: EntryKind
    id: UUID
    title: str
    object: str | None
    state: str | None
    summary: str
    details: Mapping[str, Any]


class Timeline(Struct, frozen=True):
    """A page of a story, the last thing first; `next` is where the page before it begins, None at the beginning."""

    subject: Subject
    entries: Sequence[Entry]
    next: Place | None
