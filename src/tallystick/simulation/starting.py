"""Starting a world: everything that one story needs, on ports that the system gives, and its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import asyncpg
import uvicorn

from tallystick.attempts.service import AttemptService
from tallystick.core.points import listening
from tallystick.platform.settings import Settings, load_settings
from tallystick.sandbox.app import Sandbox, create_sandbox
from tallystick.sandbox.resources import webhook_endpoints
from tallystick.sandbox.settings import SandboxConfig
from tallystick.simulation.clock import Timeline
from tallystick.simulation.mails import MailServer
from tallystick.simulation.patching import IMPATIENT, patched
from tallystick.simulation.processes import Api, Server, WorkerProcess, listener, started, tracking_tasks
from tallystick.simulation.receiver import Receiver
from tallystick.simulation.story import Setting
from tallystick.simulation.tending import register_endpoint
from tallystick.simulation.world import INSTALLATION, JWT_SECRET, WEBHOOK_SECRET, World, port_of

__all__ = ["living"]

_SETTLE = "tallystick.attempts.service:AttemptService._settle_open"


@asynccontextmanager
async def living(setting: Setting, database_url: str) -> AsyncIterator[World]:
    """A world on an empty, migrated database, with all of it running."""
    timeline = Timeline()
    async with AsyncExitStack() as stack:
        stack.enter_context(patched({**IMPATIENT, "tallystick.core.ids:_wall_ns": timeline.nanoseconds}))
        stack.enter_context(tracking_tasks())
        mail_server, receiver = MailServer(), Receiver()
        await mail_server.start()
        stack.push_async_callback(mail_server.stop)
        await receiver.start()
        stack.push_async_callback(receiver.stop)
        reserved = stack.enter_context(listener())
        api_url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        sandbox, sandbox_url = await stack.enter_async_context(_sandbox(setting, timeline))
        settings = _settings(setting, database_url, sandbox_url, api_url, mail_server.port)
        pool = await asyncpg.create_pool(
            database_url, min_size=0, max_size=3, server_settings={"application_name": "simulator"}
        )
        stack.callback(pool.terminate)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)))
        workers = [WorkerProcess(settings, timeline.clock) for _ in range(setting.workers)]
        api = Api(settings, timeline.clock, port_of(settings))
        world = World(setting, timeline, sandbox, settings, pool, http, mail_server, receiver, api, workers)
        stack.enter_context(listening(world.reached))
        stack.enter_context(patched({_SETTLE: _noting(world)}))
        stack.push_async_callback(_end, world)
        with sandbox.engine.unit() as ctx:
            wanted = {"url": f"{api_url}/api/webhooks/stripe", "secret": WEBHOOK_SECRET, "description": "simulation"}
            webhook_endpoints.upsert(ctx, {**wanted, "api_version": setting.webhook_version})
        for process in world.processes():
            await process.start()
        await register_endpoint(world)
        yield world


def _noting(world: World) -> Callable[..., Awaitable[None]]:
    settle = AttemptService._settle_open  # noqa: SLF001  # the very code that stands here otherwise

    async def noted(*values: Any) -> None:
        await world.settling_attempts(settle, *values)

    return noted


async def _end(world: World) -> None:
    for process in world.processes():
        process.kill()
    for process in world.processes():
        await process.reap()


@asynccontextmanager
async def _sandbox(setting: Setting, timeline: Timeline) -> AsyncIterator[tuple[Sandbox, str]]:
    with listener() as reserved:
        port = reserved.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        sandbox = create_sandbox(SandboxConfig(public_url=url, api_version=setting.api_version, wall=timeline.now))
        server = Server(
            uvicorn.Config(
                sandbox, log_level="critical", access_log=False, lifespan="on", date_header=False, server_header=False,
                timeout_keep_alive=75, ws="none",
            )
        )  # fmt: skip
        serving = asyncio.create_task(server.serve(sockets=[listener(port)]))
        await started(server, serving)
        try:
            yield sandbox, url
        finally:
            server.should_exit = True
            server.drop()
            await asyncio.wait([serving], timeout=10)


def _settings(setting: Setting, database_url: str, sandbox_url: str, api_url: str, smtp_port: int) -> Settings:
    return load_settings(
        {
            "ENVIRONMENT": "test",
            "INSTALLATION_ID": INSTALLATION,
            "DATABASE_URL": database_url,
            "DATABASE_POOL_SIZE": "10",
            "STRIPE_SECRET_KEY": "sk_test_simulation",
            "STRIPE_PUBLISHABLE_KEY": "pk_test_simulation",
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": sandbox_url,
            "STRIPE_API_VERSION": setting.api_version,
            "STRIPE_TIMEOUT_S": "1",
            "STRIPE_BACKGROUND_RATE": "1000",
            "STRIPE_RATE_LIMIT": "10000",
            "PUBLIC_URL": api_url,
            "JWT_SECRET": JWT_SECRET,
            "SMTP_URL": f"smtp://127.0.0.1:{smtp_port}?starttls=never",
            "MAIL_FROM": "Acme <billing@acme.test>",
            "ADMIN_EMAIL": "ops@acme.test",
            "LOG_LEVEL": "error",
            "WEBHOOK_RETRY_DELAY": "50",
            "ALERTS_BUILT_IN": "false",
            "EVENT_CATCH_UP_S": "60",
            "RECONCILE_EVERY_S": "0",
            "RECONCILE_FULL_HOUR": "-1",
            # No quarter that passes at once takes from the operator what he could have delivered again.
            "KEEP_DELIVERIES_DAYS": "120",
            **setting.settings,
        }
    )
