"""The wiring of the console."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter

from tallystick.console.controller import ConsoleController
from tallystick.console.controller_actions import ActionController
from tallystick.console.controller_objects import ObjectController
from tallystick.console.listings import LISTINGS
from tallystick.console.rendering import ConsolePages
from tallystick.console.service import ConsoleService
from tallystick.console.service_actions import ConsoleActions
from tallystick.console.service_lists import ListReader
from tallystick.console.service_messages import MessageReader
from tallystick.console.service_objects import ObjectReader
from tallystick.console.service_overview import OverviewReader
from tallystick.notifications.outbox import OutboxService
from tallystick.platform.auth import TokenVerifier
from tallystick.timeline.service import TimelineService
from tallystick.webhooks.service_replay import EventReplayer

if TYPE_CHECKING:
    from tallystick.app.parts import Parts

__all__ = ["console_routers"]


def console_routers(parts: "Parts", verifier: TokenVerifier) -> Sequence[APIRouter]:
    """The routes of the console."""
    database, clock, billing = parts.database, parts.clock, parts.billing
    reconciler = parts.reconciling.reconciler
    service = ConsoleService(database, clock, verifier)
    pages = ConsolePages(service, clock, parts.settings)
    outbox = OutboxService(database)
    reader = ObjectReader(
        database,
        parts.customers,
        parts.payments,
        parts.customer_commands,
        billing.subscriptions,
        billing.invoices,
        billing.entitlements,
        TimelineService(database),
    )
    messages = MessageReader(database, parts.webhooks, outbox, parts.endpoints)
    overview = OverviewReader(
        database,
        clock,
        parts.metrics,
        parts.reconciling.reconcile,
        parts.customers,
        built_in=parts.settings.alerts_built_in,
    )
    lists = ListReader(database, LISTINGS)
    objects = ObjectController(pages, reader, messages)
    actions = ConsoleActions(
        database,
        parts.customers,
        parts.payments,
        billing.subscriptions,
        parts.webhooks,
        EventReplayer(database, clock),
        outbox,
        parts.endpoints,
        reconciler,
        parts.reconciling.reconcile,
        clock,
    )
    console = ConsoleController(pages, service, lists, overview, parts.audit, list(LISTINGS))
    return [
        console.router,
        ActionController(pages, reader, messages, objects, actions, parts.audit).router,
        objects.router,
        console.elsewhere,
    ]
