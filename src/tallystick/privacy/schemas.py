"""Bodies of requests about persons, and what the API shows of an erasure."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from tallystick.privacy.models import Erasure, Person, Standing

__all__ = ["EraseUser", "ErasureView", "erasure_view", "preview_view"]


class EraseUser(BaseModel):
    """How a user is erased."""

    model_config = ConfigDict(extra="forbid")

    cancel_subscriptions: bool = Field(default=False, description="end what is running, now, without a refund")
    dry_run: bool = Field(default=False, description="only tell what would happen")


class ErasureView(BaseModel):
    """An erasure, and how far it has come. A dry run has no id."""

    object: Literal["erasure"]
    id: UUID | None
    user_id: UUID
    state: Literal["open", "done", "not_begun"]
    removed: dict[str, int] = Field(description="rows that were redacted or deleted, by table")
    kept: dict[str, int] = Field(description="what law and Stripe require")
    ends: dict[str, list[UUID]] = Field(description="what is, or would be, canceled at Stripe")
    created_at: datetime | None
    finished_at: datetime | None


def erasure_view(erasure: Erasure) -> dict[str, Any]:
    """An erasure as the API shows it."""
    return {
        "object": "erasure",
        "id": erasure.id,
        "user_id": erasure.user_id,
        "state": erasure.state,
        "removed": erasure.removed,
        "kept": erasure.kept,
        "ends": {},
        "created_at": erasure.created_at,
        "finished_at": erasure.finished_at,
    }


def preview_view(person: Person, standing: Standing, kept: dict[str, int]) -> dict[str, Any]:
    """What erasing a person would do."""
    return {
        "object": "erasure",
        "id": None,
        "user_id": person.id,
        "state": "not_begun",
        "removed": {},
        "kept": kept,
        "ends": {"payments": standing.unpaid, "subscriptions": standing.subscriptions},
        "created_at": None,
        "finished_at": None,
    }
