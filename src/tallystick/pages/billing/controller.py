"""`BillingController`: the way into the billing pages, those that show something, and what their script asks.

The pages about plans are in `controller_plans.py`.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tallystick.core.clock import Clock
from tallystick.pages.billing.models import Flow, Opened, Subscribed, Visitor
from tallystick.pages.billing.outcomes import outcome
from tallystick.pages.billing.rendering import BillingPages
from tallystick.pages.billing.service import PortalService
from tallystick.pages.billing.service_account import AccountReader
from tallystick.pages.billing.service_actions import BillingActions, pay_page
from tallystick.platform.settings import Settings
from tallystick.subscriptions.models import TERMINAL

__all__ = ["PAUSE_MONTHS", "REASONS", "BillingController"]

REASONS = (
    "too_expensive",
    "unused",
    "missing_features",
    "switched_service",
    "too_complex",
    "low_quality",
    "customer_service",
    "other",
)
"""Stripe's values of `cancellation_details.feedback`."""

PAUSE_MONTHS = (1, 2, 3)


class BillingController:
    """Routes under `/billing` that change nothing, but those about plans."""

    def __init__(
        self,
        pages: BillingPages,
        portal: PortalService,
        account: AccountReader,
        actions: BillingActions,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._portal = portal
        self._account = account
        self._actions = actions
        self._settings = settings
        self._clock = clock
        self.router = APIRouter(prefix="/billing", include_in_schema=False)
        self.router.add_api_route("/open/{token}", self.open, methods=["GET"])
        one = "/subscriptions/{subscription}"
        for path, draw in {
            "": self.home,
            f"{one}/cancel": self.cancel,
            f"{one}/pause": self.pause,
            "/methods/add": self.add_method,
            "/methods/added": self.method_added,
            "/methods/{method}/remove": self.remove_method,
            "/invoices": self.invoices,
            "/invoices/{invoice}": self.invoice,
            "/invoices/{invoice}/pay": self.pay,
        }.items():
            self.router.add_api_route(path, pages.route(draw), methods=["GET"])
        self.router.add_api_route("/methods/setup", pages.call(self.setup), methods=["POST"])
        self.router.add_api_route("/invoices/{invoice}/secret", pages.call(self.secret), methods=["POST"])
        self.router.add_api_route("/invoices/{invoice}/state", pages.call(self.state), methods=["GET"])
        self.router.add_api_route("/problem", pages.call(self.problem), methods=["GET"])

    # The way in

    async def open(self, request: Request, token: str) -> Response:
        """A link from the application: it signs this browser in, once."""
        if "prefetch" in request.headers.get("sec-purpose", ""):
            # A browser that only guesses where its user goes next must not use the link up.
            return Response(status_code=503)

        async def draw() -> Response:
            visitor = await self._pages.visitor(request)
            if visitor is not None and self._portal.came_by(token, visitor):
                return RedirectResponse("/billing", 303)
            opened = await self._portal.open(token)
            if not isinstance(opened, Opened):
                return self._pages.outside(request, opened, 404 if opened == "missing" else 410)
            target = f"/billing?flow={opened.flow}" if opened.flow else "/billing"
            return self._pages.sign_in(RedirectResponse(target, 303), opened.token)

        return await self._pages.guarded(request, draw)

    async def home(self, request: Request, who: Visitor) -> Response:
        """Everything at a glance."""
        if flow := request.query_params.get("flow"):
            return RedirectResponse(await self._flow(who, flow), 303)
        return await self.home_page(request, who)

    async def home_page(self, request: Request, who: Visitor, *, status: int = 200, **more: Any) -> Response:
        account = await self._account.account(who.actor)
        return self._pages.page(
            request,
            who,
            "home.html",
            status=status,
            account=account,
            done=outcome(request.query_params.get("done"), account),
            keeps_access=self._settings.paused_subscriptions_keep_access,
            several=self._settings.allow_multiple_subscriptions,
            now=self._clock.now(),
            **more,
        )

    async def _flow(self, who: Visitor, flow: Flow | str) -> str:
        if flow == "payment_method":
            return "/billing/methods/add"
        if flow == "pay":
            overdue = (await self._account.account(who.actor)).overdue
            return pay_page(str(overdue[0].id)) if overdue else "/billing"
        row = await self._account.current(who.actor)
        if flow not in ("cancel", "change") or row is None:
            return "/billing/plans" if flow == "change" else "/billing"
        return f"/billing/subscriptions/{row.id}/{flow}"

    # Subscriptions

    async def cancel(self, request: Request, who: Visitor) -> Response:
        """What canceling means, and why."""
        return await self._one(request, who, "cancel.html", reasons=REASONS)

    async def pause(self, request: Request, who: Visitor) -> Response:
        """What pausing means, and for how long."""
        keeps = self._settings.paused_subscriptions_keep_access
        return await self._one(request, who, "pause.html", months=PAUSE_MONTHS, keeps_access=keeps)

    async def _one(self, request: Request, who: Visitor, template: str, **values: Any) -> Response:
        found: Subscribed = await self._account.subscribed(who.actor, request.path_params["subscription"])
        if found.row.status in TERMINAL:
            return RedirectResponse("/billing", 303)
        return self._pages.page(request, who, template, found=found, **values)

    # Payment methods

    async def add_method(self, request: Request, who: Visitor) -> Response:
        """Stripe's card form."""
        return self._pages.page(request, who, "method.html", stripe=True)

    async def method_added(self, request: Request, who: Visitor) -> Response:
        """Where a method that leads elsewhere brings its customer back to; the secret leaves the address."""
        succeeded = request.query_params.get("redirect_status") == "succeeded"
        return RedirectResponse("/billing?done=card_added" if succeeded else "/billing/methods/add", 303)

    async def remove_method(self, request: Request, who: Visitor) -> Response:
        """Whether that is meant."""
        methods, _ = await self._account.methods(who.actor)
        wanted = request.path_params["method"]
        method = next((row for row in methods if str(row.id) == wanted), None)
        if method is None:
            return RedirectResponse("/billing?done=card_removed", 303)
        return self._pages.page(request, who, "remove.html", method=method)

    async def setup(self, request: Request, who: Visitor) -> Mapping[str, Any]:
        """The secret by which the browser keeps a card."""
        return {"client_secret": await self._actions.setup(who, request.headers.get("x-form-key", ""))}

    # Invoices

    async def invoices(self, request: Request, who: Visitor) -> Response:
        """All invoices, a page at a time."""
        page = await self._account.invoices(who.actor, request.query_params.get("after"))
        return self._pages.page(request, who, "invoices.html", page=page)

    async def invoice(self, request: Request, who: Visitor) -> Response:
        """One invoice, to be read and printed."""
        details = await self._account.invoice(who.actor, request.path_params["invoice"])
        return self._pages.page(request, who, "invoice.html", details=details)

    async def pay(self, request: Request, who: Visitor) -> Response:
        """How an open invoice is paid."""
        if any(name.endswith("_client_secret") for name in request.query_params):
            return RedirectResponse(pay_page(request.path_params["invoice"], back="1"), 303)
        declined = request.query_params.get("declined", "")
        told = self._pages.problem(request, who, declined) if declined else None
        return await self.pay_page(request, who, problem=told)

    async def pay_page(self, request: Request, who: Visitor, *, status: int = 200, **more: Any) -> Response:
        invoice = request.path_params["invoice"]
        find = self._account.settled if "back" in request.query_params else self._account.invoice
        details = await find(who.actor, invoice)
        if details.row.status == "paid":
            return RedirectResponse("/billing?done=paid", 303)
        if not details.row.unpaid:
            return RedirectResponse(f"/billing/invoices/{invoice}", 303)
        methods, default = await self._account.methods(who.actor)
        row = await self._account.current(who.actor)
        if row is not None and row.default_payment_method:
            default = row.default_payment_method
        confirm = request.query_params.get("confirm") == "1" and request.method == "GET"
        values = {"details": details, "methods": methods, "default": default, "subscription": row, "confirm": confirm}
        return self._pages.page(request, who, "pay.html", status=status, stripe=True, **values, **more)

    async def secret(self, request: Request, who: Visitor) -> Mapping[str, Any]:
        """The secret by which the browser pays an invoice."""
        details = await self._account.invoice(who.actor, request.path_params["invoice"])
        return {"client_secret": await self._account.client_secret(who.actor, str(details.row.id))}

    async def state(self, request: Request, who: Visitor) -> Mapping[str, Any]:
        """Whether an invoice is paid by now; Stripe is asked."""
        details = await self._account.settled(who.actor, request.path_params["invoice"])
        return {"paid": details.row.status == "paid"}

    async def problem(self, request: Request, who: Visitor) -> Mapping[str, Any]:
        """The words for a failure that Stripe told the browser."""
        codes = [request.query_params.get(name) or None for name in ("code", "decline_code")]
        return self._pages.failure(request, who, codes[0], codes[1])
