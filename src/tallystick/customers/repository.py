"""SQL of users, customers and payment methods."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tallystick.core.ids import new_id
from tallystick.customers.models import CustomerRow, MethodRow, User
from tallystick.platform.database import Connection, Record, Transaction
from tallystick.platform.mirror_table import MirrorTable

__all__ = ["CustomerRepository", "UserRepository"]

_COLUMNS = "id, external_id, email, name, locale, stripe_customer_id, customer_generation"


def _user(row: Record | None) -> User:
    if row is None:
        raise LookupError("no such user")
    return User(*row)


class UserRepository:
    """Reads and writes `users`."""

    async def find_by_external_id(self, connection: Connection, external_id: str) -> User | None:
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE external_id = $1", external_id)
        return _user(row) if row else None

    async def get(self, connection: Connection, user_id: UUID) -> User:
        """A user; raises LookupError for one that is not there, or was erased."""
        row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM users WHERE id = $1 AND erased_at IS NULL", user_id)
        return _user(row)

    async def find_owner(self, connection: Connection, external_id: str, stripe_customer_id: str | None) -> UUID | None:
        """The user of this external id; of an erased user's customer that user, whose id it was before."""
        found: UUID | None = await connection.fetchval(
            """
            SELECT coalesce(
                (SELECT u.id FROM customers c JOIN users u ON u.id = c.user_id
                 WHERE c.stripe_customer_id = $2 AND u.erased_at IS NOT NULL),
                (SELECT id FROM users WHERE external_id = $1)
            )
            """,
            external_id,
            stripe_customer_id,
        )
        return found

    async def find_many(self, connection: Connection, user_ids: Sequence[UUID]) -> list[User]:
        rows = await connection.fetch(f"SELECT {_COLUMNS} FROM users WHERE id = ANY($1)", user_ids)
        return [_user(row) for row in rows]

    async def find_by_customer(self, connection: Connection, stripe_customer_id: str) -> UUID | None:
        """Whose customer this is or was."""
        found: UUID | None = await connection.fetchval(
            """
            SELECT coalesce(
                (SELECT id FROM users WHERE stripe_customer_id = $1),
                (SELECT user_id FROM customers WHERE stripe_customer_id = $1)
            )
            """,
            stripe_customer_id,
        )
        return found

    async def upsert(
        self, connection: Connection, external_id: str, email: str | None, now: datetime, locale: str | None = None
    ) -> User:
        """The user of this external id, made on first sight; a new e-mail address or locale replaces the old one."""
        row = await connection.fetchrow(
            f"""
            INSERT INTO users (id, external_id, email, created_at, updated_at, locale) VALUES ($1, $2, $3, $4, $4, $5)
            ON CONFLICT (external_id) DO UPDATE SET email = coalesce(excluded.email, users.email),
                locale = coalesce(excluded.locale, users.locale), updated_at = $4
            RETURNING {_COLUMNS}
            """,
            new_id(),
            external_id,
            email,
            now,
            locale,
        )
        return _user(row)

    async def lock(self, tx: Transaction, user_id: UUID, *, erased: bool = False) -> User:
        """A user, locked; raises LookupError for one that is not there, or was erased (unless those are asked for)."""
        return _user(
            await tx.fetchrow(
                f"SELECT {_COLUMNS} FROM users WHERE id = $1 AND (erased_at IS NULL OR $2) FOR UPDATE", user_id, erased
            )
        )

    async def note_customer_request(self, tx: Transaction, user_id: UUID, at: datetime) -> datetime:
        """Remember when a customer of this generation was first asked for, and tell it."""
        first: datetime = await tx.fetchval(
            """
            UPDATE users SET customer_requested_at = coalesce(customer_requested_at, $2) WHERE id = $1
            RETURNING customer_requested_at
            """,
            user_id,
            at,
        )
        return first

    async def set_customer(
        self, tx: Transaction, user_id: UUID, stripe_customer_id: str, now: datetime, *, generation: int | None = None
    ) -> None:
        """Make it the customer of a user who has none; nothing happens if a `generation` is named that has ended."""
        await tx.execute(
            """
            UPDATE users SET stripe_customer_id = $2, updated_at = $3
            WHERE id = $1 AND stripe_customer_id IS NULL AND customer_generation = coalesce($4, customer_generation)
            """,
            user_id,
            stripe_customer_id,
            now,
            generation,
        )

    async def forget_customer(self, tx: Transaction, stripe_customer_id: str, now: datetime) -> None:
        """The user's customer is gone: the next one is of a new generation, under a new key."""
        await tx.execute(
            """
            UPDATE users SET stripe_customer_id = NULL, customer_requested_at = NULL,
                customer_generation = customer_generation + 1, updated_at = $2
            WHERE stripe_customer_id = $1
            """,
            stripe_customer_id,
            now,
        )

    async def end_generation(self, tx: Transaction, user_id: UUID, generation: int, now: datetime) -> None:
        """The customer that this generation's key makes is gone; nothing happens if a later one has begun."""
        await tx.execute(
            """
            UPDATE users SET stripe_customer_id = NULL, customer_requested_at = NULL,
                customer_generation = customer_generation + 1, updated_at = $3
            WHERE id = $1 AND customer_generation = $2
            """,
            user_id,
            generation,
            now,
        )


