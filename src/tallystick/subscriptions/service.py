"""`StripeSubscriptionService`: what a caller can do with subscriptions, and what they look like."""

from collections.abc import Sequence
from typing import Any

from tallystick.attempts.models import SECRET_OF, Settled
from tallystick.core.errors import InvalidRequest, Unavailable
from tallystick.core.ids import parse_uuid
from tallystick.core.pages import Page
from tallystick.entitlements.models import Grant
from tallystick.entitlements.service import EntitlementService
from tallystick.invoices.service import InvoiceService
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service import StripeService
from tallystick.stripe_gateway.service_subscriptions import SubscriptionCalls
from tallystick.subscriptions.dunning import Dunning
from tallystick.subscriptions.models import HistoryRow, SubscriptionRow
from tallystick.subscriptions.models_requests import (
    CancelRequest,
    ChangeRequest,
    CreateRequest,
    ListRequest,
    PauseRequest,
    ResumeRequest,
)
from tallystick.subscriptions.models_schedules import ScheduledChange
from tallystick.subscriptions.repository import SubscriptionFilter, SubscriptionRepository
from tallystick.subscriptions.service_change import SubscriptionChanges, reference
from tallystick.subscriptions.service_change_later import LaterChanges
from tallystick.subscriptions.service_create import SubscriptionCreation
from tallystick.subscriptions.service_dunning import DunningKeeper
from tallystick.subscriptions.service_first_invoice import FirstInvoices, Waiting
from tallystick.subscriptions.service_payment import payment_of
from tallystick.subscriptions.service_preview import SubscriptionPreviews
from tallystick.subscriptions.service_quote import Quote, SubscriptionQuotes

__all__ = ["StripeSubscriptionService"]


