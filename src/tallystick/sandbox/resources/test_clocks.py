"""Test clocks: their customers' billing lives on a time of its own, which only moves when it is advanced."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from tallystick.sandbox.billing.calendar import Cycle
from tallystick.sandbox.context import Context
from tallystick.sandbox.errors import ApiError, invalid
from tallystick.sandbox.events import STRIPE_ITSELF
from tallystick.sandbox.lists import page
from tallystick.sandbox.params import LIST_FIELDS, integer, string
from tallystick.sandbox.resources import common
from tallystick.sandbox.routing import Route
from tallystick.sandbox.shapes import Json, decode

__all__ = ["JOBS", "ROUTES", "at_customer", "at_moment", "attach", "left_out", "run_with"]

KIND = "test_helpers.test_clock"
_LIFE_S = 30 * 86400
_FREE_S = 2 * 366 * 86400
_CUSTOMERS = 3

Job: TypeAlias = Callable[[Context, str, Json], None]
_jobs: dict[str, Job] = {}


def run_with(jobs: Mapping[str, Job]) -> None:
    """What happens at due moments, by kind; the catalog gathers it."""
    _jobs.clear()
    _jobs.update(jobs)


def at_customer(ctx: Context, customer: Json | None) -> Context:
    """The context at the customer's own time."""
    clock_id = customer.get("test_clock") if customer else None
    if clock_id is None or ctx.test_clock == clock_id:
        return ctx
    clock = ctx.require(KIND, clock_id, param="test_clock")
    if clock["status"] == "advancing":
        raise ApiError(
            429,
            f"The test clock {clock_id} is currently advancing, so its objects cannot be changed.",
            code="lock_timeout",
        )
    return replace(ctx, moment=clock["frozen_time"], test_clock=clock_id)


def at_moment(ctx: Context, data: Json) -> Context:
    """The context of a due moment, at the very time it was due."""
    return replace(ctx, moment=data["at"])


def attach(ctx: Context, clock_id: str) -> None:
    """Refuse a customer more than a clock takes. Raises 400 for an unknown clock."""
    ctx.require(KIND, clock_id, param="test_clock", status=400)
    if len(ctx.store.find("customer", "test_clock", clock_id)) >= _CUSTOMERS:
        raise invalid(f"Test clocks can have at most {_CUSTOMERS} customers.", param="test_clock")


def left_out(params: Json, *names: str) -> list[tuple[str, list[Any]]]:
    """The condition that keeps objects of test clocks out of a list of everything."""
    if any(params.get(name) for name in ("customer", "subscription", "test_clock", "invoice", *names)):
        return []
    return [
        (
            "NOT EXISTS (SELECT 1 FROM refs t WHERE t.object = o.object AND t.field = 'test_clock' AND t.seq = o.seq)",
            [],
        )
    ]


