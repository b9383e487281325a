"""`Idempotency-Key`: the first answer is kept for 24 hours of wall time and replayed."""

import hashlib
from dataclasses import dataclass

from tallystick.sandbox.errors import ApiError, invalid
from tallystick.sandbox.shapes import Json, encode
from tallystick.sandbox.store import Store

__all__ = ["MAX_KEY", "Saved", "check_key", "find", "fingerprint", "in_use", "keep", "prune"]

MAX_KEY = 255
_LIFE_S = 86400


@dataclass(frozen=True, slots=True)
class Saved:
    """A kept answer and the id of the request that it was given to."""

    status: int
    body: bytes
    request_id: str


def check_key(key: str) -> None:
    """Raises 400 for a key that is too long."""
    if len(key) > MAX_KEY:
        raise invalid(f"Idempotency keys must be at most {MAX_KEY} characters long.")


def fingerprint(path: str, raw: Json) -> str:
    """What makes two requests the same: their endpoint and parameters, whatever the order sent."""
    digest = hashlib.sha256(encode(_sorted(raw))).hexdigest()
    return f"{path} {digest}"


def find(store: Store, key: str, request: str, now: int) -> Saved | None:
    """The kept answer. Raises 400 `idempotency_error` when the key was used for something else."""
    row = store.execute(
        "SELECT fingerprint, status, body, request_id, created FROM idempotency WHERE key = ?", key
    ).fetchone()
    if row is None or row[4] < now - _LIFE_S:
        return None
    if row[0] != request:
        raise _mismatch(key, row[0].split(" ")[0], request.split(" ")[0])
    return Saved(row[1], row[2], row[3])


def keep(store: Store, key: str, request: str, saved: Saved, now: int) -> None:
    """Keep an answer, in the transaction of what it answers for."""
    store.execute(
        "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
        key, request, saved.status, saved.body, saved.request_id, now,
    )  # fmt: skip


def prune(store: Store, now: int) -> None:
    """Forget what nobody can replay any more."""
    store.execute("DELETE FROM idempotency WHERE created < ?", now - _LIFE_S)


def in_use(key: str) -> ApiError:
    """409 while the first request with the key still runs."""
    return ApiError(
        409,
        "There is currently another in-progress request using this Idempotent Key (that probably means you "
        f"submitted twice, and the other request is still going through): {key}. Please try again later.",
        error_type="idempotency_error",
        code="idempotency_key_in_use",
        headers=(("Stripe-Should-Retry", "true"),),
    )


def _mismatch(key: str, first: str, path: str) -> ApiError:
    if first != path:
        message = (
            "Keys for idempotent requests can only be used for the same endpoint they were first used for "
            f"('{path}' vs '{first}'). Try using a key other than '{key}' if you meant to execute a different "
            "request."
        )
    else:
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )
    return ApiError(400, message, error_type="idempotency_error")


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
