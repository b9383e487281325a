"""`SubscriptionRecorder`: subscriptions from Stripe into rows, history, mails, facts and access, in whatever order.

The webhook's handler, a fetch and a command's last step call the same `record`, in their own transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from tallystick.attempts.service import AttemptService
from tallystick.core.clock import Clock
from tallystick.core.ids import new_id, parse_uuid
from tallystick.customers.service import StripeCustomerService
from tallystick.notifications.alerts import queue_alert
from tallystick.platform.database import Transaction, await_makers
from tallystick.platform.settings import Settings
from tallystick.stripe_gateway.objects_billing import Subscription
from tallystick.stripe_gateway.ordering import Verdict, later
from tallystick.subscriptions.models import LIVE, SubscriptionChange, SubscriptionFacts, SubscriptionRow
from tallystick.subscriptions.repository import SubscriptionRepository
from tallystick.subscriptions.service_access import AccessKeeper
from tallystick.subscriptions.service_facts import SubscriptionTeller
from tallystick.subscriptions.service_history import Chronicle, SubscriptionHistorian
from tallystick.subscriptions.service_mails import SubscriptionMails
from tallystick.subscriptions.service_told import News, begins, news_of_change, news_of_life, news_of_notice
from tallystick.subscriptions.states import ACTIVE, UPDATED, blank, judge, with_state
from tallystick.webhooks.errors import ParentMissing
from tallystick.webhooks.service import queue_fetches

__all__ = ["META_INSTALLATION", "META_SUBSCRIPTION", "META_USER", "SubscriptionRecorder"]

META_INSTALLATION = "tallystick_installation"
META_SUBSCRIPTION = "tallystick_subscription"
META_USER = "tallystick_user"


class SubscriptionRecorder:
    """Applies subscriptions to the mirror, and does what follows from them."""

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        subscriptions: SubscriptionRepository,
        customers: StripeCustomerService,
        attempts: AttemptService,
        mails: SubscriptionMails,
        teller: SubscriptionTeller,
        access: AccessKeeper,
    ) -> None:
        self._clock = clock
        self._installation = settings.installation_id
        self._several = settings.allow_multiple_subscriptions
        self._paused_keep = settings.paused_subscriptions_keep_access
        self._subscriptions = subscriptions
        self._customers = customers
        self._historian = SubscriptionHistorian(subscriptions, attempts)
        self._mails = mails
        self._teller = teller
        self._access = access

    async def record(self, tx: Transaction, facts: Sequence[SubscriptionFacts]) -> list[SubscriptionChange]:
        """Apply `facts` in their order; doing it again changes nothing. A change for each of them.

        Raises:
            ParentMissing: a subscription of nobody we know, whose customer is not here yet.
        """
        if not facts:
            return []
        rows = await self._lock(tx, facts)
        owners = await self._owners(tx, [fact for fact in facts if rows[fact.value.id].user_id is None])
        first = dict(rows)
        chronicle = await self._historian.open(tx, [(rows[fact.value.id], fact) for fact in facts])
        changes = []
        for fact in facts:
            change = self._apply(rows[fact.value.id], fact, owners.get(fact.value.id), chronicle)
            rows[fact.value.id] = change.new
            changes.append(change)
        changed = {stripe_id: row for stripe_id, row in rows.items() if row != first[stripe_id]}
        await self._subscriptions.save(tx, list(changed.values()))
        await self._historian.write(tx, chronicle)
        await self._flag_seconds(tx, first, changed)
        await self._tell(tx, changes, rows, chronicle)
        await self._settle(tx, changes, changed)
        await queue_fetches(tx, [id_ for id_, row in changed.items() if row.unsure], self._clock)
        return changes

    # Whose it is

    def _our_id(self, value: Subscription) -> UUID | None:
        if value.metadata.get(META_INSTALLATION) != self._installation:
            return None
        return parse_uuid(value.metadata.get(META_SUBSCRIPTION, ""))

    async def _owners(self, tx: Transaction, facts: Sequence[SubscriptionFacts]) -> dict[str, UUID]:
        """The user of each subscription: the one its metadata names, else its customer's; none: no user of ours."""
        owners: dict[str, UUID] = {}
        # In an order that all lanes share, as users whom nobody has seen are made with them.
        values = {fact.value.id: fact.value for fact in facts}
        for value in sorted(values.values(), key=lambda value: value.metadata.get(META_USER, "")):
            named = value.metadata.get(META_USER)
            ours = value.metadata.get(META_INSTALLATION) == self._installation
            owner = await self._customers.record_owner(tx, named if ours else None, value.customer)
            if owner is not None:
                owners[value.id] = owner
            elif value.customer and value.customer not in await self._customers.known(tx, [value.customer]):
                raise ParentMissing(value.customer)
        return owners

    async def _lock(self, tx: Transaction, facts: Sequence[SubscriptionFacts]) -> dict[str, SubscriptionRow]:
        """The rows that these facts are about, by Stripe's id; of one not seen before a blank one, not saved yet."""
        values = {fact.value.id: fact.value for fact in facts}
        ours = {stripe_id: our_id for stripe_id, value in values.items() if (our_id := self._our_id(value))}
        found = await self._subscriptions.lock_many(tx, list(values), list(ours.values()))
        missing = values.keys() - {row.stripe_subscription_id for row in found}
        if await await_makers(tx, missing):
            found = await self._subscriptions.lock_many(tx, list(values), list(ours.values()))
        by_id = {row.id: row for row in found}
        rows = {row.stripe_subscription_id: row for row in found if row.stripe_subscription_id}
        for stripe_id, value in values.items():
            if stripe_id not in rows:
                our_id = ours.get(stripe_id)
                made = by_id.get(our_id) if our_id else None
                rows[stripe_id] = made or blank(our_id or new_id(), value, self._clock.now())
        return rows

    # The state

    def _apply(
        self, row: SubscriptionRow, fact: SubscriptionFacts, owner: UUID | None, chronicle: Chronicle
    ) -> SubscriptionChange:
        value, source = fact.value, fact.source
        verdict = judge(row, fact, left=chronicle.leads_away(row, fact))
        old = None if row.state_at is None else row
        applied = verdict is not Verdict.KEEP
        new = row
        if applied:
            new = replace(
                with_state(row, value),
                claimed=row.claimed or self._our_id(value) == row.id,
                revision=row.revision + 1,
                state_at=later(row.state_at, source),
                unsure=verdict is Verdict.UNSURE,
                created_at=value.created,
            )
        activated = source.at if value.status in ACTIVE else None
        if activated is not None and (row.activated_at is None or activated < row.activated_at):
            new = replace(new, activated_at=activated)
        if row.user_id is None and owner is not None:
            new = replace(new, user_id=owner)
        if new != row:
            new = replace(new, updated_at=self._clock.now())
        chronicle.note(old, new, fact, applied=applied)
        return SubscriptionChange(old, new, fact, applied)

    # What follows

    async def _flag_seconds(
        self, tx: Transaction, first: dict[str, SubscriptionRow], changed: dict[str, SubscriptionRow]
    ) -> None:
        """Of two live subscriptions of a user, mark the one that was made elsewhere, and tell staff once."""
        if self._several:
            return
        users = {row.user_id for id_, row in changed.items() if row.user_id and _became_live(first[id_], row)}
        # Two lanes that make one each would not see the other's.
        await await_makers(tx, [f"subscriptions:{user_id}" for user_id in users])
        for user_id in sorted(users):
            live = await self._subscriptions.live_of(tx, user_id)
            for row in live:
                other = next((other for other in live if _is_second(row, other)), None)
                if other is None or not await self._subscriptions.flag(tx, row.id):
                    continue
                user = (await self._customers.find_many(tx, [user_id]))[user_id]
                payload = {
                    "user": user.external_id,
                    "subscription": row.stripe_subscription_id,
                    "other_subscription": other.stripe_subscription_id,
                }
                about = str(row.stripe_subscription_id)
                await queue_alert(tx, "second_subscription", about, payload, due_at=self._clock.now())

    async def _tell(
        self,
        tx: Transaction,
        changes: Sequence[SubscriptionChange],
        rows: dict[str, SubscriptionRow],
        chronicle: Chronicle,
    ) -> None:
        """Mails and facts, with the subscription as it is after the transaction."""
        news = News()
        for change in changes:
            row, fact = rows[change.fact.value.id], change.fact
            began = begins(fact, claimed=row.claimed)
            if _lived(change) or (began and not row.claimed):
                news += news_of_life(row, began=began or (row.claimed and row.activated_at is not None))
            news += news_of_notice(row, fact, paused_keep=self._paused_keep)
            told = chronicle.told_by(fact)
            if told is not None and fact.source.event_type == UPDATED:
                news += news_of_change(row, told, paused_keep=self._paused_keep)
        await self._mails.queue(tx, news.mails)
        await self._teller.tell(tx, news.facts)

    async def _settle(
        self, tx: Transaction, changes: Sequence[SubscriptionChange], changed: dict[str, SubscriptionRow]
    ) -> None:
        """Access, as of the moment of what was applied last."""
        moments: dict[str, datetime] = {}
        for change in changes:
            if change.new != change.old:
                moments[change.fact.value.id] = _moment(change)
        for stripe_id, row in changed.items():
            await self._access.settle(tx, [row], moments.get(stripe_id, row.state_at or row.created_at))


def _moment(change: SubscriptionChange) -> datetime:
    """When that happened which a state shows; an end has a time of its own, whenever it is heard of."""
    ended_at = change.new.ended_at
    return min(change.fact.source.at, ended_at) if ended_at else change.fact.source.at


def _became_live(old: SubscriptionRow, new: SubscriptionRow) -> bool:
    return new.status in LIVE and (old.state_at is None or old.status not in LIVE or old.user_id is None)


def _is_second(row: SubscriptionRow, other: SubscriptionRow) -> bool:
    """Whether `row` was made elsewhere although there was `other`, or beside one of our own making."""
    if row.id == other.id or row.claimed:
        return False
    return other.claimed or (other.created_at, other.id) < (row.created_at, row.id)


def _lived(change: SubscriptionChange) -> bool:
    """Whether something changed of which is told once in a life."""
    old, new = change.old, change.new
    return old is None or any(
        getattr(old, name) != getattr(new, name) for name in ("status", "user_id", "activated_at")
    )
