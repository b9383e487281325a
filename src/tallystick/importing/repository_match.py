"""SQL of which customers are whose: read from the mirror, so that it is true whenever it is asked."""

from collections.abc import Sequence
from uuid import UUID

from tallystick.importing.models import Unmatched
from tallystick.platform.database import Connection

__all__ = ["MatchRepository"]

_LOOSE = """
    customers c WHERE c.user_id IS NULL AND NOT c.deleted
"""
_OTHER = "(c.metadata ->> 'tallystick_installation') IS DISTINCT FROM $1 AND c.metadata ? 'tallystick_installation'"
_USERS = "(SELECT count(*) FROM users u WHERE lower(u.email) = lower(c.email))"
_CUSTOMERS = "(SELECT count(*) FROM customers s WHERE lower(s.email) = lower(c.email) AND NOT s.deleted)"
_REASON = f"""
    CASE WHEN c.email IS NULL THEN 'no_email'
         WHEN {_OTHER} THEN 'other_installation'
         WHEN {_USERS} = 0 THEN 'no_user'
         WHEN {_USERS} > 1 THEN 'several_users'
         WHEN {_CUSTOMERS} > 1 THEN 'several_customers'
         WHEN EXISTS (SELECT 1 FROM users u WHERE lower(u.email) = lower(c.email) AND u.stripe_customer_id IS NOT NULL)
             THEN 'user_has_customer'
         ELSE 'not_asked'
    END
"""


class MatchRepository:
    """Finds customers of nobody, and whose they may be."""

    async def by_email(
        self, connection: Connection, installation: str, after: str, limit: int
    ) -> Sequence[tuple[str, UUID]]:
        """The next customers of nobody whose e-mail address no other customer has, and only one user, who has none."""
        rows = await connection.fetch(
            f"""
            SELECT c.stripe_customer_id, (SELECT u.id FROM users u WHERE lower(u.email) = lower(c.email))
            FROM {_LOOSE} AND c.email IS NOT NULL AND c.stripe_customer_id > $2 AND {_REASON} = 'not_asked'
            ORDER BY c.stripe_customer_id LIMIT $3
            """,
            installation,
            after,
            limit,
        )
        return [(row[0], row[1]) for row in rows]

    async def unmatched(self, connection: Connection, installation: str, after: str, limit: int) -> Sequence[Unmatched]:
        """The next customers of nobody, and why."""
        rows = await connection.fetch(
            f"""
            SELECT c.stripe_customer_id, c.email, {_REASON} FROM {_LOOSE} AND c.stripe_customer_id > $2
            ORDER BY c.stripe_customer_id LIMIT $3
            """,
            installation,
            after,
            limit,
        )
        return [Unmatched(*row) for row in rows]

    async def reasons(self, connection: Connection, installation: str) -> dict[str, int]:
        """How many customers are nobody's, by reason."""
        rows = await connection.fetch(f"SELECT {_REASON}, count(*) FROM {_LOOSE} GROUP BY 1 ORDER BY 1", installation)
        return {row[0]: row[1] for row in rows}
