"""`MetricsController`: money figures for staff, as JSON or as CSV."""

import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator
from starlette.responses import Response

from tallystick.metrics.periods import By
from tallystick.metrics.schemas import (
    FiguresView,
    MoneyReport,
    MrrReport,
    RatesFields,
    RatesView,
    SubscriberReport,
    TrialReport,
)
from tallystick.metrics.service import MetricsService, Report, Span
from tallystick.platform.auth import Actor
from tallystick.platform.http import json_response, problems

__all__ = ["MetricsController"]

Authenticate = Callable[..., Awaitable[Actor]]


def _countable(day: date) -> date:
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise ValueError(f"should be a day of the years {_YEARS[0]} to {_YEARS[1]}")
    return day


_YEARS = (1970, 2999)
CountableDay = Annotated[date, AfterValidator(_countable)]
Day = Annotated[CountableDay | None, Query()]
Currency = Annotated[str | None, Query(max_length=10, description="only this one; all are converted to one by default")]
Form = Annotated[str, Query(alias="format", pattern="^(json|csv)$")]
_READ = problems(401, 403, 422, 500, 503)
_WRITE = problems(401, 403, 413, 422, 500, 503)


class MetricsController:
    """Routes under `/api/metrics`."""

    def __init__(self, service: MetricsService, authenticate: Authenticate) -> None:
        self.router = APIRouter(prefix="/api/metrics", tags=["metrics"])
        self._route_overview(service, authenticate)
        reports: Sequence[tuple[str, Any, Any]] = [
            ("mrr", service.mrr, MrrReport),
            ("subscribers", service.subscribers, SubscriberReport),
            ("trials", service.trials, TrialReport),
            ("money", service.money, MoneyReport),
        ]
        for name, ask, model in reports:
            self._route_report(name, ask, model, authenticate)

    def _route_overview(self, service: MetricsService, authenticate: Authenticate) -> None:
        actor = Annotated[Actor, Depends(authenticate)]

        @self.router.get("", response_model=FiguresView, responses=_READ)
        async def get_figures(who: actor, day: Day = None, currency: Currency = None) -> Response:
            """The figures of a day (today); rates look back 30 days."""
            return json_response(msgspec.to_builtins(await service.overview(who, day, currency)))

        @self.router.put("/rates/{day}", response_model=RatesView, responses=_WRITE)
        async def put_rates(who: actor, day: Annotated[CountableDay, Path()], body: RatesFields) -> Response:
            """Set a day's exchange rates to the base currency (administrators); they hold until the next day's."""
            rates = await service.save_rates(who, day, body.rates)
            return json_response({"day": day.isoformat(), "base": service.base, "rates": dict(rates)})

    def _route_report(
        self,
        name: str,
        ask: Callable[[Actor, Span], Awaitable[Report]],
        model: type[Any],
        authenticate: Authenticate,
    ) -> None:
        actor = Annotated[Actor, Depends(authenticate)]

        async def report(
            who: actor,
            start: Day = None,
            end: Day = None,
            by: By = "day",
            currency: Currency = None,
            form: Form = "json",
        ) -> Response:
            found = await ask(who, Span(start, end, by, currency))
            if form == "csv":
                return _csv(found, f"{name}-{by}.csv")
            return json_response(msgspec.to_builtins(found))

        csv_too: dict[int | str, dict[str, Any]] = {
            200: {"content": {"text/csv": {}}, "description": "JSON, or CSV with `format=csv`"}
        }
        self.router.add_api_route(
            f"/{name}",
            report,
            methods=["GET"],
            response_model=model,
            responses={**csv_too, **_READ},
            description=f"{ask.__doc__} By day, week (from Monday) or month; the last 30 days unless said otherwise.",
            operation_id=f"report_{name}",
        )


def _csv(report: Report, name: str) -> Response:
    out = io.StringIO(newline="")
    rows = [msgspec.to_builtins(row) for row in report.data]
    writer = csv.DictWriter(out, fieldnames=["currency", *(rows[0] if rows else ())], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({"currency": report.currency, **row} for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
