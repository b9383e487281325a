"""SQL of what the worker's looks at the invariants have found."""

from datetime import datetime

from tallystick.platform.database import Connection, Transaction

__all__ = ["InvariantRepository"]


class InvariantRepository:
    """Reads and writes `invariant_checks`; all times are wall time."""

    async def last(self, connection: Connection) -> datetime | None:
        """When all of them were last looked at; None: never."""
        found: datetime | None = await connection.fetchval("SELECT max(checked_at) FROM invariant_checks")
        return found

    async def violated_since(self, connection: Connection) -> dict[str, datetime]:
        """Those that did not hold at the last look, and since when."""
        rows = await connection.fetch(
            "SELECT name, violated_since FROM invariant_checks WHERE violated_since IS NOT NULL"
        )
        return {row["name"]: row["violated_since"] for row in rows}

    async def note(self, tx: Transaction, name: str, now: datetime, violations: int) -> bool:
        """Note what a look has found; True where the invariant held before and does not any more."""
        held = await tx.fetchval("SELECT violated_since IS NULL FROM invariant_checks WHERE name = $1 FOR UPDATE", name)
        await tx.execute(
            """
            INSERT INTO invariant_checks AS c (name, checked_at, violated_since, violations)
            VALUES ($1, $2::timestamptz, CASE WHEN $3::int > 0 THEN $2::timestamptz END, $3::int)
            ON CONFLICT (name) DO UPDATE SET checked_at = excluded.checked_at, violations = excluded.violations,
                violated_since = CASE WHEN excluded.violations > 0
                    THEN coalesce(c.violated_since, excluded.checked_at) END
            """,
            name,
            now,
            violations,
        )
        return violations > 0 and held is not False
