"""Writing a subscription's history: which rows a fact adds, by whom and why, and which rows give way to them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tallystick.attempts.models import Attempt
from tallystick.attempts.service import AttemptService
from tallystick.core.ids import new_id
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.ordering import Source, later
from tallystick.subscriptions.history import (
    ENDING,
    action_of,
    differences,
    leads_away,
    told_values,
    tracked,
    unaccounted,
    weave,
    without_missteps,
)
from tallystick.subscriptions.models import TERMINAL, HistoryRow, SubscriptionFacts, SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.states import CREATED, DELETED, UPDATED, blank, with_state

__all__ = ["Chronicle", "SubscriptionHistorian"]


class Chronicle:
    """The history that facts of one transaction meet and make."""

    def __init__(self, attempts: Mapping[str, Attempt], known: Sequence[HistoryRow]) -> None:
        self._attempts = attempts
        self.known = known
        self.fresh: list[HistoryRow] = []
        self.fetched: set[UUID] = set()
        self.behind: set[UUID] = set()
        """Subscriptions of which a change was told that their row is past: another may have undone it."""
        self._last: dict[UUID, tuple[SubscriptionRow, SubscriptionFacts]] = {}
        self._told: dict[str, HistoryRow | None] = {}

    def told_by(self, fact: SubscriptionFacts) -> HistoryRow | None:
        """The row of the change that an event tells by its own content."""
        return self._told.get(fact.source.event_id or "")

    def leads_away(self, row: SubscriptionRow, fact: SubscriptionFacts) -> bool:
        """Whether another event of the same second leads away from what this one leads to."""
        told = self._tell(row, fact)
        if told is None or told.old_values is None:
            return False
        others = (other for other in (*self.known, *self.fresh) if other.subscription_id == row.id)
        return leads_away(told, others)

    def note(
        self, old: SubscriptionRow | None, new: SubscriptionRow, fact: SubscriptionFacts, *, applied: bool
    ) -> None:
        """Add what a fact tells, and what is seen by it and was not told. `old` None: there was no state before."""
        if applied or new.id not in self._last:
            self._last[new.id] = (new, fact)
        if fact.source.origin == "fetch":
            if applied:
                self.fetched.add(new.id)
            return
        told = self._tell(new, fact)
        if told is not None:
            self.fresh.append(told)
            if not applied:
                self.behind.add(new.id)
        seen = tracked(new)
        # An answer that tells an end is heard, though the event of the end was here first: only we know who asked.
        ends = fact.source.origin == "answer" and fact.value.status in TERMINAL
        if old is None:
            values, before = told_values(seen), None
        elif applied or ends:
            before, values = differences(tracked(old), seen) if applied else ({}, {})
            if ends:
                values.setdefault("status", fact.value.status)
        else:
            return
        own = (told.new_values or {}) if told else {}
        rest = {name: value for name, value in values.items() if name not in own or own[name] != value}
        if rest:
            was = None if before is None or (told and told.old_values is None) else {n: before.get(n) for n in rest}
            self.fresh.append(self._row(new, fact, was, rest, provisional=True))

    def repaired(self, subscription_id: UUID, story: list[HistoryRow]) -> list[HistoryRow]:
        """The story, less what a fetch showed to be none of it, and what is shown and no row leads to as one row.

        An answer may show that all is as before, and the event of a change that was undone come after it.
        """
        if subscription_id not in self._last:
            return story
        row, fact = self._last[subscription_id]
        state = tracked(row)
        if subscription_id in self.fetched:
            story = without_missteps(story, state)
        elif row.unsure:
            return story
        if fact.source.event_id is not None:
            # Its own change has a row; who made the others is not known.
            at = later(row.state_at, fact.source)
            fact = replace(fact, source=replace(fact.source, origin="fetch", at=at, event_id=None, request_key=None))
        made = self._row(row, fact, {}, {}, provisional=True)
        story = [other for other in story if other.business_key != made.business_key]
        old, new = unaccounted(story, state)
        if not new:
            return story
        made = replace(made, old_values=old, new_values=new, action=action_of(old, new))
        last = max([made.performed_at, *(other.performed_at for other in story)])
        return [*story, replace(made, performed_at=last)]

    def _tell(self, row: SubscriptionRow, fact: SubscriptionFacts) -> HistoryRow | None:
        """The row that an event's own content makes, whatever the mirror shows."""
        event_id, kind = fact.source.event_id, fact.source.event_type
        if event_id is None or kind not in (CREATED, UPDATED, DELETED):
            return None
        if event_id not in self._told:
            self._told[event_id] = self._told_row(row, fact)
        return self._told[event_id]

    def _told_row(self, row: SubscriptionRow, fact: SubscriptionFacts) -> HistoryRow | None:
        empty = blank(row.id, fact.value, row.updated_at)
        state = tracked(with_state(empty, fact.value))
        if fact.source.event_type == CREATED:
            return self._row(row, fact, None, told_values(state), provisional=False)
        if fact.source.event_type == DELETED:
            return self._row(row, fact, {}, {name: state[name] for name in ENDING}, provisional=False)
        if fact.before is None:
            return None
        old, new = differences(tracked(with_state(empty, fact.before)), state)
        return self._row(row, fact, old, new, provisional=False) if new else None

    def _row(
        self,
        row: SubscriptionRow,
        fact: SubscriptionFacts,
        old: dict[str, Any] | None,
        new: dict[str, Any],
        *,
        provisional: bool,
    ) -> HistoryRow:
        source, who = fact.source, self._who(fact.source)
        key = f"repair:{row.id}:{row.revision}"
        if source.origin == "answer" and source.request_key is not None:
            key = f"request:{source.request_key}"
        elif source.event_id is not None:
            key = f"{'seen' if provisional else 'event'}:{source.event_id}"
        return HistoryRow(
            id=new_id(),
            subscription_id=row.id,
            action=action_of(old, new),
            old_values=old,
            new_values=new,
            performed_by=who.user_id,
            performed_at=source.at,
            business_key=key,
            actor=who.actor,
            cause=who.cause,
            reason=who.reason,
            stripe_event_id=source.event_id,
            request_key=source.request_key,
            provisional=provisional,
        )

    def _who(self, source: Source) -> "_Who":
        """Who is behind a fact: a request of ours, another one, or time."""
        attempt = self._attempts.get(source.request_key or "")
        if attempt is not None:
            actor = str(attempt.request.get("actor") or "api")
            return _Who(actor, "api", attempt.user_id, attempt.request.get("reason"))
        if source.origin == "answer":
            return _Who("api", "api")
        if source.origin == "fetch":
            return _Who("stripe", "repair")
        return _Who("dashboard", "dashboard") if source.requested else _Who("stripe", "stripe")


