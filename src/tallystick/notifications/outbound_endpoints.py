"""`EndpointService`: who hears of facts over HTTP, as administrators and the host application manage it."""

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.errors import InvalidRequest, NotFound
from tallystick.core.ids import new_id, parse_uuid
from tallystick.core.pages import Page
from tallystick.notifications.errors import EndpointDisabled, EventTypeUnknown, TooManyEndpoints
from tallystick.notifications.outbound_models import EVERYTHING, TEST, DeliveryRow, Endpoint, FactTypes, NewFact
from tallystick.notifications.outbound_repository import EndpointRepository
from tallystick.notifications.outbound_sender import Lookup, check_url, system_lookup
from tallystick.platform.database import Database, Transaction
from tallystick.platform.sealing import Sealer
from tallystick.platform.settings import Settings

__all__ = ["EndpointService"]

_MOST = 50
_OLD_SECRET_VALID = timedelta(hours=24)


class EndpointService:
    """Webhook endpoints and their deliveries."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        types: FactTypes,
        *,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._database = database
        self._clock = clock
        self._https_only = settings.environment == "production"
        self._allow_private = settings.private_webhooks_allowed
        self._lookup = lookup
        self._sealer = Sealer([key.get_secret_value() for key in settings.sealing_keys])
        self._repository = EndpointRepository()
        self.types = types

    # Endpoints

    async def listed(self) -> Sequence[Endpoint]:
        """All endpoints, newest first; there are few."""
        async with self._database.connection() as connection:
            return await self._repository.listed(connection)

    async def get(self, endpoint_id: str) -> Endpoint:
        """An endpoint; raises `NotFound`."""
        async with self._database.connection() as connection:
            return await self._find(connection, endpoint_id)

    async def create(self, *, url: str, events: list[str], description: str | None, enabled: bool) -> Endpoint:
        """A new endpoint with a secret of its own; raises `UrlRefused`, `EventTypeUnknown`, `TooManyEndpoints`."""
        self._check_events(events)
        await self._check_url(url)
        now, endpoint_id, secret = self._clock.now(), new_id(), _new_secret()
        endpoint = Endpoint(
            id=endpoint_id,
            url=url,
            events=events,
            description=description,
            enabled=enabled,
            disabled_reason=None if enabled else "manual",
            secret=self._sealer.seal(secret, str(endpoint_id)),
            previous_secret=None,
            previous_secret_until=None,
            failing_since=None,
            created_at=now,
            updated_at=now,
        )
        async with self._database.transaction() as tx:
            if not await self._repository.add(tx, endpoint, _MOST):
                raise TooManyEndpoints(f"There are {_MOST} webhook endpoints already.")
        return replace(endpoint, secret=secret)

    async def update(self, endpoint_id: str, changes: Mapping[str, Any]) -> Endpoint:
        """Change `url`, `events`, `description`, `enabled`; switched on, it gets what waited for it meanwhile.

        Raises `NotFound`, `UrlRefused`, `EventTypeUnknown`.
        """
        if "events" in changes:
            self._check_events(changes["events"])
        if "url" in changes:
            await self._check_url(changes["url"])

        async def update(tx: Transaction) -> Endpoint:
            old = await self._find(tx, endpoint_id, lock=True)
            new = replace(old, **changes, updated_at=self._clock.now())
            if new.enabled and not old.enabled:
                new = replace(new, disabled_reason=None, failing_since=None)
                await self._repository.resume(tx, new.id, self._clock.wall())
            elif "enabled" in changes and not new.enabled:
                new = replace(new, disabled_reason="manual")
            if new.url != old.url:
                # What the old address failed at is not the new one's.
                new = replace(new, failing_since=None)
            await self._repository.save(tx, new)
            return new

        return await self._database.run(update)

    async def rotate(self, endpoint_id: str) -> Endpoint:
        """Give an endpoint a new secret; for a day webhooks bear a signature by the old one, too."""
        secret = _new_secret()
        async with self._database.transaction() as tx:
            old = await self._find(tx, endpoint_id, lock=True)
            new = replace(
                old,
                secret=self._sealer.seal(secret, str(old.id)),
                previous_secret=old.secret,
                previous_secret_until=self._clock.wall() + _OLD_SECRET_VALID,
                updated_at=self._clock.now(),
            )
            await self._repository.save(tx, new)
        return replace(new, secret=secret)

    async def seal_anew(self) -> int:
        """Seal by the first key what another one has sealed, or none; of how many endpoints. Raises KeyMissing."""
        stale = [endpoint.id for endpoint in await self.listed() if self._stale(endpoint)]
        for endpoint_id in stale:
            async with self._database.transaction() as tx:
                endpoint = await self._repository.find(tx, endpoint_id, lock=True)
                if endpoint is not None:
                    await self._repository.save(tx, self._sealed_anew(endpoint))
        return len(stale)

    def _stale(self, endpoint: Endpoint) -> bool:
        return self._sealer.stale(endpoint.secret) or self._sealer.stale(endpoint.previous_secret or "")

    def _sealed_anew(self, endpoint: Endpoint) -> Endpoint:
        place, old = str(endpoint.id), endpoint.previous_secret
        return replace(
            endpoint,
            secret=self._sealer.seal(self._sealer.open(endpoint.secret, place), place),
            previous_secret=old and self._sealer.seal(self._sealer.open(old, place), place),
        )

    async def delete(self, endpoint_id: str) -> UUID:
        """Take an endpoint out of use, and what is queued for it; raises `NotFound`."""

        async def delete(tx: Transaction) -> UUID:
            endpoint = await self._find(tx, endpoint_id, lock=True)
            await self._repository.delete(tx, endpoint.id, self._clock.now())
            return endpoint.id

        return await self._database.run(delete)

    async def test(self, endpoint_id: str) -> DeliveryRow:
        """Queue a test event; raises `NotFound`, `EndpointDisabled`."""
        async with self._database.transaction() as tx:
            endpoint = await self._find(tx, endpoint_id, lock=True)
            if not endpoint.enabled:
                raise EndpointDisabled
            key = f"{TEST.name}:{new_id()}"
            now = self._clock.now()
            fact = NewFact(TEST.name, key, key, now, {"test": True})
            made = await self._repository.add_delivery(tx, endpoint.id, fact, now, self._clock.wall())
            return await self._delivery(tx, endpoint.id, str(made))

    # Deliveries

    async def deliveries(
        self,
        endpoint_id: str,
        *,
        limit: int,
        state: str | None,
        starting_after: str | None,
        ending_before: str | None,
    ) -> Page[DeliveryRow]:
        """A page of what was, or is to be, delivered to an endpoint, newest first; raises `InvalidRequest`."""
        if starting_after and ending_before:
            raise InvalidRequest("starting_after and ending_before exclude each other.", field="ending_before")
        async with self._database.connection() as connection:
            endpoint = await self._find(connection, endpoint_id)
            edges: list[DeliveryRow | None] = []
            for field, cursor in (("starting_after", starting_after), ("ending_before", ending_before)):
                try:
                    edges.append(await self._delivery(connection, endpoint.id, cursor) if cursor else None)
                except NotFound:
                    raise InvalidRequest("There is no such delivery.", field=field) from None
            return await self._repository.deliveries(
                connection, endpoint.id, limit=limit, state=state, after=edges[0], before=edges[1]
            )

    async def replay(self, endpoint_id: str, delivery_id: str) -> DeliveryRow:
        """Deliver once more, under the same webhook id; one that waits, at once.

        Raises `NotFound`, `EndpointDisabled`.
        """

        async def replay(tx: Transaction) -> DeliveryRow:
            endpoint = await self._find(tx, endpoint_id, lock=True)
            if not endpoint.enabled:
                raise EndpointDisabled
            delivery = await self._delivery(tx, endpoint.id, delivery_id)
            await self._repository.replay(tx, delivery.id, self._clock.now(), self._clock.wall())
            return await self._delivery(tx, endpoint.id, delivery_id)

        return await self._database.run(replay)

    async def _find(self, tx: Transaction, endpoint_id: str, *, lock: bool = False) -> Endpoint:
        key = parse_uuid(endpoint_id)
        endpoint = await self._repository.find(tx, key, lock=lock) if key else None
        if endpoint is None:
            raise NotFound("There is no such webhook endpoint.", field="id")
        return endpoint

    async def _delivery(self, tx: Transaction, endpoint_id: UUID, delivery_id: str) -> DeliveryRow:
        key = parse_uuid(delivery_id)
        delivery = await self._repository.find_delivery(tx, endpoint_id, key) if key else None
        if delivery is None:
            raise NotFound("There is no such delivery.", field="delivery_id")
        return delivery

    def _check_events(self, events: Sequence[str]) -> None:
        for name in events:
            if name != EVERYTHING and name not in self.types:
                raise EventTypeUnknown(f"There is no type {name!r}.", field="events")

    async def _check_url(self, url: str) -> None:
        await check_url(url, https_only=self._https_only, allow_private=self._allow_private, lookup=self._lookup)


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
