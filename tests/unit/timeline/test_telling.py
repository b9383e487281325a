"""What the rows of a timeline say in a few words."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tallystick.core.ids import new_id
from tallystick.timeline.errors import BadCursor
from tallystick.timeline.models import RANKS, EntryKind, Place
from tallystick.timeline.service import _place_of, cursor_of
from tallystick.timeline.telling import short_id, tell

AT = datetime(2026, 11, 26, 9, 55, 36, 123456, tzinfo=UTC)
OURS = UUID(int=7)


def told(kind: EntryKind, **details: Any) -> tuple[str | None, str | None, str]:
    place = Place(AT.replace(microsecond=0), RANKS[kind], AT, new_id())
    entry = tell(kind, place, details, {str(OURS): "sub_1rqcWG0n3iN9RfBTfSilzBD7"})
    return entry.object, entry.state, entry.summary


def event(**details: Any) -> dict[str, Any]:
    blank = dict.fromkeys(
        ("object", "status", "was", "changed", "amount", "currency", "why", "error_message", "gone"), None
    )
    return {"type": "invoice.updated", "state": "processed", "source": "webhook", **blank, **details}


@pytest.mark.parametrize(
    ("details", "summary"),
    [
        ({"amount": "1050", "currency": "usd", "status": "paid", "was": "open"}, "$10.50 · open → paid"),
        ({"amount": "500", "currency": "jpy", "status": "open"}, "¥500 · open"),
        ({"amount": "1e9", "currency": "usd", "status": "open"}, "open"),
        ({"amount": "5", "currency": "zzz"}, ""),
        ({"status": "active", "changed": "items, metadata"}, "active · new items, metadata"),
        ({"gone": True}, "payload dropped"),
        ({"source": "import"}, "by import"),
        ({"state": "dead", "error_message": "KeyError: 'x'"}, "KeyError: 'x'"),
        ({"state": "processed", "error_message": "was tried"}, ""),
    ],
)
def test_an_event(details: dict[str, Any], summary: str) -> None:
    assert told("event", **event(**details))[2] == summary


def test_a_call_names_its_object_and_the_end_of_its_key() -> None:
    call = {
        "type": "subscription.change", "subject_id": OURS, "state": "declined", "actor": "user:ann", "reason": None,
        "decline_code": "expired_card", "error_code": "card_declined", "stripe_request_id": "req_1",
        "key_tail": "abc123",
    }  # fmt: skip
    assert told("call", **call) == (
        "sub_1rqcWG0n3iN9RfBTfSilzBD7",
        "declined",
        "by the user · expired_card · req_1 · key …abc123",
    )


def test_a_change_shows_old_and_new() -> None:
    basic = {"price": "price_1", "quantity": 1, "unit_amount": 1500, "currency": "usd", "interval": "month"}
    pro = {**basic, "quantity": 3, "unit_amount": 4500}
    change = {
        "type": "plan_changed", "object": "sub_1", "actor": "admin:grace", "reason": "asked by mail",
        "provisional": False, "old_values": {"items": [basic], "cancel_at": None, "billing_cycle_anchor": None},
        "new_values": {"items": [pro], "cancel_at": "2027-01-31T10:00:00Z", "billing_cycle_anchor": "x"},
    }  # fmt: skip
    assert told("change", **change) == (
        "sub_1",
        None,
        "plan $15.00/month → $45.00/month × 3 · cancel at – → 2027-01-31 · by admin:grace · asked by mail",
    )
    begun = {**change, "old_values": None, "new_values": {"status": "active", "items": [basic]}, "reason": None}
    assert told("change", **begun)[2] == "active · $15.00/month · by admin:grace"


@pytest.mark.parametrize(
    ("deliveries", "forgotten", "state", "summary"),
    [
        ([("delivered", None)], False, "delivered", "to https://a.test · delivered"),
        (
            [("delivered", None), ("dead", "503"), ("delivered", None)], False, "dead",
            "to 3 receivers · 2 delivered, 1 dead · 503",
        ),
        ([], True, None, "to whom is forgotten"),
    ],
)  # fmt: skip
def test_an_outbound_webhook(
    deliveries: list[tuple[str, str | None]], forgotten: bool, state: str | None, summary: str
) -> None:
    found = [{"receiver": "https://a.test", "state": state, "error": error} for state, error in deliveries]
    row = {"type": "invoice.paid", "object_key": "x", "deliveries": found, "forgotten": forgotten}
    assert told("webhook", **row) == ("x", state, summary)


def test_ids_are_short_and_other_words_are_not() -> None:
    assert short_id("pi_3u431H0n3iN9RfBT0WW2GnGN") == "pi_…GnGN"
    assert (
        short_id("sub_sched_1rqcWG0n3iN9RfBT and requires_payment_method")
        == "sub_sched_…RfBT and requires_payment_method"
    )


def test_a_cursor_is_the_place_again() -> None:
    place = Place(AT.replace(microsecond=0), 24, AT, new_id())
    assert _place_of(cursor_of(place)) == place
    for bad in ("", "x", "ä", "A" * 200, cursor_of(place)[:-2]):
        with pytest.raises(BadCursor):
            _place_of(bad)
