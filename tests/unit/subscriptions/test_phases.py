"""What the phases of a schedule are given, so that the running one stays what it is."""

from typing import Any

from tallystick.stripe_gateway.translate_schedules import schedule
from tallystick.subscriptions.service_operations_later import phases

START, END = 1_700_000_000, 1_702_000_000
WANTED = {"items": [["price_silver", 2]], "kept": {"discounts": [{"discount": "di_1"}]}, "length": {"iterations": 1}}


def at_stripe(**phase: Any) -> Any:
    """A schedule of one phase, as Stripe shows it."""
    item = {"price": "price_gold", "quantity": 3, **phase.pop("item", {})}
    running = {"start_date": START, "end_date": END, "items": [item], **phase}
    return schedule(
        {
            "id": "sub_sched_1", "status": "active", "created": START, "metadata": {}, "customer": "cus_1",
            "subscription": "sub_1", "end_behavior": "release", "current_phase": {"start_date": START},
            "phases": [running],
        }
    ).phases[0]  # fmt: skip


def test_what_there_is_not_is_not_named() -> None:
    running, following = phases(at_stripe(trial_end=None, default_tax_rates=None), WANTED)
    assert running == {
        "start_date": START,
        "end_date": END,
        "items": [{"price": "price_gold", "quantity": 3}],
        "discounts": [{"discount": "di_1"}],
    }
    assert following == {
        "items": [{"price": "price_silver", "quantity": 2}],
        "proration_behavior": "none",
        "discounts": [{"discount": "di_1"}],
        "iterations": 1,
    }


def test_a_trial_stays_in_the_running_phase() -> None:
    running, following = phases(at_stripe(trial_end=END), WANTED)
    assert running["trial_end"] == END
    assert "trial_end" not in following


def test_taxes_stay_in_both() -> None:
    shown = at_stripe(default_tax_rates=[{"id": "txr_1", "object": "tax_rate"}], item={"tax_rates": ["txr_2"]})
    for phase in phases(shown, WANTED):
        assert phase["default_tax_rates"] == ["txr_1"]
        assert [item["tax_rates"] for item in phase["items"]] == [["txr_2"]]
