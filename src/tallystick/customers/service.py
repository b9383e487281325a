"""`StripeCustomerService`: users by their tokens, and one Stripe customer for each of them, whatever races."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.core.errors import Forbidden, InvalidRequest, Unavailable
from tallystick.customers.models import CustomerFacts, MethodRow, User
from tallystick.customers.repository import CustomerRepository, UserRepository
from tallystick.customers.service_record import META_GENERATION, META_INSTALLATION, META_USER, CustomerRecorder
from tallystick.customers.service_refresh import retrieve_customer
from tallystick.platform.auth import Actor, Identity
from tallystick.platform.database import Database, Transaction
from tallystick.platform.settings import Settings
from tallystick.platform.work import Retry, WorkItem
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.leaving import leaving_while
from tallystick.stripe_gateway.objects import Answer, Customer
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.service import StripeService

__all__ = ["StripeCustomerService"]

log = structlog.get_logger()

_SEPARATOR = "\x1f"
_REMEMBERED_USERS = 10_000
# An erased user's id may come back, as another user's; who still has it in mind is told no later than this.
_REMEMBERED_S = 10.0
# Stripe keeps idempotency keys for at least 24 hours; an hour of margin for clocks and slow calls.
_KEY_PROTECTS = timedelta(hours=23)
_GENERATIONS_A_CALL = 3


class StripeCustomerService:
    """Finds and makes users and their customers."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        stripe: StripeService,
        users: UserRepository,
        customers: CustomerRepository,
        recorder: CustomerRecorder,
    ) -> None:
        self._database = database
        self._clock = clock
        self._installation = settings.installation_id
        self._buyers_hold_tokens = settings.buyers_hold_tokens
        self._stripe = stripe
        self._users = users
        self._customers = customers
        self._recorder = recorder
        self._seen: dict[str, tuple[User, float]] = {}

    async def actor(
        self, identity: Identity, on_behalf_of: str | None, email: str | None = None, locale: str | None = None
    ) -> Actor:
        """The actor behind a token; `on_behalf_of` is the user whom a `service` token acts for, with `email` and
        `locale` where it names them.

        Raises:
            InvalidRequest: a service token without, or with an unusable, `Tallystick-User`.
            Forbidden: another role names a user to act for.
        """
        if "service" in identity.roles:
            if not on_behalf_of or len(on_behalf_of) > 255 or "\x00" in on_behalf_of:
                raise InvalidRequest(
                    "A token with the role service acts for a user.",
                    field="Tallystick-User",
                    action="Name the user in the header Tallystick-User.",
                )
            user_id = await self._user_id(on_behalf_of, email, locale)
            return Actor(user_id, on_behalf_of, frozenset({"service"}))
        if on_behalf_of and on_behalf_of != identity.subject:
            raise Forbidden("Only the role service may act for another user.", field="Tallystick-User")
        user_id = await self._user_id(identity.subject, identity.email, identity.locale)
        shop = bool(identity.roles & {"admin", "support"})
        return Actor(user_id, identity.subject, identity.roles, buyer=self._buyers_hold_tokens and not shop)

    async def _user_id(self, external_id: str, email: str | None, locale: str | None) -> UUID:
        known = self._seen.get(external_id)
        if known is not None and known[1] > self._clock.monotonic() - _REMEMBERED_S and _says(known[0], email, locale):
            return known[0].id
        async with self._database.connection() as connection:
            user = await self._users.find_by_external_id(connection, external_id)
            if user is None or not _says(user, email, locale):
                user = await self._users.upsert(connection, external_id, email, self._clock.now(), locale)
        if len(self._seen) >= _REMEMBERED_USERS:
            self._seen.clear()
        self._seen[external_id] = (user, self._clock.monotonic())
        return user.id

    def forget(self, external_id: str) -> None:
        """Look a user up again, as its id was given up."""
        self._seen.pop(external_id, None)

    async def find_many(self, tx: Transaction, user_ids: Sequence[UUID]) -> dict[UUID, User]:
        """The users of these ids."""
        return {user.id: user for user in await self._users.find_many(tx, user_ids)}

    async def record_owner(
        self, tx: Transaction, external_id: str | None, stripe_customer_id: str | None
    ) -> UUID | None:
        """The user an object of Stripe's belongs to: the one its metadata names, else its customer's, else None."""
        if external_id:
            # Most are known; writing them all the same would have lanes with the same users wait for each other.
            known = await self._users.find_owner(tx, external_id, stripe_customer_id)
            return known or (await self._users.upsert(tx, external_id, None, self._clock.now())).id
        if not stripe_customer_id:
            return None
        if owner := await self._users.find_by_customer(tx, stripe_customer_id):
            return owner
        # Of a customer that the user had before this one.
        return (await self.owners(tx, [stripe_customer_id])).get(stripe_customer_id)

    async def find_user(self, external_id: str) -> User | None:
        """A user by the host application's id."""
        async with self._database.connection() as connection:
            return await self._users.find_by_external_id(connection, external_id)

    async def owners(self, tx: Transaction, stripe_customer_ids: Sequence[str]) -> dict[str, UUID | None]:
        """Whose these customers are, deleted ones too; those that are not in the mirror have no entry."""
        found = await self._customers.owners(tx, stripe_customer_ids)
        return {stripe_id: user_id for stripe_id, (user_id, _) in found.items()}

    async def default_methods(self, tx: Transaction, stripe_customer_ids: Sequence[str]) -> dict[str, str]:
        """The default payment method of those of these customers that have one."""
        return await self._customers.default_methods(tx, stripe_customer_ids)

    async def known(self, tx: Transaction, stripe_customer_ids: Sequence[str]) -> set[str]:
        """Those of these customers that we were told of, deleted ones too."""
        return set(await self._customers.owners(tx, stripe_customer_ids))

    async def method_of(
        self, tx: Transaction, stripe_customer_id: str | None, method_id: str | None
    ) -> MethodRow | None:
        """The payment method `method_id`, else the customer's default, where it can be charged; else None."""
        if method_id is None and stripe_customer_id is not None:
            found = await self._customers.default_methods(tx, [stripe_customer_id])
            method_id = found.get(stripe_customer_id)
        row = await self._customers.find_method(tx, method_id) if method_id else None
        return row if row and row.stripe_customer_id else None

    async def card_of(
        self, tx: Transaction, stripe_customer_id: str | None, method_id: str | None
    ) -> tuple[str | None, str | None]:
        """Brand and last four digits of the card `method_id`, else of the customer's default; two None: no card."""
        row = await self.method_of(tx, stripe_customer_id, method_id)
        return (row.card_brand, row.card_last4) if row else (None, None)

    async def claim(self, tx: Transaction, user_id: UUID, stripe_customer_id: str) -> bool:
        """Make a customer that is nobody's the one customer of a user who has none; False where that is not so."""
        user = await self._users.lock(tx, user_id)
        if user.stripe_customer_id not in (None, stripe_customer_id):
            return False
        if not await self._customers.claim(tx, stripe_customer_id, user_id, self._clock.now()):
            return False
        await self._users.set_customer(tx, user_id, stripe_customer_id, self._clock.now())
        return True

    async def record_user(self, tx: Transaction, external_id: str) -> User:
        """The user of the host application's id, made on first sight."""
        known = await self._users.find_by_external_id(tx, external_id)
        return known or await self._users.upsert(tx, external_id, None, self._clock.now())

    async def record_gone(self, tx: Transaction, stripe_customer_id: str) -> None:
        """Record that a customer was deleted, though no event told: Stripe refuses it."""
        gone = Customer(id=stripe_customer_id, metadata={}, deleted=True)
        await self._recorder.record(tx, [CustomerFacts(gone, Source("answer", self._clock.now()))])

    async def lock(self, tx: Transaction, user_id: UUID) -> User:
        """Lock a user, until `tx` ends; raises `Unavailable` for one that is not in the database any more."""
        try:
            return await self._users.lock(tx, user_id)
        except LookupError as error:
            raise self.lost() from error

    def lost(self) -> Unavailable:
        """For a user seen by this process, and gone: the database was restored behind it. The repeat makes it anew."""
        self._seen.clear()
        return Unavailable(retry_after_s=1)

    async def revision_of(self, stripe_customer_id: str) -> int | None:
        """The revision of a customer's row, to be read before a call that changes it."""
        async with self._database.connection() as connection:
            row = await self._customers.find(connection, stripe_customer_id)
        return row.revision if row else None

    async def customer_of(self, user_id: UUID) -> str | None:
        """The id of the user's Stripe customer, if there is one."""
        async with self._database.connection() as connection:
            users = await self._users.find_many(connection, [user_id])
        return users[0].stripe_customer_id if users else None

    async def ensure_customer(self, user_id: UUID) -> str:
        """The id of the user's one Stripe customer, made if there is none.

        The create is the same request under the same key however often and from wherever it is sent, so Stripe
        answers with the same customer. Only where the key is too old to protect is the customer searched first. An
        answer that Stripe repeats is old: if its customer was deleted since, the next one is of a new generation.

        Raises:
            Unavailable: the user is not in the database any more; the next request makes it again.
        """
        for _ in range(_GENERATIONS_A_CALL):
            try:
                async with self._database.connection() as connection:
                    user = await self._users.get(connection, user_id)
                if user.stripe_customer_id:
                    return user.stripe_customer_id
                made = await self._make(user)
            except LookupError as error:
                raise self.lost() from error
            if made:
                return made
        raise Unavailable(retry_after_s=1)

    async def _make(self, user: User) -> str | None:
        """The customer of the user's generation; None if it was deleted, or the generation has ended."""
        async with self._database.transaction() as tx:
            since = await self._users.note_customer_request(tx, user.id, self._clock.wall())
        found = None
        if (wall := self._clock.wall()) - since > _KEY_PROTECTS:
            found, since = await self._search(user), wall
        if found is None:
            key = _key("customer", self._installation, user.external_id, str(user.generation))
            with leaving_while(lambda: self._clock.wall() - since <= _KEY_PROTECTS):
                answer = await self._stripe.create_customer({"metadata": self._metadata(user)}, key)
            if answer.at is None:
                found = answer.value.id
        if found is not None:
            answer = await retrieve_customer(self._stripe, found)
        customer = answer.value

        async def record(tx: Transaction) -> str | None:
            await self._record(tx, answer)
            if customer.deleted:
                await self._users.end_generation(tx, user.id, user.generation, self._clock.now())
                return None
            # While we stood still it may have been made known by another, deleted, and forgotten again.
            await self._users.set_customer(tx, user.id, customer.id, self._clock.now(), generation=user.generation)
            return (await self._users.get(tx, user.id)).stripe_customer_id

        kept = await self._database.run(record)
        if kept == customer.id:
            await self._send_email_address(user, customer.id)
        return kept

    async def _record(self, tx: Transaction, answer: Answer[Customer], base_revision: int | None = None) -> None:
        at = answer.at or answer.value.created or self._clock.now()
        await self._recorder.record(
            tx, [CustomerFacts(answer.value, Source("answer", at, base_revision=base_revision))]
        )

    async def send_email_address(self, item: WorkItem) -> None:
        """Tell Stripe the address of a customer that has none yet; raises `Retry` where Stripe is away."""
        async with self._database.connection() as connection:
            users = await self._users.find_many(connection, [UUID(item.payload["user_id"])])
            customer_id = users[0].stripe_customer_id if users else None
            row = await self._customers.find(connection, customer_id) if customer_id else None
        if row is None or row.email is not None or row.deleted:
            return
        if not await self._send_email_address(users[0], row.stripe_customer_id):
            raise Retry("the address was not taken", counted=True)

    async def _send_email_address(self, user: User, customer_id: str) -> bool:
        if not user.email:
            return True
        key = _key("customer-email", self._installation, customer_id, user.email)
        try:
            revision = await self.revision_of(customer_id)
            answer = await self._stripe.update_customer(customer_id, {"email": user.email}, key)
        except GatewayError as error:
            # The customer exists; its address at Stripe is a convenience and no reason to fail a payment.
            log.warning("customer.email_not_sent", outcome=type(error).__name__)
            return False
        if answer.at is not None:
            await self._database.run(lambda tx: self._record(tx, answer, revision))
        return True

    def _metadata(self, user: User) -> dict[str, str]:
        return {
            META_INSTALLATION: self._installation,
            META_USER: user.external_id,
            META_GENERATION: str(user.generation),
        }

    async def _search(self, user: User) -> str | None:
        wanted = self._metadata(user)
        query = f"metadata['{META_USER}']:{_quoted(user.external_id)}"
        found = [
            customer
            for customer in await self._stripe.search_customers(query)
            if not customer.deleted and wanted.items() <= customer.metadata.items()
        ]
        return (
            min(found, key=lambda customer: (customer.created or self._clock.wall(), customer.id)).id if found else None
        )


def _says(user: User, email: str | None, locale: str | None) -> bool:
    return (email is None or user.email == email) and (locale is None or user.locale == locale)


def _key(*parts: str) -> str:
    """A key of bounded length, the same for the same parts on every machine and in every restored database."""
    return f"{parts[0]}:{hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
