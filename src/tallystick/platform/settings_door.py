"""The settings of the door: from where requests may come, for which hosts, how many, and how large."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["CommaList", "DoorSettings", "Network", "Origins", "split"]

Network = IPv4Network | IPv6Network


def split(value: object) -> object:
    """A list that is given as text with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _origin(text: str) -> str:
    found = re.match(r"(https?://[a-z0-9.:\[\]-]+)/?\Z", text.lower())
    if found is None:
        raise ValueError("should be origins like https://shop.example.com, separated by commas")
    return found[1]


def _networks(value: object) -> object:
    parts = split(value)
    if not isinstance(parts, list):
        return parts
    try:
        return [ip_network(part) for part in parts if part != "none"]
    except ValueError:
        raise ValueError("should be addresses or networks like 10.0.0.0/8, separated by commas, or none") from None


def _host(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]", text.lower()):
        raise ValueError("should be names of hosts without a port, separated by commas")
    return text.lower()


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,7})/(\d{1,4})", value.replace(" ", ""))
    if value == "0" or (found and found[1].strip("0") == ""):
        return (0, 1)
    if found is None or not 1 <= int(found[2]) <= 3600:
        raise ValueError("should be requests/seconds, e.g. 600/60 (at most 3600 seconds), or 0 for no limit")
    return (int(found[1]), int(found[2]))


Origin = Annotated[str, AfterValidator(_origin)]
CommaList = Annotated[list[str], BeforeValidator(split)]
Origins = Annotated[list[Origin], BeforeValidator(split)]
Networks = Annotated[list[Network], BeforeValidator(_networks)]
Hosts = Annotated[list[Annotated[str, AfterValidator(_host)]], BeforeValidator(split)]
Rate = Annotated[tuple[int, int], BeforeValidator(_rate)]

_LOOPBACK: list[Network] = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_RATES = {
    "reads": (600, 60),
    "writes": (120, 60),
    "money": (60, 60),
    "service": (60_000, 60),
    "address": (3000, 60),
    "public": (300, 60),
    "pages": (300, 60),
    "console": (600, 60),
    "login": (30, 60),
    "bad_tokens": (30, 60),
}
# Whoever tries things out, and every benchmark, comes from one address.
_RATES_ELSEWHERE = (600_000, 60)


class DoorSettings(BaseModel):
    """Where this installation is, and whom it lets in."""

    model_config = ConfigDict(frozen=True)

    environment: Literal["production", "development", "test"] = "production"
    public_url: str | None = None

    trusted_proxies: Networks = Field(default=_LOOPBACK, description="whose word is taken for a caller's address")
    proxy_headers: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    allowed_hosts: Hosts = Field(default=[], description="beside PUBLIC_URL's and this machine's own")
    https_only: bool | None = None
    hsts_max_age_s: int = Field(default=31_536_000, ge=0, le=63_072_000, description="0: the header is not sent")
    cors_origins: Origins = []
    user_tokens: Literal["server", "browser"] | None = Field(
        default=None,
        description="who holds the tokens of users: only your servers, or their browsers too, which decide neither "
        "amounts, refunds, trials nor prorations then",
    )

    request_body_max_bytes: int = Field(default=64 * 1024, ge=1024, le=10 * 1024 * 1024)
    request_body_timeout_s: float = Field(default=15.0, gt=0, le=300)
    webhook_body_max_bytes: int = Field(default=1024 * 1024, ge=1024, le=10 * 1024 * 1024)

    rate_limit_reads: Rate | None = None
    rate_limit_writes: Rate | None = None
    rate_limit_money: Rate | None = None
    rate_limit_service: Rate | None = None
    rate_limit_address: Rate | None = None
    rate_limit_public: Rate | None = None
    rate_limit_pages: Rate | None = None
    rate_limit_console: Rate | None = None
    rate_limit_login: Rate | None = None
    rate_limit_bad_tokens: Rate | None = None
    rate_limit_exempt: Networks = Field(default=[], description="whose addresses are not counted")

    @property
    def secure(self) -> bool:
        """Whether plain HTTP is turned away: as set, else in production with an https:// address."""
        if self.https_only is not None:
            return self.https_only
        return self.environment == "production" and (self.public_url or "").startswith("https://")

    @property
    def buyers_hold_tokens(self) -> bool:
        """Whether the token of a user may be in that user's hands: as set, else where pages of others may send it."""
        return self.user_tokens == "browser" if self.user_tokens else bool(self.cors_origins)

    @property
    def hosts(self) -> frozenset[str] | None:
        """The hosts that requests may name; None for any, where none is known."""
        public = urlsplit(self.public_url or "").hostname
        named = {*self.allowed_hosts, *([f"[{public}]" if ":" in public else public] if public else ())}
        return frozenset(named | _LOOPBACK_NAMES) if named else None

    @property
    def rate_limits(self) -> Mapping[str, tuple[int, int]]:
        """Requests and seconds by policy; 0 requests: no limit."""
        production = self.environment == "production"
        return {
            name: getattr(self, f"rate_limit_{name}") or (rate if production else _RATES_ELSEWHERE)
            for name, rate in _RATES.items()
        }
