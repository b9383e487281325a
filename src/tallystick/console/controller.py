"""`ConsoleController`: the door, the first page, alerts, figures, and every list."""

import re
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from tallystick.audit.models import NewEntry
from tallystick.audit.service import AuditService
from tallystick.console.errors import LoginRefused, TooManyTries
from tallystick.console.listing import Listing
from tallystick.console.models import Visitor
from tallystick.console.rendering import READ, ConsolePages, is_live
from tallystick.console.service import ConsoleService
from tallystick.console.service_actions import MANY
from tallystick.console.service_lists import ListReader, order_of
from tallystick.console.service_overview import OverviewReader
from tallystick.core.errors import DomainError, NotFound
from tallystick.platform.auth import claimed_subject
from tallystick.platform.http import request_id_of

__all__ = ["ConsoleController"]

log = structlog.get_logger()

_CSV = "text/csv; charset=utf-8"
# What somebody typed may be anything; what looks like a name is kept.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


class ConsoleController:
    """Routes under `/console` that change nothing but who is signed in."""

    def __init__(
        self,
        pages: ConsolePages,
        service: ConsoleService,
        lists: ListReader,
        overview: OverviewReader,
        audit: AuditService,
        names: Sequence[str],
    ) -> None:
        self._pages = pages
        self._service = service
        self._lists = lists
        self._overview = overview
        self._audit = audit
        self.router = APIRouter(prefix="/console", include_in_schema=False)
        self.router.add_api_route("/login", self.door, methods=READ)
        self.router.add_api_route("/login", self.sign_in, methods=["POST"])
        self.router.add_api_route("/logout", pages.form(self.sign_out, admin=False), methods=["POST"])
        self.router.add_api_route("", pages.route(self.home), methods=READ)
        self.router.add_api_route("/alerts", pages.route(self.alerts), methods=READ)
        self.router.add_api_route("/figures", pages.route(self.figures), methods=READ)
        self.router.add_api_route("/figures.csv", pages.route(self.figures_csv), methods=["GET"])
        for name in names:
            listing = lists.listing(name)
            self.router.add_api_route(f"/{name}", pages.route(self._list(listing)), methods=READ)
            self.router.add_api_route(f"/{name}.csv", pages.route(self._csv(listing)), methods=["GET"])

        # Comes after the other controllers' routes.
        self.elsewhere = APIRouter(prefix="/console", include_in_schema=False)
        self.elsewhere.add_api_route("/{rest:path}", pages.route(self.nowhere), methods=READ)

    # The door

    async def door(self, request: Request) -> Response:
        """Where staff sign in."""

        async def drawn() -> Response:
            return self._pages.page(request, None, "login.html", then=request.query_params.get("then", ""), error=None)

        return await self._pages.guarded(request, drawn)

    async def sign_in(self, request: Request) -> Response:
        """Open a session for an access token; who was let in is told to the log of who did what."""

        async def sent() -> Response:
            form = await self._pages.sent_form(request)
            then, address = str(form.get("then", "")), request.client.host if request.client else None
            before, text = self._pages.token(request), str(form.get("token", ""))[:16_384]
            try:
                token, identity = await self._service.sign_in(text, address=address, before=before)
            except (LoginRefused, TooManyTries) as error:
                log.warning("console.refused", code=error.code, address=address)
                await self._note_refusal(request, error, text)
                page = self._pages.page(request, None, "login.html", status=error.status, then=then, error=error)
                if error.retry_after_s is not None:
                    page.headers["retry-after"] = str(error.retry_after_s)
                return page
            role = "admin" if "admin" in identity.roles else "support"
            entry = NewEntry(
                actor=f"{role}:{identity.subject}",
                action="console_sign_in",
                outcome="done",
                roles=identity.roles,
                request_id=request_id_of(request.scope),
                address=address,
            )
            await self._audit.record(entry)
            return self._pages.signed_in(then or "/console", token)

        return await self._pages.guarded(request, sent)

    async def _note_refusal(self, request: Request, error: DomainError, token: str) -> None:
        """Tell the log of who did what; of a row of tries that are not looked at, only of the first."""
        if isinstance(error, TooManyTries) and not error.first:
            return
        claimed = claimed_subject(token.strip()) or ""
        entry = NewEntry(
            actor="nobody",
            action="console_sign_in",
            outcome="refused",
            status=error.status,
            error_code=error.code,
            request_id=request_id_of(request.scope),
            address=request.client.host if request.client else None,
            details={"claimed": claimed} if _PLAIN_NAME.fullmatch(claimed) else {},
        )
        await self._audit.record(entry)

    async def sign_out(self, request: Request, _who: Visitor, _form: FormData) -> Response:
        return await self._pages.sign_out(request)

    async def nowhere(self, request: Request, _who: Visitor) -> Response:
        """What is at no other address; a slash at the end is forgiven."""
        if request.url.path.endswith("/"):
            return RedirectResponse(request.url.path.rstrip("/"), 303)
        raise NotFound(f"There is no page {request.url.path[:100]}.", action="Look for it from the overview.")

    # At a glance

    async def home(self, request: Request, who: Visitor) -> Response:
        """How money flows, and what needs somebody."""
        return self._pages.page(
            request, who, "home.html", **await self._overview.home(who.identity, charts=not is_live(request))
        )

    async def alerts(self, request: Request, who: Visitor) -> Response:
        """What fires, what was over lately, and all that is watched."""
        return self._pages.page(request, who, "alerts.html", **await self._overview.alerts())

    async def figures(self, request: Request, who: Visitor) -> Response:
        """The money figures, drawn."""
        wanted = request.query_params
        return self._pages.page(request, who, "figures.html", **await self._overview.figures(who.identity, wanted))

    async def figures_csv(self, request: Request, who: Visitor) -> Response:
        """One report of them, as the page shows it."""
        wanted = request.query_params
        text = await self._overview.report_csv(who.identity, wanted)
        name = f"{wanted.get('report')}-{wanted.get('span') or '90d'}.csv"
        await self._note_export(request, who, "figures")
        return Response(text, media_type=_CSV, headers=_attached(name))

    # Lists

    def _list(self, listing: Listing) -> Any:
        async def draw(request: Request, who: Visitor) -> Response:
            wanted = dict(request.query_params)
            found = await self._lists.page(listing, wanted)
            drift = listing.name == "differences"
            return self._pages.page(
                request,
                who,
                "list.html",
                standing=await self._overview.standing(who.identity) if drift else None,
                many=MANY.get(listing.name, ()) if who.admin else (),
                listing=listing,
                found=found,
                wanted=wanted,
                order=order_of(listing, wanted),
                narrowed=any(wanted.get(each.name) for each in listing.filters),
            )

        return draw

    def _csv(self, listing: Listing) -> Any:
        async def draw(request: Request, who: Visitor) -> Response:
            wanted = dict(request.query_params)
            # What is wrong with a filter is said as a page, before the first line is on its way.
            await self._lists.page(listing, wanted | {"cursor": ""}, rows=1)
            await self._note_export(request, who, listing.name)
            return StreamingResponse(
                self._lists.csv(listing, wanted), media_type=_CSV, headers=_attached(f"{listing.name}.csv")
            )

        return draw

    async def _note_export(self, request: Request, who: Visitor, what: str) -> None:
        entry = NewEntry(
            actor=f"{'admin' if who.admin else 'support'}:{who.identity.subject}",
            action="console_export",
            outcome="done",
            roles=who.identity.roles,
            object_kind=what,
            request_id=request_id_of(request.scope),
            address=request.client.host if request.client else None,
        )
        await self._audit.record(entry)


def _attached(name: str) -> dict[str, str]:
    safe = "".join(letter for letter in name if letter.isascii() and (letter.isalnum() or letter in "-."))
    return {"content-disposition": f'attachment; filename="{safe}"', "cache-control": "no-store"}
