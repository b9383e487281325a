"""What a change is called, and how provisional rows give way to what events tell."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from tallystick.core.ids import new_id
from tallystick.subscriptions.history import (
    TRACKED,
    action_of,
    differences,
    leads_away,
    unaccounted,
    weave,
    without_missteps,
)
from tallystick.subscriptions.models import HistoryRow

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
SUBSCRIPTION = UUID(int=1)
EMPTY: dict[str, Any] = {
    **dict.fromkeys(TRACKED), "items": [], "metadata": {}, "discounts": [], "cancel_at_period_end": False,
}  # fmt: skip


def item(price: str = "price_1", quantity: int = 1) -> dict[str, Any]:
    return {"price": price, "product": "prod_1", "quantity": quantity}


def row(
    old: dict[str, Any] | None,
    new: dict[str, Any],
    *,
    at: int = 0,
    key: str = "",
    provisional: bool = False,
    **more: Any,
) -> HistoryRow:
    """A row `at` seconds after the beginning; its event is named by its key."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "subscription_id": SUBSCRIPTION,
        "action": action_of(old, new),
        "old_values": old,
        "new_values": new,
        "performed_by": None,
        "performed_at": AT + timedelta(seconds=at),
        "business_key": key or str(new_id()),
        "actor": "dashboard",
        "cause": "dashboard",
        "reason": None,
        "stripe_event_id": None if provisional else key or str(new_id()),
        "request_key": None,
        "provisional": provisional,
    }
    return HistoryRow(**{**fields, **more})


def values(rows: list[HistoryRow]) -> list[tuple[Any, Any]]:
    return [(one.old_values, one.new_values) for one in sorted(rows, key=lambda one: one.performed_at)]


@pytest.mark.parametrize(
    ("old", "new", "action"),
    [
        (None, {"status": "active"}, "created"),
        ({"status": "incomplete"}, {"status": "active"}, "activated"),
        ({"status": "incomplete"}, {"status": "trialing"}, "activated"),
        ({"status": "incomplete"}, {"status": "incomplete_expired", "ended_at": "t"}, "expired"),
        ({"status": "trialing", "period": {}}, {"status": "active", "period": {"end": "t"}}, "trial_ended"),
        ({"status": "trialing"}, {"status": "past_due"}, "past_due"),
        ({"status": "active", "trial_end": None}, {"status": "trialing", "trial_end": "t"}, "trial_started"),
        ({"status": "past_due"}, {"status": "active"}, "recovered"),
        ({"status": "unpaid"}, {"status": "active"}, "recovered"),
        ({"status": "past_due"}, {"status": "unpaid"}, "unpaid"),
        ({"status": "trialing"}, {"status": "paused"}, "paused"),
        ({"status": "paused"}, {"status": "active", "period": {}}, "resumed"),
        ({"status": "active", "ended_at": None}, {"status": "canceled", "ended_at": "t"}, "canceled"),
        ({"items": [item()]}, {"items": [item("price_2")]}, "plan_changed"),
        ({"items": [item()]}, {"items": [item(), item("price_2")]}, "plan_changed"),
        ({"items": [item(), item("price_2")]}, {"items": [item("price_2"), item(quantity=2)]}, "quantity_changed"),
        ({"items": [item()], "period": {}}, {"items": [item("price_2")], "period": {"end": "t"}}, "plan_changed"),
        ({"pause_collection": None}, {"pause_collection": {"behavior": "void"}}, "paused"),
        ({"pause_collection": {"behavior": "void"}}, {"pause_collection": None}, "resumed"),
        ({"pause_collection": {"resumes_at": 1}}, {"pause_collection": {"resumes_at": 2}}, "updated"),
        ({"cancel_at_period_end": False}, {"cancel_at_period_end": True, "cancel_at": "t"}, "cancel_scheduled"),
        ({"cancel_at": None}, {"cancel_at": "t"}, "cancel_scheduled"),
        ({"cancel_at_period_end": True}, {"cancel_at_period_end": False, "cancel_at": None}, "cancel_undone"),
        ({"trial_end": "2026-01-01"}, {"trial_end": "2026-01-08"}, "trial_extended"),
        ({"trial_end": None}, {"trial_end": "2026-01-08"}, "trial_started"),
        ({"trial_end": "2026-01-08"}, {"trial_end": "2026-01-01"}, "updated"),
        ({"period": {"end": "a"}}, {"period": {"end": "b"}}, "renewed"),
        ({"default_payment_method": None}, {"default_payment_method": "pm_1"}, "payment_method_changed"),
        ({"discounts": []}, {"discounts": ["di_1"]}, "discount_changed"),
        ({"metadata": {}}, {"metadata": {"k": "v"}}, "updated"),
        ({"pending_update": None}, {"pending_update": {"expires_at": 1}}, "updated"),
    ],
)  # fmt: skip
def test_a_change_has_one_name(old: Any, new: Any, action: str) -> None:
    assert action_of(old, new) == action


