"""`ConsoleActions`: what administrators do, by the services that the API uses."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from msgspec import Struct

from tallystick.attempts.models import Settled
from tallystick.console.models import Visitor
from tallystick.console.repository_objects import ObjectRepository
from tallystick.console.service_objects import Actors
from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, InvalidRequest, NotFound
from tallystick.core.ids import parse_uuid
from tallystick.core.money import parse_money
from tallystick.notifications.outbound_endpoints import EndpointService
from tallystick.notifications.outbox import OutboxService
from tallystick.payments.models_requests import CancelRequest, CaptureRequest, RefundRequest
from tallystick.payments.service import StripePaymentService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database
from tallystick.platform.idempotency import (
    Claimed,
    IdempotentRequest,
    KeyInProgress,
    StoredAnswer,
    claim,
    complete,
    release,
)
from tallystick.reconciliation.service import Reconciler
from tallystick.reconciliation.service_read import ReconcileService
from tallystick.subscriptions.models_requests import CancelRequest as EndRequest
from tallystick.subscriptions.models_requests import ChangeRequest, PauseRequest, ResumeRequest
from tallystick.subscriptions.service import StripeSubscriptionService
from tallystick.webhooks.service import StripeWebhookService
from tallystick.webhooks.service_replay import EventReplayer

__all__ = ["MANY", "ConsoleActions", "Done"]

MANY: Mapping[str, Sequence[str]] = {
    "events": ("replay", "discard"),
    "mails": ("resend",),
    "deliveries": ("replay",),
}
"""What may be done about many rows of a list at once."""

_REASON_MOST = 200

Fields: TypeAlias = Mapping[str, str]


class Done(Struct, frozen=True):
    """What was done, in words."""

    said: str


Does: TypeAlias = Callable[[Visitor, str, Fields, IdempotentRequest], Awaitable[Done | Settled]]


class ConsoleActions:
    """Carries out forms; `table` has each by its page and name."""

    def __init__(
        self,
        database: Database,
        actors: Actors,
        payments: StripePaymentService,
        subscriptions: StripeSubscriptionService,
        webhooks: StripeWebhookService,
        replayer: EventReplayer,
        outbox: OutboxService,
        endpoints: EndpointService,
        reconciler: Reconciler,
        reconcile: ReconcileService,
        clock: Clock,
    ) -> None:
        self._database = database
        self._clock = clock
        self._actors = actors
        self._payments = payments
        self._subscriptions = subscriptions
        self._webhooks = webhooks
        self._replayer = replayer
        self._outbox = outbox
        self._endpoints = endpoints
        self._reconciler = reconciler
        self._reconcile = reconcile
        self._objects = ObjectRepository()
        self.table: Mapping[str, Does] = {
            "payments.refund": self._refund,
            "payments.capture": self._capture,
            "payments.cancel": self._cancel_payment,
            "subscriptions.pause": self._pause,
            "subscriptions.resume": self._resume,
            "subscriptions.keep": self._keep,
            "subscriptions.cancel": self._cancel,
            "subscriptions.change": self._change,
            "events.replay": self._once(self._replay),
            "events.discard": self._once(self._discard),
            "mails.resend": self._once(self._resend),
            "deliveries.replay": self._once(self._deliver),
            "endpoints.enable": self._once(self._enable),
            "endpoints.disable": self._once(self._disable),
            "endpoints.test": self._once(self._test),
        }

    def said(self, action: str, settled: Settled) -> str:
        """What an answer of Stripe's comes to."""
        if settled.status == 202:
            return "It is not known yet whether it happened; it is looked after. Look again in a minute."
        return {
            "refund": "Refunded.",
            "capture": "Captured.",
            "cancel": "Canceled.",
            "pause": "Paused.",
            "resume": "Resumed.",
            "keep": "The cancellation was taken back.",
            "change": "Changed.",
        }[action]

    def _once(self, does: Callable[[Visitor, str, Fields], Awaitable[Done]]) -> Does:
        """Something that is ours alone, done once for each form; Stripe's part has attempts for that."""

        async def do(who: Visitor, object_id: str, fields: Fields, sent: IdempotentRequest) -> Done:
            async with self._database.transaction() as tx:
                claimed = await claim(tx, sent, self._clock.wall())
            if isinstance(claimed, StoredAnswer):
                return Done(claimed.body["said"])
            if not isinstance(claimed, Claimed):
                raise KeyInProgress
            try:
                done = await does(who, object_id, fields)
            except BaseException:
                async with self._database.transaction() as tx:
                    await release(tx, claimed.id)
                raise
            async with self._database.transaction() as tx:
                await complete(tx, claimed.id, 200, {"said": done.said})
            return done

        return do

    # Payments

    async def _refund(self, who: Visitor, payment_id: str, fields: Fields, sent: IdempotentRequest) -> Settled:
        actor = await self._actor(who)
        amount = await self._amount(actor, payment_id, fields)
        wanted = RefundRequest(amount=amount, reason=fields.get("reason") or None)
        return await self._payments.refund(actor, payment_id, sent, wanted)

    async def _capture(self, who: Visitor, payment_id: str, fields: Fields, sent: IdempotentRequest) -> Settled:
        actor = await self._actor(who)
        wanted = CaptureRequest(amount=await self._amount(actor, payment_id, fields))
        return await self._payments.capture(actor, payment_id, sent, wanted)

    async def _cancel_payment(self, who: Visitor, payment_id: str, _: Fields, sent: IdempotentRequest) -> Settled:
        return await self._payments.cancel(await self._actor(who), payment_id, sent, CancelRequest())

    # Subscriptions

    async def preview(self, who: Visitor, subscription_id: str, fields: Fields) -> Mapping[str, Any]:
        """What a change would bill, as the API tells it."""
        quantity = fields.get("quantity", "").strip()
        if quantity and not quantity.isdecimal():
            raise InvalidRequest("The quantity is a whole number.", field="quantity")
        wanted = ChangeRequest(
            price=fields.get("price", "").strip()[:255] or None, quantity=int(quantity[:10]) if quantity else None
        )
        return await self._subscriptions.preview(await self._actor(who), subscription_id, wanted)

    async def _change(self, who: Visitor, subscription_id: str, fields: Fields, sent: IdempotentRequest) -> Settled:
        """The change that was previewed, for what was shown and nothing else."""
        wanted = ChangeRequest(preview_token=fields.get("preview_token", "")[:2000])
        return await self._subscriptions.change(await self._actor(who), subscription_id, sent, wanted)

    async def _pause(self, who: Visitor, subscription_id: str, _: Fields, sent: IdempotentRequest) -> Settled:
        return await self._subscriptions.pause(await self._actor(who), subscription_id, sent, PauseRequest())

    async def _resume(self, who: Visitor, subscription_id: str, _: Fields, sent: IdempotentRequest) -> Settled:
        return await self._subscriptions.resume(await self._actor(who), subscription_id, sent, ResumeRequest())

    async def _keep(self, who: Visitor, subscription_id: str, _: Fields, sent: IdempotentRequest) -> Settled:
        wanted = ChangeRequest(cancel_at_period_end=False)
        return await self._subscriptions.change(await self._actor(who), subscription_id, sent, wanted)

    async def _cancel(self, who: Visitor, subscription_id: str, fields: Fields, sent: IdempotentRequest) -> Settled:
        wanted = EndRequest(when="now" if fields.get("when") == "now" else "period_end")
        return await self._subscriptions.cancel(await self._actor(who), subscription_id, sent, wanted)

    # The inbox, mails, webhooks

    async def _replay(self, _: Visitor, event_id: str, __: Fields) -> Done:
        await self._replayer.replay(event_id)
        return Done("It is applied again in a moment.")

    async def _discard(self, who: Visitor, event_id: str, fields: Fields) -> Done:
        reason = fields.get("reason", "").strip()[:_REASON_MOST]
        if not reason:
            raise InvalidRequest("Say why: the event is never applied, and somebody may ask.", field="reason")
        await self._webhooks.discard(event_id, f"{reason} (admin:{who.identity.subject})")
        return Done("Discarded; its object is read from Stripe.")

    async def many(
        self, who: Visitor, page: str, what: str, ids: Sequence[str], fields: Fields, sent: IdempotentRequest
    ) -> tuple[int, list[str]]:
        """Do something to many rows of a list: to how many it was done, and why not to the others."""
        done, refused = 0, []
        for object_id in ids:
            try:
                await self.table[f"{page}.{what}"](who, object_id, fields, replace(sent, key=f"{sent.key}:{object_id}"))
            except DomainError as error:
                refused.append(error.detail)
            else:
                done += 1
        return done, refused

    async def _resend(self, _: Visitor, mail_id: str, fields: Fields) -> Done:
        await self._outbox.resend(mail_id, fields.get("to", "").strip() or None)
        return Done("It is sent in a moment.")

    async def _deliver(self, _: Visitor, delivery_id: str, __: Fields) -> Done:
        key = parse_uuid(delivery_id)
        async with self._database.connection() as connection:
            row = await self._objects.delivery(connection, key) if key else None
        if row is None or row["endpoint_id"] is None:
            raise NotFound("There is no such delivery to an endpoint.")
        await self._endpoints.replay(str(row["endpoint_id"]), delivery_id)
        return Done("It is delivered in a moment.")

    async def _enable(self, _: Visitor, endpoint_id: str, __: Fields) -> Done:
        await self._endpoints.update(endpoint_id, {"enabled": True})
        return Done("Enabled; what waited for it is delivered now.")

    async def _disable(self, _: Visitor, endpoint_id: str, __: Fields) -> Done:
        await self._endpoints.update(endpoint_id, {"enabled": False})
        return Done("Disabled; what it would get waits.")

    async def _test(self, _: Visitor, endpoint_id: str, __: Fields) -> Done:
        await self._endpoints.test(endpoint_id)
        return Done("A test event is on its way.")

    # Drift

    async def repair(self, who: Visitor, object_id: str) -> Done:
        """Compare one object with Stripe, and repair it."""
        try:
            result = await self._reconciler.check([object_id], by=f"admin:{who.identity.subject}")
        except KeyError:
            raise InvalidRequest("Nobody knows an object of this kind.", field="object") from None
        return Done(f"Compared: {result.repaired} repaired, {result.left_open} left.")

    async def reconcile(self, who: Visitor, fields: Fields) -> Done:
        """Ask for a run. Raises ReconcileRunning."""
        await self._reconcile.start(who.identity, "full" if fields.get("mode") == "full" else "incremental")
        return Done("A worker begins in a moment.")

    async def _actor(self, who: Visitor) -> Actor:
        return await self._actors.actor(who.identity, None)

    async def _amount(self, actor: Actor, payment_id: str, fields: Fields) -> int | None:
        """The minor units of what was written in the payment's main unit; None for all of it."""
        text = fields.get("amount", "").strip()
        if not text:
            return None
        payment = await self._payments.get(actor, payment_id)
        try:
            return parse_money(text, payment.currency).amount
        except ValueError as error:
            raise InvalidRequest(str(error), field="amount") from error
