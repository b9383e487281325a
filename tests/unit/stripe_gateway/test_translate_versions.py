"""What Stripe calls otherwise in another version has one name here: webhooks and answers may be of two."""

from typing import Any

import pytest

from tallystick.stripe_gateway import translate

INTENT: dict[str, Any] = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 1000,
    "currency": "usd",
    "status": "canceled",
    "created": 1_700_000_000,
    "metadata": {},
}


@pytest.mark.parametrize(
    ("told", "shown"),
    [("automatic", "automatic"), ("expired", "automatic"), ("abandoned", "abandoned"), (None, None)],
)
def test_why_an_intent_was_canceled(told: str | None, shown: str | None) -> None:
    """An authorisation that ran out is `automatic` before basil, and `expired` since. (Seeds 2 and 4.)"""
    assert translate.payment_intent({**INTENT, "cancellation_reason": told}).cancellation_reason == shown
