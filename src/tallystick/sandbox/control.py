"""`/_sandbox/*`: the controls that the real Stripe does not have. No key is needed, but a local caller is."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tallystick.sandbox.advance import Advance, NotSettled
from tallystick.sandbox.api import Api
from tallystick.sandbox.application import Application
from tallystick.sandbox.clock import parse_span
from tallystick.sandbox.delivery import Deliverer
from tallystick.sandbox.engine import Engine
from tallystick.sandbox.errors import ApiError
from tallystick.sandbox.faults import Fault
from tallystick.sandbox.resources import webhook_endpoints
from tallystick.sandbox.seed import seed
from tallystick.sandbox.shapes import Json, canonical, decode

__all__ = ["Control", "Refused", "is_local"]

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_FAULTS = msgspec.json.Decoder(Fault)
_ENDPOINT_KEYS = frozenset({"url", "secret", "api_version", "enabled_events", "description"})
_MOMENT_S = 1.5
"""Due moments this close count as part of what is going on: a balance transaction, a dispute."""
_PATIENCE_S = 60.0
_MOST_SEEDED = 10_000_000
_FARTHEST_S = 100 * 366 * 86400


class Refused(Exception):
    """A control call that cannot be carried out; answered as 400 with a message."""


class Control:
    """The handlers, over one engine."""

    def __init__(self, engine: Engine, deliverer: Deliverer, api: Api) -> None:
        self._engine = engine
        self._deliverer = deliverer
        self._api = api
        self._application = Application(engine.store)
        self._advance = Advance(engine, deliverer, self._application)

    def routes(self) -> list[Route]:
        """Starlette routes, below `/_sandbox`."""
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/health", self._health),
            ("GET", "/settings", self._settings),
            ("POST", "/settings", self._change_settings),
            ("GET", "/clock", self._clock),
            ("POST", "/clock/advance", self._move),
            ("PUT", "/webhook_endpoints", self._upsert_endpoint),
            ("PUT", "/application", self._register),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._add_faults),
            ("DELETE", "/faults", self._remove_faults),
            ("DELETE", "/faults/{id}", self._remove_faults),
            ("POST", "/reset", self._reset),
            ("POST", "/seed", self._seed),
            ("GET", "/requests", self._requests),
            ("GET", "/events/{id}/deliveries", self._deliveries),
            ("POST", "/events/{id}/resend", self._resend),
            ("POST", "/quiet", self._quiet),
        ]
        return [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table]

    def _guarded(self, handler: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            host = request.client.host if request.client else "127.0.0.1"
            if not (self._engine.config.open_control or is_local(host)):
                return JSONResponse({"error": "The controls are open to this machine only."}, status_code=403)
            try:
                return await handler(request)
            except (Refused, msgspec.ValidationError, msgspec.DecodeError, ValueError) as problem:
                return JSONResponse({"error": str(problem)}, status_code=400)
            except ApiError as problem:
                return JSONResponse(problem.body("req_control"), status_code=problem.status)

        return guarded

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "api_version": self._engine.settings.api_version})

    async def _settings(self, _request: Request) -> Response:
        return JSONResponse(msgspec.to_builtins(self._engine.settings))

    async def _change_settings(self, request: Request) -> Response:
        settings = self._engine.change_settings(await _json(request))
        self._deliverer.wake()
        return JSONResponse(msgspec.to_builtins(settings))

    async def _clock(self, _request: Request) -> Response:
        return JSONResponse({**self._now(), "advancing": self.progress()})

    def progress(self) -> Json | None:
        """How far an advance is that is under way (`to`, `steps`, `waiting`); else None."""
        return self._advance.progress()

    def _now(self) -> Json:
        clock = self._engine.clock
        return {
            "now": clock.unix(),
            "wall": int(clock.wall_unix()),
            "offset_s": clock.offset.total_seconds(),
        }

    async def _move(self, request: Request) -> Response:
        wanted = await _json(request)
        try:
            return JSONResponse(await self.move(wanted))
        except NotSettled as problem:
            body = {"error": str(problem), "waiting": problem.waiting, **self._now()}
            return JSONResponse(body, status_code=504)

    async def move(self, wanted: Json) -> Json:
        """`{"by": seconds or "40d"}` or `{"to": unix or ISO 8601}`: from due moment to due moment.

        `timeout_s` is how long each moment may take until all that it brings is done.

        Raises:
            Refused, ValueError: it is no span, no moment, or one that cannot be gone to.
            NotSettled: something did not get done; business time stands where it was waited for.
        """
        if ("by" in wanted) == ("to" in wanted):
            raise Refused('Send {"by": …} or {"to": …}.')
        by = parse_span(wanted["by"]) if "by" in wanted else None
        to = _moment(wanted["to"]) if "to" in wanted else None
        patience_s = parse_span(wanted.get("timeout_s", _PATIENCE_S))

        def target_from(now: float) -> float:
            target = now + by if by is not None else to or 0.0
            if target < now:
                raise Refused("Business time only moves forward.")
            if target > now + _FARTHEST_S:
                raise Refused("That is more than a century ahead.")
            return target

        answer = await self._advance.move(target_from, patience_s)
        return {**self._now(), **answer}

    async def settle(self, *, timeout_s: float, ahead_s: float = 0.0) -> bool:
        """Wait until no delivery is due or under way and no due moment lies within `ahead_s`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while loop.time() < end:
            if self._advance.at_rest(ahead_s=ahead_s):
                return True
            await asyncio.sleep(0.005)
        return False

    async def _register(self, request: Request) -> Response:
        """`{"url": …}` of the application that lives by this sandbox's time, or null for none."""
        wanted = await _json(request)
        if wanted.keys() != {"url"}:
            raise Refused('Send {"url": …}.')
        self._application.register(wanted["url"])
        return JSONResponse({"url": self._application.url})

    async def _upsert_endpoint(self, request: Request) -> Response:
        wanted = await _json(request)
        unknown = wanted.keys() - _ENDPOINT_KEYS
        if unknown or "url" not in wanted:
            raise Refused(f"Send url, and of the rest only: {', '.join(sorted(_ENDPOINT_KEYS))}.")
        with self._engine.unit() as ctx:
            endpoint = canonical(webhook_endpoints.upsert(ctx, wanted))
        self._deliverer.wake()
        return JSONResponse(endpoint)

    async def _faults(self, _request: Request) -> Response:
        return JSONResponse({"data": msgspec.to_builtins(self._engine.faults.all())})

    async def _add_faults(self, request: Request) -> Response:
        """One rule or a list of them; see `faults.py`."""
        body = decode(await request.body())
        rules = [_FAULTS.decode(msgspec.json.encode(item)) for item in (body if isinstance(body, list) else [body])]
        added = [msgspec.to_builtins(self._engine.faults.add(rule)) for rule in rules]
        return JSONResponse({"data": added}, status_code=201)

    async def _remove_faults(self, request: Request) -> Response:
        self._engine.faults.remove(request.path_params.get("id"))
        return JSONResponse({"data": msgspec.to_builtins(self._engine.faults.all())})

    async def _reset(self, _request: Request) -> Response:
        self.reset()
        return JSONResponse({"status": "ok"})

    def reset(self) -> None:
        """Forget everything, as a sandbox that was never used."""
        self._engine.reset()
        self._deliverer.forget()
        self._api.requests.clear()

    async def _seed(self, request: Request) -> Response:
        """`{"objects": 100000}`: customers with methods, payments and subscriptions, as if they were old."""
        wanted = await _json(request)
        count = wanted.get("objects")
        if wanted.keys() != {"objects"} or not isinstance(count, int) or not 1 <= count <= _MOST_SEEDED:
            raise Refused(f'Send {{"objects": …}}, from 1 to {_MOST_SEEDED:,}.')
        return JSONResponse(await seed(self._engine, count))

    async def _requests(self, request: Request) -> Response:
        limit = int(request.query_params.get("limit", "50"))
        return JSONResponse({"data": list(self._api.requests)[:limit]})

    async def _deliveries(self, request: Request) -> Response:
        return JSONResponse({"data": self._engine.events.deliveries(request.path_params["id"])})

    async def _resend(self, request: Request) -> Response:
        """To all enabled endpoints, or to `{"endpoint": "we_…"}`."""
        wanted = await _json(request)
        return JSONResponse({"deliveries": self.resend(request.path_params["id"], wanted.get("endpoint"))})

    def resend(self, event_id: str, endpoint_id: str | None = None) -> int:
        """Deliver an event again, to one endpoint or to all that are enabled; to how many."""
        known = self._engine.events.endpoints().values()
        with self._engine.unit() as ctx:
            count = ctx.events.resend(event_id, [item for item in known if endpoint_id in (None, item.id)])
        self._deliverer.add(self._engine.take_fresh())
        return count

    async def _quiet(self, request: Request) -> Response:
        timeout_s = float(request.query_params.get("timeout_s", "10"))
        quiet = await self.settle(timeout_s=timeout_s, ahead_s=_MOMENT_S)
        return JSONResponse({"quiet": quiet}, status_code=200 if quiet else 504)


def is_local(host: str) -> bool:
    """Whether this is an address of the machine itself."""
    try:
        address = ipaddress.ip_address(host)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback
    except ValueError:
        return host in ("localhost", "testclient")


async def _json(request: Request) -> Json:
    body = await request.body()
    value: Any = decode(body) if body else {}
    if not isinstance(value, dict):
        raise Refused("Send a JSON object.")
    return value


def _moment(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise Refused("`to` is Unix seconds or an ISO 8601 time.") from None
        if moment.tzinfo is None:
            raise Refused("Say the time zone of `to`, for example with a Z at the end.")
        return moment.timestamp()
    raise Refused("`to` is Unix seconds or an ISO 8601 time.")
