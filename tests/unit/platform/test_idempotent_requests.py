"""What makes two requests the same one."""

from hypothesis import given
from hypothesis import strategies as st

from tallystick.platform.idempotency import IdempotentRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def request(key: str = "k", scope: str = "user:ann", body: dict[str, object] | None = None) -> IdempotentRequest:
    return IdempotentRequest(scope, key, "POST /api/x", body or {})


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=5))
def test_a_fingerprint_does_not_see_the_order_of_keys(body: dict[str, object]) -> None:
    turned = dict(reversed(list(body.items())))
    assert request(body=body).fingerprint == request(body=turned).fingerprint
    assert request(body={**body, "\x00more": 1}).fingerprint != request(body=body).fingerprint


@given(st.text(min_size=1), st.text(min_size=1))
def test_names_derived_from_a_request_survive_any_database_and_never_collide(one: str, other: str) -> None:
    assert request(one).derive_id("payment") == request(one).derive_id("payment")
    assert request(one).derive_id("payment").version == 8
    assert request(one).derive("a") != request(one).derive("b")
    if one != other:
        assert request(one).derive("a") != request(other).derive("a")
        assert request(scope=one).derive_id("a") != request(scope=other).derive_id("a")
