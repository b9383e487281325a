"""What the API shows of reconcile, and takes."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CauseName", "DifferencePage", "DifferenceState", "ReconciliationView", "RunFields", "RunView"]

CauseName = Literal["in_flight", "missed_event", "ours", "dashboard", "foreign", "gone"]
DifferenceState = Literal["open", "repaired", "passed"]


class ShareView(BaseModel):
    """How many of the objects that were compared are equal to Stripe's; null until all were compared once."""

    equal: int | None = Field(examples=[104_211])
    compared: int | None = Field(examples=[104_213])
    share: float | None = Field(description="from 0 to 1; 1 only where all are equal", examples=[0.99998])
    as_of: datetime | None = Field(description="business time")
    full_as_of: datetime | None = Field(description="when all of them were compared the last time")


class RunView(BaseModel):
    """A run: how far it has come, and what it has counted."""

    id: UUID
    object: Literal["reconcile_run"]
    mode: Literal["incremental", "full"]
    state: Literal["queued", "running", "done", "failed"]
    requested_by: str = Field(examples=["timer", "admin:grace"])
    objects: int = Field(description="how many were compared")
    fields: int = Field(description="of all these objects")
    differences: int = Field(description="fields that differ")
    repaired: int
    left_open: int = Field(description="differences that were neither repaired nor under way")
    in_flight: int = Field(description="differences that something under way will settle")
    calls: int = Field(description="calls to Stripe")
    error: str | None
    from_at: datetime | None
    until_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ReconciliationView(BaseModel):
    """How the mirror stands against Stripe."""

    object: Literal["reconciliation"]
    equal_share: ShareView
    open_by_cause: dict[CauseName, int]
    runs: list[RunView] = Field(description="queued and running")
    last_full: RunView | None
    last_incremental: RunView | None


class Happening(BaseModel):
    """One thing that became of a difference."""

    at: datetime
    what: Literal["found", "repaired", "passed"]
    cause: CauseName
    ours: Any = None
    stripe: Any = None
    by: str


class DifferenceView(BaseModel):
    """A field of a row that differs, or did, from what Stripe says; `row`: there was a row too few or too many."""

    id: UUID
    object: Literal["reconcile_difference"]
    of: str = Field(description="Stripe's word for the kind of object", examples=["invoice"])
    stripe_id: str
    field: str = Field(examples=["amount_paid"])
    ours: Any = None
    stripe: Any = None
    cause: CauseName
    state: DifferenceState
    times_seen: int
    found_at: datetime
    seen_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    run_id: UUID | None
    history: list[Happening]


class DifferencePage(BaseModel):
    """A page of differences, the last seen first."""

    data: list[DifferenceView]
    has_more: bool


class RunFields(BaseModel):
    """What to run."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["incremental", "full"] = Field(
        default="incremental", description="what has changed since the last run, or all there is"
    )
