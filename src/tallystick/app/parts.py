"""Every service of one process, made once and handed to who needs it."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from tallystick.app.billing import Billing
from tallystick.app.pages import Pages
from tallystick.app.privacy import Privacy
from tallystick.app.reconciling import Reconciling
from tallystick.attempts.service import AttemptService
from tallystick.audit.service import AuditService
from tallystick.core.clock import Clock
from tallystick.customers.handlers import HANDLERS as CUSTOMER_HANDLERS
from tallystick.customers.handlers import SETUP_HANDLERS
from tallystick.customers.repository import CustomerRepository, UserRepository
from tallystick.customers.service import StripeCustomerService
from tallystick.customers.service_commands import CustomerCommands
from tallystick.customers.service_operations import customer_operations
from tallystick.customers.service_record import CustomerRecorder
from tallystick.customers.service_refresh import CustomerRefresher
from tallystick.customers.service_setup import (
    CREATE_SETUP,
    SetupCommands,
    SetupOperation,
    SetupRecorder,
    SetupRefresher,
)
from tallystick.discounts.handlers import HANDLERS as DISCOUNT_HANDLERS
from tallystick.discounts.service_record import DiscountRecorder
from tallystick.metrics.exposition import Exposition
from tallystick.metrics.service import MetricsService
from tallystick.metrics.service_alerts import AlertKeeper
from tallystick.metrics.service_watch import EndpointWatch
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.outbound_endpoints import EndpointService
from tallystick.notifications.service import NotificationService
from tallystick.payments.handlers import HANDLERS as PAYMENT_HANDLERS
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.service import StripePaymentService
from tallystick.payments.service_abandoned import AbandonedPayments
from tallystick.payments.service_facts import FACT_TYPES
from tallystick.payments.service_operations import payment_operations
from tallystick.payments.service_record import PaymentRecorder
from tallystick.payments.service_refresh import PaymentRefresher
from tallystick.platform.database import Database
from tallystick.platform.mail import SmtpTransport
from tallystick.platform.rate_budget import RateBudget
from tallystick.platform.settings import Settings
from tallystick.products.handlers import HANDLERS as PRODUCT_HANDLERS
from tallystick.products.repository import ProductRepository
from tallystick.products.service import ProductService
from tallystick.products.service_create import KIND, ProductCreation, ProductOperation
from tallystick.products.service_record import ProductRecorder
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_endpoints import EndpointCalls
from tallystick.webhooks.registry import Registry
from tallystick.webhooks.service import StripeWebhookService
from tallystick.webhooks.service_endpoints import ENDPOINT_PATH

__all__ = ["Parts", "build_parts", "database_of"]


class Parts:
    """Every service, made once and handed to who needs it. `close` in the loop that used them."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock
        budget = RateBudget(database, limit=settings.calls_a_second, background=settings.stripe_background_rate)
        self.stripe = StripeService(settings, budget)
        smtp = SmtpTransport(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
        self.notifications = NotificationService(database, clock, settings, smtp)
        self.audit = AuditService(database, clock)
        self.outbound = OutboundService(database, clock, settings)
        self.outbound.types.register(FACT_TYPES)
        self.endpoints = EndpointService(database, clock, settings, self.outbound.types)
        self.registry = Registry()
        self.webhooks = StripeWebhookService(database, clock, self.registry)
        self.attempts = AttemptService(database, clock, self.stripe, settings.installation_id)
        # In a batch of events the recorders have their turns in this order.
        self._wire_customers()
        self._wire_setups()
        self._wire_payments()
        self._wire_products()
        self._wire_discounts()
        self.billing = Billing(self)
        self.metrics = MetricsService(database, clock, settings)
        self.alerts = AlertKeeper(database, clock, settings)
        self.endpoint_watch = EndpointWatch(database, clock, self._endpoint_enabled)
        self.exposition = Exposition(database, clock, settings, self.alerts, self._equal_share)
        self.pages = Pages(self)
        self.reconciling = Reconciling(self)
        self.privacy = Privacy(self)

    def _wire_customers(self) -> None:
        settings, database, clock = self.settings, self.database, self.clock
        users, customers = UserRepository(), CustomerRepository()
        recorder = CustomerRecorder(clock, settings.installation_id, customers, users, self.webhooks)
        self.customers = StripeCustomerService(database, clock, settings, self.stripe, users, customers, recorder)
        self.attempts.register(customer_operations(clock, self.stripe, self.customers, customers, recorder))
        self.customer_refresher = CustomerRefresher(database, clock, self.stripe, customers, recorder, self.webhooks)
        self.customer_commands = CustomerCommands(
            database, self.stripe, customers, users, self.customers, self.attempts, self.customer_refresher
        )
        for event_type, translate in CUSTOMER_HANDLERS.items():
            self.registry.register(event_type, translate, recorder.record)
        for prefix in CustomerRefresher.PREFIXES:
            self.registry.register_fetch(prefix, self.customer_refresher.fetch)

    def _wire_setups(self) -> None:
        recorder = SetupRecorder(self.clock, self.customers)
        self.attempts.register({CREATE_SETUP: SetupOperation(self.clock, self.stripe, recorder)})
        self.setup_commands = SetupCommands(self.stripe, self.customers, self.attempts, self.settings.installation_id)
        for event_type, translate in SETUP_HANDLERS.items():
            self.registry.register(event_type, translate, recorder.record)
        refresher = SetupRefresher(self.database, self.stripe, recorder, self.webhooks)
        self.registry.register_fetch(SetupRefresher.PREFIX, refresher.fetch)

    def _wire_payments(self) -> None:
        settings, database, clock = self.settings, self.database, self.clock
        self._payments = PaymentRepository()
        recorder = PaymentRecorder(
            clock, settings.installation_id, self._payments, self.customers, self.notifications, self.outbound
        )
        self.attempts.register(payment_operations(clock, self.stripe, self._payments, recorder, self.webhooks))
        self.refresher = PaymentRefresher(database, self.stripe, self._payments, recorder, self.webhooks)
        self.payments = StripePaymentService(
            database, clock, settings, self.stripe, self.customers, self._payments, self.attempts, self.refresher
        )
        self.abandoned = AbandonedPayments(
            database, clock, settings.abandoned_payment_days, self._payments, self.payments
        )
        for event_type, translate in PAYMENT_HANDLERS.items():
            self.registry.register(event_type, translate, recorder.record)
        for prefix in PaymentRefresher.PREFIXES:
            self.registry.register_fetch(prefix, self.refresher.fetch)
        self.notifications.register_check("payment_failed", self._still_unpaid)

    def _wire_products(self) -> None:
        products = ProductRepository()
        recorder = ProductRecorder(self.clock, products)
        self.attempts.register({KIND: ProductOperation(self.clock, self.stripe, products, recorder)})
        self.product_creation = ProductCreation(self.attempts, self.settings.installation_id)
        self.products = ProductService(self.database, self.stripe, products, recorder, self.webhooks)
        for event_type, translate in PRODUCT_HANDLERS.items():
            self.registry.register(event_type, translate, recorder.record)
        for prefix in ProductService.PREFIXES:
            self.registry.register_fetch(prefix, self.products.fetch)

    def _wire_discounts(self) -> None:
        recorder = DiscountRecorder(self.clock)
        for event_type, translate in DISCOUNT_HANDLERS.items():
            self.registry.register(event_type, translate, recorder.record)

    async def _endpoint_enabled(self) -> bool | None:
        """Whether Stripe has an endpoint for us that is enabled; None where it has none, or cannot be asked."""
        if self.settings.public_url is None:
            return None
        ours = f"{self.settings.public_url.rstrip('/')}{ENDPOINT_PATH}"
        try:
            async with self.stripe.background():
                found = [one for one in await EndpointCalls(self.stripe).list_all() if one.url == ours]
        except GatewayError:
            return None
        return any(one.enabled for one in found) if found else None

    async def _equal_share(self) -> float | None:
        return (await self.reconciling.reconciler.share()).share

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
    return Parts(settings, database_of(settings, name, size=settings.database_pool_size), clock)


def database_of(settings: Settings, name: str, *, size: int = 16) -> Database:
    """The database of an installation, through its pooler where it has one, for a process called `name`; not open."""
    pooled = settings.database_pooling != "none"
    make = partial(
        Database,
        schema=settings.database_schema,
        name=f"tallystick {name}",
        direct_url=settings.direct_url if pooled else None,
        statement_cache=settings.statement_cache,
    )
    replica = make(settings.read_database_url.get_secret_value(), size=8) if settings.read_database_url else None
    return make(settings.database_url.get_secret_value(), size=size, replica=replica)