def create(ctx: Context, params: Json) -> Json:
    """`POST /v1/test_helpers/test_clocks`."""
    ctx.store.set_meta("test_clocks", "used")
    clock: Json = {
        "id": ctx.ids.long("clock_"),
        "object": KIND,
        "created": ctx.now,
        "deletes_after": ctx.now + _LIFE_S,
        "frozen_time": params["frozen_time"],
        "livemode": False,
        "name": params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    ctx.save(clock)
    ctx.emit(f"{KIND}.created", clock)
    ctx.at(clock["deletes_after"], "test_clock_lapses", clock["id"])
    return clock


def retrieve(ctx: Context, _params: Json, clock_id: str) -> Json:
    """`GET /v1/test_helpers/test_clocks/{id}`."""
    return ctx.require(KIND, clock_id, param="test_clock")


def list_all(ctx: Context, params: Json) -> Json:
    """`GET /v1/test_helpers/test_clocks`."""
    return page(ctx, KIND, "/v1/test_helpers/test_clocks", params)


def advance(ctx: Context, params: Json, clock_id: str) -> Json:
    """`POST …/advance`: only forward, at most two intervals of the shortest subscription at once."""
    clock = ctx.require(KIND, clock_id, param="test_clock")
    target = params["frozen_time"]
    if clock["status"] != "ready":
        raise invalid(f"The test clock {clock_id} is already advancing.", code="test_clock_under_advancement")
    if target <= clock["frozen_time"]:
        raise invalid("You can only advance a test clock forward in time.", param="frozen_time")
    if target > _furthest(ctx, clock):
        raise invalid(
            "You can only advance a test clock by up to two intervals of its shortest subscription at a time.",
            param="frozen_time",
        )
    before = ctx.store.stored(clock_id)
    clock["status"] = "advancing"
    clock["status_details"] = {"advancing": {"target_frozen_time": target}}
    ctx.save(clock)
    ctx.emit(f"{KIND}.advancing", clock, before)
    ctx.later(0, "test_clock_advances", clock_id, to=target)
    return clock


def _furthest(ctx: Context, clock: Json) -> int:
    now: int = clock["frozen_time"]
    ends = [now + _FREE_S]
    for customer in ctx.store.find("customer", "test_clock", clock["id"]):
        for subscription in ctx.store.find("subscription", "customer", customer["id"]):
            if subscription["status"] in ("canceled", "incomplete_expired"):
                continue
            for item in subscription["items"]["data"]:
                recurring = item["price"]["recurring"]
                ends.append(Cycle(now, recurring["interval"], recurring["interval_count"]).boundary(2))
    return min(ends)


def delete(ctx: Context, _params: Json, clock_id: str) -> Json:
    """`DELETE /v1/test_helpers/test_clocks/{id}`: its customers go too."""
    clock = ctx.require(KIND, clock_id, param="test_clock")
    remove = _jobs["delete_customer"]
    for customer in ctx.store.find("customer", "test_clock", clock_id):
        remove(ctx, customer["id"], {})
    ctx.store.execute("DELETE FROM clock_jobs WHERE clock = ?", clock_id)
    ctx.emit(f"{KIND}.deleted", clock)
    return common.delete(ctx, clock)


def _lapses(ctx: Context, clock_id: str, _data: Json) -> None:
    if ctx.find(KIND, clock_id) is not None:
        delete(ctx, {}, clock_id)


def _advances(ctx: Context, clock_id: str, data: Json) -> None:
    """From due moment to due moment, in the order of time."""
    clock = ctx.find(KIND, clock_id)
    if clock is None:
        return
    while True:
        row = ctx.store.execute(
            "SELECT id, kind, ref, data, due_at FROM clock_jobs WHERE clock = ? AND due_at <= ? "
            "ORDER BY due_at, id LIMIT 1",
            clock_id, data["to"],
        ).fetchone()  # fmt: skip
        if row is None:
            break
        ctx.store.execute("DELETE FROM clock_jobs WHERE id = ?", row[0])
        moment = replace(ctx, cause=STRIPE_ITSELF, moment=int(row[4]), test_clock=clock_id)
        _jobs[row[1]](moment, row[2], decode(row[3]))
    before = ctx.store.stored(clock_id)
    clock["frozen_time"] = data["to"]
    clock["status"] = "ready"
    clock["status_details"] = {}
    ctx.save(clock)
    ctx.emit(f"{KIND}.ready", clock, before)


JOBS = {"test_clock_advances": _advances, "test_clock_lapses": _lapses}

_PATH = "test_helpers/test_clocks"
ROUTES = (
    Route("POST", _PATH, create, {"frozen_time": integer(), "name": string(300), **common.EXPAND}, ("frozen_time",)),
    Route("GET", _PATH, list_all, LIST_FIELDS),
    Route("GET", f"{_PATH}/*", retrieve, common.EXPAND),
    Route("POST", f"{_PATH}/*/advance", advance, {"frozen_time": integer(), **common.EXPAND}, ("frozen_time",)),
    Route("DELETE", f"{_PATH}/*", delete),
)
