"""The wiring of checkout and the billing pages."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter

from tallystick.pages.billing.controller import BillingController
from tallystick.pages.billing.controller_api import PortalSessionController
from tallystick.pages.billing.controller_forms import BillingFormController
from tallystick.pages.billing.controller_plans import PlanController
from tallystick.pages.billing.rendering import BillingPages
from tallystick.pages.billing.repository import PortalRepository
from tallystick.pages.billing.service import PortalService
from tallystick.pages.billing.service_account import AccountReader
from tallystick.pages.billing.service_actions import BillingActions
from tallystick.pages.controller import PageController
from tallystick.pages.controller_api import CheckoutController
from tallystick.pages.models import CheckoutKind
from tallystick.pages.rendering import brand_of
from tallystick.pages.repository import CheckoutRepository
from tallystick.pages.service import CheckoutService
from tallystick.pages.service_payment import PaymentCheckout
from tallystick.pages.service_subscription import SubscriptionCheckout
from tallystick.platform.auth import Actor

if TYPE_CHECKING:
    from tallystick.app.parts import Parts

__all__ = ["Pages"]


class Pages:
    """Checkout and the billing pages."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts
        self._wire_billing_pages()
        self._wire_checkout()

    def _wire_checkout(self) -> None:
        parts, sessions = self._parts, CheckoutRepository()
        kinds: dict[str, CheckoutKind] = {
            "payment": PaymentCheckout(parts.settings, parts.payments, parts.refresher, parts.products),
            "subscription": SubscriptionCheckout(
                parts.settings,
                parts.database,
                sessions,
                parts.billing.subscriptions,
                parts.billing.subscription_refresher,
                parts.payments,
                parts.refresher,
                parts.setup_commands,
                parts.products,
            ),
        }
        self.checkout = CheckoutService(parts.database, parts.clock, parts.settings, sessions, parts.customers, kinds)

    def _wire_billing_pages(self) -> None:
        parts = self._parts
        self.portal = PortalService(parts.database, parts.clock, parts.settings, PortalRepository(), parts.customers)
        self.account = AccountReader(
            parts.database,
            parts.clock,
            parts.billing.subscriptions,
            parts.billing.invoices,
            parts.customer_commands,
            parts.payments,
            parts.products,
            parts.registry.fetch,
        )
        self.billing_actions = BillingActions(
            parts.billing.subscriptions,
            parts.billing.invoices,
            parts.customer_commands,
            parts.setup_commands,
            self.account,
        )

    def routers(self, authenticate: Callable[..., Awaitable[Actor]]) -> list[APIRouter]:
        """The routes of all pages, and of the API that makes links to them."""
        parts, brand = self._parts, brand_of(self._parts.settings)
        pages = BillingPages(self.portal, parts.settings, brand)
        shown = BillingController(
            pages,
            self.portal,
            self.account,
            self.billing_actions,
            parts.settings,
            parts.clock,
        )
        plans = PlanController(pages, self.account, parts.billing.subscriptions, parts.settings, parts.clock)
        return [
            CheckoutController(self.checkout, authenticate).router,
            PageController(self.checkout, parts.settings, brand, parts.clock).router,
            PortalSessionController(self.portal, authenticate).router,
            shown.router,
            plans.router,
            BillingFormController(pages, shown, plans, self.billing_actions, parts.clock).router,
        ]
