"""The history of a subscription: what is tracked, what a change is called, and how rows of two kinds become one story.

Pure. A row is *told* where an event of Stripe's told the change: its old and new values are the event's own, whenever
it comes. A row is *provisional* where a change was seen in an answer, a fetch, or another event's object: it is there
at once, and gives way, field by field, to the rows of the events that tell the same. So whatever comes in whatever
order, in the end one change is one row, and all rows together lead to what the subscription shows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from msgspec.structs import replace

from tallystick.subscriptions.models import HistoryRow, SubscriptionRow
from tallystick.subscriptions.states import text_of

__all__ = [
    "ENDING",
    "TRACKED",
    "Step",
    "action_of",
    "differences",
    "end_of",
    "leads_away",
    "told_values",
    "tracked",
    "unaccounted",
    "weave",
    "without_missteps",
]

Values = Mapping[str, Any]

TRACKED = (
    "status", "items", "period", "trial_start", "trial_end", "cancel_at", "cancel_at_period_end", "canceled_at",
    "ended_at", "cancellation_reason", "cancellation_feedback", "cancellation_comment", "pause_collection",
    "pending_update", "default_payment_method", "discounts", "metadata", "collection_method", "billing_cycle_anchor",
    "schedule",
)  # fmt: skip

ENDING = (
    "status", "ended_at", "canceled_at", "cancel_at", "cancel_at_period_end", "cancellation_reason",
    "cancellation_feedback", "cancellation_comment", "pending_update", "schedule",
)  # fmt: skip
"""What the end of a subscription sets. Its event tells no old values: they are taken from the rows before it."""

_ITEM = ("price", "product", "quantity", "unit_amount", "currency", "interval", "interval_count")
# An event's time and that of an answer are two servers'.
_SKEW = timedelta(seconds=2)
_EMPTY: Values = {"cancel_at_period_end": False, "discounts": [], "metadata": {}, "items": []}


class _Unknown(Enum):
    UNKNOWN = "unknown"


def tracked(row: SubscriptionRow) -> dict[str, Any]:
    """What history remembers of a row, as JSON; times as RFC 3339."""
    return {
        "status": row.status,
        "items": [{name: item[name] for name in _ITEM} for item in row.items],
        "period": {"start": text_of(row.current_period_start), "end": text_of(row.current_period_end)},
        "trial_start": text_of(row.trial_start),
        "trial_end": text_of(row.trial_end),
        "cancel_at": text_of(row.cancel_at),
        "cancel_at_period_end": row.cancel_at_period_end,
        "canceled_at": text_of(row.canceled_at),
        "ended_at": text_of(row.ended_at),
        "cancellation_reason": row.cancellation_reason,
        "cancellation_feedback": row.cancellation_feedback,
        "cancellation_comment": row.cancellation_comment,
        "pause_collection": row.pause_collection,
        "pending_update": row.pending_update,
        "default_payment_method": row.default_payment_method,
        "discounts": row.discounts,
        "metadata": row.metadata,
        "collection_method": row.collection_method,
        "billing_cycle_anchor": text_of(row.billing_cycle_anchor),
        "schedule": row.schedule_id,
    }


def differences(old: Values, new: Values) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields in which two states differ: as they were, and as they are."""
    changed = [name for name in TRACKED if old[name] != new[name]]
    return {name: old[name] for name in changed}, {name: new[name] for name in changed}


def told_values(state: Values) -> dict[str, Any]:
    """A state with which a subscription began: the fields that are not empty."""
    return {name: state[name] for name in TRACKED if state[name] != _EMPTY.get(name)}


# What a change is called


def action_of(old: Values | None, new: Values) -> str:
    """One word for a change, by the weightiest of what it changed; `old` None: there was nothing before."""
    if old is None:
        return "created"
    for changed in (_status, _plan, _pause, _cancellation, _trial, _rest):
        if (action := changed(old, new)) is not None:
            return action
    return "updated"


_ENTERED = {
    "canceled": "canceled", "incomplete_expired": "expired", "past_due": "past_due", "unpaid": "unpaid",
    "paused": "paused", "trialing": "trial_started", "active": "activated",
}  # fmt: skip
_LEFT = {"past_due": "recovered", "unpaid": "recovered", "paused": "resumed", "trialing": "trial_ended"}


def _status(old: Values, new: Values) -> str | None:
    if "status" not in new:
        return None
    was, is_ = old.get("status"), new["status"]
    if is_ == "active" and was in _LEFT:
        return _LEFT[was]
    return "activated" if was == "incomplete" and is_ == "trialing" else _ENTERED.get(is_)


