"""One webhook over HTTP: signed, bounded, and never to an address inside our own network.

A host is resolved once for each connection, by the resolver below, and the connection goes to the very address that
was judged: a name that answers differently the next time (DNS rebinding) gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from msgspec import Struct
from standardwebhooks import Webhook

from tallystick.notifications.addresses import printable
from tallystick.notifications.errors import UrlRefused
from tallystick.notifications.outbound_models import Delivery, fact_body, webhook_id
from tallystick.platform.database import assert_no_transaction
from tallystick.platform.logging import scrub
from tallystick.platform.tracing import here, traceparent

__all__ = ["Lookup", "Outcome", "UnsafeAddress", "WebhookSender", "check_url", "is_public", "sign", "system_lookup"]

_TIMEOUT_S = 10
_BODY_TIMEOUT_S = 2
_BODY_KEPT = 1024
_LOOKUP_TIMEOUT_S = 5
_URL_MAX = 2000
# Addresses that carry an IPv4 address: NAT64 (RFC 6052) and 6to4 (RFC 3056). Local NAT64 (RFC 8215) is nobody's.
_NAT64 = ip_network("64:ff9b::/96")
_6TO4 = ip_network("2002::/16")
_NEVER = (ip_network("64:ff9b:1::/48"), ip_network("::/96"), ip_network("fec0::/10"), ip_network("192.88.99.0/24"))

Lookup = Callable[[str, int, int], Awaitable[Sequence[tuple[Any, ...]]]]
"""`getaddrinfo` for a host, a port and a family."""


class UnsafeAddress(OSError):
    """The host is, or resolves to, an address that webhooks are not sent to."""


class Outcome(Struct, frozen=True):
    """How a delivery went; `status` is None where there was no answer, `error` None where it was 2xx."""

    error: str | None
    status: int | None = None
    body: str | None = None


async def system_lookup(host: str, port: int, family: int) -> Sequence[tuple[Any, ...]]:
    """What the system's resolver says."""
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the Internet could reach."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        carried = ip.ipv4_mapped or _carried(ip)
        if carried is not None:
            return is_public(str(carried))
    if ip.is_multicast or ip.is_reserved or ip.is_unspecified or not ip.is_global:
        return False
    return not any(ip in network for network in _NEVER)


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour if ip in _6TO4 else None


def _literal(host: str) -> bool:
    """Whether a host is an address, or looks like one (`127.1`, `2130706433`, `0x7f.1` are numbers to a resolver)."""
    last = host.rstrip(".").rpartition(".")[2].lower()
    return ":" in host or last.isdigit() or last.startswith("0x")


async def check_url(url: str, *, https_only: bool, allow_private: bool, lookup: Lookup = system_lookup) -> None:
    """Raise `UrlRefused` for an address that webhooks are not sent to."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlRefused("This is no address of a web server.", field="url") from None
    if len(url) > _URL_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise UrlRefused("The address has characters that need encoding, or too many of them.", field="url")
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise UrlRefused("The address should be like https://example.com/webhooks.", field="url")
    if parts.scheme == "http" and https_only:
        raise UrlRefused("The address should begin with https://.", field="url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UrlRefused("The address should have neither a user, nor a password, nor a fragment.", field="url")
    if allow_private:
        return
    try:
        async with asyncio.timeout(_LOOKUP_TIMEOUT_S):
            await GuardedResolver(lookup, allow_private=False).resolve(host, port or 443, socket.AF_UNSPEC)
    except UnsafeAddress:
        raise UrlRefused("The host is, or resolves to, an address that is not public.", field="url") from None
    except (OSError, UnicodeError):
        raise UrlRefused("The host's name does not resolve.", field="url") from None


class GuardedResolver(AbstractResolver):
    """A resolver that answers with public addresses only; one that is not spoils the whole answer."""

    def __init__(self, lookup: Lookup, *, allow_private: bool) -> None:
        self._lookup = lookup
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not self._allow_private and _literal(host) and not is_public(host):
            raise UnsafeAddress("the host is not a public address")
        found = await self._lookup(host, port, family)
        results = []
        for found_family, _, proto, _, sockaddr in found:
            address = str(sockaddr[0])
            if not self._allow_private and not is_public(address):
                raise UnsafeAddress("the host resolves to an address that is not public")
            results.append(
                ResolveResult(
                    hostname=host,
                    host=address,
                    port=port,
                    family=found_family,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        if not results:
            raise OSError("the host's name does not resolve")
        return results

    async def close(self) -> None:
        """Nothing is kept."""


def sign(secrets: Sequence[str], message_id: str, at: datetime, body: str) -> str:
    """The signatures of Standard Webhooks, one for each secret that is valid."""
    return " ".join(Webhook(secret).sign(message_id, at, body) for secret in secrets)


class WebhookSender:
    """Sends deliveries to endpoints. `close` in the loop that used it."""

    def __init__(self, *, allow_private: bool, lookup: Lookup = system_lookup) -> None:
        self._allow_private = allow_private
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                use_dns_cache=False,
                resolver=GuardedResolver(lookup, allow_private=allow_private),
                socket_factory=self._socket,
            ),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    def _socket(self, info: Any) -> socket.socket:
        # The last gate: every connection passes here, with the address that it will go to.
        if not self._allow_private and not is_public(str(info[4][0])):
            raise UnsafeAddress("the address is not public")
        made = socket.socket(family=info[0], type=info[1], proto=info[2])
        made.setblocking(False)
        return made

    async def send(self, delivery: Delivery, at: datetime) -> Outcome:
        """Send it, signed at `at` (wall time)."""
        assert_no_transaction()
        assert delivery.url is not None
        body = msgspec.json.encode(
            fact_body(delivery.fact_id, delivery.type, delivery.occurred_at, delivery.data)
        ).decode()
        message_id = webhook_id(delivery.fact_id)
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "Tallystick-Webhooks",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": sign(delivery.secrets, message_id, at, body),
        }
        if parent := traceparent(here()):
            headers["traceparent"] = parent
        try:
            return await self._post(delivery.url, body, headers)
        except UnsafeAddress as error:
            return Outcome(str(error))
        except TimeoutError:
            return Outcome(f"no answer within {_TIMEOUT_S} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(_reason(error))

    async def _post(self, url: str, body: str, headers: Mapping[str, str]) -> Outcome:
        async with self._session.post(url, data=body.encode(), headers=headers, allow_redirects=False) as response:
            kept = await _beginning(response)
            status = response.status
            if 200 <= status < 300:
                return Outcome(None, status, kept)
            redirect = " (redirects are not followed)" if 300 <= status < 400 else ""
            return Outcome(f"answered {status}{redirect}", status, kept)

    async def close(self) -> None:
        await self._session.close()


async def _beginning(response: aiohttp.ClientResponse) -> str | None:
    """The beginning of an answer's body as it may be kept; the status counts, however the body ends."""
    got = b""
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while len(got) < _BODY_KEPT and (part := await response.content.read(_BODY_KEPT - len(got))):
                got += part
    except (aiohttp.ClientError, OSError, ValueError):
        pass
    if not response.content.at_eof():
        response.close()
    return scrub(printable(got.decode("utf-8", "replace"), _BODY_KEPT)) or None


def _reason(error: BaseException) -> str:
    """Why there was no answer, without the address (which may bear a token)."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnsafeAddress):
            return str(cause)
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    return f"no answer: {type(error).__name__}"
