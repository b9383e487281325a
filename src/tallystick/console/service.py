"""`ConsoleService`: how staff sign in. A token of theirs, shown once, opens a session of its own, which ends by itself.

Of a session only the hash of its token is stored; it is dated by wall time. Whoever is turned away too often from one
address has to wait, whichever process they ask; who tries too often in one name is slowed down.
"""

import asyncio
import hashlib
import hmac
import secrets
from datetime import timedelta

from tallystick.console.errors import LoginRefused, TooManyTries
from tallystick.console.models import ConsoleSession, Visitor
from tallystick.console.repository import ConsoleRepository
from tallystick.core.clock import Clock
from tallystick.core.errors import Unauthorized
from tallystick.platform.auth import Identity, TokenVerifier, claimed_subject
from tallystick.platform.database import Database
from tallystick.platform.proxies import network_of

__all__ = ["ConsoleService"]

_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43
_IDLE_AT_MOST = timedelta(minutes=30)
_SESSION_AT_MOST = timedelta(hours=12)
_NOTED_EVERY = timedelta(minutes=1)
_ROLES = frozenset({"admin", "support"})
_TRIES_WITHIN = timedelta(minutes=10)
_TRIES_AT_MOST = 20
_SLOW_S = 2.0


class ConsoleService:
    """Signs staff in and out, and knows who a browser is signed in as."""

    def __init__(self, database: Database, clock: Clock, verifier: TokenVerifier, *, slow_s: float = _SLOW_S) -> None:
        self._slow_s = slow_s
        self._database = database
        self._clock = clock
        self._verifier = verifier
        self._repository = ConsoleRepository()

    async def sign_in(self, access_token: str, *, address: str | None, before: str | None) -> tuple[str, Identity]:
        """A session's token for an access token of staff; the session `before`, of the same browser, is ended.

        Raises LoginRefused, and TooManyTries for an address that was refused twenty times within ten minutes, unless
        this name has signed in there before. Tries in a name that was refused as often take longer, and a token that
        is right still opens: nobody can lock staff out by trying in their name.
        """
        place, name = network_of(address or ""), _name(access_token)
        minute = self._clock.wall().replace(second=0, microsecond=0)
        # Counted before it is looked at: those who try many at once are none the better for it.
        async with self._database.connection() as connection:
            since = minute - _TRIES_WITHIN
            from_here = await self._repository.count_try(connection, place, minute, since)
            in_name = await self._repository.count_try(connection, name, minute, since) if name else 0
            known = name is not None and await self._repository.knows_place(connection, name, place)
        if from_here > _TRIES_AT_MOST and not known:
            raise TooManyTries(first=from_here == _TRIES_AT_MOST + 1)
        if in_name > _TRIES_AT_MOST:
            await asyncio.sleep(self._slow_s)
        try:
            identity = await self._staff(access_token)
        except LoginRefused:
            if max(from_here, in_name) > _TRIES_AT_MOST:
                raise TooManyTries(first=_TRIES_AT_MOST + 1 in (from_here, in_name)) from None
            raise
        async with self._database.connection() as connection:
            await self._repository.take_back_tries(connection, [place, name or ""], minute)
            await self._repository.note_place(connection, name or "", place, self._clock.wall())
            if before is not None:
                await self._repository.delete(connection, _hash(before))
        return await self._begin(identity), identity

    async def _staff(self, access_token: str) -> Identity:
        try:
            identity = await self._verifier.verify(f"Bearer {access_token.strip()}")
        except Unauthorized as error:
            raise LoginRefused from error
        if not identity.roles & _ROLES:
            raise LoginRefused
        return identity

    async def _begin(self, identity: Identity) -> str:
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock.wall()
        session = ConsoleSession(
            token_hash=_hash(token),
            subject=identity.subject,
            email=identity.email,
            roles=sorted(identity.roles & _ROLES),
            created_at=now,
            seen_at=now,
            expires_at=now + _IDLE_AT_MOST,
        )
        async with self._database.transaction() as tx:
            await self._repository.insert(tx, session)
        return token

    async def visitor(self, token: str | None, *, active: bool = True) -> Visitor | None:
        """Who is signed in with this session's token. A page that was asked for prolongs the session (`active`)."""
        if token is None or len(token) != _TOKEN_LENGTH or not token.isascii():
            return None
        now = self._clock.wall()
        async with self._database.connection() as connection:
            session = await self._repository.find(connection, _hash(token), now)
            if session is None:
                return None
            if active and now - session.seen_at >= _NOTED_EVERY:
                until = min(now + _IDLE_AT_MOST, session.created_at + _SESSION_AT_MOST)
                await self._repository.prolong(connection, session.token_hash, now, until)
        identity = Identity(session.subject, session.email, frozenset(session.roles))
        return Visitor(session, identity, hmac.digest(token.encode(), b"console", "sha256").hex())

    async def sign_out(self, token: str) -> None:
        """End a session."""
        async with self._database.connection() as connection:
            await self._repository.delete(connection, _hash(token))


def _name(access_token: str) -> str | None:
    """Whom a token claims to be of, as that is counted; None for what claims nothing."""
    claimed = claimed_subject(access_token.strip())
    return claimed and f"name:{hashlib.sha256(claimed.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
