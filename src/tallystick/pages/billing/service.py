"""`PortalService`: how a customer gets in. The application asks for a link; opened once, it signs a browser in.

Of link and session only hashes are stored. Both are dated by wall time: nobody stays signed in for a month because
business time was moved.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from tallystick.core.clock import Clock
from tallystick.customers.service import StripeCustomerService
from tallystick.pages.billing.models import (
    LinkState,
    Opened,
    PortalLink,
    PortalRequest,
    PortalSession,
    Visitor,
)
from tallystick.pages.billing.repository import PortalRepository
from tallystick.pages.return_urls import check_return_url
from tallystick.platform.auth import Actor
from tallystick.platform.database import Database, Transaction
from tallystick.platform.settings import Settings

__all__ = ["PortalService"]

_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43
_LINK_LASTS = timedelta(minutes=5)
_IDLE_AT_MOST = timedelta(hours=1)
_SESSION_AT_MOST = timedelta(hours=12)
_NOTED_EVERY = timedelta(minutes=1)


class PortalService:
    """Makes links, opens them, and knows who a browser is signed in as."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        repository: PortalRepository,
        customers: StripeCustomerService,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._repository = repository
        self._customers = customers

    async def create(self, actor: Actor, wanted: PortalRequest) -> tuple[str, datetime]:
        """A link to the actor's own billing pages, and until when it can be opened; raises `ReturnUrlRefused`."""
        actor.require_write()
        check_return_url(self._settings, "return_url", wanted.return_url)
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock.wall()
        link = PortalLink(
            token_hash=_hash(token),
            user_id=actor.user_id,
            flow=wanted.flow,
            return_url=wanted.return_url,
            locale=wanted.locale,
            created_at=now,
            expires_at=now + _LINK_LASTS,
            opened_at=None,
        )

        async def make(tx: Transaction) -> None:
            if not await self._customers.find_many(tx, [actor.user_id]):
                raise self._customers.lost()
            await self._repository.insert_link(tx, link)

        await self._database.run(make)
        base = (self._settings.public_url or "http://localhost:8000").rstrip("/")
        return f"{base}/billing/open/{token}", link.expires_at

    async def open(self, token: str) -> Opened | LinkState:
        """Use a link up and sign its browser in, or say why that cannot be."""
        if not _may_be_token(token):
            return "missing"
        now, session_token = self._clock.wall(), secrets.token_urlsafe(_TOKEN_BYTES)
        async with self._database.transaction() as tx:
            link = await self._repository.open_link(tx, _hash(token), now)
            if link is not None:
                session = PortalSession(
                    token_hash=_hash(session_token),
                    link_hash=link.token_hash,
                    user_id=link.user_id,
                    return_url=link.return_url,
                    locale=link.locale,
                    created_at=now,
                    seen_at=now,
                    expires_at=now + _IDLE_AT_MOST,
                )
                await self._repository.insert_session(tx, session)
                return Opened(session_token, link.flow)
            known = await self._repository.find_link(tx, _hash(token))
        if known is None:
            return "missing"
        return "used" if known.opened_at else "expired"

    async def visitor(self, token: str | None) -> Visitor | None:
        """Who is signed in with this session's token; being asked counts as activity."""
        if token is None or not _may_be_token(token):
            return None
        now = self._clock.wall()
        async with self._database.connection() as connection:
            session = await self._repository.find_session(connection, _hash(token), now)
            if session is None:
                return None
            user = (await self._customers.find_many(connection, [session.user_id])).get(session.user_id)
            if user is None:
                return None
            if now - session.seen_at >= _NOTED_EVERY:
                until = min(now + _IDLE_AT_MOST, session.created_at + _SESSION_AT_MOST)
                await self._repository.prolong(connection, session.token_hash, now, until)
        return Visitor(
            session=session,
            actor=Actor(user.id, user.external_id, frozenset()),
            email=user.email,
            locale=session.locale or user.locale,
            csrf=hmac.digest(token.encode(), b"form", "sha256").hex(),
        )

    def came_by(self, token: str, visitor: Visitor) -> bool:
        """Whether this very link is what signed the visitor in."""
        return _may_be_token(token) and visitor.session.link_hash == _hash(token)

    async def log_out(self, token: str) -> None:
        """End a session."""
        async with self._database.connection() as connection:
            await self._repository.delete_session(connection, _hash(token))


def _may_be_token(text: str) -> bool:
    return len(text) == _TOKEN_LENGTH and text.isascii()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
