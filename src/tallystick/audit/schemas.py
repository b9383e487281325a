"""What the API shows of the audit log."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

__all__ = ["AuditEntryView", "AuditPage"]


class AuditEntryView(BaseModel):
    """Who did what, to what, and how it ended."""

    id: UUID
    object: Literal["audit_entry"]
    actor: str = Field(examples=["admin:grace"])
    roles: list[str]
    user_id: UUID | None = Field(description="the user for whom a service acted")
    action: str = Field(examples=["refund_payment_intent"])
    object_kind: str | None = Field(examples=["payment"])
    object_id: str | None
    outcome: Literal["done", "refused", "failed"]
    status: int | None = Field(description="of the answer; null for a command")
    error_code: str | None
    request_id: str | None
    address: str | None
    details: dict[str, Any]
    happened_at: datetime
    business_at: datetime


class AuditPage(BaseModel):
    """A page of the log, the last first."""

    data: list[AuditEntryView]
    has_more: bool
