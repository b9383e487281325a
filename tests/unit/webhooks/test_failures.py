"""What becomes of a failed event, and who may be blamed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from tallystick.platform.database import is_weather
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.failures import Rules, describe, judge
from tallystick.webhooks.models import ClaimedEvent, StoredEvent
from tallystick.webhooks.registry import Registry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(max_retries=3, retry_delay=timedelta(seconds=1), can_fetch=lambda object_id: object_id.startswith("ch_"))
EVENT = ClaimedEvent(
    id=UUID(int=1),
    stripe_event_id="evt_1",
    type="some.thing",
    created=NOW,
    api_version=None,
    object_key="pi_1",
    object_id="pi_1",
    data="{}",
    request_idempotency_key=None,
    source="webhook",
    retry_count=0,
    received_at=NOW,
    error_message=None,
    parked_by=None,
)
HELD_UP = replace(EVENT, waits_since=NOW)


def test_the_last_try_is_the_one_after_max_retries() -> None:
    verdicts = [judge(RuntimeError("no"), replace(EVENT, retry_count=count), RULES, NOW) for count in range(4)]
    assert [verdict.retry_count for verdict in verdicts] == [1, 2, 3, 3]
    assert [verdict.not_before is None for verdict in verdicts] == [False, False, False, True]


def test_jitter_spreads_retries() -> None:
    assert len({judge(RuntimeError("no"), EVENT, RULES, NOW).not_before for _ in range(10)}) > 1


@pytest.mark.parametrize(
    ("age_s", "wait_s", "fetch"),
    [(0, 0.25, None), (2, 1, None), (59, 5, None), (60, 5, "ch_1"), (599, 5, "ch_1")],
)
def test_a_missing_parent_is_waited_for_longer_and_longer(age_s: int, wait_s: float, fetch: str | None) -> None:
    now = NOW + timedelta(seconds=age_s)
    verdict = judge(ParentMissing("ch_1"), HELD_UP, RULES, now)
    assert verdict.not_before == now + timedelta(seconds=wait_s)
    assert (verdict.retry_count, verdict.fetch) == (0, fetch)
    assert judge(ParentMissing("ch_1"), replace(HELD_UP, error_message=verdict.message), RULES, now).fetch is None


def test_a_parent_that_nobody_fetches_is_only_waited_for() -> None:
    verdict = judge(ParentMissing("xx_1"), HELD_UP, RULES, NOW + timedelta(minutes=5))
    assert (verdict.fetch, verdict.retry_count) == (None, 0)


def test_an_event_that_waited_for_long_is_counted_and_its_parent_fetched() -> None:
    verdict = judge(ParentMissing("ch_1"), HELD_UP, RULES, NOW + timedelta(days=1))
    assert (verdict.fetch, verdict.retry_count) == ("ch_1", 1)


def test_an_event_that_nobody_had_tried_yet_has_not_waited_for_its_parent() -> None:
    """After an outage the parent is behind it in the backlog, in another lane."""
    now = NOW + timedelta(days=1)
    verdict = judge(ParentMissing("ch_1"), EVENT, RULES, now)
    assert (verdict.not_before, verdict.retry_count, verdict.fetch) == (now + timedelta(milliseconds=250), 0, None)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=1)])
def test_only_a_missing_parent_is_let_through(age: timedelta) -> None:
    assert judge(ParentMissing("pi_1"), EVENT, RULES, NOW + age).waits_for == "pi_1"
    assert judge(RuntimeError("no"), EVENT, RULES, NOW + age).waits_for is None
    assert judge(ConnectionResetError(), EVENT, RULES, NOW + age).waits_for is None


def test_what_weather_is() -> None:
    weather = (
        asyncpg.DeadlockDetectedError(),
        ConnectionResetError(),
        asyncpg.InternalClientError(),
        asyncpg.InvalidPasswordError("the role's password was changed a moment ago"),
    )
    faults = (ValueError(), asyncpg.UniqueViolationError(), asyncpg.exceptions._base.DataError("not an integer"))
    assert [is_weather(error) for error in weather] == [True] * 4
    assert [is_weather(error) for error in faults] == [False] * 3


def test_a_message_has_no_secret_no_row_and_an_end() -> None:
    violation = asyncpg.UniqueViolationError("duplicate key")
    violation.detail = "Key (name)=(Bob) already exists."
    assert describe(violation) == "UniqueViolationError: duplicate key"
    assert (
        describe(RuntimeError("bob@example.com sk_live_abc pi_1_secret_x"))
        == "RuntimeError: [removed] [removed] [removed]"
    )
    assert describe(RuntimeError()) == "RuntimeError"
    assert len(describe(RuntimeError("word " * 200))) == 500


# The registry


async def record(*_: object) -> None:
    pass


def translate(_: StoredEvent) -> list[int]:
    return []


async def test_a_type_has_one_handler_and_a_prefix_one_fetch() -> None:
    fetched: list[str] = []

    async def fetch(object_id: str) -> None:
        fetched.append(object_id)

    registry = Registry()
    registry.register("b.type", translate, record)
    registry.register("a.type", translate, record)
    registry.register_fetch("pi_", fetch)
    assert registry.event_types() == ("a.type", "b.type")
    assert registry.find("c.type") is None
    with pytest.raises(ValueError, match=r"a\.type"):
        registry.register("a.type", translate, record)
    with pytest.raises(ValueError, match="pi_"):
        registry.register_fetch("pi_", fetch)
    await registry.fetch("pi_1")
    assert fetched == ["pi_1"]
    assert not registry.can_fetch("pix_1")
    with pytest.raises(LookupError):
        await registry.fetch("ch_1")
