"""The host application of a simulation, in its own loop: hears by webhook, or misbehaves when it is told to."""

import asyncio
import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["Heard", "Receiver"]

_SILENT_S = 2.0
"""Longer than who sends waits (`patching.py`)."""


class Heard(msgspec.Struct, frozen=True):
    """A webhook's body."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


@dataclass
class Receiver:
    """An endpoint. `heard` is in the order in which the ids came first; `wrong` tells what never may come.

    `refuse`, `cut` and `silent`: so many of the next webhooks are refused with 500, or taken without saying so: the
    line is cut, or nothing is said for longer than anybody waits.
    """

    secret: str = ""
    heard: dict[str, Heard] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    refuse: int = 0
    cut: int = 0
    silent: int = 0
    hits: int = 0
    again: int = 0
    """How many came that had been heard before."""
    url: str = ""
    _server: web.Server | None = None
    _listening: asyncio.Server | None = None
    _bodies: dict[str, bytes] = field(default_factory=dict)

    async def start(self) -> None:
        """Listen on a port that the system gives."""
        self._server = web.Server(self._take, access_log=None)
        self._listening = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}/facts"

    async def stop(self) -> None:
        """Listen no more, and cut who is connected."""
        if self._listening is not None:
            self._listening.close()
        if self._server is not None:
            await self._server.shutdown(0)

    def mend(self) -> None:
        """Behave from now on."""
        self.refuse = self.cut = self.silent = 0

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if self.refuse:
            self.refuse -= 1
            self.hits += 1
            return web.Response(status=500)
        self._note(request, body)
        if self.cut or self.silent:
            self.hits += 1
            if self.cut:
                self.cut -= 1
            else:
                self.silent -= 1
                await asyncio.sleep(_SILENT_S)
            if request.transport is not None:
                request.transport.abort()
        return web.Response(status=204)

    def _note(self, request: web.BaseRequest, body: bytes) -> None:
        named, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        signed = _signature(self.secret, f"{named}.{at}.".encode() + body)
        if signed not in request.headers["webhook-signature"].split():
            self.wrong.append(f"the signature of webhook {named} does not verify")
        if self._bodies.setdefault(named, body) != body:
            self.wrong.append(f"webhook {named} came with two bodies")
        if named in self.heard:
            self.again += 1
            return
        self.heard[named] = heard = msgspec.json.decode(body, type=Heard)
        if heard.id != named:
            self.wrong.append(f"webhook {named} names itself {heard.id}")


def _signature(secret: str, signed: bytes) -> str:
    """As Standard Webhooks has it; not by the library that signs."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
