"""`PlanController`: the billing pages about plans: which there are, what one costs, what a change costs and when."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, NotFound
from tallystick.pages.billing.errors import status_of
from tallystick.pages.billing.models import Price, Subscribed, Visitor
from tallystick.pages.billing.rendering import BillingPages
from tallystick.pages.billing.service_account import AccountReader
from tallystick.platform.settings import Settings
from tallystick.subscriptions.errors import (
    PriceNotUsable,
    PromotionCodeNotUsable,
    SubscriptionRejected,
)
from tallystick.subscriptions.models import TERMINAL
from tallystick.subscriptions.models_requests import ChangeRequest, CreateRequest
from tallystick.subscriptions.service import StripeSubscriptionService
from tallystick.subscriptions.service_terms import QUANTITY_MAX

__all__ = ["PlanController", "code_of", "quantity_of", "wanted_of"]

_CODE_MAX = 100
# What Stripe refuses to count with a code is refused for the code.
_REFUSED_FOR_CODE = (PromotionCodeNotUsable, PriceNotUsable, SubscriptionRejected)


class PlanController:
    """Routes under `/billing` that show plans; none of them changes anything."""

    def __init__(
        self,
        pages: BillingPages,
        account: AccountReader,
        subscriptions: StripeSubscriptionService,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._account = account
        self._subscriptions = subscriptions
        self._settings = settings
        self._clock = clock
        self.router = APIRouter(prefix="/billing", include_in_schema=False)
        one = "/subscriptions/{subscription}"
        for path, draw in {
            "/plans": self.plans,
            "/subscribe": self.subscribe,
            f"{one}/change": self.change,
            f"{one}/preview": self.preview,
            f"{one}/code": self.code,
        }.items():
            self.router.add_api_route(path, pages.route(draw), methods=["GET"])

    # A new subscription

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
        quantity, code = quantity_of(asked) or 1, code_of(asked)
        methods, default = await self._account.methods(who.actor)
        wanted = CreateRequest(price=price.id, quantity=quantity, promotion_code=code)
        try:
            quote = await self._subscriptions.quote(who.actor, wanted)
        except DomainError as error:
            if error.retry_after_s is not None:
                raise
            if code is not None and isinstance(error, _REFUSED_FOR_CODE):
                told = self._pages.problem(request, who, PromotionCodeNotUsable())
                plain = {name: value for name, value in asked.items() if name != "promotion_code"}
                more = {**more, "problem": told, "refused": code, "status": status_of(PromotionCodeNotUsable())}
                return await self.subscribe_page(request, who, plain, **more)
            told = self._pages.problem(request, who, error)
            return await self.plans_page(request, who, status=status_of(error), problem=told)
        shown = {
            "price": price,
            "quantity": quantity,
            "quote": quote,
            "code": code,
            "method": next(
                (row for row in methods if row.stripe_payment_method_id == default), next(iter(methods), None)
            ),
            "trial_ends": self._clock.now() + timedelta(days=quote.trial_days) if quote.trial_days else None,
            "without_card": self._settings.trial_end_without_card,
            "refused": None,
        }
        return self._pages.page(request, who, "subscribe.html", status=status, **{**shown, **more})

    # A change of one

    async def change(self, request: Request, who: Visitor) -> Response:
        """The plans, how many of one, and when it changes."""
        return await self.change_page(request, who, request.path_params["subscription"])

    async def change_page(
        self, request: Request, who: Visitor, subscription: str, *, status: int = 200, **more: Any
    ) -> Response:
        found = await self._account.subscribed(who.actor, subscription)
        if found.row.status in TERMINAL:
            return RedirectResponse("/billing/plans", 303)
        if found.scheduled is not None:
            # The first page says what waits, and has the button that takes it back.
            return RedirectResponse("/billing", 303)
        offers = await self._account.offers(found.row.currency)
        return self._pages.page(request, who, "plans.html", status=status, offers=offers, found=found, **more)

    async def preview(self, request: Request, who: Visitor) -> Response:
        """What a change costs and when, before its button."""
        return await self.preview_page(
            request, who, request.path_params["subscription"], wanted_of(request.query_params)
        )

    async def preview_page(
        self, request: Request, who: Visitor, subscription: str, wanted: ChangeRequest, **more: Any
    ) -> Response:
        found = await self._account.subscribed(who.actor, subscription)
        try:
            chosen = await self._account.price(wanted.price or (found.plan.id if found.plan else ""))
            wanted = replace(wanted, quantity=None) if chosen.metered else wanted
            preview = await self._subscriptions.preview(who.actor, subscription, wanted)
        except DomainError as error:
            if error.retry_after_s is not None or isinstance(error, NotFound):
                raise
            told = self._pages.problem(request, who, error)
            return await self.change_page(request, who, subscription, status=status_of(error), problem=told)
        # A change that waits has no token: what it costs is its price.
        if _is_same(found, chosen, wanted.quantity) or (wanted.when == "now" and preview["preview_token"] is None):
            told = self._pages.problem(request, who, "SAME_PLAN")
            return await self.change_page(request, who, subscription, status=422, problem=told)
        shown = {"found": found, "preview": preview, "chosen": chosen, "later": wanted.when == "period_end"}
        count = 1 if chosen.metered else wanted.quantity or found.row.quantity or 1
        return self._pages.page(request, who, "preview.html", **{**shown, "quantity": count, "status": 200, **more})

    async def code(self, request: Request, who: Visitor) -> Response:
        """A promotion code for what is subscribed to, and what it takes off."""
        return await self.code_page(request, who, request.path_params["subscription"], code_of(request.query_params))

    async def code_page(
        self, request: Request, who: Visitor, subscription: str, code: str | None, **more: Any
    ) -> Response:
        found = await self._account.subscribed(who.actor, subscription)
        if not found.takes_code:
            return RedirectResponse("/billing", 303)
        preview = None
        try:
            if code is not None:
                wanted = ChangeRequest(promotion_code=code)
                preview = await self._subscriptions.preview(who.actor, subscription, wanted)
        except _REFUSED_FOR_CODE:
            told = self._pages.problem(request, who, PromotionCodeNotUsable())
            more = {"status": status_of(PromotionCodeNotUsable()), "problem": told, **more}
        shown = {"found": found, "code": code, "preview": preview}
        return self._pages.page(request, who, "code.html", **{**shown, **more})


def _is_same(found: Subscribed, chosen: Price, quantity: int | None) -> bool:
    """Whether that is what is subscribed to already."""
    return found.plan is not None and chosen.id == found.plan.id and quantity in (None, found.row.quantity)


def wanted_of(asked: Mapping[str, Any]) -> ChangeRequest:
    """The change that a form asks for."""
    price, later = str(asked.get("price", "")) or None, asked.get("when") == "period_end"
    return ChangeRequest(price=price, quantity=quantity_of(asked), when="period_end" if later else "now")


def code_of(asked: Mapping[str, Any]) -> str | None:
    """The promotion code that a form asks for, as it was typed."""
    return str(asked.get("promotion_code", "")).strip()[:_CODE_MAX] or None


def quantity_of(asked: Mapping[str, Any]) -> int | None:
    """The quantity that a form asks for, brought into what is possible; None where it is no number."""
    text = str(asked.get("quantity", "")).strip()
    return min(max(int(text), 1), QUANTITY_MAX) if text.isascii() and text.isdigit() and len(text) < 12 else None
