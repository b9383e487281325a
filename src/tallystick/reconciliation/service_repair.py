"""`Repairer`: makes a row what Stripe says, by its area's own recorder. Nothing is ever written to Stripe.

The fetched object replaces the row if nothing moved it since it was read (`Source.repair`), and is kept in the inbox as
what it is, so that the mirror can be rebuilt from there. People hear of it only where an event was missed, which enters
the inbox then, or waits there to be applied: what both tell is told once.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from tallystick.core.clock import from_unix
from tallystick.notifications.silence import silent
from tallystick.platform.database import Database, Transaction
from tallystick.platform.work import Retry
from tallystick.reconciliation.compare_rules import Row
from tallystick.reconciliation.kinds import Json, Kind
from tallystick.reconciliation.repository_mirror import Evidence, MirrorReader
from tallystick.stripe_gateway.ordering import Source
from tallystick.stripe_gateway.translate import reference
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.registry import Record, Registry
from tallystick.webhooks.service import StripeWebhookService

__all__ = ["Repairer", "RowMoved"]

_PARENTS = 3


class RowMoved(Exception):
    """Something has moved the row since it was compared."""


class Repairer:
    """Repairs one row at a time, each in a transaction of its own."""

    def __init__(self, database: Database, registry: Registry, webhooks: StripeWebhookService) -> None:
        self._database = database
        self._registry = registry
        self._webhooks = webhooks
        self._mirror = MirrorReader()
        self._evidence = Evidence()

    async def mend(
        self,
        kind: Kind,
        value: Any,
        raw: Json,
        row: Row | None,
        at: datetime,
        missed: Sequence[Json],
        mark: datetime,
        conclude: Callable[[Transaction], Awaitable[None]],
    ) -> bool:
        """Record Stripe's object as it was `at`; False where a parent that it needs cannot be had.

        `missed` events enter the inbox; those since the installation's `mark` are told of, as are those that it has and
        has not applied. `conclude` ends the transaction. Raises RowMoved.
        """
        source = Source("fetch", at, base_revision=row["revision"] if row else None, repair=True)
        deleted = bool(getattr(value, "deleted", False)) and not raw.get("deleted")
        event_type = f"{kind.object}.{'deleted' if deleted else 'repaired'}"
        keys = list(dict.fromkeys([value.id, _key(kind, value.id, raw)]))
        loud = any(from_unix(event["created"]) >= mark for event in missed)

        async def record(tx: Transaction) -> None:
            known = (await self._mirror.rows(tx, kind, [value.id])).get(value.id)
            if (known or {}).get("revision") != source.base_revision:
                raise RowMoved
            await self._webhooks.ingest(tx, list(reversed(missed)), "reconcile")
            handler = self._registry.find(kind.event_type)
            assert handler is not None, kind.event_type
            # Its charges and refunds are under a payment's key as well: they tell of it.
            telling = loud or bool(await self._evidence.unapplied(tx, keys, mark))
            with silent(unless=telling):
                await handler.record(tx, await self._webhooks.redacted(tx, [kind.fact(value, source)]))
            if row is None:
                await self._retell(tx, value.id, keys)
            await self._webhooks.record_applied(
                tx,
                source="repair",
                event_type=event_type,
                object_id=value.id,
                object_key=_key(kind, value.id, raw),
                obj=raw,
                at=at,
            )
            await conclude(tx)

        for _ in range(_PARENTS):
            try:
                await self._database.run(record)
            except ParentMissing as missing:
                if not await self._fetch(missing.parent_id, mark, loud=loud):
                    return False
            else:
                return True
        return False

    async def remove(
        self, kind: Kind, row: Row, conclude: Callable[[Transaction, dict[str, Any]], Awaitable[None]]
    ) -> None:
        """Remove a row of which Stripe knows nothing, with what hangs on it.

        `conclude` ends the transaction, with what was removed, by table.
        """
        async with self._database.transaction() as tx:
            await conclude(tx, await self._mirror.remove(tx, kind, row["id"]))

    async def _retell(self, tx: Transaction, object_id: str, keys: Sequence[str]) -> None:
        """Apply once more what the inbox has about an object whose row was lost: the present state does not tell its
        history, nor when its payment failed first. Nobody hears of it."""
        by_recorder: dict[int, tuple[Record, list[Any]]] = {}
        for event in await self._evidence.stored_events(tx, object_id, keys):
            handler = self._registry.find(event.type)
            # An end that Stripe does not show is not the last word: ids of products and coupons are given again.
            if handler is not None and (not event.type.endswith(".deleted") or event.object_key.startswith("sub_")):
                by_recorder.setdefault(handler.rank, (handler.record, []))[1].extend(handler.translate(event.open()))
        with silent():
            for rank in sorted(by_recorder):
                record, facts = by_recorder[rank]
                await record(tx, facts)

    async def _fetch(self, parent_id: str, mark: datetime, *, loud: bool) -> bool:
        if not self._registry.can_fetch(parent_id):
            return False
        async with self._database.connection() as connection:
            telling = loud or bool(await self._evidence.unapplied(connection, [parent_id], mark))
        try:
            with silent(unless=telling):
                await self._registry.fetch(parent_id)
        except Retry:
            return False
        return True


def _key(kind: Kind, object_id: str, raw: Json) -> str:
    """What the order of an object's events is kept by."""
    if kind.object in ("charge", "refund", "dispute"):
        return reference(raw.get("payment_intent")) or object_id
    return object_id
