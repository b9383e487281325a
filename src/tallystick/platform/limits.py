"""`Limits`: the rate limits of an installation, by the names that its settings give them."""

from ipaddress import ip_address

from starlette.types import Scope

from tallystick.platform.proxies import network_of
from tallystick.platform.rate_bucket import RatePolicy
from tallystick.platform.rate_limit import RateLimited, RateLimiter
from tallystick.platform.settings_door import DoorSettings

__all__ = ["RATE", "Limits"]

RATE = "rate"
"""Where the state of a request has the verdict that its answer tells of."""
_NETWORK = "network"


class Limits:
    """Who may ask how often. A policy of 0 requests, and an address that is exempt, are never counted."""

    def __init__(self, settings: DoorSettings, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._exempt = settings.rate_limit_exempt
        self._policies = {
            name: RatePolicy(name.replace("_", "-"), quota, window_s)
            for name, (quota, window_s) in settings.rate_limits.items()
            if quota
        }

    def came_from(self, scope: Scope, address: str) -> None:
        """Note by which address, or network, the request is counted."""
        exempt = self._exempt and address and any(ip_address(address) in network for network in self._exempt)
        scope["state"][_NETWORK] = None if exempt else network_of(address)

    async def take(self, name: str, scope: Scope, who: str | None = None) -> None:
        """Count a request of `who`, else of its address, by the policy of this name; raises RateLimited."""
        policy, who = self._policies.get(name), who or scope["state"].get(_NETWORK)
        if policy is None or who is None:
            return
        try:
            scope["state"][RATE] = await self._limiter.take(policy, who)
        except RateLimited as limited:
            scope["state"][RATE] = limited.verdict
            raise

    def check(self, name: str, scope: Scope) -> None:
        """Raise RateLimited where the address is known to be over the limit; nothing is counted."""
        policy, who = self._policies.get(name), scope["state"].get(_NETWORK)
        if policy is None or who is None:
            return
        try:
            self._limiter.check(policy, who)
        except RateLimited as limited:
            scope["state"][RATE] = limited.verdict
            raise

    async def close(self) -> None:
        await self._limiter.close()
