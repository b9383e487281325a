"""SQL of attempts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from tallystick.attempts.models import Attempt
from tallystick.platform.database import Connection, Transaction

__all__ = ["AttemptRepository"]

_NAMES = Attempt.__struct_fields__
_COLUMNS = ", ".join(_NAMES)
_MARKS = ", ".join(f"${n}" for n in range(1, len(_NAMES) + 1))
_NEXT = len(_NAMES) + 1


class AttemptRepository:
    """Reads and writes `attempts`."""

    async def insert(self, tx: Transaction, attempt: Attempt, *, lease_until: datetime, now: datetime) -> None:
        """Store an attempt; a second open one with its `lock_key` violates a unique index."""
        await tx.execute(
            f"""
            INSERT INTO attempts ({_COLUMNS}, lease_until, created_at, updated_at)
            VALUES ({_MARKS}, ${_NEXT}, ${_NEXT + 1}, ${_NEXT + 1})
            """,
            *(getattr(attempt, name) for name in _NAMES),
            lease_until,
            now,
        )

    async def find_by_key(self, connection: Connection, idempotency_key_id: UUID) -> tuple[Attempt, datetime] | None:
        """The attempt that a claimed key guards, and until when its lease runs."""
        row = await connection.fetchrow(
            f"SELECT {_COLUMNS}, lease_until FROM attempts WHERE idempotency_key_id = $1", idempotency_key_id
        )
        return (Attempt(*row[:-1]), row[-1]) if row else None

    async def by_stripe_keys(self, connection: Connection, keys: Sequence[str]) -> list[Attempt]:
        """The attempts that were sent to Stripe under these keys, open and settled ones."""
        rows = await connection.fetch(f"SELECT {_COLUMNS} FROM attempts WHERE stripe_idempotency_key = ANY($1)", keys)
        return [Attempt(*row) for row in rows]

    async def traces(self, connection: Connection, keys: Sequence[str]) -> Mapping[str, bytes]:
        """The marks of the attempts that were sent to Stripe under these keys, where they were traced."""
        rows = await connection.fetch(
            """
            SELECT stripe_idempotency_key, trace FROM attempts
            WHERE stripe_idempotency_key = ANY($1) AND trace IS NOT NULL
            """,
            keys,
        )
        return {row["stripe_idempotency_key"]: row["trace"] for row in rows}

    async def lock_open(self, tx: Transaction, attempt_id: UUID) -> int | None:
        """Lock the attempt; how often it was taken up again, or None if somebody has settled it."""
        looks: int | None = await tx.fetchval(
            "SELECT looks FROM attempts WHERE id = $1 AND state IN ('requested', 'unknown') FOR UPDATE", attempt_id
        )
        return looks

    async def end(
        self,
        tx: Transaction,
        attempt_id: UUID,
        state: str,
        now: datetime,
        *,
        error_code: str | None = None,
        decline_code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """End an attempt that the caller has locked.

        Last of all: whoever stores the next one with its `lock_key` waits for whoever has ended it, and may hold a lock
        that this one still needs.
        """
        await tx.execute(
            """
            UPDATE attempts SET state = $2, updated_at = $3, error_code = $4, decline_code = $5,
                stripe_request_id = coalesce($6, stripe_request_id)
            WHERE id = $1
            """,
            attempt_id,
            state,
            now,
            error_code,
            decline_code,
            request_id,
        )

    async def is_open(self, connection: Connection, lock_key: str) -> bool:
        """Whether an attempt with this `lock_key` is under way, or its outcome is not known yet."""
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM attempts WHERE lock_key = $1 AND state IN ('requested', 'unknown'))",
                lock_key,
            )
        )

    async def delete(self, tx: Transaction, attempt_id: UUID) -> None:
        """Forget an attempt that certainly never happened, so that its key can be used again."""
        await tx.execute("DELETE FROM attempts WHERE id = $1", attempt_id)

    async def take_due(
        self, connection: Connection, wall: datetime, lease_until: datetime, limit: int
    ) -> list[Attempt]:
        """Open attempts whose lease has run out, leased to the caller."""
        rows = await connection.fetch(
            f"""
            UPDATE attempts SET lease_until = $2, looks = looks + 1
            WHERE id IN (
                SELECT id FROM attempts WHERE state IN ('requested', 'unknown') AND lease_until < $1
                ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED
            )
            RETURNING {_COLUMNS}
            """,
            wall,
            lease_until,
            limit,
        )
        return [Attempt(*row) for row in rows]

    async def prune_keys(self, tx: Transaction, before: datetime, limit: int) -> int:
        """Delete answered idempotency keys older than `before` that no open attempt has; how many."""
        return len(
            await tx.fetch(
                """
                DELETE FROM idempotency_keys WHERE id IN (
                    SELECT k.id FROM idempotency_keys k
                    WHERE k.state = 'done' AND k.created_at < $1
                      AND NOT EXISTS (SELECT FROM attempts a WHERE a.idempotency_key_id = k.id
                                      AND a.state IN ('requested', 'unknown'))
                    ORDER BY k.created_at LIMIT $2 FOR UPDATE SKIP LOCKED
                )
                RETURNING 1
                """,
                before,
                limit,
            )
        )

    async def postpone(self, connection: Connection, attempt_id: UUID, lease_until: datetime) -> None:
        """Mark an attempt's outcome as unknown, to be looked at again at `lease_until`."""
        await connection.execute(
            """
            UPDATE attempts SET state = 'unknown', lease_until = $2
            WHERE id = $1 AND state IN ('requested', 'unknown')
            """,
            attempt_id,
            lease_until,
        )
