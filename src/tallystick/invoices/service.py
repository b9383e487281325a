"""`InvoiceService`: invoices from the mirror, and paying one that is open."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tallystick.attempts.models import Attempt, Settled
from tallystick.attempts.service import AttemptService
from tallystick.attempts.service_open import is_open
from tallystick.core.errors import Forbidden, InvalidRequest, NotFound, Unavailable
from tallystick.core.ids import is_stripe_id, parse_uuid
from tallystick.core.pages import Page
from tallystick.customers.service import StripeCustomerService
from tallystick.invoices.errors import NEEDS_CUSTOMER, InvoiceNotPayable, no_invoice
from tallystick.invoices.models import InvoiceRow, LineRow
from tallystick.invoices.models_requests import InvoicesRequest
from tallystick.invoices.repository import InvoiceFilter, InvoiceRepository
from tallystick.invoices.service_operations import PAY
from tallystick.platform.auth import Actor
from tallystick.platform.database import Connection, Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service_invoices import InvoiceCalls

__all__ = ["InvoiceService"]


class InvoiceService:
    """Reads of invoices, and the command to pay one."""

    def __init__(
        self,
        database: Database,
        calls: InvoiceCalls,
        invoices: InvoiceRepository,
        customers: StripeCustomerService,
        attempts: AttemptService,
    ) -> None:
        self._database = database
        self._calls = calls
        self._invoices = invoices
        self._customers = customers
        self._attempts = attempts

    # For other areas, in their transaction

    async def unpaid_of(self, tx: Transaction, stripe_subscription_ids: Sequence[str]) -> dict[str, list[InvoiceRow]]:
        """The open invoices with money to come, by subscription; what failed first comes first."""
        unpaid: dict[str, list[InvoiceRow]] = {}
        for row in await self._invoices.unpaid_of(tx, stripe_subscription_ids):
            unpaid.setdefault(str(row.stripe_subscription_id), []).append(row)
        return unpaid

    async def lines_of(self, tx: Connection, invoice_ids: Sequence[UUID]) -> dict[UUID, list[LineRow]]:
        """The lines of these invoices, in the order in which Stripe prints them."""
        return await self._invoices.lines_of(tx, invoice_ids)

    async def find(self, connection: Connection, invoice_id: UUID | str) -> InvoiceRow | None:
        """An invoice by our id or Stripe's, whosever it is."""
        return await self._invoices.find(connection, invoice_id)

    async def is_being_paid(self, connection: Connection, invoice_id: UUID) -> bool:
        """Whether a payment of this invoice is under way, or nobody knows yet what became of it."""
        return await is_open(connection, _lock_of(invoice_id))

    # Reads

    async def get(self, actor: Actor, invoice_id: str) -> tuple[InvoiceRow, list[LineRow]]:
        """An invoice that the actor may see, with its lines; raises `NotFound`."""
        async with self._database.connection() as connection:
            row = await self._visible(connection, actor, invoice_id)
            return row, (await self._invoices.lines_of(connection, [row.id]))[row.id]

    async def listed(self, actor: Actor, wanted: InvoicesRequest) -> tuple[Page[InvoiceRow], dict[UUID, list[LineRow]]]:
        """A page of the invoices that the actor may see, newest first, and their lines.

        Raises:
            InvalidRequest: a cursor that is no invoice's, or two of them.
            Forbidden: somebody else's are asked for.
            NotFound: there is no such user.
        """
        if wanted.starting_after and wanted.ending_before:
            raise InvalidRequest("starting_after and ending_before exclude each other.", field="ending_before")
        subscription = parse_uuid(wanted.subscription or "") or wanted.subscription
        if isinstance(subscription, str) and not is_stripe_id(subscription, "sub_"):
            raise InvalidRequest("There is no such subscription.", field="subscription")
        owner = await self._owner(actor, wanted.user)
        async with self._database.connection() as connection:
            after = await self._edge(connection, actor, "starting_after", wanted.starting_after)
            before = await self._edge(connection, actor, "ending_before", wanted.ending_before)
            page = await self._invoices.listed(
                connection,
                InvoiceFilter(owner=owner, status=wanted.status, subscription=subscription),
                limit=wanted.limit,
                after=after,
                before=before,
            )
            return page, await self._invoices.lines_of(connection, [row.id for row in page.data])

    async def _owner(self, actor: Actor, external_id: str | None) -> UUID | None:
        if external_id is None or (not actor.staff and external_id == actor.subject):
            return actor.owner
        if not actor.staff:
            raise Forbidden("Only staff may ask for another user's invoices.", field="user")
        user = await self._customers.find_user(external_id) if "\x00" not in external_id else None
        if user is None:
            raise NotFound("There is no such user.", field="user")
        return user.id

    async def _edge(self, connection: Connection, actor: Actor, field: str, cursor: str | None) -> InvoiceRow | None:
        if cursor is None:
            return None
        try:
            return await self._visible(connection, actor, cursor)
        except NotFound as error:
            raise InvalidRequest("There is no such invoice.", field=field) from error

    async def _visible(self, connection: Connection, actor: Actor, invoice_id: str) -> InvoiceRow:
        reference = parse_uuid(invoice_id) or invoice_id
        if isinstance(reference, str) and not is_stripe_id(reference, "in_"):
            raise no_invoice()
        row = await self._invoices.find(connection, reference, actor.owner)
        if row is None or row.deleted:
            raise no_invoice()
        return row

    # Paying

    async def pay(
        self,
        actor: Actor,
        invoice_id: str,
        request: IdempotentRequest,
        payment_method: str | None = None,
        *,
        off_session: bool = False,
    ) -> Settled:
        """Pay an open (or uncollectible) invoice now, with this payment method or the default one.

        `off_session`: a retry of our own, with nobody there to confirm the payment with the bank.

        Raises:
            NotFound, InvoiceNotPayable, OperationInProgress: nothing was sent.
            Unavailable: nothing happened, and the key is free again.
        """
        actor.require_write()
        async with self._database.connection() as connection:
            row = await self._visible(connection, actor, invoice_id)
        params: dict[str, Any] = {"off_session": off_session}
        if payment_method:
            params["payment_method"] = payment_method

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            locked = (await self._invoices.lock_many(tx, [row.stripe_invoice_id]))[row.stripe_invoice_id]
            if locked.status not in ("open", "uncollectible"):
                raise InvoiceNotPayable(f"The invoice's status is {locked.status}.", invoice_status=locked.status)
            stored = {
                "invoice": locked.stripe_invoice_id,
                "params": params,
                "revision": locked.revision,
                "actor": "tallystick" if off_session else actor.name,
            }
            # One open attempt to pay an invoice.
            return await self._attempts.store(
                tx,
                request,
                key_id,
                PAY,
                stored,
                user_id=actor.user_id,
                subject_id=locked.id,
                lock_key=_lock_of(locked.id),
            )

        return await self._attempts.execute(request, prepare)

    async def client_secret(self, actor: Actor, invoice_id: str) -> str | None:
        """The secret by which the browser pays an invoice; None where it waits for no payment.

        Raises:
            NotFound, Unavailable.
        """
        async with self._database.connection() as connection:
            row = await self._visible(connection, actor, invoice_id)
        return await self._secret(row)

    async def _secret(self, row: InvoiceRow) -> str | None:
        try:
            return await self._calls.client_secret(row.stripe_invoice_id)
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error

    async def reveal(self, invoice_id: str, settled: Settled) -> dict[str, Any]:
        """The body to answer with: a payment to be confirmed gets its client secret, which is never stored."""
        body = dict(settled.body)
        if body.get("code") != NEEDS_CUSTOMER:
            return body
        async with self._database.connection() as connection:
            row = await self._invoices.find(connection, parse_uuid(invoice_id) or invoice_id)
        if row is None:
            return body
        return {**body, "client_secret": await self._secret(row)}


def _lock_of(invoice_id: UUID) -> str:
    return f"invoice:{invoice_id}"
