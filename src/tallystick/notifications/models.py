"""What a mail is, from the request to the row of the outbox."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from msgspec import Struct

from tallystick.platform.database import Record

__all__ = [
    "TEMPLATES",
    "Mail",
    "MailRequest",
    "MailState",
    "NewMail",
    "RenderedMail",
    "StoredMail",
    "UnknownTemplate",
]

TEMPLATES = frozenset(
    {
        "card_expiring",
        "invoice_action_required",
        "invoice_payment_failed",
        "invoice_receipt",
        "payment_confirmation",
        "payment_failed",
        "refund",
        "refund_failed",
        "staff_alert",
        "subscription_access_lost",
        "subscription_cancel_scheduled",
        "subscription_canceled",
        "subscription_paused",
        "subscription_resumed",
        "subscription_welcome",
        "trial_ending",
    }
)
"""The mails there are; each is a folder of `templates/` and a section of every file of `texts/`."""


class UnknownTemplate(ValueError):
    """There is no mail of this name: a mistake in the calling code, or in a setting."""


class MailState(StrEnum):
    """Where a mail stands; all but `QUEUED` are final."""

    QUEUED = "queued"
    SENT = "sent"
    SUPERSEDED = "superseded"
    DISABLED = "disabled"
    SILENT = "silent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A mail to be queued, once for each `business_key` (for example `payment_confirmation:<payment id>`).

    `locale` is what the user is known to read (`de`, `de-AT`); None is the installation's own. `context` is
    JSON: amounts as integers in minor units beside their `currency`, times as RFC 3339 text, None for unknown.
    `due_at` is business time, and so is `happened_at`, the time of what the mail tells: before the installation's mark
    it is told to nobody. None: it tells of what is to come. `event_id` is Stripe's event that told it, where one did.
    """

    business_key: str
    template: str
    recipient: str
    locale: str | None
    context: Mapping[str, Any]
    user_id: UUID | None
    due_at: datetime
    happened_at: datetime | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewMail:
    """A row for the outbox. `problem` says why it is stored dead."""

    id: UUID
    request: MailRequest
    recipient: str
    locale: str
    context: Mapping[str, Any]
    state: MailState
    message_id: str
    problem: str | None
    trace: bytes | None


@dataclass(frozen=True, slots=True)
class Mail:
    """A row of the outbox that is due; `attempts` is how often it failed so far."""

    id: UUID
    business_key: str
    template: str
    recipient: str
    locale: str
    context: Mapping[str, Any]
    message_id: str
    attempts: int
    trace: bytes | None

    @classmethod
    def of(cls, row: Record) -> Self:
        return cls(
            id=row["id"],
            business_key=row["business_key"],
            template=row["template"],
            recipient=row["recipient"],
            locale=row["locale"],
            context=row["context"],
            message_id=row["message_id"],
            attempts=row["attempts"],
            trace=row["trace"],
        )


class StoredMail(Struct, frozen=True):
    """A row of the outbox as an operator sees it. `not_before` is wall time: when it is tried next."""

    id: UUID
    business_key: str
    template: str
    recipient: str
    locale: str
    state: str
    subject: str | None
    attempts: int
    last_error: str | None
    due_at: datetime
    not_before: datetime | None
    created_at: datetime
    finished_at: datetime | None
    message_id: str | None
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail as it is read: one line of subject, plain text, and HTML with its styles inlined."""

    subject: str
    text: str
    html: str
    language: str
