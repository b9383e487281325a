"""`Comparer`: Stripe's objects beside their rows, without what may not be kept of erased persons."""

from collections.abc import Sequence
from typing import Any

from tallystick.core.clock import Clock
from tallystick.platform.database import Database
from tallystick.reconciliation.compare import Compared, compare
from tallystick.reconciliation.compare_rules import Row
from tallystick.reconciliation.kinds import Kind
from tallystick.stripe_gateway.ordering import Source
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["Comparer"]


class Comparer:
    """Compares for one installation, at the present business time."""

    def __init__(self, database: Database, clock: Clock, installation_id: str, webhooks: StripeWebhookService) -> None:
        self._database = database
        self._clock = clock
        self._installation = installation_id
        self._webhooks = webhooks

    async def kept(self, kind: Kind, value: Any) -> Any:
        """An object as the mirror may show it."""
        return (await self.all_kept(kind, [value]))[0]

    async def all_kept(self, kind: Kind, values: Sequence[Any]) -> list[Any]:
        """The same for many objects of one kind."""
        source = Source("fetch", self._clock.now())
        async with self._database.connection() as connection:
            facts = await self._webhooks.redacted(connection, [kind.fact(value, source) for value in values])
        return [fact.value for fact in facts]

    def compare(self, kind: Kind, value: Any, row: Row | None) -> Compared | None:
        """As `compare.compare`."""
        return compare(kind.object, value, row, self._installation, self._clock.now())
