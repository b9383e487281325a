"""`CheckoutService`: checkout sessions. One session ends in one payment, whatever its customer does with the page.

The page asks for nothing at Stripe until its button is pressed. Then the session's payment is created, by a request
that is the same for every press, tab and reload, and the browser confirms it with Stripe. What the page shows is
always our own record of that payment.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from tallystick.attempts.errors import OperationInProgress
from tallystick.attempts.models import Settled
from tallystick.core.checks import check_metadata, check_text
from tallystick.core.clock import Clock
from tallystick.core.errors import DomainError, GatewayConfigError, NotFound, Unavailable
from tallystick.core.ids import new_id, parse_uuid
from tallystick.customers.service import StripeCustomerService
from tallystick.pages.errors import CheckoutNotOpen
from tallystick.pages.models import (
    Changed,
    CheckoutKind,
    CheckoutRequest,
    CheckoutSession,
    Look,
    SavedMethod,
    Started,
    Terms,
    TermsChanged,
)
from tallystick.pages.repository import CheckoutRepository
from tallystick.pages.return_urls import check_return_url
from tallystick.pages.states import status_of
from tallystick.pages.views import session_view
from tallystick.platform import idempotency
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.platform.idempotency import Claimed, IdempotentRequest, KeyInProgress, StoredAnswer
from tallystick.platform.settings import Settings
from tallystick.platform.work import Retry, WorkItem, enqueue

__all__ = ["LOOK_WORK", "CheckoutService"]

log = structlog.get_logger()

LOOK_WORK = "checkout.look"
"""Due when a session's time is over, and now and then from when its customer pressed the button."""

_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43
_ASK_EVERY = timedelta(seconds=2)
_FIRST_LOOK = timedelta(seconds=30)
_LONGEST_LOOK = timedelta(hours=6)
_UNKNOWN_FOR = timedelta(minutes=20)


