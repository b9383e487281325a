"""What is sealed opens where it belongs, by a key that is known, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.platform.sealing import KeyMissing, Sealer

OLD, NEW = "an-old-key-with-32-characters-0000", "a-new-key-with-32-characters-00000"
PLACE = "0193f0c2-8a5d-7c3e-9f10-a1b2c3d4e5f6"


@given(st.text(max_size=200))
def test_what_is_sealed_is_opened(text: str) -> None:
    sealed = Sealer([NEW]).seal(text, PLACE)
    assert Sealer([NEW]).open(sealed, PLACE) == text
    assert len(text) < 4 or text not in sealed
    assert Sealer([NEW]).seal(text, PLACE) != sealed


def test_it_opens_nowhere_else_and_by_no_other_key() -> None:
    sealed = Sealer([OLD]).seal("whsec_x", PLACE)
    with pytest.raises(KeyMissing, match="another place"):
        Sealer([OLD]).open(sealed, "another row")
    with pytest.raises(KeyMissing, match="SEALING_KEYS"):
        Sealer([NEW]).open(sealed, PLACE)
    with pytest.raises(KeyMissing, match="damaged"):
        Sealer([OLD]).open(sealed[:-6] + "AAAA==", PLACE)


def test_keys_are_changed_one_after_the_other() -> None:
    plain, both = Sealer([]), Sealer([NEW, OLD])
    assert plain.open(plain.seal("whsec_x", PLACE), PLACE) == "whsec_x"
    old = Sealer([OLD]).seal("whsec_x", PLACE)
    assert both.open(old, PLACE) == both.open("whsec_x", PLACE) == "whsec_x"
    assert both.stale(old)
    assert both.stale("whsec_x")
    assert not both.stale(both.seal("whsec_x", PLACE))
    assert not both.stale("")
    assert not plain.stale("whsec_x")