def test_differences_are_the_fields_that_differ() -> None:
    state = dict.fromkeys(TRACKED)
    assert differences({**state, "status": "active"}, {**state, "status": "past_due"}) == (
        {"status": "active"},
        {"status": "past_due"},
    )
    assert differences(state, state) == ({}, {})


def test_what_an_event_tells_takes_the_place_of_what_an_answer_showed() -> None:
    answer = row({"items": [item()]}, {"items": [item("price_2")]}, key="request:k", provisional=True, request_key="k",
                 cause="api", actor="user:ann", reason="why")  # fmt: skip
    event = row(answer.old_values, {"items": [item("price_2")]}, key="evt_1", request_key="k")
    for known, fresh in (([answer], [event]), ([event], [answer])):
        (only,) = weave(known, fresh)
        assert (only.business_key, only.provisional) == ("evt_1", False)
        assert (only.cause, only.actor, only.reason) == ("api", "user:ann", "why")
        # Who has seen the row keeps its id.
        assert only.id == known[0].id


def test_what_no_event_told_stays() -> None:
    seen = row(
        {"status": "active", "metadata": {}}, {"status": "past_due", "metadata": {"k": "v"}}, at=5, provisional=True
    )
    event = row({"status": "active"}, {"status": "past_due"}, at=3, key="evt_1")
    story = weave([seen], [event])
    assert values(story) == [
        ({"status": "active"}, {"status": "past_due"}),
        ({"metadata": {}}, {"metadata": {"k": "v"}}),
    ]
    assert [one.action for one in story if one.provisional] == ["updated"]


def test_two_changes_seen_as_one_become_two() -> None:
    seen = row({"items": [item()]}, {"items": [item(quantity=3)]}, at=9, provisional=True)
    first = row({"items": [item()]}, {"items": [item(quantity=2)]}, at=3, key="evt_1")
    second = row({"items": [item(quantity=2)]}, {"items": [item(quantity=3)]}, at=6, key="evt_2")
    between = weave([seen], [first])
    assert values(between)[1] == ({"items": [item(quantity=2)]}, {"items": [item(quantity=3)]})
    assert values(weave(between, [second])) == values([first, second])


def test_an_old_change_to_the_same_value_does_not_account_for_a_new_one() -> None:
    there = row({"status": "past_due"}, {"status": "active"}, at=1, key="evt_1")
    back = row({"status": "active"}, {"status": "past_due"}, at=2, key="evt_2")
    seen = row({"status": "past_due"}, {"status": "active"}, at=9, provisional=True)
    assert len(weave([back, seen], [there])) == 3


def test_the_clock_of_an_event_may_be_a_second_ahead_of_that_of_an_answer() -> None:
    seen = row({"status": "active"}, {"status": "past_due"}, at=5, provisional=True)
    assert len(weave([seen], [row({"status": "active"}, {"status": "past_due"}, at=6, key="evt_1")])) == 1
    assert len(weave([seen], [row({"status": "active"}, {"status": "past_due"}, at=60, key="evt_1")])) == 2


def test_the_end_finds_its_old_values_whatever_comes_first() -> None:
    made = row(None, {"status": "trialing"}, key="evt_1")
    active = row({"status": "trialing"}, {"status": "active"}, at=3, key="evt_2")
    planned = row({"cancel_at": None, "cancellation_reason": None}, {"cancel_at": "t", "cancellation_reason": "r"},
                  at=5, key="evt_3")  # fmt: skip
    end = row(
        {}, {"status": "canceled", "ended_at": "t", "cancel_at": "t", "cancellation_reason": "r"}, at=9, key="evt_4"
    )
    for order in permutations([made, active, planned, end]):
        story: list[HistoryRow] = []
        for one in order:
            story = weave(story, [one])
        (ending,) = [one for one in story if one.action == "canceled"]
        assert ending.old_values == {"status": "active", "ended_at": None}
        assert ending.new_values == {"status": "canceled", "ended_at": "t"}


