"""Every service of one process, made once and handed to who needs it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tallystick.app.billing import Billing
from tallystick.app.pages import Pages
from tallystick.attempts.service import AttemptService
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
from tallystick.notifications.outbound import OutboundService
from tallystick.notifications.outbound_endpoints import EndpointService
from tallystick.notifications.service import NotificationService
from tallystick.payments.handlers import HANDLERS
from tallystick.payments.repository import PaymentRepository
from tallystick.payments.service import StripePaymentService
from tallystick.payments.service_abandoned import AbandonedPayments
from tallystick.payments.service_facts import FACT_TYPES
from tallystick.payments.service_operations import payment_operations
from tallystick.payments.service_record import PaymentRecorder
from tallystick.payments.service_refresh import PaymentRefresher
from tallystick.platform.database import Database
from tallystick.platform.mail import SmtpTransport
from tallystick.platform.settings import Settings
from tallystick.products.handlers import HANDLERS as PRODUCT_HANDLERS
from tallystick.products.repository import ProductRepository
from tallystick.products.service import ProductService
from tallystick.products.service_create import KIND, ProductCreation, ProductOperation
from tallystick.products.service_record import ProductRecorder
from tallystick.stripe_gateway.service import StripeService
from tallystick.webhooks.registry import Registry
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["Parts", "build_parts"]


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
        self.customer_refresher = CustomerRefresher(
            database, clock, self.stripe, customers, customer_recorder, self.webhooks
        )
        self.customer_commands = CustomerCommands(
            database, self.stripe, customers, users, self.customers, self.attempts, self.customer_refresher
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
            self.registry.register_fetch(prefix, self.customer_refresher.fetch)
        setups = SetupRecorder(clock, self.customers)
        self.attempts.register({CREATE_SETUP: SetupOperation(clock, self.stripe, setups)})
        self.setup_commands = SetupCommands(self.stripe, self.customers, self.attempts)
        for event_type, translate_setup in SETUP_HANDLERS.items():
            self.registry.register(event_type, translate_setup, setups.record)
        setup_refresher = SetupRefresher(database, self.stripe, setups, self.webhooks)
        self.registry.register_fetch(SetupRefresher.PREFIX, setup_refresher.fetch)
        for event_type, translate in HANDLERS.items():
            self.registry.register(event_type, translate, recorder.record)
        for event_type, translate_product in PRODUCT_HANDLERS.items():
            self.registry.register(event_type, translate_product, product_recorder.record)
        discounts = DiscountRecorder(clock)
        for event_type, translate_discount in DISCOUNT_HANDLERS.items():
            self.registry.register(event_type, translate_discount, discounts.record)
        for prefix in ProductService.PREFIXES:
            self.registry.register_fetch(prefix, self.products.fetch)
        for prefix in PaymentRefresher.PREFIXES:
            self.registry.register_fetch(prefix, self.refresher.fetch)
        self.notifications.register_check("payment_failed", self._still_unpaid)
        self.billing = Billing(self)
        self.pages = Pages(self)

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
