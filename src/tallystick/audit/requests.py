"""`AuditedRequests`: pure ASGI around the API that writes down what staff did, before the answer leaves.

Whoever is checked by a token leaves its `Identity` in the request's state; what a user does for itself is not written
here: its attempts and idempotency keys tell that already, and a payment would cost one more commit.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallystick.audit.models import NewEntry, Outcome
from tallystick.audit.service import AuditService, bounded
from tallystick.platform.auth import Identity
from tallystick.platform.http import request_id_of

__all__ = ["AUDITED_OBJECT", "READS_PERSONAL_DATA", "AuditedRequests"]

READS_PERSONAL_DATA = "reads_personal_data"
"""Set in the state of a request that reads all about somebody: it is written down though it changes nothing."""

AUDITED_OBJECT = "audited_object"
"""Set in the state of a request whose path may say more of somebody than the log should keep: kind and id."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSALS = frozenset({401, 403, 404})
_ROLES = ("admin", "support", "service")
_KIND = re.compile(r"/api/([a-z-]+?)s?(?:/|\Z)")
# What an answer may add to an entry: nobody's name is among it.
_TOLD = (
    "amount", "currency", "status", "reason", "quantity", "price", "product", "active", "default", "deleted",
    "cancel_at_period_end", "state", "enabled",
)  # fmt: skip
_READ_MAX = 64 * 1024


class AuditedRequests:
    """Writes an entry for each change that staff made or was refused, and for what they were not to see."""

    def __init__(self, app: ASGIApp, audit: AuditService) -> None:
        self._app = app
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun: Message | None = None

        async def send_audited(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and _concerns(scope, message["status"]):
                begun = message
                return
            if begun is not None:
                start, begun = begun, None
                entry = _entry(scope, start["status"], _read(message))
                # A service's requests are many, and each has its attempt: they do not wait for the disk once more.
                await self._audit.record(entry, soon=_role(scope) == "service")
                await send(start)
            await send(message)

        await self._app(scope, receive, send_audited)


def _concerns(scope: Scope, status: int) -> bool:
    state = scope.get("state", {})
    identity: Identity | None = state.get("identity")
    if identity is None or not identity.roles:
        return False
    return scope["method"] not in _READING or status in _REFUSALS or READS_PERSONAL_DATA in state


def _entry(scope: Scope, status: int, answer: Mapping[str, Any]) -> NewEntry:
    identity: Identity = scope["state"]["identity"]
    kind, named = scope["state"].get(AUDITED_OBJECT) or _named(scope)
    object_id = named
    if (answer.get("object") == kind or named is None) and AUDITED_OBJECT not in scope["state"]:
        object_id = str(answer["id"]) if "id" in answer else named
        kind = str(answer["object"]) if "id" in answer and "object" in answer else kind
    told = {name: answer[name] for name in _TOLD if isinstance(answer.get(name), str | int)} if status < 400 else {}
    if status < 400 and "id" in answer and str(answer["id"]) != object_id:
        told["made"] = str(answer["id"])
    return NewEntry(
        actor=f"{_role(scope)}:{identity.subject}",
        action=getattr(scope.get("route"), "name", None) or "no_such_route",
        outcome=_outcome(status),
        roles=identity.roles,
        user_id=scope["state"].get("acts_for"),
        object_kind=kind,
        object_id=object_id,
        status=status,
        error_code=str(answer["code"])[:100] if status >= 400 and "code" in answer else None,
        request_id=request_id_of(scope),
        address=scope["client"][0] if scope.get("client") else None,
        details=bounded(told),
    )


def _named(scope: Scope) -> tuple[str | None, str | None]:
    """The kind and the id of the object that the path names."""
    found = _KIND.match(scope["path"])
    kind = found[1].replace("-", "_") if found else None
    params = scope.get("path_params") or {}
    named = params.get("id")
    # What no object of ours is called is no id: it may be anything that somebody typed.
    return kind, named if isinstance(named, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,255}", named) else None


def _role(scope: Scope) -> str:
    roles = scope["state"]["identity"].roles
    return next(role for role in _ROLES if role in roles)


def _outcome(status: int) -> Outcome:
    return "done" if status < 400 else "refused" if status < 500 else "failed"


def _read(message: Message) -> Mapping[str, Any]:
    """The object that an answer begins with, where it is one and is not large."""
    body: bytes = message.get("body", b"")
    if not body.startswith(b"{") or len(body) > _READ_MAX or message.get("more_body"):
        return {}
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