class StripeSubscriptionService:
    """Commands on subscriptions (see the services they are of), and reads of them."""

    def __init__(
        self,
        database: Database,
        stripe: StripeService,
        calls: SubscriptionCalls,
        repository: SubscriptionRepository,
        creation: SubscriptionCreation,
        changes: SubscriptionChanges,
        later: LaterChanges,
        previews: SubscriptionPreviews,
        quotes: SubscriptionQuotes,
        first_invoices: FirstInvoices,
        invoices: InvoiceService,
        entitlements: EntitlementService,
        dunning: DunningKeeper,
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._calls = calls
        self._repository = repository
        self._creation = creation
        self._changes = changes
        self._later = later
        self._previews = previews
        self._quotes = quotes
        self._first_invoices = first_invoices
        self._invoices = invoices
        self._entitlements = entitlements
        self._dunning = dunning

    # Commands

    async def create(self, actor: Actor, request: IdempotentRequest, wanted: CreateRequest) -> Settled:
        """See `SubscriptionCreation.create`."""
        return await self._creation.create(actor, request, wanted)

    async def change(self, actor: Actor, sub_id: str, request: IdempotentRequest, wanted: ChangeRequest) -> Settled:
        """See `SubscriptionChanges.change`, and `LaterChanges.change` for the end of the period."""
        if wanted.when == "period_end":
            return await self._later.change(actor, sub_id, request, wanted)
        return await self._changes.change(actor, sub_id, request, wanted)

    async def take_back(self, actor: Actor, sub_id: str, request: IdempotentRequest) -> Settled:
        """See `LaterChanges.take_back`."""
        return await self._later.take_back(actor, sub_id, request)

    async def cancel(self, actor: Actor, sub_id: str, request: IdempotentRequest, wanted: CancelRequest) -> Settled:
        """See `SubscriptionChanges.cancel`."""
        return await self._changes.cancel(actor, sub_id, request, wanted)

    async def pause(self, actor: Actor, sub_id: str, request: IdempotentRequest, wanted: PauseRequest) -> Settled:
        """See `SubscriptionChanges.pause`."""
        return await self._changes.pause(actor, sub_id, request, wanted)

    async def resume(self, actor: Actor, sub_id: str, request: IdempotentRequest, wanted: ResumeRequest) -> Settled:
        """See `SubscriptionChanges.resume`."""
        return await self._changes.resume(actor, sub_id, request, wanted)

    async def give_up(self, actor: Actor, sub_id: str, request: IdempotentRequest) -> Settled:
        """See `SubscriptionChanges.give_up`."""
        return await self._changes.give_up(actor, sub_id, request)

    # Reads

    async def scheduled(self, row: SubscriptionRow) -> ScheduledChange | None:
        """The change that waits for the end of a subscription's period."""
        return await self._later.scheduled(row)

    async def find(self, actor: Actor, subscription_id: str) -> SubscriptionRow:
        """A subscription that the actor may see; raises `NotFound`."""
        return await self._changes.find(actor, subscription_id)

    async def quote(self, actor: Actor, wanted: CreateRequest) -> Quote:
        """See `SubscriptionQuotes.quote`."""
        return await self._quotes.quote(actor, wanted)

    async def waiting(self, subscription: SubscriptionRow) -> Waiting:
        """What a subscription that was just begun waits for, as Stripe shows it now; raises `Unavailable`."""
        return await self._first_invoices.waiting(subscription)

    async def get(self, actor: Actor, subscription_id: str) -> tuple[SubscriptionRow, Sequence[Grant], Dunning | None]:
        """A subscription that the actor may see, what it grants, and its dunning calendar; raises `NotFound`."""
        row = await self._changes.find(actor, subscription_id)
        async with self._database.connection() as connection:
            grants = (await self._entitlements.grants_of(connection, [row.id])).get(row.id, {})
            found = await self._invoices.unpaid_of(connection, [str(row.stripe_subscription_id)])
            unpaid = found.get(str(row.stripe_subscription_id), [])
            calendar = await self._dunning.calendar(connection, row, unpaid)
        return row, list(grants.values()), calendar

    async def listed(self, actor: Actor, wanted: ListRequest) -> Page[SubscriptionRow]:
        """A page of the subscriptions that the actor may see, newest first; raises `InvalidRequest`."""
        if wanted.starting_after and wanted.ending_before:
            raise InvalidRequest("starting_after and ending_before exclude each other.", field="ending_before")
        after = await self._edge(actor, "starting_after", wanted.starting_after)
        before = await self._edge(actor, "ending_before", wanted.ending_before)
        filters = SubscriptionFilter(owner=actor.owner, status=wanted.status)
        async with self._database.connection() as connection:
            return await self._repository.listed(connection, filters, limit=wanted.limit, after=after, before=before)

    async def _edge(self, actor: Actor, field: str, cursor: str | None) -> SubscriptionRow | None:
        if cursor is None:
            return None
        async with self._database.connection() as connection:
            row = await self._repository.find(connection, reference(cursor))
        if row is None or (actor.owner is not None and row.user_id != actor.owner):
            raise InvalidRequest("There is no such subscription.", field=field)
        return row

    async def history(
        self, actor: Actor, subscription_id: str, *, limit: int, starting_after: str | None
    ) -> Page[HistoryRow]:
        """A page of a subscription's changes, newest first; raises `NotFound`, `InvalidRequest`."""
        row = await self._changes.find(actor, subscription_id)
        async with self._database.connection() as connection:
            after = None
            if starting_after is not None:
                after_id = parse_uuid(starting_after)
                after = await self._repository.find_history(connection, row.id, after_id) if after_id else None
                if after is None:
                    raise InvalidRequest("There is no such change.", field="starting_after")
            return await self._repository.history_of(connection, row.id, limit=limit, after=after)

    async def preview(self, actor: Actor, subscription_id: str, wanted: ChangeRequest) -> dict[str, Any]:
        """The next invoice, or that of a change; see `SubscriptionPreviews.show`. Raises `NotFound`."""
        row = await self._changes.refreshed(await self._changes.find(actor, subscription_id))
        return await self._previews.show(row, wanted)

    async def reveal(self, settled: Settled) -> dict[str, Any]:
        """The body to answer with: client secrets, which are never stored, join it (fetched again for a repeat)."""
        body = dict(settled.body)
        subscription_id = body.pop(SECRET_OF, None)
        if subscription_id is None:
            return body
        secrets = settled.secrets
        if secrets is None:
            secrets = await self._secrets(subscription_id)
        return {**body, **secrets}

    async def _secrets(self, subscription_id: str) -> dict[str, Any]:
        try:
            answer = await self._calls.retrieve_with_secrets(subscription_id)
            return (await payment_of(self._stripe, answer, tried=True, refuse=False)).value.secrets
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error
