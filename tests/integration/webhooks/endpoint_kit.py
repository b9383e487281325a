"""A site whose endpoint at Stripe is made and changed, and whoever does it may die."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from system import JWT_SECRET, System, free_port, serving, unique
from tallystick.app import create_app
from tallystick.app.parts import build_parts
from tallystick.core.clock import clock_of
from tallystick.core.points import Point, listening
from tallystick.platform.database import Database
from tallystick.platform.settings import Settings, load_settings
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.signatures import fingerprint
from tallystick.webhooks.service_endpoints import Installed, InstalledEndpoints, KnownEndpoint

__all__ = ["PATH", "Site", "at_stripe", "delete", "dying", "keys_sent"]

PATH = "/v1/webhook_endpoints"


_HANDLED: list[str] = []


def handled(settings: Settings) -> list[str]:
    """All types of events that are handled, which all settings have in common."""
    if not _HANDLED:
        parts = build_parts(settings, clock_of(None), "test")
        _HANDLED.extend(parts.registry.event_types())
    return _HANDLED


@dataclass
class Site:
    """An API of its own beside the system's: no endpoint of Stripe's leads to it until one is made."""

    system: System
    secrets: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    looked_at: set[str] = field(default_factory=set)
    tells: bool = True
    """Whether an operator gets to see what a command says, or it dies before."""
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def environment(self) -> dict[str, str]:
        there = self.system.settings
        return {
            "ENVIRONMENT": "test",
            "DATABASE_URL": self.system.database_url,
            "STRIPE_SECRET_KEY": "sk_test_system",
            "STRIPE_API_BASE": self.system.sandbox_url,
            "STRIPE_WEBHOOK_SECRET": ",".join(self.secrets or ["whsec_none"]),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "JWT_SECRET": JWT_SECRET,
            "CLOCK_FILE": str(there.clock_file),
            "LOG_LEVEL": "error",
            "STRIPE_TIMEOUT_S": "2",
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.environment)

    async def restart(self) -> None:
        """Serve with the secrets that there are now."""
        await self.stop()
        await self._running.enter_async_context(serving(create_app(self.settings), self.port))

    async def stop(self) -> None:
        await self._running.aclose()

    async def do(self, what: Callable[[InstalledEndpoints], Awaitable[Any]]) -> Any:
        settings = self.settings
        clock, stripe = clock_of(settings.clock_file), StripeService(settings)
        database = await Database.connect(self.system.database_url, size=1)
        try:
            service = InstalledEndpoints(database, clock, settings, stripe, handled(settings))
            done = await what(service)
            if self.tells and isinstance(done, Installed):
                await service.told()
            return done
        finally:
            await stripe.close()
            await database.close()

    async def install(self, **how: Any) -> Installed:
        done: Installed = await self.do(lambda service: service.install(**how))
        return done

    async def known(self) -> list[KnownEndpoint]:
        found: list[KnownEndpoint] = await self.do(lambda service: service.find_all())
        return found

    async def taken(self, done: Installed) -> None:
        """Serve with the new secret, too."""
        assert done.secret is not None
        self.secrets.append(done.secret)
        await self.restart()

    async def seen(self, secret: str | None) -> None:
        """Let something happen, and wait until this secret has verified it."""
        await self.system.stripe("/v1/products", {"name": unique("thing")})
        await self.system.sandbox("POST", "/_sandbox/quiet?timeout_s=10")
        noted = "SELECT count(*) FROM webhook_secrets WHERE fingerprint = $1"
        for _ in range(500):
            if await self.system.value(noted, fingerprint(secret or "")):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the secret has verified nothing")

    async def cli(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tallystick.cli.main", "webhooks", *arguments),
            env={"PATH": os.environ["PATH"], "COLUMNS": "80", **self.environment, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


async def delete(system: System, endpoint_id: str) -> None:
    auth = {"Authorization": "Bearer sk_test_system"}
    async with system.http.delete(f"{system.sandbox_url}{PATH}/{endpoint_id}", headers=auth) as response:
        assert response.status == 200


async def at_stripe(site: Site) -> list[dict[str, Any]]:
    found = (await site.system.stripe(f"{PATH}?limit=100"))["data"]
    return [one for one in found if one["url"].startswith(f"http://127.0.0.1:{site.port}/")]


async def keys_sent(site: Site, path: str) -> list[str]:
    """The idempotency keys of the writes to an address since the last look, oldest first."""
    found = (await site.system.sandbox("GET", "/_sandbox/requests"))["data"]
    mine = [one for one in found if one["method"] == "POST" and one["path"] == path and one["id"] not in site.looked_at]
    site.looked_at.update(one["id"] for one in mine)
    return [one["idempotency_key"] for one in mine]


class Died(BaseException):
    """The end of a process, at a point where it hurts."""


async def dying(site: Site, at: int, what: Callable[[InstalledEndpoints], Awaitable[Any]]) -> bool:
    """Do `what` until the point of this number; False where there are not so many."""
    left, mine = at, asyncio.current_task()

    async def die(_: Point) -> None:
        nonlocal left
        # The system's own processes reach points, too.
        left -= asyncio.current_task() is mine
        if left < 0 and asyncio.current_task() is mine:
            raise Died

    try:
        with listening(die):
            await site.do(what)
    except Died:
        return True
    return False
