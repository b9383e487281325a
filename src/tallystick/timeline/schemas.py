"""The shapes of answers about timelines, for OpenAPI."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from tallystick.timeline.models import EntryKind, Timeline
from tallystick.timeline.service import cursor_of

__all__ = ["TimelinePage", "timeline_view"]


class SubjectView(BaseModel):
    """Whom or what a timeline is about."""

    kind: str = Field(description="user, subscription, payment, invoice, …; object: only events tell of it")
    name: str = Field(description="your id of a user, else Stripe's id")


class EntryView(BaseModel):
    """Something that happened; times in UTC."""

    id: UUID
    at: datetime = Field(description="business time: of an event, when it happened at Stripe")
    kind: EntryKind
    title: str = Field(description="an event's type, the kind of a call, what changed, the mail's template …")
    object: str | None = Field(description="what it is about; Stripe's id where it has one")
    state: str | None
    summary: str
    details: dict[str, Any] = Field(description="all of it; hangs on the kind")


class TimelinePage(BaseModel):
    """A page of a story, the last thing first."""

    subject: SubjectView
    data: list[EntryView]
    has_more: bool
    next: str | None = Field(description="send it as `before` for what happened before this page")


def timeline_view(timeline: Timeline) -> dict[str, Any]:
    """A page as the API shows it."""
    return {
        "subject": {"kind": timeline.subject.kind, "name": timeline.subject.name},
        "data": [
            {name: getattr(entry, name) for name in ("id", "at", "kind", "title", "object", "state", "summary")}
            | {"details": dict(entry.details)}
            for entry in timeline.entries
        ],
        "has_more": timeline.next is not None,
        "next": cursor_of(timeline.next) if timeline.next else None,
    }
