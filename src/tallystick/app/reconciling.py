"""The wiring of what keeps our half of the tally equal to Stripe's."""

from typing import TYPE_CHECKING

from tallystick.catch_up.service import EventCatchUp
from tallystick.catch_up.service_gaps import GapKeeper
from tallystick.importing.service import ImportService
from tallystick.importing.service_match import CustomerMatcher
from tallystick.importing.service_record import PageRecorder
from tallystick.importing.service_walk import RangeWalker
from tallystick.installation.service import InstallationService
from tallystick.invariants.service import InvariantKeeper
from tallystick.payments.repository import PaymentRepository
from tallystick.reconciliation.service import Reconciler
from tallystick.reconciliation.service_read import ReconcileService
from tallystick.reconciliation.service_timer import ReconcileTimer
from tallystick.stripe_gateway.dialect import Dialect
from tallystick.stripe_gateway.service_invoices import InvoiceCalls

if TYPE_CHECKING:
    from tallystick.app.parts import Parts

__all__ = ["Reconciling"]


class Reconciling:
    """The installation, catching up, and whatever compares and repairs."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        settings, database, clock = parts.settings, parts.database, parts.clock
        self.installation = InstallationService(database, clock, settings, parts.stripe)
        parts.notifications.tell_from(self.installation.mark)
        parts.outbound.tell_from(self.installation.mark)
        self.catch_up = EventCatchUp(
            database,
            clock,
            parts.stripe,
            parts.webhooks,
            self.installation,
            every_s=settings.catch_up_every_s,
            head_start=not settings.stripe_event_polling,
        )
        self.invariants = InvariantKeeper(database, clock, settings)
        self.imports = self._wire_import()
        self.reconciler = Reconciler(
            database, clock, settings, parts.stripe, parts.registry, parts.webhooks, self.installation
        )
        self.gaps = GapKeeper(database, clock, self.reconciler, every_s=settings.catch_up_every_s)
        self.reconcile = ReconcileService(database, clock, self.reconciler)
        self.reconcile_timer = ReconcileTimer(
            clock, self.reconciler, self.installation, settings.reconcile_every_s, settings.reconcile_full_hour
        )

    def _wire_import(self) -> ImportService:
        parts, settings, database, clock = self._parts, self._parts.settings, self._parts.database, self._parts.clock
        dialect = Dialect(settings.stripe_api_version)
        claims = [PaymentRepository().claim, parts.billing.recorder.claim]
        return ImportService(
            database,
            clock,
            settings.stripe_api_version,
            parts.stripe,
            self.installation,
            RangeWalker(
                database,
                clock,
                parts.stripe,
                dialect,
                InvoiceCalls(parts.stripe, dialect),
                PageRecorder(clock, parts.registry, parts.webhooks, self.installation.mark),
                parts.registry.fetch,
            ),
            CustomerMatcher(database, settings.installation_id, parts.customers, claims),
        )
