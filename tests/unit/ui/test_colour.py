"""A brand may have any colour; its pages can be read all the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.ui.colour import brand_stylesheet, contrast, palette


@given(st.integers(0, 0xFFFFFF))
def test_any_colour_can_be_read_everywhere(number: int) -> None:
    light, dark = brand_stylesheet(f"#{number:06x}").split("@media", 1)
    for scheme, sheet in (("light", light), ("dark", dark)):
        accents = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", sheet))
        for ground in ("ground", "surface", "sunken"):
            assert contrast(accents["accent"], palette(scheme)[ground]) >= 4.5
            assert contrast(accents["accent-strong"], palette(scheme)[ground]) >= 4.5
        assert contrast(accents["on-accent"], accents["accent"]) >= 4.5
        assert contrast(accents["on-accent"], accents["accent-strong"]) >= 4.5


@pytest.mark.parametrize("colour", ["#12644e", "#8a1c5b"])
def test_a_colour_that_can_be_read_is_left_as_it_is(colour: str) -> None:
    assert f"--accent:{colour};" in brand_stylesheet(colour).split("@media")[0]
