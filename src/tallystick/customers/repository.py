"""SQL of users."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tallystick.core.ids import new_id
from tallystick.customers.models import User
from tallystick.platform.database import Connection, Record, Transaction

__all__ = ["UserRepository"]

_COLUMNS = "id, external_id, email, name, locale, stripe_customer_id, customer_generation"


def _user(row: Record | None) -> User:
    if row is None:
        raise LookupError("no such user")
    return User(*row)


class UserRepository:
    """Reads and writes `users`."""

    async def find_by_external_id(self, connection: Connection, external_id: str) -> User | None:
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE external_id = $1", external_id)
        return _user(row) if row else None

    async def get(self, connection: Connection, user_id: UUID) -> User:
        return _user(await connection.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE id = $1", user_id))

    async def find_many(self, connection: Connection, user_ids: Sequence[UUID]) -> list[User]:
        rows = await connection.fetch(f"SELECT {_COLUMNS} FROM users WHERE id = ANY($1)", user_ids)
        return [_user(row) for row in rows]

    async def find_by_customer(self, connection: Connection, stripe_customer_id: str) -> UUID | None:
        found: UUID | None = await connection.fetchval(
            "SELECT id FROM users WHERE stripe_customer_id = $1", stripe_customer_id
        )
        return found

    async def upsert(self, connection: Connection, external_id: str, email: str | None, now: datetime) -> User:
        """The user of this external id, made on first sight; a new e-mail address replaces the old one."""
        row = await connection.fetchrow(
            f"""
            INSERT INTO users (id, external_id, email, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
            ON CONFLICT (external_id) DO UPDATE SET email = coalesce(excluded.email, users.email), updated_at = $4
            RETURNING {_COLUMNS}
            """,
            new_id(),
            external_id,
            email,
            now,
        )
        return _user(row)

    async def lock(self, tx: Transaction, user_id: UUID) -> User:
        return _user(await tx.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE id = $1 FOR UPDATE", user_id))

    async def note_customer_request(self, tx: Transaction, user_id: UUID, at: datetime) -> datetime:
        """Remember when a customer of this generation was first asked for, and tell it."""
        first: datetime = await tx.fetchval(
            """
            UPDATE users SET customer_requested_at = coalesce(customer_requested_at, $2) WHERE id = $1
            RETURNING customer_requested_at
            """,
            user_id,
            at,
        )
        return first

    async def set_customer(self, tx: Transaction, user_id: UUID, stripe_customer_id: str, now: datetime) -> None:
        await tx.execute(
            "UPDATE users SET stripe_customer_id = $2, updated_at = $3 WHERE id = $1 AND stripe_customer_id IS NULL",
            user_id,
            stripe_customer_id,
            now,
        )
