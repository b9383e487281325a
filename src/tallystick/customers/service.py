"""`StripeCustomerService`: users by their tokens, and one Stripe customer for each of them, whatever races."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from tallystick.core.clock import Clock
from tallystick.core.errors import Forbidden, InvalidRequest, Unavailable
from tallystick.customers.models import User
from tallystick.customers.repository import UserRepository
from tallystick.platform.auth import Actor, Identity
from tallystick.platform.database import Database, Transaction
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.errors import GatewayError
from tallystick.stripe_gateway.service import StripeService

__all__ = ["StripeCustomerService"]

log = structlog.get_logger()

_SEPARATOR = "\x1f"
_REMEMBERED_USERS = 10_000
# Stripe keeps idempotency keys for at least 24 hours; an hour of margin for clocks and slow calls.
_KEY_PROTECTS = timedelta(hours=23)


class StripeCustomerService:
    """Finds and makes users and their customers."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, stripe: StripeService, users: UserRepository
    ) -> None:
        self._database = database
        self._clock = clock
        self._installation = settings.installation_id
        self._stripe = stripe
        self._users = users
        self._seen: dict[str, tuple[UUID, str | None]] = {}

    async def actor(self, identity: Identity, on_behalf_of: str | None, email: str | None = None) -> Actor:
        """The actor behind a token; `on_behalf_of` is the user whom a `service` token acts for.

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
            return Actor(await self._user_id(on_behalf_of, email), on_behalf_of, frozenset({"service"}))
        if on_behalf_of and on_behalf_of != identity.subject:
            raise Forbidden("Only the role service may act for another user.", field="Tallystick-User")
        return Actor(await self._user_id(identity.subject, identity.email), identity.subject, identity.roles)

    async def _user_id(self, external_id: str, email: str | None) -> UUID:
        known = self._seen.get(external_id)
        if known is not None and (email is None or known[1] == email):
            return known[0]
        async with self._database.connection() as connection:
            user = await self._users.find_by_external_id(connection, external_id)
            if user is None or (email is not None and user.email != email):
                user = await self._users.upsert(connection, external_id, email, self._clock.now())
        if len(self._seen) >= _REMEMBERED_USERS:
            self._seen.clear()
        self._seen[external_id] = (user.id, user.email)
        return user.id

    async def find_many(self, tx: Transaction, user_ids: Sequence[UUID]) -> dict[UUID, User]:
        """The users of these ids."""
        return {user.id: user for user in await self._users.find_many(tx, user_ids)}

    async def record_owner(
        self, tx: Transaction, external_id: str | None, stripe_customer_id: str | None
    ) -> UUID | None:
        """The user an object of Stripe's belongs to: the one its metadata names, else its customer's, else None."""
        if external_id:
            return (await self._users.upsert(tx, external_id, None, self._clock.now())).id
        if stripe_customer_id:
            return await self._users.find_by_customer(tx, stripe_customer_id)
        return None

    async def ensure_customer(self, user_id: UUID) -> str:
        """The id of the user's one Stripe customer, made if there is none.

        The create is the same request under the same key however often and from wherever it is sent, so Stripe
        answers with the same customer. Only where the key is too old to protect is the customer searched first.

        Raises:
            Unavailable: the user is not in the database any more; the next request makes it again.
        """
        try:
            async with self._database.connection() as connection:
                user = await self._users.get(connection, user_id)
        except LookupError as error:
            # Seen by this process, and gone: the database was restored behind it. The repeat makes the user anew.
            self._seen.clear()
            raise Unavailable(retry_after_s=1) from error
        if user.stripe_customer_id:
            return user.stripe_customer_id
        async with self._database.transaction() as tx:
            first_asked = await self._users.note_customer_request(tx, user_id, self._clock.wall())
        customer_id = None
        if self._clock.wall() - first_asked > _KEY_PROTECTS:
            customer_id = await self._search(user)
        if customer_id is None:
            key = _key("customer", self._installation, user.external_id, str(user.generation))
            answer = await self._stripe.create_customer({"metadata": self._metadata(user)}, key)
            customer_id = answer.value.id
        async with self._database.transaction() as tx:
            await self._users.set_customer(tx, user_id, customer_id, self._clock.now())
            kept = (await self._users.get(tx, user_id)).stripe_customer_id
        await self._send_email_address(user, customer_id)
        return kept or customer_id

    async def _send_email_address(self, user: User, customer_id: str) -> None:
        if not user.email:
            return
        key = _key("customer-email", self._installation, customer_id, user.email)
        try:
            await self._stripe.update_customer(customer_id, {"email": user.email}, key)
        except GatewayError as error:
            # The customer exists; its address at Stripe is a convenience and no reason to fail a payment.
            log.warning("customer.email_not_sent", outcome=type(error).__name__)

    def _metadata(self, user: User) -> dict[str, str]:
        return {
            "tallystick_installation": self._installation,
            "tallystick_user": user.external_id,
            "tallystick_generation": str(user.generation),
        }

    async def _search(self, user: User) -> str | None:
        wanted = self._metadata(user)
        query = f"metadata['tallystick_user']:{_quoted(user.external_id)}"
        found = [
            customer
            for customer in await self._stripe.search_customers(query)
            if not customer.deleted and wanted.items() <= customer.metadata.items()
        ]
        return (
            min(found, key=lambda customer: (customer.created or self._clock.wall(), customer.id)).id if found else None
        )


def _key(*parts: str) -> str:
    """A key of bounded length, the same for the same parts on every machine and in every restored database."""
    return f"{parts[0]}:{hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
