"""`SecretSightings`: which of our secrets verify what arrives, so that an old one can be let go of."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from tallystick.core.clock import Clock
from tallystick.platform.database import Database
from tallystick.stripe_gateway.signatures import fingerprint
from tallystick.webhooks.repository_secrets import SecretRepository

__all__ = ["SecretSightings"]

log = structlog.get_logger()

_EVERY_S = 60.0


class SecretSightings:
    """Notes that a secret has verified an event, at most once a minute each, beside the path of the event itself."""

    def __init__(self, database: Database, clock: Clock, secrets: Sequence[str]) -> None:
        self._database = database
        self._clock = clock
        self._repository = SecretRepository()
        self._fingerprints = [fingerprint(secret) for secret in secrets]
        self._next_at = [0.0] * len(secrets)
        self._writing: set[asyncio.Task[None]] = set()

    def saw(self, place: int, api_version: str | None) -> None:
        """The secret in this place of STRIPE_WEBHOOK_SECRET has verified an event that is stored."""
        now = self._clock.monotonic()
        if now < self._next_at[place]:
            return
        self._next_at[place] = now + _EVERY_S
        task = asyncio.create_task(self._write(place, self._clock.wall(), api_version), name="webhooks.secret_seen")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def stop(self) -> None:
        """Return when nothing is being written."""
        await asyncio.gather(*self._writing)

    async def _write(self, place: int, at: datetime, api_version: str | None) -> None:
        try:
            async with self._database.connection() as connection:
                await self._repository.saw(connection, self._fingerprints[place], at, api_version)
        except Exception as error:
            # It says nothing about the event, which is stored; the next one tries again.
            self._next_at[place] = 0.0
            log.warning("webhook.secret_not_noted", error=type(error).__name__)
