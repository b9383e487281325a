"""Which of two states is the newer one: whatever the order of events and answers, a row is right or in doubt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.stripe_gateway.ordering import Source, Verdict, fetched, judge

AT = datetime(2026, 1, 1, tzinfo=UTC)
State = dict[str, Any]


def verdict(
    shown: Mapping[str, Any], state: Mapping[str, Any], later_s: int = 0, previous: Any = None, **source: Any
) -> Verdict:
    made = Source(**{"origin": "event", "at": AT + timedelta(seconds=later_s), "previous": previous, **source})
    return judge(made, row_at=AT, revision=3, shown=shown, state=state)


def test_time_comes_first() -> None:
    assert verdict({"a": 1}, {"a": 2}, 1) is Verdict.APPLY
    assert verdict({"a": 1}, {"a": 2}, -1) is Verdict.KEEP
    assert judge(Source("event", AT), row_at=None, revision=0, shown={}, state={"a": 1}) is Verdict.APPLY


def test_what_a_row_shows_already_is_not_needed() -> None:
    assert verdict({"a": 1, "b": 2}, {"a": 1, "b": 2}) is Verdict.KEEP
    assert verdict({"a": 1, "b": 3}, {"a": 1, "b": 2}, previous={"a": 0}) is Verdict.KEEP
    assert verdict({"a": 1}, {"a": 0}, event_type="customer.created") is Verdict.KEEP


@pytest.mark.parametrize("previous", [{"a": 1}, {"a": 2}, {"b": 1}, {"other": 1}, {}, None])
def test_whatever_would_change_a_row_of_the_same_second_is_in_doubt(previous: Any) -> None:
    """Also where it follows the row: that which the row shows may have followed it in turn."""
    assert verdict({"a": 1, "b": 2}, {"a": 3, "b": 1}, previous=previous) is Verdict.UNSURE


def test_an_answer_is_in_doubt_once_the_row_has_moved() -> None:
    asked: dict[str, Any] = {"origin": "fetch", "base_revision": 3}
    moved: dict[str, Any] = {"origin": "answer", "base_revision": 2}
    assert verdict({"a": 1}, {"a": 2}, **asked) is Verdict.APPLY
    assert verdict({"a": 1}, {"a": 2}, 1, **moved) is Verdict.UNSURE
    assert verdict({"a": 1}, {"a": 2}, 1, origin="answer") is Verdict.UNSURE
    assert verdict({"a": 1}, {"a": 1}, 1, **moved) is Verdict.APPLY
    assert verdict({"a": 1}, {"a": 2}, -1, **moved) is Verdict.KEEP


@dataclass
class Shown:
    """What is asked of a row."""

    revision: int
    state_at: datetime | None


@pytest.mark.parametrize("later_s", [-30, -1, 0, 1])
def test_a_fetch_is_not_older_than_what_its_row_was_told_before(later_s: int) -> None:
    asked = AT + timedelta(seconds=later_s)
    assert fetched(asked, Shown(3, AT)) == Source("fetch", max(asked, AT), base_revision=3)
    assert fetched(asked, Shown(0, None)) == Source("fetch", asked, base_revision=0)
    assert fetched(asked, None) == Source("fetch", asked)


# A life


@dataclass
class World:
    """An object at Stripe that is edited back and forth, its row here, and what is still on its way."""

    second: int = 0
    true: State = field(default_factory=lambda: {"name": "a", "city": "a", "tags": {}})
    row: State | None = None
    row_at: datetime | None = None
    revision: int = 0
    unsure: bool = False
    told: list[tuple[Source, State]] = field(default_factory=list)
    late: list[tuple[Source, State]] = field(default_factory=list)
    asked: list[tuple[Source, State]] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return AT + timedelta(seconds=self.second)

    def create(self) -> None:
        self.tell(Source("event", self.now, event_type="thing.created"))

    def edit(self, changes: State) -> None:
        previous = {name: self.true[name] for name, value in changes.items() if self.true[name] != value}
        if previous:
            self.true = {**self.true, **changes}
            self.tell(Source("event", self.now, event_type="thing.updated", previous=previous))

    def tell(self, source: Source) -> None:
        self.told.append((source, dict(self.true)))
        self.late.append((source, dict(self.true)))

    def ask(self, origin: Any, ago_s: int = 0) -> None:
        """A request of ours reaches Stripe, which answers with what is true now; it may have been asked for earlier."""
        base, at = self.revision if self.row is not None else None, max(self.now - timedelta(seconds=ago_s), AT)
        self.asked.append((Source(origin, at, base_revision=base), dict(self.true)))

    def hear(self, source: Source, state: State) -> None:
        """An event or an answer reaches us."""
        shown = self.row or {}
        found = judge(source, row_at=self.row_at, revision=self.revision, shown=shown, state=state)
        if found is not Verdict.KEEP:
            self.revision += self.row is not None
            self.row, self.unsure = dict(state), found is Verdict.UNSURE
            self.row_at = max(self.row_at or source.at, source.at)


VALUES = st.sampled_from("abc")
CHANGES = st.fixed_dictionaries(
    {}, optional={"name": VALUES, "city": VALUES, "tags": st.dictionaries(st.sampled_from("xy"), VALUES)}
)


@given(st.data())
def test_a_row_ends_as_the_truth_or_in_doubt(data: st.DataObject) -> None:
    """Edits within a second and over seconds, events doubled and in any order, answers that overtake and are overtaken.

    A write's time is taken to be the second in which Stripe looked; something read bears one that is no later.
    """
    world = World()
    world.create()
    steps = st.sampled_from(["edit", "edit", "edit", "hear", "hear", "again", "ask", "write", "answer", "tick"])
    for step in data.draw(st.lists(steps, max_size=20)):
        match step:
            case "edit":
                world.edit(data.draw(CHANGES))
            case "write":
                world.edit(data.draw(CHANGES))
                world.ask("answer")
            case "ask":
                world.ask("fetch", data.draw(st.integers(0, 2)))
            case "tick":
                world.second += 1
            case "again":
                world.hear(*data.draw(st.sampled_from(world.told)))
            case "hear" if world.late:
                world.hear(*world.late.pop(data.draw(st.integers(0, len(world.late) - 1))))
            case "answer" if world.asked:
                world.hear(*world.asked.pop(data.draw(st.integers(0, len(world.asked) - 1))))
    again = data.draw(st.lists(st.sampled_from(world.told), max_size=5))
    for source, state in data.draw(st.permutations([*world.late, *world.asked, *again])):
        world.hear(source, state)
    assert world.unsure or world.row == world.true


@given(st.lists(CHANGES, min_size=1, max_size=6), st.data())
def test_in_doubt_only_where_a_second_has_more_than_one_state(edits: list[State], data: st.DataObject) -> None:
    """One edit a second, told in any order and twice, leaves nothing to ask Stripe for."""
    world = World()
    world.create()
    for changes in edits:
        world.second += 1
        world.edit(changes)
    for source, state in data.draw(st.permutations([*world.told, *world.told])):
        world.hear(source, state)
    assert (world.row, world.unsure) == (world.true, False)
