"""SQL of the one row of `installation`."""

from datetime import datetime

from tallystick.installation.models import Installation
from tallystick.platform.database import Transaction

__all__ = ["InstallationRepository"]

_COLUMNS = "installation_id, stripe_account_id, livemode, mark, created_at"


class InstallationRepository:
    """Makes the row, once, and reads it."""

    async def ensure(
        self, tx: Transaction, installation_id: str, mark: datetime, now: datetime, *, livemode: bool
    ) -> Installation:
        """The installation, made of these values where there is none; of several who make it one wins."""
        await tx.execute(
            """
            INSERT INTO installation (installation_id, livemode, mark, created_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (one) DO NOTHING
            """,
            installation_id,
            livemode,
            mark,
            now,
        )
        row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM installation")
        assert row is not None
        return Installation(*row)

    async def find(self, tx: Transaction) -> Installation | None:
        row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM installation")
        return Installation(*row) if row else None

    async def claim_account(self, tx: Transaction, account_id: str) -> str:
        """The account that this database belongs to: this one, unless there was one before."""
        found: str = await tx.fetchval(
            "UPDATE installation SET stripe_account_id = coalesce(stripe_account_id, $1) RETURNING stripe_account_id",
            account_id,
        )
        return found
