"""Reads that are asked for all the time, past the framework: its routing, validation and middleware are most of what
such a read costs.

A request takes this way only where it is plain what it asks for. Every other goes on to the framework, which has the
same routes and says what is wrong; so there is nothing here that refuses.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tallystick.platform.auth import Actor
from tallystick.platform.http import answer_error

__all__ = ["DirectRead", "DirectReads"]

_TOKEN, _USER, _EMAIL = b"authorization", b"tallystick-user", b"tallystick-user-email"
_LOCALE = b"tallystick-user-locale"
_SENT = frozenset({_TOKEN, _USER, _EMAIL, _LOCALE})
_USER_MAX, _EMAIL_MAX = 255, 320

Authenticate: TypeAlias = Callable[[Request, str | None, str | None, str | None], Awaitable[Actor]]


@dataclass(frozen=True, slots=True)
class DirectRead:
    """A GET that the framework has as `name` at the template `path`; `pattern` is the whole of path and query.

    `answer` makes the answer for who calls; what it raises is answered as the framework would.
    """

    path: str
    name: str
    pattern: "re.Pattern[str]"
    answer: Callable[[Actor, "re.Match[str]"], Awaitable[Response]]


class DirectReads:
    """Pure ASGI in front of the framework `app`."""

    def __init__(self, app: ASGIApp, authenticate: Authenticate) -> None:
        self._app = app
        self._authenticate = authenticate
        self._reads: list[DirectRead] = []

    def register(self, reads: Sequence[DirectRead]) -> None:
        """Take these the direct way."""
        self._reads += reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        read, match = found
        sent = {name: value.decode("latin-1") for name, value in reversed(scope["headers"]) if name in _SENT}
        user, email = sent.get(_USER), sent.get(_EMAIL)
        if _LOCALE in sent or len(user or "") > _USER_MAX or len(email or "") > _EMAIL_MAX:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        # As the framework leaves it for those who count, trace and audit.
        scope["route"], scope["path_params"] = read, match.groupdict()
        try:
            who = await self._authenticate(request, sent.get(_TOKEN), user, email)
            response = await read.answer(who, match)
        except Exception as error:
            response = await answer_error(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> "tuple[DirectRead, re.Match[str]] | None":
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        query = scope["query_string"].decode("latin-1")
        target = f"{scope['path']}?{query}" if query else scope["path"]
        for read in self._reads:
            if match := read.pattern.fullmatch(target):
                return read, match
        return None
