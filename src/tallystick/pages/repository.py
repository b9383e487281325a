"""SQL of checkout sessions and of the links to them."""

from datetime import datetime, timedelta
from uuid import UUID

from msgspec import convert, to_builtins
from msgspec.structs import replace

from tallystick.pages.models import CheckoutSession, Recurring, Status, Terms
from tallystick.platform.database import Connection, Record, Transaction

__all__ = ["CheckoutRepository"]

_NAMES = CheckoutSession.__struct_fields__
_COLUMNS = ", ".join(_NAMES)
_SELECT = f"SELECT {_COLUMNS} FROM checkout_sessions"
_INSERT = f"""
    INSERT INTO checkout_sessions ({_COLUMNS}) VALUES ({", ".join(f"${n}" for n in range(1, len(_NAMES) + 1))})
"""


def _session(row: Record | None) -> CheckoutSession | None:
    if row is None:
        return None
    session = CheckoutSession(*row)
    return replace(session, recurring=convert(session.recurring, Recurring | None))


class CheckoutRepository:
    """Reads and writes `checkout_sessions` and `checkout_links` in the transaction it is given."""

    async def insert(self, tx: Transaction, session: CheckoutSession) -> None:
        stored = replace(session, recurring=to_builtins(session.recurring))
        await tx.execute(_INSERT, *(getattr(stored, name) for name in _NAMES))

    async def find(self, connection: Connection, session_id: UUID, owner: UUID | None) -> CheckoutSession | None:
        """A session, if `owner` (None: everybody) may see it."""
        return _session(
            await connection.fetchrow(
                f"{_SELECT} WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2)", session_id, owner
            )
        )

    async def find_by_link(self, connection: Connection, token_hash: bytes) -> CheckoutSession | None:
        return _session(
            await connection.fetchrow(
                f"{_SELECT} WHERE id = (SELECT session_id FROM checkout_links WHERE token_hash = $1)", token_hash
            )
        )

    async def add_link(self, connection: Connection, token_hash: bytes, session_id: UUID, now: datetime) -> None:
        await connection.execute(
            "INSERT INTO checkout_links (token_hash, session_id, created_at) VALUES ($1, $2, $3)",
            token_hash,
            session_id,
            now,
        )

    async def move(
        self, connection: Connection, session: CheckoutSession, status: Status, now: datetime
    ) -> CheckoutSession | None:
        """Give a session another status; None if somebody else has moved it since it was read."""
        return _session(
            await connection.fetchrow(
                f"""
                UPDATE checkout_sessions SET status = $3, updated_at = $4,
                    completed_at = CASE WHEN $3 = 'complete' THEN $4 ELSE completed_at END
                WHERE id = $1 AND status = $2 RETURNING {_COLUMNS}
                """,
                session.id,
                session.status,
                status,
                now,
            )
        )

    async def start(self, tx: Transaction, session_id: UUID, now: datetime) -> bool:
        """Note that the customer pressed the button; False if that is known, or the session is not open."""
        return bool(
            await tx.fetchval(
                """
                UPDATE checkout_sessions SET started_at = $2, updated_at = $2
                WHERE id = $1 AND status = 'open' AND started_at IS NULL RETURNING true
                """,
                session_id,
                now,
            )
        )

    async def set_subject(
        self, connection: Connection, session_id: UUID, subject_id: UUID, intent_id: str | None
    ) -> None:
        """Note what a session ends in, where that is another than was foreseen, and what its browser confirms."""
        await connection.execute(
            """
            UPDATE checkout_sessions SET subject_id = $2, intent_id = coalesce($3, intent_id)
            WHERE id = $1 AND (subject_id <> $2 OR intent_id IS DISTINCT FROM $3)
            """,
            session_id,
            subject_id,
            intent_id,
        )

    async def set_terms(self, connection: Connection, session_id: UUID, terms: Terms, now: datetime) -> None:
        """Note what is due, where that is not what it was when the session was made."""
        await connection.execute(
            "UPDATE checkout_sessions SET amount = $2, recurring = $3, updated_at = $4 WHERE id = $1",
            session_id,
            terms.amount,
            to_builtins(terms.recurring),
            now,
        )

    async def is_shared(self, connection: Connection, session: CheckoutSession) -> bool:
        """Whether another session, whose customer has begun to pay and may go on, ends in the same."""
        return bool(
            await connection.fetchval(
                """
                SELECT EXISTS (
                    SELECT FROM checkout_sessions
                    WHERE subject_id = $1 AND id <> $2 AND status IN ('open', 'processing') AND started_at IS NOT NULL
                )
                """,
                session.subject_id,
                session.id,
            )
        )

    async def ids_of(self, connection: Connection, subject_id: UUID) -> list[UUID]:
        """All sessions, over or not, that end in this."""
        rows = await connection.fetch("SELECT id FROM checkout_sessions WHERE subject_id = $1", subject_id)
        return [row["id"] for row in rows]

    async def end(self, tx: Transaction, session_id: UUID, now: datetime) -> bool:
        """Let an open session's time be over now; False if it is not open."""
        return bool(
            await tx.fetchval(
                """
                UPDATE checkout_sessions SET expires_at = least(expires_at, $2), status = 'expired', updated_at = $2
                WHERE id = $1 AND status = 'open' RETURNING true
                """,
                session_id,
                now,
            )
        )

    async def may_ask(self, connection: Connection, session_id: UUID, wall: datetime, every: timedelta) -> bool:
        """Whether Stripe may be asked about a session now: it was not within `every`. The asker is the only one."""
        return bool(
            await connection.fetchval(
                """
                UPDATE checkout_sessions SET asked_at = $2
                WHERE id = $1 AND (asked_at IS NULL OR asked_at <= $3) RETURNING true
                """,
                session_id,
                wall,
                wall - every,
            )
        )