class _Who(Struct, frozen=True):
    actor: str
    cause: str
    user_id: UUID | None = None
    reason: str | None = None


class SubscriptionHistorian:
    """Reads the history that facts may meet, and writes what has become of it."""

    def __init__(self, subscriptions: SubscriptionRepository, attempts: AttemptService) -> None:
        self._subscriptions = subscriptions
        self._attempts = attempts

    async def open(self, tx: Transaction, facts: Sequence[tuple[SubscriptionRow, SubscriptionFacts]]) -> Chronicle:
        """A chronicle for facts about these locked rows."""
        keys = {fact.source.request_key for _, fact in facts if fact.source.request_key}
        attempts = await self._attempts.by_stripe_keys(tx, keys)
        known = await self._subscriptions.history_around(tx, [(row.id, fact.source.at) for row, fact in facts])
        return Chronicle(attempts, known)

    async def write(self, tx: Transaction, chronicle: Chronicle) -> None:
        """Store the fresh rows; of a subscription with rows that may change by them, the whole story anew."""
        fresh: dict[UUID, list[HistoryRow]] = {}
        # What came together is listed in the order in which it came.
        ids = sorted(new_id() for _ in chronicle.fresh)
        for id_, row in zip(ids, chronicle.fresh, strict=True):
            fresh.setdefault(row.subscription_id, []).append(replace(row, id=id_))
        plain = [row for rows in fresh.values() for row in rows]
        moving = {id_ for id_, rows in fresh.items() if any(row.provisional or _ends(row) for row in rows)}
        moving |= chronicle.fetched | chronicle.behind
        stories = await self._subscriptions.whole_stories(tx, list(fresh), list(moving))
        for subscription_id in sorted(fresh.keys() & stories.keys() | moving):
            known = stories.get(subscription_id, [])
            story = chronicle.repaired(subscription_id, weave(known, fresh.get(subscription_id, [])))
            by_id = {row.id: row for row in known}
            kept = {row.id for row in story}
            await self._subscriptions.delete_history(tx, [row.id for row in known if row.id not in kept])
            await self._subscriptions.save_history(tx, [row for row in story if row != by_id.get(row.id)])
            plain = [row for row in plain if row.subscription_id != subscription_id]
        await self._subscriptions.insert_history(tx, plain)


def _ends(row: HistoryRow) -> bool:
    return (row.new_values or {}).get("status") in TERMINAL
