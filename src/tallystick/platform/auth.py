"""Who calls: JWTs checked against a shared secret or a JWKS, and what their role lets them do."""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

from tallystick.core.errors import Forbidden, Unauthorized
from tallystick.platform.settings import Settings
from tallystick.platform.signing_keys import SigningKeys

__all__ = ["LOCALE", "ROLES", "Actor", "Identity", "ShopOnly", "TokenExpired", "TokenVerifier", "claimed_subject"]

ROLES = frozenset({"admin", "support", "service"})
LOCALE = r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}"
"""A language as tokens and requests name it: `de`, `pt-BR`."""
_SUBJECT_MAX = 255
_EMAIL_MAX = 320
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ASYMMETRIC = ("RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA")
_LEEWAY_S = 10
# A token comes with many requests, and checking it costs as much as the rest of a read. A key that was withdrawn is
# honoured no longer than this.
_REMEMBERED_S = 30.0
_REMEMBERED_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class Identity:
    """What a valid token says: `subject` is the host application's id of the user, whatever its form."""

    subject: str
    email: str | None
    roles: frozenset[str]
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a command, after its user was found: whose objects it acts on, and how far it sees."""

    user_id: UUID
    subject: str
    roles: frozenset[str]
    buyer: bool = False
    """Whether the token may be in the hands of the user that it names (`USER_TOKENS=browser`)."""

    @property
    def staff(self) -> bool:
        """Whether the caller may read everybody's objects, and the exact words of a decline."""
        return bool(self.roles & {"admin", "support"})

    @property
    def name(self) -> str:
        """Who acts, as a history tells: `admin:…`, `service:…` for the user it acts for, or `user:…`."""
        role = next((role for role in ("admin", "service") if role in self.roles), "user")
        return f"{role}:{self.subject}"

    @property
    def owner(self) -> UUID | None:
        """The user whose objects are visible; None for all."""
        return None if self.staff else self.user_id

    def require_write(self) -> None:
        """Raise `Forbidden` for a role that only reads."""
        if "support" in self.roles and "admin" not in self.roles:
            raise Forbidden("The role support may read but not change anything.")

    def require_shop(self, what: str, field: str | None = None) -> None:
        """Raise `ShopOnly` where this may be a buyer who decides `what`, which is the shop's: money, or its terms."""
        if self.buyer:
            raise ShopOnly(f"{what} is decided by the shop.", field=field)

    def require_admin(self) -> None:
        """Raise `Forbidden` unless the caller is an administrator."""
        if "admin" not in self.roles:
            raise Forbidden("This needs the role admin.")


class ShopOnly(Forbidden):
    """A buyer asks for what only the shop decides."""

    code = "SHOP_ONLY"
    title = "Only the shop decides this"
    action = "Send it from your server, with a token of the role service; USER_TOKENS says who holds the users' tokens."


class TokenExpired(Unauthorized):
    """The token's signature is right and its time is over: `identity` is who it was made for."""

    def __init__(self, identity: Identity) -> None:
        super().__init__("The access token is not valid or has expired.")
        self.identity = identity


class TokenVerifier:
    """Checks `Authorization: Bearer …` tokens: signature, issuer, audience, expiry, required claims."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
        self._keys = SigningKeys(settings.jwt_jwks_url) if settings.jwt_jwks_url else None
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._roles_claim = settings.jwt_roles_claim
        self._checked: dict[bytes, tuple[Identity, float]] = {}
        """Of tokens that were found to be valid: whose they are, and until when (Unix time) that may be believed."""

    async def verify(self, authorization: str | None) -> Identity:
        """The identity that the header's value proves.

        Raises `Unauthorized` with no hint at what was wrong inside, and `Unavailable` where the keys cannot be had.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > 8192:
            raise Unauthorized
        digest, now = hashlib.sha256(token.encode()).digest(), time.time()
        checked = self._checked.get(digest)
        if checked is not None and now < checked[1]:
            return checked[0]
        try:
            claims = await self._claims(token)
        except jwt.ExpiredSignatureError as error:
            # The signature is checked before the time is: who it was may be told to those who watch.
            raise TokenExpired(self._identity(jwt.decode(token, options={"verify_signature": False}))) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized("The access token is not valid or has expired.") from error
        identity = self._identity(claims)
        if len(self._checked) >= _REMEMBERED_TOKENS:
            self._checked.clear()
        self._checked[digest] = identity, min(now + _REMEMBERED_S, int(claims["exp"]) + _LEEWAY_S)
        return identity

    async def _claims(self, token: str) -> Mapping[str, Any]:
        algorithm = jwt.get_unverified_header(token).get("alg")
        if algorithm == "HS256" and self._secret is not None:
            return self._decode(token, self._secret, ["HS256"])
        if algorithm in _ASYMMETRIC and self._keys is not None:
            return self._decode(token, await self._keys.key_of(token), list(_ASYMMETRIC))
        raise jwt.InvalidAlgorithmError

    def _decode(self, token: str, key: Any, algorithms: list[str]) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "sub", "iss", "aud"]},
        )
        return claims

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims["sub"]
        if not _storable(subject, 1, _SUBJECT_MAX):
            raise Unauthorized("The token's subject is not usable.")
        roles = claims.get(self._roles_claim)
        named = roles.split() if isinstance(roles, str) else roles if isinstance(roles, list) else ()
        email, locale = claims.get("email"), claims.get("locale")
        return Identity(
            subject,
            email if _storable(email, 3, _EMAIL_MAX) else None,
            frozenset(role for role in named if isinstance(role, str)) & ROLES,
            locale if isinstance(locale, str) and re.fullmatch(LOCALE, locale) else None,
        )


def _storable(value: object, least: int, most: int) -> bool:
    """Whether a claim is a text that PostgreSQL takes: JSON may hold NUL and lone surrogates, which it does not."""
    return isinstance(value, str) and least <= len(value) <= most and not _UNSTORABLE.search(value)


def claimed_subject(token: str) -> str | None:
    """Whom a token says it is of. Nothing is proven by that: anybody can write one."""
    try:
        subject = jwt.decode(token, options={"verify_signature": False}).get("sub")
    except (jwt.PyJWTError, ValueError):
        return None
    return subject if isinstance(subject, str) and 1 <= len(subject) <= _SUBJECT_MAX else None
