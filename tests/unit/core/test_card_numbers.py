"""Card numbers are refused in every spelling; ids and tokens, which are digits and letters at random, are not."""

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.checks import holds_card_number

CARDS = [
    "4242424242424242",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "30569309025904",
    "3566002020360505",
    "4222222222222",
    "6205500000000000004",
]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@st.composite
def spelt(draw: st.DrawFn) -> str:
    """A test card as somebody may write it: in a sentence, in groups, next to letters."""
    digits = draw(st.sampled_from(CARDS))
    between = draw(st.sampled_from(["", " ", "-"]))
    size = draw(st.integers(1, 6))
    groups = [digits[place : place + size] for place in range(0, len(digits), size)]
    before = draw(st.sampled_from(["", "my card ", "order #7: ", "card:", "(", *LETTERS, "visa", "facade", "code"]))
    after = draw(st.sampled_from(["", ".", " please", ", 12/34", "\n", *LETTERS, "abc", "and"]))
    return str(before + between.join(groups) + after)


@given(spelt())
def test_a_card_number_is_found_however_it_is_spelt(text: str) -> None:
    assert holds_card_number(text)


@given(spelt(), st.uuids(version=4), st.booleans())
def test_an_id_beside_a_card_number_hides_nothing(text: str, order: uuid.UUID, first: bool) -> None:
    assert holds_card_number(f"{order}: {text}" if first else f"{text}, {order}")


def test_ids_and_tokens_are_no_card_numbers() -> None:
    chance = random.Random(7)
    for _ in range(100_000):
        bits = chance.getrandbits(128)
        order = str(uuid.UUID(int=bits, version=4))
        token = f"{bits:032x}"
        text = f"{order} {order.upper()}, {token[:24]} {token}"
        assert not holds_card_number(text), text


@pytest.mark.parametrize(
    "text",
    [
        "42424242-4242-4242-0000-000000000000",
        "4242424242424242abcdef",
        "abcdef4242424242424242",
        "dead4242424242424242beef",
    ],
)
def test_what_only_looks_like_an_id_is_refused(text: str) -> None:
    assert holds_card_number(text)