class CheckoutService:
    """Makes, shows and ends checkout sessions; `kinds` are the modes there are."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        sessions: CheckoutRepository,
        customers: StripeCustomerService,
        kinds: Mapping[str, CheckoutKind],
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._sessions = sessions
        self._customers = customers
        self._kinds = kinds

    # For the application

    async def create(self, actor: Actor, request: IdempotentRequest, wanted: CheckoutRequest) -> Settled:
        """Make a session; the answer lacks its `url`, which `link` adds, as no link is ever stored.

        Raises:
            AmountError, InvalidRequest, ReturnUrlRefused, GatewayConfigError: nothing was stored; also what refuses a
                subscription (`SubscriptionQuotes.quote`).
        """
        actor.require_write()
        if not self._settings.stripe_publishable_key:
            raise GatewayConfigError("STRIPE_PUBLISHABLE_KEY is not set, and the page cannot load Stripe's form.")
        kind = self._kinds[wanted.mode]
        check_text("description", wanted.description)
        check_metadata(wanted.metadata)
        for field in ("success_url", "cancel_url"):
            check_return_url(self._settings, field, getattr(wanted, field))
        async with self._database.connection() as connection:
            known = await idempotency.find(connection, request)
        if isinstance(known, StoredAnswer):
            # What was on offer then may not be now.
            return Settled(known.status, known.body)
        session = self._draft(actor, kind, wanted, await kind.terms(actor, wanted))

        async def make(tx: Transaction) -> Settled:
            claimed = await idempotency.claim(tx, request, self._clock.wall())
            if isinstance(claimed, StoredAnswer):
                return Settled(claimed.status, claimed.body)
            if not isinstance(claimed, Claimed):
                raise KeyInProgress(retry_after_s=1)
            if not await self._customers.find_many(tx, [session.user_id]):
                raise self._customers.lost()
            await self._sessions.insert(tx, session)
            await self._look_later(tx, session, "end", 0, session.expires_at - self._clock.now())
            body = session_view(session)
            await idempotency.complete(tx, claimed.id, 201, body)
            return Settled(201, body)

        return await self._database.run(make)

    async def link(self, session_id: UUID) -> str:
        """A new link to a session; only the hash of its token is kept."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        async with self._database.connection() as connection:
            await self._sessions.add_link(connection, _hash(token), session_id, self._clock.now())
        base = (self._settings.public_url or "http://localhost:8000").rstrip("/")
        return f"{base}/pay/{token}"

    async def get(self, actor: Actor, session_id: str) -> Look:
        """A session that the actor may see, as it is now; raises `NotFound`."""
        our_id = parse_uuid(session_id)
        session = None
        if our_id is not None:
            async with self._database.connection() as connection:
                session = await self._sessions.find(connection, our_id, actor.owner)
        if session is None:
            raise NotFound("There is no such checkout session.", field="id")
        return await self._look(session)

    async def expire(self, actor: Actor, session_id: str) -> Look:
        """End an open session before its time; its links are dead, and what was begun at Stripe is canceled.

        Raises:
            NotFound, CheckoutNotOpen: nothing was changed.
        """
        actor.require_write()
        found = await self.get(actor, session_id)
        if found.session.status == "expired":
            return found
        async with self._database.transaction() as tx:
            if not await self._sessions.end(tx, found.session.id, self._clock.now()):
                raise CheckoutNotOpen(f"The session is {found.session.status}.", session_status=found.session.status)
            await self._look_later(tx, found.session, "ended", 0, timedelta())
        return await self.get(actor, session_id)

    # For the page

    async def open(self, token: str, *, ask: bool = False) -> Look:
        """The session behind a link, as it is now; with `ask`, Stripe is asked where our record may be late.

        Raises:
            NotFound: no link has this token.
        """
        session = None
        if len(token) == _TOKEN_LENGTH and token.isascii():
            async with self._database.connection() as connection:
                session = await self._sessions.find_by_link(connection, _hash(token))
        if session is None:
            raise NotFound("There is no such page.")
        look = await self._look(session)
        if ask and look.progress.state in ("open", "processing") and await self._refresh(look.session):
            look = await self._look(look.session)
        return look

    async def start(self, token: str, *, saved: bool = False) -> Look | Started | Changed:
        """The customer pressed the button: what the browser is to confirm, or the state in which nothing is left to do.

        `saved`: the page showed the saved card in place of a form. What cannot be as it was shown is shown anew.

        Raises:
            Unavailable: try again.
            DomainError: it is refused for good.
        """
        look = await self.open(token)
        session = look.session
        if session.status != "open":
            return look
        if (await self.saved_method(look) is not None) != saved:
            return Changed()
        async with self._database.transaction() as tx:
            users = await self._customers.find_many(tx, [session.user_id])
            if await self._sessions.start(tx, session.id, self._clock.now()):
                await self._look_later(tx, session, "look", 0, _FIRST_LOOK)
        try:
            started = await self._kinds[session.mode].start(session, users[session.user_id].external_id)
        except TermsChanged as changed:
            async with self._database.transaction() as tx:
                await self._sessions.set_subject(tx, session.id, changed.subject_id, None)
                await self._sessions.set_terms(tx, session.id, changed.terms, self._clock.now())
            return Changed()
        if started is not None:
            intent_id = started.client_secret.partition("_secret_")[0]
            async with self._database.connection() as connection:
                await self._sessions.set_subject(connection, session.id, started.subject_id, intent_id)
        # Its time may have run out while Stripe was asked: then nobody cancels what has just been made but us.
        again = await self.open(token)
        if started is None or again.session.status != "open":
            async with self._database.transaction() as tx:
                await self._look_later(tx, again.session, "late", 0, timedelta())
            return again
        return started

    async def saved_method(self, look: Look) -> SavedMethod | None:
        """What is charged when what is free now is not any more, where the customer has such a thing: no form then.

        Only what has nothing to pay now goes without a form: whoever has the link must not spend with another's card.
        """
        session = look.session
        if session.mode != "subscription" or session.amount or look.progress.state != "none":
            return None
        customer_id = await self._customers.customer_of(session.user_id)
        if customer_id is None:
            return None
        async with self._database.connection() as connection:
            method = await self._customers.method_of(connection, customer_id, None)
        return SavedMethod(method.card_brand, method.card_last4) if method else None

    # For the worker

    async def look_due(self, item: WorkItem) -> None:
        """Bring a session up to date, and end at Stripe what has run out here; raises `Retry`."""
        async with self._database.connection() as connection:
            session = await self._sessions.find(connection, UUID(item.payload["session_id"]), None)
        if session is None:
            return
        look = await self._look(session)
        times = int(item.payload["times"])
        if look.session.status == "expired" and look.progress.state == "open":
            async with self._database.connection() as connection:
                if await self._sessions.is_shared(connection, session):
                    return
            try:
                await self._kinds[session.mode].cancel(session)
            except DomainError as error:
                await self._refresh(session)
                waits = isinstance(error, Unavailable | OperationInProgress)
                raise Retry(error.code, counted=not waits) from error
        elif look.session.status == "expired" and look.progress.state == "none" and session.started_at:
            # Its button was pressed, and what came of that may not be known yet.
            since = self._clock.now() - look.session.expires_at
            if since < _UNKNOWN_FOR:
                async with self._database.transaction() as tx:
                    await self._look_later(tx, session, "unknown", times + 1, _FIRST_LOOK * 2 ** min(times, 4))
        elif look.session.status == "processing" or (look.session.status == "open" and session.started_at):
            async with self._database.transaction() as tx:
                await self._look_later(
                    tx, session, "look", times + 1, min(_FIRST_LOOK * 2 ** min(times, 20), _LONGEST_LOOK)
                )

    async def _look(self, session: CheckoutSession) -> Look:
        progress = await self._kinds[session.mode].progress(session)
        now = self._clock.now()
        status = status_of(session, progress, now)
        if status == session.status:
            return Look(session, progress)
        async with self._database.connection() as connection:
            moved = await self._sessions.move(connection, session, status, now)
            # Whoever else has moved it saw the same payment, or a newer state of it.
            current = moved or await self._sessions.find(connection, session.id, None)
        return Look(current or session, progress)

    async def _refresh(self, session: CheckoutSession) -> bool:
        async with self._database.connection() as connection:
            if not await self._sessions.may_ask(connection, session.id, self._clock.wall(), _ASK_EVERY):
                return False
        try:
            await self._kinds[session.mode].refresh(session)
        except Unavailable:
            log.warning("checkout.stripe_away", session=str(session.id))
            return False
        return True

    async def _look_later(
        self, tx: Transaction, session: CheckoutSession, why: str, times: int, delay: timedelta
    ) -> None:
        await enqueue(
            tx,
            LOOK_WORK,
            f"checkout:{session.id}:{why}:{times}",
            {"session_id": str(session.id), "times": times},
            due_at=self._clock.now() + delay,
        )

    def _draft(self, actor: Actor, kind: CheckoutKind, wanted: CheckoutRequest, terms: Terms) -> CheckoutSession:
        session_id, now = new_id(), self._clock.now()
        return CheckoutSession(
            id=session_id,
            user_id=actor.user_id,
            mode=wanted.mode,
            status="open",
            amount=terms.amount,
            currency=terms.currency,
            description=terms.description,
            price_id=wanted.price,
            quantity=wanted.quantity,
            promotion_code=wanted.promotion_code,
            recurring=terms.recurring,
            success_url=wanted.success_url,
            cancel_url=wanted.cancel_url,
            locale=wanted.locale,
            metadata=wanted.metadata,
            subject_id=kind.subject_id(session_id),
            intent_id=None,
            started_at=None,
            expires_at=now + timedelta(seconds=wanted.expires_in_s),
            completed_at=None,
            created_at=now,
            updated_at=now,
        )

    async def locale_of(self, session: CheckoutSession) -> str | None:
        """The language that the session asks for, else its user's."""
        if session.locale:
            return session.locale
        async with self._database.connection() as connection:
            users = await self._customers.find_many(connection, [session.user_id])
        return users[session.user_id].locale if session.user_id in users else None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
