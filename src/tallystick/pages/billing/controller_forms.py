"""`BillingFormController`: what the forms of the billing pages send to. Each ends in another page, or in its own with
what is wrong."""

import calendar
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, NotFound
from tallystick.pages.billing.controller import PAUSE_MONTHS, REASONS, BillingController
from tallystick.pages.billing.controller_plans import PlanController, code_of, quantity_of, wanted_of
from tallystick.pages.billing.errors import status_of
from tallystick.pages.billing.models import Visitor
from tallystick.pages.billing.rendering import BillingPages
from tallystick.pages.billing.service_actions import BillingActions
from tallystick.subscriptions.errors import PreviewStale
from tallystick.subscriptions.models_requests import CreateRequest

__all__ = ["BillingFormController", "in_months"]

_COMMENT_MAX = 500
_DIGITS_MAX = 18


class BillingFormController:
    """Routes under `/billing` that change something; all are POST, and bear the session's form token."""

    def __init__(
        self,
        pages: BillingPages,
        shown: BillingController,
        plans: PlanController,
        actions: BillingActions,
        clock: Clock,
    ) -> None:
        self._pages = pages
        self._shown = shown
        self._plans = plans
        self._actions = actions
        self._clock = clock
        self.router = APIRouter(prefix="/billing", include_in_schema=False)
        one = "/subscriptions/{subscription}"
        for path, send in {
            "/logout": self.log_out,
            "/subscribe": self.subscribe,
            f"{one}/change": self.change,
            f"{one}/unschedule": self.unschedule,
            f"{one}/code": self.use_code,
            f"{one}/cancel": self.cancel,
            f"{one}/undo": self.undo,
            f"{one}/pause": self.pause,
            f"{one}/resume": self.resume,
            "/methods/added": self.method_added,
            "/methods/{method}/default": self.make_default,
            "/methods/{method}/remove": self.remove,
            "/invoices/{invoice}/pay": self.pay,
        }.items():
            self.router.add_api_route(path, pages.form(send), methods=["POST"])

    async def log_out(self, request: Request, who: Visitor, form: FormData) -> Response:
        return await self._pages.sign_out(request)

    async def subscribe(self, request: Request, who: Visitor, form: FormData) -> Response:
        async def again(error: DomainError) -> Response:
            told = self._pages.problem(request, who, error)
            return await self._plans.subscribe_page(request, who, dict(form), status=status_of(error), problem=told)

        wanted = CreateRequest(
            price=_text(form, "price"),
            quantity=quantity_of(dict(form)) or 1,
            payment_method=_text(form, "method") or None,
            promotion_code=code_of(dict(form)),
            shown=(_number(form, "due"), _number(form, "trial_days")),
        )
        return await self._sent(lambda: self._actions.subscribe(who, _key(form), wanted), again)

    async def change(self, request: Request, who: Visitor, form: FormData) -> Response:
        subscription, wanted = request.path_params["subscription"], wanted_of(dict(form))

        async def again(error: DomainError) -> Response:
            told = self._pages.problem(request, who, error)
            more: dict[str, Any] = {"status": status_of(error), "problem": told}
            if error.code != PreviewStale.code:
                return await self._plans.change_page(request, who, subscription, **more)
            return await self._plans.preview_page(request, who, subscription, wanted, **more)

        async def work() -> str:
            if wanted.when == "period_end":
                return await self._actions.change_later(who, _key(form), subscription, wanted)
            return await self._actions.change(who, _key(form), subscription, _text(form, "preview_token"))

        return await self._sent(work, again)

    async def unschedule(self, request: Request, who: Visitor, form: FormData) -> Response:
        subscription = request.path_params["subscription"]
        return await self._or_home(request, who, lambda: self._actions.unschedule(who, _key(form), subscription))

    async def use_code(self, request: Request, who: Visitor, form: FormData) -> Response:
        subscription, token = request.path_params["subscription"], _text(form, "preview_token")

        async def again(error: DomainError) -> Response:
            told = self._pages.problem(request, who, error)
            more = {"status": status_of(error), "problem": told}
            return await self._plans.code_page(request, who, subscription, code_of(dict(form)), **more)

        return await self._sent(
            lambda: self._actions.change(who, _key(form), subscription, token, done="code_used"), again
        )

    async def cancel(self, request: Request, who: Visitor, form: FormData) -> Response:
        reason, comment = _text(form, "reason"), _text(form, "comment")[:_COMMENT_MAX] or None
        given = reason if reason in REASONS else None
        subscription = request.path_params["subscription"]
        return await self._or_home(
            request, who, lambda: self._actions.cancel(who, _key(form), subscription, given, comment)
        )

    async def undo(self, request: Request, who: Visitor, form: FormData) -> Response:
        subscription = request.path_params["subscription"]
        return await self._or_home(request, who, lambda: self._actions.undo(who, _key(form), subscription))

    async def pause(self, request: Request, who: Visitor, form: FormData) -> Response:
        months = quantity_of({"quantity": _text(form, "months")})
        resumes_at = in_months(self._clock.now(), months) if months in PAUSE_MONTHS else None
        subscription = request.path_params["subscription"]
        return await self._or_home(request, who, lambda: self._actions.pause(who, _key(form), subscription, resumes_at))

    async def resume(self, request: Request, who: Visitor, form: FormData) -> Response:
        subscription = request.path_params["subscription"]
        return await self._or_home(request, who, lambda: self._actions.resume(who, _key(form), subscription))

    async def method_added(self, request: Request, who: Visitor, form: FormData) -> Response:
        method, default = _text(form, "payment_method"), _text(form, "default") == "yes"
        return await self._or_home(request, who, lambda: self._actions.added(who, _key(form), method, default=default))

    async def make_default(self, request: Request, who: Visitor, form: FormData) -> Response:
        method = request.path_params["method"]
        return await self._or_home(request, who, lambda: self._actions.make_default(who, _key(form), method))

    async def remove(self, request: Request, who: Visitor, form: FormData) -> Response:
        method = request.path_params["method"]
        return await self._or_home(request, who, lambda: self._actions.remove(who, _key(form), method))

    async def pay(self, request: Request, who: Visitor, form: FormData) -> Response:
        async def again(error: DomainError) -> Response:
            told = self._pages.problem(request, who, error)
            return await self._shown.pay_page(request, who, status=status_of(error), problem=told)

        invoice, method = request.path_params["invoice"], _text(form, "method") or None
        default = _text(form, "default") == "yes"
        return await self._sent(lambda: self._actions.pay(who, _key(form), invoice, method, default=default), again)

    async def _or_home(self, request: Request, who: Visitor, work: Callable[[], Awaitable[str]]) -> Response:
        async def again(error: DomainError) -> Response:
            told = self._pages.problem(request, who, error)
            return await self._shown.home_page(request, who, status=status_of(error), problem=told)

        return await self._sent(work, again)

    async def _sent(
        self, work: Callable[[], Awaitable[str]], again: Callable[[DomainError], Awaitable[Response]]
    ) -> Response:
        """Where the work leads, or its own page once more with what went wrong."""
        try:
            return RedirectResponse(await work(), 303)
        except NotFound:
            raise
        except DomainError as error:
            return await again(error)


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _number(form: FormData, name: str) -> int:
    """What a page of ours wrote there; -1, which is never due, where it is not what we write."""
    text = _text(form, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS_MAX else -1


def _key(form: FormData) -> str:
    return _text(form, "key")


def in_months(at: datetime, months: int) -> datetime:
    """The same day of the month, or its last one."""
    year, month = at.year + (at.month - 1 + months) // 12, (at.month - 1 + months) % 12 + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))
