"""Secrets that have to be stored and read again, sealed by a key that the database does not have (AES-GCM).

Sealed is `sealed.<fingerprint of the key>.<nonce and ciphertext>`; what is sealed is bound to the place it belongs to,
so that a value which is copied to another row does not open there. Without a key, texts are stored as they are.
"""

import base64
import hashlib
import os
from collections.abc import Sequence

__all__ = ["KeyMissing", "Sealer"]

_PREFIX = "sealed."
_NONCE_BYTES = 12
_CONTEXT = b"tallystick sealing 1"


class KeyMissing(Exception):
    """What is stored was sealed by a key that is not among SEALING_KEYS, or for another place."""


class Sealer:
    """Seals by the first of `keys`, opens by any of them: a new key comes first, the old one stays until all is sealed
    anew."""

    def __init__(self, keys: Sequence[str]) -> None:
        made = [hashlib.sha256(_CONTEXT + key.encode()).digest() for key in keys]
        self._keys = {hashlib.sha256(key).hexdigest()[:8]: key for key in made}

    def seal(self, text: str, place: str) -> str:
        """`text` as it is stored; `place` is where, and needed to open it."""
        # Takes a while to import, and most processes never seal anything.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not self._keys:
            return text
        name, key = next(iter(self._keys.items()))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + AESGCM(key).encrypt(nonce, text.encode(), place.encode())
        return f"{_PREFIX}{name}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, stored: str, place: str) -> str:
        """The text; one that was stored without a key as it is. Raises KeyMissing."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if not stored.startswith(_PREFIX):
            return stored
        name, _, content = stored.removeprefix(_PREFIX).partition(".")
        key, sealed = self._keys.get(name), base64.urlsafe_b64decode(content)
        if key is None:
            raise KeyMissing("sealed by a key that is not among SEALING_KEYS")
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode()).decode()
        except InvalidTag:
            raise KeyMissing("sealed for another place, or damaged") from None

    def stale(self, stored: str) -> bool:
        """Whether the first key would seal this anew."""
        return bool(stored and self._keys) and not stored.startswith(f"{_PREFIX}{next(iter(self._keys))}.")
