"""`EndpointWrites`: writes to our webhook endpoints at Stripe, under keys that are stored before they are sent.

They move no money, and what there is at Stripe tells what has become of them; so they are no attempts. But Stripe shows
the secret of an endpoint in one answer only, and only the key of its making brings that answer again.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.platform.database import Database, Transaction
from tallystick.stripe_gateway.errors import GatewayOutcomeUnknown, GatewayRejected
from tallystick.stripe_gateway.leaving import leaving_while
from tallystick.stripe_gateway.objects import Answer
from tallystick.webhooks.models import EndpointWrite
from tallystick.webhooks.repository_endpoint_writes import EndpointWriteRepository

__all__ = ["EndpointWrites"]

Value = TypeVar("Value")

# Stripe keeps a key for a day at least.
_REPEAT_WITHIN = timedelta(hours=23)


class EndpointWrites:
    """One write of each purpose is open at a time; a repeat of the same parameters goes on with its key."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._repository = EndpointWriteRepository()

    async def is_open(self, purpose: str, params: Mapping[str, Any]) -> bool:
        """Whether this very write was begun, its outcome is not known, and its key still protects it."""
        since = self._clock.wall() - _REPEAT_WITHIN
        async with self._database.connection() as connection:
            return await self._repository.find_open(connection, purpose, _fingerprint(params), since) is not None

    async def begin(self, purpose: str, params: Mapping[str, Any]) -> EndpointWrite:
        """The open write of these parameters, or a new one under a new key; it is stored when this returns."""
        wall, fingerprint = self._clock.wall(), _fingerprint(params)

        async def store(tx: Transaction) -> EndpointWrite:
            found = await self._repository.find_open(tx, purpose, fingerprint, wall - _REPEAT_WITHIN)
            if found is not None:
                return found
            made = EndpointWrite(purpose, f"tallystick-endpoint-{new_id()}", wall, repeated=False)
            await self._repository.store(tx, made, fingerprint)
            return made

        return await self._database.run(store)

    async def send(self, write: EndpointWrite, call: Callable[[str], Awaitable[Answer[Value]]]) -> Value:
        """What Stripe answers to `call` under the key of `write`, which stays open: `end` it when all is done.

        Raises:
            GatewayError: as `call` does. One that Stripe would only repeat for the key has ended the write.
        """
        with leaving_while(lambda: self._clock.wall() - write.created_at <= _REPEAT_WITHIN):
            try:
                return (await call(write.stripe_idempotency_key)).value
            except GatewayRejected as error:
                # That the operator's key is refused says nothing about an earlier sending.
                if error.status not in (401, 403):
                    await self.end(write.purpose)
                raise
            except GatewayOutcomeUnknown as error:
                # Stripe keeps its own failures under a key, too.
                if write.repeated and error.request_id is not None:
                    await self.end(write.purpose)
                raise

    async def end(self, purpose: str) -> None:
        """Nobody needs the answer of what is open for this purpose any more."""
        async with self._database.transaction() as tx:
            await self._repository.end(tx, purpose, self._clock.wall())


def _fingerprint(params: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
