"""`BillingActions`: what the buttons do, as the signed-in user, by the services that the API uses.

Each form bears a key that was made when it was drawn. A double click, a reload and the back button send the same key,
and get the first answer; two tabs meet at the state of what they change: what is done already counts as done.
Every method answers with the address that the browser goes to.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from tallystick.attempts.errors import OperationInProgress
from tallystick.attempts.models import Settled
from tallystick.core.errors import DomainError, NotFound
from tallystick.core.ids import is_stripe_id
from tallystick.customers.service_commands import ME, CustomerCommands
from tallystick.customers.service_setup import SetupCommands
from tallystick.invoices.errors import NEEDS_CUSTOMER, InvoiceNotPayable
from tallystick.invoices.service import InvoiceService
from tallystick.pages.billing.errors import CardInUse, FormStale, Refused
from tallystick.pages.billing.models import Visitor
from tallystick.pages.billing.service_account import AccountReader
from tallystick.platform.auth import Actor
from tallystick.platform.idempotency import IdempotentRequest, KeyInProgress
from tallystick.subscriptions.errors import (
    AlreadyCanceled,
    AlreadyPaused,
    NothingScheduled,
    NotPaused,
    SubscriptionExists,
)
from tallystick.subscriptions.models import LIVE, SubscriptionRow
from tallystick.subscriptions.models_requests import (
    CancelRequest,
    ChangeRequest,
    CreateRequest,
    ListRequest,
    PauseRequest,
    ResumeRequest,
)
from tallystick.subscriptions.service import StripeSubscriptionService

__all__ = ["BillingActions", "home", "pay_page"]

_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")
_PATIENCE_S = 8.0
# Begun or resumed, and not paid.
_WAITING = frozenset({"incomplete", "paused"})


def home(done: str) -> str:
    """The first page, telling what was done."""
    return f"/billing?done={done}"


class BillingActions:
    """Changes, one method a form. All raise `DomainError`s, `Refused` among them: nothing was done."""

    def __init__(
        self,
        subscriptions: StripeSubscriptionService,
        invoices: InvoiceService,
        customers: CustomerCommands,
        setups: SetupCommands,
        account: AccountReader,
    ) -> None:
        self._subscriptions = subscriptions
        self._invoices = invoices
        self._customers = customers
        self._setups = setups
        self._account = account

    # Subscriptions

    async def subscribe(self, who: Visitor, nonce: str, wanted: CreateRequest) -> str:
        """A new subscription: nothing is charged but what was `shown`; raises `PreviewStale`."""
        body = {
            "price": wanted.price,
            "quantity": wanted.quantity,
            "payment_method": wanted.payment_method,
            "promotion_code": wanted.promotion_code,
            "shown": wanted.shown,
        }
        request = _request(who, nonce, "subscribe", body)
        try:
            settled = await _patiently(lambda: self._subscriptions.create(who.actor, request, wanted))
        except SubscriptionExists:
            return home("exists")
        return await self._after_payment(who.actor, settled, None, "subscribed")

    async def change(self, who: Visitor, nonce: str, subscription: str, token: str, *, done: str = "changed") -> str:
        """Just what the preview with this token showed; raises `PreviewStale`."""
        request = _request(who, nonce, f"change:{subscription}", {"preview_token": token})
        wanted = ChangeRequest(preview_token=token)
        settled = await _patiently(lambda: self._subscriptions.change(who.actor, subscription, request, wanted))
        return await self._after_payment(who.actor, settled, subscription, done)

    async def change_later(self, who: Visitor, nonce: str, subscription: str, wanted: ChangeRequest) -> str:
        """This plan and quantity from the end of the running period on."""
        body = {"price": wanted.price, "quantity": wanted.quantity}
        request = _request(who, nonce, f"change_later:{subscription}", body)
        settled = await _patiently(lambda: self._subscriptions.change(who.actor, subscription, request, wanted))
        return _done(settled, "scheduled")

    async def unschedule(self, who: Visitor, nonce: str, subscription: str) -> str:
        """Take back a change that is to come; raises `NothingScheduled` where it has come by now."""
        request = _request(who, nonce, f"unschedule:{subscription}", {})
        settled = await _patiently(lambda: self._subscriptions.take_back(who.actor, subscription, request))
        return _done(settled, "unscheduled")

    async def cancel(self, who: Visitor, nonce: str, subscription: str, reason: str | None, comment: str | None) -> str:
        """Cancel at the end of the period, and drop a change that waits for it; what has not begun ends at once."""
        row, _, _ = await self._subscriptions.get(who.actor, subscription)
        now = row.status == "incomplete"
        if row.schedule_id is not None and not now:
            with suppress(NothingScheduled):
                await self.unschedule(who, nonce, subscription)
        body = {"reason": reason, "comment": comment, "now": now}
        request = _request(who, nonce, f"cancel:{subscription}", body)
        wanted = CancelRequest(when="now" if now else "period_end", reason=reason, comment=comment)
        try:
            settled = await _patiently(lambda: self._subscriptions.cancel(who.actor, subscription, request, wanted))
        except AlreadyCanceled:
            return home("canceled")
        return _done(settled, "canceled")

    async def undo(self, who: Visitor, nonce: str, subscription: str) -> str:
        """Take back a cancellation that is to come."""
        row, _, _ = await self._subscriptions.get(who.actor, subscription)
        if row.status in LIVE and not row.cancel_at_period_end and row.cancel_at is None:
            return home("kept")
        request = _request(who, nonce, f"undo:{subscription}", {})
        wanted = ChangeRequest(cancel_at_period_end=False)
        settled = await _patiently(lambda: self._subscriptions.change(who.actor, subscription, request, wanted))
        return _done(settled, "kept")

    async def pause(self, who: Visitor, nonce: str, subscription: str, resumes_at: datetime | None) -> str:
        """Stop collecting, until a moment or until it is resumed."""
        body = {"resumes_at": resumes_at.isoformat() if resumes_at else None}
        request = _request(who, nonce, f"pause:{subscription}", body)
        wanted = PauseRequest(resumes_at=resumes_at)
        try:
            settled = await _patiently(lambda: self._subscriptions.pause(who.actor, subscription, request, wanted))
        except AlreadyPaused:
            return home("paused")
        return _done(settled, "paused")

    async def resume(self, who: Visitor, nonce: str, subscription: str) -> str:
        """Collect again; out of Stripe's own `paused` a new period is paid for."""
        request = _request(who, nonce, f"resume:{subscription}", {})
        wanted = ResumeRequest()
        try:
            settled = await _patiently(lambda: self._subscriptions.resume(who.actor, subscription, request, wanted))
        except NotPaused:
            return home("resumed")
        return await self._after_payment(who.actor, settled, subscription, "resumed")

    # Payment methods

    async def setup(self, who: Visitor, nonce: str) -> str:
        """The client secret of a setup intent, which keeps the card that the browser takes."""
        customer = await self._customers.own(who.actor, ME)
        request = _request(who, nonce, "setup", {})
        settled = await _patiently(lambda: self._setups.create(who.actor, customer.stripe_customer_id, request))
        if settled.status >= 400:
            raise Refused(dict(settled.body))
        secret: str = (await self._setups.reveal(settled))["client_secret"]
        return secret

    async def added(self, who: Visitor, nonce: str, method: str, *, default: bool) -> str:
        """The browser has kept a card at Stripe: bring it into our record, and make it the default if asked."""
        if not is_stripe_id(method, "pm_"):
            raise _no_method()
        await self._account.refresh(method)
        methods, _ = await self._account.methods(who.actor)
        if method not in {row.stripe_payment_method_id for row in methods}:
            raise _no_method()
        if default or len(methods) == 1:
            return await self.make_default(who, nonce, method, done="card_added")
        return home("card_added")

    async def make_default(self, who: Visitor, nonce: str, method: str, *, done: str = "card_default") -> str:
        """Charge this method from now on: of the customer, and of each subscription that has one of its own."""
        request = _request(who, nonce, f"default:{method}", {})
        settled = await _patiently(lambda: self._customers.set_default(who.actor, ME, method, request))
        _done(settled, done)
        methods, _ = await self._account.methods(who.actor)
        chosen = next((row.stripe_payment_method_id for row in methods if method in _names(row)), None)
        for row in await self._running(who.actor):
            if row.default_payment_method and chosen and row.default_payment_method != chosen:
                await self._use_for(who, nonce, row, chosen)
        return _done(settled, done)

    async def remove(self, who: Visitor, nonce: str, method: str) -> str:
        """Detach a method for good, unless a running subscription is paid with it."""
        methods, default = await self._account.methods(who.actor)
        found = next((row for row in methods if method in _names(row)), None)
        if found is None:
            return home("card_removed")
        for row in await self._running(who.actor):
            if found.stripe_payment_method_id == (row.default_payment_method or default):
                raise CardInUse
        request = _request(who, nonce, f"remove:{method}", {})
        settled = await _patiently(lambda: self._customers.detach(who.actor, ME, method, request))
        return _done(settled, "card_removed")

    # Invoices

    async def pay(self, who: Visitor, nonce: str, invoice: str, method: str | None, *, default: bool) -> str:
        """Pay an open invoice with this method, and later ones too if asked; raises `Refused` for a decline."""
        request = _request(who, nonce, f"pay:{invoice}", {"payment_method": method})
        try:
            settled = await _patiently(lambda: self._invoices.pay(who.actor, invoice, request, method))
        except InvoiceNotPayable as error:
            if error.extra.get("invoice_status") == "paid":
                return home("paid")
            raise
        if settled.body.get("code") == NEEDS_CUSTOMER:
            return pay_page(invoice, confirm="1")
        target = _done(settled, "paid")
        await self._account.settled(who.actor, invoice)
        if default and method:
            # It is paid, whatever becomes of this.
            with suppress(DomainError):
                await self.make_default(who, nonce, method)
        return target

    # Steps

    async def _after_payment(self, actor: Actor, settled: Settled, subscription: str | None, done: str) -> str:
        """Where the customer goes on, where the first payment of what was just asked for is still to be made."""
        body = settled.body
        if settled.status >= 400:
            row = await self._waiting(actor, subscription)
            if settled.status != 402 or row is None or row.latest_invoice_id is None:
                raise Refused(dict(body))
            return pay_page(row.latest_invoice_id, declined=str(body.get("code", "")))
        if settled.status == 202:
            return home("unknown")
        waits = body.get("status") in _WAITING or body.get("pending_update") is not None
        if waits and body.get("latest_invoice_id"):
            revealed = await self._subscriptions.reveal(settled)
            confirm = {"confirm": "1"} if revealed.get("next_action") else {}
            return pay_page(str(body["latest_invoice_id"]), **confirm)
        return home(done)

    async def _waiting(self, actor: Actor, subscription: str | None) -> SubscriptionRow | None:
        """The subscription whose payment was refused, where it waits for another try."""
        if subscription is None:
            row = await self._account.current(actor)
        else:
            row, _, _ = await self._subscriptions.get(actor, subscription)
        return row if row and (row.status in _WAITING or row.pending_update is not None) else None

    async def _running(self, actor: Actor) -> list[SubscriptionRow]:
        page = await self._subscriptions.listed(actor, ListRequest(limit=100))
        return [row for row in page.data if row.status in LIVE]

    async def _use_for(self, who: Visitor, nonce: str, row: SubscriptionRow, method: str) -> None:
        request = _request(who, nonce, f"use:{row.id}", {"payment_method": method})
        wanted = ChangeRequest(payment_method=method)
        settled = await _patiently(lambda: self._subscriptions.change(who.actor, str(row.id), request, wanted))
        _done(settled, "")


