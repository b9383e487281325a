"""The invariant of the history: every change of a subscription is a row of it, so that all rows lead to what it shows.

Two changes of one second have no order. Where that leaves several values a field may end with, any of them will do.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from tallystick.invariants.models import FOUND_MOST, Invariant, Scope
from tallystick.platform.database import Connection, Record
from tallystick.subscriptions.history import TRACKED, tracked
from tallystick.subscriptions.models import SubscriptionRow

__all__ = ["HISTORY_INVARIANTS", "possible_ends"]

_CHUNK = 500
_EMPTY: Mapping[str, Any] = {"items": [], "discounts": [], "metadata": {}, "cancel_at_period_end": False}

# Those that changed, found as `invariants_money` finds payments.
_TOUCHED = """
    SELECT id FROM subscriptions WHERE created_at >= $2 AND stripe_subscription_id IS NOT NULL
    UNION SELECT subscription_id FROM subscription_history WHERE id >= $1
    UNION SELECT s.id FROM webhook_events e JOIN subscriptions s ON s.stripe_subscription_id = e.object_id
        WHERE e.id >= $1
"""
# One statement: a change that is committed meanwhile is in both or in neither. What a row shows that is not sure is
# settled by its fetch, and the history with it.
_STORIES = f"""
    SELECT {", ".join(f"s.{name}" for name in SubscriptionRow.__struct_fields__)}, (
        SELECT jsonb_agg(jsonb_build_array(h.performed_at, h.old_values, h.new_values) ORDER BY h.performed_at)
        FROM subscription_history h WHERE h.subscription_id = s.id
    ) AS story
    FROM subscriptions s WHERE s.id = ANY($1) AND NOT s.unsure
"""


async def _find(connection: Connection, scope: Scope) -> Sequence[str]:
    ids = [row["id"] for row in await connection.fetch(_TOUCHED, scope.first_id, scope.since)]
    found: list[str] = []
    for first in range(0, len(ids), _CHUNK):
        found += [
            f"{row['stripe_subscription_id']}: the history does not lead to its {', '.join(lost)}"
            for row in await connection.fetch(_STORIES, ids[first : first + _CHUNK])
            if (lost := _unaccounted(row))
        ]
        if len(found) >= FOUND_MOST:
            break
    return found[:FOUND_MOST]


def _unaccounted(row: Record) -> list[str]:
    values = dict(row)
    ends = possible_ends(values.pop("story") or [])
    shown = tracked(SubscriptionRow(**values))
    return [name for name, value in shown.items() if value not in ends[name]]


def possible_ends(story: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Of each field the values with which a history may end; its rows are `[second, old values, new values]`."""
    ends: dict[str, list[Any]] = {name: [_EMPTY.get(name)] for name in TRACKED}
    for _, second in groupby(story, key=lambda row: row[0]):
        rows = [(old or {}, new or {}) for _, old, new in second]
        for name in TRACKED:
            new_values = [new[name] for _, new in rows if name in new]
            old_values = [old[name] for old, _ in rows if name in old]
            if reached := [value for value in new_values if new_values.count(value) > old_values.count(value)]:
                ends[name] = reached
            elif new_values:
                # They go in a circle, and where it was entered may not be known.
                ends[name] = [*ends[name], *new_values]
    return ends


HISTORY_INVARIANTS = (
    Invariant(
        "history_leads_to_the_subscription",
        8,
        "Every change of a subscription is a row of its history: all of them together lead to what it shows.",
        "Run `tallystick reconcile` for the subscription: it records what the history lacks.",
        _find,
    ),
)
