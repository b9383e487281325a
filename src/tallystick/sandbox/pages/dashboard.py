"""The sandbox's own dashboard: `/dashboard`, for whoever develops against it on this machine."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tallystick.sandbox.api import Api
from tallystick.sandbox.catalog import INDEXED
from tallystick.sandbox.control import Control
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.pages.dashboard_clock import DashboardClock
from tallystick.sandbox.pages.dashboard_faults import DashboardFaults
from tallystick.sandbox.pages.dashboard_frame import HOME, DashboardFrame, form_of, path_of
from tallystick.sandbox.pages.dashboard_json import ids_in, pretty, without_secrets
from tallystick.sandbox.pages.dashboard_reading import MOST, DashboardReader
from tallystick.sandbox.pages.dashboard_words import kind_name
from tallystick.sandbox.shapes import Json

__all__ = ["Dashboard"]

_PAGE = 20
_FEW = 8
_FIRST = ("status", "customer", "email", "type", "data.object.id", "code", "active", "payment_intent", "invoice")
_CHOSEN = frozenset({"active", "collection_method", "currency", "recurring.interval", "status", "type"})
"""Fields with a handful of values, chosen from a list."""
_FIELDS = 3
_UNDELIVERED = ("pending", "failed", "dropped", "canceled")
_GONE = "It belongs to another account, or to one that was reset."


class Dashboard:
    """The pages that show what is there, and their forms; clock and faults have classes of their own."""

    def __init__(self, engine: Engine, api: Api, control: Control) -> None:
        self._engine = engine
        self._api = api
        self._control = control
        self._reader = DashboardReader(engine)
        self._frame = DashboardFrame(engine, control)
        self._clock = DashboardClock(engine, control, self._reader, self._frame)
        self._faults = DashboardFaults(engine, self._frame)

    def routes(self) -> list[Route]:
        """Starlette routes, at the root."""
        guarded = self._frame.guarded
        return [
            Route("/", guarded(self._home)),
            Route(HOME, guarded(self._overview)),
            Route(f"{HOME}/find", guarded(self._find)),
            Route(f"{HOME}/kinds/{{kind}}", guarded(self._list)),
            Route(f"{HOME}/objects/{{id:path}}", guarded(self._object)),
            Route(f"{HOME}/requests", guarded(self._requests)),
            Route(f"{HOME}/webhooks", guarded(self._webhooks)),
            Route(f"{HOME}/resend", guarded(self._resend), methods=["POST"]),
            Route(f"{HOME}/reset", guarded(self._ask_reset)),
            Route(f"{HOME}/reset", guarded(self._reset), methods=["POST"]),
            *self._clock.routes(),
            *self._faults.routes(),
            Route(f"{HOME}/{{rest:path}}", guarded(self._missing)),
        ]

    async def stop(self) -> None:
        """End what the dashboard has begun."""
        await self._clock.stop()

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse(HOME)

    async def _missing(self, request: Request) -> Response:
        return self._frame.message(request, "There is no such page", "It may have moved. Start over above.", 404)

    async def _overview(self, request: Request) -> Response:
        events, _ = self._reader.listed("event", {"limit": _FEW}, {})
        return self._frame.page(
            request, "overview.html", counts=_by_name(self._reader.counts()), events=self._with_deliveries(events),
            requests=list(self._api.requests)[:_FEW], undelivered=self._reader.undelivered_counts(),
            faults=sum(1 for rule in self._engine.faults.all() if rule.times is None or rule.hits < rule.times),
            api_url=f"{request.url.scheme}://{request.url.netloc}",
        )  # fmt: skip

    async def _find(self, request: Request) -> Response:
        """By a whole id to its object, by an e-mail to its customers, else whatever starts so."""
        wanted = request.query_params.get("q", "").strip()
        if self._reader.known([wanted]):
            return RedirectResponse(path_of(wanted), status_code=303)
        if "@" in wanted:
            return RedirectResponse(f"{HOME}/kinds/customer?{urlencode({'email': wanted})}", status_code=303)
        found = self._reader.starting_with(wanted, _PAGE) if wanted else []
        return self._frame.page(request, "found.html", wanted=wanted, found=found)

    async def _list(self, request: Request) -> Response:
        kind, query = request.path_params["kind"], request.query_params
        if kind not in INDEXED and kind not in self._reader.counts():
            return self._frame.message(request, "There is no such kind", f"No object is a {kind}.", 404)
        filters = {field: query[field] for field in INDEXED.get(kind, ()) if query.get(field)}
        cursor = {name: query[name] for name in ("starting_after", "ending_before") if query.get(name)}
        values, more = self._reader.listed(kind, {"limit": _PAGE, **cursor}, dict(filters))
        older, newer = (True, more) if "ending_before" in cursor else (more, bool(cursor))
        return self._frame.page(
            request, "event_list.html" if kind == "event" else "list.html", kind=kind, filters=filters,
            fields=self._fields(kind, filters), values=self._with_deliveries(values) if kind == "event" else values,
            older=_link({**filters, "starting_after": values[-1]["id"]}) if values and older else "",
            newer=_link({**filters, "ending_before": values[0]["id"]}) if values and newer else "",
        )  # fmt: skip

    def _fields(self, kind: str, filters: Json) -> list[tuple[str, list[str] | None]]:
        """What the list's form asks for: a few fields and those in use, each with its values where it has few."""
        known = sorted(INDEXED.get(kind, ()), key=lambda field: _FIRST.index(field) if field in _FIRST else len(_FIRST))
        return [
            (field, self._reader.values(kind, field) if field in _CHOSEN else None)
            for place, field in enumerate(known)
            if place < _FIELDS or field in filters
        ]

    async def _object(self, request: Request) -> Response:
        value = self._reader.object(request.path_params["id"])
        if value is None:
            return self._frame.message(request, "There is no such object", _GONE, 404)
        shown = without_secrets(value)
        known = self._reader.known(set(ids_in(shown)))
        is_event = value["object"] == "event"
        events = [] if is_event else self._reader.listed("event", {"limit": _FEW}, {"data.object.id": value["id"]})[0]
        return self._frame.page(
            request, "object.html", value=shown, json=pretty(shown, known, path_of),
            events=self._with_deliveries(events), few=_FEW, referring=self._reader.referring(value), most=MOST,
            deliveries=self._engine.events.deliveries(value["id"]) if is_event else [], urls=self._urls(),
            subject=_subject(value, known) if is_event else "",
        )  # fmt: skip

    async def _requests(self, request: Request) -> Response:
        failed = request.query_params.get("failed") == "1"
        known = [item for item in self._api.requests if not failed or item["status"] >= 400 or item["fault"]]
        before = request.query_params.get("before", "")
        start = next((place + 1 for place, item in enumerate(known) if item["id"] == before), 0)
        shown = known[start : start + _PAGE]
        older = _link({**({"failed": "1"} if failed else {}), "before": shown[-1]["id"]})[1:] if shown else ""
        return self._frame.page(
            request, "requests.html", requests=shown, failed=failed, most=self._api.requests.maxlen,
            older=f"?{older}" if len(known) > start + _PAGE else "", start=start,
        )  # fmt: skip

    async def _webhooks(self, request: Request) -> Response:
        query = request.query_params
        state = query.get("state", "pending")
        before = int(query["before"]) if query.get("before", "").isdecimal() and len(query["before"]) < 18 else None
        deliveries, more = self._reader.undelivered(state, before=before, limit=_PAGE)
        endpoints, _ = self._reader.listed("webhook_endpoint", {"limit": 100}, {})
        return self._frame.page(
            request, "webhooks.html", endpoints=endpoints, secrets=self._secrets(endpoints), deliveries=deliveries,
            counts=self._reader.undelivered_counts(), states=_UNDELIVERED, state=state, urls=self._urls(),
            older=_link({"state": state, "before": deliveries[-1]["id"]}) if more else "",
        )  # fmt: skip

    async def _resend(self, request: Request) -> Response:
        form = await form_of(request)
        event_id = form.get("event", "")
        if not self._reader.known([event_id]):
            return self._frame.message(
                request, "There is no such event", "It belongs to an account that was reset.", 404
            )
        count = self._control.resend(event_id, form.get("endpoint") or None)
        return self._frame.lead(path_of(event_id).removeprefix(HOME), "resent" if count else "nobody")

    async def _ask_reset(self, request: Request) -> Response:
        return self._frame.page(request, "reset.html", total=sum(self._reader.counts().values()))

    async def _reset(self, request: Request) -> Response:
        if self._control.progress() is not None:
            return self._frame.message(request, "Not now", "The clock is on its way: let it arrive first.", 409)
        self._control.reset()
        self._clock.forget()
        return self._frame.lead("", "reset")

    def _with_deliveries(self, events: Sequence[Json]) -> list[Json]:
        states = self._reader.delivery_states([event["id"] for event in events])
        return [{**event, "delivery": _worst(states.get(event["id"], {}))} for event in events]

    def _urls(self) -> dict[str, str]:
        """Addresses of the enabled endpoints, by id."""
        return {item.id: item.url for item in self._engine.events.endpoints().values()}

    def _secrets(self, endpoints: Sequence[Json]) -> dict[str, str]:
        """The last characters of each endpoint's secret: enough to tell one from another."""
        notes = ((item["id"], self._engine.store.note(item["id"], "secret") or "") for item in endpoints)
        return {endpoint: f"•••• {secret[-4:] if len(secret) > 16 else ''}" for endpoint, secret in notes}


def _by_name(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: kind_name(item[0]))


def _link(query: Json) -> str:
    return f"?{urlencode({name: value for name, value in query.items() if value})}"


def _worst(states: dict[str, int]) -> str:
    """What is most worth knowing of an event's deliveries; empty where nobody wanted it."""
    return next((state for state in ("failed", "dropped", "pending", "delivered", "canceled") if state in states), "")


def _subject(event: Json, known: set[str]) -> str:
    """The id of the object that an event is about, where it is in the store."""
    subject = event["data"]["object"].get("id", "")
    return subject if subject in known else ""
