"""`ActionController`: what administrators do in the console. Each form is of its session, and is carried out once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tallystick.attempts.models import Settled
from tallystick.audit.models import NewEntry
from tallystick.audit.service import AuditService, bounded
from tallystick.console.controller_objects import ObjectController
from tallystick.console.models import Visitor
from tallystick.console.rendering import ConsolePages
from tallystick.console.service_actions import MANY, ConsoleActions, Done
from tallystick.console.service_messages import MessageReader
from tallystick.console.service_objects import ObjectReader
from tallystick.core.errors import DomainError, InvalidRequest
from tallystick.platform.http import request_id_of
from tallystick.platform.idempotency import IdempotentRequest

__all__ = ["ActionController"]

Work = Callable[[Visitor, str, Mapping[str, str], IdempotentRequest], Awaitable[Done | Settled]]
_KEY_MOST = 64
_UNKNOWN = 202
_OF_THE_FORM = ("csrf", "key", "chosen", "do")
_PAST = {"replay": "replayed", "discard": "discarded", "resend": "sent again"}
_MANY_MOST = 100


class ActionController:
    """Routes under `/console` that change something."""

    def __init__(
        self,
        pages: ConsolePages,
        reader: ObjectReader,
        messages: MessageReader,
        objects: ObjectController,
        actions: ConsoleActions,
        audit: AuditService,
    ) -> None:
        self._pages = pages
        self._reader = reader
        self._messages = messages
        self._objects = objects
        self._actions = actions
        self._audit = audit
        self.router = APIRouter(prefix="/console", include_in_schema=False)
        for name, does in actions.table.items():
            page, _, action = name.partition(".")
            self.router.add_api_route(
                f"/{page}/{{id}}/{action}", pages.form(self._send(page, action, does)), methods=["POST"]
            )
        for page, ways in MANY.items():
            self.router.add_api_route(f"/{page}/many", pages.form(self._many(page, ways)), methods=["POST"])
        self.router.add_api_route("/differences/run", pages.form(self.reconcile), methods=["POST"])
        self.router.add_api_route(
            "/subscriptions/{id}/preview", pages.form(self.preview, admin=False), methods=["POST"]
        )
        self.router.add_api_route("/differences/repair", pages.form(self.repair), methods=["POST"])

    def _send(self, page: str, action: str, does: Work) -> Any:
        async def send(request: Request, who: Visitor, form: FormData) -> Response:
            object_id, fields = request.path_params["id"], _texts(form)
            sent = _once(request, who, fields)
            try:
                done = await does(who, object_id, fields, sent)
            except DomainError as error:
                await self._note(request, who, f"console_{page}_{action}", page, object_id, error=error.code)
                return await self._again(request, who, page, object_id, error.detail, error.suggested_action)
            if isinstance(done, Settled) and done.status >= 400:
                code = str(done.body.get("code"))
                await self._note(request, who, f"console_{page}_{action}", page, object_id, error=code)
                says = str(done.body.get("detail") or done.body.get("title"))
                return await self._again(request, who, page, object_id, says, done.body.get("suggested_action"))
            await self._note(request, who, f"console_{page}_{action}", page, object_id, details=fields)
            said = done.said if isinstance(done, Done) else self._actions.said(action, done)
            unknown = isinstance(done, Settled) and done.status == _UNKNOWN
            return self._pages.done(who, f"/console/{page}/{object_id}", said, tone="warn" if unknown else "good")

        return send

    def _many(self, page: str, ways: Sequence[str]) -> Any:
        async def send(request: Request, who: Visitor, form: FormData) -> Response:
            chosen = [str(value)[:_KEY_MOST] for value in form.getlist("chosen")][:_MANY_MOST]
            what = str(form.get("do", ""))
            if not chosen or what not in ways:
                raise InvalidRequest("Nothing was chosen.", field="chosen", action="Tick the rows that are meant.")
            fields = _texts(form)
            done, refused = await self._actions.many(who, page, what, chosen, fields, _once(request, who, fields))
            # First, that they are kept; and no field of the form takes their place.
            ours = {"count": done, "chosen": chosen}
            await self._note(request, who, f"console_{page}_{what}", page, None, details=ours | fields | ours)
            said = f"{done} {_PAST[what]}"
            if refused:
                said += f", {len(refused)} could not be: {refused[0]}"
            return self._pages.done(who, f"/console/{page}", said, tone="warn" if refused else "good")

        return send

    async def reconcile(self, request: Request, who: Visitor, form: FormData) -> Response:
        """Have the mirror compared with Stripe by a worker."""
        fields = _texts(form)
        done = await self._actions.reconcile(who, fields)
        await self._note(request, who, "console_reconcile", "differences", None, details=fields)
        return self._pages.done(who, "/console/differences", done.said)

    async def preview(self, request: Request, who: Visitor, form: FormData) -> Response:
        """What a change of a subscription would bill. It changes nothing."""
        object_id = request.path_params["id"]
        try:
            preview = await self._actions.preview(who, object_id, _texts(form))
        except DomainError as error:
            says = error.detail
            return await self._again(request, who, "subscriptions", object_id, says, error.suggested_action)
        detail = await self._reader.subscription(who, object_id, None)
        return await self._objects.show(request, who, detail, preview=preview)

    async def repair(self, request: Request, who: Visitor, form: FormData) -> Response:
        """Compare an object with Stripe now, and repair it."""
        object_id = str(form.get("object", ""))[:255]
        done = await self._actions.repair(who, object_id)
        await self._note(request, who, "console_repair", "differences", object_id)
        return self._pages.done(who, "/console/differences", done.said, id=object_id)

    async def _again(
        self, request: Request, who: Visitor, page: str, object_id: str, says: str, action: Any
    ) -> Response:
        readers: Mapping[str, Any] = {
            "payments": lambda: self._reader.payment(who, object_id, None),
            "subscriptions": lambda: self._reader.subscription(who, object_id, None),
            "events": lambda: self._messages.event(who, object_id),
            "mails": lambda: self._messages.mail(who, object_id),
            "deliveries": lambda: self._messages.delivery(who, object_id),
            "endpoints": lambda: self._messages.endpoint(who, object_id),
        }
        failed = {"says": says, "action": action}
        return await self._objects.show(request, who, await readers[page](), failed=failed, status=422)

    async def _note(
        self,
        request: Request,
        who: Visitor,
        action: str,
        kind: str,
        object_id: str | None,
        *,
        error: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        await self._audit.record(
            NewEntry(
                actor=f"{'admin' if who.admin else 'support'}:{who.identity.subject}",
                action=action,
                outcome="refused" if error else "done",
                roles=who.identity.roles,
                object_kind=kind,
                object_id=object_id,
                error_code=error,
                request_id=request_id_of(request.scope),
                address=request.client.host if request.client else None,
                details=bounded(details or {}),
            )
        )


def _texts(form: FormData) -> dict[str, str]:
    """What was typed in, without what every form bears."""
    return {name: str(value) for name, value in form.items() if name not in _OF_THE_FORM}


def _once(request: Request, who: Visitor, fields: Mapping[str, str]) -> IdempotentRequest:
    key = request.state.form_key[:_KEY_MOST]
    return IdempotentRequest(f"console:{who.identity.subject}", key, f"POST {request.url.path}", dict(fields))
