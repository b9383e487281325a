"""`InstalledEndpoints`: the endpoint at Stripe that sends events here, its secret, and its change for another.

Which endpoint is ours is written at Stripe, in its metadata: our installation, and a fingerprint of its secret. Stripe
shows the secret in its answer to the making of the endpoint, and again to whoever repeats that under its key: a command
that was broken off goes on where it was. Once the key is too old for that, an endpoint of ours without a fingerprint,
which is written before the secret is given out, was made by a call whose answer got lost: nobody has its secret, and it
is removed. Secrets of Stripe's v1 endpoints cannot be changed, nor can versions: a second endpoint takes the place of
the first, both are alive meanwhile, and the inbox drops what comes twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tallystick.core.clock import Clock
from tallystick.platform.database import Database
from tallystick.platform.leases import Lease
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.dialect import NEWEST_READ, OLDEST_READ, Dialect, can_read
from tallystick.stripe_gateway.errors import GatewayRejected
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_endpoints import EndpointCalls, StripeEndpoint
from tallystick.stripe_gateway.signatures import fingerprint
from tallystick.webhooks.errors import EndpointNotReady
from tallystick.webhooks.models import SecretSeen
from tallystick.webhooks.repository_secrets import SecretRepository
from tallystick.webhooks.service_endpoint_writes import EndpointWrites

Json = Mapping[str, Any]

__all__ = ["ENDPOINT_PATH", "Installed", "InstalledEndpoints", "KnownEndpoint"]

ENDPOINT_PATH = "/api/webhooks/stripe"
_INSTALLATION, _SECRET, _REPLACES = "tallystick_installation", "tallystick_secret", "tallystick_replaces"
_CREATE = "create"
_LEASE_S = 300.0
_SETTLED = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """An endpoint at Stripe that is ours by its mark, or bears our address.

    `secret_known`: its secret is one of STRIPE_WEBHOOK_SECRET. `seen` is when that has last verified an event.
    `replaces` is the id of the endpoint whose place it is to take.
    """

    endpoint: StripeEndpoint
    ours: bool
    marked: bool
    secret_known: bool
    seen: SecretSeen | None
    replaces: str | None


@dataclass(frozen=True, slots=True)
class Installed:
    """What was done: `created`, `adopted`, `updated` or `unchanged`. `secret` is that of a new endpoint, shown until
    `told`."""

    done: str
    endpoint: StripeEndpoint
    secret: str | None = field(default=None, repr=False)
    removed: tuple[str, ...] = ()


class InstalledEndpoints:
    """What an operator does about it. One at a time: a lease keeps a second caller out."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, stripe: StripeService, event_types: Sequence[str]
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._calls = EndpointCalls(stripe)
        self._writes = EndpointWrites(database, clock)
        self._event_types = event_types
        self._secrets = SecretRepository()
        self._lease = Lease(database, clock, "webhook endpoints", for_s=_LEASE_S)
        self._known = [fingerprint(secret.get_secret_value()) for secret in settings.stripe_webhook_secret]

    @property
    def url(self) -> str:
        """Where events are to be sent. Raises EndpointNotReady where PUBLIC_URL is not set."""
        if self._settings.public_url is None:
            raise EndpointNotReady(
                "PUBLIC_URL is not set, so there is no address that Stripe could send events to.",
                action="Set PUBLIC_URL to the address of this service as Stripe can reach it.",
            )
        return f"{self._settings.public_url.rstrip('/')}{ENDPOINT_PATH}"

    def events(self, api_version: str | None) -> list[str]:
        """The events that an endpoint of this version should send: exactly those that are handled."""
        return Dialect(api_version or self._settings.stripe_api_version).known_events(self._event_types)

    # Reads

    async def find_all(self) -> list[KnownEndpoint]:
        """Ours, and whatever else sends events to our address; newest first. Raises a GatewayError."""
        found = await self._calls.list_all()
        marks = [endpoint.metadata.get(_SECRET, "") for endpoint in found]
        async with self._database.connection() as connection:
            seen = await self._secrets.find_many(connection, marks)
        every = [self._known_of(endpoint, seen) for endpoint in found]
        url = self.url
        return [known for known in every if known.ours or known.endpoint.url == url]

    def _known_of(self, endpoint: StripeEndpoint, seen: dict[str, SecretSeen]) -> KnownEndpoint:
        mark = endpoint.metadata.get(_SECRET, "")
        return KnownEndpoint(
            endpoint=endpoint,
            ours=endpoint.metadata.get(_INSTALLATION) == self._settings.installation_id,
            marked=bool(mark),
            secret_known=mark in self._known,
            seen=seen.get(mark),
            replaces=endpoint.metadata.get(_REPLACES) or None,
        )

    async def last_verified(self) -> list[SecretSeen]:
        """When the secrets of STRIPE_WEBHOOK_SECRET have last verified an event, the latest first."""
        async with self._database.connection() as connection:
            seen = await self._secrets.find_many(connection, self._known)
        return sorted(seen.values(), key=lambda one: one.verified_at, reverse=True)

    # Commands

    async def install(self, *, replace: bool = False) -> Installed:
        """Have one endpoint with our address, events and version, whose secret we know; twice changes nothing.

        `replace`: an endpoint at our address whose secret is not known makes room for a new one.

        Raises:
            EndpointNotReady: there is such an endpoint, and `replace` does not say what should become of it.
            GatewayError: Stripe was not reached, or refuses.
        """
        async with self._alone():
            there = await self.find_all()
            removed: tuple[str, ...] = ()
            usable = [known for known in there if known.secret_known]
            if usable:
                _, removed = await self._tidy(there)
                aligned = [await self._align(known.endpoint) for known in usable]
                return Installed(*aligned[0], removed=removed)
            new = self._new(self._settings.stripe_api_version)
            if not await self._writes.is_open(_CREATE, {**new, "replace": replace}):
                there, removed = await self._tidy(there)
                at_url = self._at_url(there)
                if not replace and await self._is_certainly_ours(at_url):
                    return Installed("adopted", await self._adopt(at_url[0].endpoint), removed=removed)
                if at_url and not replace:
                    raise _secret_unknown(at_url[0])
            made = await self._create(new, replace=replace)
            others = [known.endpoint.id for known in self._at_url(there) if known.endpoint.id != made.id]
            gone = tuple(others) if replace else ()
            for endpoint_id in gone:
                await self._calls.delete(endpoint_id)
            return Installed("created", made, made.secret, (*removed, *gone))

    async def begin(self, api_version: str | None = None) -> Installed:
        """Make the endpoint that takes the place of ours, with a secret of its own and this (else the same) version.

        Both are alive until `finish`.

        Raises:
            EndpointNotReady: the version cannot be read, there is nothing to replace, or it is under way already.
            GatewayError: Stripe was not reached, or refuses.
        """
        if api_version is not None and not can_read(api_version):
            raise EndpointNotReady(
                f"Events of the API version {api_version!r} cannot be read.",
                action=f"Name a version from {OLDEST_READ} to {NEWEST_READ}.",
            )
        async with self._alone():
            there = await self.find_all()
            removed: tuple[str, ...] = ()
            pair = _pair(there)
            new = self._successor(pair[1].endpoint if pair else self._current(there), api_version)
            if not await self._writes.is_open(_CREATE, {**new, "replace": False}):
                there, removed = await self._tidy(there)
                if pair := _pair(there):
                    raise EndpointNotReady(
                        f"{pair[0].endpoint.id} is to take the place of {pair[1].endpoint.id} already.",
                        action="End that first: the same command with --finish, or with --cancel.",
                    )
                old = self._current(there)
                if api_version is not None and api_version == old.api_version:
                    raise EndpointNotReady(f"{old.id} is of the version {api_version} already.")
                new = self._successor(old, api_version)
            made = await self._create(new)
            return Installed("created", made, made.secret, removed)

    async def told(self) -> None:
        """The secret of what `install` or `begin` made was given out: a repeat need not show it again."""
        await self._writes.end(_CREATE)

    async def finish(self) -> Installed:
        """Remove the endpoint whose place another has taken, once events came that the new secret has verified.

        Raises:
            EndpointNotReady: nothing is under way, or no such event has come yet.
            GatewayError: Stripe was not reached, or refuses.
        """
        async with self._alone():
            there = await self.find_all()
            if widow := _widow(there):
                return await self._ended(widow)
            new, old = _expect_pair(there)
            if not new.secret_known:
                raise EndpointNotReady(
                    f"STRIPE_WEBHOOK_SECRET does not hold the secret of {new.endpoint.id} (fingerprint "
                    f"{new.endpoint.metadata.get(_SECRET, 'unknown')}).",
                    action="Set both secrets, separated by a comma, here and where the API runs, and start that again. "
                    "If the new one is lost, use --cancel and begin anew.",
                )
            if new.seen is None:
                raise EndpointNotReady(
                    f"No event that the secret of {new.endpoint.id} verifies has arrived yet.",
                    action="See that the API runs with both secrets, let something happen at Stripe, and try again.",
                )
            await self._calls.delete(old.endpoint.id)
            return await self._ended(new)

    async def cancel(self) -> Installed:
        """Remove the endpoint that was to take the place of ours. Raises EndpointNotReady, GatewayError."""
        async with self._alone():
            new, old = _expect_pair(await self.find_all())
            await self._writes.end(_CREATE)
            await self._calls.delete(new.endpoint.id)
            return Installed("unchanged", old.endpoint, removed=(new.endpoint.id,))

    # Steps

    def _alone(self) -> "_Alone":
        return _Alone(self._lease)

    async def _tidy(self, there: Sequence[KnownEndpoint]) -> tuple[list[KnownEndpoint], tuple[str, ...]]:
        """What there is, without those whose secret nobody was ever told; and the ids of these, which are gone."""
        await self._writes.end(_CREATE)
        lost = [known for known in self._at_url(there) if known.ours and not known.marked]
        for known in lost:
            await self._calls.delete(known.endpoint.id)
        return [known for known in there if known not in lost], tuple(known.endpoint.id for known in lost)

    def _at_url(self, there: Sequence[KnownEndpoint]) -> list[KnownEndpoint]:
        return [known for known in there if known.endpoint.url == self.url]

    def _current(self, there: Sequence[KnownEndpoint]) -> StripeEndpoint:
        usable = [known.endpoint for known in there if known.ours and known.secret_known]
        if not usable:
            raise EndpointNotReady(
                "There is no endpoint of this installation whose secret is in STRIPE_WEBHOOK_SECRET.",
                action="Run `tallystick webhooks install` first.",
            )
        return usable[0]

    async def _is_certainly_ours(self, at_url: Sequence[KnownEndpoint]) -> bool:
        """Whether our one secret is that of the only endpoint at our address: it has verified since that was made.

        One that bears another secret's mark may have taken the place of ours a moment ago; or its secret was changed in
        the dashboard.
        """
        seen = await self.last_verified()
        if len(at_url) != 1 or len(self._known) != 1 or not seen:
            return False
        made_at = at_url[0].endpoint.created - (self._clock.now() - self._clock.wall())
        return seen[0].verified_at >= made_at + (_SETTLED if at_url[0].marked else timedelta())

    async def _adopt(self, endpoint: StripeEndpoint) -> StripeEndpoint:
        marks = {_INSTALLATION: self._settings.installation_id, _SECRET: self._known[0]}
        _, aligned = await self._align(await self._update(endpoint, metadata=marks))
        return aligned

    async def _align(self, endpoint: StripeEndpoint) -> tuple[str, StripeEndpoint]:
        """Give an endpoint our address and events, and switch it on, where it differs."""
        wanted = self.events(endpoint.api_version)
        changes: dict[str, object] = {}
        if endpoint.url != self.url:
            changes["url"] = self.url
        if endpoint.events != wanted:
            changes["enabled_events"] = wanted
        if not endpoint.enabled:
            changes["disabled"] = False
        return ("updated", await self._update(endpoint, **changes)) if changes else ("unchanged", endpoint)

    async def _ended(self, new: KnownEndpoint) -> Installed:
        """What has taken another's place says so no more."""
        kept = await self._update(new.endpoint, metadata={_REPLACES: ""})
        return Installed("updated", kept, removed=(new.replaces or "",))

    async def _update(self, endpoint: StripeEndpoint, **params: object) -> StripeEndpoint:
        purpose = f"update {endpoint.id}"
        write = await self._writes.begin(purpose, params)
        updated = await self._writes.send(write, lambda key: self._calls.update(endpoint, params, key))
        await self._writes.end(purpose)
        return updated

    def _successor(self, old: StripeEndpoint, api_version: str | None) -> Json:
        version = api_version or old.api_version or self._settings.stripe_api_version
        return self._new(version, {_REPLACES: old.id})

    def _new(self, api_version: str, marks: Mapping[str, str] | None = None) -> Json:
        """The parameters of an endpoint that is marked as ours."""
        return {
            "url": self.url,
            "enabled_events": self.events(api_version),
            "api_version": api_version,
            "description": f"Tallystick ({self._settings.installation_id})",
            "metadata": {_INSTALLATION: self._settings.installation_id, **(marks or {})},
        }

    async def _create(self, params: Json, *, replace: bool = False) -> StripeEndpoint:
        """A new endpoint, with its secret, marked; the write stays open until the secret was told."""
        write = await self._writes.begin(_CREATE, {**params, "replace": replace})
        made = await self._writes.send(write, lambda key: self._calls.create(params, key))
        if made.secret is None:
            raise GatewayRejected("Stripe has not shown the secret of the new endpoint", status=200)
        try:
            await self._update(made, metadata={_SECRET: fingerprint(made.secret)})
        except GatewayRejected as error:
            if not (error.missing and write.repeated):
                raise
            # Somebody has removed what the first sending made: its key answers with what is gone.
            await self._writes.end(_CREATE)
            return await self._create(params, replace=replace)
        return made


