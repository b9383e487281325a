"""`Idempotency-Key`: one request moves money at most once, and its repeats get the first answer.

The claim is a row in the same transaction as the attempt that it guards, so neither exists without the other.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from tallystick.core.errors import DomainError
from tallystick.core.ids import new_id
from tallystick.platform.database import Connection, Transaction

__all__ = [
    "Claimed",
    "IdempotencyMismatch",
    "IdempotentRequest",
    "InProgress",
    "KeyInProgress",
    "StoredAnswer",
    "claim",
    "complete",
    "find",
    "release",
    "stored",
]


class IdempotencyMismatch(DomainError):
    code, status = "IDEMPOTENCY_KEY_REUSED", 422
    title = "This Idempotency-Key was used for another request"
    action = "Use a new key for a new request; repeat a request with exactly the same body and route."


class KeyInProgress(DomainError):
    code, status = "IDEMPOTENCY_KEY_IN_PROGRESS", 409
    title = "The first request with this Idempotency-Key is still being worked on"
    action = "Send the same request again a little later, with the same key."


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """One write as the caller sent it: `scope` is whose keys these are, `body` what must be the same in a repeat."""

    scope: str
    key: str
    route: str
    body: Mapping[str, Any]

    KEY_MAX: ClassVar[int] = 255

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 over the body, independent of the order of its keys."""
        return hashlib.sha256(msgspec.json.encode(self.body, order="deterministic")).digest()

    def derive(self, purpose: str, *parts: str) -> str:
        """A name that is the same for every repeat of this request, whatever database remembers it (64 characters)."""
        text = "\x1f".join((purpose, *parts, self.scope, self.key))
        return hashlib.sha256(text.encode()).hexdigest()

    def derive_id(self, purpose: str, *parts: str) -> UUID:
        """A UUID (version 8, RFC 9562) that is the same for every repeat of this request."""
        value = int(self.derive(purpose, *parts)[:32], 16)
        return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)


@dataclass(frozen=True, slots=True)
class Claimed:
    """The key is ours; whoever holds this finishes it with `complete` or `release`."""

    id: UUID


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer; client secrets were taken out of `body` and are fetched again."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another request holds the key."""

    id: UUID


async def claim(tx: Transaction, request: IdempotentRequest, now: datetime) -> Claimed | StoredAnswer | InProgress:
    """Claim the request's key in the caller's transaction, or tell what became of it.

    Raises:
        IdempotencyMismatch: the key was used with another body or route.
    """
    key_id: UUID | None = await tx.fetchval(
        """
        INSERT INTO idempotency_keys (id, scope, key, route, fingerprint, state, created_at)
        VALUES ($1, $2, $3, $4, $5, 'in_progress', $6)
        ON CONFLICT (scope, key) DO NOTHING RETURNING id
        """,
        new_id(),
        request.scope,
        request.key,
        request.route,
        request.fingerprint,
        now,
    )
    if key_id is not None:
        return Claimed(key_id)
    found = await find(tx, request)
    # Released between the two statements: the caller tries again, as for one in progress.
    return found if found is not None else InProgress(UUID(int=0))


async def find(connection: Connection, request: IdempotentRequest) -> StoredAnswer | InProgress | None:
    """What is known under the request's key, without claiming it."""
    row = await connection.fetchrow(
        "SELECT id, route, fingerprint, state, status_code, body FROM idempotency_keys WHERE scope = $1 AND key = $2",
        request.scope,
        request.key,
    )
    if row is None:
        return None
    if row["route"] != request.route or row["fingerprint"] != request.fingerprint:
        raise IdempotencyMismatch(field="Idempotency-Key")
    if row["state"] == "done":
        return _stored(row["status_code"], row["body"])
    return InProgress(row["id"])


async def stored(connection: Connection, key_id: UUID) -> StoredAnswer | None:
    """The answer stored under a claimed key, if there is one by now."""
    row = await connection.fetchrow(
        "SELECT status_code, body FROM idempotency_keys WHERE id = $1 AND state = 'done'", key_id
    )
    return _stored(*row) if row else None


def _stored(status: int, body: str) -> StoredAnswer:
    return StoredAnswer(status, msgspec.json.decode(body))


async def complete(tx: Transaction, key_id: UUID, status: int, body: Mapping[str, Any]) -> None:
    """Store the answer that every repeat gets."""
    await tx.execute(
        "UPDATE idempotency_keys SET state = 'done', status_code = $2, body = $3 WHERE id = $1",
        key_id,
        status,
        msgspec.json.encode(body).decode(),
    )


async def release(tx: Transaction, key_id: UUID) -> None:
    """Forget the claim: nothing happened, so a repeat is a new request."""
    await tx.execute("DELETE FROM idempotency_keys WHERE id = $1 AND state = 'in_progress'", key_id)