def test_who_asked_for_the_end_is_known_by_the_answer_alone() -> None:
    """Deleting bears no idempotency key: its event names no request of ours."""
    end = row({}, {"status": "canceled", "ended_at": "t"}, key="evt_1")
    answer = row({"status": "active"}, {"status": "canceled"}, provisional=True, key="request:k", request_key="k",
                 cause="api", actor="user:ann")  # fmt: skip
    for known, fresh in ((answer, end), (end, answer)):
        (only,) = weave([known], [fresh])
        assert (only.cause, only.actor, only.stripe_event_id) == ("api", "user:ann", "evt_1")
    by_time = row({}, {"status": "canceled"}, key="evt_1", cause="stripe", actor="stripe")
    assert {one.cause for one in weave([by_time], [answer])} == {"stripe"}


def test_who_made_it_did_not_end_it() -> None:
    """Made and ended within the batch: the row of its creation gives way too, and says nothing about the end."""
    created = row(None, {"status": "active"}, key="evt_1", request_key="key-of-create")
    seen: dict[str, Any] = {"provisional": True, "cause": "api"}
    made = row(None, {"status": "active"}, request_key="key-of-create", actor="user:ann", **seen)
    ending = row({}, {"status": "canceled", "ended_at": "t"}, at=1, key="evt_2")
    asked = row({}, {"status": "canceled"}, at=1, request_key="key-of-end", actor="user:bob", reason="unused", **seen)
    for known in permutations([created, made, ending, asked]):
        story = weave(known, [])
        assert [one.actor for one in sorted(story, key=lambda one: one.performed_at)] == ["user:ann", "user:bob"]
        assert [one.reason for one in story if one.action == "canceled"] == ["unused"]


def test_events_of_one_second_that_go_to_and_fro() -> None:
    there = row({"cancel_at": None}, {"cancel_at": "t"}, key="evt_1")
    back = row({"cancel_at": "t"}, {"cancel_at": None}, key="evt_2")
    assert leads_away(there, [back])
    assert leads_away(back, [there])
    assert not leads_away(there, [there])
    assert not leads_away(there, [row({"cancel_at": "t"}, {"cancel_at": None}, at=1, key="evt_3")])
    assert not leads_away(there, [row({"status": "t"}, {"status": "active"}, key="evt_4")])


def test_what_no_row_leads_to() -> None:
    made = row(None, {"status": "active"}, key="evt_1")
    state = dict.fromkeys(TRACKED) | {"items": [], "discounts": [], "metadata": {}, "cancel_at_period_end": False}
    assert unaccounted([made], {**state, "status": "active"}) == ({}, {})
    assert unaccounted([made], {**state, "status": "past_due"}) == ({"status": "active"}, {"status": "past_due"})
    assert unaccounted([], {**state, "status": "active"}) == (None, {"status": "active"})


def test_what_an_event_of_the_same_second_showed_too_late_did_not_happen() -> None:
    paused = {"pause_collection": {"behavior": "void"}}
    made = row(None, {"status": "active"})
    told = row({"pause_collection": None}, paused, key="evt_1")
    # A notice of before the pause came after it, and showed the subscription without.
    seen = row(paused, {"pause_collection": None, "status": "trialing"}, key="seen:evt_2", provisional=True,
               stripe_event_id="evt_2")  # fmt: skip
    now = {**EMPTY, **paused, "status": "trialing"}
    kept = without_missteps([made, told, seen], now)
    assert values(kept) == [(None, {"status": "active"}), ({"pause_collection": None}, paused),
                            ({}, {"status": "trialing"})]  # fmt: skip
    assert unaccounted(kept, now) == ({}, {})


def test_what_an_answer_showed_happened_though_it_is_undone() -> None:
    made = row(None, {"status": "active"})
    asked = row({"cancel_at": None}, {"cancel_at": "t"}, provisional=True, request_key="k")
    assert without_missteps([made, asked], {**EMPTY, "status": "active"}) == [made, asked]


def test_the_end_lets_go_of_the_schedule() -> None:
    made = row(None, {"status": "active"})
    scheduled = row({"schedule": None}, {"schedule": "sub_sched_1"}, at=1)
    end = row({}, {"status": "canceled", "schedule": None}, at=2)
    answer = row({"status": "active", "schedule": "sub_sched_1"}, {"status": "canceled", "schedule": None}, at=2,
                 provisional=True)  # fmt: skip
    *_, ended = weave([made, scheduled, answer], [end])
    assert ended.old_values == {"status": "active", "schedule": "sub_sched_1"}
    assert not any(one.provisional for one in weave([made, scheduled, answer], [end]))