class _Alone:
    """The lease, for a block. Raises EndpointNotReady where somebody else has it."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    async def __aenter__(self) -> None:
        if not await self._lease.take():
            raise EndpointNotReady(
                "Somebody else is changing the endpoint at this moment.", action="Try again in a few minutes."
            )

    async def __aexit__(self, *_: object) -> None:
        await self._lease.give_back()


def _pair(there: Sequence[KnownEndpoint]) -> tuple[KnownEndpoint, KnownEndpoint] | None:
    """The endpoint that is to take another's place, and that other."""
    by_id = {known.endpoint.id: known for known in there}
    return next(((new, by_id[new.replaces]) for new in there if new.replaces in by_id), None)


def _widow(there: Sequence[KnownEndpoint]) -> KnownEndpoint | None:
    """An endpoint that has taken another's place, where the removal of the other was the last that was heard."""
    ids = {known.endpoint.id for known in there}
    return next((new for new in there if new.ours and new.secret_known and new.replaces not in (None, *ids)), None)


def _expect_pair(there: Sequence[KnownEndpoint]) -> tuple[KnownEndpoint, KnownEndpoint]:
    pair = _pair(there)
    if pair is None:
        raise EndpointNotReady(
            "No endpoint is to take the place of another.",
            action="Begin with `tallystick webhooks rotate` or `tallystick webhooks switch-version VERSION`.",
        )
    return pair


def _secret_unknown(known: KnownEndpoint) -> EndpointNotReady:
    return EndpointNotReady(
        f"{known.endpoint.id} sends events to {known.endpoint.url} already, and it is not certain that its secret is "
        "in STRIPE_WEBHOOK_SECRET.",
        action="If you have its secret (the Stripe dashboard shows it), set it, let one event arrive, and run this "
        "again. If not, `tallystick webhooks install --replace` makes a new endpoint and removes this one.",
    )
