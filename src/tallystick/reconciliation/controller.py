"""`ReconciliationController`: how the mirror stands against Stripe, for staff."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from tallystick.core.ids import parse_uuid
from tallystick.core.pages import LIMIT_DEFAULT, LIMIT_MAX
from tallystick.platform.auth import Identity
from tallystick.platform.http import json_response, problems
from tallystick.reconciliation.models import Difference, DifferenceFilter, EqualShare, Run
from tallystick.reconciliation.schemas import (
    CauseName,
    DifferencePage,
    DifferenceState,
    ReconciliationView,
    RunFields,
    RunView,
)
from tallystick.reconciliation.service_read import ReconcileService

__all__ = ["ReconciliationController"]

Identify = Callable[..., Awaitable[Identity]]
_READ = problems(401, 403, 404, 422, 500, 503)
_OURS = ("cursor", "scope", "added")


class ReconciliationController:
    """Routes under `/api/reconciliation`."""

    def __init__(self, service: ReconcileService, identify: Identify) -> None:
        self.router = APIRouter(prefix="/api/reconciliation", tags=["reconciliation"])
        self._route_reads(service, identify)
        self._route_runs(service, identify)

    def _route_reads(self, service: ReconcileService, identify: Identify) -> None:
        identity = Annotated[Identity, Depends(identify)]

        @self.router.get("", response_model=ReconciliationView, responses=problems(401, 403, 500, 503))
        async def get_reconciliation(who: identity) -> Response:
            """How many objects are equal to Stripe's, as of when; what differs; and the runs (admin, support)."""
            found = await service.overview(who)
            body = {
                "object": "reconciliation",
                "equal_share": _share_view(found.share),
                "open_by_cause": found.open_by_cause,
                "runs": [_run_view(run) for run in found.open_runs],
                "last_full": found.last_full and _run_view(found.last_full),
                "last_incremental": found.last_incremental and _run_view(found.last_incremental),
            }
            return json_response(body)

        @self.router.get("/differences", response_model=DifferencePage, responses=_READ)
        async def list_differences(
            who: identity,
            state: DifferenceState | None = None,
            cause: CauseName | None = None,
            of: Annotated[
                str | None, Query(max_length=40, description="a kind of object", examples=["invoice"])
            ] = None,
            stripe_id: Annotated[str | None, Query(max_length=255)] = None,
            run: Annotated[str | None, Query(max_length=36, description="a run that saw it last")] = None,
            limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
            starting_after: Annotated[str | None, Query(max_length=36)] = None,
        ) -> Response:
            """Differences, the last seen first (admin, support)."""
            run_id = None
            if run is not None and (run_id := parse_uuid(run)) is None:
                return json_response({"data": [], "has_more": False})
            wanted = DifferenceFilter(state=state, cause=cause, object=of, stripe_id=stripe_id, run_id=run_id)
            page = await service.differences(who, wanted, limit=limit, starting_after=starting_after)
            return json_response({"data": [_difference_view(row) for row in page.data], "has_more": page.has_more})

    def _route_runs(self, service: ReconcileService, identify: Identify) -> None:
        identity = Annotated[Identity, Depends(identify)]
        accepted: dict[int | str, dict[str, Any]] = {202: {"model": RunView, "description": "A worker takes it up"}}

        @self.router.post("/runs", status_code=202, response_model=RunView,
                          responses={**accepted, **problems(401, 403, 409, 413, 422, 500, 503)})  # fmt: skip
        async def start_reconcile(who: identity, body: RunFields) -> Response:
            """Compare, and repair what the settings say (admin). It is done in the background: see the run."""
            return json_response(_run_view(await service.start(who, body.mode)), 202)

        @self.router.get("/runs/{id}", response_model=RunView, responses=_READ)
        async def get_reconcile_run(who: identity, run_id: Annotated[str, Path(alias="id", max_length=36)]) -> Response:
            """One run (admin, support)."""
            return json_response(_run_view(await service.run(who, run_id)))


def _share_view(share: EqualShare) -> dict[str, Any]:
    return {**msgspec.structs.asdict(share), "share": share.share}


def _run_view(run: Run) -> dict[str, Any]:
    shown = {name: value for name, value in msgspec.structs.asdict(run).items() if name not in _OURS}
    return {**shown, "object": "reconcile_run"}


def _difference_view(row: Difference) -> dict[str, Any]:
    return {**msgspec.structs.asdict(row), "of": row.object, "object": "reconcile_difference"}
