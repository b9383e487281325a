"""`POST /internal/settle`: for the sandbox on this machine, while business time moves. Not part of the API."""

import ipaddress

from starlette.types import Receive, Scope, Send

from tallystick.core.errors import NotFound, Unavailable, problem
from tallystick.platform.database import WEATHER
from tallystick.platform.http import json_response, problem_response
from tallystick.settling.service import SettlingService

__all__ = ["SETTLE_PATH", "SettlingController"]

SETTLE_PATH = "/internal/settle"


class SettlingController:
    """Bare ASGI in front of the framework: it is asked hundreds of times in a second, which nobody wants logged."""

    def __init__(self, service: SettlingService) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST" or not _is_local(scope):
            await problem_response(problem(NotFound("There is nothing at this address.")))(scope, receive, send)
            return
        try:
            answer = json_response(await self._service.standing())
        except WEATHER:
            answer = problem_response(problem(Unavailable()), {"Retry-After": "1"})
        await answer(scope, receive, send)


def _is_local(scope: Scope) -> bool:
    try:
        address = ipaddress.ip_address(scope["client"][0])
    except (TypeError, ValueError):
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