def _plan(old: Values, new: Values) -> str | None:
    if "items" not in new:
        return None
    before, after = ([item["price"] for item in values.get("items") or ()] for values in (old, new))
    return "quantity_changed" if sorted(before) == sorted(after) else "plan_changed"


def _pause(old: Values, new: Values) -> str | None:
    if "pause_collection" not in new:
        return None
    if new["pause_collection"] is None:
        return "resumed"
    return "paused" if old.get("pause_collection") is None else None


def _cancellation(old: Values, new: Values) -> str | None:
    if "cancel_at" not in new and "cancel_at_period_end" not in new:
        return None
    return "cancel_scheduled" if new.get("cancel_at") or new.get("cancel_at_period_end") else "cancel_undone"


def _trial(old: Values, new: Values) -> str | None:
    if not new.get("trial_end"):
        return None
    before = old.get("trial_end")
    if before is None:
        return "trial_started"
    return "trial_extended" if new["trial_end"] > before else None


def _rest(old: Values, new: Values) -> str | None:
    named = (("period", "renewed"), ("default_payment_method", "payment_method_changed"))
    return next((action for name, action in (*named, ("discounts", "discount_changed")) if name in new), None)


# How the rows become one story


def leads_away(row: HistoryRow, others: Iterable[HistoryRow]) -> bool:
    """Whether another event of the same second begins where this one ends, so that nobody can say which came last."""
    return any(
        other.old_values[name] == value
        for other in others
        if other.old_values and not other.provisional and other.performed_at == row.performed_at
        and other.stripe_event_id != row.stripe_event_id
        for name, value in (row.new_values or {}).items()
        if name in other.old_values
    )  # fmt: skip


class _Course:
    """What each field was when, by the rows there are."""

    def __init__(self) -> None:
        self._rows: list[HistoryRow] = []

    def add(self, row: HistoryRow) -> None:
        self._rows.append(row)

    @property
    def began(self) -> bool:
        """Whether a row tells of the beginning."""
        return any(row.old_values is None for row in self._rows)

    def before(self, name: str, at: datetime) -> Any:
        """The value at the beginning of the second `at`."""
        return self._follow(name, [row for row in self._rows if row.performed_at < at])

    def after(self, name: str, at: datetime) -> Any:
        """The value at the end of the second `at`."""
        return self._follow(name, [row for row in self._rows if row.performed_at <= at])

    def has(self, name: str, value: Any, row: HistoryRow) -> bool:
        """Whether a field had this value when `row` says so, by the other rows, or got it there and then."""
        return self.before(name, row.performed_at) == value or any(
            other.new_values is not None and name in other.new_values and other.new_values[name] == value
            for other in self._rows
            if timedelta() <= other.performed_at - row.performed_at <= _SKEW
            or (row.request_key is not None and other.request_key == row.request_key)
        )

    def _follow(self, name: str, rows: Sequence[HistoryRow]) -> Any:
        began = any(row.old_values is None for row in rows)
        value: Any = _EMPTY.get(name) if began else _Unknown.UNKNOWN
        moments = {row.performed_at for row in rows if row.new_values and name in row.new_values}
        for moment in sorted(moments):
            changes = [row for row in rows if row.performed_at == moment and name in (row.new_values or {})]
            value = end_of(name, changes, value)
        return value


class Step(Protocol):
    """What of a row says where it leads."""

    @property
    def old_values(self) -> Values | None: ...

    @property
    def new_values(self) -> Values | None: ...


def end_of(name: str, changes: Sequence[Step], start: Any) -> Any:
    """Where the changes of one second lead a field: to the value that is reached more often than it is left."""
    new = [row.new_values[name] for row in changes if row.new_values]
    if len(new) == 1:
        return new[0]
    old = [row.old_values[name] for row in changes if row.old_values and name in row.old_values]
    reached = [value for value in new if new.count(value) > old.count(value)]
    if reached:
        return reached[-1]
    return new[-1] if isinstance(start, _Unknown) else start


def weave(known: Sequence[HistoryRow], fresh: Sequence[HistoryRow]) -> list[HistoryRow]:
    """All rows of one subscription after `fresh` ones came to the `known`: a change that is told needs no other row.

    A row that gives way to one of the same request leaves it its id.
    """
    keys = {row.business_key for row in known}
    rows = [*_whole_endings(known), *(row for row in fresh if row.business_key not in keys)]
    course, story = _Course(), [row for row in rows if not row.provisional]
    for row in story:
        course.add(row)
    known_ids = {row.id for row in known}
    for row in sorted((row for row in rows if row.provisional), key=lambda row: (row.performed_at, row.id)):
        rest = _untold(row, course)
        if rest is not None:
            course.add(rest)
            story.append(rest)
        else:
            story = [_heir(other, row, known_ids) for other in story]
    return [_ending(row, story) if _ends(row) else row for row in story]


