"""`ConsoleService`: how staff sign in. A token of theirs, shown once, opens a session of its own, which ends by itself.

Of a session only the hash of its token is stored; it is dated by wall time. Whoever is turned away too often from one
address has to wait, whichever process they ask.
"""

import hashlib
import hmac
import ipaddress
import secrets
from datetime import timedelta

from tallystick.console.errors import LoginRefused, TooManyTries
from tallystick.console.models import ConsoleSession, Visitor
from tallystick.console.repository import ConsoleRepository
from tallystick.core.clock import Clock
from tallystick.core.errors import Unauthorized
from tallystick.platform.auth import Identity, TokenVerifier
from tallystick.platform.database import Database

__all__ = ["ConsoleService"]

_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43
_IDLE_AT_MOST = timedelta(minutes=30)
_SESSION_AT_MOST = timedelta(hours=12)
_NOTED_EVERY = timedelta(minutes=1)
_ROLES = frozenset({"admin", "support"})
_TRIES_WITHIN = timedelta(minutes=10)
_TRIES_AT_MOST = 20


class ConsoleService:
    """Signs staff in and out, and knows who a browser is signed in as."""

    def __init__(self, database: Database, clock: Clock, verifier: TokenVerifier) -> None:
        self._database = database
        self._clock = clock
        self._verifier = verifier
        self._repository = ConsoleRepository()

    async def sign_in(self, access_token: str, *, address: str | None, before: str | None) -> tuple[str, Identity]:
        """A session's token for an access token of staff; the session `before`, of the same browser, is ended.

        Raises LoginRefused, and TooManyTries for an address that was refused twenty times within ten minutes.
        """
        place, minute = _place(address), self._clock.wall().replace(second=0, microsecond=0)
        # Counted before it is looked at: those who try many at once are none the better for it.
        async with self._database.connection() as connection:
            failed = await self._repository.count_try(connection, place, minute, minute - _TRIES_WITHIN)
        if failed > _TRIES_AT_MOST:
            raise TooManyTries
        identity = await self._staff(access_token)
        async with self._database.connection() as connection:
            await self._repository.take_back_try(connection, place, minute)
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


def _place(address: str | None) -> str:
    """Who is counted together: an address, or the network that a host of IPv6 may choose its own in."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    return str(found if found.version == 4 else ipaddress.ip_network(f"{found}/64", strict=False))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
