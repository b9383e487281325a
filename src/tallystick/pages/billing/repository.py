"""SQL of the links to the billing pages and of the sessions that come of them."""

from datetime import datetime

from tallystick.pages.billing.models import PortalLink, PortalSession
from tallystick.platform.database import Connection, Transaction

__all__ = ["PortalRepository", "prune_portal"]

_LINK = ", ".join(PortalLink.__struct_fields__)
_SESSION = ", ".join(PortalSession.__struct_fields__)


class PortalRepository:
    """Reads and writes `portal_links` and `portal_sessions` in the transaction it is given."""

    async def insert_link(self, connection: Connection, link: PortalLink) -> None:
        await connection.execute(
            f"INSERT INTO portal_links ({_LINK}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            *(getattr(link, name) for name in PortalLink.__struct_fields__),
        )

    async def find_link(self, connection: Connection, token_hash: bytes) -> PortalLink | None:
        row = await connection.fetchrow(f"SELECT {_LINK} FROM portal_links WHERE token_hash = $1", token_hash)
        return PortalLink(*row) if row else None

    async def open_link(self, tx: Transaction, token_hash: bytes, now: datetime) -> PortalLink | None:
        """Use a link up; None where somebody else has, or its time is over. Of two at once one gets it."""
        row = await tx.fetchrow(
            f"""
            UPDATE portal_links SET opened_at = $2
            WHERE token_hash = $1 AND opened_at IS NULL AND expires_at > $2 RETURNING {_LINK}
            """,
            token_hash,
            now,
        )
        return PortalLink(*row) if row else None

    async def insert_session(self, tx: Transaction, session: PortalSession) -> None:
        await tx.execute(
            f"INSERT INTO portal_sessions ({_SESSION}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            *(getattr(session, name) for name in PortalSession.__struct_fields__),
        )

    async def find_session(self, connection: Connection, token_hash: bytes, now: datetime) -> PortalSession | None:
        """A session whose time is not over."""
        row = await connection.fetchrow(
            f"SELECT {_SESSION} FROM portal_sessions WHERE token_hash = $1 AND expires_at > $2", token_hash, now
        )
        return PortalSession(*row) if row else None

    async def prolong(self, connection: Connection, token_hash: bytes, now: datetime, until: datetime) -> None:
        """Note that a session was used at `now`."""
        await connection.execute(
            "UPDATE portal_sessions SET seen_at = $2, expires_at = $3 WHERE token_hash = $1", token_hash, now, until
        )

    async def delete_session(self, connection: Connection, token_hash: bytes) -> None:
        await connection.execute("DELETE FROM portal_sessions WHERE token_hash = $1", token_hash)


async def prune_portal(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget links that ran out before `before`, with the sessions that came of them; `limit` at most."""
    rows = await tx.fetch(
        """
        DELETE FROM portal_links WHERE token_hash IN (
            SELECT l.token_hash FROM portal_links l WHERE l.expires_at < $1 AND NOT EXISTS (
                SELECT FROM portal_sessions s WHERE s.link_hash = l.token_hash AND s.expires_at >= $1
            ) LIMIT $2
        ) RETURNING 1
        """,
        before,
        limit,
    )
    return len(rows)
