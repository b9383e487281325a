"""A token that was found valid is believed for a while, and no longer than it says, or than its key is ours."""

import asyncio
import time
from typing import Any

import jwt
import pytest

from tallystick.core.errors import Unauthorized
from tallystick.platform import auth
from tallystick.platform.auth import TokenExpired, TokenVerifier
from tallystick.platform.settings import load_settings

_SECRET = "0" * 40
_LEEWAY_S = 10


def _verifier() -> TokenVerifier:
    return TokenVerifier(
        load_settings(
            {
                "DATABASE_URL": "postgresql://nowhere",
                "STRIPE_SECRET_KEY": "sk_test_x",
                "STRIPE_WEBHOOK_SECRET": "whsec_x",
                "JWT_SECRET": _SECRET,
            }
        )
    )


def _bearer(subject: str = "ann", **claims: Any) -> str:
    usual = {"iss": "tallystick", "aud": "tallystick", "sub": subject, "exp": int(time.time()) + 3600}
    return f"Bearer {jwt.encode({**usual, **claims}, _SECRET)}"


async def test_a_remembered_token_is_not_checked_again_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, bearer = _verifier(), _bearer(roles=["support"], email="ann@example.com")
    first = await verifier.verify(bearer)
    monkeypatch.setattr("tallystick.platform.auth.jwt.decode", None)
    assert await verifier.verify(bearer) == first
    assert first.roles == frozenset({"support"})


async def test_it_is_refused_when_its_time_is_over() -> None:
    verifier = _verifier()
    expires = int(time.time()) - _LEEWAY_S + 2
    bearer = _bearer(exp=expires)
    assert (await verifier.verify(bearer)).subject == "ann"
    while time.time() < expires + _LEEWAY_S:
        await asyncio.sleep(0.05)
    with pytest.raises(TokenExpired):
        await verifier.verify(bearer)


async def test_a_withdrawn_key_is_honoured_for_half_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier, bearer = _verifier(), _bearer()
    await verifier.verify(bearer)
    verifier._secret = "1" * 40
    assert (await verifier.verify(bearer)).subject == "ann"
    now = time.time()
    monkeypatch.setattr("tallystick.platform.auth.time.time", lambda: now + 31)
    with pytest.raises(Unauthorized):
        await verifier.verify(bearer)


async def test_one_that_differs_in_a_letter_is_another_token() -> None:
    verifier, bearer = _verifier(), _bearer()
    await verifier.verify(bearer)
    changed = bearer[:-1] + ("A" if bearer[-1] != "A" else "B")
    for other in (changed, bearer[:-2], bearer + "x"):
        with pytest.raises(Unauthorized):
            await verifier.verify(other)
    with pytest.raises(Unauthorized):
        await verifier.verify(bearer.replace("Bearer", "Basic"))


async def test_no_more_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_REMEMBERED_TOKENS", 3)
    verifier = _verifier()
    for number in range(10):
        assert (await verifier.verify(_bearer(f"user-{number}"))).subject == f"user-{number}"
        assert len(verifier._checked) <= 3