def pay_page(invoice: str, **query: str) -> str:
    """The page on which an invoice is paid."""
    path = f"/billing/invoices/{invoice}/pay"
    return f"{path}?{urlencode(query)}" if query else path


def _names(row: Any) -> tuple[str, str]:
    return str(row.id), row.stripe_payment_method_id


def _no_method() -> NotFound:
    return NotFound("There is no such payment method.", field="payment_method")


def _done(settled: Settled, done: str) -> str:
    if settled.status >= 400:
        raise Refused(dict(settled.body))
    return home("unknown" if settled.status == 202 else done)


def _request(who: Visitor, nonce: str, route: str, body: Mapping[str, Any]) -> IdempotentRequest:
    """The request as its repeats are recognised: the same form with the same content."""
    if not _NONCE.match(nonce):
        raise FormStale
    content = hashlib.sha256(msgspec.json.encode([route, body], order="deterministic")).hexdigest()[:32]
    return IdempotentRequest(f"billing:{who.actor.user_id}", f"{nonce}:{content}", f"POST /billing {route}", body)


async def _patiently(work: Callable[[], Awaitable[Settled]]) -> Settled:
    """Two tabs at once are no conflict: one waits for the other, and then meets what that one left."""
    ends_at = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await work()
        except (OperationInProgress, KeyInProgress):
            if time.monotonic() >= ends_at:
                raise
        await asyncio.sleep(0.1)
