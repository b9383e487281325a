"""SQL of which secret has verified events."""

from collections.abc import Sequence
from datetime import datetime

from tallystick.platform.database import Connection
from tallystick.webhooks.models import SecretSeen

__all__ = ["SecretRepository"]


class SecretRepository:
    """Reads and writes `webhook_secrets`; all times are wall time."""

    async def saw(self, connection: Connection, fingerprint: str, at: datetime, api_version: str | None) -> None:
        """Note that this secret has verified an event of this API version."""
        await connection.execute(
            """
            INSERT INTO webhook_secrets (fingerprint, first_verified_at, verified_at, api_version)
            VALUES ($1, $2, $2, $3)
            ON CONFLICT (fingerprint) DO UPDATE SET
                verified_at = greatest(webhook_secrets.verified_at, excluded.verified_at),
                api_version = excluded.api_version
            """,
            fingerprint,
            at,
            api_version,
        )

    async def find_many(self, connection: Connection, fingerprints: Sequence[str]) -> dict[str, SecretSeen]:
        """What is known of those of these that have verified anything."""
        rows = await connection.fetch(
            "SELECT fingerprint, verified_at, api_version FROM webhook_secrets WHERE fingerprint = ANY($1)",
            fingerprints,
        )
        return {row["fingerprint"]: SecretSeen(**row) for row in rows}
