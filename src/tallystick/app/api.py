"""The API as one ASGI application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

import structlog
from fastapi import FastAPI, Header, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tallystick.app.console import console_routers
from tallystick.app.door import place_of
from tallystick.app.openapi import describe
from tallystick.app.parts import Parts, build_parts
from tallystick.audit.controller import AuditController
from tallystick.audit.requests import AuditedRequests
from tallystick.core.clock import Clock, clock_of
from tallystick.customers.controller import CustomerController
from tallystick.entitlements.controller import EntitlementController
from tallystick.invoices.controller import InvoiceController
from tallystick.metrics.controller import MetricsController
from tallystick.metrics.exposition import METRICS_PATH
from tallystick.metrics.service_minutes import MinuteKeeper
from tallystick.notifications.controller import WebhookEndpointController
from tallystick.notifications.hooks import Hooks
from tallystick.payments.controller import PaymentController
from tallystick.platform.auth import LOCALE, Actor, Identity, TokenExpired, TokenVerifier
from tallystick.platform.callers import Callers
from tallystick.platform.direct import DirectReads
from tallystick.platform.door import Door
from tallystick.platform.http import RequestFrame, install_error_handlers, json_response
from tallystick.platform.limits import Limits
from tallystick.platform.logging import configure_logging
from tallystick.platform.migrate import schema_state
from tallystick.platform.mounted import Mounted
from tallystick.platform.rate_limit import RateLimiter
from tallystick.platform.settings import Settings
from tallystick.platform.stopping import Leaving, is_stopping
from tallystick.platform.traced_requests import TracedRequests
from tallystick.platform.tracing import configure_tracing, flush_traces
from tallystick.products.controller import ProductController
from tallystick.reconciliation.controller import ReconciliationController
from tallystick.settling.controller import SETTLE_PATH, SettlingController
from tallystick.settling.service import SettlingService
from tallystick.subscriptions.controller import SubscriptionController
from tallystick.timeline.controller import TimelineController
from tallystick.timeline.service import TimelineService
from tallystick.ui.kit import ASSETS_PATH, assets_app
from tallystick.webhooks.controller import WebhookController
from tallystick.webhooks.group_commit import GroupCommitter
from tallystick.webhooks.service_secrets import SecretSightings

__all__ = ["Application", "create_app"]

log = structlog.get_logger()

_READY_S = 2.0
_WEBHOOK_PATH = "/api/webhooks/stripe"


def create_app(settings: Settings, clock: Clock | None = None, *, logs: bool = True) -> "Application":
    """The API and its pages as one ASGI application: the inbox's route in front, everything else behind it.

    It may be mounted into another application, at any prefix; `logs=False` leaves that one's logging as it is.
    """
    if logs:
        configure_logging(settings.log_level, settings.log_format, "api")
    return Application(settings, clock or clock_of(settings.clock_file))


class Application:
    """Opens its parts when the server starts it, and sends webhooks past the framework."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._parts = build_parts(settings, clock, "api")
        self._limits = Limits(settings, RateLimiter(self._parts.database))
        self._mounted = Leaving(Mounted(Door(self._route, settings, self._limits, place_of)))
        self._committer = GroupCommitter(self._parts.database, clock)
        secrets = [secret.get_secret_value() for secret in settings.stripe_webhook_secret]
        self._sightings = SecretSightings(self._parts.database, clock, secrets)
        inbox = WebhookController(settings, self._committer, clock, self._sightings)
        self._inbox = TracedRequests(inbox, _WEBHOOK_PATH)
        self._settling: SettlingController | None = None
        if settings.clock_file is not None:
            mails = settings.smtp_url is not None
            settling = SettlingService(self._parts.database, clock, mails=mails, hooks=Hooks().names)
            self._settling = SettlingController(settling)
        self._verifier = TokenVerifier(settings)
        self._callers = Callers(self._verifier, self._limits)
        self._api = FastAPI(
            title="Tallystick",
            version=version("tallystick"),
            description="Payments on PostgreSQL and Stripe. Amounts are integers in the minor unit of their currency.",
            lifespan=self._lifespan,
            openapi_url="/api/openapi.json",
            docs_url=None,
            redoc_url=None,
        )
        self._api.openapi = self.openapi  # type: ignore[method-assign]  # FastAPI documents this way to extend it
        install_error_handlers(self._api)
        direct = DirectReads(self._api, self._authenticate)
        audited = AuditedRequests(direct, self._parts.audit)
        self._framed = TracedRequests(
            RequestFrame(audited, settings.request_body_max_bytes, settings.request_body_timeout_s)
        )
        self._api.add_api_route("/healthz", self._healthz, methods=["GET"], tags=["health"])
        self._api.add_api_route("/readyz", self._readyz, methods=["GET"], tags=["health"])
        payments = PaymentController(self._parts.payments, self._authenticate, settings.default_currency)
        self._api.include_router(payments.router)
        direct.register(payments.direct)
        products = ProductController(self._parts.products, self._parts.product_creation, self._authenticate)
        self._api.include_router(products.router)
        billing = self._parts.billing
        self._api.include_router(InvoiceController(billing.invoices, self._authenticate).router)
        self._api.include_router(SubscriptionController(billing.subscriptions, self._authenticate).router)
        entitlements = EntitlementController(billing.entitlements, clock, self._authenticate)
        self._api.include_router(entitlements.router)
        direct.register(entitlements.direct)
        self._api.include_router(WebhookEndpointController(self._parts.endpoints, self._identify).router)
        customers = CustomerController(self._parts.customer_commands, self._parts.setup_commands, self._authenticate)
        self._api.include_router(customers.router)
        reconciliation = ReconciliationController(self._parts.reconciling.reconcile, self._identify)
        self._api.include_router(reconciliation.router)
        self._api.include_router(AuditController(self._parts.audit, self._identify).router)
        self._api.include_router(TimelineController(TimelineService(self._parts.database), self._identify).router)
        self._api.include_router(self._parts.privacy.router(self._identify))
        self._api.include_router(MetricsController(self._parts.metrics, self._authenticate).router)
        for router in console_routers(self._parts, self._verifier):
            self._api.include_router(router)
        for router in self._parts.pages.routers(self._authenticate):
            self._api.include_router(router)
        self._api.mount(ASSETS_PATH, assets_app())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._mounted(scope, receive, send)

    @property
    def parts(self) -> Parts:
        """Every service of this process."""
        return self._parts

    def running(self) -> AbstractAsyncContextManager[None]:
        """What is open while the application serves, for a host's own lifespan: servers tell mounted ones nothing.

        Raises WrongInstallation.
        """
        return self._lifespan(self._api)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == _WEBHOOK_PATH:
            await self._inbox(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == METRICS_PATH:
            await self._parts.exposition(scope, receive, send)
        elif self._settling and scope["type"] == "http" and scope["path"] == SETTLE_PATH:
            await self._settling(scope, receive, send)
        else:
            await self._framed(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, api: FastAPI) -> AsyncIterator[None]:
        configure_tracing(self._settings, "api")
        await self._parts.database.open()
        await self._parts.reconciling.installation.begin()
        stop = asyncio.Event()
        minutes = asyncio.create_task(MinuteKeeper(self._parts.database, self._parts.clock).run(stop))
        log.info("api.ready")
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(minutes, return_exceptions=True)
            await self._committer.stop()
            await self._sightings.stop()
            await self._limits.close()
            await self._parts.close()
            await asyncio.to_thread(flush_traces)

    async def _identify(
        self, request: Request, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
    ) -> Identity:
        try:
            request.state.identity = await self._callers.identify(request.scope, authorization)
        except TokenExpired as error:
            request.state.identity = error.identity
            raise
        return request.state.identity  # type: ignore[no-any-return]  # Starlette's state has no types

    async def _authenticate(
        self,
        request: Request,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
        tallystick_user: Annotated[
            str | None, Header(description="whom a `service` token acts for", max_length=255)
        ] = None,
        tallystick_user_email: Annotated[str | None, Header(max_length=320)] = None,
        tallystick_user_locale: Annotated[str | None, Header(pattern=f"^{LOCALE}$", max_length=35)] = None,
    ) -> Actor:
        identity = await self._identify(request, authorization)
        actor = await self._parts.customers.actor(
            identity, tallystick_user, tallystick_user_email, tallystick_user_locale
        )
        if "service" in actor.roles:
            request.state.acts_for = actor.user_id
        return actor

    async def _healthz(self) -> Response:
        """The process runs."""
        return json_response({"status": "ok"})

    async def _readyz(self) -> Response:
        """The process can serve: it was not told to stop, the database answers, and its schema serves this version."""
        problems = ["stopping"] if is_stopping() else []
        try:
            async with asyncio.timeout(_READY_S), self._parts.database.connection() as connection:
                if not (await schema_state(connection, self._settings.database_schema)).serves:
                    problems.append("schema")
        except Exception as error:  # whatever it is, the answer is the same: not ready
            log.warning("readyz.failed", error=type(error).__name__)
            problems.append("database")
        if problems:
            return json_response({"status": "unavailable", "failing": problems}, 503)
        return json_response({"status": "ready"})

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self._api.openapi_schema is None:
            self._api.openapi_schema = describe(self._api, _WEBHOOK_PATH)
        return self._api.openapi_schema
