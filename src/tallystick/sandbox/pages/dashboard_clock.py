"""The clock's page: business time, what is due next, and the form that moves it."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tallystick.sandbox.advance import NotSettled
from tallystick.sandbox.control import Control, Refused
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.pages.dashboard_frame import HOME, DashboardFrame, form_of
from tallystick.sandbox.pages.dashboard_reading import DashboardReader
from tallystick.sandbox.shapes import Json

__all__ = ["DashboardClock"]

_SOON_S = 1.5
"""So long a form waits for a short way to be gone, so that its answer shows where it led."""
_PATIENCE_S = 60.0
_MOST = 12
_STEPS = ("1h", "1d", "7d", "30d", "365d")


class DashboardClock:
    """Shows and moves business time; a way that takes long is gone while the page shows how far it is."""

    def __init__(self, engine: Engine, control: Control, reader: DashboardReader, frame: DashboardFrame) -> None:
        self._engine = engine
        self._control = control
        self._reader = reader
        self._frame = frame
        self._journey: asyncio.Task[None] | None = None
        self._outcome: Json | None = None
        self._began: int | None = None

    def routes(self) -> list[Route]:
        """Starlette routes, at the root."""
        guarded = self._frame.guarded
        return [
            Route(f"{HOME}/clock", guarded(self._show)),
            Route(f"{HOME}/clock", guarded(self._move), methods=["POST"]),
        ]

    def forget(self) -> None:
        """The last way belongs to an account that is gone."""
        self._outcome = None

    async def stop(self) -> None:
        """Break off a way that is being gone."""
        if self._journey is not None:
            self._journey.cancel()
            await asyncio.gather(self._journey, return_exceptions=True)

    async def _show(self, request: Request) -> Response:
        return self._page(request)

    def _page(self, request: Request, *, status: int = 200, problem: str = "", **given: str) -> Response:
        refused = self._refused()
        return self._frame.page(
            request, "clock.html", status=status, problem=problem or refused, given={"by": "", "to": "", **given},
            outcome=None if refused else self._outcome, began=self._began, steps=_STEPS,
            moments=self._reader.next_moments(_MOST),
        )  # fmt: skip

    async def _move(self, request: Request) -> Response:
        form = await form_of(request)
        by, to = form.get("by", ""), form.get("to", "")
        if self._control.progress() is not None or (self._journey is not None and not self._journey.done()):
            return self._page(request, status=409, problem="The clock is on its way already: let it arrive first.")
        if bool(by) == bool(to):
            return self._page(request, status=400, problem="Say how far, or until when: one of the two.", by=by, to=to)
        # A form knows no time zone; the page says that it is UTC.
        wanted: Json = {"by": by} if by else {"to": f"{to}+00:00"}
        self._outcome = None
        self._journey = asyncio.create_task(self._travel({**wanted, "timeout_s": _PATIENCE_S}))
        await asyncio.wait([self._journey], timeout=_SOON_S)
        refused = self._refused()
        if refused:
            self._outcome = None
            return self._page(request, status=400, problem=refused, by=by, to=to)
        return self._frame.lead("/clock")

    def _refused(self) -> str:
        """Why the way could not be gone at all; empty where it could."""
        return str((self._outcome or {}).get("refused", ""))

    async def _travel(self, wanted: Json) -> None:
        self._began = began = self._engine.clock.unix()
        try:
            self._outcome = {"began": began, "waiting": [], **await self._control.move(wanted)}
        except NotSettled as problem:
            self._outcome = {"began": began, "now": self._engine.clock.unix(), "waiting": problem.waiting}
        except (Refused, ValueError) as error:
            self._outcome = {"refused": str(error)}
        finally:
            self._began = None
