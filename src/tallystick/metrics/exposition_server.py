"""`/metrics` of a process that serves nothing else: a worker's."""

import asyncio

import structlog
from aiohttp import web

from tallystick.metrics.exposition import METRICS_PATH, Exposition
from tallystick.platform.settings import Settings

__all__ = ["serve_metrics"]

log = structlog.get_logger()


async def serve_metrics(exposition: Exposition, settings: Settings, stop: asyncio.Event) -> None:
    """Serve at METRICS_HOST and METRICS_PORT until `stop`; where another worker of this machine does so, not at all."""

    async def answer(request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "").encode()
        if not exposition.may([(b"authorization", given)]):
            return web.Response(status=404)
        return web.Response(body=await exposition.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    application = web.Application()
    application.router.add_get(METRICS_PATH, answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.metrics_host, settings.metrics_port).start()
    except OSError as error:
        log.warning("metrics.not_served", port=settings.metrics_port, error=type(error).__name__)
    else:
        log.info("metrics.served", port=settings.metrics_port)
        await stop.wait()
    finally:
        await runner.cleanup()
