"""Who calls: JWTs checked against a shared secret or a JWKS, and what their role lets them do."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from jwt import PyJWKClient

from tallystick.core.errors import Forbidden, Unauthorized
from tallystick.platform.settings import Settings

__all__ = ["ROLES", "Actor", "Identity", "TokenExpired", "TokenVerifier"]

ROLES = frozenset({"admin", "support", "service"})
_ASYMMETRIC = ("RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a valid token says: `subject` is the host application's id of the user, whatever its form."""

    subject: str
    email: str | None
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a command, after its user was found: whose objects it acts on, and how far it sees."""

    user_id: UUID
    subject: str
    roles: frozenset[str]

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

    def require_admin(self) -> None:
        """Raise `Forbidden` unless the caller is an administrator."""
        if "admin" not in self.roles:
            raise Forbidden("This needs the role admin.")


class TokenExpired(Unauthorized):
    """The token's signature is right and its time is over: `identity` is who it was made for."""

    def __init__(self, identity: Identity) -> None:
        super().__init__("The access token is not valid or has expired.")
        self.identity = identity


class TokenVerifier:
    """Checks `Authorization: Bearer …` tokens: signature, issuer, audience, expiry, required claims."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
        # Rotation must be seen soon, a flood of unknown key ids must not reach the issuer: hence the cooldown.
        self._jwks = (
            PyJWKClient(settings.jwt_jwks_url, lifespan=600, timeout=5, cooldown_duration=5)
            if settings.jwt_jwks_url
            else None
        )
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._roles_claim = settings.jwt_roles_claim

    async def verify(self, authorization: str | None) -> Identity:
        """The identity that the header's value proves; raises `Unauthorized` with no hint at what was wrong inside."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > 8192:
            raise Unauthorized
        try:
            claims = await self._claims(token)
        except jwt.ExpiredSignatureError as error:
            # The signature is checked before the time is: who it was may be told to those who watch.
            raise TokenExpired(self._identity(jwt.decode(token, options={"verify_signature": False}))) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized("The access token is not valid or has expired.") from error
        return self._identity(claims)

    async def _claims(self, token: str) -> Mapping[str, Any]:
        algorithm = jwt.get_unverified_header(token).get("alg")
        if algorithm == "HS256" and self._secret is not None:
            return self._decode(token, self._secret, ["HS256"])
        if algorithm in _ASYMMETRIC and self._jwks is not None:
            key = await asyncio.to_thread(self._jwks.get_signing_key_from_jwt, token)
            return self._decode(token, key, list(_ASYMMETRIC))
        raise jwt.InvalidAlgorithmError

    def _decode(self, token: str, key: Any, algorithms: list[str]) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=10,
            options={"require": ["exp", "sub", "iss", "aud"]},
        )
        return claims

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or "\x00" in subject:
            raise Unauthorized("The token's subject is not usable.")
        roles = claims.get(self._roles_claim) or ()
        if isinstance(roles, str):
            roles = roles.split()
        email = claims.get("email")
        return Identity(
            subject,
            email if isinstance(email, str) and 3 <= len(email) <= 320 and "\x00" not in email else None,
            frozenset(role for role in roles if isinstance(role, str)) & ROLES,
        )
