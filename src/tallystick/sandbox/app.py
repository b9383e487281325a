"""The composition of the sandbox: one ASGI application around one engine."""

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from tallystick.sandbox.api import Api, Receive, Scope, Send
from tallystick.sandbox.control import Control
from tallystick.sandbox.delivery import Deliverer
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.pages.acting import Stage
from tallystick.sandbox.pages.challenge import ChallengePage
from tallystick.sandbox.pages.checkout import CheckoutPage
from tallystick.sandbox.pages.dashboard import Dashboard
from tallystick.sandbox.pages.invoice import InvoicePage
from tallystick.sandbox.pages.portal import PortalPage
from tallystick.sandbox.pages.stripe_js import StripeJs
from tallystick.sandbox.settings import SandboxConfig
from tallystick.ui.kit import ASSETS_PATH, assets_app

__all__ = ["Sandbox", "create_sandbox"]


class Sandbox:
    """The ASGI application. Its lifespan starts and stops webhook delivery."""

    def __init__(self, config: SandboxConfig) -> None:
        self.engine = Engine(config)
        self.deliverer = Deliverer(self.engine)
        self.api = Api(self.engine, self.deliverer)
        control = Control(self.engine, self.deliverer, self.api)
        challenge = ChallengePage(self.engine, self.deliverer)
        self._dashboard = Dashboard(self.engine, self.api, control)
        stage = Stage(self.engine, self.deliverer)
        customer_pages = [*challenge.routes(), *CheckoutPage(stage).routes(), *PortalPage(stage).routes()]
        routes: list[Route | Mount] = [
            Mount("/_sandbox", routes=[*control.routes(), *customer_pages]),
            Mount(ASSETS_PATH, app=assets_app()),
            *StripeJs(self.engine).routes(),
            *InvoicePage(stage).routes(),
            *self._dashboard.routes(),
        ]
        self._rest = Starlette(routes=routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            await self.api(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self._rest(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.deliverer.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._dashboard.stop()
                await self.deliverer.stop()
                self.engine.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def create_sandbox(config: SandboxConfig | None = None) -> Sandbox:
    """A sandbox as an ASGI application: `/v1/*` is Stripe, `/_sandbox/*` its controls and the customer's pages.

    `/dashboard` is the page of whoever develops against it.
    """
    return Sandbox(config or SandboxConfig())