_CUSTOMERS = MirrorTable("customers", CustomerRow, "stripe_customer_id")
_METHODS = MirrorTable("payment_methods", MethodRow, "stripe_payment_method_id")


class CustomerRepository:
    """Reads and writes `customers` and `payment_methods`."""

    async def find(self, connection: Connection, customer_id: UUID | str) -> CustomerRow | None:
        """A customer by our id or Stripe's, deleted ones too."""
        return await _CUSTOMERS.find(connection, customer_id)

    async def of_user(self, connection: Connection, user_id: UUID) -> CustomerRow | None:
        """The user's one customer, if there is one and we were told of it."""
        row = await connection.fetchrow(
            f"{_CUSTOMERS.select} WHERE stripe_customer_id = (SELECT stripe_customer_id FROM users WHERE id = $1)",
            user_id,
        )
        return _CUSTOMERS.read(row) if row else None

    async def lock(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, CustomerRow]:
        return await _CUSTOMERS.lock(tx, stripe_ids)

    async def save(self, tx: Transaction, rows: Sequence[CustomerRow]) -> None:
        await _CUSTOMERS.save(tx, rows)

    async def owners(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, tuple[UUID | None, bool]]:
        """Whose these customers are, and whether they are deleted; unknown ones have no entry."""
        rows = await tx.fetch(
            "SELECT stripe_customer_id, user_id, deleted FROM customers WHERE stripe_customer_id = ANY($1)", stripe_ids
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def default_methods(self, connection: Connection, stripe_ids: Sequence[str]) -> dict[str, str]:
        """The default payment method of those of these customers that have one."""
        rows = await connection.fetch(
            """
            SELECT stripe_customer_id, default_payment_method FROM customers
            WHERE stripe_customer_id = ANY($1) AND default_payment_method IS NOT NULL
            """,
            stripe_ids,
        )
        return {row[0]: row[1] for row in rows}

    async def find_method(self, connection: Connection, method_id: UUID | str) -> MethodRow | None:
        """A payment method by our id or Stripe's, detached ones too."""
        return await _METHODS.find(connection, method_id)

    async def methods_of(
        self, connection: Connection, stripe_customer_id: str, default: str | None, limit: int
    ) -> list[MethodRow]:
        """The customer's payment methods, the default first, then newest first."""
        rows = await connection.fetch(
            f"""
            {_METHODS.select} WHERE stripe_customer_id = $1
            ORDER BY (stripe_payment_method_id = $2) IS TRUE DESC, created_at DESC, id DESC LIMIT $3
            """,
            stripe_customer_id,
            default,
            limit,
        )
        return [_METHODS.read(row) for row in rows]

    async def lock_methods(self, tx: Transaction, stripe_ids: Sequence[str]) -> dict[str, MethodRow]:
        return await _METHODS.lock(tx, stripe_ids)

    async def save_methods(self, tx: Transaction, rows: Sequence[MethodRow]) -> None:
        await _METHODS.save(tx, rows)

    async def claim_methods(self, tx: Transaction, stripe_customer_id: str, user_id: UUID) -> None:
        """Methods that came before their customer was known to be this user's."""
        await tx.execute(
            """
            UPDATE payment_methods SET user_id = $2
            WHERE stripe_customer_id = $1 AND user_id IS DISTINCT FROM $2
            """,
            stripe_customer_id,
            user_id,
        )

    async def claim(self, tx: Transaction, stripe_customer_id: str, user_id: UUID, now: datetime) -> bool:
        """Give a customer of nobody to a user, with what hangs on it; False where it is somebody's, or deleted."""
        found = await tx.fetchval(
            """
            UPDATE customers SET user_id = $2, updated_at = $3
            WHERE stripe_customer_id = $1 AND user_id IS NULL AND NOT deleted RETURNING true
            """,
            stripe_customer_id,
            user_id,
            now,
        )
        if found is None:
            return False
        await self.claim_methods(tx, stripe_customer_id, user_id)
        await tx.execute(
            "UPDATE setup_intents SET user_id = $2 WHERE stripe_customer_id = $1 AND user_id IS NULL",
            stripe_customer_id,
            user_id,
        )
        return True

    async def detach_all(self, tx: Transaction, stripe_customer_id: str, at: datetime, now: datetime) -> None:
        """The customer is gone, and with it the use of its methods."""
        await tx.execute(
            """
            UPDATE payment_methods SET stripe_customer_id = NULL, user_id = NULL, revision = revision + 1,
                state_at = greatest(state_at, $2), updated_at = $3
            WHERE stripe_customer_id = $1
            """,
            stripe_customer_id,
            at,
            now,
        )
