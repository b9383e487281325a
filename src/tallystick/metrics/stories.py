"""From a subscription's history to what it was when. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from tallystick.metrics.models import Story, StoryRow, Told
from tallystick.subscriptions.history import end_of

__all__ = ["told_by"]

_FIELDS = ("status", "items", "discounts")
_FOUND_LATE = timedelta(hours=1)


def told_by(story: Story) -> list[Told]:
    """What the subscription was from each second on in which something changed."""
    values: dict[str, Any] = {"status": "", "items": [], "discounts": []}
    told: list[Told] = []
    for at, second in groupby(story.rows, key=lambda row: row.performed_at):
        rows = list(second)
        values = {name: _after(name, rows, values[name]) for name in _FIELDS}
        told.append(Told(_began(story, at) if not told else at, **values))
    return told


def _after(name: str, rows: Sequence[StoryRow], before: Any) -> Any:
    changes = [row for row in rows if row.new_values and name in row.new_values]
    return end_of(name, changes, before) if changes else before


def _began(story: Story, at: datetime) -> datetime:
    """When the first state began: one that was found long after the beginning (by an import, say) held all the time."""
    if at - story.began_at <= _FOUND_LATE:
        return at
    return story.trial_end if story.trial_end is not None and story.began_at < story.trial_end < at else story.began_at
