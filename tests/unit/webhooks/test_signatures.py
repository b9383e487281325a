"""Signatures: held against Stripe's own SDK, and against every flipped byte."""

import contextlib
import hmac
import secrets as secrets_module
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe import SignatureVerificationError, WebhookSignature

from tallystick.stripe_gateway.signatures import SignatureInvalid, sign, verify

SECRET = b"whsec_one"
NOW = 1_790_000_000
BODY = b'{"id": "evt_1"}'

secrets = st.text(string.ascii_letters + string.digits, min_size=1).map(lambda text: f"whsec_{text}")
payloads = st.text().filter(lambda text: text.isprintable())


def accepted(payload: bytes, header: str, secret: bytes = SECRET, *, now: int = NOW) -> bool:
    try:
        verify(payload, header, [secret], tolerance_s=300, now=now)
    except SignatureInvalid:
        return False
    return True


def accepted_by_stripe(payload: str, header: str, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(payload, header, secret, tolerance=None))
    except SignatureVerificationError:
        return False


@given(payloads, secrets)
def test_what_stripe_signs_is_accepted_and_what_we_sign_stripe_accepts(payload: str, secret: str) -> None:
    theirs = WebhookSignature.generate_signature_header(payload, secret, NOW)
    assert theirs == sign(payload.encode(), secret.encode(), NOW)
    assert accepted(payload.encode(), theirs, secret.encode())
    assert accepted_by_stripe(payload, theirs, secret)


header_items = st.lists(
    st.one_of(
        st.sampled_from(["RIGHT", "WRONG", f"t={NOW}", "t=", "t", "v1", "v1=", "=", "", "v0=ab", "x=y=z", " v1=ab"]),
        st.text("tv10=, ab", max_size=8),
    ),
    max_size=6,
)


@given(header_items, payloads)
def test_the_sdk_and_we_agree_on_any_header(items: list[str], payload: str) -> None:
    right = sign(payload.encode(), SECRET, NOW).split("v1=")[1]
    wrong = sign(payload.encode() + b"x", SECRET, NOW).split("v1=")[1]
    header = ",".join({"RIGHT": f"v1={right}", "WRONG": f"v1={wrong}"}.get(item, item) for item in items)
    if accepted_by_stripe(payload, header, SECRET.decode()):
        assert accepted(payload.encode(), header)
    else:
        assert not accepted(payload.encode(), header)


@given(st.data(), st.binary(min_size=1))
def test_any_flipped_bit_is_noticed(data: st.DataObject, payload: bytes) -> None:
    header = sign(payload, SECRET, NOW)
    assert accepted(payload, header)
    at, bit = data.draw(st.integers(0, len(payload) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(payload)
    flipped[at] ^= 1 << bit
    assert not accepted(bytes(flipped), header)


@given(st.data())
def test_any_changed_character_of_the_header_is_noticed(data: st.DataObject) -> None:
    header = sign(BODY, SECRET, NOW)
    at = data.draw(st.integers(0, len(header) - 1))
    changed = (
        header[:at] + data.draw(st.characters(codec="utf-8").filter(lambda new: new != header[at])) + header[at + 1 :]
    )
    assert not accepted(BODY, changed)


@given(st.binary(max_size=50), st.text(max_size=200))
def test_no_input_makes_it_fail_otherwise(payload: bytes, header: str) -> None:
    assert not accepted(payload, header)
    assert not accepted(payload, f"t={NOW},v1={header}")


def test_one_right_signature_among_several_will_do() -> None:
    right = sign(BODY, SECRET, NOW)
    assert accepted(BODY, f"{right},v1={'0' * 64}")
    assert accepted(BODY, f"v1={'0' * 64},{right}")
    assert accepted(BODY, f"{right},v0=nonsense,scheme=new")
    assert not accepted(BODY, right.upper().replace("T=", "t=").replace("V1=", "v1="))


def test_any_of_several_secrets_will_do() -> None:
    header = sign(BODY, b"whsec_new", NOW)
    assert verify(BODY, header, [b"whsec_old", b"whsec_new"], tolerance_s=300, now=NOW) == 1
    assert verify(BODY, header, [b"whsec_new", b"whsec_old"], tolerance_s=300, now=NOW) == 0
    with pytest.raises(SignatureInvalid):
        verify(BODY, header, [b"whsec_old"], tolerance_s=300, now=NOW)


def test_how_much_is_compared_tells_nothing_of_what_was_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counted(one: bytes, other: bytes) -> bool:
        nonlocal compared
        compared += 1
        return secrets_module.compare_digest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    counts = set()
    for secret in (b"whsec_old", b"whsec_new", b"whsec_of_nobody"):
        compared = 0
        header = f"{sign(BODY, secret, NOW)},v1={'0' * 64}"
        with contextlib.suppress(SignatureInvalid):
            verify(BODY, header, [b"whsec_old", b"whsec_new"], tolerance_s=300, now=NOW)
        counts.add(compared)
    assert counts == {4}, "each secret against each signature, whichever is right"


def test_no_secret_proves_nothing() -> None:
    for secrets_given in ([], [b""]):
        with pytest.raises(SignatureInvalid):
            verify(BODY, sign(BODY, b"", NOW), secrets_given, tolerance_s=300, now=NOW)


@pytest.mark.parametrize(
    ("signed_at", "ok"),
    [(NOW - 300, True), (NOW - 301, False), (NOW + 600, True), (NOW + 86_400, True), (NOW + 86_401, False), (0, False)],
)
def test_the_age_is_bounded_on_both_sides(signed_at: int, ok: bool) -> None:
    assert accepted(BODY, sign(BODY, SECRET, signed_at)) is ok


def test_another_timestamp_cannot_be_put_on_an_old_signature() -> None:
    old = sign(BODY, SECRET, NOW - 1000)
    assert not accepted(BODY, old.replace(str(NOW - 1000), str(NOW)))


@pytest.mark.parametrize("timestamp", ["", "-1", "+1", "1_0", "٣", "1e3", "9" * 12, "0x1", " 1", "1.0"])
def test_a_timestamp_is_plain_digits(timestamp: str) -> None:
    signature = sign(BODY, SECRET, NOW).split(",")[1]
    with pytest.raises(SignatureInvalid, match="timestamp"):
        verify(BODY, f"t={timestamp},{signature}", [SECRET], tolerance_s=300, now=NOW)


def test_a_huge_header_is_not_worked_through() -> None:
    header = sign(BODY, SECRET, NOW) + ",v1=0" * 10_000
    with pytest.raises(SignatureInvalid, match="too long"):
        verify(BODY, header, [SECRET], tolerance_s=300, now=NOW)


def test_the_reason_repeats_no_input() -> None:
    with pytest.raises(SignatureInvalid) as caught:
        verify(BODY, "t=nonsense,v1=whsec_one", [SECRET], tolerance_s=300, now=NOW)
    assert "nonsense" not in str(caught.value)
