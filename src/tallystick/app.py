"""The composition root: settings in, the wired application and the wired worker out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import FastAPI, Header
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tallystick.attempts.service import AttemptService
from tallystick.core.clock import Clock, SystemClock
from tallystick.customers.controller import CustomerController
from tallystick.customers.handlers import HANDLERS as CUSTOMER_HANDLERS
from tallystick.customers.repository import CustomerRepository, UserRepository
from tallystick.customers.service import StripeCustomerService
from tallystick.customers.service_commands import CustomerCommands
from tallystick.customers.service_operations import customer_operations
from tallystick.customers.service_record import EMAIL_WORK, CustomerRecorder
from tallystick.customers.service_refresh import CustomerRefresher
from tallystick.notifications.controller import WebhookEndpointController
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.outbound_endpoints import EndpointService
from tallystick.notifications.service import NotificationService
from tallystick.pages.controller import PageController
from tallystick.payments.controller import PaymentController
from tallystick.payments.handlers import HANDLERS
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.service import StripePaymentService
from tallystick.payments.service_abandoned import AbandonedPayments
from tallystick.payments.service_facts import FACT_TYPES
from tallystick.payments.service_operations import payment_operations
from tallystick.payments.service_record import PaymentRecorder
from tallystick.payments.service_refresh import PaymentRefresher
from tallystick.platform.auth import Actor, Identity, TokenVerifier
from tallystick.platform.database import Database
from tallystick.platform.http import Problem, RequestFrame, install_error_handlers, json_response
from tallystick.platform.logging import configure_logging
from tallystick.platform.mail import SmtpTransport
from tallystick.platform.migrate import schema_is_current
from tallystick.platform.settings import Settings
from tallystick.platform.work import WorkItem, WorkRunner
from tallystick.products.controller import ProductController
from tallystick.products.handlers import HANDLERS as PRODUCT_HANDLERS
from tallystick.products.repository import ProductRepository
from tallystick.products.service import ProductService
from tallystick.products.service_create import KIND, ProductCreation, ProductOperation
from tallystick.products.service_record import ProductRecorder
from tallystick.reconciliation.service import EventPoller
from tallystick.stripe_gateway.service import StripeService
from tallystick.ui.kit import ASSETS_PATH, assets_app
from tallystick.webhooks.controller import WebhookController
from tallystick.webhooks.group_commit import GroupCommitter
from tallystick.webhooks.processor import EventProcessor
from tallystick.webhooks.registry import Registry
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["Parts", "Worker", "build_parts", "create_app", "create_worker"]

log = structlog.get_logger()

_WEBHOOK_PATH = "/api/webhooks/stripe"


class Parts:
    """Every service, made once and handed to who needs it. `close` in the loop that used them."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock
        self.stripe = StripeService(settings)
        smtp = SmtpTransport(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
        self.notifications = NotificationService(database, clock, settings, smtp)
        self.outbound = OutboundService(database, clock, settings)
        self.outbound.types.register(FACT_TYPES)
        self.endpoints = EndpointService(database, clock, settings, self.outbound.types)
        self.registry = Registry()
        self.webhooks = StripeWebhookService(database, clock, self.registry)
        users, customers = UserRepository(), CustomerRepository()
        customer_recorder = CustomerRecorder(clock, settings.installation_id, customers, users)
        self.customers = StripeCustomerService(
            database, clock, settings, self.stripe, users, customers, customer_recorder
        )
        self._payments = PaymentRepository()
        recorder = PaymentRecorder(
            clock, settings.installation_id, self._payments, self.customers, self.notifications, self.outbound
        )
        self.attempts = AttemptService(database, clock, self.stripe, settings.installation_id)
        self.attempts.register(customer_operations(clock, self.stripe, self.customers, customers, customer_recorder))
        customer_refresher = CustomerRefresher(
            database, clock, self.stripe, customers, customer_recorder, self.webhooks
        )
        self.customer_commands = CustomerCommands(
            database, self.stripe, customers, users, self.customers, self.attempts, customer_refresher
        )
        self.attempts.register(payment_operations(clock, self.stripe, self._payments, recorder, self.webhooks))
        self.refresher = PaymentRefresher(database, self.stripe, self._payments, recorder, self.webhooks)
        self.payments = StripePaymentService(
            database, clock, settings, self.stripe, self.customers, self._payments, self.attempts, self.refresher
        )
        self.abandoned = AbandonedPayments(
            database, clock, settings.abandoned_payment_days, self._payments, self.payments
        )
        products = ProductRepository()
        product_recorder = ProductRecorder(clock, products)
        self.attempts.register({KIND: ProductOperation(clock, self.stripe, products, product_recorder)})
        self.product_creation = ProductCreation(self.attempts, settings.installation_id)
        self.products = ProductService(database, self.stripe, products, product_recorder, self.webhooks)
        for event_type, translate_customer in CUSTOMER_HANDLERS.items():
            self.registry.register(event_type, translate_customer, customer_recorder.record)
        for prefix in CustomerRefresher.PREFIXES:
            self.registry.register_fetch(prefix, customer_refresher.fetch)
        for event_type, translate in HANDLERS.items():
            self.registry.register(event_type, translate, recorder.record)
        for event_type, translate_product in PRODUCT_HANDLERS.items():
            self.registry.register(event_type, translate_product, product_recorder.record)
        for prefix in ProductService.PREFIXES:
            self.registry.register_fetch(prefix, self.products.fetch)
        for prefix in PaymentRefresher.PREFIXES:
            self.registry.register_fetch(prefix, self.refresher.fetch)
        self.notifications.register_check("payment_failed", self._still_unpaid)

    async def _still_unpaid(self, context: Mapping[str, Any]) -> bool:
        """A mail that asks for another try is pointless once the payment is through, or canceled."""
        async with self.database.connection() as connection:
            payment = await self._payments.find(connection, UUID(context["payment_id"]), None)
        return payment is None or payment.status not in ("succeeded", "canceled")

    async def close(self) -> None:
        await self.stripe.close()
        await self.database.close()


def build_parts(settings: Settings, clock: Clock, name: str) -> Parts:
    """The parts of a process called `name`; open its database in the loop that uses it."""
    database = Database(
        settings.database_url.get_secret_value(),
        schema=settings.database_schema,
        size=settings.database_pool_size,
        name=f"tallystick {name}",
    )
    return Parts(settings, database, clock)


def create_app(settings: Settings, clock: Clock | None = None) -> ASGIApp:
    """The API as one ASGI application: the inbox's route in front, everything else behind it."""
    configure_logging(settings.log_level, settings.log_format, "api")
    return _Application(settings, clock or SystemClock())


class _Application:
    """Opens its parts when the server starts it, and sends webhooks past the framework."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._parts = build_parts(settings, clock, "api")
        self._committer = GroupCommitter(self._parts.database, clock)
        self._inbox = WebhookController(settings, self._committer, clock)
        self._verifier = TokenVerifier(settings)
        self._api = FastAPI(
            title="Tallystick",
            version="0.1.0",
            description="Payments on PostgreSQL and Stripe. Amounts are integers in the minor unit of their currency.",
            lifespan=self._lifespan,
            openapi_url="/api/openapi.json",
            docs_url=None,
            redoc_url=None,
        )
        self._api.openapi = self._openapi  # type: ignore[method-assign]  # FastAPI documents this way to extend it
        install_error_handlers(self._api)
        self._framed = RequestFrame(self._api, settings.request_body_max_bytes)
        self._api.add_api_route("/healthz", self._healthz, methods=["GET"], tags=["health"])
        self._api.add_api_route("/readyz", self._readyz, methods=["GET"], tags=["health"])
        payments = PaymentController(self._parts.payments, self._authenticate, settings.default_currency)
        self._api.include_router(payments.router)
        products = ProductController(self._parts.products, self._parts.product_creation, self._authenticate)
        self._api.include_router(products.router)
        self._api.include_router(WebhookEndpointController(self._parts.endpoints, self._identify).router)
        self._api.include_router(CustomerController(self._parts.customer_commands, self._authenticate).router)
        self._api.include_router(PageController().router)
        self._api.mount(ASSETS_PATH, assets_app())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == _WEBHOOK_PATH:
            await self._inbox(scope, receive, send)
        else:
            await self._framed(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, api: FastAPI) -> AsyncIterator[None]:
        await self._parts.database.open()
        log.info("api.ready")
        try:
            yield
        finally:
            await self._committer.stop()
            await self._parts.close()

    async def _identify(self, authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> Identity:
        return await self._verifier.verify(authorization)

    async def _authenticate(
        self,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
        tallystick_user: Annotated[
            str | None, Header(description="whom a `service` token acts for", max_length=255)
        ] = None,
        tallystick_user_email: Annotated[str | None, Header(max_length=320)] = None,
    ) -> Actor:
        identity = await self._verifier.verify(authorization)
        return await self._parts.customers.actor(identity, tallystick_user, tallystick_user_email)

    async def _healthz(self) -> Response:
        """The process runs."""
        return json_response({"status": "ok"})

    async def _readyz(self) -> Response:
        """The process can serve: the database answers and its schema is this version's."""
        problems = []
        try:
            await self._parts.database.ping()
            if not await schema_is_current(
                self._settings.database_url.get_secret_value(), self._settings.database_schema
            ):
                problems.append("schema")
        except Exception as error:  # whatever it is, the answer is the same: not ready
            log.warning("readyz.failed", error=type(error).__name__)
            problems.append("database")
        if problems:
            return json_response({"status": "unavailable", "failing": problems}, 503)
        return json_response({"status": "ready"})

    def _openapi(self) -> dict[str, Any]:
        if self._api.openapi_schema is None:
            schema = get_openapi(
                title=self._api.title,
                version=self._api.version,
                description=self._api.description,
                routes=self._api.routes,
            )
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
            schema["security"] = [{"token": []}]
            self._api.openapi_schema = schema
        return self._api.openapi_schema


class Worker:
    """Everything in the background: events, mails, due work, open attempts, timers. Run as many as you like."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what is in hand."""
        parts = build_parts(self._settings, self._clock, "worker")
        await parts.database.open()

        async def fetch(item: WorkItem) -> None:
            await parts.registry.fetch(item.payload["object"])

        kinds = {
            "stripe.fetch": fetch,
            "alert.*": parts.notifications.alert,
            EMAIL_WORK: parts.customers.send_email_address,
        }
        work = WorkRunner(parts.database, self._clock, kinds)
        loops = [
            EventProcessor(parts.database, self._clock, parts.registry, self._settings).run(stop),
            parts.notifications.run(stop),
            parts.outbound.run(stop),
            parts.attempts.run(stop),
            parts.abandoned.run(stop),
            work.run(stop),
        ]
        if self._settings.stripe_event_polling:
            loops.append(EventPoller(parts.database, self._clock, parts.stripe, parts.webhooks).run(stop))
        log.info("worker.ready")
        try:
            # One loop that ends by a bug must end the process, where a supervisor sees it, not go missing quietly.
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
        finally:
            await parts.close()


def create_worker(settings: Settings, clock: Clock | None = None) -> Worker:
    """The worker of this installation."""
    configure_logging(settings.log_level, settings.log_format, "worker")
    return Worker(settings, clock or SystemClock())
