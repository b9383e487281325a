"""Where outbound webhooks go: counts how often each id came."""

from collections import Counter

from aiohttp import web

__all__ = ["Receiver"]


class Receiver:
    """An endpoint of a host application, on a port of its own."""

    def __init__(self) -> None:
        self.got: Counter[str] = Counter()
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        self.got[request.headers["webhook-id"]] += 1
        return web.Response()
