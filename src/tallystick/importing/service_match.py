"""`CustomerMatcher`: customers made elsewhere find the users whose they are.

What our own metadata says was heeded when the customer was recorded. After that counts what an operator says (a map),
then an e-mail address that one user and one customer have. A token's address may be unverified, and money must not go
to a stranger: so nobody is matched later, at a first token, but only here.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

from tallystick.customers.service import StripeCustomerService
from tallystick.importing.models import Unmatched
from tallystick.importing.repository_match import MatchRepository
from tallystick.platform.database import Database, Transaction

__all__ = ["Claim", "CustomerMatcher"]

Claim: TypeAlias = Callable[[Transaction, str, UUID], Awaitable[None]]
"""Gives what hangs on a customer (Stripe's id) to a user."""

_CHUNK = 200


class CustomerMatcher:
    """Matches, and tells who could not be matched."""

    def __init__(
        self, database: Database, installation_id: str, customers: StripeCustomerService, claims: Sequence[Claim]
    ) -> None:
        self._database = database
        self._installation = installation_id
        self._customers = customers
        self._claims = claims
        self._repository = MatchRepository()

    async def by_map(self, pairs: Sequence[tuple[str, str]]) -> int:
        """Give customers (Stripe's ids) to users (the host application's ids, made where they are new); how many."""
        matched = 0
        for first in range(0, len(pairs), _CHUNK):
            chunk = sorted(pairs[first : first + _CHUNK])

            async def claim(tx: Transaction, chunk: Sequence[tuple[str, str]] = chunk) -> int:
                known = await self._customers.owners(tx, [customer_id for _, customer_id in chunk])
                done = 0
                for external_id, customer_id in chunk:
                    if customer_id in known and known[customer_id] is None:
                        user = await self._customers.record_user(tx, external_id)
                        done += await self._claim(tx, user.id, customer_id)
                return done

            matched += await self._database.run(claim)
        return matched

    async def by_email(self) -> int:
        """Give each customer whose address only it and one user have to that user; how many."""
        matched, after = 0, ""
        while True:
            async with self._database.connection() as connection:
                found = await self._repository.by_email(connection, self._installation, after, _CHUNK)
            if not found:
                return matched
            after = found[-1][0]

            async def claim(tx: Transaction, found: Sequence[tuple[str, UUID]] = found) -> int:
                # In the order in which everybody locks users.
                ordered = sorted(found, key=lambda pair: pair[1])
                return sum([await self._claim(tx, user_id, customer_id) for customer_id, user_id in ordered])

            matched += await self._database.run(claim)

    async def unmatched(self) -> AsyncIterator[Unmatched]:
        """Every customer without a user, and why: `no_email`, `no_user`, `several_users`, `several_customers`,
        `user_has_customer`, `other_installation`; `not_asked`: its address would match."""
        after = ""
        while True:
            async with self._database.connection() as connection:
                found = await self._repository.unmatched(connection, self._installation, after, _CHUNK)
            for one in found:
                yield one
            if len(found) < _CHUNK:
                return
            after = found[-1].customer_id

    async def reasons(self) -> Mapping[str, int]:
        """How many customers have no user, by reason."""
        async with self._database.connection() as connection:
            return await self._repository.reasons(connection, self._installation)

    async def _claim(self, tx: Transaction, user_id: UUID, customer_id: str) -> bool:
        if not await self._customers.claim(tx, user_id, customer_id):
            return False
        for claim in self._claims:
            await claim(tx, customer_id, user_id)
        return True
