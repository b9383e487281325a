"""`SigningKeys`: the public keys of whoever signs access tokens (`JWT_JWKS_URL`), kept while he cannot be asked."""

import asyncio
import time
from collections.abc import Mapping

import jwt
import structlog
from jwt import PyJWK, PyJWKClient

from tallystick.core.errors import Unavailable

__all__ = ["SigningKeys"]

log = structlog.get_logger()

_FRESH_S = 600.0
# For so long a key that was withdrawn would do, if its issuer could not be asked.
_KEPT_S = 6 * 3600.0
# Rotation must be seen soon; neither a flood of unknown keys nor everybody's tokens must reach an issuer in trouble.
_PAUSE_S = 5.0
_TIMEOUT_S = 5.0
_RETRY_AFTER_S = 5


class SigningKeys:
    """The keys of one issuer, who is asked once for all that wait. Whoever names a known key waits for no other."""

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=_TIMEOUT_S)
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._answered = True
        """Whether the issuer did when he was asked last."""
        self._asking = asyncio.Lock()

    async def key_of(self, token: str) -> PyJWK:
        """The key that a token names.

        Raises:
            jwt.PyJWTError: the issuer has no such key.
            Unavailable: the issuer cannot be asked, and what he said last does not tell, or was too long ago.
        """
        name = jwt.get_unverified_header(token).get("kid")
        if not isinstance(name, str):
            raise jwt.PyJWKClientError("the token names no key")
        known = self._known(name, _FRESH_S)
        if known is None and (self._known(name, _KEPT_S) is None or not self._asking.locked()):
            await self._ask()
        known = self._known(name, _KEPT_S)
        if known is not None:
            return known
        if not self._answered:
            raise Unavailable(retry_after_s=_RETRY_AFTER_S)
        raise jwt.PyJWKClientError("the issuer has no such key")

    def _known(self, name: str, within_s: float) -> PyJWK | None:
        return self._keys.get(name) if time.monotonic() - self._fetched_at < within_s else None

    async def _ask(self) -> None:
        """Fetch the keys, unless that was done or tried just now."""
        async with self._asking:
            if time.monotonic() - self._tried_at < _PAUSE_S:
                return
            try:
                keys = await asyncio.to_thread(self._client.get_signing_keys)
            except Exception as error:
                # Whatever it was, there is no answer, and the tokens are not at fault.
                log.warning("auth.issuer_away", error=type(error).__name__)
                self._answered = False
            else:
                self._keys = {key.key_id: key for key in keys if key.key_id}
                self._fetched_at, self._answered = time.monotonic(), True
            finally:
                self._tried_at = time.monotonic()
