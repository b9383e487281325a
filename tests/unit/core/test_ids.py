"""Identifiers."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.core.ids import is_stripe_id, lane_of, new_id, parse_uuid


def test_ours_sort_by_creation_and_are_version_7() -> None:
    import time

    first = new_id()
    time.sleep(0.003)
    second = new_id()
    assert first < second
    assert {(first.version, first.variant), (second.version, second.variant)} == {(7, "specified in RFC 4122")}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("pi_3Abc", True),
        ("pi_", False),
        ("pi_a b", False),
        ("pi_a\n", False),
        ("cus_1", False),
        ("pi_" + "a" * 300, False),
    ],
)
def test_stripes_ids_are_recognised(text: str, is_one: bool) -> None:
    assert is_stripe_id(text, "pi_") is is_one


@given(st.text())
def test_only_canonical_uuids_are_uuids(text: str) -> None:
    found = parse_uuid(text)
    assert found is None or str(found) == text.lower()


@given(st.text(), st.integers(1, 64))
def test_a_lane_is_always_the_same(key: str, lanes: int) -> None:
    if not key.isascii():
        return
    assert lane_of(key, lanes) == lane_of(key, lanes) < lanes
    assert parse_uuid(str(UUID(int=lane_of(key, lanes)))) is not None
