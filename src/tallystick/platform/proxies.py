"""Who a request is really from: what proxies say of it, as far as they are trusted.

Each proxy adds on the right whom it heard from. Reading from the right, the first address that is no trusted proxy is
the caller's: whatever stands further left, the caller may have written himself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal

from tallystick.platform.settings_door import Network

__all__ = ["Origin", "Proxies", "network_of"]

_PAIR = re.compile(r'\s*(for|proto|host)\s*=\s*(?:"([^"]*)"|([^;,"\s]*))\s*(?:;|\Z)', re.IGNORECASE)
_OTHER_PAIR = re.compile(r'\s*[\w-]+\s*=\s*(?:"[^"]*"|[^;,"\s]*)\s*(?:;|\Z)')
_HOPS_MOST = 32
_KNOWN = 8192


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request is from: the caller's address, and what scheme and host it asked by, where a proxy told."""

    address: str
    scheme: str | None = None
    host: str | None = None


class Proxies:
    """What is believed of the headers of proxies whose addresses are in `trusted`."""

    def __init__(self, trusted: Sequence[Network], headers: Literal["x-forwarded", "forwarded"]) -> None:
        self._trusted = list(trusted)
        self._forwarded = headers == "forwarded"
        self.trusts = lru_cache(_KNOWN)(self._trusts)

    def origin(self, peer: str, headers: Mapping[bytes, bytes]) -> Origin:
        """Who sent a request that `peer` handed to us; of several headers of one name, the values joined by commas."""
        if not self.trusts(peer):
            return Origin(_plain(peer))
        if self._forwarded:
            return self._of_forwarded(peer, headers.get(b"forwarded", b"").decode("latin-1"))
        callers = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        return Origin(
            self._caller(peer, callers)[0],
            _last(headers.get(b"x-forwarded-proto")),
            _last(headers.get(b"x-forwarded-host")),
        )

    def _caller(self, peer: str, hops: Sequence[str]) -> tuple[str, int]:
        """The address of the first hop from the right that is not trusted, and how far from the right it is."""
        known, place = _plain(peer), 0
        for distance, hop in enumerate(reversed(hops[-_HOPS_MOST:]), 1):
            address = _plain(hop)
            if not address:
                break
            known, place = address, distance
            if not self.trusts(address):
                break
        return known, place

    def _of_forwarded(self, peer: str, value: str) -> Origin:
        hops = [_pairs(element) for element in _elements(value)]
        address, place = self._caller(peer, [hop.get("for", "") for hop in hops])
        # The trusted proxy nearest to the caller tells what the caller asked for.
        told = hops[-place] if place else {}
        return Origin(address, _lower(told.get("proto")), told.get("host") or None)

    def _trusts(self, peer: str) -> bool:
        found = _address(peer)
        return found is not None and any(found in network for network in self._trusted)


@lru_cache(_KNOWN)
def network_of(address: str) -> str:
    """Who is counted together: an address, or the network that a host of IPv6 may choose its own in."""
    found = _address(address)
    if found is None:
        return ""
    return str(found if found.version == 4 else ip_network(f"{found}/64", strict=False))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


@lru_cache(_KNOWN)
def _plain(hop: str) -> str:
    """An address as it is written in a header, without brackets and port; empty where it is none."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    found = _address(text)
    return str(found) if found else ""


def _last(value: bytes | None) -> str | None:
    """What the proxy nearest to us wrote."""
    return value.decode("latin-1").rpartition(",")[2].strip().lower() or None if value else None


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _elements(value: str) -> list[str]:
    """The hops of a `Forwarded`; a comma between quotes is none."""
    return [element for element in re.findall(r'(?:"[^"]*"|[^,"])+', value) if element.strip()]


def _pairs(element: str) -> dict[str, str]:
    """What a hop tells (RFC 7239); nothing of one that is not well formed."""
    found: dict[str, str] = {}
    place = 0
    while place < len(element):
        pair = _PAIR.match(element, place)
        match = pair or _OTHER_PAIR.match(element, place)
        if match is None:
            return {}
        if pair is not None:
            found.setdefault(pair[1].lower(), pair[2] if pair[2] is not None else pair[3])
        place = match.end()
    return found
