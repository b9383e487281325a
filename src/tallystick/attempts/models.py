"""An attempt, the answer it ends in, and what each kind of attempt has to bring along."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct

from tallystick.core.errors import DomainError
from tallystick.platform.database import Transaction
from tallystick.stripe_gateway.errors import GatewayDeclined, GatewayRejected
from tallystick.stripe_gateway.objects import Answer

__all__ = ["SECRET_OF", "Attempt", "Operation", "Refusal", "Settled", "attempt_view"]

SECRET_OF = "_secret_of"  # noqa: S105  # the mark in a stored answer that names the object whose secret was taken out
Refusal: TypeAlias = GatewayDeclined | GatewayRejected


class Attempt(Struct, frozen=True):
    """One write to Stripe, stored before it is sent.

    `subject_id` is the object of ours that it is about; `part_id` what it makes of that (a refund of a payment).
    Of all open attempts with the same `lock_key` there is one. `request` is everything that sending again needs,
    `trace` what was under way where it was stored (`platform/tracing.py`).
    """

    id: UUID
    kind: str
    user_id: UUID | None
    subject_id: UUID | None
    part_id: UUID | None
    lock_key: str | None
    idempotency_key_id: UUID | None
    stripe_idempotency_key: str
    request: dict[str, Any]
    state: str
    sent_at: datetime
    looks: int
    trace: bytes | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """An attempt's answer: HTTP status, the body that is stored, and the secrets that join it this once."""

    status: int
    body: dict[str, Any]
    secrets: dict[str, Any] | None = None


class Operation(Protocol):
    """What one kind of attempt does. All but `send` and `look` work in the transaction that ends the attempt."""

    success_status: int

    async def send(self, attempt: Attempt) -> Answer[Any]:
        """Call Stripe under the attempt's key; raises a GatewayError."""

    async def look(self, attempt: Attempt) -> Answer[Any] | None:
        """Find out at Stripe what became of it, without doing it; None: no trace. Raises a GatewayError."""

    async def record(self, tx: Transaction, attempt: Attempt, answer: Answer[Any]) -> dict[str, Any] | None:
        """Record what Stripe answered; the view after that, where it is known without another look."""

    async def record_refusal(self, tx: Transaction, attempt: Attempt, refusal: Refusal) -> None:
        """Record what a refusal shows, and undo what was stored for something that does not exist at Stripe."""

    async def undo(self, tx: Transaction, attempt: Attempt) -> None:
        """Remove what step 1 stored: nothing happened."""

    async def abandon(self, tx: Transaction, attempt: Attempt) -> None:
        """Give what step 1 stored its last word: nobody knows, and nobody will ask again."""

    def error(self, refusal: Refusal) -> DomainError:
        """The error that answers a refusal."""

    async def view(self, tx: Transaction, attempt: Attempt) -> dict[str, Any]:
        """The object as the API shows it; empty if it is gone."""

    def secret_of(self, answer: Answer[Any]) -> tuple[str, dict[str, Any]] | None:
        """Whose secrets go with the answer (a Stripe id, by which a repeat fetches them again), and the secrets."""


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """Where a write to Stripe stands."""
    return {"id": attempt.id, "kind": attempt.kind, "state": attempt.state}
