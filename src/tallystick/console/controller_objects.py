"""`ObjectController`: the pages about one object, and finding one."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tallystick.console.models import Detail, Visitor
from tallystick.console.rendering import READ, ConsolePages
from tallystick.console.service_messages import MessageReader
from tallystick.console.service_objects import ObjectReader

__all__ = ["ObjectController"]


class ObjectController:
    """Routes under `/console` that show one object."""

    def __init__(self, pages: ConsolePages, reader: ObjectReader, messages: MessageReader) -> None:
        self._pages = pages
        self._reader = reader
        self.router = APIRouter(prefix="/console", include_in_schema=False)
        self.router.add_api_route("/find", pages.route(self.find), methods=READ)
        for name, read in (
            ("payments", reader.payment),
            ("customers", reader.customer),
            ("subscriptions", reader.subscription),
            ("invoices", reader.invoice),
        ):
            self.router.add_api_route(f"/{name}/{{id}}", pages.route(self._told(read)), methods=READ)
        for name, plain in (
            ("events", messages.event),
            ("mails", messages.mail),
            ("deliveries", messages.delivery),
            ("endpoints", messages.endpoint),
        ):
            self.router.add_api_route(f"/{name}/{{id}}", pages.route(self._plain(plain)), methods=READ)

    async def find(self, request: Request, _who: Visitor) -> Response:
        """On to what somebody typed, else to a list that may have it."""
        text = request.query_params.get("q", "").strip()
        target = await self._reader.find(text) if text else "/console"
        return RedirectResponse(target or f"/console/customers?{urlencode({'email': text})}", 303)

    async def show(self, request: Request, who: Visitor, detail: Detail, **more: Any) -> Response:
        """The page of an object."""
        values: dict[str, Any] = {"failed": None, "preview": None} | more
        status = values.pop("status", 200)
        return self._pages.page(request, who, "object.html", status=status, detail=detail, **values)

    def _told(self, read: Callable[[Visitor, str, str | None], Awaitable[Detail]]) -> Any:
        async def draw(request: Request, who: Visitor) -> Response:
            before = request.query_params.get("before")
            return await self.show(request, who, await read(who, request.path_params["id"], before))

        return draw

    def _plain(self, read: Callable[[Visitor, str], Awaitable[Detail]]) -> Any:
        async def draw(request: Request, who: Visitor) -> Response:
            return await self.show(request, who, await read(who, request.path_params["id"]))

        return draw