def unaccounted(story: Sequence[HistoryRow], state: Values) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What of a state no row leads to: the fields as the rows leave them (None: there are no rows), and as they are."""
    if not story:
        return None, told_values(state)
    course, end = _Course(), max(row.performed_at for row in story)
    for row in story:
        course.add(row)
    old, new = {}, {}
    for name in TRACKED:
        value = course.after(name, end)
        value = _EMPTY.get(name) if isinstance(value, _Unknown) else value
        if value != state[name]:
            old[name], new[name] = value, state[name]
    return old, new


def without_missteps(story: Sequence[HistoryRow], state: Values) -> list[HistoryRow]:
    """The rows, less what was only seen in an event's object and leads away from `state`, which is so for certain.

    Of the events of one second the last that comes need not be the last that happened.
    """
    _, wrong = unaccounted(story, state)
    straight = [kept for row in story if (kept := _less(row, wrong))]
    _, still = unaccounted(straight, state)
    missteps = wrong.keys() - still.keys()
    return [kept for row in story if (kept := _less(row, missteps))]


def _less(row: HistoryRow, names: Collection[str]) -> HistoryRow | None:
    """A row that was only seen in an event's object, without these fields; any other as it is."""
    values = row.new_values or {}
    if not row.provisional or row.stripe_event_id is None or not any(name in values for name in names):
        return row
    new = {name: value for name, value in values.items() if name not in names}
    old = row.old_values and {name: value for name, value in row.old_values.items() if name not in names}
    return replace(row, old_values=old, new_values=new, action=action_of(old, new)) if new else None


def _untold(row: HistoryRow, course: _Course) -> HistoryRow | None:
    """What of a provisional row no other row tells."""
    assert row.new_values is not None
    new = {name: value for name, value in row.new_values.items() if not course.has(name, value, row)}
    if not new:
        return None
    if row.old_values is None and not course.began:
        return replace(row, new_values=new)
    old: dict[str, Any] = {}
    for name in new:
        value = course.before(name, row.performed_at)
        old[name] = (row.old_values or _EMPTY).get(name) if isinstance(value, _Unknown) else value
    return replace(row, old_values=old, new_values=new, action=action_of(old, new))


def _heir(row: HistoryRow, gone: HistoryRow, known_ids: set[Any]) -> HistoryRow:
    """`row`, with what it has from a provisional row that gave way to it."""
    same = gone.request_key is not None and row.request_key == gone.request_key
    # Deleting bears no idempotency key; but there is one end.
    ends = (gone.new_values or {}).get("status") == "canceled"
    end = _ends(row) and gone.cause == "api" and ends and row.cause == "dashboard"
    if not (same or end):
        return row
    if gone.id in known_ids and row.id not in known_ids:
        known_ids.discard(gone.id)
        row = replace(row, id=gone.id)
    return replace(
        row,
        actor=gone.actor,
        performed_by=gone.performed_by,
        cause=gone.cause,
        reason=gone.reason,
        request_key=gone.request_key,
    )


def _ends(row: HistoryRow) -> bool:
    return not row.provisional and row.old_values is not None and (row.new_values or {}).get("status") == "canceled"


def _whole_endings(known: Sequence[HistoryRow]) -> list[HistoryRow]:
    """The known rows; the end with all that it set, also what was so before."""
    course = _Course()
    for row in known:
        if not _ends(row):
            course.add(row)
    return [
        replace(row, new_values={name: _at_end(row, course, name) for name in ENDING}) if _ends(row) else row
        for row in known
    ]


def _at_end(row: HistoryRow, course: _Course, name: str) -> Any:
    assert row.new_values is not None
    return row.new_values[name] if name in row.new_values else course.after(name, row.performed_at)


def _ending(row: HistoryRow, story: Sequence[HistoryRow]) -> HistoryRow:
    """The end, with what it changed."""
    assert row.new_values is not None
    course = _Course()
    for other in story:
        if other is not row:
            course.add(other)
    old, new = {}, {}
    for name, value in row.new_values.items():
        before = course.after(name, row.performed_at)
        if before != value and not isinstance(value, _Unknown):
            old[name], new[name] = None if isinstance(before, _Unknown) else before, value
    return replace(row, old_values=old, new_values=new, action=action_of(old, new))
