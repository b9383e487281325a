"""SQL of the outbox as an operator sees it."""

from collections.abc import Sequence
from uuid import UUID

from tallystick.notifications.models import StoredMail
from tallystick.platform.database import Connection, Transaction
from tallystick.platform.work import MAIL_CHANNEL

__all__ = ["OutboxRepository"]

_COLUMNS = ", ".join(
    "nullif(not_before, '-infinity')" if name == "not_before" else name for name in StoredMail.__struct_fields__
)
_SELECT = f"SELECT {_COLUMNS} FROM mails"


class OutboxRepository:
    """Reads `mails`, and puts them back."""

    async def page(
        self, connection: Connection, *, state: str | None, template: str | None, before: UUID | None, limit: int
    ) -> Sequence[StoredMail]:
        """Mails, the last queued first, from after `before`."""
        rows = await connection.fetch(
            f"""
            {_SELECT}
            WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR template = $2)
              AND ($3::uuid IS NULL OR id < $3)
            ORDER BY id DESC LIMIT $4
            """,
            state,
            template,
            before,
            limit,
        )
        return [StoredMail(*row) for row in rows]

    async def find(self, connection: Connection, key: UUID | str, *, lock: bool = False) -> StoredMail | None:
        """A mail by our id or its business key."""
        column = "id" if isinstance(key, UUID) else "business_key"
        row = await connection.fetchrow(f"{_SELECT} WHERE {column} = $1 {'FOR UPDATE' if lock else ''}", key)
        return StoredMail(*row) if row else None

    async def requeue(self, tx: Transaction, mail_id: UUID, recipient: str) -> None:
        await tx.fetch(
            f"""
            WITH queued AS (
                UPDATE mails SET state = 'queued', recipient = $2, attempts = 0, last_error = NULL, finished_at = NULL,
                    not_before = '-infinity', leased_until = NULL
                WHERE id = $1 RETURNING 1
            )
            SELECT pg_notify('{MAIL_CHANNEL}', '') FROM queued
            """,
            mail_id,
            recipient,
        )
