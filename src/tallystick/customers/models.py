"""A user of the host application."""

from dataclasses import dataclass
from uuid import UUID

__all__ = ["User"]


@dataclass(frozen=True, slots=True)
class User:
    """`external_id` is the host application's id (the token's `sub`); `generation` rises with a deleted customer."""

    id: UUID
    external_id: str
    email: str | None
    name: str | None
    locale: str | None
    stripe_customer_id: str | None
    generation: int
