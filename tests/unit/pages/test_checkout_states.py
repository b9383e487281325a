"""What a session's status is, for every state of its payment, every status before, and every moment."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tallystick.pages.models import CheckoutSession, Progress
from tallystick.pages.states import status_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SESSION = CheckoutSession(
    id=UUID(int=1),
    user_id=UUID(int=2),
    mode="payment",
    status="open",
    amount=1050,
    currency="usd",
    description=None,
    price_id=None,
    quantity=1,
    promotion_code=None,
    recurring=None,
    success_url=None,
    cancel_url=None,
    locale=None,
    metadata={},
    subject_id=UUID(int=3),
    intent_id=None,
    started_at=None,
    expires_at=NOW,
    completed_at=None,
    created_at=NOW - timedelta(days=1),
    updated_at=NOW - timedelta(days=1),
)
STATUSES = ("open", "processing", "complete", "expired", "canceled")
STATES = ("none", "open", "processing", "done", "canceled")
EARLY, LATE = NOW - timedelta(seconds=1), NOW


@pytest.mark.parametrize(
    ("state", "early", "late"),
    [
        ("none", "open", "expired"),
        ("open", "open", "expired"),
        ("processing", "processing", "processing"),
        ("done", "complete", "complete"),
        ("canceled", "canceled", "expired"),
    ],
)
def test_the_status_of_an_open_session(state: str, early: str, late: str) -> None:
    assert status_of(SESSION, Progress(state), EARLY) == early  # type: ignore[arg-type]
    assert status_of(SESSION, Progress(state), LATE) == late  # type: ignore[arg-type]


@given(
    st.sampled_from(STATUSES),
    st.lists(st.tuples(st.sampled_from(STATES), st.timedeltas(timedelta(), timedelta(days=2))), min_size=1),
)
def test_what_is_paid_stays_paid_and_what_is_over_takes_no_more_money(
    before: str, seen: list[tuple[str, timedelta]]
) -> None:
    session = replace(SESSION, status=before)
    moment = EARLY
    for state, later in seen:
        moment += later
        status = status_of(session, Progress(state), moment)  # type: ignore[arg-type]
        assert (status == "complete") == (session.status == "complete" or state == "done")
        if session.status == "expired" or moment >= session.expires_at:
            assert status not in ("open", "canceled")
        session = replace(session, status=status)
