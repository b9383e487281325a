"""The wiring of subscriptions, invoices, dunning and access."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tallystick.entitlements.repository import EntitlementRepository
from tallystick.entitlements.service import EntitlementService
from tallystick.invoices.handlers import HANDLERS as INVOICE_HANDLERS
from tallystick.invoices.repository import InvoiceRepository
from tallystick.invoices.service import InvoiceService
from tallystick.invoices.service_operations import invoice_operations
from tallystick.invoices.service_record import InvoiceRecorder
from tallystick.invoices.service_refresh import InvoiceRefresher
from tallystick.platform.database import Database, Transaction
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.service_invoices import InvoiceCalls
from tallystick.stripe_gateway.service_schedules import ScheduleCalls
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.handlers import HANDLERS as SUBSCRIPTION_HANDLERS
from tallystick.subscriptions.handlers_schedules import SCHEDULE_HANDLERS
from tallystick.subscriptions.models import SubscriptionFacts
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.repository_dunning import DunningRepository
from tallystick.subscriptions.service import StripeSubscriptionService
from tallystick.subscriptions.service_access import AccessKeeper, AccessWork
from tallystick.subscriptions.service_access_told import ACCESS_FACT_TYPES, ACCESS_LOST_MAIL, AccessTeller
from tallystick.subscriptions.service_billing import BillingRecorder
from tallystick.subscriptions.service_cards import CARD_EXPIRING, CardKeeper
from tallystick.subscriptions.service_change import SubscriptionChanges
from tallystick.subscriptions.service_change_later import LaterChanges
from tallystick.subscriptions.service_create import SubscriptionCreation
from tallystick.subscriptions.service_dunning import DunningKeeper
from tallystick.subscriptions.service_dunning_local import LocalDunning
from tallystick.subscriptions.service_facts import SUBSCRIPTION_FACT_TYPES, SubscriptionTeller
from tallystick.subscriptions.service_first_invoice import FirstInvoices
from tallystick.subscriptions.service_invoice_facts import INVOICE_FACT_TYPES, InvoiceTeller
from tallystick.subscriptions.service_invoice_failures import InvoiceFailures
from tallystick.subscriptions.service_invoice_mails import FAILED, NEEDS_ACTION, InvoiceMails
from tallystick.subscriptions.service_mails import SubscriptionMailChecks, SubscriptionMails
from tallystick.subscriptions.service_operations_change import subscription_operations
from tallystick.subscriptions.service_operations_later import later_operations
from tallystick.subscriptions.service_plan import Planner
from tallystick.subscriptions.service_preview import SubscriptionPreviews
from tallystick.subscriptions.service_quote import SubscriptionQuotes
from tallystick.subscriptions.service_record import SubscriptionRecorder
from tallystick.subscriptions.service_refresh import SubscriptionRefresher
from tallystick.subscriptions.service_schedules import ScheduleKeeper, ScheduleRecorder
from tallystick.subscriptions.service_terms import Terms

if TYPE_CHECKING:
    from tallystick.app.parts import Parts

__all__ = ["Billing"]


class Billing:
    """Subscriptions, their invoices, and what they give access to."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        settings, database, clock = parts.settings, parts.database, parts.clock
        repository, invoices = SubscriptionRepository(), InvoiceRepository()
        calls = InvoiceCalls(parts.stripe, Dialect(settings.stripe_api_version))
        self.invoices = InvoiceService(database, calls, invoices, parts.customers, parts.attempts)
        self.entitlements = EntitlementService(
            database, clock, EntitlementRepository(), parts.customers, parts.products
        )
        mails = SubscriptionMails(clock, parts.customers, parts.products, parts.notifications, settings.billing_url)
        access = self._wire_access(repository, mails)
        self._wire_billing(repository, InvoiceRecorder(clock, invoices, parts.customers), access)
        recorder = SubscriptionRecorder(
            clock,
            settings,
            repository,
            parts.customers,
            parts.attempts,
            mails,
            SubscriptionTeller(parts.customers, parts.outbound),
            access,
        )
        # In a batch of events subscriptions have their turn before their invoices.
        self._wire_subscriptions(database, repository, recorder)
        self._wire_invoices(calls, invoices)

    def _wire_access(self, repository: SubscriptionRepository, mails: SubscriptionMails) -> AccessKeeper:
        """Access, and what is planned by it."""
        parts, settings = self._parts, self._parts.settings
        teller = AccessTeller(parts.customers, self.entitlements, mails, parts.outbound)
        self.dunning = DunningKeeper(parts.clock, settings, DunningRepository(), parts.customers)
        self.cards = CardKeeper(parts.database, parts.clock, repository, parts.customers, mails)
        followers = [self.dunning.plan, self.cards.plan]
        access = AccessKeeper(
            parts.clock, settings, self.invoices, parts.customers, self.entitlements, teller, followers
        )
        self.access = AccessWork(
            parts.database, parts.clock, repository, self.entitlements, self.invoices, access, parts.registry.fetch
        )
        parts.outbound.types.register(ACCESS_FACT_TYPES)
        parts.notifications.register_check(ACCESS_LOST_MAIL, self.access.still_lost)
        parts.notifications.register_check(CARD_EXPIRING, self.cards.still_expires)
        return access

    def _wire_billing(
        self, repository: SubscriptionRepository, recorder: InvoiceRecorder, access: AccessKeeper
    ) -> None:
        """What follows from invoices."""
        parts, settings, database, clock = self._parts, self._parts.settings, self._parts.database, self._parts.clock
        mails = InvoiceMails(
            database,
            clock,
            self.invoices,
            parts.customers,
            parts.products,
            parts.payments,
            parts.attempts,
            self.dunning,
            parts.notifications,
            settings.billing_url,
        )
        self.invoice_failures = InvoiceFailures(database, clock, self.invoices, parts.payments, parts.registry.fetch)
        teller = InvoiceTeller(self.invoices, parts.customers, parts.payments, parts.outbound)
        self.recorder = BillingRecorder(clock, recorder, repository, access, self.invoice_failures, mails, teller)
        parts.outbound.types.register(INVOICE_FACT_TYPES)
        for template in (FAILED, NEEDS_ACTION):
            parts.notifications.register_check(template, mails.still_unpaid)

    def _wire_invoices(self, calls: InvoiceCalls, invoices: InvoiceRepository) -> None:
        """The mirror of invoices, and paying one."""
        parts, record = self._parts, self.recorder.record
        parts.attempts.register(invoice_operations(parts.clock, parts.stripe, calls, invoices, record, parts.webhooks))
        for event_type, translate in INVOICE_HANDLERS.items():
            parts.registry.register(event_type, translate, record)
        refresher = InvoiceRefresher(
            parts.database, parts.stripe, calls, invoices, record, parts.registry.fetch, parts.webhooks
        )
        for prefix in InvoiceRefresher.PREFIXES:
            parts.registry.register_fetch(prefix, refresher.fetch)

    def _wire_subscriptions(
        self, database: Database, repository: SubscriptionRepository, recorder: SubscriptionRecorder
    ) -> None:
        """The mirror of subscriptions."""
        parts = self._parts

        async def record(tx: Transaction, facts: Sequence[SubscriptionFacts]) -> None:
            await recorder.record(tx, facts)

        parts.outbound.types.register(SUBSCRIPTION_FACT_TYPES)
        for template, holds in SubscriptionMailChecks(database, repository).checks.items():
            parts.notifications.register_check(template, holds)
        for event_type, translate in SUBSCRIPTION_HANDLERS.items():
            parts.registry.register(event_type, translate, record)
        calls = SubscriptionCalls(parts.stripe, Dialect(parts.settings.stripe_api_version))
        self.subscription_refresher = SubscriptionRefresher(
            database,
            parts.stripe,
            calls,
            repository,
            recorder,
            parts.customer_refresher,
            parts.webhooks,
        )
        parts.registry.register_fetch(SubscriptionRefresher.PREFIX, self.subscription_refresher.fetch)
        self._wire_subscription_commands(calls, repository, recorder)

    def _wire_subscription_commands(
        self, calls: SubscriptionCalls, repository: SubscriptionRepository, recorder: SubscriptionRecorder
    ) -> None:
        parts = self._parts
        settings, database, refresher = parts.settings, parts.database, self.subscription_refresher
        parts.attempts.register(
            subscription_operations(
                parts.clock, parts.stripe, calls, parts.customers, repository, recorder, parts.webhooks
            )
        )
        terms = Terms(parts.stripe, calls, parts.products)
        planner = Planner(settings, terms)
        previews = SubscriptionPreviews(settings, parts.clock, calls, planner)
        first_invoices = FirstInvoices(calls, refresher)
        creation = SubscriptionCreation(
            settings, database, calls, parts.customers, terms, repository, refresher, first_invoices, parts.attempts
        )
        self.subscription_changes = SubscriptionChanges(
            database, parts.clock, terms, previews, repository, refresher, parts.attempts
        )
        self.later_changes = LaterChanges(
            database,
            calls.dialect,
            planner,
            parts.products,
            repository,
            self.subscription_changes,
            self._wire_schedules(calls, repository, recorder),
            parts.attempts,
        )
        self.subscriptions = StripeSubscriptionService(
            database,
            parts.stripe,
            calls,
            repository,
            creation,
            self.subscription_changes,
            self.later_changes,
            previews,
            SubscriptionQuotes(database, parts.clock, calls, creation, first_invoices),
            first_invoices,
            self.invoices,
            self.entitlements,
            self.dunning,
        )
        self.local_dunning = LocalDunning(
            database,
            parts.clock,
            settings,
            parts.stripe,
            repository,
            DunningRepository(),
            self.dunning,
            self.invoices,
            parts.customers,
            self.subscription_changes.cancel_unpaid,
            parts.registry.fetch,
        )

    def _wire_schedules(
        self, calls: SubscriptionCalls, repository: SubscriptionRepository, recorder: SubscriptionRecorder
    ) -> ScheduleKeeper:
        """What holds a change until the end of a period."""
        parts = self._parts
        schedules = ScheduleRecorder(parts.clock, parts.settings.installation_id)
        shared = (parts.clock, parts.stripe, calls, parts.customers, repository, recorder, parts.webhooks)
        installation = parts.settings.installation_id
        parts.attempts.register(later_operations(ScheduleCalls(parts.stripe), schedules, installation, *shared))
        for event_type, translate in SCHEDULE_HANDLERS.items():
            parts.registry.register(event_type, translate, schedules.record)
        keeper = ScheduleKeeper(parts.database, parts.stripe, schedules, parts.webhooks)
        parts.registry.register_fetch(ScheduleKeeper.PREFIX, keeper.fetch)
        return keeper
