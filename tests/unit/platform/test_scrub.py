"""What is logged is looked through for secrets only where it can have one."""

from hypothesis import example, given
from hypothesis import strategies as st

from tallystick.platform.logging import _SECRETS, scrub

_PARTS = st.sampled_from(
    ["sk_test_4eC39HqLyjWDarjt", "whsec_abc+/=", "pi_3Nx_secret_9fQ", "eyJhbGci.eyJzdWIi.c2ln", "postgres://u:pw@host/db",
     "ann@example.com", "4242 4242 4242 4242", "4242-4242-4242-4242", "5555555555554444", "123456789012", " ", "/", "-",
     "018f0000-0000-7000-8000-00000000138f", "2026-01-31T12:00:00Z", "GET", "é", "eyJ", "_", "@", "1", ":", "."]
)  # fmt: skip


@given(st.lists(_PARTS, max_size=6).map("".join) | st.text(max_size=60))
@example("0123456789012")
@example("012345678901")
@example("1 2 3 4 5 6 7 8 9 0 1 2 3")
def test_the_quick_look_overlooks_nothing(text: str) -> None:
    assert scrub(text) == _SECRETS.sub("[removed]", text)
