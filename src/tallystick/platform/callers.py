"""`Callers`: who a request is from by its token, and whether it may go on asking.

Whoever sends token after token that we never made is not looked at any more for a while. That must not shut out those
who share the address and have a token that was found right before.
"""

import hashlib
from collections import OrderedDict

from starlette.types import Scope

from tallystick.core.errors import Unauthorized
from tallystick.platform.auth import Identity, TokenExpired, TokenVerifier
from tallystick.platform.limits import Limits

__all__ = ["Callers"]

_RIGHT_MOST = 20_000


class Callers:
    """Finds out who calls, and counts."""

    def __init__(self, verifier: TokenVerifier, limits: Limits) -> None:
        self._verifier = verifier
        self._limits = limits
        self._right: OrderedDict[bytes, None] = OrderedDict()
        """Hashes of tokens that were right when they came last."""

    async def identify(self, scope: Scope, authorization: str | None) -> Identity:
        """Who calls; raises Unauthorized (TokenExpired), RateLimited, Unavailable."""
        token = hashlib.blake2b((authorization or "").encode(), digest_size=16).digest()
        if authorization and token not in self._right:
            self._limits.check("bad_tokens", scope)
        try:
            identity = await self._verifier.verify(authorization)
        except TokenExpired:
            raise
        except Unauthorized:
            if authorization:
                await self._limits.take("bad_tokens", scope)
            raise
        self._remember(token)
        service = "service" in identity.roles
        if not service:
            await self._limits.take("address", scope)
        policy = "service" if service else scope["state"].get("policy", "reads")
        await self._limits.take(policy, scope, identity.subject)
        return identity

    def _remember(self, token: bytes) -> None:
        self._right[token] = None
        self._right.move_to_end(token)
        if len(self._right) > _RIGHT_MOST:
            self._right.popitem(last=False)
