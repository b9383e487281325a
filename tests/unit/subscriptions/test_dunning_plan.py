"""When the next step of collecting a renewal is due (DUNNING_MODE=local), and after which declines there is none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallystick.cli.plan import retries_of
from tallystick.core.clock import SystemClock
from tallystick.core.declines import worth_retrying
from tallystick.platform.settings import SettingsError, load_settings
from tallystick.subscriptions.repository_dunning import DunningRepository
from tallystick.subscriptions.service_dunning import DunningKeeper

FAILED = datetime(2026, 1, 31, 12, tzinfo=UTC)


NEEDED = {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": "whsec_x", "JWT_SECRET": "0" * 32}


def keeper(**environment: str) -> DunningKeeper:
    given = {"DATABASE_URL": "postgresql://localhost/none", "DUNNING_MODE": "local", **NEEDED, **environment}
    customers: Any = None  # not asked for a date
    return DunningKeeper(SystemClock(), load_settings(given), DunningRepository(), customers)


@pytest.mark.parametrize(("attempts", "days"), [("0", []), ("1", [3]), ("3", [3, 5, 7]), ("5", [3, 5, 7, 7, 7])])
def test_the_last_number_of_days_repeats_itself(attempts: str, days: list[int]) -> None:
    assert keeper(MAX_RETRY_ATTEMPTS=attempts).rules.days == days


@pytest.mark.parametrize("wrong", ["0", "3,x", "-1", "61", ","])
def test_days_that_are_none(wrong: str) -> None:
    with pytest.raises(SettingsError, match="DUNNING_RETRY_DAYS"):
        keeper(DUNNING_RETRY_DAYS=wrong)


def test_each_step_counts_from_the_failure_before_and_the_end_waits_for_grace_and_for_the_last() -> None:
    plan = keeper(DUNNING_RETRY_DAYS="1,2", MAX_RETRY_ATTEMPTS="2", GRACE_PERIOD_DAYS="10")
    second, third = FAILED + timedelta(days=1), FAILED + timedelta(days=3)

    assert plan.next_at(0, FAILED, FAILED) == second
    assert plan.next_at(1, second, FAILED) == third
    assert plan.next_at(2, third, FAILED) == FAILED + timedelta(days=10)
    assert plan.next_at(2, FAILED + timedelta(days=40), FAILED) == FAILED + timedelta(days=40, hours=1)


def test_without_retries_the_end_comes_with_the_end_of_grace() -> None:
    plan = keeper(MAX_RETRY_ATTEMPTS="0", GRACE_PERIOD_DAYS="3")

    assert plan.next_at(0, FAILED, FAILED) == FAILED + timedelta(days=3)


@pytest.mark.parametrize(
    ("code", "decline_code", "worth"),
    [
        ("card_declined", "insufficient_funds", True),
        ("card_declined", "generic_decline", True),
        ("card_declined", "stolen_card", False),
        ("card_declined", "lost_card", False),
        ("card_declined", "pickup_card", False),
        ("incorrect_number", None, False),
        ("authentication_required", "authentication_required", False),
        ("processing_error", None, True),
        (None, None, True),
    ],
)
def test_of_a_stolen_card_there_is_no_hope(code: str | None, decline_code: str | None, worth: bool) -> None:
    assert worth_retrying(code, decline_code) is worth


def test_what_the_sandbox_of_dev_is_told() -> None:
    assert retries_of({**NEEDED, "MAX_RETRY_ATTEMPTS": "2"}) == {"retry_days": [3, 5], "after_last_retry": "cancel"}
    assert retries_of({**NEEDED, "DUNNING_MODE": "local"}) == {"retry_days": [], "after_last_retry": "past_due"}
    assert retries_of({**NEEDED, "DUNNING_MODE": "wrong"}) is None
