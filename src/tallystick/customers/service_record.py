"""`CustomerRecorder`: customers and payment methods from Stripe into the mirror, in whatever order they come."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.customers.models import CustomerFacts, CustomerRow, Facts, MethodFacts, MethodRow
from tallystick.customers.repository import CustomerRepository, UserRepository
from tallystick.notifications.alerts import queue_alert
from tallystick.platform.database import Transaction, await_makers
from tallystick.platform.work import enqueue
from tallystick.stripe_gateway.objects import Customer, PaymentMethod, pick
from tallystick.stripe_gateway.ordering import Verdict, judge, later
from tallystick.webhooks.service import StripeWebhookService, queue_fetches

__all__ = [
    "EMAIL_WORK",
    "GONE_WORK",
    "META_GENERATION",
    "META_INSTALLATION",
    "META_USER",
    "PAYMENT_CHANGED_WORK",
    "CustomerRecorder",
]

EMAIL_WORK = "customer.email"
GONE_WORK = "customer.gone"
"""A customer was deleted, and with it at Stripe all that hung on it. Its payload names the `customer`."""

PAYMENT_CHANGED_WORK = "customer.payment_changed"
"""What a customer is charged by has changed: whoever charges looks again. Its payload names the `customer`."""

META_INSTALLATION = "tallystick_installation"
META_USER = "tallystick_user"
META_GENERATION = "tallystick_generation"


class CustomerRecorder:
    """Applies customers and payment methods to the mirror, and customers to the users they belong to."""

    def __init__(
        self,
        clock: Clock,
        installation_id: str,
        repository: CustomerRepository,
        users: UserRepository,
        webhooks: StripeWebhookService,
    ) -> None:
        self._clock = clock
        self._installation = installation_id
        self._webhooks = webhooks
        self._repository = repository
        self._users = users

    async def record(self, tx: Transaction, facts: Sequence[Facts]) -> None:
        """Apply `facts` in their order; doing it again changes nothing."""
        await self._record_customers(tx, [fact for fact in facts if isinstance(fact, CustomerFacts)])
        await self._record_methods(tx, [fact for fact in facts if isinstance(fact, MethodFacts)])

    # Customers

    async def _record_customers(self, tx: Transaction, facts: Sequence[CustomerFacts]) -> None:
        if not facts:
            return
        ids = [fact.value.id for fact in facts]
        rows = await self._repository.lock(tx, ids)
        if await await_makers(tx, set(ids) - rows.keys()):
            rows = await self._repository.lock(tx, ids)
        before, changed = dict(rows), dict[str, CustomerRow]()
        ended: dict[str, datetime] = {}
        for fact in facts:
            customer = fact.value
            row = rows.get(customer.id)
            verdict = _judge_customer(row, fact) if row else Verdict.APPLY
            if verdict is Verdict.KEEP:
                if row is not None and row.deleted and not customer.deleted:
                    changed[customer.id] = rows[customer.id] = await self._remembered(tx, row, fact)
                continue
            user_id, flagged = await self._owner(tx, row, fact)
            changed[customer.id] = rows[customer.id] = self._customer(row, fact, verdict, user_id, flagged=flagged)
            if customer.deleted:
                ended[customer.id] = fact.source.at
                await self._keep_end(tx, fact)
        await self._repository.save(tx, list(changed.values()))
        for stripe_id, row in changed.items():
            if row.user_id is not None and not row.deleted:
                await self._repository.claim_methods(tx, stripe_id, row.user_id)
        for stripe_id, at in ended.items():
            await self._users.forget_customer(tx, stripe_id, self._clock.now())
            await self._repository.detach_all(tx, stripe_id, at, self._clock.now())
            await enqueue(tx, GONE_WORK, f"{GONE_WORK}:{stripe_id}", {"customer": stripe_id}, due_at=self._clock.now())
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)
        await self._payment_changed(tx, [row for row in changed.values() if _charged_otherwise(before, row)])

    async def _remembered(self, tx: Transaction, row: CustomerRow, fact: CustomerFacts) -> CustomerRow:
        """A deleted customer with what its end does not show: whose it was, and since when."""
        ended = replace(fact, value=replace(fact.value, deleted=True))
        user_id, flagged = await self._owner(tx, row, ended)
        return replace(row, user_id=user_id, flagged=flagged, created_at=fact.value.created or row.created_at)

    async def _keep_end(self, tx: Transaction, fact: CustomerFacts) -> None:
        """An end that a refusal showed: no event may ever tell it."""
        if fact.source.origin == "answer":
            await self._webhooks.record_applied(
                tx,
                source="answer",
                event_type="customer.answered",
                object_id=fact.value.id,
                object_key=fact.value.id,
                obj={"id": fact.value.id, "object": "customer", "deleted": True},
                at=fact.source.at,
            )

    async def _owner(self, tx: Transaction, row: CustomerRow | None, fact: CustomerFacts) -> tuple[UUID | None, bool]:
        """Whose customer it is, and whether that user has another one already."""
        customer = fact.value
        if row is not None and row.user_id is not None:
            return row.user_id, row.flagged
        owner = await self._users.find_by_customer(tx, customer.id)
        named = customer.metadata.get(META_USER)
        if owner is not None or not named or customer.metadata.get(META_INSTALLATION) != self._installation:
            return owner, False
        user = await self._users.upsert(tx, named, None, self._clock.now())
        user = await self._users.lock(tx, user.id, erased=True)
        if customer.deleted:
            return user.id, False
        if user.stripe_customer_id is None:
            await self._users.set_customer(tx, user.id, customer.id, self._clock.now())
            if fact.source.origin == "event" and user.email and META_GENERATION in customer.metadata:
                # Whoever made it may have died before it told the address.
                payload = {"user_id": str(user.id)}
                await enqueue(tx, EMAIL_WORK, f"{EMAIL_WORK}:{customer.id}", payload, due_at=self._clock.now())
        if user.stripe_customer_id in (None, customer.id):
            return user.id, False
        payload = {"user": named, "customer": customer.id, "other_customer": user.stripe_customer_id}
        await queue_alert(tx, "second_customer", customer.id, payload, due_at=self._clock.now())
        return user.id, True

    def _customer(
        self, row: CustomerRow | None, fact: CustomerFacts, verdict: Verdict, user_id: UUID | None, *, flagged: bool
    ) -> CustomerRow:
        customer, now = fact.value, self._clock.now()
        gone = customer.deleted
        return CustomerRow(
            id=row.id if row else new_id(),
            stripe_customer_id=customer.id,
            user_id=user_id,
            email=None if gone else pick(customer.email, row.email if row else None),
            name=None if gone else pick(customer.name, row.name if row else None),
            phone=None if gone else pick(customer.phone, row.phone if row else None),
            address=None if gone else pick(customer.address, row.address if row else None),
            metadata={} if gone else customer.metadata,
            default_payment_method=(
                None if gone else pick(customer.default_payment_method, row.default_payment_method if row else None)
            ),
            deleted=gone,
            flagged=flagged,
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            unsure=verdict is Verdict.UNSURE,
            created_at=customer.created or (row.created_at if row else fact.source.at),
            updated_at=now,
        )

    # Payment methods

    async def _record_methods(self, tx: Transaction, facts: Sequence[MethodFacts]) -> None:
        if not facts:
            return
        owners = await self._repository.owners(
            tx, [fact.value.customer for fact in facts if isinstance(fact.value.customer, str)]
        )
        ids = [fact.value.id for fact in facts]
        rows = await self._repository.lock_methods(tx, ids)
        if await await_makers(tx, set(ids) - rows.keys()):
            rows = await self._repository.lock_methods(tx, ids)
        before, changed = dict(rows), dict[str, MethodRow]()
        for fact in facts:
            row = rows.get(fact.value.id)
            verdict = _judge_method(row, fact) if row else Verdict.APPLY
            if verdict is Verdict.KEEP:
                continue
            changed[fact.value.id] = rows[fact.value.id] = self._method(row, fact, verdict, owners)
        await self._repository.save_methods(tx, list(changed.values()))
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)
        await self._payment_changed(tx, [row for row in changed.values() if _expires_otherwise(before, row)])

    def _method(
        self,
        row: MethodRow | None,
        fact: MethodFacts,
        verdict: Verdict,
        owners: Mapping[str, tuple[UUID | None, bool]],
    ) -> MethodRow:
        method = fact.value
        customer = pick(method.customer, row.stripe_customer_id if row else None)
        user_id, gone = owners.get(customer or "", (None, False))
        if gone:
            # An event from before the end of the customer, which ended the use of its methods too.
            customer, user_id = None, None
        return MethodRow(
            id=row.id if row else new_id(),
            stripe_payment_method_id=method.id,
            user_id=user_id,
            stripe_customer_id=customer,
            type=method.type,
            card_brand=pick(method.card_brand, row.card_brand if row else None),
            card_last4=pick(method.card_last4, row.card_last4 if row else None),
            card_exp_month=pick(method.card_exp_month, row.card_exp_month if row else None),
            card_exp_year=pick(method.card_exp_year, row.card_exp_year if row else None),
            card_funding=pick(method.card_funding, row.card_funding if row else None),
            card_country=pick(method.card_country, row.card_country if row else None),
            card_fingerprint=pick(method.card_fingerprint, row.card_fingerprint if row else None),
            revision=row.revision + 1 if row else 0,
            state_at=later(row.state_at if row else None, fact.source),
            unsure=verdict is Verdict.UNSURE,
            created_at=method.created,
            updated_at=self._clock.now(),
        )

    async def _payment_changed(self, tx: Transaction, rows: Sequence[CustomerRow | MethodRow]) -> None:
        for customer in sorted({row.stripe_customer_id for row in rows if row.stripe_customer_id}):
            key, payload = f"{PAYMENT_CHANGED_WORK}:{customer}", {"customer": customer}
            await enqueue(tx, PAYMENT_CHANGED_WORK, key, payload, due_at=self._clock.now())


def _charged_otherwise(before: Mapping[str, CustomerRow], row: CustomerRow) -> bool:
    old = before.get(row.stripe_customer_id)
    return not row.deleted and row.default_payment_method != (old.default_payment_method if old else None)


def _expires_otherwise(before: Mapping[str, MethodRow], row: MethodRow) -> bool:
    old = before.get(row.stripe_payment_method_id)
    known = (old.card_exp_month, old.card_exp_year) if old else None
    return known is not None and known != (row.card_exp_month, row.card_exp_year)


def _judge_customer(row: CustomerRow, fact: CustomerFacts) -> Verdict:
    if fact.source.mends(row.revision):
        return Verdict.APPLY
    if fact.value.deleted or row.deleted:
        return Verdict.KEEP if row.deleted else Verdict.APPLY
    state = _customer_state(fact.value, row)
    source = replace(fact.source, previous=_previous_customer(fact.source.previous))
    return judge(source, row_at=row.state_at, revision=row.revision, shown=_shown_customer(row), state=state)


def _shown_customer(row: CustomerRow) -> Mapping[str, Any]:
    return {
        "email": row.email,
        "name": row.name,
        "phone": row.phone,
        "address": row.address,
        "default_payment_method": row.default_payment_method,
        "metadata": row.metadata,
    }


def _customer_state(customer: Customer, row: CustomerRow) -> Mapping[str, Any]:
    return {
        "email": pick(customer.email, row.email),
        "name": pick(customer.name, row.name),
        "phone": pick(customer.phone, row.phone),
        "address": pick(customer.address, row.address),
        "default_payment_method": pick(customer.default_payment_method, row.default_payment_method),
        "metadata": customer.metadata,
    }


def _previous_customer(previous: Mapping[str, Any] | None) -> Mapping[str, Any]:
    settings = (previous or {}).get("invoice_settings")
    return {**(previous or {}), **(settings if isinstance(settings, Mapping) else {})}


_CARD = ("brand", "last4", "exp_month", "exp_year", "funding", "country", "fingerprint")


def _judge_method(row: MethodRow, fact: MethodFacts) -> Verdict:
    previous = fact.source.previous
    if previous and isinstance(card := previous.get("card"), Mapping):
        previous = {**previous, **{name: card[name] for name in _CARD if name in card}}
    shown = {name: getattr(row, f"card_{name}") for name in _CARD} | {"customer": row.stripe_customer_id}
    return judge(
        replace(fact.source, previous=previous),
        row_at=row.state_at,
        revision=row.revision,
        shown=shown,
        state=_method_state(fact.value, shown),
    )


def _method_state(method: PaymentMethod, shown: Mapping[str, Any]) -> Mapping[str, Any]:
    state = {name: pick(getattr(method, f"card_{name}"), shown[name]) for name in _CARD}
    return state | {"customer": pick(method.customer, shown["customer"])}
