"""`BillingController`: the billing pages that show something, and the questions that their script asks."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, NotFound
from tallystick.pages.billing.errors import status_of
from tallystick.pages.billing.models import Flow, Opened, Subscribed, Visitor
from tallystick.pages.billing.outcomes import outcome
from tallystick.pages.billing.rendering import BillingPages
from tallystick.pages.billing.service import PortalService
from tallystick.pages.billing.service_account import AccountReader
from tallystick.pages.billing.service_actions import BillingActions, pay_page
from tallystick.platform.settings import Settings
from tallystick.subscriptions.models import TERMINAL
from tallystick.subscriptions.models_requests import ChangeRequest, CreateRequest
from tallystick.subscriptions.service import StripeSubscriptionService
from tallystick.subscriptions.service_terms import QUANTITY_MAX

__all__ = ["PAUSE_MONTHS", "REASONS", "BillingController", "quantity_of"]

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
    """Routes under `/billing` that change nothing."""

    def __init__(
        self,
        pages: BillingPages,
        portal: PortalService,
        account: AccountReader,
        actions: BillingActions,
        subscriptions: StripeSubscriptionService,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._portal = portal
        self._account = account
        self._actions = actions
        self._subscriptions = subscriptions
        self._settings = settings
        self._clock = clock
        self.router = APIRouter(prefix="/billing", include_in_schema=False)
        self.router.add_api_route("/open/{token}", self.open, methods=["GET"])
        one = "/subscriptions/{subscription}"
        for path, draw in {
            "": self.home,
            "/plans": self.plans,
            "/subscribe": self.subscribe,
            f"{one}/change": self.change,
            f"{one}/preview": self.preview,
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

    async def plans(self, request: Request, who: Visitor) -> Response:
        """What can be subscribed to, for those who have nothing."""
        row = await self._account.current(who.actor)
        if row is not None and row.status != "incomplete" and not self._settings.allow_multiple_subscriptions:
            return RedirectResponse("/billing", 303)
        return await self.plans_page(request, who)

    async def plans_page(self, request: Request, who: Visitor, *, status: int = 200, **more: Any) -> Response:
        row = await self._account.current(who.actor)
        offers = await self._account.offers(row.currency if row else None)
        return self._pages.page(request, who, "plans.html", status=status, offers=offers, found=None, **more)

    async def subscribe(self, request: Request, who: Visitor) -> Response:
        """What a new subscription costs, before its button."""
        return await self.subscribe_page(request, who, request.query_params)

    async def subscribe_page(
        self, request: Request, who: Visitor, asked: Mapping[str, Any], *, status: int = 200, **more: Any
    ) -> Response:
        price = await self._account.price(str(asked.get("price", "")))
        quantity = quantity_of(asked) or 1
        methods, default = await self._account.methods(who.actor)
        try:
            quote = await self._subscriptions.quote(who.actor, CreateRequest(price=price.id, quantity=quantity))
        except DomainError as error:
            if error.retry_after_s is not None:
                raise
            told = self._pages.problem(request, who, error)
            return await self.plans_page(request, who, status=status_of(error), problem=told)
        return self._pages.page(
            request,
            who,
            "subscribe.html",
            status=status,
            price=price,
            quantity=quantity,
            quote=quote,
            method=next((row for row in methods if row.stripe_payment_method_id == default), next(iter(methods), None)),
            trial_ends=self._clock.now() + timedelta(days=quote.trial_days) if quote.trial_days else None,
            without_card=self._settings.trial_end_without_card,
            **more,
        )

    async def change(self, request: Request, who: Visitor) -> Response:
        """The plans, and how many of one."""
        return await self.change_page(request, who, request.path_params["subscription"])

    async def change_page(
        self, request: Request, who: Visitor, subscription: str, *, status: int = 200, **more: Any
    ) -> Response:
        found = await self._account.subscribed(who.actor, subscription)
        if found.row.status in TERMINAL:
            return RedirectResponse("/billing/plans", 303)
        offers = await self._account.offers(found.row.currency)
        return self._pages.page(request, who, "plans.html", status=status, offers=offers, found=found, **more)

    async def preview(self, request: Request, who: Visitor) -> Response:
        """What a change costs, before its button."""
        asked = request.query_params
        return await self.preview_page(
            request, who, request.path_params["subscription"], asked.get("price") or None, quantity_of(asked)
        )

    async def preview_page(
        self, request: Request, who: Visitor, subscription: str, price: str | None, quantity: int | None, **more: Any
    ) -> Response:
        found = await self._account.subscribed(who.actor, subscription)
        try:
            chosen = await self._account.price(price or (found.plan.id if found.plan else ""))
            quantity = None if chosen.metered else quantity
            wanted = ChangeRequest(price=price, quantity=quantity)
            preview = await self._subscriptions.preview(who.actor, subscription, wanted)
        except DomainError as error:
            if error.retry_after_s is not None or isinstance(error, NotFound):
                raise
            told = self._pages.problem(request, who, error)
            return await self.change_page(request, who, subscription, status=status_of(error), problem=told)
        if preview["preview_token"] is None:
            told = self._pages.problem(request, who, "SAME_PLAN")
            return await self.change_page(request, who, subscription, status=422, problem=told)
        amounts = {"found": found, "preview": preview, "chosen": chosen}
        count = quantity or found.row.quantity or 1
        return self._pages.page(request, who, "preview.html", **{**amounts, "quantity": count, "status": 200, **more})

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


def quantity_of(asked: Mapping[str, Any]) -> int | None:
    """The quantity that a form asks for, brought into what is possible; None where it is no number."""
    text = str(asked.get("quantity", "")).strip()
    return min(max(int(text), 1), QUANTITY_MAX) if text.isascii() and text.isdigit() and len(text) < 12 else None
