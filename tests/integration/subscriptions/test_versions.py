"""Between the oldest API version and the newest are those at which something changed: all work alike."""

import pytest

from subscribing import SUBSCRIPTIONS, at_stripe, change, create, plan, post, preview, promotion_code, subscribed
from system import MakeDatabase, running_system, unique

TRAINS = ["2024-06-20", "2025-03-31.basil", "2025-06-30.basil", "2025-09-30.clover", "2026-03-25.dahlia"]


@pytest.mark.parametrize("version", TRAINS)
async def test_what_depends_on_the_version(make_database: MakeDatabase, version: str) -> None:
    """Secrets, codes, previews, the billing mode, and the anchor of a resumption."""
    async with running_system(await make_database(), api_version=version) as system:
        user, monthly, yearly = unique("train"), await plan(system), await plan(system, 9000, interval="year")
        await promotion_code(system, "QUARTER")
        waiting = await create(system, user, monthly, promotion_code="QUARTER")
        assert waiting.body["client_secret"].startswith("pi_"), waiting.body
        made = await subscribed(system, user, monthly, promotion_code="QUARTER")
        (there,) = await at_stripe(system, user)
        assert there.get("billing_mode", {"type": "classic"})["type"] == "classic"
        seen = (await preview(system, user, made["id"], price=yearly)).body
        assert seen["due_now"]["amount"] > 0, seen
        changed = await change(system, user, made["id"], {"preview_token": seen["preview_token"]})
        assert (changed.status, changed.body["price"]) == (200, yearly), changed.body
        plain = await change(system, user, made["id"], {"promotion_code": None})
        assert (plain.status, plain.body["discounts"]) == (200, []), plain.body
        other = unique("paused")
        paused = (await create(system, other, monthly, trial_period_days=3)).body
        assert paused["setup_client_secret"].startswith("seti_"), paused
        path = f"/v1/subscriptions/{paused['stripe_subscription_id']}"
        await post(system, path, **{"trial_settings[end_behavior][missing_payment_method]": "pause"})
        await post(system, path, trial_end="now")
        await system.quiet()
        resumed = await system.call("POST", f"{SUBSCRIPTIONS}/{paused['id']}/resume", user=other)
        assert (resumed.status, resumed.body["status"]) == (200, "paused"), resumed.body
        assert resumed.body["client_secret"].startswith("pi_")
