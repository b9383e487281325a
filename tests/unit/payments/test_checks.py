"""Card numbers are recognised whatever they are wrapped in, and other numbers are let through."""

import pytest

from tallystick.payments.checks import holds_card_number
from tallystick.payments.errors import decline_of


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "my card: 4242 4242 4242 4242.",
        "5555-5555-5555-4444",
        "378282246310005",
        "x6011111111111117y",
    ],
)
def test_card_numbers(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "order 1234567890123",
        "+1 555 0100 0000",
        "2026-11-23 18:00:00",
        "0000000000000000",
        "pi_3abc",
    ],
)
def test_other_numbers(text: str) -> None:
    assert not holds_card_number(text)


@pytest.mark.parametrize(
    "decline_code",
    [
        "fraudulent",
        "lost_card",
        "stolen_card",
        "merchant_blacklist",
        "pickup_card",
        "restricted_card",
        "security_violation",
    ],
)
def test_what_a_thief_must_not_learn_reads_like_any_decline(decline_code: str) -> None:
    assert decline_of("card_declined", decline_code) == decline_of("card_declined", "generic_decline")


def test_the_decline_code_says_more_than_the_code() -> None:
    assert decline_of("card_declined", "insufficient_funds").code == "INSUFFICIENT_FUNDS"
    assert decline_of("expired_card", None).code == "INVALID_CARD"
    assert decline_of(None, None).code == "CARD_DECLINED"
    assert decline_of("a_code_of_tomorrow", "another").code == "CARD_DECLINED"
