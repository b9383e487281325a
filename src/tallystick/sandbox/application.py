"""The application that lives by the sandbox's business time: its address, and what it still has to do."""

from urllib.parse import urlsplit

import aiohttp
import msgspec

from tallystick.sandbox.store import Store

__all__ = ["Application", "Standing", "Unreachable"]

_ASK = "/internal/settle"
_TIMEOUT_S = 10.0
_APART_S = 5.0
_META = "application_url"


class Standing(msgspec.Struct):
    """What an application answers: whether it is `quiet`, else what it is `waiting` for.

    `now` and `next_due`, the next moment at which it will have something to do, are business time in Unix seconds.
    """

    quiet: bool
    now: float
    next_due: float | None
    waiting: list[str]


class Unreachable(Exception):
    """It cannot be asked; the message tells why. `lasting`: asking again would not help."""

    def __init__(self, message: str, *, lasting: bool = True) -> None:
        super().__init__(message)
        self.lasting = lasting


class Application:
    """The one application that was registered, kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def url(self) -> str | None:
        return self._store.meta(_META) or None

    def register(self, url: object) -> None:
        """Remember its address, or forget it (None). Raises ValueError for what is no address."""
        if url is not None and not (isinstance(url, str) and _is_address(url)):
            raise ValueError("`url` is the application's address, for example http://127.0.0.1:8000, or null.")
        self._store.set_meta(_META, url.rstrip("/") if isinstance(url, str) else "")

    async def standing(self, session: aiohttp.ClientSession, now: float) -> Standing:
        """Ask it. `now` is our business time, which must be its own. Raises Unreachable."""
        try:
            async with session.post(f"{self.url}{_ASK}", timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"{self.url} does not answer ({type(error).__name__})", lasting=False) from error
        if response.status == 404:
            raise Unreachable(f"{self.url} is not on this sandbox's time: it needs the same CLOCK_FILE")
        if response.status != 200:
            raise Unreachable(f"{self.url} answered {response.status}", lasting=False)
        try:
            standing = msgspec.json.decode(body, type=Standing)
        except msgspec.MsgspecError as error:
            raise Unreachable(f"{self.url} is no Tallystick") from error
        if abs(standing.now - now) > _APART_S + _TIMEOUT_S:
            raise Unreachable(f"{self.url} is on another time: it needs the same CLOCK_FILE as this sandbox")
        return standing


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
