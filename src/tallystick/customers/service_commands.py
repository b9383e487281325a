"""`CustomerCommands`: what a caller can do with a customer and its payment methods. Every write is an attempt."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from tallystick.attempts.errors import OperationInProgress
from tallystick.attempts.models import Attempt, Settled
from tallystick.attempts.service import AttemptService, Prepare
from tallystick.core.checks import check_metadata, check_text
from tallystick.core.declines import PaymentMethodNotUsable
from tallystick.core.errors import NotFound, Unavailable
from tallystick.core.ids import is_stripe_id, parse_uuid
from tallystick.core.pages import LIMIT_MAX, Page
from tallystick.customers.models import CustomerRow, MethodRow
from tallystick.customers.repository import CustomerRepository, UserRepository
from tallystick.customers.service import StripeCustomerService
from tallystick.customers.service_operations import ATTACH, CREATE, DELETE, DETACH, SET_DEFAULT, UPDATE
from tallystick.customers.service_refresh import CustomerRefresher
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.platform.idempotency import IdempotentRequest
from tallystick.stripe_gateway.errors import GatewayError, GatewayRejected
from tallystick.stripe_gateway.service import StripeService

__all__ = ["ME", "CustomerCommands"]

ME = "me"
_PATIENCE_S = 8.0
_ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")


class CustomerCommands:
    """Commands on customers, and reads of them."""

    def __init__(
        self,
        database: Database,
        stripe: StripeService,
        repository: CustomerRepository,
        users: UserRepository,
        customers: StripeCustomerService,
        attempts: AttemptService,
        refresher: CustomerRefresher,
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._repository = repository
        self._users = users
        self._customers = customers
        self._attempts = attempts
        self._refresher = refresher

    # Customers

    async def create(self, actor: Actor, request: IdempotentRequest, wanted: Mapping[str, Any]) -> Settled:
        """The actor's one customer with these fields: made (201), or updated where there is one (200).

        Raises:
            Forbidden, InvalidRequest: nothing was stored.
            OperationInProgress: others change this customer all the time.
        """
        actor.require_write()
        params = _params(wanted)
        if await self._customers.customer_of(actor.user_id) is not None:
            # A customer from before there was a mirror is brought in; one that is gone by now is made anew.
            with suppress(NotFound):
                await self._find(actor, ME)

        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            try:
                user = await self._users.lock(tx, actor.user_id)
            except LookupError as error:
                raise self._customers.lost() from error
            row = await self._repository.of_user(tx, user.id)
            stored: dict[str, Any] = {"params": params}
            if row is not None:
                stored |= {"customer": row.stripe_customer_id, "revision": row.revision}
            elif user.stripe_customer_id is not None:
                stored |= {"customer": user.stripe_customer_id}
            return await self._attempts.store(
                tx,
                request,
                key_id,
                CREATE if user.stripe_customer_id is None else UPDATE,
                stored,
                user_id=user.id,
                subject_id=row.id if row else None,
                lock_key=f"customer:{row.id if row else user.id}",
            )

        return await self._patiently(request, prepare)

    async def update(
        self, actor: Actor, customer_id: str, request: IdempotentRequest, wanted: Mapping[str, Any]
    ) -> Settled:
        """Change the fields that `wanted` has; raises `NotFound`, `Forbidden`, `InvalidRequest`."""
        actor.require_write()
        params = _params(wanted)

        async def build() -> Prepare:
            return self._prepare(actor, await self._find(actor, customer_id), request, UPDATE, {"params": params})

        return await self._execute(request, build)

    async def delete(self, actor: Actor, customer_id: str, request: IdempotentRequest) -> Settled:
        """Delete a customer for good: its subscriptions end, its methods go; raises `NotFound`, `Forbidden`."""
        actor.require_write()

        async def build() -> Prepare:
            return self._prepare(actor, await self._find(actor, customer_id), request, DELETE, {})

        return await self._execute(request, build)

    async def mark_erased(self, actor: Actor, customer_id: str, request: IdempotentRequest, mark: str) -> Settled:
        """Clear what a customer says of somebody, and put `mark` into its metadata; raises `NotFound`."""
        actor.require_admin()
        params = {"email": "", "name": "", "phone": "", "address": "", "shipping": "", "metadata": {mark: "true"}}

        async def build() -> Prepare:
            return self._prepare(actor, await self._find(actor, customer_id), request, UPDATE, {"params": params})

        return await self._execute(request, build)

    async def get(self, actor: Actor, customer_id: str) -> CustomerRow:
        """A customer that the actor may see, staff deleted ones too; raises `NotFound`."""
        return await self._find(actor, customer_id, deleted=actor.staff)

    async def own(self, actor: Actor, customer_id: str) -> CustomerRow:
        """The customer for a write about it; `me` is made where there is none; raises `NotFound`, `Unavailable`."""
        actor.require_write()
        if customer_id == ME:
            try:
                await self._customers.ensure_customer(actor.user_id)
            except GatewayError as error:
                raise Unavailable(retry_after_s=1) from error
        return await self._find(actor, customer_id)

    # Payment methods

    async def methods(self, actor: Actor, customer_id: str) -> tuple[CustomerRow, Page[MethodRow]]:
        """The customer's payment methods, the default first, at most a hundred; raises `NotFound`."""
        row = await self._find(actor, customer_id)
        async with self._database.connection() as connection:
            found = await self._repository.methods_of(
                connection, row.stripe_customer_id, row.default_payment_method, LIMIT_MAX + 1
            )
        return row, Page(found[:LIMIT_MAX], len(found) > LIMIT_MAX)

    async def attach(
        self, actor: Actor, customer_id: str, request: IdempotentRequest, payment_method: str, *, default: bool
    ) -> Settled:
        """Attach a payment method, and make it the default.

        Raises:
            NotFound, Forbidden, PaymentMethodNotUsable: nothing was sent.
        """
        actor.require_write()

        async def build() -> Prepare:
            row = await self._find(actor, customer_id)
            stored = {"payment_method": await self._resolve(payment_method), "default": default}
            return self._prepare(actor, row, request, ATTACH, stored)

        return await self._execute(request, build)

    async def set_default(self, actor: Actor, customer_id: str, method_id: str, request: IdempotentRequest) -> Settled:
        """Make one of the customer's payment methods the default; raises `NotFound`, `Forbidden`."""
        return await self._with_method(actor, customer_id, method_id, request, SET_DEFAULT)

    async def detach(self, actor: Actor, customer_id: str, method_id: str, request: IdempotentRequest) -> Settled:
        """Detach one of the customer's payment methods for good; raises `NotFound`, `Forbidden`."""
        return await self._with_method(actor, customer_id, method_id, request, DETACH)

    # Steps

    async def _with_method(
        self, actor: Actor, customer_id: str, method_id: str, request: IdempotentRequest, kind: str
    ) -> Settled:
        actor.require_write()

        async def build() -> Prepare:
            row = await self._find(actor, customer_id)
            method = await self._method_of(row, method_id)
            stored = {"payment_method": method.stripe_payment_method_id, "method_revision": method.revision}
            return self._prepare(actor, row, request, kind, stored)

        return await self._execute(request, build)

    async def _execute(self, request: IdempotentRequest, build: Callable[[], Awaitable[Prepare]]) -> Settled:
        """Do a write once; its repeat gets the first answer even where the object is gone by now."""
        try:
            prepare = await build()
        except NotFound as error:
            missing = error

            async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
                raise missing

        return await self._attempts.execute(request, prepare)

    def _prepare(
        self, actor: Actor, row: CustomerRow, request: IdempotentRequest, kind: str, more: Mapping[str, Any]
    ) -> Prepare:
        async def prepare(tx: Transaction, key_id: UUID) -> Attempt:
            now = await self._repository.find(tx, row.id)
            if now is None or now.deleted:
                raise _no_customer()
            stored = {"customer": now.stripe_customer_id, "revision": now.revision, **more}
            return await self._attempts.store(
                tx,
                request,
                key_id,
                kind,
                stored,
                user_id=actor.user_id,
                subject_id=now.id,
                lock_key=f"customer:{now.id}",
            )

        return prepare

    async def _patiently(self, request: IdempotentRequest, prepare: Prepare) -> Settled:
        """Two tabs that do the same are no conflict: one waits for the other."""
        ends_at = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return await self._attempts.execute(request, prepare)
            except OperationInProgress:
                if time.monotonic() >= ends_at:
                    raise
            await asyncio.sleep(0.05)

    async def _find(self, actor: Actor, customer_id: str, *, deleted: bool = False) -> CustomerRow:
        """A customer that the actor may see by our id, Stripe's, or `me`; raises `NotFound`."""
        own = await self._customers.customer_of(actor.user_id) if customer_id == ME else None
        if customer_id == ME and own is None:
            raise NotFound("You have no customer yet.", field="id", action="Create it with POST /api/customers.")
        reference = own or parse_uuid(customer_id) or customer_id
        if isinstance(reference, str) and not is_stripe_id(reference, "cus_"):
            raise _no_customer()
        row = await self._read(reference)
        if row is None and own is not None:
            # Made before its first event came, or before there was a mirror.
            await self._refresher.refresh(own)
            row = await self._read(own)
        if row is None or (row.deleted and not deleted):
            raise _no_customer()
        if own is None and actor.owner is not None and row.user_id != actor.owner:
            raise _no_customer()
        return row

    async def _read(self, reference: UUID | str) -> CustomerRow | None:
        async with self._database.connection() as connection:
            return await self._repository.find(connection, reference)

    async def _method_of(self, row: CustomerRow, method_id: str) -> MethodRow:
        reference = parse_uuid(method_id) or method_id
        if isinstance(reference, str) and not is_stripe_id(reference, "pm_"):
            raise _no_method()
        method = await self._read_method(reference)
        if method is None and isinstance(reference, str) and not _is_token(reference):
            # Saved a moment ago, and its event is still on its way.
            await self._refresher.refresh(reference)
            method = await self._read_method(reference)
        if method is None or method.stripe_customer_id != row.stripe_customer_id:
            raise _no_method()
        return method

    async def _read_method(self, reference: UUID | str) -> MethodRow | None:
        async with self._database.connection() as connection:
            return await self._repository.find_method(connection, reference)

    async def _resolve(self, method_id: str) -> str:
        """The id of a method; a test token stands for a fresh one, which only Stripe can name."""
        if not _is_token(method_id):
            return method_id
        try:
            return (await self._stripe.retrieve_payment_method(method_id)).value.id
        except GatewayRejected as error:
            raise PaymentMethodNotUsable(field="payment_method") from error
        except GatewayError as error:
            raise Unavailable(retry_after_s=1) from error


def _is_token(method_id: str) -> bool:
    return "_" in method_id.removeprefix("pm_")


def _no_customer() -> NotFound:
    return NotFound("There is no such customer.", field="id")


def _no_method() -> NotFound:
    return NotFound("There is no such payment method.", field="payment_method")


def _params(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What Stripe is asked for, checked: an empty text clears a field."""
    params = {}
    for field in ("email", "name", "phone"):
        if field in wanted:
            (_check_phone if field == "phone" else check_text)(field, wanted[field])
            params[field] = wanted[field] or ""
    if "address" in wanted:
        address = wanted["address"]
        for field, text in (address or {}).items():
            check_text(f"address.{field}", text)
        params["address"] = {field: address.get(field) or "" for field in _ADDRESS} if address else ""
    if wanted.get("metadata"):
        check_metadata(wanted["metadata"])
        params["metadata"] = dict(wanted["metadata"])
    return params


def _check_phone(field: str, phone: str | None) -> None:
    """A phone number may look like a card's; one with a country code in front has at most 15 digits (E.164)."""
    if phone and phone.startswith("+") and sum(character.isdigit() for character in phone) <= 15:
        return
    check_text(field, phone)
